# SPDX-License-Identifier: Apache-2.0
"""The audit log of a Kubernetes API server on this host, followed like a stream: --audit-log-path, a line an event.

The API server rotates by renaming (lumberjack: audit-TIME.log) and opens a new file. The file that was read is known by
its inode, also under its new name, and is read to its end before the new one. How far it was read is kept beside
the sensor's state, so that a restart goes on there; what cannot be found again is told as a gap.
"""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from collections import Counter, deque
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from sensor.enrich.daemon import AwayError
from sensor.records.said import GAP, MAX_DETAIL, Said
from sensor.wire import RecordSource, audit

LOOK_S: Final = 0.25
"""How often the file is looked at. Seconds."""
CHUNK: Final = 1024 * 1024
KEEP_S: Final = 1.0
"""How often it is kept how far it was read: what was read since is read again after a kill, and stored once."""
FIRST: Final = 16 * 1024 * 1024
"""How much of its past is read the first time. Bytes."""
MAX_OLDER: Final = 64
"""Rotated files in its folder that are looked through for the one that was read."""

_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Mark:
    """How far which file was read."""

    inode: int
    position: int


@dataclass(frozen=True, slots=True)
class AuditLog:
    """Where the log is, and in which file it is kept how far it was read."""

    path: str
    keep: Path | None
    redact: audit.Redact

    def open(self, _path: str, _since: int | None) -> LogStream:
        """As a socket is opened. Raises AwayError."""
        return LogStream(self.path, self.keep, self.redact)


class LogStream:
    """An open log. For one thread; `close` is for any."""

    source: Final[RecordSource] = "kubernetes"

    def __init__(self, path: str, keep: Path | None, redact: audit.Redact) -> None:
        """From where `keep` says it was read, else the last of it, FIRST bytes. Raises AwayError."""
        self.path = Path(path)
        self.skipped = 0
        """Always: what could not be read is told in its place, as a gap."""
        self._lost: Counter[str] = Counter()
        self._keep, self._redact = keep, redact
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._rest = b""
        self._within = False
        self._ready: deque[Said] = deque()
        self._kept_at = 0.0
        self._before: Mark | None = None
        self._file = self._begin()
        self.owner = os.fstat(self._file.fileno()).st_uid

    def read(self, _wait_s: float) -> Said | None:
        """The next line that is a record, or a gap; None once it is closed: a log may be silent. Raises AwayError."""
        while not self._ready:
            with self._lock:
                if self._closing.is_set():
                    return None
                self._mark()
                more = self._more()
            if not more:
                self._closing.wait(LOOK_S)
            if self._lost.total() and not self._ready:
                self._ready.append(self._gap())
        return self._ready.popleft()

    def close(self) -> None:
        """End it, and a `read` that waits."""
        self._closing.set()
        with self._lock:
            self._file.close()

    def _begin(self) -> BinaryIO:
        mark = self._marked()
        found = self._find(mark.inode) if mark is not None else None
        file = self._open(found or self.path)
        size = os.fstat(file.fileno()).st_size
        if mark is None:
            begin = max(0, size - FIRST)
            self._within = self._amid(file, begin)
            file.seek(begin)
        elif found is not None and mark.position <= size:
            file.seek(mark.position)
        else:
            self._lost["the file that was read last is gone, or was emptied, while nobody looked"] += 1
        return file

    def _open(self, path: Path) -> BinaryIO:
        try:
            return path.open("rb", buffering=0)
        except OSError as error:
            raise AwayError(f"{path}: {error.strerror}") from error

    @staticmethod
    def _amid(file: BinaryIO, at: int) -> bool:
        """Whether the position is inside a line, the rest of which is none."""
        if at == 0:
            return False
        file.seek(at - 1)
        return file.read(1) != b"\n"

    def _find(self, inode: int) -> Path | None:
        """The log, or a rotated one beside it, that has this inode."""
        folder, name = self.path.parent, self.path.stem
        others = sorted(folder.glob(f"{name}*"), key=lambda each: each.name, reverse=True)[:MAX_OLDER]
        for each in (self.path, *others):
            with suppress(OSError):
                if each.stat().st_ino == inode and each.is_file():
                    return each
        return None

    def _more(self) -> bool:
        """Read on, to the next file where this one has ended; whether there was anything."""
        status = os.fstat(self._file.fileno())
        at = self._file.tell()
        if status.st_size < at:
            self._file.seek(0)  # it was emptied in place: what was written before that and not read is lost
            self._rest, self._within = b"", False
            self._lost["the file was emptied in place"] += 1
        data = self._file.read(CHUNK)
        if data:
            self._lines(data)
            return True
        return self._rotated(status.st_ino)

    def _rotated(self, inode: int) -> bool:
        try:
            now = self.path.stat()
        except FileNotFoundError:
            return False  # between renaming and making anew
        except OSError as error:
            raise AwayError(f"{self.path}: {error.strerror}") from error
        if now.st_ino == inode:
            return False
        after = self._after(inode)
        new = self._open(after)
        self._file.close()
        self._file = new
        self._lost["a line was not ended when the file was rotated"] += bool(self._rest)
        self._rest, self._within = b"", False
        return True

    def _after(self, inode: int) -> Path:
        """The file that was begun next: of several rotations at once none is left out."""
        old = self._find(inode)
        if old is None or old == self.path:
            return self.path
        later = [
            each
            for each in self.path.parent.glob(f"{self.path.stem}-*{self.path.suffix}")
            if each.name > old.name and not each.name.endswith(".gz")
        ]
        return min(later, key=lambda each: each.name, default=self.path)

    def _lines(self, data: bytes) -> None:
        *whole, rest = (self._rest + data).split(b"\n")
        for line in whole:
            if self._within:
                self._within = False  # the end of a line that was too long, or begun before
            elif line.strip():
                self._line(line)
        if len(rest) > audit.MAX_EVENT:
            self._lost[f"a line of more than {audit.MAX_EVENT} bytes"] += not self._within
            self._within, rest = True, b""
        self._rest = rest

    def _line(self, line: bytes) -> None:
        try:
            saying = audit.read(line, self._redact).saying
        except audit.NotAudit as error:
            self._lost[f"a line could not be read: {error}"[:MAX_DETAIL]] += 1
            return
        if saying is None:
            return
        self._ready.append(
            Said(
                source="kubernetes",
                place=str(self.path),
                action=saying.action,
                time=saying.time,
                owner=self.owner,
                exec_id=saying.request["audit_id"],
                command=saying.command,
                detail=saying.detail,
                name=saying.key,
                request=saying.request,
            )
        )

    def _gap(self) -> Said:
        """What was lost since the last one, by the first cause."""
        self._lost += Counter()  # without those that are 0
        count, first = self._lost.total(), next(iter(self._lost), "")
        self._lost.clear()
        why = first if count <= 1 else f"{count} times something was lost, first: {first}"
        now = time.time_ns()
        return Said("kubernetes", str(self.path), GAP, now, self.owner, detail={"why": why[:MAX_DETAIL]})

    def _marked(self) -> Mark | None:
        if self._keep is None:
            return None
        try:
            kept = json.loads(self._keep.read_text())
            return Mark(int(kept["inode"]), int(kept["position"]))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            _log.warning("%s cannot be read, the audit log is read from its end on: %s", self._keep, error)
            return None

    def _mark(self) -> None:
        """Keep how far it was read the time before, by whole lines: what was taken since may not be spooled yet."""
        if self._keep is None or time.monotonic() < self._kept_at + KEEP_S:
            return
        self._kept_at = time.monotonic()
        inode, read = os.fstat(self._file.fileno()).st_ino, self._file.tell() - len(self._rest)
        place, self._before = self._before, Mark(inode, read)
        if place is None:
            return
        new = self._keep.with_suffix(".new")
        try:
            new.write_text(json.dumps({"inode": place.inode, "position": place.position}))
            new.replace(self._keep)
        except OSError as error:
            _log.warning("how far the audit log was read cannot be kept in %s: %s", self._keep, error)
