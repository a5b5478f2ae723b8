# SPDX-License-Identifier: Apache-2.0
"""Names, images and labels of containers, asked for in the background: an event never waits on a daemon.

One thread asks, with a bound on everything: a request, the tries for a container, the containers that wait. A
daemon that does not answer in time is left alone for `HANG_S`, so that it does not slow down what others
know. What could not be learned is `unknown` in the end, and counted.

Whose word counts: a daemon that root runs is believed about every container, a user's own daemon only about
containers below that user's own supervisor.
"""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

from sensor.enrich import addresses, bundle, configuration, docker, procfs, sockets
from sensor.enrich.checks import Checks
from sensor.enrich.configuration import NOTHING
from sensor.enrich.containerd import Containerd
from sensor.enrich.containers import uncounted
from sensor.enrich.cri import Cri
from sensor.enrich.daemon import AwayError, HungError, UnexpectedError
from sensor.enrich.docker import Docker
from sensor.enrich.facts import Facts
from sensor.enrich.grpc import RefusedError
from sensor.enrich.known import Known

WAITS_S: Final = (0.05, 0.25, 1.0, 5.0, 20.0, 60.0)
"""Time from one try for a container to the next: a daemon may only just be starting, or be restarted."""
HANG_S: Final = 30.0
MAX_WAITING: Final = 4096
REFRESH_S: Final = 10.0
"""How often manifests are looked at for a change."""
DISCOVERY_S: Final = 1.0
"""Processes are looked through for daemons at most this often."""

_HAS_API: Final = frozenset({"docker", "podman", "unknown"})
_HAS_CRI: Final = frozenset({"cri", "cri-o"})

Done = Callable[[Known], None]
T = TypeVar("T")
Asked = Docker | Cri | Containerd


@dataclass(order=True, slots=True)
class _Job:
    due: float
    order: int
    known: Known = field(compare=False)
    done: list[Done] = field(compare=False)
    tries: int = field(default=0, compare=False)
    fresh: bool = field(default=False, compare=False)
    """What is known is of before: it needs an answer although nothing is pending."""
    anew: bool = field(default=False, compare=False)
    """It was asked for again while a daemon answered: the answer may be of before."""
    asking: bool = field(default=False, compare=False)


class Metadata:
    """Completes what is known of containers. `start` it, hand it containers, `close` it."""

    def __init__(
        self,
        configured: Iterable[str] = (),
        proc: Path = procfs.PROC,
        count: Callable[[str], None] = uncounted,
        waits: tuple[float, ...] = WAITS_S,
        manifests: Iterable[Path] = (),
    ) -> None:
        """`manifests` are folders that say what pods declare, see `manifests`."""
        self._configured = tuple(configured)
        self._proc = proc
        self._count = count
        self._host_net = procfs.namespace(1, "net", proc)
        self._waits = waits
        self._checks = Checks(manifests, count)
        self._condition = threading.Condition()
        self._heap: list[_Job] = []
        self._jobs: dict[int, _Job] = {}
        self._order = itertools.count()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="metadata", daemon=True)
        self._daemons: dict[str, Docker] = {}
        self._cri: dict[str, Cri] = {}
        self._containerd: dict[str, Containerd] = {}
        self._silent_until: dict[str, float] = {}
        self._failing: dict[str, str] = {}
        self._discovered = float("-inf")

    def start(self) -> None:
        """Begin to ask."""
        self._thread.start()

    def close(self) -> None:
        """Stop asking. What waits stays pending; takes at most one request's time."""
        with self._condition:
            self._closing = True
            self._condition.notify()
        if self._thread.is_alive():
            self._thread.join()

    def complete(self, known: Known, on_done: Done) -> None:
        """Learn what can be learned about `known`, then call `on_done` once, in the background thread.

        Nothing in `known.missing` is pending then. Where nothing is pending now, it is called at once, in
        the caller's thread. It must be quick and must not raise: put it on a queue.
        """
        if known.pending and self._enqueue(known, on_done, fresh=False):
            return
        if known.pending:
            self._count("metadata.too_many")
            known.settle()
        on_done(known)

    def again(self, known: Known, on_done: Done) -> None:
        """Ask once more about a container that was changed, and call `on_done` as `complete` does."""
        if not self._enqueue(known, on_done, fresh=True):
            self._count("metadata.too_many")

    def _enqueue(self, known: Known, on_done: Done, *, fresh: bool) -> bool:
        with self._condition:
            job = self._jobs.get(id(known))
            if job is not None:
                job.done.append(on_done)
                job.fresh = job.fresh or fresh
                job.anew = job.anew or (fresh and job.asking)
                return True
            if len(self._jobs) >= MAX_WAITING:
                return False
            job = _Job(time.monotonic(), next(self._order), known, [on_done], fresh=fresh)
            self._jobs[id(known)] = job
            heapq.heappush(self._heap, job)
            self._condition.notify()
            return True

    def failing(self) -> list[str]:
        """What is wrong with daemons that were asked and did not answer: the sensor is degraded by it."""
        return sorted((*self._failing.copy().values(), *self._checks.failing.copy().values()))

    @property
    def waiting(self) -> int:
        """Number of containers that are not complete yet."""
        return len(self._jobs)

    def _run(self) -> None:
        self._checks.refresh()
        refreshed = time.monotonic()
        while True:
            with self._condition:
                if not self._closing and not self._due():
                    self._condition.wait(min(self._next() - time.monotonic(), REFRESH_S))
                if self._closing:
                    return
                job = heapq.heappop(self._heap) if self._due() else None
            if time.monotonic() - refreshed >= REFRESH_S:
                refreshed = time.monotonic()
                self._checks.refresh()
            if job:
                self._try(job)

    def _next(self) -> float:
        return self._heap[0].due if self._heap else float("inf")

    def _due(self) -> bool:
        return self._next() <= time.monotonic()

    def _try(self, job: _Job) -> None:
        known = job.known
        with self._condition:
            job.asking, job.anew = True, False
        answered = self._ask(known)
        job.tries += 1
        if (
            (known.pending or job.fresh)
            and not answered
            and job.tries <= len(self._waits)
            and self._worth_waiting(job)
        ):
            self._later(job, self._waits[job.tries - 1])
            return
        if known.pending:
            self._count("metadata.incomplete")
            known.settle()
        self._locate(known)
        with self._condition:
            if not job.anew:
                del self._jobs[id(known)]
        if job.anew:
            self._later(job, 0.0)
            return
        for done in job.done:
            done(known)

    def _locate(self, known: Known) -> None:
        """Its addresses, unless it has the network of the host, or of what stands around it."""
        net = known.namespaces.get("net")
        if net is None or "net" in known.lent or net == self._host_net:
            return
        found = addresses.of_process(known.init_pid, self._proc)
        # Read by a pid, which may have come back as another's.
        if found is not None and procfs.namespace(known.init_pid, "net", self._proc) == net:
            known.reached_at(found)

    def _later(self, job: _Job, wait_s: float) -> None:
        with self._condition:
            job.asking, job.due = False, time.monotonic() + wait_s
            heapq.heappush(self._heap, job)

    def _worth_waiting(self, job: _Job) -> bool:
        """A container that has ended may be removed at any time: it gets half of the tries."""
        start = procfs.stat_start(job.known.init_pid, self._proc)
        alive = start is not None and procfs.same_start(start, job.known.init_start)
        return alive or job.tries <= len(self._waits) // 2

    def _ask(self, known: Known) -> bool:
        """Learn what can be learned now; whether nobody is left to be asked later."""
        self._discover()
        if known.runtime in _HAS_API and self._ask_docker(known):
            return True
        found = bundle.read(known.id, known.supervisor, self._proc)
        if found is not None:
            self._learn(known, self._checks.of_pod(known, found) if known.runtime in _HAS_CRI else found)
        if known.runtime in _HAS_CRI and self._cri:
            return self._ask_cri(known)
        if known.runtime == "containerd":
            self._ask_containerd(known)
        return found is not None and known.runtime not in _HAS_API

    def _ask_docker(self, known: Known) -> bool:
        """Ask each daemon until one knows the container; whether one did."""
        for daemon in self._daemons.values():
            record = self._answer(daemon, partial(daemon.inspect, known.id))
            if record is not None and self._believed(daemon, known):
                podman = known.runtime == "podman" or "podman" in daemon.path
                found = docker.describe(record, podman=podman)
                enforced = bundle.read(known.id, known.supervisor, self._proc)
                if enforced is not None and enforced.settings and found.settings:
                    found = replace(found, settings=configuration.of_both(enforced.settings, found.settings))
                if known.runtime == "unknown":
                    found = found.over(Facts(runtime="podman" if podman else "docker"))
                self._learn(known, found)
                return True
        return False

    def _learn(self, known: Known, found: Facts) -> None:
        """Whoever finds its checks finds whether they are others than before."""
        self._checks.compare(known, found)
        known.learn(found)

    def _ask_cri(self, known: Known) -> bool:
        """Ask each daemon until one knows the container, for its labels; whether one did."""
        for daemon in self._cri.values():
            found = self._answer(daemon, partial(daemon.facts, known.id))
            if found is not None and self._believed(daemon, known):
                self._learn_more(known, found)
                return True
        return False

    def _ask_containerd(self, known: Known) -> None:
        """Of one that `ctr` or nerdctl made, what its containerd keeps beside the bundle, where it answers."""
        shim = known.supervisor
        if shim is None or shim.address is None or shim.namespace is None or shim.uid != 0:
            return
        daemon = self._containerd.setdefault(shim.address, Containerd(shim.address))
        found = self._answer(daemon, partial(daemon.facts, known.id, shim.namespace))
        if found is not None and daemon.owner == 0:
            self._learn_more(known, found)

    @staticmethod
    def _learn_more(known: Known, found: Facts) -> None:
        """What a daemon knows beside a bundle that was learned already."""
        if found.settings is not None:
            found = replace(found, settings=configuration.over(known.settings or NOTHING, found.settings))
        known.learn(found)

    def _answer(self, daemon: Asked, ask: Callable[[], T | None]) -> T | None:
        """What a daemon says; None where it says nothing, or not in time."""
        if self._silent_until.get(daemon.path, 0.0) > time.monotonic():
            return None
        try:
            answer = ask()
        except AwayError as error:
            self._failed(daemon, error, hung=isinstance(error, HungError))
            return None
        except RefusedError:
            # A containerd without the CRI plugin, as docker runs it: nothing is wrong with that.
            return None
        except UnexpectedError as error:
            self._failed(daemon, error, hung=True)
            return None
        self._failing.pop(daemon.path, None)
        return answer

    def _discover(self) -> None:
        now = time.monotonic()
        if now - self._discovered < DISCOVERY_S:
            return
        self._discovered = now
        paths = sockets.discover(self._configured, self._proc)
        self._daemons = {path: self._daemons.get(path) or Docker(path) for path in paths}
        self._cri = {path: self._cri.get(path) or Cri(path) for path in sockets.discover_cri(self._proc)}
        for gone in self._failing.keys() - self._daemons.keys() - self._cri.keys():
            self._failing.pop(gone, None)
            self._silent_until.pop(gone, None)

    def _failed(self, daemon: Asked, error: Exception, *, hung: bool) -> None:
        """Count it; one that costs time when it is asked is not asked again for a while."""
        self._count("metadata.daemon_hung" if hung else "metadata.daemon_away")
        self._failing[daemon.path] = str(error)
        if hung:
            self._silent_until[daemon.path] = time.monotonic() + HANG_S

    def _believed(self, daemon: Asked, known: Known) -> bool:
        users_own = known.supervisor is not None and known.supervisor.uid == daemon.owner
        if daemon.owner == 0 or users_own:
            return True
        self._count("metadata.daemon_distrusted")
        return False
