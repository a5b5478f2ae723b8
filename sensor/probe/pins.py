# SPDX-License-Identifier: Apache-2.0
"""Where programs and maps are pinned, so that they go on recording when the sensor is killed.

    <folder>/<layout>/<map>                     the maps, the ring among them
    <folder>/<layout>/link-<generation>-<name>  one for each program; a generation is one sensor's

`layout` is a digest of what the maps hold: a sensor of another layout begins with maps of its own.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from sensor.probe import BPF_SOURCES, PinsError

_LINK: Final = "link-"
_MOUNTS: Final = Path("/proc/self/mounts")


def layout() -> str:
    """Digest of the events' layout and of the maps' definitions."""
    digest = hashlib.sha256()
    for name in ("event.h", "listen.h", "loader_core.h"):
        digest.update((BPF_SOURCES / name).read_bytes())
    return digest.hexdigest()[:12]


def why_not(folder: Path) -> str | None:
    """Why nothing can be pinned in this folder, None when it can: it need not be there."""
    above = next((each for each in (folder, *folder.parents) if each.exists()), Path("/"))
    try:
        kinds = dict(line.split()[1:3] for line in _MOUNTS.read_text(errors="replace").splitlines())
    except OSError as error:
        return f"{_MOUNTS} cannot be read: {error.strerror}"
    mount = next((each for each in (above, *above.parents) if str(each) in kinds), Path("/"))
    if kinds.get(str(mount)) != "bpf":
        return f"{above} is no bpffs; mount it: mount -t bpf bpf /sys/fs/bpf"
    if not os.access(above, os.W_OK | os.X_OK):
        return f"{above} cannot be written by this user"
    return None


def prepare(folder: Path) -> tuple[Path, int]:
    """The folder of this layout, made, and a lock on all of it, held until the descriptor is closed.

    Raises PinsError, also when another sensor uses it.
    """
    if reason := why_not(folder):
        raise PinsError(f"nothing can be pinned in {folder}: {reason}")
    place = folder / layout()
    try:
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise PinsError(f"{place} cannot be made: {error.strerror}") from error
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(held)
        raise PinsError(
            f"{folder} cannot be used ({error.strerror}): does another sensor run with it?"
        ) from error
    return place, held


def link(place: Path, generation: int, name: str) -> Path:
    """Where a program's link is pinned."""
    return place / f"{_LINK}{generation}-{name}"


def retire(folder: Path, generation: int, unread: Callable[[Path], int]) -> int:
    """Take away the links of other generations, and what has another layout; how many events that held unread.

    `unread` counts those of the ring that is pinned at a path. Raises OSError.
    """
    place = folder / layout()
    for path in place.glob(f"{_LINK}*"):
        if not path.name.startswith(f"{_LINK}{generation}-"):
            path.unlink()
    count = 0
    for other in folder.iterdir():
        if other == place or not other.is_dir():
            continue
        for path in other.glob(f"{_LINK}*"):
            path.unlink()
        if (ring := other / "entries").exists():
            count += unread(ring)
        _remove(other)
    return count


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
