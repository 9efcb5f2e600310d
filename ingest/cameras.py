"""Which camera took a frame."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import resources

_PIXEL_TOLERANCE = 0.15
_SIZE_TOLERANCE = 0.03


@dataclass(frozen=True, slots=True)
class Camera:
    """A camera.

    Attributes:
        name: as the archive shows it where a header has no name.
        pixel: pixel size [um], unbinned.
        sizes: (width, height) of full unbinned frames [pixels].
        instrume: how the camera's INSTRUME begins.
    """

    name: str
    pixel: float
    sizes: tuple[tuple[int, int], ...]
    instrume: tuple[str, ...]


def is_informative(instrume: str | None) -> bool:
    """Whether an INSTRUME names an instrument."""
    return bool(instrume) and str(instrume).strip().lower() not in _content()[1]


def named(instrume: str) -> Camera | None:
    """Return the camera that an INSTRUME names, or None."""
    name = instrume.lower() + " "
    return next((c for c in _content()[0] if any(name.startswith(i.lower()) for i in c.instrume)), None)


def matching(pixel: float, width: int, height: int) -> list[Camera]:
    """Return the cameras with such pixels and frames: none, one, or several that cannot be told apart.

    Args:
        pixel: size of an unbinned pixel [um].
        width, height: size of the frame, unbinned [pixels], in either orientation.
    """
    return [
        camera
        for camera in _content()[0]
        if abs(pixel - camera.pixel) <= _PIXEL_TOLERANCE * camera.pixel
        and any(_is_size(width, height, size) or _is_size(height, width, size) for size in camera.sizes)
    ]


def _is_size(width: int, height: int, size: tuple[int, int]) -> bool:
    return all(
        abs(found - nominal) <= _SIZE_TOLERANCE * nominal
        for found, nominal in zip((width, height), size, strict=True)
    )


@cache
def _content() -> tuple[tuple[Camera, ...], frozenset[str]]:
    with resources.files("ingest").joinpath("cameras.toml").open("rb") as file:
        content = tomllib.load(file)
    cameras = tuple(
        Camera(
            entry["name"],
            entry["pixel"],
            tuple((width, height) for width, height in entry["sizes"]),
            tuple(entry["instrume"]),
        )
        for entry in content["camera"]
    )
    return cameras, frozenset(content["uninformative"]["names"])
