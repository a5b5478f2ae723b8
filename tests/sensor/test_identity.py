# SPDX-License-Identifier: Apache-2.0
"""The identity is read only where it is whole and nobody else may read it."""

from __future__ import annotations

import pytest

from sensor import identity
from sensor.fault import ExitCode, Fault
from sensor.identity import Identity


@pytest.fixture
def state(tmp_path):
    identity.save(tmp_path, {"v": 1, "host": "h-1", "credential": "c-1"}, "https://c:1", "PEM")
    return tmp_path


def test_what_was_saved_is_loaded_with_the_boot_of_now(state):
    loaded = Identity.load(state)
    assert (loaded.host, loaded.credential, loaded.url) == ("h-1", "c-1", "https://c:1")
    assert loaded.boot == identity.boot_id()
    assert loaded.ca == state / "ca.pem"


def test_a_credential_that_others_may_read_is_not_used(state):
    (state / "identity.json").chmod(0o644)
    with pytest.raises(Fault, match="open to others") as caught:
        Identity.load(state)
    assert caught.value.exit_code == ExitCode.CONFIG
    assert "chmod 600" in caught.value.fix


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"host": "h"}', b'{"host": 7}', b"\xff\xfe"])
def test_a_damaged_identity_says_to_enrol(state, content):
    (state / "identity.json").write_bytes(content)
    with pytest.raises(Fault, match="damaged") as caught:
        Identity.load(state)
    assert "nsentry-sensor enroll" in caught.value.fix


def test_a_host_that_was_never_enrolled_says_so(tmp_path):
    with pytest.raises(Fault, match="not enrolled") as caught:
        Identity.load(tmp_path)
    assert caught.value.exit_code == ExitCode.CONFIG
    assert "nsentry-sensor enroll --url" in caught.value.fix


def test_enrolling_again_replaces_a_credential_that_was_open_to_others(state):
    (state / "identity.json").chmod(0o666)
    identity.save(state, {"v": 1, "host": "h-2", "credential": "c-2"}, "https://c:1", "PEM")
    assert Identity.load(state).host == "h-2"


def test_without_proc_the_boot_is_not_guessed(tmp_path):
    with pytest.raises(Fault, match="boot id"):
        identity.boot_id(tmp_path)
