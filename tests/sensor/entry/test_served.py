# SPDX-License-Identifier: Apache-2.0
"""Whose a unix socket is: by its file, whatever its listener says, or by the daemon that listens."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from sensor.entry.contacts import Contacts
from sensor.entry.served import Daemons
from sensor.probe.contacts import Contact, Listening, device
from sensor.probe.layout import Facts, Flag, Head, Kind, NsSet


def bound(path: Path, pid: int | None = None) -> Listening:
    status = path.stat()
    number = device(os.major(status.st_dev), os.minor(status.st_dev))
    return Listening(status.st_ino, number, os.getpid() if pid is None else pid)


@pytest.fixture
def listening(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "docker.sock"
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(path))
        one.listen()
        yield path


def test_a_socket_at_a_configured_path_is_a_daemons_whoever_listens(listening: Path) -> None:
    served = Daemons([str(listening)]).served(bound(listening), "/what/it/called/itself")
    assert served is not None
    assert (served.runtime, served.path) == ("docker", str(listening))
    assert served.daemon.pid == os.getpid()


def test_a_link_to_it_leads_to_the_same_file(listening: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(listening)
    served = Daemons([str(tmp_path / "link")]).served(bound(listening), "")
    assert served is not None


def test_a_name_like_a_daemons_socket_makes_none(listening: Path) -> None:
    assert Daemons().served(bound(listening), "/run/docker.sock") is None
    assert Daemons([str(listening.parent)]).served(bound(listening), str(listening)) is None


def test_a_listener_that_is_gone_is_no_reason_to_fail(listening: Path) -> None:
    known = Daemons([str(listening)])
    gone = bound(listening, pid=2**22)
    served = known.served(gone, "")
    assert served is not None
    assert (served.daemon.comm, served.daemon.start) == ("", 0)
    assert Daemons().served(gone, "/run/docker.sock") is None


class Kernel:
    def __init__(self) -> None:
        self.told: list[tuple[Listening, bool]] = []

    def settle(self, listening: Listening, *, daemon: bool) -> None:
        self.told.append((listening, daemon))


def contact(listening: Listening) -> Contact:
    head = Head(Kind.CONTACT, Flag(0), 1, 0, 1, 9, 9, 1, 0)
    ns = NsSet(*range(10))
    task = Facts(ns, 0, 0, 0, 0, 0, 0, 0, 0, 9, 0, "curl", "", "")
    return Contact(head, listening, 1, "/run/x.sock", task, (), None, None, argv_cut=False)


def test_the_kernel_is_told_of_a_listener_each_time_it_asks(listening: Path) -> None:
    """Its map forgets; the answer is looked for once."""
    counted: list[str] = []
    contacts, kernel = Contacts(Daemons([str(listening)]), counted.append), Kernel()
    mine, other = bound(listening), Listening(1, 2, 3)
    for each in (mine, other, mine):
        contacts.take(contact(each), kernel)  # type: ignore[arg-type]
    assert kernel.told == [(mine, True), (other, False), (mine, True)]
    assert counted == ["contacts.seen"] * 3
