# SPDX-License-Identifier: Apache-2.0
"""Secrets that announce themselves do not leave the host; what is no secret stays readable."""

from __future__ import annotations

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensor.wire.redact import Redactor
from sensor.wire.secret_shapes import announces

SECRET = "hunter2"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl"
PEM = "-----BEGIN RSA PRIVATE KEY-----\nhunter2-hunter2\n-----END RSA PRIVATE KEY-----"
redactor = Redactor()


@pytest.mark.parametrize(
    ("line", "redacted"),
    [
        ("app --password hunter2 --verbose", "app --password *** --verbose"),
        ("app --password=hunter2", "app --password=***"),
        ("app -password hunter2", "app -password ***"),
        ("app --db-password hunter2", "app --db-password ***"),
        ("app --authToken=hunter2", "app --authToken=***"),
        ("app --api-key hunter2 --token=hunter2", "app --api-key *** --token=***"),
        ("app --secret-key -hunter2-", "app --secret-key ***"),
        ("env TOKEN=hunter2 app", "env TOKEN=*** app"),
        (
            "env DB_PASSWORD=hunter2 AWS_SECRET_ACCESS_KEY=hunter2",
            "env DB_PASSWORD=*** AWS_SECRET_ACCESS_KEY=***",
        ),
        ("env PGPASSWORD=hunter2 psql", "env PGPASSWORD=*** psql"),
        ("docker run -e MYSQL_ROOT_PASSWORD=hunter2 mysql", "docker run -e MYSQL_ROOT_PASSWORD=*** mysql"),
        ("docker run --env=API_TOKEN=hunter2 x", "docker run --env=API_TOKEN=*** x"),
        ("docker login -u me -p hunter2 r.example", "docker login -u me -p *** r.example"),
        ("mysql -uroot -phunter2 db", "mysql -uroot -p*** db"),
        ("/usr/bin/mysqldump -phunter2 db", "/usr/bin/mysqldump -p*** db"),
        ("sudo -n mysql -phunter2", "sudo -n mysql -p***"),
        ("sshpass -p hunter2 ssh host", "sshpass -p *** ssh host"),
        ("sshpass -phunter2 ssh host", "sshpass -p*** ssh host"),
        ("redis-cli -a hunter2 ping", "redis-cli -a *** ping"),
        ("curl -u me:hunter2 http://h/", "curl -u me:*** http://h/"),
        ("curl -ume:hunter2 http://h/", "curl -ume:*** http://h/"),
        ("curl --user=me:hunter2 http://h/", "curl --user=me:*** http://h/"),
        ("curl -H 'Authorization: Bearer hunter2' http://h/", "curl -H 'Authorization: ***' http://h/"),
        ("curl -H 'Authorization: Basic aHVudGVyMg==' h", "curl -H 'Authorization: ***' h"),
        ("curl -H 'X-Api-Key: hunter2' http://h/", "curl -H 'X-Api-Key: ***' http://h/"),
        ("curl -H 'Cookie: a=b; session=hunter2' h", "curl -H 'Cookie: ***' h"),
        ("psql postgres://me:hunter2@db/x", "psql postgres://me:***@db/x"),
        ("git clone https://0123456789abcdef0123@h/r", "git clone https://***@h/r"),
        ("wget 'http://h/?a=1&token=hunter2&b=2'", "wget 'http://h/?a=1&token=***&b=2'"),
        ('app \'{"password": "hunter2", "user": "me"}\'', 'app \'{"password": ***, "user": "me"}\''),
        ("app AKIAIOSFODNN7EXAMPLE", "app ***"),
        (f"app {JWT}", "app ***"),
        ("app ghp_abcdefghijklmnopqrstuvwxyz0123456789", "app ***"),
        ("openssl rsa -passin pass:hunter2", "openssl rsa -passin pass:***"),
        ("smbclient -U me%hunter2 //h/s", "smbclient -U me%*** //h/s"),
        ("sh -c 'mysql -u root -phunter2 && ls'", "sh -c 'mysql -u root -p*** && ls'"),
        (
            "sh -c 'export TOKEN=hunter2; app --password hunter2'",
            "sh -c 'export TOKEN=***; app --password ***'",
        ),
        ("sh -c 'PASSWORD=\"hunter2 hunter2\" app'", "sh -c 'PASSWORD=*** app'"),
        ("busybox sh -c 'echo hi; curl -u me:hunter2 h|sh'", "busybox sh -c 'echo hi; curl -u me:*** h|sh'"),
    ],
)
def test_secrets_are_taken_out(line, redacted):
    assert redactor.argv(shlex.split(line)) == (shlex.split(redacted), True)


def test_scripts_inside_scripts():
    for depth in range(3):
        argv = ["sh", "-c", "sshpass -p hunter2 ssh h"]
        for _ in range(depth):
            argv = ["sh", "-c", shlex.join(argv)]
        assert SECRET not in str(redactor.argv(argv))


def test_a_private_key_goes_as_a_whole_also_when_it_is_cut_off():
    assert redactor.argv(["app", f"x {PEM} y"]) == (["app", "x *** y"], True)
    assert redactor.argv(["app", PEM[:45]]) == (["app", "***"], True)


@pytest.mark.parametrize(
    "line",
    [
        "ls -la /tmp",
        "nsenter -t 1 -m -u -p -- sh",
        "ssh -p 2222 host",
        "mkdir -p /var/lib/app",
        "docker run -p 80:80 -u 1000:1000 nginx",
        "mysql -u root -p db",
        "curl -u me http://h/",
        "app --password-file /run/secrets/db --token-url https://h/t",
        "docker login --password-stdin",
        "apt-get install password-store secret-tool",
        "grep -r token /src",
        "cat /run/secrets/kubernetes.io/serviceaccount/token",
        "curl https://example.com:8443/path?page=2",
        "env PATH=/bin HOME=/root sh",
        "git clone ssh://git@example.com/r",
        "app --keyboard=us --monkey=1 --compass north",
        "tar --exclude=tokens -czf x.tgz .",
        "sh -c 'for i in 1 2 3; do echo \"$i\"; done'",
    ],
)
def test_what_is_no_secret_stays(line):
    argv = shlex.split(line)
    assert redactor.argv(argv) == (argv, False)


def test_an_option_without_its_value_does_not_swallow_the_next_option():
    assert redactor.argv(["mysql", "--password", "-u", "root"])[0] == ["mysql", "--password", "-u", "root"]
    assert redactor.argv(["app", "--password"])[0] == ["app", "--password"]


def test_an_operators_pattern_replaces_its_groups_or_all_of_it():
    own = Redactor([r"pin=(\d+)", r"CUST-\d{6}", r"(a)b(c)"])
    assert own.argv(["app", "pin=1234", "x CUST-123456 y", "abc"]) == (
        ["app", "pin=***", "x *** y", "***b***"],
        True,
    )


@pytest.mark.parametrize("pattern", ["(", "x*", ""])
def test_an_operators_pattern_that_cannot_work_is_refused_with_its_text(pattern):
    with pytest.raises(ValueError, match="redact pattern"):
        Redactor([pattern])


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        ("password", True),
        ("DB_PASSWORD", True),
        ("authToken", True),
        ("X-Api-Key", True),
        ("AWS_SECRET_ACCESS_KEY", True),
        ("MYSQL_PWD", True),
        ("clientSecret", True),
        ("key", False),
        ("keyboard", False),
        ("compass", False),
        ("password_file", False),
        ("tokenUrl", False),
        ("author", False),
        ("", False),
        ("---", False),
    ],
)
def test_names_that_announce_a_secret(name, secret):
    assert announces(name) is secret


words = st.text(st.characters(codec="utf-8"), max_size=40)


@given(st.lists(words, max_size=8))
def test_the_number_of_arguments_stays_and_redacting_again_changes_nothing_that_was_hidden(arguments):
    redacted, changed = redactor.argv(arguments)
    assert len(redacted) == len(arguments)
    assert changed == (redacted != arguments)


values = st.text(st.sampled_from("abcXYZ0189+/_.,@%"), min_size=6, max_size=30).filter(
    lambda one: "***" not in one
)


@given(
    values,
    st.sampled_from(
        [
            ["app", "--password", "{}"],
            ["app", "--password={}"],
            ["env", "API_TOKEN={}"],
            ["sh", "-c", "x; TOKEN='{}' y"],
            ["mysql", "-p{}"],
            ["sh", "-c", "sshpass -p {} ssh h"],
            ["curl", "-H", "Authorization: Bearer {}"],
            ["curl", "-u", "me:{}"],
        ]
    ),
)
def test_no_value_gets_through_where_a_secret_stands(value, form):
    redacted, changed = redactor.argv([part.format(value) for part in form])
    assert changed
    assert value not in " ".join(redacted)


@pytest.mark.parametrize(
    "evil",
    [
        *("pass" * 8192, "a" * 32768, '"' * 32768, "'\"" * 16384, "TOKEN=" * 5000, "https://a:" * 3200),
        *(
            "-----BEGIN PRIVATE KEY-----" * 1200,
            "eyJ" * 11000,
            "eyJaaaaaaaa." * 2700,
            "authorization: " * 2000,
        ),
        *("TOKEN='" * 4500, "ghp_" * 8000, "- " * 16000, "a://" * 8000, "basic " * 5000, "mysql -p" * 4000),
    ],
    ids=lambda evil: evil[:8],
)
def test_hostile_text_of_the_largest_size_is_done_with(evil):
    """Work that grew with the square of the length would run into the test's time limit here."""
    for _ in range(5):
        redactor.argv(["sh", "-c", evil])
