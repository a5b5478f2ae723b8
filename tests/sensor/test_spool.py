# SPDX-License-Identifier: Apache-2.0
"""The spool's promises: kept, bounded, counted, unique, whatever happens to process, disk and file."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import msgpack
import pytest

from sensor.fault import ExitCode, Fault
from sensor.health import Counters
from sensor.spool import Pending, Spool
from sensor.spool.rows import MAX_REFUSED

BIG = 64 * 1024 * 1024


def unpacked(pending: Pending) -> list[dict]:
    return [msgpack.unpackb(event) for event in pending.events]


def drain(spool: Spool) -> list[dict]:
    """Everything that waits, acknowledged."""
    found = []
    while pending := spool.peek():
        found += unpacked(pending)
        spool.ack(pending)
    return found


def sequence(identity: str) -> int:
    return int(identity.rsplit("/", 1)[1])


def losses(events: list[dict]) -> dict[str, int]:
    told: dict[str, int] = {}
    for event in events:
        if event["kind"] == "loss":
            told[event["cause"]] = told.get(event["cause"], 0) + event["count"]
    return told


def without_losses(events: list[dict]) -> list[dict]:
    return [event for event in events if event["kind"] != "loss"]


@pytest.fixture
def opened(tmp_path):
    """Opens spools at one path, and closes them all."""
    spools = []

    def open_spool(
        max_bytes: int = BIG, host: str = "h", boot: str = "b", counters: Counters | None = None
    ) -> Spool:
        spool = Spool.open(tmp_path / "spool.db", max_bytes, host=host, boot=boot, counters=counters)
        spools.append(spool)
        return spool

    def close(spool: Spool) -> None:
        spools.remove(spool)
        spool.close()

    open_spool.close = close  # type: ignore[attr-defined]
    yield open_spool
    for spool in spools:
        spool.close()


def events(spool: Spool, count: int, size: int = 10, kind: str = "exit") -> list[dict]:
    return [{"id": spool.next_id(), "kind": kind, "n": n, "fill": "x" * size} for n in range(count)]


def test_events_come_out_in_order_as_they_went_in(opened):
    spool = opened()
    given = events(spool, 25)
    for event in given:
        spool.append([event])
    assert drain(spool) == given
    assert not spool.peek()


def test_ids_have_the_form_of_the_contract_and_rise(opened):
    spool = opened(host="h-1", boot="b-2")
    ids = [spool.next_id() for _ in range(3)]
    assert all(one.startswith("h-1/b-2/") for one in ids)
    sequences = [sequence(one) for one in ids]
    assert sequences == sorted(set(sequences))


def test_peek_gives_the_same_until_it_is_acknowledged(opened):
    spool = opened()
    spool.append(events(spool, 10))
    first = spool.peek(max_events=4)
    assert spool.peek(max_events=4) == first
    spool.ack(first)
    assert [event["n"] for event in unpacked(spool.peek(max_events=4))] == [4, 5, 6, 7]


def test_a_part_can_be_acknowledged_by_itself(opened):
    spool = opened()
    spool.append(events(spool, 6))
    spool.ack(spool.peek().part(2, 4))
    assert [event["n"] for event in drain(spool)] == [0, 1, 4, 5]


def test_a_batch_keeps_both_bounds_but_is_never_empty(opened):
    spool = opened()
    spool.append(events(spool, 10, size=1000))
    assert len(spool.peek(max_events=3)) == 3
    assert len(spool.peek(max_bytes=2500)) == 2
    assert len(spool.peek(max_bytes=1)) == 1


def test_an_event_appended_late_with_an_earlier_id_is_not_lost(opened):
    """Acknowledging what came after it must not take it along."""
    spool = opened()
    early, late = events(spool, 2)
    spool.append([late])
    pending = spool.peek()
    spool.append([early])
    spool.ack(pending)
    assert drain(spool) == [early]


def test_what_was_appended_is_there_after_a_kill(tmp_path):
    program = (
        "import os, signal, pathlib\n"
        "from sensor.spool import Spool\n"
        f"spool = Spool.open(pathlib.Path({str(tmp_path / 'spool.db')!r}), 1 << 26, host='h', boot='b')\n"
        "for n in range(50):\n"
        "    spool.append([{'id': spool.next_id(), 'kind': 'exit', 'n': n}])\n"
        "print(spool.next_id(), flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    spool = Spool.open(tmp_path / "spool.db", BIG, host="h", boot="b")
    try:
        assert sequence(spool.next_id()) > sequence(done.stdout.strip())
        assert [event["n"] for event in drain(spool)] == list(range(50))
    finally:
        spool.close()


def test_ids_do_not_repeat_when_the_file_is_deleted(opened, tmp_path):
    """The controller would take the second event of an id for a duplicate, and throw it away."""
    spool = opened()
    before = {spool.next_id() for _ in range(2000)}
    opened.close(spool)
    for path in tmp_path.glob("spool.db*"):
        path.unlink()
    spool = opened()
    assert before.isdisjoint(spool.next_id() for _ in range(2000))


def test_the_ordinary_lane_gives_way_first_then_the_oldest(opened):
    counters = Counters()
    spool = opened(max_bytes=20_000, counters=counters)
    entries = events(spool, 8, size=1000, kind="entry")
    ordinary = events(spool, 8, size=1000)
    spool.append(entries, "entry")
    spool.append(ordinary, "ordinary")
    spool.append(events(spool, 10, size=1000, kind="late"), "entry")
    found = drain(spool)
    assert [event["n"] for event in found if event["kind"] == "entry"] == list(range(8))
    kept = [event["n"] for event in found if event["kind"] == "exit"]
    assert kept == []
    assert [event["n"] for event in found if event["kind"] == "late"] == list(range(10))
    assert losses(found) == {"spool.full": 8}
    assert counters.get("lost.spool.full") == 8


def test_ordinary_events_never_drive_out_entries(opened):
    spool = opened(max_bytes=10_000)
    entries = events(spool, 8, size=1000, kind="entry")
    spool.append(entries, "entry")
    for _ in range(5):
        spool.append(events(spool, 4, size=1000), "ordinary")
    found = drain(spool)
    assert [event["n"] for event in found if event["kind"] == "entry"] == list(range(8))
    assert losses(found)["spool.full"] == 20 - sum(event["kind"] == "exit" for event in found)


def test_what_is_on_its_way_does_not_give_way(opened):
    """Otherwise an event would be counted as lost and arrive all the same."""
    spool = opened(max_bytes=10_000)
    spool.append(events(spool, 8, size=1000, kind="entry"))
    pending = spool.peek(max_events=3)
    spool.append(events(spool, 8, size=1000, kind="late"))
    assert spool.peek(max_events=3) == pending
    spool.ack(pending)
    found = drain(spool)
    assert len(without_losses(found)) + 3 + losses(found)["spool.full"] == 16


def test_the_file_stays_near_its_bound(opened, tmp_path):
    spool = opened(max_bytes=1_000_000)
    for _ in range(60):
        spool.append(events(spool, 50, size=1000), "ordinary")
        spool.sync()
    used = sum(path.stat().st_size for path in tmp_path.glob("spool.db*"))
    assert used < 3_000_000
    assert spool.gauges()["spool.bytes"]() <= 1_000_000


def test_losses_before_the_spool_are_told_once(opened):
    counters = Counters()
    spool = opened(counters=counters)
    spool.lost("ring.entry.full", 3)
    spool.lost("ring.entry.full", 4)
    spool.lost("nothing", 0)
    found = drain(spool)
    assert losses(found) == {"ring.entry.full": 7}
    assert set(found[0]) == {"id", "time", "mono", "kind", "cause", "count"}
    assert drain(spool) == []
    assert counters.get("lost.ring.entry.full") == 7


def test_losses_outlive_the_process(opened):
    spool = opened()
    spool.lost("ring.entry.full", 5)
    opened.close(spool)
    assert losses(drain(opened())) == {"ring.entry.full": 5}


def test_one_cause_has_one_loss_event_waiting_however_often_it_happens(opened):
    """Else a flood with the controller away would fill the spool with its own complaints."""
    spool = opened()
    for _ in range(50):
        spool.lost("ring.entry.full", 1)
        spool.peek(max_events=1)
    found = drain(spool)
    assert losses(found) == {"ring.entry.full": 50}
    assert len(found) <= 3


def test_wait_returns_at_once_when_something_is_there_and_when_something_comes(opened):
    spool = opened()
    assert not spool.wait(0)
    arriving = threading.Thread(target=lambda: spool.append(events(spool, 1)))
    arriving.start()
    assert spool.wait(30)
    arriving.join()
    assert spool.wait(0)


def test_a_second_sensor_is_told_who_holds_the_spool(opened, tmp_path):
    opened()
    with pytest.raises(Fault, match=f"another sensor already runs .*pid {os.getpid()}") as caught:
        Spool.open(tmp_path / "spool.db", BIG, host="h", boot="b")
    assert caught.value.exit_code == ExitCode.FAILURE


def test_nobody_else_may_read_the_files(opened, tmp_path):
    spool = opened()
    spool.append(events(spool, 1))
    assert all(path.stat().st_mode & 0o077 == 0 for path in tmp_path.glob("spool.db*"))


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(b"this is no database, it only lies here" * 100),
        lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
        lambda path: path.write_bytes(path.read_bytes()[:4096] + b"\xff" * (path.stat().st_size - 4096)),
        lambda path: (
            sqlite3.connect(path).executescript("DROP TABLE events; CREATE TABLE events (x)").close()
        ),
    ],
    ids=["other file", "cut", "overwritten", "other tables"],
)
def test_a_damaged_file_is_moved_aside_counted_and_said(opened, tmp_path, damage):
    counters = Counters()
    spool = opened()
    spool.append(events(spool, 100, size=200))
    spool.sync()
    opened.close(spool)
    damage(tmp_path / "spool.db")
    spool = opened(counters=counters)
    assert counters.get("lost.spool.damaged") == 1
    assert "began anew" in spool.trouble()[0]
    assert (tmp_path / "spool.db.damaged").exists()
    given = events(spool, 3)
    spool.append(given)
    found = drain(spool)
    assert without_losses(found) == given
    assert losses(found) == {"spool.damaged": 1}


def test_damage_while_it_runs_loses_what_waited_by_count_and_goes_on(opened, tmp_path):
    counters = Counters()
    spool = opened(counters=counters)
    spool.append(events(spool, 40, size=500), keep={"a": b"1"})
    spool.sync()
    for path in (tmp_path / "spool.db", tmp_path / "spool.db-wal"):
        with path.open("r+b") as file:
            file.write(b"\xff" * path.stat().st_size)
    spool._rows.connection.execute("PRAGMA cache_size = 0")
    spool._rows.connection.execute("PRAGMA shrink_memory")
    for _ in range(200):
        if counters.get("lost.spool.damaged"):
            break
        spool.append(events(spool, 20, size=500))
        spool.sync()
        spool.peek()
    assert counters.get("lost.spool.damaged") >= 40
    assert spool.began_anew, "what was kept has to be given again"
    assert spool.kept() == {}
    drain(spool)
    given = events(spool, 2)
    spool.append(given)
    assert without_losses(drain(spool)) == given


def test_an_operators_mistake_in_the_folder_is_said_plainly(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(Fault, match="cannot be used") as caught:
        Spool.open(tmp_path / "file" / "spool.db", BIG, host="h", boot="b")
    assert caught.value.exit_code == ExitCode.CONFIG


def fill_disk(spool: Spool) -> None:
    """SQLite's own answer to a full disk, at the present size."""
    (pages,) = spool._rows.connection.execute("PRAGMA page_count").fetchone()
    spool._rows.connection.execute(f"PRAGMA max_page_count = {pages}")


def test_a_full_disk_loses_by_count_and_never_raises(opened):
    counters = Counters()
    spool = opened(counters=counters)
    spool.append(events(spool, 5, size=1000, kind="entry"))
    pending = spool.peek()
    fill_disk(spool)
    for _ in range(10):
        spool.append(events(spool, 1, size=50_000, kind="entry"))
    assert counters.get("lost.spool.disk") == 10
    assert "cannot keep events" in spool.trouble()[0]
    spool.sync()  # the disk has room again, and the spool may grow
    spool.ack(pending)
    found = drain(spool)
    assert losses(found) == {"spool.disk": 10}
    spool.append(events(spool, 1))
    assert spool.trouble() == []


def test_on_a_full_disk_the_oldest_ordinary_events_give_their_pages(opened):
    spool = opened()
    spool.append(events(spool, 100, size=1000), "ordinary")
    fill_disk(spool)
    entry = events(spool, 1, size=3000, kind="entry")
    assert spool.append(entry) == 1
    found = drain(spool)
    assert entry[0] in found
    kept = sum(event["kind"] == "exit" for event in found)
    assert losses(found) == {"spool.full": 100 - kept}
    assert kept > 30


def test_an_acknowledgement_that_the_disk_does_not_take_is_remembered(opened):
    spool = opened()
    spool.append(events(spool, 4))
    pending = spool.peek(max_events=2)
    blocker = sqlite3.connect(spool._path)
    blocker.execute("BEGIN IMMEDIATE")
    spool._rows.connection.execute("PRAGMA busy_timeout = 1")
    spool.ack(pending)
    spool._rows.connection.execute("PRAGMA busy_timeout = 5000")
    blocker.rollback()
    blocker.close()
    assert [event["n"] for event in drain(spool)] == [2, 3]
    assert spool.gauges()["spool.events"]() == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")
def test_a_disk_that_is_really_full(tmp_path):
    """A tmpfs of one MiB: appends until nothing fits, then delivers what was kept and tells what was not."""
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)], check=True)
    try:
        counters = Counters()
        spool = Spool.open(disk / "spool.db", BIG, host="h", boot="b", counters=counters)
        given = 0
        for _ in range(40):
            spool.append(events(spool, 10, size=5000, kind="entry"))
            spool.sync()
            given += 10
        assert any("is full" in sentence for sentence in spool.trouble())
        found = []
        while pending := spool.peek(max_events=50):
            found += unpacked(pending)
            spool.ack(pending)
            spool.sync()
        kept = without_losses(found)
        told = sum(losses(found + drain(spool)).values())
        assert [event["id"] for event in kept] == sorted((event["id"] for event in kept), key=sequence)
        assert len({event["id"] for event in kept}) + told == given
        assert len(kept) > 20
        assert kept[-1]["n"] == 9, "the newest are kept, not the oldest"
        spool.close()
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def test_events_too_large_are_cut_and_not_lost(opened):
    """A visitor must not hide an entry behind a huge command line."""
    counters = Counters()
    spool = opened(counters=counters)
    process = {"argv": ["x" * 100_000] * 2000, "argv_cut": False, "comm": "sh\udc80"}
    ancestor = {"argv": ["\U0001f980" * 9000] * 600}
    spool.append([{"id": spool.next_id(), "kind": "entry", "process": process, "ancestry": [ancestor] * 200}])
    (found,) = drain(spool)
    assert found["process"]["argv_cut"] is True
    assert found["process"]["argv"][0].startswith("xxx")
    assert found["process"]["comm"] == "sh\\udc80"
    assert len(found["ancestry"]) == 32
    assert counters.get("spool.shortened") == 1


@pytest.mark.parametrize(
    "bad", [{"time": 2**64}, {"x": object()}, {"id": "other"}, {"x": [[[[[[[[[[[[1]]]]]]]]]]]]}], ids=str
)
def test_an_event_that_cannot_be_packed_is_counted_and_does_not_take_others_along(opened, bad):
    counters = Counters()
    spool = opened(counters=counters)
    first, second, third = events(spool, 3)
    spool.append([first, {**second, **bad}, third])
    found = drain(spool)
    assert without_losses(found) == [first, third]
    assert losses(found) == {"spool.unpackable": 1}


def test_a_refused_event_is_set_aside_and_told_as_lost(opened):
    spool = opened()
    spool.append(events(spool, 3))
    pending = spool.peek()
    spool.refuse(pending.part(1, 2), "$.events[1]: too odd")
    found = drain(spool)
    assert [event["n"] for event in without_losses(found)] == [0, 2]
    assert losses(found) == {"ship.refused": 1}
    ((reason, event),) = spool.refused()
    assert (reason, event["n"]) == ("$.events[1]: too odd", 1)


def test_a_refused_loss_event_makes_no_other(opened):
    spool = opened()
    spool.lost("ring.entry.full", 1)
    spool.refuse(spool.peek(), "no")
    assert drain(spool) == []
    assert len(spool.refused()) == 1


def test_only_so_many_refused_events_are_kept(opened):
    spool = opened()
    spool.append(events(spool, MAX_REFUSED + 20))
    spool.refuse(spool.peek(max_events=2000), "no")
    assert len(spool.refused()) == MAX_REFUSED
    assert spool.refused()[0][1]["n"] == 20


def test_after_enrolling_again_what_waits_goes_out_under_the_new_id(opened):
    """The controller refuses events of another host than the credential's."""
    spool = opened(host="old")
    first = spool.next_id()
    spool.append(
        [
            {"id": first, "kind": "entry", "session": first, "process": {"cwd": first}},
            {"id": spool.next_id(), "kind": "update", "target": first, "set": {}},
        ]
    )
    opened.close(spool)
    entry, update = drain(opened(host="new"))
    renamed = first.replace("old/", "new/")
    assert (entry["id"], entry["session"], update["target"]) == (renamed, renamed, renamed)
    assert entry["process"]["cwd"] == first


def test_gauges_tell_the_backlog(opened):
    spool = opened()
    gauges = spool.gauges()
    assert gauges["spool.age_s"]() is None
    spool.append(events(spool, 3))
    assert gauges["spool.events"]() == 3
    assert gauges["spool.bytes"]() > 0
    assert 0 <= gauges["spool.age_s"]() < 60
    drain(spool)
    assert (gauges["spool.events"](), gauges["spool.bytes"](), gauges["spool.age_s"]()) == (0, 0, None)


def test_many_threads_append_and_nothing_is_lost(opened):
    spool = opened()

    def work() -> None:
        for _ in range(100):
            spool.append(events(spool, 1))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    found = []
    while any(thread.is_alive() for thread in threads):
        pending = spool.peek(max_events=7)
        found += unpacked(pending)
        spool.ack(pending)
    found += drain(spool)
    assert len({event["id"] for event in found}) == len(found) == 400


def test_the_state_folder_is_made_for_its_owner_only(tmp_path):
    folder = tmp_path / "deep" / "state"
    Spool.open(folder / "spool.db", BIG, host="h", boot="b").close()
    assert Path(folder).stat().st_mode & 0o077 == 0


def test_what_is_kept_comes_with_its_events_or_with_their_loss(opened, monkeypatch):
    spool = opened()
    spool.append(events(spool, 1), keep={"a": b"1", "b": b"2"})
    assert spool.kept() == {"a": b"1", "b": b"2"}
    spool.append([], keep={"a": None, "b": b"3"})
    assert spool.kept() == {"b": b"3"}

    def fails(*_arguments: object) -> int:
        raise sqlite3.OperationalError("no")

    monkeypatch.setattr(spool._rows, "insert", fails)
    monkeypatch.setattr(spool._rows, "save_loss", fails)
    spool.append(events(spool, 2), keep={"b": b"4"})
    assert spool.kept() == {"b": b"3"}
    monkeypatch.undo()
    spool.append([])
    assert spool.kept() == {"b": b"4"}
    assert losses(drain(spool)) == {"spool.disk": 2}


def test_a_clock_that_is_set_back_changes_neither_order_nor_bounds(opened, monkeypatch):
    spool = opened()
    before = events(spool, 3)
    spool.append(before)
    spool.lost("ring", 2)
    monkeypatch.setattr(time, "time_ns", lambda: 1_000_000_000)
    after = events(spool, 3)
    spool.append(after)
    assert spool.age_s() == 0.0
    assert [sequence(event["id"]) for event in before + after] == sorted(
        sequence(event["id"]) for event in before + after
    )
    found = drain(spool)
    assert without_losses(found) == before + after
    assert losses(found) == {"ring": 2}
    monkeypatch.undo()
    assert spool.age_s() is None


def test_of_the_refused_the_newest_are_kept_also_when_the_clock_was_set_back(opened, monkeypatch):
    spool = opened()
    for now in (5_000_000_000, 1_000_000_000):
        monkeypatch.setattr(time, "time_ns", lambda now=now: now)
        given = events(spool, MAX_REFUSED)
        spool.append(given)
        spool.refuse(spool.peek(max_events=MAX_REFUSED), "no")
    assert [event for _, event in spool.refused()] == given
