# SPDX-License-Identifier: Apache-2.0
"""From the kernel to decoded events. `open_probe` gives a Probe; nothing after it knows which loader runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from sensor.probe.contacts import Contact, is_contact
from sensor.probe.contacts import decode as decode_contact
from sensor.probe.decoding import Undecodable, decode
from sensor.probe.flows import Flow, is_flow
from sensor.probe.flows import decode as decode_flow
from sensor.probe.hooks import Best
from sensor.probe.layout import KernelEvent
from sensor.probe.signals import Signal, is_signal
from sensor.probe.signals import decode as decode_signal

if TYPE_CHECKING:
    from sensor.probe.budget import Budgets
    from sensor.probe.contacts import Listeners
    from sensor.probe.ordinary import OrdinaryLane
    from sensor.probe.requests import Requests
    from sensor.probe.ring import Ring

BPF_SOURCES: Final = Path(__file__).resolve().parent.parent.parent / "bpf"
BUILD: Final = BPF_SOURCES.parent / "build"
LOADERS: Final = ("auto", "bcc", "core")
POLL_EVENTS: Final = 1024
"""What one poll hands over at most. Without it, whoever makes events faster than they are read keeps the
agent in one poll for ever: libbpf goes on while there is something in the ring."""


class ProbeError(RuntimeError):
    """The programs could not be loaded or attached; the message says why and what to do."""


class PinsError(ProbeError):
    """Nothing can be pinned where it was asked for: no other loader helps."""


class Probe(Protocol):
    """Loaded and attached programs."""

    loader: str
    reason: str
    """Why this loader."""
    hooks: dict[str, str]
    """What each hook is served by, and why by nothing better."""

    @property
    def ordinary(self) -> OrdinaryLane:
        """What containers do of themselves, in a ring of its own."""

    left_behind: int
    """Events that a sensor of another layout had recorded, and nobody can read any more."""

    @property
    def kept_ring(self) -> Ring | None:
        """The ring, where it outlives the sensor."""

    @property
    def budget(self) -> Budgets:
        """What sessions that flood had left out."""

    @property
    def listeners(self) -> Listeners:
        """Which unix sockets are daemons'."""

    @property
    def requests(self) -> Requests:
        """Who asked a daemon to start which exec."""

    def poll(self, timeout_ms: int) -> int:
        """Hands up to POLL_EVENTS waiting events to the callback; returns how many."""

    def counters(self) -> dict[str, int]:
        """Totals since the load, summed over CPUs, by counters.COUNTERS."""

    def release(self, cookie: int) -> None:
        """Tells the kernel that this crossing is none: its tasks need not be followed."""

    def know_init(self, mnt: int, init_pid: int) -> None:
        """Tells the kernel of a container that it did not see start, or not from the beginning.

        No exec in its mount namespace is a start then, and the exit of its first process is told.
        """

    def forget_mount(self, mnt: int) -> None:
        """Tells the kernel that this mount namespace is no container's."""

    def know_cgroup(self, cgroup: int, mnt: int) -> None:
        """Tells the kernel that a cgroup, by the number of its folder, is that of the container at `mnt`."""

    def forget_cgroup(self, cgroup: int) -> None:
        """Tells the kernel that this cgroup is no container's any more."""

    def know_root(self, device: int, mnt: int) -> None:
        """Tells the kernel which file system holds the root of the container at `mnt`, and nothing else."""

    def forget_root(self, device: int) -> None:
        """Tells the kernel that this file system is no container's any more."""

    def know_sensor(self, pid: int) -> None:
        """Have it told who sends this process a signal that can end it."""

    def mark(self, tid: int, mark: bytes) -> None:
        """Has a thread followed, and what it forks; `layout.mark` makes the mark."""

    def unmark(self, tid: int) -> None:
        """Has a thread not followed any more."""

    def damage(self) -> list[str]:
        """What of its pins, and of its turn to work, is not as it was left; nothing without pins."""

    def mend(self) -> None:
        """Pins again what is missing, and takes the turn again."""

    def is_marked(self, tid: int) -> bool:
        """Whether a thread is followed: a mark that was given up counts for none."""

    def close(self) -> None:
        """Detaches everything."""


Receive = Callable[[bytes], None]
"""Called with each record of the ring, on the polling thread. Must not block: the ring fills meanwhile."""


def receiver(
    on_event: Callable[[KernelEvent], None],
    on_undecodable: Callable[[str], None],
    on_raw: Receive | None = None,
    on_signal: Callable[[Signal], None] = lambda _signal: None,
    on_contact: Callable[[Contact], None] = lambda _contact: None,
    on_flow: Callable[[Flow], None] = lambda _flow: None,
) -> Receive:
    """Decodes a record for the one whose it is; `on_raw`, which records, gets it as it is."""

    def receive(raw: bytes) -> None:
        if on_raw is not None:
            on_raw(raw)
        try:
            if is_signal(raw):
                return on_signal(decode_signal(raw))
            if is_contact(raw):
                return on_contact(decode_contact(raw))
            if is_flow(raw):
                return on_flow(decode_flow(raw))
            event = decode(raw)
        except Undecodable as error:
            return on_undecodable(str(error))
        return on_event(event)

    return receive


def open_probe(loader: str, receive: Receive, best_hook: Best = "auto", pins: Path | None = None) -> Probe:
    """Loads with `loader`, or, for "auto", with core where it loads and else with bcc.

    `best_hook` is one of hooks.CHOICES. With `pins`, a folder in bpffs, core's programs outlive the sensor, and
    what they recorded meanwhile is read first. Raises ProbeError.
    """
    # Loaded late: bcc brings LLVM with it, 100 MB that the core loader must not pay for.
    if loader == "bcc":
        from sensor.probe.bcc import BccProbe  # noqa: PLC0415

        return BccProbe("asked for", receive, best_hook)
    from sensor.probe.core import CoreProbe  # noqa: PLC0415

    if loader == "core":
        return CoreProbe("asked for", receive, best_hook, pins)
    try:
        return CoreProbe("auto: the prebuilt object loads here", receive, best_hook, pins)
    except PinsError:
        raise
    except ProbeError as error:
        from sensor.probe.bcc import BccProbe  # noqa: PLC0415

        return BccProbe(f"auto: core did not load: {error}", receive, best_hook)
