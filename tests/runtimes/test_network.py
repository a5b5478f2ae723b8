# SPDX-License-Identifier: Apache-2.0
"""What a real visitor does on the network, and a shell on a connection, of a visit or of a container by itself."""

from __future__ import annotations

from typing import Any

import pytest

from tests.runtimes.conftest import IMAGE
from tests.runtimes.watching import Watching
from vagrant.local.dockerd import Dockerd

pytestmark = pytest.mark.runtimes

BOTH = "nc -l -p 4001 </dev/null >/dev/null & sleep 1; nc 127.0.0.1 4001 -e /bin/sh; wait"
NAMES = (
    "nslookup example.test 127.0.0.1 >/dev/null 2>&1; nslookup example.test 127.0.0.2 >/dev/null 2>&1; true"
)


def seen(events: list[Any], what: str) -> list[Any]:
    return [event for event in events if event["kind"] == "connection" and event["what"] == what]


def test_what_a_session_connects_to_and_listens_on_is_told(
    dockerd: Dockerd, watching: Watching, container: Any
) -> None:
    entered = container()
    watching.known(entered)
    session = watching.visit(lambda: dockerd.exec(entered, "sh", "-c", BOTH), entered)
    (listens,) = seen(session, "listen")
    (connects,) = seen(session, "connect")
    assert listens["port"] == connects["port"] == 4001
    assert (listens["process"]["comm"], listens["protocol"]) == ("nc", "tcp")
    assert connects["address"] == "127.0.0.1"
    assert connects["container"]["id"] == entered


def test_a_shell_of_a_session_on_a_connection_is_told(
    dockerd: Dockerd, watching: Watching, container: Any
) -> None:
    entered = container()
    watching.known(entered)
    session = watching.visit(lambda: dockerd.exec(entered, "sh", "-c", BOTH), entered)
    (streams,) = seen(session, "streams")
    assert (streams["address"], streams["port"], streams["process"]["comm"]) == ("127.0.0.1", 4001, "sh")
    assert streams["process"]["side"] == "container"


def test_a_shell_of_a_containers_own_on_a_connection_is_told_and_nothing_else_of_it(
    dockerd: Dockerd, watching: Watching
) -> None:
    own = dockerd.run(IMAGE, "sh", "-c", f"sleep 1; {BOTH}; sleep 600")
    try:
        watching.until(lambda: bool(watching.of("connection", own)))
        watching.pump(0.5)
    finally:
        dockerd.docker("rm", "-f", own)
    (told,) = watching.of("connection", own)
    assert (told["what"], told["session"], told["process"]["comm"]) == ("streams", None, "sh")


def test_a_session_that_has_pipes_or_a_file_has_no_connection(
    dockerd: Dockerd, watching: Watching, container: Any
) -> None:
    entered = container()
    watching.known(entered)
    session = watching.visit(lambda: dockerd.exec(entered, "sh", "-c", "echo | sh; sh </dev/null"), entered)
    assert [event for event in session if event["kind"] == "connection"] == []


def test_a_question_for_a_name_is_told_once_of_a_session_though_it_is_asked_again(
    dockerd: Dockerd, watching: Watching, container: Any
) -> None:
    """DNS is UDP: nothing connects, and nobody need answer."""
    entered = container()
    watching.known(entered)
    session = watching.visit(lambda: dockerd.exec(entered, "sh", "-c", f"{NAMES}; {NAMES}"), entered)
    sent = seen(session, "send")
    assert [(one["protocol"], one["address"], one["port"]) for one in sent] == [
        ("udp", "127.0.0.1", 53),
        ("udp", "127.0.0.2", 53),
    ]
    assert {one["process"]["comm"] for one in sent} == {"nslookup"}
    assert {one["container"]["id"] for one in sent} == {entered}


def addresses(watching: Watching, container: str) -> list[str] | None:
    known = watching.containers.by_id(container)
    assert known is not None
    return known.container.get("addresses")


def test_a_containers_addresses_are_told_with_it_and_one_on_the_hosts_network_has_none(
    dockerd: Dockerd, watching: Watching, container: Any
) -> None:
    """By the kernel's word, which is also what Docker gave it; the network that it is lent is not its own."""
    bridged, lent, apart = (container(options=(f"--network={name}",)) for name in ("bridge", "host", "none"))
    for each in (bridged, lent, apart):
        watching.known(each)
    given = dockerd.docker("inspect", "--format", "{{.NetworkSettings.IPAddress}}", bridged).strip()
    watching.until(lambda: addresses(watching, bridged) == [given])
    watching.until(lambda: addresses(watching, apart) == [])
    assert addresses(watching, lent) is None


def test_a_container_that_is_joined_to_another_network_is_told_with_both_addresses(
    dockerd: Dockerd, watching: Watching, container: Any
) -> None:
    bridged = container()
    watching.known(bridged)
    dockerd.docker("network", "create", "nsentry-second")
    try:
        dockerd.docker("network", "connect", "nsentry-second", bridged)
        known = watching.containers.by_id(bridged)
        assert known is not None
        watching.metadata.again(known, lambda _: None)
        watching.until(lambda: len(addresses(watching, bridged) or []) == 2)
    finally:
        dockerd.docker("network", "disconnect", "--force", "nsentry-second", bridged)
        dockerd.docker("network", "rm", "nsentry-second")
