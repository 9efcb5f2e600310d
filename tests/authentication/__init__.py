"""Logging in, as clients do it."""
