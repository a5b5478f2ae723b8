# SPDX-License-Identifier: Apache-2.0
"""More of the programs that containers run: whose children they are, and the digests of their files."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from sensor.enrich import procfs
from sensor.enrich.digests import Answer, Asked, Digests
from sensor.probe.ordinary import EXEC, Ordinary, inode_of

ASKED_EACH_NS: Final = 1_000_000_000
"""How often the file at one path in one container is looked at, at most: a flood of kinds may be of one file."""
_MOST: Final = 4096
"""Files that are remembered as asked for and as told, each."""


class Programs:
    """What /proc tells of a program of a container's own. On the probe's thread; only `digests` has its own."""

    def __init__(self, digests: Digests) -> None:
        self._digests = digests
        self._asked: dict[tuple[int, int, str], int] = {}
        self._told: dict[tuple[str, str], str] = {}
        self._parents: dict[int, tuple[str, int] | tuple[None, None]] = {}

    def begin(self) -> None:
        """Forgets what /proc said: a number may be another process's by the next time."""
        self._parents.clear()

    def parent(self, seen: Ordinary) -> str | None:
        """The program of its parent, which mostly outlives it. None: it is gone, or runs another one by now."""
        if not seen.parent:
            return None
        if seen.parent not in self._parents:
            self._parents[seen.parent] = procfs.exe_and_inode(seen.parent)
        program, inode = self._parents[seen.parent]
        return program if inode == seen.parent_file else None

    def ask(self, seen: Ordinary, init: int, when: int) -> None:
        """Have the file read that ran; `init` is the container's first process, `when` in ns since the epoch."""
        if seen.kind != EXEC or seen.exe is None:
            return
        file = (seen.mnt, inode_of(seen.key), seen.exe)
        if seen.time - self._asked.get(file, -ASKED_EACH_NS) < ASKED_EACH_NS:
            return
        if len(self._asked) >= _MOST:
            self._asked.clear()
        self._asked[file] = seen.time
        self._digests.ask(Asked(seen.key, seen.pid, seen.start, seen.exe, init, file[1], when))

    def answers(self) -> Iterator[Answer]:
        """What was read since the last call, where it is known."""
        return (each for each in self._digests.answers() if each.digest is not None)

    def is_news(self, container: str, program: str, digest: str) -> bool:
        """Whether it is another digest than was told last of this path; from now on it was."""
        if self._told.get((container, program)) == digest:
            return False
        if len(self._told) >= _MOST:
            self._told.clear()
        self._told[container, program] = digest
        return True
