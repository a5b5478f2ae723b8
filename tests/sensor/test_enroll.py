# SPDX-License-Identifier: Apache-2.0
"""Enrolment: the token's own CA is asked, the identity is kept for this user alone, failures leave no trace."""

from __future__ import annotations

import json

import pytest

from sensor import wire
from sensor.enroll import enroll
from sensor.fault import ExitCode, Fault
from sensor.identity import Identity, describe_host, machine_hash
from tests.sensor.collector import CREDENTIAL, Authority, Refusal


@pytest.fixture
def token(authority):
    return wire.encode_token("s3cret", authority.pem)


@pytest.fixture
def state(tmp_path):
    return tmp_path / "state"


def test_the_identity_is_kept_for_this_user_alone(collector, token, state, authority):
    enrolled = enroll(state, collector.url + "/", f"{token}\n")
    identity = Identity.load(state)
    assert (identity.host, identity.credential, identity.url) == (enrolled["host"], CREDENTIAL, collector.url)
    assert identity.ca.read_text() == authority.pem
    assert state.stat().st_mode & 0o077 == 0
    assert all(path.stat().st_mode & 0o077 == 0 for path in state.iterdir())
    assert CREDENTIAL not in repr(identity)


def test_the_controller_learns_what_host_this_is(collector, token, state, tmp_path):
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/machine-id").write_text("0123456789abcdef\n")
    (tmp_path / "etc/os-release").write_text('NAME=x\nPRETTY_NAME="Example OS 7"\n')
    enroll(state, collector.url, token, root=tmp_path)
    (message,) = collector.enrolments
    assert message["token"] == "s3cret"
    assert message["os"] == "Example OS 7"
    assert message["machine"] == machine_hash(tmp_path)
    assert "0123456789abcdef" not in json.dumps(message)


def test_a_host_without_an_id_says_so(tmp_path):
    assert machine_hash(tmp_path) is None
    assert describe_host("h", "b", tmp_path)["os"] == "Linux"


def test_the_secret_is_not_sent_to_a_controller_of_another_ca(make_collector, token, state):
    stranger = make_collector(authority=Authority("somebody else"))
    with pytest.raises(Fault, match="not signed by the CA that this sensor trusts") as caught:
        enroll(state, stranger.url, token)
    assert caught.value.exit_code == ExitCode.CONFIG
    assert ".pem" not in caught.value.sentence
    assert stranger.enrolments == []


@pytest.mark.parametrize(
    ("refusal", "words", "code"),
    [
        (Refusal(401, "the token is used up"), "the token is used up", ExitCode.CONFIG),
        (Refusal(426, "speaks 2"), "do not speak the same version", ExitCode.CONFIG),
        (Refusal(503, "no disk"), "cannot enrol now: no disk", ExitCode.UNREACHABLE),
        (Refusal(429, "slowly"), "cannot enrol now", ExitCode.UNREACHABLE),
        (Refusal(400, "name is too long"), "name is too long", ExitCode.FAILURE),
        (b"<html>", "does not answer as a controller does", ExitCode.UNREACHABLE),
        (wire.pack({"v": 1, "host": "a/b", "credential": "x"}), "does not answer as", ExitCode.UNREACHABLE),
        (wire.pack({"v": 1, "host": 7}), "does not answer as a controller does", ExitCode.UNREACHABLE),
    ],
)
def test_a_refusal_is_told_in_the_controllers_words_and_leaves_no_identity(
    collector, token, state, refusal, words, code
):
    collector.always = refusal
    with pytest.raises(Fault, match=words) as caught:
        enroll(state, collector.url, token)
    assert caught.value.exit_code == code
    with pytest.raises(Fault, match="not enrolled"):
        Identity.load(state)


def test_a_failure_leaves_the_identity_before_as_it_was(collector, token, state):
    enroll(state, collector.url, token)
    before = Identity.load(state)
    collector.always = Refusal(401)
    with pytest.raises(Fault):
        enroll(state, collector.url, token)
    assert Identity.load(state) == before


@pytest.mark.parametrize(
    "url", ["http://localhost:1", "localhost:8443", "https://", "https://h:99999", "https://a/b", ""]
)
def test_an_address_that_is_none_is_bad_configuration(token, state, url):
    with pytest.raises(Fault, match="address") as caught:
        enroll(state, url, token)
    assert caught.value.exit_code == ExitCode.CONFIG


def test_a_token_that_is_none_is_bad_configuration(collector, state):
    with pytest.raises(Fault, match="token") as caught:
        enroll(state, collector.url, "nsentry1.abc")
    assert caught.value.exit_code == ExitCode.CONFIG
    assert "nsentry-controller token create" in caught.value.fix


def test_a_folder_that_cannot_be_used_is_said_before_the_token_is_spent(collector, token, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(Fault, match="state folder"):
        enroll(tmp_path / "file" / "state", collector.url, token)
    assert collector.enrolments == []
