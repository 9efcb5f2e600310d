"""Use cases, one a module: what the web and the command line call."""
