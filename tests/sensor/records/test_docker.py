# SPDX-License-Identifier: Apache-2.0
"""What Docker's and podman's events say, and what becomes of those that are no record."""

from __future__ import annotations

import json
import socket
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensor.records.docker import MAX_LINE, EventStream, parse
from sensor.records.said import Said, marks, record
from sensor.wire import MAX_TEXT

WHEN = 1_795_486_216_919_302_461
ID = "1b" * 32


def event(action="start", kind="container", actor=ID, when=WHEN, **attributes):
    return {
        "Type": kind,
        "Action": action,
        "Actor": {"ID": actor, "Attributes": {"image": "busybox:test", "team": "pay", **attributes}},
        "timeNano": when,
    }


def said(document):
    return parse(document, "docker", "/run/docker.sock", 0)


def test_an_exec_has_its_id_its_container_and_its_command():
    made = said(event("exec_create: /bin/sh -c id", execID="e1"))
    assert (made.action, made.container, made.exec_id, made.command) == (
        "exec_create",
        ID,
        "e1",
        "/bin/sh -c id",
    )
    assert made.time == WHEN


def test_the_blank_after_a_bare_command_is_dropped():
    assert said(event("exec_start: id ", execID="e1")).command == "id"


def test_an_end_has_its_exit_code():
    assert said(event("exec_die", execID="e1", exitCode="137")).code == 137
    assert said(event("die", exitCode="0")).code == 0


def test_copies_have_a_name_of_their_own_and_networks_name_the_container():
    assert said(event("archive-path")).action == "copy_out"
    assert said(event("extract-to-dir")).action == "copy_in"
    made = said(event("connect", "network", "net1", container=ID, name="shop"))
    assert (made.action, made.container, made.detail) == ("network_connect", ID, {"network": "shop"})


def test_labels_are_not_taken_for_details():
    made = said(event("rename", oldName="/web", signal2="x"))
    assert made.detail == {"oldName": "/web"}


def test_podmans_words_are_brought_to_the_same():
    assert said(event("exec")).action == "exec_start"
    assert said(event("exec_died", containerExitCode="3")).code == 3


@pytest.mark.parametrize(
    "document",
    [
        event("health_status: healthy"),
        event("pull", "image"),
        event("connect"),
        event(when=None),
        event(when=True),
        event(when=2**63),
        None,
        [],
        "x",
        {"Type": "container", "Action": "start", "Actor": [], "timeNano": "1"},
    ],
)
def test_what_is_no_record_is_passed_by(document):
    assert said(document) is None


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["Type", "Action", "Actor", "Attributes", "ID", "timeNano", "execID"]), inner
            )
        ),
        max_leaves=20,
    )
)
def test_no_document_makes_it_fail(document):
    assert said(document) is None or isinstance(said(document), Said)


def test_the_same_saying_has_the_same_key_whenever_it_is_read_and_wherever():
    document = event("exec_start: id", execID="e1")
    again = parse(document, "docker", "/var/run/docker.sock", 0)
    assert said(document).key == again.key
    assert said(document).key != said(event("exec_start: id", execID="e2")).key
    assert said(document).key != said(event("exec_start: id", execID="e1", when=WHEN + 1)).key


def test_a_secret_in_the_command_does_not_leave_the_host():
    made = record(
        said(event("exec_start: mysql -psecret", execID="e1")),
        "h/b/1",
        lambda words: (["mysql", "-p***"], True),
    )
    assert made["command"] == "mysql -p***"


def test_how_far_a_place_was_read_is_what_it_said_last_not_what_the_sensor_said_of_it():
    events = [
        record(said(event(when=when)), f"h/b/{when}", lambda words: (words, False)) for when in (7, 9, 8)
    ]
    away = record(
        Said("docker", "/run/docker.sock", "source_away", 99), "h/b/99", lambda words: (words, False)
    )
    assert marks([*events, away]) == {"/run/docker.sock": 9}


def test_a_long_command_is_cut_before_it_is_searched():
    asked = []

    def redact(words):
        asked.append(len(words))
        return words, False

    long = said(event("exec_start: " + "a " * 100_000))
    made = record(long, "h/b/1", redact)
    assert len(made["command"]) == MAX_TEXT
    assert asked[0] <= MAX_TEXT + 1


class Daemon(threading.Thread):
    """Answers one request for events with these lines, and goes."""

    def __init__(self, path, lines):
        super().__init__(daemon=True)
        self.listening = socket.socket(socket.AF_UNIX)
        self.listening.bind(str(path))
        self.listening.listen()
        self.lines = lines
        self.start()

    def run(self):
        connection, _ = self.listening.accept()
        with connection, self.listening:
            connection.recv(65536)
            head = b"HTTP/1.1 200 OK\r\nServer: Docker\r\nConnection: close\r\n\r\n"
            connection.sendall(head + b"".join(line + b"\n" for line in self.lines))


def test_a_line_that_cannot_be_read_is_passed_by_and_counted_and_the_next_is_read(tmp_path):
    good = json.dumps(event("start")).encode()
    Daemon(tmp_path / "s", [b"x" * (MAX_LINE * 2 + 5), b"{not json", good])
    stream = EventStream(str(tmp_path / "s"), None)
    assert stream.read(5.0).action == "start"
    assert stream.skipped == 2
    assert stream.read(5.0) is None
    stream.close()


def test_an_attach_says_what_the_container_is_called_for_nothing_else_may_be_known_of_it_yet():
    assert said(event("attach", name="web")).detail == {"image": "busybox:test", "name": "web"}
