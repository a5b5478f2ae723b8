# SPDX-License-Identifier: Apache-2.0
"""Starting, ending, being killed: clear words, the contract's exit codes, and nothing lost."""

from __future__ import annotations

import fcntl
import json
import signal
import socket
import stat
import threading
from pathlib import Path

import pytest
import requests
from sqlalchemy import func, select, text

from controller import server, settings
from controller.store import alerts, migrate, schema
from controller.store.engine import engine
from tests.controller import make
from tests.controller.serving import Served, wait_for


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_in_order(served, number):
    sensor = served.enrol()
    sensor.stored(make.entry(1, sensor.host))

    assert served.stop(number) == 0
    assert not (served.state / "ready").exists()
    assert server.running(served.state / "serve.lock") is None
    assert "Traceback" not in served.log()
    assert not list(served.state.glob("*.db-wal")), "the database was not closed"


def test_no_answer_waits_for_the_acknowledgement_of_its_first_part():
    """Nagle's algorithm cost each request 40 ms, for asyncio turns it off only for some sockets."""
    with (
        server._listen(settings.Settings(Path("unused"), "127.0.0.1", 0, "")) as listener,
        socket.create_connection(listener.getsockname()),
        listener.accept()[0] as connection,
    ):
        assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_it_ends_although_somebody_keeps_a_connection_open(served):
    with served.operator() as session:
        session.get(f"{served.url}/healthz", timeout=10)

        assert served.stop() == 0


def test_reads_work_while_it_serves_and_after_it(served):
    sensor = served.enrol()
    sensor.stored(make.entry(1, sensor.host))
    wait_for(served.judged)

    during = served.read("entries", "list")
    served.stop()

    assert during == served.read("entries", "list")
    assert during[0]["id"] == make.event_id(1, sensor.host)


def test_without_flags_the_state_folder_of_the_project_is_used(served, tmp_path):
    """`nsentry-controller entries list --json` in the project's root, while `make up` runs there."""
    (tmp_path / "var").mkdir()
    (tmp_path / "var/controller").symlink_to(served.state)
    project = Served(tmp_path / "var/controller")
    environment = {"PATH": "/usr/bin:/bin"}

    done = project.run_bare("entries", "list", "--json", cwd=tmp_path, env=environment)

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_killed_at_any_moment_it_loses_nothing_that_it_acknowledged(served):
    """Batches go out while the process is killed and started again, several times."""
    sensor = served.enrol()
    acknowledged: list[int] = []
    sent = [0]
    stopping = threading.Event()

    def send():
        while not stopping.is_set():
            first = sent[0] = sent[0] + 10
            numbers = range(first, first + 10)
            try:
                answer = sensor.send(*(make.entry(number, sensor.host, session=number) for number in numbers))
            except requests.RequestException:
                stopping.wait(0.02)
                continue
            if answer.status_code == 200:
                acknowledged.extend(numbers)

    sender = threading.Thread(target=send)
    sender.start()
    for _ in range(3):
        before = len(acknowledged)
        wait_for(lambda before=before: len(acknowledged) > before + 30)
        assert served.stop(signal.SIGKILL) == -signal.SIGKILL
        served.start()
    stopping.set()
    sender.join()

    wait_for(served.judged)
    with served.reading() as connection:
        assert connection.execute(text("PRAGMA integrity_check")).scalar_one() == "ok"
        stored = set(connection.execute(select(schema.events.c.id)).scalars())
        projected = set(connection.execute(select(schema.entries.c.id)).scalars())
        raised = connection.execute(select(func.count()).select_from(schema.alerts)).scalar_one()
    wanted = {make.event_id(number, sensor.host) for number in acknowledged}
    assert len(wanted) > 90
    assert wanted <= stored
    assert projected == stored
    assert raised == len(stored), "each of these visits is an alert"


def test_a_visit_becomes_an_alert_and_the_alert_is_followed(served):
    sensor = served.enrol()
    with served.follow("alerts", "tail", "--from-start", "--json") as lines:
        sensor.stored(make.entry(1, sensor.host))
        change = next(lines)

    assert change["change"]["action"] == "raised"
    assert change["alert"]["host"] == "n1"
    assert "entered container web (image busybox:demo) as root by nsenter" in change["alert"]["sentence"]
    with served.reading() as connection:
        assert alerts.count(connection) == 1


def test_what_is_not_set_up_says_the_command(tmp_path):
    nothing = Served(tmp_path / "nothing")
    for words in (("serve",), ("entries", "list"), ("token", "create")):
        done = nothing.run(*words)

        assert done.returncode == 78, words
        assert f"nsentry-controller --state {nothing.state} init" in done.stderr
    assert not nothing.state.exists()


def test_a_port_in_use_is_told_with_the_way_out(stopped):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = stopped.run("serve", "--listen", f"127.0.0.1:{taken.getsockname()[1]}")

    assert done.returncode == 1
    assert "in use by another program" in done.stderr
    assert "--listen" in done.stderr


def test_an_address_that_is_not_ours_is_told(stopped):
    done = stopped.run("serve", "--listen", "192.0.2.1:0")

    assert done.returncode == 1
    assert "cannot listen on 192.0.2.1:0" in done.stderr


def test_two_controllers_do_not_serve_one_state_folder(served):
    done = served.run("serve", "--listen", "127.0.0.1:0")

    assert done.returncode == 1
    assert f"process {served.process.pid} at {served.url}" in done.stderr


def test_who_only_asks_whether_a_controller_runs_does_not_keep_it_from_starting(tmp_path):
    lock = tmp_path / "serve.lock"
    lock.touch()
    with lock.open() as asking:
        fcntl.flock(asking, fcntl.LOCK_SH)
        answered = threading.Timer(0.2, fcntl.flock, (asking, fcntl.LOCK_UN))
        answered.start()
        with server._alone(lock):
            answered.join()


def test_a_newer_database_is_not_touched(stopped):
    made = engine(stopped.database, read_only=False)
    with made.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    made.dispose()

    for words in (("serve",), ("init",), ("entries", "list"), ("alerts", "list")):
        done = stopped.run(*words)

        assert done.returncode == 78, words
        assert "newer nsentry" in done.stderr
        assert "Traceback" not in done.stderr


def test_a_damaged_database_is_told_of_with_what_helps(stopped):
    """No command ends in a traceback, and the doctor does not advise what would change nothing."""
    (stopped.state / "nsentry.db").write_bytes(b"no database, but long enough to be taken for one" * 1000)

    for words in (("serve",), ("init",), ("token", "create"), ("entries", "list")):
        done = stopped.run(*words)

        assert done.returncode == 78, words
        assert "restore a backup" in done.stderr
        assert "Traceback" not in done.stderr
    checks = {
        each["name"]: each for each in map(json.loads, stopped.run("doctor", "--json").stdout.splitlines())
    }
    assert "restore a backup" in checks["database"]["mend"]


def test_an_older_database_is_brought_up_to_date_by_serving(stopped):
    (stopped.state / "nsentry.db").unlink()
    migrate.create(stopped.database)
    assert stopped.run("entries", "list").returncode == 78

    stopped.start()

    assert stopped.read("entries", "list") == []


def test_init_makes_what_is_missing_and_nothing_else(stopped):
    # SQLite's own files come and go.
    before = {path: path.read_bytes() for path in stopped.state.iterdir() if ".db" not in path.name}
    assert "set up already" in stopped.command("init")
    (stopped.state / "server.pem").unlink()

    assert "made the server's certificate" in stopped.command("init")

    for path, content in before.items():
        if path.name not in {"server.pem", "server.key"}:
            assert path.read_bytes() == content
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in before}
    modes["nsentry.db"] = stat.S_IMODE((stopped.state / "nsentry.db").stat().st_mode)
    modes.pop("controller.toml")
    assert set(modes.values()) == {0o600}
    assert stat.S_IMODE(stopped.state.stat().st_mode) == 0o700


def test_a_login_link_opens_the_dashboard_once(served):
    link = served.command("login-link", "--user", "ada").strip()
    assert link.startswith(f"{served.url}/login?link=")

    with served.session() as session:
        first = session.get(link, timeout=10)
        assert first.status_code == 200
        assert session.get(f"{served.url}/alerts.json", timeout=10).status_code == 200
        assert session.get(f"{served.url}/healthz", timeout=10).status_code == 200
    with served.session() as session:
        assert session.get(link, timeout=10).status_code == 401


def test_a_renewed_certificate_is_used_without_a_restart(stopped):
    """The context in use is given the new files; connections to come see them."""
    pki = server.Pki(stopped.state)
    context = pki.server_context()
    before = pki.server_certificate().serial_number
    assert pki.renew_server({"localhost", "new.example"}) == "it lacks new.example"

    pki.load_into(context)

    assert pki.server_certificate().serial_number != before


def test_the_port_that_the_system_chose_is_told():
    listen = settings.Settings(state_dir=None, host="127.0.0.1", port=0, url="https://localhost:0")
    assert settings.with_port(listen, 4711).url == "https://localhost:4711"
    fixed = settings.Settings(state_dir=None, host="127.0.0.1", port=0, url="https://proxy.example:443")
    assert settings.with_port(fixed, 4711).url == "https://proxy.example:443"
