# SPDX-License-Identifier: Apache-2.0
"""Nothing is lost on the way to real receivers, whatever they do; what comes twice has the same id."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import time

import pytest

from controller.export.destination import Destination, DestinationError
from controller.export.follower import Follower
from controller.export.sender import RefusedError, SendError
from controller.store import alerts, exports, schema
from tests.controller import make
from tests.controller.export import receiving
from tests.controller.serving import wait_for

_MADE = []


@pytest.fixture(autouse=True)
def _closed():
    yield
    while _MADE:
        _MADE.pop()._sender.close()


def follower(store, destination, **options):
    """At the beginning of what there is, driven by hand."""
    made = Follower(store, destination, **options)
    _MADE.append(made)
    name, what = destination.name, destination.what
    store.write(lambda connection: exports.begin(connection, name, what, backfill=True))
    return made


def row(store, name="x"):
    with store.read() as connection:
        return exports.progress(connection, name)


def tls_syslog(port, tls, **more):
    return Destination("x", "syslog", address=f"tls://localhost:{port}", ca=tls[0], keep="999d", **more)


def visits(count):
    return [make.entry(2 * each + 1, session=each) for each in range(count)]


def ids(messages):
    return [re.search(r"externalId=(\S+)", each)[1] for each in messages]


def test_syslog_over_tls_gets_every_alert_in_order(store, judge, tls, syslog):
    judge(*visits(5))
    following = follower(store, tls_syslog(syslog.port, tls))
    assert following.run_once() > 0
    sent = row(store).sent
    wait_for(lambda: len(syslog.messages) == sent)
    assert sent >= 5
    assert all(
        each.startswith("<") and " nsentry - " in each and "CEF:0|" in each for each in syslog.messages
    )
    told = ids(syslog.messages)
    assert told == sorted(told, key=lambda each: int(each.rpartition("-")[2]))
    assert following.run_once() == 0


def test_a_syslog_server_that_goes_and_comes_back_misses_nothing(store, judge, tls):
    first = receiving.Syslog(tls[1])
    destination = tls_syslog(first.port, tls)
    judge(*visits(2))
    following = follower(store, destination)
    following.run_once()
    wait_for(lambda: len(first.messages) == row(store).sent)
    first.close()
    judge(*[make.entry(2 * each + 1, session=each) for each in range(10, 13)])
    for _ in range(3):
        with pytest.raises(SendError):
            following.run_once()
    assert row(store).failing_since is not None
    assert row(store).failed == 3
    second = receiving.Syslog(tls[1], first.port)
    while following.run_once():
        pass
    with store.read() as connection:
        wanted = {
            f"{each['alert']['id']}-{each['change']['id']}" for each in alerts.changes(connection, 0, 1000)
        }
    wait_for(lambda: set(ids(second.messages)) == wanted)
    assert row(store).failing_since is None
    second.close()


def test_a_receiver_with_another_certificate_is_told_nothing(store, judge, tmp_path, syslog):
    stranger, _ = receiving.certificate(tmp_path)
    judge(*visits(1))
    following = follower(
        store, Destination("x", "syslog", address=f"tls://localhost:{syslog.port}", ca=stranger)
    )
    with pytest.raises(SendError, match="certificate"):
        following.run_once()
    assert syslog.messages == []


def test_a_webhook_is_signed_and_tried_again_until_it_is_taken(store, judge, tls, hook, tmp_path):
    key = tmp_path / "hook.key"
    key.write_text("s3cret\n")
    key.chmod(0o600)
    judge(*visits(3))
    hook.answers[:] = [200, 503, 429]
    address = f"https://localhost:{hook.port}/in"
    following = follower(
        store,
        Destination("x", "webhook", address=address, ca=tls[0], secret_file=key, keep="999d", format="ocsf"),
    )
    for _ in range(2):
        with pytest.raises(SendError):
            following.run_once()
    assert row(store).sent == 1  # the cursor stands where the receiver was when it failed
    while following.run_once():
        pass
    headers, body = hook.got[0]
    at, _, digest = headers["x-nsentry-signature"].partition(",v1=")
    signed = at.removeprefix("t=").encode() + b"." + body
    assert digest == hmac.new(b"s3cret", signed, hashlib.sha256).hexdigest()
    told = [each["metadata"]["uid"] for each in hook.documents()]
    assert len(told) == len(set(told)) == row(store).sent
    assert set(hook.refused) <= set(told)


def test_a_message_that_is_refused_for_good_does_not_hold_up_the_others(store, judge, tls, hook):
    judge(*visits(3))
    hook.answers[:] = [422]
    following = follower(
        store, Destination("x", "webhook", address=f"https://localhost:{hook.port}/", ca=tls[0], keep="999d")
    )
    while following.run_once():
        pass
    known = row(store)
    assert known.given_up == 1
    assert known.sent == len(hook.got) >= 2
    assert known.last_error.startswith("HTTP 422")


def test_what_is_older_than_keep_is_given_up_and_counted(store, judge, tls, hook):
    judge(*visits(2))
    following = follower(
        store,
        Destination("x", "webhook", address=f"https://localhost:{hook.port}/", ca=tls[0], keep="1h"),
        clock=lambda: time.time_ns() + 2 * 3600 * make.SECOND,
    )
    following.run_once()
    assert (row(store).sent, hook.got) == (0, [])
    assert row(store).given_up >= 2


def test_only_what_is_grave_enough_is_told_and_its_end_too(store, judge):
    class Kept:
        def __init__(self):
            self.items = []

        def send(self, item):
            self.items.append(item)

        def flush(self):
            pass

        close = flush

    kept = Kept()
    judge(make.entry(1, means="docker-exec", process=make.process(1000, "ls")))
    judge(make.entry(3, session=2))
    destination = Destination("x", "stdout", severity="high", keep="999d")
    following = follower(store, destination, sender=kept)
    while following.run_once():
        pass
    assert {each.severity >= 3 for each in kept.items} == {True}
    identity = kept.items[0].body["id"]
    store.write(
        lambda connection: alerts.set_state(
            connection, identity, "benign_true_positive", "ada", "planned", make.BEGIN
        )
    )
    following.run_once()
    assert kept.items[-1].activity == "close"


@pytest.mark.parametrize(("kind", "told"), [("webhook", False), ("file", True)])
def test_staged_attacks_are_marked_and_page_nobody(store, judge, tmp_path, kind, told):
    class Kept(list):
        def send(self, item):
            self.append(item)

        def flush(self):
            pass

        close = flush

    kept = Kept()
    judge(make.entry(3))
    store.write(lambda connection: connection.execute(schema.alerts.update().values(emulation="abc")))
    destination = Destination("x", kind, address="https://localhost/", keep="999d")
    follower(store, destination, sender=kept).run_once()
    assert bool(kept) is told
    assert all(each.emulation for each in kept)
    assert row(store).left_out == (0 if told else 1) or told


def test_events_are_told_once_each_and_corrected_by_what_was_learned(store, judge, tmp_path):
    judge(make.entry(1), make.command(2, "id"), make.update(3, make.event_id(1), container__name="renamed"))
    path = tmp_path / "events.jsonl"
    destination = Destination("x", "file", what="events", address=str(path), keep="999d", format="ecs")
    follower(store, destination).run_once()
    told = [json.loads(each) for each in path.read_text().splitlines()]
    assert [each["event"]["action"] for each in told] == ["entry", "command", "update"] or len(told) == 3
    assert told[2]["nsentry"]["corrects"] == make.event_id(1)
    assert told[2]["container"]["name"] == "renamed"


def test_a_file_is_rotated_without_losing_a_line_and_mends_a_torn_one(store, judge, tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"torn": ')
    judge(*visits(12))
    destination = Destination("x", "file", address=str(path), rotate_bytes=4096, rotate_files=50, keep="999d")
    following = follower(store, destination)
    while following.run_once():
        pass
    lines = [line for each in tmp_path.glob("a.jsonl*") for line in each.read_text().splitlines()]
    assert lines.count('{"torn": ') == 1
    assert len({json.loads(each)["id"] for each in lines if not each.endswith(": ")}) == row(store).sent
    assert len(list(tmp_path.glob("a.jsonl.*"))) > 1
    assert path.stat().st_mode & 0o77 in {0, 0o44}


def test_a_message_that_cannot_be_told_is_counted_and_passed_by(store, judge):
    class Odd(list):
        def send(self, item):
            if not self:
                self.append(None)
                raise ValueError("odd")
            self.append(item)

        def flush(self):
            pass

        close = flush

    judge(*visits(2))
    odd = Odd()
    follower(store, Destination("x", "stdout", keep="999d"), sender=odd).run_once()
    assert row(store).given_up == 1
    assert row(store).sent == len(odd) - 1 >= 1


@pytest.mark.filterwarnings("ignore")  # what apprise's plugins import is theirs
def test_pages_go_to_people_through_apprise(store, judge, tmp_path):
    """By apprise's own JSON service, to a server of this test."""
    import http.server  # noqa: PLC0415
    import threading  # noqa: PLC0415

    got = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            got.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(200 if len(got) > 1 else 500)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    urls = tmp_path / "urls"
    urls.write_text(f"json://127.0.0.1:{server.server_address[1]}/\n")
    urls.chmod(0o600)
    judge(make.entry(1, process=make.process(1000, "sh", "-c", "\x1b[2Jhi")))
    following = follower(store, Destination("x", "apprise", address_file=urls, keep="999d"))
    with pytest.raises(SendError):
        following.run_once()
    while following.run_once():
        pass
    server.shutdown()
    server.server_close()
    assert re.match(r"(low|medium|high|critical): ", got[-1]["title"])
    assert "\x1b" not in got[-1]["message"]
    assert "alerts show" in got[-1]["message"]


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"name": "a", "kind": "pigeon"}, "kind"),
        ({"name": "a", "kind": "syslog"}, "address is missing"),
        ({"name": "a", "kind": "syslog", "address": "ftp://x"}, "expected tls://HOST"),
        ({"name": "a", "kind": "webhook", "address": "http://example.com/"}, "only to this host"),
        ({"name": "a", "kind": "webhook", "address": "https://u:p@example.com/"}, "headers_file"),
        ({"name": "a", "kind": "file", "address": "relative"}, "absolute path"),
        ({"name": "a", "kind": "apprise"}, "address_file is missing"),
        ({"name": "a b", "kind": "stdout"}, "name is a word"),
        ({"name": "a", "kind": "stdout", "keep": "soon"}, "expected 30m, 12h or 7d"),
        ({"name": "a", "kind": "stdout", "what": "events", "kinds": ["entri"]}, "entri"),
        ({"name": "a", "kind": "stdout", "password": "x"}, "password"),
    ],
)
def test_a_destination_that_cannot_work_is_named_with_what_to_set(table, said, tmp_path):
    from controller.export.destination import parse  # noqa: PLC0415

    with pytest.raises(DestinationError, match=r"\[\[export\]\] a") as raised:
        parse([table], tmp_path / "controller.toml")
    assert said in str(raised.value)


def test_a_secret_that_others_can_read_is_refused(store, tmp_path):
    key = tmp_path / "k"
    key.write_text("x")
    key.chmod(0o644)
    with pytest.raises(DestinationError, match="chmod 600"):
        Follower(store, Destination("x", "webhook", address="https://localhost/", secret_file=key))


def test_a_datagram_that_is_too_long_is_refused_not_cut():
    from controller.export.exporter import test_item as sample  # noqa: PLC0415
    from controller.export.syslog import Datagrams  # noqa: PLC0415

    item = sample("n1", make.BEGIN)
    item.body["findings"][0]["reason"] = "x" * 70_000
    sender = Datagrams(Destination("x", "syslog", address="udp://localhost:9", format="json"))
    with pytest.raises(RefusedError, match="datagram"):
        sender.send(item)
