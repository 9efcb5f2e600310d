"""Starlette: requests in, responses out."""
