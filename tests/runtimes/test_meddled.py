# SPDX-License-Identifier: Apache-2.0
"""A real sensor and controller hear real daemons through a proxy: records late, twice, in another order, or never.

Whatever becomes of the records, each visit ends with the verdict that is right, and with no record of another's.
"""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from tests.runtimes.containerd import Containerd
from tests.runtimes.day.podman import Podman
from tests.runtimes.day.work import Work
from tests.runtimes.proxy import Proxy
from vagrant.local.dockerd import Dockerd
from vagrant.local.service import Service
from vagrant.local.stack import Stack

pytestmark = pytest.mark.timeout(600)

PATIENCE_S = 120.0
"""A deadline grows to three times the delay that was learned, and a verdict comes after it."""


class Door:
    """One runtime with a proxy before each of its sockets. `make` starts a container, `enter` executes in it."""

    def __init__(
        self,
        sockets: list[Path],
        make: Callable[[], str],
        enter: Callable[[str, list[str]], Any],
        said: list[str],
    ) -> None:
        self.sockets = sockets
        self.make = make
        self.enter = enter
        self.said = said
        """What is told of one exec, and by whom."""
        self.proxies: list[Proxy] = []

    def meddle(self, **how: Any) -> None:
        for proxy in self.proxies:
            for name, value in how.items():
                setattr(proxy.meddling, name, value)

    def without_a_record(self, lab: Lab, web: str) -> None:
        """One exec, of which nothing comes through."""
        begun: list[bytes] = []

        def drops(event: bytes) -> bool:
            begun.extend(each for each in BEGUN if each in event)
            return True

        self.meddle(drops=drops)
        self.enter(web, ["true"])
        wanted = sum(what.endswith("exec_start") for what in self.said)
        lab.until(lambda: len(begun) >= wanted, lambda: f"{begun} was dropped")
        self.meddle(drops=lambda _event: False)

    def hold(self) -> None:
        for proxy in self.proxies:
            proxy.meddling.held.set()

    def release(self) -> None:
        for proxy in self.proxies:
            proxy.meddling.held.clear()


BEGUN = (b'"Action":"exec"', b"exec_start", b"/tasks/exec-started")
"""What is in a message that says that an exec began: of podman, docker, containerd."""
EACH = ("exec_create", "exec_start", "exec_die")


def _docker(undo: ExitStack) -> Door:
    daemon = undo.enter_context(Dockerd())
    daemon.image("busybox:test")
    return Door(
        # Its own containerd tells of every exec too.
        [daemon.socket, daemon.folder / "exec" / "containerd" / "containerd.sock"],
        lambda: daemon.run("busybox:test", "sleep", "600"),
        lambda web, words: daemon.exec(web, *words),
        [f"{source} {action}" for source in ("docker", "containerd") for action in EACH],
    )


def _cri(undo: ExitStack) -> Door:
    daemon = undo.enter_context(Containerd())
    pod = daemon.pods.run(app="meddled")
    numbers = iter(range(100))
    return Door(
        [daemon.socket],
        lambda: daemon.pods.start(pod, f"web{next(numbers)}"),
        lambda web, words: daemon.pods.exec_sync(web, *words),
        [f"containerd {action}" for action in EACH],
    )


def _podman(undo: ExitStack) -> Door:
    podman = Podman(Work(), undo)
    podman.stay()
    return Door(
        [podman.socket],
        podman.container,
        lambda web, words: podman.exec(web, *words),
        ["podman exec_start", "podman exec_die"],
    )


DOORS = {"docker": _docker, "cri": _cri, "podman": _podman}


class Lab:
    def __init__(self, folder: Path, undo: ExitStack) -> None:
        self.undo = undo
        self.doors = {name: make(undo) for name, make in DOORS.items()}
        for door in self.doors.values():
            door.proxies = [undo.enter_context(Proxy(path)) for path in door.sockets]
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        sockets = [
            path for door in self.doors.values() for path in door.sockets if "containerd" not in path.name
        ]
        self.stack = Stack(folder, port, tuple(sockets))
        self.service: Service = self.stack.start(undo)[0]
        self.until(self._all_heard, lambda: "not every daemon is listened to")

    def _all_heard(self) -> bool:
        heard = {each["place"] for each in self.stack.read("records", "sources")}
        return {str(path) for door in self.doors.values() for path in door.sockets} <= heard

    def until(self, seen: Callable[[], Any], why: Callable[[], str]) -> Any:
        end = time.monotonic() + PATIENCE_S
        while not (found := seen()):
            assert time.monotonic() < end, why()
            time.sleep(0.2)
        return found

    def joined(self, container: str) -> list[dict[str, Any]]:
        """What the join says of each visit to a container, oldest first: also which record it is."""
        path = self.stack.root / "controller" / "nsentry.db"
        query = "SELECT session, status, confidence, reason, told FROM attributions WHERE container = ? ORDER BY time"
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30)) as database:
            database.row_factory = sqlite3.Row
            return [dict(row) for row in database.execute(query, [container])]

    def ended(self, container: str, many: int, **statuses: int) -> list[dict[str, Any]]:
        """The visits to a container, once there are so many of each status."""

        def settled() -> list[dict[str, Any]]:
            found = self.joined(container)
            return found if Counter(each["status"] for each in found) == Counter(statuses) else []

        found: list[dict[str, Any]] = self.until(
            settled, lambda: f"{statuses} were not reached: {self.joined(container)}"
        )
        assert len(found) == many
        told = [each["told"] for each in found if each["told"]]
        assert len(told) == len(set(told)), f"two visits have one record: {found}"
        return found

    def come(self, container: str, many: int) -> None:
        """Once there are so many visits to a container, of none of which anything was told; however long ago."""

        def there() -> bool:
            found = Counter(each["status"] for each in self.joined(container))
            return found["awaited"] + found["unrecorded"] == found.total() == many

        self.until(there, lambda: f"{many} were not reached: {self.joined(container)}")

    def alert(self, session: str) -> dict[str, Any]:
        every = self.stack.read("alerts", "list", "--state", "all", "--limit", "10000")
        found = [each for each in every if each["session"] == session]
        return self.stack.read("alerts", "show", found[0]["id"])[0] if found else {}


@pytest.fixture(scope="module")
def lab(tracefs: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with ExitStack() as undo:
        yield Lab(tmp_path_factory.mktemp("meddled"), undo)


@pytest.fixture(params=DOORS)
def door(request: pytest.FixtureRequest, lab: Lab) -> Iterator[Door]:
    door = lab.doors[request.param]
    yield door
    door.release()
    door.meddle(delay_s=(0.0, 0.0), copies=1, drops=lambda _event: False)


def at_once(door: Door, container: str, many: int) -> None:
    """The very same exec, so many times in the same second."""
    threads = [threading.Thread(target=door.enter, args=(container, ["sleep", "0.2"])) for _ in range(many)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_what_is_dropped_is_unrecorded_and_takes_no_record_of_another_visit(lab: Lab, door: Door) -> None:
    web = door.make()
    door.enter(web, ["true"])
    lab.ended(web, 1, recorded=1)
    door.without_a_record(lab, web)
    door.enter(web, ["true"])
    _, dropped, _ = lab.ended(web, 3, recorded=2, unrecorded=1)
    assert dropped["status"] == "unrecorded"
    alert = lab.until(lambda: lab.alert(dropped["session"]), lambda: "nobody was alerted")
    assert "unrecorded_entry" in alert["detections"]


def test_what_comes_after_the_verdict_corrects_it_and_the_alert(lab: Lab, door: Door) -> None:
    web = door.make()
    door.hold()
    door.enter(web, ["true"])
    (visit,) = lab.ended(web, 1, unrecorded=1)
    lab.until(lambda: lab.alert(visit["session"]), lambda: "nobody was alerted")
    door.release()
    (visit,) = lab.ended(web, 1, recorded=1)
    assert "the record came" in visit["reason"]

    def taken_back() -> bool:
        findings = lab.alert(visit["session"])["findings"]
        told = [each["reason"] for each in findings if each["detection"] == "unrecorded_entry"]
        return all(reason.startswith("taken back") for reason in told)

    lab.until(taken_back, lambda: f"the finding stands: {lab.alert(visit['session'])}")


def test_what_is_late_twice_and_in_another_order_is_joined_one_to_one_and_stored_once(
    lab: Lab, door: Door
) -> None:
    web = door.make()
    door.meddle(delay_s=(0.0, 2.0), copies=2)
    at_once(door, web, 4)
    lab.ended(web, 4, recorded=4)

    def said() -> Counter[tuple[str, str, int]]:
        listed = lab.stack.read("records", "list", "--container", web, "--limit", "1000")
        return Counter(
            (each["exec_id"], f"{each['source']} {each['action']}", each["time_ns"]) for each in listed
        )

    def all_said() -> bool:
        found = Counter(what for _, what, _ in said())
        return all(found[what] >= 4 for what in door.said)

    lab.until(all_said, lambda: f"not all is stored: {said()}")
    time.sleep(2 * door.proxies[0].meddling.delay_s[1])  # by then each second copy came too
    assert set(said().values()) == {1}
    # podman itself may tell the end of an exec twice, by the client and by who cleans up, each with its time
    assert all(
        many == 4
        for what, many in Counter(what for _, what, _ in said()).items()
        if what.endswith("exec_start")
    )
    lab.ended(web, 4, recorded=4)


def test_a_controller_killed_between_a_visit_and_its_record_joins_them_when_it_is_back(
    lab: Lab, door: Door
) -> None:
    web = door.make()
    door.meddle(copies=2)
    door.hold()
    at_once(door, web, 2)
    lab.come(web, 2)
    os.kill(lab.service.pid, signal.SIGKILL)
    door.release()
    lab.service._process.wait(30)  # type: ignore[union-attr]
    lab.service = lab.stack.start_controller(lab.undo)
    lab.ended(web, 2, recorded=2)


def test_a_stream_that_breaks_while_events_are_under_way_loses_none_that_the_daemon_keeps(
    lab: Lab, door: Door
) -> None:
    keeps = any(not what.startswith("containerd") for what in door.said)
    if keeps:
        door.hold()
    web = door.make()
    door.enter(web, ["true"])
    # containerd keeps nothing: what was under way when its stream broke is gone, and told as a gap.
    if keeps:
        lab.come(web, 1)
    else:
        lab.ended(web, 1, recorded=1)
    for proxy in door.proxies:
        proxy.cut()
    door.release()
    lab.ended(web, 1, recorded=1)


@pytest.mark.parametrize("name", ["docker", "podman"])
def test_what_was_under_way_while_later_ones_came_is_asked_for_again(lab: Lab, name: str) -> None:
    door = lab.doors[name]
    web = door.make()
    door.without_a_record(lab, web)
    other = door.make()
    door.enter(other, ["true"])
    lab.ended(other, 1, recorded=1)
    for proxy in door.proxies:
        proxy.cut()
    lab.ended(web, 1, recorded=1)
