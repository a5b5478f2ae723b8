# SPDX-License-Identifier: Apache-2.0
"""The host's record sources: daemons found as they come and go, each read in a thread of its own.

Nothing here waits for the pipeline: what is read goes to a bounded queue, from which `take` hands it out; what
finds no room is counted, and told as a loss. A daemon that goes away is said to have, and asked again, less
and less often.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final, Protocol

from sensor.backoff import Backoff
from sensor.enrich import procfs, sockets
from sensor.enrich.daemon import AwayError, HungError, UnexpectedError
from sensor.enrich.grpc import RefusedError
from sensor.records import containerd, docker
from sensor.records.kubernetes import AuditLog
from sensor.records.said import AWAY, GAP, UP, Said
from sensor.wire import RecordSource

_log: Final = logging.getLogger(__name__)

LOOK_S: Final = 5.0
"""How often daemons are looked for. Seconds."""
IDLE_S: Final = 300.0
"""A stream that is silent for so long is opened anew: a daemon that hangs says nothing either."""
MAX_WAITING: Final = 8192
MAX_REMEMBERED: Final = 1024
"""Keys of a source that are remembered, so that what it repeats after a gap is not sent again."""
RETRY_S: Final = (0.2, 30.0)
FORGET_S: Final = 600.0
"""A daemon that nobody configured, and whose socket has been gone for so long, is waited for no more. Seconds."""
OVERLAP_NS: Final = 60 * 10**9
"""What is asked for once more when a stream is opened anew: a daemon, or what is between, may tell out of order."""


class Stream(Protocol):
    """What a daemon says, as it comes."""

    owner: int
    skipped: int
    """Events that could not be read, since this was last set to 0."""

    @property
    def source(self) -> RecordSource:
        """Which kind of daemon it is."""

    def read(self, wait_s: float) -> Said | None:
        """The next one; None at the end. Raises AwayError or UnexpectedError."""

    def close(self) -> None:
        """End it."""


Open = Callable[[str, int | None], Stream]


def _open_docker(path: str, since: int | None) -> Stream:
    return docker.EventStream(path, since)


def _open_containerd(path: str, _since: int | None) -> Stream:
    return containerd.EventStream(path)


class Reader:
    """One daemon, by its socket."""

    def __init__(
        self,
        path: str,
        open_: Open,
        since: int | None,
        put: Callable[[Said], None],
        count: Callable[[str], None],
        *,
        configured: bool = False,
    ) -> None:
        """One that was `configured` is waited for however long its socket is gone."""
        self.path = path
        self._configured = configured
        self.trouble: str | None = None
        """Why it is not read now, once it was."""
        self.why: str | None = None
        """Why it never was read so far."""
        self.refused = False
        """It has no such service, and is not asked again while the sensor runs."""
        self._open = open_
        self.since = since
        """How far it was read, ns by its clock."""
        self._put = put
        self._count = count
        self._seen: OrderedDict[str, None] = OrderedDict()
        self._source: RecordSource | None = None
        self._stream: Stream | None = None
        self._missing: float | None = None
        """Since when its socket is not there, by the monotonic clock."""
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"records {path}", daemon=True)

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def alive(self) -> bool:
        """Whether it is read, or will be."""
        return self._thread.is_alive()

    def stop(self) -> None:
        """End; `join` waits until it has."""
        self._stopping.set()
        if self._stream is not None:
            self._stream.close()

    def join(self) -> None:
        """Wait for its end."""
        if self._thread.ident is not None:
            self._thread.join(2.0)

    def _run(self) -> None:
        backoff = Backoff(*RETRY_S)
        while not self._stopping.is_set():
            reason = "it ended the stream"
            try:
                self._follow(backoff)
            except RefusedError as error:
                self._count("records.refused")
                reason = str(error)
                if not self._seen:
                    self._gone(reason)  # it had been taken to be up
                    self.trouble = None
                    self.refused = True
                    return  # it has no such service
            except (AwayError, UnexpectedError) as error:
                if isinstance(error, HungError) and self.trouble is None and self._source:
                    continue  # silent for long: opened anew, from where it was
                reason = str(error)
            if self._stopping.is_set():
                return
            self._gone(reason)
            if self._over():
                self.trouble = None
                self._seen.clear()
                return
            self._stopping.wait(backoff.failed())

    def _over(self) -> bool:
        """Whether nobody will speak here again. If somebody does, he is found as one that has just come."""
        if Path(self.path).exists():
            self._missing = None
            return False
        # A daemon in a mount namespace of its own comes back under another path.
        if not self._source or self.path.startswith("/proc/"):
            return True
        now = time.monotonic()
        self._missing = self._missing or now
        over = not self._configured and now - self._missing >= FORGET_S
        if over:
            self._count("records.source_forgotten")
        return over

    def _follow(self, backoff: Backoff) -> None:
        """Read until the stream ends, or raises."""
        since = self.since
        # Daemons answer before they listen to themselves: what happens in between is asked for too.
        begin = since - OVERLAP_NS if since is not None else time.time_ns() - 10**9
        stream = self._stream = self._open(self.path, begin)
        if self._stopping.is_set():
            stream.close()
            return
        try:
            self._opened(stream, since)
            fresh = 0
            # Until something comes that was heard before, or is of now, there may have been more in between.
            past = stream.source == "docker" and since is not None
            while (said := stream.read(IDLE_S)) is not None:
                backoff.succeeded()
                fresh += 1
                self._tell_skipped(stream)
                past = past and since is not None and since < said.time < said.read - 10**9
                self._take(said)
                if past and fresh == docker.KEPT_BY_DOCKER:
                    self._say(GAP, f"it remembers the last {docker.KEPT_BY_DOCKER} events only")
        finally:
            stream.close()
            self._tell_skipped(stream)

    def _tell_skipped(self, stream: Stream) -> None:
        if stream.skipped:
            self._count("records.skipped")
            self._say(GAP, f"{stream.skipped} events could not be read")
            stream.skipped = 0

    def _opened(self, stream: Stream, since: int | None) -> None:
        """Tell that it is read, unless it was only opened anew."""
        if self._source is not None and self.trouble is None:
            return
        known, self._source = self._source, stream.source
        self.trouble = self.why = None
        self._owner = stream.owner
        self._say(UP, "" if since is None else str(since))
        if stream.source == "containerd" and (known is not None or since is not None):
            self._say(GAP, "it keeps nothing of the past")

    def _take(self, said: Said) -> None:
        self.since = max(self.since or 0, said.time)
        if said.key in self._seen:
            self._count("records.repeated")
            return
        self._seen[said.key] = None
        if len(self._seen) > MAX_REMEMBERED:
            self._seen.popitem(last=False)
        self._count(f"records.{said.source}")
        self._put(said)

    def _gone(self, reason: str) -> None:
        self._count("records.source_away")
        if self._source is None or self.trouble is not None:
            self.why = reason if self._source is None else None
            return  # never was there, or told already
        self.trouble = f"{self._source}'s events at {self.path} are not read: {reason}"
        _log.warning("%s", self.trouble)
        self._say(AWAY, reason)

    def _say(self, action: str, why: str) -> None:
        if self._source is not None:
            detail = {"why": why} if why else {}
            self._put(Said(self._source, self.path, action, time.time_ns(), self._owner, detail=detail))

    _owner = 0


class Sources:
    """All of a host. `start` it, `take` what was said, `close` it."""

    def __init__(
        self,
        configured: Iterable[str] = (),
        proc: Path = procfs.PROC,
        count: Callable[[str], None] = lambda _name: None,
        since: Callable[[str], int | None] = lambda _place: None,
        audit: AuditLog | None = None,
    ) -> None:
        """`since` tells how far a place was read by the sensor before, ns by its clock; `audit`: a log to follow."""
        self._audit = audit
        self._configured = tuple(configured)
        self._proc = proc
        self._count = count
        self._since = since
        self._queue: queue.Queue[Said] = queue.Queue(MAX_WAITING)
        self._lost = 0
        self._lock = threading.Lock()
        self._readers: dict[str, Reader] = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="records", daemon=True)

    def start(self) -> None:
        """Begin to look for daemons, and to read them."""
        self._thread.start()

    def close(self) -> None:
        """End all streams."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join()
        readers = list(self._readers.values())
        for reader in readers:
            reader.stop()
        for reader in readers:
            reader.join()

    def take(self, limit: int = 1000) -> list[Said]:
        """What was said since the last call, in the order of reading. Never waits."""
        taken: list[Said] = []
        while len(taken) < limit:
            try:
                taken.append(self._queue.get_nowait())
            except queue.Empty:
                break
        return taken

    def lost(self) -> int:
        """How many found no room since the last call."""
        with self._lock:
            lost, self._lost = self._lost, 0
        return lost

    def troubles(self) -> list[str]:
        """Which sources are not read now, one sentence each."""
        found = [reader.trouble for reader in list(self._readers.values()) if reader.trouble]
        never = self._readers.get(self._audit.path) if self._audit else None
        return [*found, f"the audit log is not read: {never.why}"] if never and never.why else found

    def reading(self) -> float:
        """How many sources are read or asked for."""
        return float(sum(reader.alive() for reader in list(self._readers.values())))

    def _put(self, said: Said) -> None:
        try:
            self._queue.put_nowait(said)
        except queue.Full:
            self._count("records.lost.queue")
            with self._lock:
                self._lost += 1

    def _run(self) -> None:
        while not self._stopping.is_set():
            found: dict[str, Open] = dict.fromkeys(
                sockets.discover(self._configured, self._proc), _open_docker
            )
            found |= dict.fromkeys(sockets.discover_cri(self._proc), _open_containerd)
            if self._audit is not None:
                found[self._audit.path] = self._audit.open
            for path, open_ in found.items():
                reader = self._readers.get(path)
                if reader is None or not (reader.alive() or reader.refused):
                    since = self._since(path) if reader is None else reader.since
                    configured = path in self._configured or bool(self._audit and path == self._audit.path)
                    self._readers[path] = reader = Reader(
                        path, open_, since, self._put, self._count, configured=configured
                    )
                    reader.start()
            self._stopping.wait(LOOK_S)
