# SPDX-License-Identifier: Apache-2.0
"""Approval windows by the API, as a change system uses it: with a token, bounded, and all of it audited."""

from __future__ import annotations

import itertools

import pytest

from controller.api.access import Rate
from controller.ingest.refusal import RefusedError
from controller.store import approvals
from tests.controller.serving import PATIENCE_S, Served

WINDOW = {"principal": "jane", "pod": "shop/*", "until": "2h", "change": "4711"}


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    made = Served(tmp_path_factory.mktemp("api") / "state")
    made.command("init", "--listen", "127.0.0.1:0")
    made.start()
    yield made
    made.stop()


_names = itertools.count(1)


def token(served, *scopes):
    name = f"change-{next(_names)}"
    words = [word for scope in scopes for word in ("--scope", scope)]
    return name, served.read("api-tokens", "create", name, *words)[0]["token"]


def ask(served, method, path, secret=None, **more):
    with served.session(secret) as session:
        return session.request(method, f"{served.url}/api/v1/{path}", timeout=PATIENCE_S, **more)


def test_a_window_is_opened_looked_at_and_ended_under_the_name_of_the_program(served):
    name, secret = token(served, "approvals:write")
    made = ask(served, "POST", "approvals", secret, json=WINDOW)
    assert made.status_code == 201, made.text
    number = made.json()["id"]
    assert made.headers["location"] == f"/api/v1/approvals/{number}"
    assert (made.json()["state"], made.json()["author"]) == ("open", f"api:{name}")

    assert ask(served, "GET", f"approvals/{number}", secret).json()["visits_within"] == []
    listed = ask(served, "GET", "approvals?state=open", secret).json()["approvals"]
    assert number in {each["id"] for each in listed}
    assert served.read("approvals", "show", str(number))[0]["sentence"] == made.json()["sentence"]

    ended = ask(served, "DELETE", f"approvals/{number}?reason=called+off", secret)
    assert (ended.json()["state"], ended.json()["revoked_by"]) == ("revoked", f"api:{name}")
    assert ask(served, "DELETE", f"approvals/{number}", secret).status_code == 404

    lines = {(each["actor"], each["action"]): each["detail"] for each in served.read("audit", "list")}
    assert lines[f"api:{name}", "approval.add"]["approval"] == made.json()["sentence"]
    assert lines[f"api:{name}", "approval.revoke"] == {"reason": "called off"}
    assert any(action == "api_token.create" for _, action in lines)


def test_a_token_is_good_for_what_it_was_made_for_until_it_is_revoked(served):
    name, secret = token(served, "approvals:read")
    assert ask(served, "GET", "approvals", secret).status_code == 200
    assert ask(served, "POST", "approvals", secret, json=WINDOW).status_code == 403
    (row,) = [each for each in served.read("api-tokens", "list") if each["name"] == name]
    assert row["last_used"] is not None
    assert secret not in served.command("api-tokens", "list", "--json")
    served.command("api-tokens", "revoke", name)
    assert ask(served, "GET", "approvals", secret).status_code == 401


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
@pytest.mark.parametrize("path", ["approvals", "approvals/1"])
def test_nothing_answers_without_a_token(served, method, path):
    """Nor with the credential of a sensor or the operator's."""
    for secret in (
        None,
        "wrong",
        served.enrol().credential,
        (served.state / "operator.token").read_text().strip(),
    ):
        assert ask(served, method, path, secret).status_code in {401, 405}


@pytest.mark.parametrize(
    ("wrong", "status"),
    [
        ({"until": "yesterday"}, 400),
        ({"until": "2000-01-01T00:00:00Z"}, 400),
        ({"until": "900d"}, 400),
        ({"pod": None}, 400),
        ({"change": ""}, 400),
        ({"principal": "ja\x1b[31mne"}, 400),
        ({"means": ["by-magic"]}, 400),
        ({"surprise": 1}, 400),
        ({"reason": "x" * 20_000}, 413),
    ],
)
def test_what_is_no_window_is_refused_with_the_reason(served, writer, wrong, status):
    before = len(served.read("approvals", "list"))
    answer = ask(served, "POST", "approvals", writer, json=WINDOW | wrong)
    assert answer.status_code == status, answer.text
    assert answer.json()["error"]
    assert len(served.read("approvals", "list")) == before


@pytest.fixture(scope="module")
def writer(served):
    return token(served, "approvals:write")[1]


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff\xfe", b"null", b'{"principal": 7}'])
def test_what_is_no_json_is_refused(served, writer, body):
    assert ask(served, "POST", "approvals", writer, data=body).status_code == 400


def test_a_number_beyond_all_is_none(served, writer):
    assert ask(served, "GET", f"approvals/{10**30}", writer).status_code == 404


def test_a_program_that_asks_too_often_is_refused_until_a_minute_has_passed():
    rate = Rate(3)
    for at in (0.0, 1.0, 2.0):
        rate.admit("a", at)
    with pytest.raises(RefusedError, match="a minute"):
        rate.admit("a", 59.0)
    rate.admit("b", 59.0)
    rate.admit("a", 60.0)


def test_windows_are_bounded_in_number(store, monkeypatch):
    monkeypatch.setattr(approvals, "MAX_OPEN", 2)
    window = {"principal": "jane", "host": "h", "change": "1", "until_ns": 20}
    for _ in range(2):
        store.write(lambda connection: approvals.add(connection, window, "ada", 10))
    with pytest.raises(ValueError, match="revoke some"):
        store.write(lambda connection: approvals.add(connection, window, "ada", 10))
