# SPDX-License-Identifier: Apache-2.0
"""The watched files: looked at now and then, compared with what was seen last, told when they differ."""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from sensor.enrich import procfs, sockets
from sensor.files import content, places
from sensor.files.content import Content
from sensor.files.memory import MemoryWrites
from sensor.files.touches import Touches
from sensor.probe.layout import Reached, Step
from sensor.who.callers import Told
from sensor.wire import MAX_TEXT, Caller, Event, FileOf, FileState, HostFile, printable

_log: Final = logging.getLogger(__name__)

LOOK_S: Final = 5.0
LINES_S: Final = 30.0
"""How often the daemons' command lines are looked at; their files twice a minute would be late."""
REST_NS: Final = 500_000_000
"""A file is read once nobody has written to it for so long: else half of it may be there."""
MAX_RESTS: Final = 10
"""So often it is waited for, and then read as it is."""
COMMAND_LINE: Final = "command line of "
MAX_SAVED: Final = 16 * 1024 * 1024
_DAEMONS: Final[Mapping[str, FileOf]] = {
    "dockerd": "docker", "containerd": "containerd", "podman": "podman", "crio": "cri-o", "kubelet": "kubelet",
}  # fmt: skip
_GONE: Final = "the process that wrote it was gone before it could be looked at"
_ELSEWHERE: Final = (
    "the kernel told of no write in its folder: it was written by another path, or before it was watched"
)
_AWAY: Final = "it was changed while no sensor watched"

Who = Callable[[Step, Told, str | None, list[str] | None], Caller]


@dataclass(slots=True)
class _Seen:
    """A file as it was seen last. `signature` None: of a sensor before, and not looked at since."""

    content: Content
    signature: tuple[int, ...] | None
    rests: int = 0


class Files:
    """For the thread of the agent's loop: `turn` it, `close` it."""

    def __init__(
        self,
        watched: Iterable[Path],
        keep: Path,
        redact: Callable[[str], str],
        next_id: Callable[[], str],
        emit: Callable[[Event], None],
        who: Who,
        count: Callable[[str], None],
    ) -> None:
        """`keep` is the file in which what was seen is kept; `who` says whom a writer belongs to."""
        self._places = tuple(watched)
        self._keep = keep
        self._redact = redact
        self._next_id = next_id
        self._emit = emit
        self._who = who
        self._count = count
        self.touches = Touches(count)
        self._memory = MemoryWrites(count)
        self._reached: Callable[[Reached], None] = lambda _reached: None
        self._seen, self._known = self._recall()
        self._began = True
        """Nothing was looked at yet: what differs did so while no sensor watched."""
        self._next = self._next_lines = 0.0

    def open(self) -> None:
        """Have the kernel tell who writes, and look for the first time."""
        if self._places:
            self.touches.open()
            self.turn()

    def serve(self, hooks: dict[str, str], reached: Callable[[Reached], None]) -> None:
        """Tell `reached` of writes to processes' memory, where none of `hooks` does; says so in `hooks`."""
        self._reached = reached
        self._memory.serve(hooks)

    def close(self) -> None:
        """End it."""
        self.touches.close()
        self._memory.close()

    def troubles(self) -> list[str]:
        """What is watched less well than it could be."""
        if not self._places or self.touches.refused is None:
            return []
        return [f"who writes the runtimes' configuration files is not known: {self.touches.refused}"]

    def turn(self) -> None:
        """Look, where it is time to or somebody wrote."""
        for reached in self._memory.take():
            self._reached(reached)
        now = time.monotonic()
        woken = self.touches.woken.is_set()
        if not self._places or (now < self._next and not woken):
            return
        self.touches.woken.clear()
        self._next = now + LOOK_S
        self.touches.watch(places.folders(self._places))
        changed = self._look()
        if now >= self._next_lines:
            self._next_lines = now + LINES_S
            changed = self._command_lines() or changed
        if changed or self._began:
            self._save()
        self._began = False

    def _look(self) -> bool:
        changed = False
        found = list(places.files(self._places))
        for path in found:
            changed = self._file(path) or changed
        for path in [each for each in self._seen if each not in found and not each.startswith(COMMAND_LINE)]:
            if any(path == str(place) or Path(path).parent == place for place in self._places):
                self._tell(path, self._seen[path].content, None)
            del self._seen[path]
            changed = True
        return changed

    def _file(self, path: str) -> bool:
        """Whether it is another than before."""
        before = self._seen.get(path)
        signature = _signature(path)
        if signature is None or (before is not None and before.signature == signature):
            return False
        if before is not None and not self._began and self._rests(before, signature):
            return False
        try:
            now = content.read(path, self._redact)
        except OSError as error:
            self._count("files.unreadable")
            _log.debug("%s: %s", path, error)
            return False
        if now is None:
            return False
        self._seen[path] = _Seen(now, signature)
        if before is None:
            if not self._began or self._was_watched(path):
                self._tell(path, None, now)
        elif _other(before.content.state, now.state):
            self._tell(path, before.content, now)
        return True

    def _rests(self, before: _Seen, signature: tuple[int, ...]) -> bool:
        """Whether it is still being written: then it is looked at again soon."""
        before.rests += 1
        if time.time_ns() - signature[0] > REST_NS or before.rests > MAX_RESTS:
            before.rests = 0
            return False
        self._next = time.monotonic() + REST_NS / 10**9
        return True

    def _was_watched(self, path: str) -> bool:
        return any(path == each or str(Path(path).parent) == each for each in self._known)

    def _command_lines(self) -> bool:
        """The daemons' command lines: one that was not there before is told; one that ended is kept for its return."""
        changed = False
        running: dict[str, list[str]] = {}
        for pid in sockets.daemons(kubelet=True):
            name, known = procfs.comm(pid), procfs.cmdline(pid)
            if name is not None and name in _DAEMONS and known:
                running.setdefault(name, []).append(" ".join(known[0]))
        for name, lines in running.items():
            path = COMMAND_LINE + name
            now = content.shown(sorted(set(lines)), self._redact)
            before = self._seen.get(path)
            state = FileState(digest=_digest(now), size=len(now), uid=0, mode=0, modified=0)
            if before is None:
                self._seen[path], changed = _Seen(Content(state, now), (0,)), True
                if not self._began and self._known:
                    self._tell(path, None, Content(state, now))
            elif not set(now) <= set(before.content.lines):
                self._seen[path], changed = _Seen(Content(state, now), (0,)), True
                self._tell(path, before.content, Content(state, now))
        return changed

    def _tell(self, path: str, before: Content | None, after: Content | None) -> None:
        lines, cut = content.difference(before.lines if before else [], after.lines if after else [])
        caller, unknown = self._by(path)
        self._count("files.changed")
        self._emit(
            HostFile(
                id=self._next_id(),
                time=time.time_ns(),
                mono=time.clock_gettime_ns(time.CLOCK_BOOTTIME),
                kind="file",
                runtime=self._runtime(path),
                path=printable(path)[:1024],
                before=before.state if before else None,
                after=after.state if after else None,
                difference=lines,
                difference_cut=cut,
                unwatched=self._began,
                caller=caller,
                caller_unknown=unknown and unknown[:MAX_TEXT],
            )
        )

    @staticmethod
    def _runtime(path: str) -> FileOf:
        name = path.removeprefix(COMMAND_LINE)
        return _DAEMONS.get(name, "other") if name != path else places.runtime_of(path)

    def _by(self, path: str) -> tuple[Caller | None, str | None]:
        """Who wrote it, or why that is not known."""
        if self._began:
            return None, _AWAY
        if path.startswith(COMMAND_LINE):
            return None, "who started the daemon is not looked for"
        if self.touches.refused is not None:
            return None, f"the kernel does not tell who writes: {self.touches.refused}"
        touch = self.touches.of(path)
        if touch is None:
            return None, _ELSEWHERE
        if touch.writer is None:
            return None, f"{_GONE} (pid {touch.pid})"
        writer = touch.writer
        return self._who(writer.step, writer.told, writer.exe, writer.argv), None

    def _recall(self) -> tuple[dict[str, _Seen], frozenset[str]]:
        """What the sensor before saw, and at which places it looked; nothing where that cannot be read."""
        try:
            if self._keep.stat().st_size > MAX_SAVED:
                return {}, frozenset()
            kept: Any = json.loads(self._keep.read_bytes())
            seen = {
                path: _Seen(Content(_state(each["state"]), list(each["lines"])), None)
                for path, each in kept["files"].items()
            }
            return seen, frozenset(kept["places"])
        except FileNotFoundError:
            return {}, frozenset()
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            self._count("files.forgotten")
            _log.warning("what the runtimes' files were before cannot be read: %s", error)
            return {}, frozenset()

    def _save(self) -> None:
        files = {
            path: {"state": each.content.state, "lines": each.content.lines}
            for path, each in self._seen.items()
        }
        document = {"places": [str(place) for place in self._places], "files": files}
        new = self._keep.with_name(f"{self._keep.name}.new")
        try:
            handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            with open(handle, "w", encoding="utf-8") as file:  # noqa: PTH123 - it is open already
                json.dump(document, file)
            new.replace(self._keep)
        except OSError as error:
            self._count("files.unsaved")
            _log.warning("what the runtimes' files are cannot be kept: %s", error)


def _signature(path: str) -> tuple[int, ...] | None:
    """What changes with each write; its first is when that was, ns."""
    try:
        found = os.stat(path)  # noqa: PTH116 - text in
    except OSError:
        return None
    return found.st_ctime_ns, found.st_mtime_ns, found.st_ino, found.st_size, found.st_mode, found.st_uid


def _other(before: FileState, after: FileState) -> bool:
    """Whether it differs in what it holds, or in who may write it."""
    return (before["digest"], before["uid"], before["mode"]) != (after["digest"], after["uid"], after["mode"])


def _state(kept: Mapping[str, Any]) -> FileState:
    return FileState(
        digest=str(kept["digest"]),
        size=int(kept["size"]),
        uid=int(kept["uid"]),
        mode=int(kept["mode"]),
        modified=int(kept["modified"]),
    )


def _digest(lines: list[str]) -> str:
    return sha256("\n".join(lines).encode("utf-8", "backslashreplace")).hexdigest()
