# SPDX-License-Identifier: Apache-2.0
"""Receivers and disks in trouble: full, slow, choosy, or with a message that they never take."""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
import time
from contextlib import contextmanager

import pytest

from controller.export.destination import Destination
from controller.export.sender import SendError
from controller.store import exports
from tests.controller import make
from tests.controller.export import receiving
from tests.controller.export.test_following import follower, ids, row, visits
from tests.controller.export.test_served import changes, configure, progress
from tests.controller.serving import Served, wait_for


@contextmanager
def small_disk(folder, size):
    """A file system of that size, in KiB."""
    folder.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}k", "tmpfs", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(disk):
    """Takes all the room there is; returns the file that holds it."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while file.write(b"x" * 4096):
                pass
        except OSError:
            pass
    return filler


def drain(following):
    while following.run_once():
        pass


def dead(store):
    with store.read() as connection:
        return exports.letters(connection, "x")


@pytest.mark.kernel
def test_a_full_disk_holds_a_file_up_and_loses_no_line(store, judge, tmp_path):
    with small_disk(tmp_path / "disk", 512) as disk:
        path = disk / "a.jsonl"
        judge(*visits(3))
        following = follower(store, Destination("x", "file", address=str(path), keep="999d"))
        drain(following)
        filler = fill(disk)
        judge(*[make.entry(2 * each + 1, session=each) for each in range(10, 30)])
        with pytest.raises(SendError, match=r"full|space"):
            drain(following)
        assert row(store).failing_since is not None
        filler.unlink()
        drain(following)
        told = [json.loads(line)["id"] for line in path.read_text().splitlines()]
        assert len(told) == len(set(told)) == row(store).sent
        assert dead(store) == []


@pytest.mark.kernel
def test_a_full_store_stops_neither_controller_nor_exports_for_good(stopped, tls, tmp_path):
    hook = receiving.Hook(tls[1])
    address = f"https://localhost:{hook.port}/in"
    with small_disk(tmp_path / "small", 24 * 1024) as disk:
        served = Served(disk / "controller")
        subprocess.run(["cp", "-a", str(stopped.state), str(served.state)], check=True)
        configure(served, {"name": "hook", "kind": "webhook", "address": address, "ca": str(tls[0])})
        served.start()
        sensor = served.enrol()
        sensor.stored(make.entry(1, sensor.host, session=1))
        wait_for(lambda: len(hook.got) == len(changes(served)) > 0)
        filler = fill(disk)
        more = [make.entry(2 * each + 1, sensor.host, session=each) for each in range(2, 60)]

        def refused():
            answer = sensor.send(*more)
            return answer.status_code == 503

        wait_for(refused)
        assert served.process.poll() is None
        filler.unlink()
        wait_for(lambda: sensor.send(*more).status_code == 200)
        wait_for(served.judged)
        wait_for(lambda: progress(served, "hook").seq == len(changes(served)))
        assert {each["id"] for each in hook.documents()} == changes(served)
        assert served.stop() == 0
    hook.close()


def test_a_slow_receiver_is_tried_again_and_holds_nothing_else_up(store, judge, monkeypatch):
    """It takes the connection, and does not answer within the time that it has."""
    monkeypatch.setattr("controller.export.webhook.TIMEOUT_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        judge(*visits(1))
        address = f"http://localhost:{port}/"
        following = follower(store, Destination("x", "webhook", address=address, keep="999d"))
        with pytest.raises(SendError, match="timed out"):
            following.run_once()
    assert (row(store).sent, row(store).given_up, row(store).failed) == (0, 0, 1)


@pytest.mark.parametrize("kind", ["syslog", "webhook"])
def test_a_receiver_that_asks_for_a_certificate_gets_ours_and_nobody_elses(store, judge, tmp_path, kind):
    for name in ("server", "client", "stranger"):
        (tmp_path / name).mkdir()
    server, client, stranger = (
        receiving.certificate(tmp_path / each) for each in ("server", "client", "stranger")
    )
    context = receiving.server_context(*server)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(client[0])
    receiver = receiving.Syslog(context) if kind == "syslog" else receiving.Hook(context)
    scheme = "tls" if kind == "syslog" else "https"
    judge(*visits(2))

    def destination(pair):
        for path in (pair[1],) if pair else ():
            path.chmod(0o600)
        shown = {"certificate": pair[0], "key": pair[1]} if pair else {}
        address = f"{scheme}://localhost:{receiver.port}"
        return Destination("x", kind, address=address, ca=server[0], keep="999d", **shown)

    for pair in (None, stranger):
        # Of TLS 1.3 the client learns of it after its first message: when it looks back.
        with pytest.raises(SendError):
            until_idle(follower(store, destination(pair)))
    got = receiver.messages if kind == "syslog" else receiver.got
    assert got == []
    drain(follower(store, destination(client)))
    wait_for(lambda: len(got) >= 2)
    receiver.close()


def until_idle(following):
    """As its thread does, up to the first failure; nothing to do for some time is the end."""
    quiet = 0
    while quiet < 20:
        quiet = quiet + 1 if following.run_once() == 0 else 0
        time.sleep(0.05 * (quiet > 0))


def until_passed(following):
    """As its thread does, without the pauses."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        try:
            return until_idle(following)
        except SendError:
            continue
    raise AssertionError("it fails still")


def test_a_message_at_which_a_webhook_fails_for_ever_is_a_dead_letter(store, judge, tls):
    """HTTP 500 may pass, so it is tried again; that the next message is taken says that it will not."""
    hook = receiving.Hook(tls[1])
    judge(*visits(4))
    following = follower(
        store,
        Destination("x", "webhook", address=f"https://localhost:{hook.port}/", ca=tls[0], keep="999d"),
        linger_s=0,
    )
    following.run_once()
    poison = {hook.documents()[1]["id"]}
    hook.got.clear()
    hook.never = poison
    store.write(lambda connection: exports.advance(connection, "x", 0, {}))
    until_passed(following)
    told = {each["id"] for each in hook.documents()}
    assert poison.isdisjoint(told)
    assert [each["message"] for each in dead(store)] == list(poison)
    assert "HTTP 500" in dead(store)[0]["reason"]
    assert len(told) == 3
    hook.close()


def test_a_receiver_that_has_too_much_to_do_makes_no_dead_letters(store, judge, tls, hook):
    judge(*visits(2))
    hook.answers[:] = [503] * 20
    following = follower(
        store,
        Destination("x", "webhook", address=f"https://localhost:{hook.port}/", ca=tls[0], keep="999d"),
        linger_s=0,
    )
    until_passed(following)
    assert (dead(store), row(store).given_up) == ([], 0)
    assert len(hook.got) == row(store).sent == 2


class Choosy(receiving.Syslog):
    """Ends the connection at one message, as receivers with a bound on its size do."""

    def __init__(self, poison):
        self.poison = poison
        super().__init__()

    def _messages(self, file):
        while True:
            digits = b""
            while (byte := file.read(1)) not in {b" ", b""}:
                digits += byte
            if not digits.isdigit():
                return
            text = file.read(int(digits)).decode()
            if self.poison in text:
                return
            self.messages.append(text)


def test_a_message_at_which_a_syslog_receiver_hangs_up_is_a_dead_letter(store, judge):
    judge(*visits(3))
    with store.read() as connection:
        from controller.store import alerts  # noqa: PLC0415

        wanted = [
            f"{each['alert']['id']}-{each['change']['id']}" for each in alerts.changes(connection, 0, 100)
        ]
    receiver = Choosy(f"externalId={wanted[1]} ")
    destination = Destination("x", "syslog", address=f"tcp://localhost:{receiver.port}", keep="999d")
    following = follower(store, destination, linger_s=0.5)
    until_passed(following)
    assert [each["message"] for each in dead(store)] == [wanted[1]]
    wait_for(lambda: set(ids(receiver.messages)) == {wanted[0], *wanted[2:]})
    receiver.close()


def test_dead_letters_are_bounded_and_all_are_counted(store, judge, tls, hook, monkeypatch):
    monkeypatch.setattr(exports, "MAX_LETTERS", 2)
    judge(*visits(5))
    hook.answers[:] = [422] * 4
    destination = Destination(
        "x", "webhook", address=f"https://localhost:{hook.port}/", ca=tls[0], keep="999d"
    )
    drain(follower(store, destination))
    assert row(store).given_up == 4
    assert [each["seq"] for each in dead(store)] == [4, 3]
