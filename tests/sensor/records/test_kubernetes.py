# SPDX-License-Identifier: Apache-2.0
"""The audit log of an API server, followed: nothing twice, nothing lost, whatever becomes of the file meanwhile."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from sensor.enrich.daemon import AwayError
from sensor.records import kubernetes
from sensor.records.kubernetes import AuditLog, LogStream
from sensor.records.said import GAP, record
from sensor.records.sources import Sources
from sensor.wire.redact import Redactor

REDACT = Redactor(()).argv


def line(number):
    return json.dumps({
        "kind": "Event", "apiVersion": "audit.k8s.io/v1", "level": "Metadata", "auditID": f"a-{number}",
        "stage": "ResponseStarted", "verb": "get", "user": {"username": "alice"}, "sourceIPs": ["10.0.0.5"],
        "requestURI": f"/api/v1/namespaces/shop/pods/cart-0/exec?command=run-{number}",
        "objectRef": {"resource": "pods", "subresource": "exec", "namespace": "shop", "name": "cart-0"},
        "responseStatus": {"code": 101}, "requestReceivedTimestamp": "2026-11-24T02:22:06.648751Z",
        "stageTimestamp": "2026-11-24T02:22:06.651751Z",
    }) + "\n"  # fmt: skip


def lines(*numbers):
    return "".join(map(line, numbers))


def append(path, text):
    with path.open("a") as file:
        file.write(text)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(kubernetes, "LOOK_S", 0.005)
    monkeypatch.setattr(kubernetes, "KEEP_S", 0.0)


@pytest.fixture
def log(tmp_path):
    return tmp_path / "audit.log"


@pytest.fixture
def follow(log, tmp_path):
    opened = []

    def begin():
        opened.append(LogStream(str(log), tmp_path / "mark.json", REDACT))
        return opened[-1]

    yield begin
    for stream in opened:
        stream.close()


def numbers(stream, count):
    """What the next `count` sayings are of; a gap is None."""
    said = [stream.read(1.0) for _ in range(count)]
    return [None if each.action == GAP else int(each.command.removeprefix("run-")) for each in said]


def nothing_more(stream):
    threading.Timer(0.1, stream.close).start()
    return stream.read(1.0) is None


def test_a_line_is_a_record_with_its_user_and_place(log, follow):
    append(log, line(1))
    said = follow().read(1.0)
    made = record(said, "h/b/1", REDACT)
    assert (made["source"], made["place"], made["action"]) == ("kubernetes", str(log), "exec_start")
    assert (made["request"]["user"], made["command"], made["exec_id"]) == ("alice", "run-1", "a-1")
    assert made["key"] == said.name


def test_lines_are_read_as_they_come_also_in_parts(log, follow):
    append(log, line(1))
    stream = follow()
    assert numbers(stream, 1) == [1]
    append(log, line(2)[:50])
    threading.Timer(0.05, append, (log, line(2)[50:] + line(3))).start()
    assert numbers(stream, 2) == [2, 3]
    assert nothing_more(stream)


def test_a_rotated_file_is_read_to_its_end_and_then_the_new_one(log, follow):
    append(log, line(1))
    stream = follow()
    assert numbers(stream, 1) == [1]
    append(log, line(2))
    log.rename(log.with_name("audit-2026-11-24T01-00-00.000.log"))
    append(log, line(3))
    assert numbers(stream, 2) == [2, 3]


def test_of_several_rotations_at_once_none_is_left_out(log, follow):
    append(log, line(1))
    stream = follow()
    assert numbers(stream, 1) == [1]
    for number in (2, 3, 4):
        log.rename(log.with_name(f"audit-2026-11-24T0{number}-00-00.000.log"))
        append(log, line(number))
    assert numbers(stream, 3) == [2, 3, 4]


def test_a_file_that_is_emptied_in_place_is_read_anew_and_that_is_a_gap(log, follow):
    append(log, lines(1, 2))
    stream = follow()
    assert numbers(stream, 2) == [1, 2]
    log.write_text("")
    assert numbers(stream, 1) == [None]
    append(log, line(3))
    assert numbers(stream, 1) == [3]


def test_a_line_that_is_no_event_is_a_gap_and_the_next_is_read(log, follow):
    append(log, line(1) + "{odd}\n" + line(2))
    assert sorted(numbers(follow(), 3), key=str) == [1, 2, None]


def test_a_line_without_end_holds_no_memory(log, follow, monkeypatch):
    monkeypatch.setattr("sensor.wire.audit.MAX_EVENT", 10_000)
    append(log, "x" * 50_000)
    stream = follow()
    assert numbers(stream, 1) == [None]
    append(log, "x" * 50_000 + "\n" + line(1))
    assert numbers(stream, 1) == [1]


def _read_and_stop(follow, count):
    """As a sensor that reads, keeps how far, and is stopped."""
    stream = follow()
    found = numbers(stream, count)
    assert nothing_more(stream)
    return found


def test_after_a_restart_it_goes_on_where_it_was(log, follow):
    append(log, lines(1, 2))
    assert _read_and_stop(follow, 2) == [1, 2]
    append(log, lines(3, 4))
    assert numbers(follow(), 2) == [3, 4]


def test_after_a_restart_the_rotated_file_is_read_on_by_its_inode(log, follow):
    append(log, line(1))
    assert _read_and_stop(follow, 1) == [1]
    append(log, line(2))
    log.rename(log.with_name("audit-2026-11-24T01-00-00.000.log"))
    append(log, line(3))
    assert numbers(follow(), 2) == [2, 3]


def test_after_a_restart_without_the_file_that_was_read_there_is_a_gap(log, follow):
    append(log, line(1))
    assert _read_and_stop(follow, 1) == [1]
    log.rename(log.with_name("kept-so-that-its-inode-is-not-used-again"))
    append(log, line(2))
    assert sorted(numbers(follow(), 2), key=str) == [2, None]


def test_the_first_time_no_more_than_the_last_of_it_is_read(log, follow, monkeypatch):
    monkeypatch.setattr(kubernetes, "FIRST", len(line(8)) + 20)
    append(log, lines(*range(1, 10)))
    assert numbers(follow(), 1) == [9]


def test_without_the_file_it_is_away(follow):
    with pytest.raises(AwayError):
        follow()


def test_a_log_that_is_not_there_is_told_until_it_is(log, tmp_path):
    sources = Sources((), tmp_path, audit=AuditLog(str(log), tmp_path / "mark.json", REDACT))
    sources.start()
    try:
        _until(lambda: any("audit log is not read" in each for each in sources.troubles()))
        append(log, line(1))
        taken = []
        _until(lambda: taken.extend(sources.take()) or len(taken) > 1)
        assert [each.action for each in taken] == ["source_up", "exec_start"]
        assert sources.troubles() == []
    finally:
        sources.close()


def _until(condition):
    pause = threading.Event()
    for _ in range(1000):
        if condition():
            return
        pause.wait(0.02)
    raise AssertionError("it did not happen in time")


def test_marks_survive_what_a_kill_leaves(log, tmp_path, follow):
    Path(tmp_path / "mark.json").write_text('{"inode": ')
    append(log, line(1))
    assert numbers(follow(), 1) == [1]
