# SPDX-License-Identifier: Apache-2.0
"""Links work once and in time, sessions end, and nothing that lets one in is in the database."""

from __future__ import annotations

from pathlib import Path

from controller.store import enrolment, hosts, logins
from tests.controller import make

NOW = make.BEGIN
S = make.SECOND


def test_a_link_works_once_and_for_ten_minutes(store):
    first = store.write(lambda c: logins.new_link(c, "ada", NOW))
    late = store.write(lambda c: logins.new_link(c, "bob", NOW))

    assert store.write(lambda c: logins.redeem_link(c, first, NOW + 599 * S)) == "ada"
    assert store.write(lambda c: logins.redeem_link(c, first, NOW + 599 * S)) is None
    assert store.write(lambda c: logins.redeem_link(c, late, NOW + 600 * S)) is None
    assert store.write(lambda c: logins.redeem_link(c, "guess\ud800", NOW)) is None


def test_a_session_lasts_until_it_ends_or_is_closed(store):
    one = store.write(lambda c: logins.open_session(c, "ada", NOW, 60))
    two = store.write(lambda c: logins.open_session(c, "bob", NOW, 60))
    store.write(lambda c: logins.close_session(c, two))

    with store.read() as connection:
        assert logins.session_user(connection, one, NOW + 59 * S) == "ada"
        assert logins.session_user(connection, one, NOW + 60 * S) is None
        assert logins.session_user(connection, two, NOW) is None


def test_no_secret_is_in_the_database(store, url):
    secrets = [
        store.write(lambda c: logins.new_link(c, "ada", NOW)),
        store.write(lambda c: logins.open_session(c, "ada", NOW)),
        store.write(lambda c: enrolment.new_token(c, NOW, 60, 2)),
    ]
    _, credential = store.write(lambda c: enrolment.enrol(c, make.enrolment(secrets[2]), NOW))
    store.close()

    content = Path(url.removeprefix("sqlite:///")).read_bytes()
    assert b"ada" in content
    for secret in (*secrets, credential):
        # After "nsentry-<kind>-"; the rest may hold dashes of its own, and what follows the last be too short.
        assert secret.split("-", 2)[2].encode() not in content


def test_a_token_ends_by_time_and_by_use(store):
    token = store.write(lambda c: enrolment.new_token(c, NOW, 60, 1))
    late = store.write(lambda c: enrolment.new_token(c, NOW, 60, 1))

    assert store.write(lambda c: enrolment.enrol(c, make.enrolment(late), NOW + 60 * S)) is None
    assert store.write(lambda c: enrolment.enrol(c, make.enrolment(token), NOW)) is not None
    assert store.write(lambda c: enrolment.enrol(c, make.enrolment(token), NOW)) is None


def test_a_credential_is_its_hosts_until_it_is_revoked(store):
    token = store.write(lambda c: enrolment.new_token(c, NOW, 60, 3))
    host, credential = store.write(lambda c: enrolment.enrol(c, make.enrolment(token), NOW))
    with store.read() as connection:
        assert enrolment.identify(connection, credential) == enrolment.Identity(host, revoked=False)
        assert enrolment.identify(connection, credential[:-1]) is None

    assert store.write(lambda c: enrolment.revoke(c, host, NOW)) is True
    assert store.write(lambda c: enrolment.revoke(c, host, NOW)) is False
    with store.read() as connection:
        assert enrolment.identify(connection, credential) == enrolment.Identity(host, revoked=True)


def test_a_host_that_enrolled_again_keeps_its_name_and_clones_keep_apart(store):
    token = store.write(lambda c: enrolment.new_token(c, NOW, 60, 9))

    def enrol(**about):
        return store.write(lambda c: enrolment.enrol(c, make.enrolment(token, **about), NOW))[0]

    first, second = enrol(), enrol()
    clone = enrol(name="n2")
    unknown = [enrol(name="n3", machine=None) for _ in range(2)]

    with store.read() as connection:
        revoked = {each["id"]: each["revoked"] is not None for each in hosts.list_(connection)}
        assert {each["id"]: each["replaced_by"] for each in hosts.list_(connection) if each["revoked"]} == {
            first: second
        }
        assert first not in {each["id"] for each in hosts.list_(connection, replaced=False)}
        assert revoked == {first: True, second: False, clone: False, unknown[0]: False, unknown[1]: False}
        assert hosts.show(connection, "n1")["id"] == second
        assert hosts.show(connection, "n3") is None, "two hosts of one name"
        assert hosts.show(connection, unknown[0])["name"] == "n3"
