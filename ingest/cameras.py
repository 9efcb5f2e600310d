"""Which camera took a frame."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources

_PIXEL_TOLERANCE = 0.15
_SIZE_TOLERANCE = 0.03


@dataclass(frozen=True, slots=True)
class Camera:
    """A camera.

    Attributes:
        name: as the archive shows it.
        pixel: pixel size [um], unbinned; None where it does not matter.
        sizes: (width, height) of full unbinned frames [pixels]; none: frames do not tell it.
        instrume: how the camera's INSTRUME begins.
    """

    name: str
    pixel: float | None
    sizes: tuple[tuple[int, int], ...]
    instrume: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Cameras:
    """The cameras that frames come from.

    Attributes:
        cameras: in the order in which they are looked for.
        uninformative: names that programs write when they know nothing, in lower case.
    """

    cameras: tuple[Camera, ...]
    uninformative: frozenset[str]

    def is_informative(self, instrume: str | None) -> bool:
        """Whether an INSTRUME names an instrument."""
        return bool(instrume) and str(instrume).strip().lower() not in self.uninformative

    def named(self, instrume: str) -> Camera | None:
        """Return the camera that an INSTRUME names, or None."""
        name = instrume.lower() + " "
        return next((c for c in self.cameras if any(name.startswith(i.lower()) for i in c.instrume)), None)

    def matching(self, pixel: float, width: int, height: int) -> list[Camera]:
        """Return the cameras with such pixels and frames: none, one, or several that cannot be told apart.

        Args:
            pixel: size of an unbinned pixel [um].
            width, height: size of the frame, unbinned [pixels], in either orientation.
        """
        return [
            camera
            for camera in self.cameras
            if camera.pixel is not None
            and abs(pixel - camera.pixel) <= _PIXEL_TOLERANCE * camera.pixel
            and any(_is_size(width, height, size) or _is_size(height, width, size) for size in camera.sizes)
        ]

    def with_others(self, others: Sequence[Camera]) -> Cameras:
        """Return these and others, which come first, without those whose name or INSTRUME others have."""
        names = {camera.name for camera in others}
        taken = {beginning.lower() for camera in others for beginning in camera.instrume}
        kept = [c for c in self.cameras if c.name not in names]
        kept = [c for c in kept if taken.isdisjoint(map(str.lower, c.instrume))]
        return replace(self, cameras=(*others, *kept))


def _is_size(width: int, height: int, size: tuple[int, int]) -> bool:
    return all(
        abs(found - nominal) <= _SIZE_TOLERANCE * nominal
        for found, nominal in zip((width, height), size, strict=True)
    )


@cache
def known() -> Cameras:
    """Return the cameras that come with the programs."""
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
    return Cameras(cameras, frozenset(content["uninformative"]["names"]))
