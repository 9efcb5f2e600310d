"""The Python client against a running archive."""
