# SPDX-License-Identifier: Apache-2.0
"""One writer, many readers, nothing half done, nothing lost that was told to be stored."""

from __future__ import annotations

import sqlite3
import stat
import threading
from pathlib import Path

import pytest
from sqlalchemy import exc, text

from controller.store import counters, migrate
from controller.store.engine import MAX_WAITING, StoreError


def test_what_was_written_is_read_at_once_and_by_others(store, url):
    store.write(lambda connection: counters.add(connection, "a", 2))

    with store.read() as connection:
        assert counters.all_(connection) == {"a": 2}
    with migrate.reader(url) as connection:
        assert counters.all_(connection) == {"a": 2}


def test_an_error_undoes_its_own_work_only(store):
    """Pieces of work share transactions, and must not share their failures."""
    gate = threading.Event()
    store.submit(lambda _: gate.wait())

    def fails(connection):
        counters.add(connection, "bad")
        raise KeyError("mine")

    futures = [store.submit(lambda connection, name=name: counters.add(connection, name)) for name in "ab"]
    failing = store.submit(fails)
    last = store.submit(lambda connection: counters.add(connection, "c"))
    gate.set()

    with pytest.raises(KeyError, match="mine"):
        failing.result()
    for future in (*futures, last):
        future.result()
    with store.read() as connection:
        assert counters.all_(connection) == {"a": 1, "b": 1, "c": 1}


def test_a_reader_cannot_write(store):
    with store.read() as connection, pytest.raises(exc.OperationalError, match="readonly"):
        counters.add(connection, "a")


def test_a_reader_sees_one_moment(store):
    with store.read() as connection:
        assert counters.all_(connection) == {}
        store.write(lambda writer: counters.add(writer, "a"))
        assert counters.all_(connection) == {}


def test_closing_finishes_what_was_submitted_and_takes_no_more(store):
    futures = [store.submit(lambda connection: counters.add(connection, "a")) for _ in range(300)]

    store.close()

    assert all(future.done() and future.exception() is None for future in futures)
    with pytest.raises(StoreError, match="closed"):
        store.submit(lambda _: None)
    store.close()


def test_the_queue_is_bounded(store):
    """Whoever writes faster than the disk waits; memory does not grow."""
    gate, at_work, filled = (threading.Event() for _ in range(3))

    def hold(_):
        at_work.set()
        gate.wait()

    store.submit(hold)
    # The writer takes what waits in one go: filling must begin when it has taken this one alone.
    assert at_work.wait(30)

    def fill():
        for _ in range(MAX_WAITING + 10):
            store.submit(lambda _: None)
        filled.set()

    thread = threading.Thread(target=fill)
    thread.start()
    try:
        assert not filled.wait(0.3)
    finally:
        gate.set()
        thread.join(30)
    assert filled.is_set()


def test_another_process_that_writes_is_waited_for(store, url):
    other = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    future = store.submit(lambda connection: counters.add(connection, "a"))
    threading.Timer(0.2, other.execute, ["COMMIT"]).start()

    future.result(10)
    other.close()


def test_a_full_disk_fails_the_write_and_only_it(store):
    """The database's own limit stands for the disk's: SQLite reports both alike."""

    def limit(pages):
        def work(connection):
            now = connection.execute(text("PRAGMA page_count")).scalar_one()
            connection.execute(text(f"PRAGMA max_page_count = {now + pages}"))

        store.write(work)

    limit(2)
    with pytest.raises(StoreError, match="full"):
        store.write(lambda connection: counters.add(connection, "x" * 100_000))
    limit(10_000)
    store.write(lambda connection: counters.add(connection, "a"))
    with store.read() as connection:
        assert counters.all_(connection) == {"a": 1}


def test_nobody_else_can_read_the_files_of_the_database(store, url):
    store.write(lambda connection: counters.add(connection, "a"))

    path = Path(url.removeprefix("sqlite:///"))
    files = list(path.parent.glob(f"{path.name}*"))
    assert len(files) == 3
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


def test_a_tally_gives_what_it_counted_once():
    tally = counters.Tally()
    tally.refused("credential")
    tally.refused("foreign", "h1")
    tally.add("ingest.stored", 3)

    counted = {"refused.credential": 1, "refused.foreign": 1, "refused.foreign/h1": 1, "ingest.stored": 3}
    assert tally.take() == counted
    assert tally.take() == {}
