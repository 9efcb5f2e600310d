"""The demo night: what was observed, the sky over it, the cameras, and the programs that wrote the files."""
