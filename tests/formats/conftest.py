"""One result that holds everything that is awkward, and where the formats get it from."""

from __future__ import annotations

from tests.results.conftest import schema, source

__all__ = ["schema", "source"]
