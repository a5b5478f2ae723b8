# SPDX-License-Identifier: Apache-2.0
"""A state folder with something in it, and the program to be run on it."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from controller.bus import EmbeddedBus
from controller.cli import main
from controller.detect.worker import Worker
from controller.store import migrate
from tests.controller import make
from tests.controller.conftest import add_host
from tests.controller.serving import Served

HOSTILE = ["sh", "-c", "\x1b]0;owned\x07\u202e", "\x9b2J", "a\nb", "<b>"]


@pytest.fixture(scope="module")
def state(tmp_path_factory, initialised):
    """A state folder with an entry, a visit with an alert, and an attempt, judged by the real worker."""
    served = Served.copy_of(initialised, tmp_path_factory.mktemp("cli") / "state")
    with migrate.open_store(served.database) as store:
        store.write(add_host)
        bus = EmbeddedBus(store)
        events = [
            make.start(1),
            make.entry(2, process=make.process(1000, *HOSTILE, tty="pts/0")),
            make.command(3, "curl", "http://192.0.2.1/x", pid=1001),
            make.ended(4, 1001, code=7),
            make.session_end(5, code=None, signal=9),
            make.attempt(6, session=2),
            make.loss(7),
            make.loss(8, "kernel.lost.ordinary", 5, container_id=make.CONTAINER),
            make.activity(9, argv=HOSTILE, count=12),
            make.activity(10, key="c", what="connect", address="2001:db8::7", port=443, protocol="tcp"),
            make.entry(11, session=3, means="probe"),
            make.session_end(12, session=3),
            make.connection(
                13, session=make.session_id(), container=make.container(), port=10250, what="connect"
            ),
        ]
        bus.append(make.HOST, events, make.BEGIN).result()
        worker = Worker(store, bus)
        while worker.run_once():
            pass
    return served.state


@pytest.fixture
def run(state, monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)

    def invoke(*words, **options):
        return CliRunner().invoke(main, ["--state", str(state), *words], **options)

    return invoke


@pytest.fixture
def ok(run):
    def invoke(*words, **options):
        done = run(*words, **options)
        assert done.exit_code == 0, done.output
        return done.stdout

    return invoke


def visit_alert(ok):
    """The alert of the visit, not that of the attempt."""
    rows = map(json.loads, ok("alerts", "list", "--state", "all", "--json").splitlines())
    (alert,) = [row for row in rows if row["session"] == make.session_id()]
    return alert
