# SPDX-License-Identifier: Apache-2.0
"""Where programs and maps are pinned, so that they go on recording when the sensor is killed.

    <folder>/<layout>/<map>                     the maps, the ring among them
    <folder>/<layout>/link-<generation>-<name>  one for each program; a generation is one sensor's

`layout` is a digest of what the maps hold: a sensor of another layout begins with maps of its own.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

from sensor.probe import BPF_SOURCES, ProbeError

_LINK: Final = "link-"


def layout() -> str:
    """Digest of the events' layout and of the maps' definitions."""
    digest = hashlib.sha256()
    for name in ("event.h", "loader_core.h"):
        digest.update((BPF_SOURCES / name).read_bytes())
    return digest.hexdigest()[:12]


def prepare(folder: Path) -> Path:
    """The folder of this layout, made. Raises ProbeError."""
    place = folder / layout()
    try:
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ProbeError(
            f"{place} cannot be made: {error.strerror}; mount bpffs: mount -t bpf bpf /sys/fs/bpf"
        ) from error
    return place


def link(place: Path, generation: int, name: str) -> Path:
    """Where a program's link is pinned."""
    return place / f"{_LINK}{generation}-{name}"


def retire(folder: Path, generation: int) -> None:
    """Take away the links of other generations, and what has another layout. Raises OSError."""
    place = folder / layout()
    for path in place.glob(f"{_LINK}*"):
        if not path.name.startswith(f"{_LINK}{generation}-"):
            path.unlink()
    for other in folder.iterdir():
        if other != place and other.is_dir():
            _remove(other)


def unpin(folder: Path) -> int:
    """Take everything away: nothing is recorded any more once no sensor runs. How many pins there were.

    Raises OSError.
    """
    if not folder.is_dir():
        return 0
    count = sum(_remove(place) for place in list(folder.iterdir()) if place.is_dir())
    folder.rmdir()
    return count


def _remove(place: Path) -> int:
    pins = list(place.iterdir())
    # Links first: programs without their maps' names would only be harder to find.
    for path in sorted(pins, key=lambda path: not path.name.startswith(_LINK)):
        path.unlink()
    place.rmdir()
    return len(pins)
