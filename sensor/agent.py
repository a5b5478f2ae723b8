# SPDX-License-Identifier: Apache-2.0
"""The sensor's run loop: programs, watch, spool and shipper put together, from start to a clean stop."""

from __future__ import annotations

import logging
import os
import signal
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Final

from sensor import heap
from sensor.clock import wall_clock
from sensor.config import Config
from sensor.enrich import procfs
from sensor.enrich.accounts import Accounts
from sensor.enrich.containers import Containers
from sensor.enrich.digests import Digests
from sensor.enrich.metadata import Metadata
from sensor.enrich.processes import Snapshot
from sensor.entry.activity import LOST, Activities
from sensor.entry.configured import CHANGING, Configured
from sensor.entry.contacts import Contacts
from sensor.entry.doors import Doors
from sensor.entry.left_out import LEFT_OUT
from sensor.entry.lineage import Lineage
from sensor.entry.network import Network
from sensor.entry.programs import Programs
from sensor.entry.report import Reporter
from sensor.entry.served import Daemons
from sensor.entry.users import Users
from sensor.fault import ExitCode, Fault
from sensor.files.watch import Files
from sensor.guard import Guard
from sensor.health import Health
from sensor.identity import Identity, describe_host
from sensor.life import Life
from sensor.outbox import Outbox
from sensor.probe import Probe, ProbeError, open_probe, pins, receiver
from sensor.probe.layout import KernelEvent
from sensor.probe.recording import Head, Recorder
from sensor.recall import Recalled
from sensor.records.kubernetes import AuditLog
from sensor.records.said import GAP, UP, Said, record
from sensor.records.sources import Sources
from sensor.talk import Talk
from sensor.watch import Watch
from sensor.who.asking import Asking
from sensor.wire import Event, Loss
from sensor.wire.redact import Redactor

_log: Final = logging.getLogger(__name__)
MAX_RECORDS: Final = 20
"""Records that are passed on in one turn: the kernel's ring waits meanwhile, and anybody's daemon may talk."""
ALL_RECORDS: Final = 1000
"""The same at the end, when no turn comes after."""
_POLL_MS: Final = 100
_COUNTERS_S: Final = 1.0
_LOOK_S: Final = 5.0
_COLLECTION_S: Final = 60.0
_CATCH_UP_MS: Final = 10
_CATCH_UP_TRIES: Final = 100


class Agent:
    """Everything between the kernel and the outbox."""

    def __init__(
        self,
        config: Config,
        health: Health,
        next_id: Callable[[], str],
        emit: Callable[[Event], None],
        keep: Path | None = None,
        since: Callable[[str], int | None] = lambda _place: None,
    ) -> None:
        self._health = health
        self._pins = config.pins
        self._hook = config.hook
        self._pins_asked = config.pins_asked
        self._next_id = next_id
        self._emit = emit
        redactor = Redactor(config.redact.patterns)
        accounts = Accounts()
        count = health.counters.add
        containers = Containers(count=count)
        self.metadata = Metadata(
            [str(path) for path in config.docker.sockets], count=count, manifests=config.probes.manifests
        )
        # pid 1's namespaces may be unreadable even to root; the sensor's own are the host's.
        host = procfs.namespaces(os.getpid())
        if host is None or "mnt" not in host:
            raise Fault(
                "the sensor's own namespaces cannot be read",
                exit_code=ExitCode.FAILURE,
                fix="mount -t proc proc /proc",
            )
        self.recorder = Recorder(keep, Head(host, wall_clock(0))) if keep else None
        doors = Doors(containers, host)
        lineage = Lineage(redactor.argv, doors.side, Snapshot.take(redactor.argv))
        self._asking = asking = Asking.on_this_host(lineage, doors, accounts.name, wall_clock)
        reporter = Reporter(
            next_id,
            containers.by_id,
            lineage,
            redactor.argv,
            Users(accounts.name, doors.side),
            wall_clock,
            asking,
        )
        learned = self.recorder.container if self.recorder else None
        self.watch = Watch(containers, self.metadata, reporter, doors, emit, count, learned)
        self.watch.descriptions.configured = Configured(next_id, emit, redactor.argv, host, asking)
        self.talk = Talk(
            self.watch,
            Contacts(Daemons(map(str, config.docker.sockets)), count, asking.contacted),
            Network(containers.at_mount, lineage, next_id, wall_clock),
            reporter,
            doors,
        )
        self.digests = Digests(count)
        self.activities = Activities(
            containers.at_mount, next_id, emit, redactor.argv, wall_clock, count, Programs(self.digests)
        )
        self.life = Life(next_id, emit, lineage, accounts.name, wall_clock, count)
        self.guard = Guard(self.life, health.degraded, config.heartbeat.interval_s)
        self._recall = self.watch.recall(health.host["boot"])
        self._containers = containers
        self._redact = redactor.argv
        log, keep = config.records.kubernetes_audit, config.state_dir / "audit-log.json"
        audit = AuditLog(str(log), keep, redactor.argv) if log else None
        self.sources = Sources(map(str, config.docker.sockets), count=count, since=since, audit=audit)
        health.degraded.register(self.sources.troubles)
        kept = config.state_dir / "files.json"
        self.files = Files(config.files.paths, kept, redactor.text, next_id, emit, asking.writer, count)
        health.degraded.register(self.files.troubles)
        health.gauges.register("records.sources", self.sources.reading)
        self._reported: dict[str, int] = {}
        self._probe: Probe | None = None
        self._next_collection = 0.0
        self._next_count = 0.0
        self._next_look = 0.0
        self._heard: list[Said] = []
        health.degraded.register(self.metadata.failing)
        health.gauges.register("sessions.open", lambda: float(self.watch.open_sessions))
        health.gauges.register("containers.known", lambda: float(len(containers)))

    def open(
        self, loader: str, kept: Mapping[str, bytes] | None = None, flush: Callable[[], None] = lambda: None
    ) -> Probe:
        """Load the programs, go on from what the sensor before `kept`, and learn what runs already.

        `flush` brings what was emitted to the disk. Raises Fault.
        """
        probe = self._load(loader)
        recalled = self._recall.take_over(kept or {}, probe.kept_ring)
        self.life.before = self._recall.before
        self.life.gap(recorded=recalled is not None)
        if recalled is not None:
            self._catch_up(probe, recalled, flush)
        found = self.watch.sweep(probe)
        _log.info("watching with %s (%s); %d containers run already", probe.loader, probe.reason, found)
        _log.info("setns is seen by %s", probe.hooks["setns"])
        return probe

    def _load(self, loader: str) -> Probe:
        """The programs, loaded, pinned where that can be. Raises Fault."""
        folder = self._pins
        why_not = pins.why_not(folder) if folder and not self._pins_asked else None
        if why_not:
            folder = None
        try:
            raw = self.recorder.event if self.recorder else None
            receive = receiver(
                self._feed,
                self._undecodable,
                raw,
                self.life.signalled,
                self.talk.contacted,
                self.talk.flowed,
            )
            probe = open_probe(loader, receive, self._hook, folder)
        except ProbeError as error:
            raise _fault(error) from error
        said = str(folder)
        if probe.kept_ring is None:
            reason = why_not or ("'pins' is off" if folder is None else f"loader {probe.loader} cannot pin")
            said = f"nothing: {reason}"
        if why_not and probe.loader == "core":
            self._health.degraded.say(
                "pins", f"what happens while no sensor runs is missed: nothing is pinned, for {why_not}"
            )
        self._probe = self.watch.probe = self.life.probe = probe
        self._asking.requests = probe.requests
        probe.know_sensor(os.getpid())
        if probe.left_behind:
            self._tell_loss("pins.other_layout", probe.left_behind)
        self.files.serve(probe.hooks, self.watch.feed)
        self._health.watching(probe.loader, probe.reason, probe.hooks, said)
        return probe

    def _feed(self, event: KernelEvent) -> None:
        if not self.guard.canary.heard(event):
            self.watch.feed(event)

    def close(self) -> None:
        """Detach the programs; what is pinned goes on."""
        if self._probe:
            self._probe.close()

    def reload(self, loader: str, flush: Callable[[], None]) -> Probe:
        """Put new programs in the place of those that do not work. Raises Fault."""
        flush()
        self.close()
        probe = self._load(loader)
        if probe.kept_ring is None:
            self._reported = {}
        self.watch.sweep(probe)
        return probe

    def _catch_up(self, probe: Probe, recalled: Recalled, flush: Callable[[], None]) -> None:
        """Read what happened while no sensor did, with what was known then: only then is it looked around."""
        self._reported = recalled.told
        self.activities.go_on(recalled.told)
        self.watch.go_on(recalled)
        ring = probe.kept_ring
        if ring is None:
            return
        # Were events lost meanwhile, a stop may be among them, and another container may have the number.
        self._containers.believes = not self._lost(probe)
        end, tries = ring.produced, _CATCH_UP_TRIES
        while ring.position < end and tries:
            # None read: a record is being written at this moment.
            tries -= not probe.poll(_CATCH_UP_MS)
            self.watch.settle()
            flush()
        self._containers.believes = False

    def _lost(self, probe: Probe) -> bool:
        return any(
            ".lost." in name and name != LOST and total > self._reported.get(name, 0)
            for name, total in probe.counters().items()
        )

    def changes(self, *, events: bool, everything: bool) -> Mapping[str, bytes | None]:
        """What is to be kept now: see Recall."""
        ring = self._probe.kept_ring if self._probe else None
        told = {**self._reported, **self.activities.told()}
        return self._recall.changes(ring, told, events=events, everything=everything)

    def _undecodable(self, why: str) -> None:
        self._health.counters.add("probe.undecodable")
        self._health.degraded.say(
            "probe", f"the kernel's events cannot be read: {why}; make -C bpf clean all"
        )

    def turn(self, probe: Probe) -> None:
        """One round: events of the kernel, answers of the metadata worker, now and then the counters."""
        probe.poll(_POLL_MS)
        self.activities.take(probe.ordinary)
        self.watch.settle()
        self.records()
        self.files.turn()
        if time.monotonic() >= self._next_count:
            self._next_count = time.monotonic() + _COUNTERS_S
            self.count(probe)
        if time.monotonic() >= self._next_look:
            self._next_look = time.monotonic() + _LOOK_S
            self.watch.reconcile()
        if time.monotonic() >= self._next_collection:
            self._next_collection = time.monotonic() + _COLLECTION_S
            self.activities.collect(probe.ordinary)
            heap.give_back()

    def count(self, probe: Probe) -> None:
        """Take over the kernel's counters, and tell of each new loss as an event too."""
        for name, total in probe.counters().items():
            self._health.counters.set_total(name, total)
            lost = total - self._reported.get(name, 0)
            if ".lost." in name and lost > 0:
                self._reported[name] = total
                if name == LOST:
                    self.activities.lost(probe.ordinary)
                    self._health.degraded.say(
                        name, f"{total} first execs or connects of containers were lost"
                    )
                    continue
                if name == LEFT_OUT:
                    self.watch.left_out.tell(probe.budget.left_out(), lost)
                    self._health.degraded.say(name, f"{total} commands of sessions that flood were left out")
                    continue
                self._health.degraded.say(name, f"{total} events of the kernel were lost ({name})")
                # What the lost events would have told of containers stands in /proc.
                self.watch.sweep(probe)
                self._tell_loss(name, lost)

    def records(self, limit: int = MAX_RECORDS) -> None:
        """Pass on what the runtimes said, `limit` of it at most, and what of it was lost."""
        # Of what a turn ago was said: by now the kernel has told of whoever connected to the daemon for it.
        heard, self._heard = self._heard, []
        for said in heard:
            self._configured(said)
        for said in self.sources.take(limit):
            self._emit(record(said, self._next_id(), self._redact))
            self._heard.append(said)
        lost = self.sources.lost()
        if lost:
            self._health.degraded.say("records", f"{lost} records of runtimes were lost: they came too fast")
            self._tell_loss("records.queue", lost)

    def _configured(self, said: Said) -> None:
        """Whether something may be configured otherwise by now, and who asked for that."""
        if said.action in {UP, GAP}:
            self.watch.descriptions.may_have_changed()
        if said.container is None:
            return
        if self.watch.descriptions.configured:
            self.watch.descriptions.configured.said(said.container, said.action, said.place, said.time)
        if said.action in CHANGING:
            self.watch.descriptions.changed(said.container)

    def _tell_loss(self, cause: str, count: int) -> None:
        self._emit(
            Loss(
                id=self._next_id(),
                time=time.time_ns(),
                mono=_boot_ns(),
                kind="loss",
                cause=cause,
                count=count,
            )
        )


def _fault(error: ProbeError) -> Fault:
    return Fault(str(error), exit_code=ExitCode.FAILURE, fix="nsentry-sensor doctor names what is missing")


def _boot_ns() -> int:
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def run(config: Config, identity: Identity, loader: str, record: Path | None = None) -> int:
    """Watch until SIGINT or SIGTERM. Returns the exit code; raises Fault when it cannot begin or go on."""
    heap.share()
    stopping: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda received, _frame: stopping.append(received))
    with ExitStack() as stack:
        outbox = stack.enter_context(Outbox(config, identity))
        agent = Agent(config, outbox.health, outbox.next_id, outbox.put, record, outbox.mark)
        if agent.recorder:
            stack.callback(agent.recorder.close)
        kept = outbox.kept()
        outbox.keep(agent.changes)
        probe = agent.open(loader, kept, outbox.flush)
        stack.callback(agent.close)
        agent.metadata.start()
        stack.callback(agent.metadata.close)
        agent.digests.start()
        stack.callback(agent.digests.close)
        agent.sources.start()
        stack.callback(agent.sources.close)
        agent.files.open()
        stack.callback(agent.files.close)
        agent.life.note("started", probe.reason)
        outbox.flush()
        outbox.start()
        heap.settle()
        _log.info("ready")
        while not stopping:
            try:
                agent.turn(probe)
                if agent.guard.turn(probe):
                    probe = agent.reload(loader, outbox.flush)
            except ProbeError as error:
                raise _fault(error) from error
            finally:
                outbox.flush()
        # Who sent the signal is in the ring by now.
        agent.turn(probe)
        agent.count(probe)
        agent.records(ALL_RECORDS)
        agent.life.note("stopped", signal.Signals(stopping[0]).name)
        outbox.flush()
    return ExitCode.OK


def dry_run(config: Config, loader: str) -> int:
    """Load and attach the programs, say which, and detach them. Raises Fault."""
    health = Health(describe_host("", ""))
    # A trial takes over nothing from a sensor that runs, and leaves nothing behind.
    config = replace(config, pins=None)
    probe = Agent(config, health, lambda: "", lambda _event: None).open(loader)
    probe.close()
    return ExitCode.OK
