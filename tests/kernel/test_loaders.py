# SPDX-License-Identifier: Apache-2.0
"""Both loaders see the same of the same real crossing."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sensor.probe import BPF_SOURCES, POLL_EVENTS, Probe, ProbeError, open_probe, receiver
from sensor.probe.layout import Exec, Exit, Fork, KernelEvent, Setns

pytestmark = pytest.mark.kernel


@pytest.fixture(scope="module", autouse=True)
def built() -> None:
    subprocess.run(["make", "-C", str(BPF_SOURCES)], check=True, capture_output=True)


@pytest.fixture
def room() -> Iterator[int]:
    """A process in namespaces of its own, as a container's init is."""
    outer = subprocess.Popen(
        ["unshare", "--mount", "--pid", "--uts", "--ipc", "--net", "--fork", "--mount-proc", "sleep", "900"]
    )
    children = Path(f"/proc/{outer.pid}/task/{outer.pid}/children")
    deadline = time.monotonic() + 10
    while not (text := children.read_text().split()) and time.monotonic() < deadline:
        time.sleep(0.02)
    yield int(text[0])
    outer.kill()
    outer.wait()


def visited(loader: str, *commands: list[str]) -> tuple[list[KernelEvent], Probe]:
    """What `loader` saw while `commands` ran."""
    events: list[KernelEvent] = []
    probe = open_probe(loader, receiver(events.append, pytest.fail))
    try:
        pids = set()
        for command in commands:
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            process.wait()
            pids.add(process.pid)
        for _ in range(5):
            probe.poll(50)
        # Other programs on this machine cross too: keep what began with ours.
        cookies = {event.head.cookie for event in events if event.head.pid in pids}
        ours = [event for event in events if event.head.cookie in cookies and event.head.cookie]
    finally:
        probe.close()
    return ours, probe


@pytest.mark.parametrize("loader", ["core", "bcc"])
def test_one_visit_is_one_crossing_with_its_commands_in_order(loader: str, room: int) -> None:
    enter = [
        "nsenter",
        "-t",
        str(room),
        "-m",
        "-p",
        "sh",
        "-c",
        "cd /etc; /bin/true; exec /bin/echo 'a b' \x1b[31m",
    ]
    events, probe = visited(loader, enter)
    assert probe.loader == loader
    assert [type(event) for event in events if not isinstance(event, Fork)] == [
        Setns,
        Exec,
        Exec,
        Exit,
        Exec,
        Exit,
        Exit,
    ]
    assert len({event.head.cookie for event in events}) == 1
    shell, true, echo = (event for event in events if isinstance(event, Exec))
    assert shell.joined.joined_since(shell.home) == ["mnt", "pid"]
    assert shell.task.ns.mnt == (Path(f"/proc/{room}/ns/mnt").stat().st_ino)
    assert shell.filename is not None
    assert shell.filename.endswith("/sh")
    assert true.cwd == echo.cwd == "/etc"
    assert echo.argv == ["/bin/echo", "a b", "\x1b[31m"]
    assert echo.exe is not None
    assert echo.exe.endswith("/echo")
    assert shell.ancestry[0].comm == "nsenter"
    assert shell.ancestry[-1].pid == 1


@pytest.mark.parametrize("loader", ["core", "bcc"])
def test_a_long_command_line_is_cut_and_its_length_is_known(loader: str, room: int) -> None:
    events, _ = visited(loader, ["nsenter", "-t", str(room), "-m", "/bin/true", "x" * 100_000, "\xff\xfe"])
    (execution,) = (event for event in events if isinstance(event, Exec))
    assert execution.argv_cut
    assert execution.argv is not None
    assert sum(map(len, execution.argv)) <= 4096


@pytest.mark.parametrize("loader", ["core", "bcc"])
def test_a_host_that_nobody_enters_from_says_nothing(loader: str) -> None:
    events, _ = visited(loader, *[["/bin/true"]] * 50, ["sh", "-c", "/bin/true & wait"])
    assert events == []


@pytest.mark.parametrize("loader", ["core", "bcc"])
def test_what_goes_wrong_with_an_event_is_raised_by_poll_and_not_swallowed(loader: str, room: int) -> None:
    def fail(_event: KernelEvent) -> None:
        raise LookupError(loader)

    probe = open_probe(loader, receiver(fail, pytest.fail))
    try:
        subprocess.run(["nsenter", "-t", str(room), "-m", "/bin/true"], check=True)
        with pytest.raises(LookupError):  # noqa: PT012 - the ring may need more than one look
            for _ in range(20):
                probe.poll(50)
    finally:
        probe.close()


@pytest.mark.parametrize("loader", ["core", "bcc"])
def test_one_poll_ends_however_much_there_is_to_read(loader: str, room: int) -> None:
    """Else a fork bomb in a session would keep the agent from its spool, its counters and its signals."""
    events: list[KernelEvent] = []
    probe = open_probe(loader, receiver(events.append, pytest.fail))
    try:
        # By several visits: one that forks much has but a part of the ring, and the rest of it is not told.
        many = "i=0; while [ $i -lt 200 ]; do (:); i=$((i+1)); done"
        for _ in range(5):
            subprocess.run(["nsenter", "-t", str(room), "-m", "sh", "-c", many], check=True)
        first = probe.poll(50)
        assert first == POLL_EVENTS  # some of others on this machine, which are none for this receiver
        assert len(events) <= first
        while probe.poll(50):
            pass
        assert sum(isinstance(event, Fork) for event in events) >= 1000
    finally:
        probe.close()


def test_an_object_of_another_version_is_refused_and_not_read_as_nonsense(
    monkeypatch: pytest.MonkeyPatch, tracefs: None
) -> None:
    monkeypatch.setattr("sensor.probe.core.EXEC_TEXTS_LEN", 1)
    with pytest.raises(ProbeError, match="another version than this sensor"):
        open_probe("core", lambda _raw: None)
