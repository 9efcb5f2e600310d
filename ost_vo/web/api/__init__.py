"""The HTTP API, below ``/api/v1``: what the command line and the Python client do, as JSON.

Its OpenAPI document is ``/api/v1/openapi.json``. Errors are problem details (RFC 9457).
"""
