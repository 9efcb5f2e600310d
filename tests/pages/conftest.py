"""Tests here work on a project of their own."""

from tests.blues import blues, blues_project

__all__ = ["blues", "blues_project"]
