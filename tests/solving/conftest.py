"""What tests of plate solving start from."""

from __future__ import annotations

from tests.previews.conftest import analyst, looker, settings

__all__ = ["analyst", "looker", "settings"]
