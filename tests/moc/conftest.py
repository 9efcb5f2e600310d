"""The project with people and products of its own."""

from tests.blues import blues, blues_project

__all__ = ["blues", "blues_project"]
