# SPDX-License-Identifier: Apache-2.0
"""The language of exceptions: what is accepted means what it says, what is not is refused at its place."""

from __future__ import annotations

import contextlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.policy import fields, globs
from controller.policy.expression import ExpressionError, parse
from controller.policy.fields import About, subject
from controller.policy.principals import Principal, address
from tests.controller import make

ENTRY = make.entry(
    process=make.process(1000, "pg_dump", "-h", "db"),
    container=make.container(
        image="registry.example/backup:3", labels={"app": "web", "a/b": "c"},
        pod={"name": "db-0", "namespace": "shop", "uid": None},
    ),
)  # fmt: skip
ABOUT = About("n1", ENTRY, "recorded", Principal("jane", "person", "10.1.2.3", "exact"))
SUBJECT = subject(ENTRY, ABOUT, ("network_tool", "medium", "curl was run"))


@pytest.mark.parametrize(
    "text",
    [
        'container.name == "web"',
        'container.image like "registry.example/backup:*" and process.argv contains "pg_dump"',
        'principal in ("deploy", "jane") and not severity >= "high"',
        'source within "10.0.0.0/8"',
        'source within "10.1.2.3/32" and source not within "192.0.2.0/24"',
        'container.labels.app == "web" and container.labels["a/b"] == "c"',
        'pod like "shop/*" and pod.namespace == "shop"',
        "process.uid == 0 or process.uid in (1, 2)",
        'process.argv like "pg_*"',
        'process.command contains "-h db"',
        "container.privileged == false",
        "process.tty is unknown and login.user is known and login.user is not unknown",
        'not (means == "probe" or means == "docker-exec")',
        "hour >= 0 and hour < 24",
        'severity in ("low", "medium") and severity != "low"',
        'detection == "network_tool" and reason contains "curl"',
    ],
)  # fmt: skip
def test_a_condition_that_holds_holds(text):
    assert parse(text).holds(SUBJECT)
    assert not parse(f"not ({text})").holds(SUBJECT)


@pytest.mark.parametrize(
    "text",
    [
        'process.tty == "pts/0"',
        'process.tty != "pts/0"',
        'not process.tty == "pts/0"',
        'process.tty like "*"',
        'process.tty not in ("pts/0")',
        'container.labels["nowhere"] != "x"',
        'not (process.tty == "x" and host == "n1")',
    ],
)
def test_of_what_is_not_known_nothing_holds_nor_its_contrary(text):
    """An exception must not apply because something could not be learned."""
    assert not parse(text).holds(SUBJECT)


def test_unknown_does_not_stand_in_the_way_of_what_decides_by_itself():
    assert parse('process.tty == "x" or host == "n1"').holds(SUBJECT)
    assert parse('not (process.tty == "x" and host == "other")').holds(SUBJECT)


def test_a_command_line_that_was_cut_is_not_known():
    """What was cut off may be what the exception was not meant for."""
    cut = make.entry(process=make.process(1000, "pg_dump", argv_cut=True))
    assert not parse('process.argv contains "pg_dump"').holds(subject(cut, ABOUT))


@pytest.mark.parametrize(
    ("text", "at", "reason"),
    [
        ("", 0, "expected a field"),
        ('contaner.name == "web"', 0, "did you mean container.name"),
        ('container.name = "web"', 15, "equality is =="),
        ("container.name == 'web'", 18, "double quotes"),
        ('container.name == "web', 18, "does not end"),
        ("container.name == 3", 18, "expected a text"),
        ('process.uid == "root"', 15, "expected a number"),
        ('process.uid like "1*"', 12, "process.uid is a number"),
        ('severity == "grave"', 12, "expected one of low"),
        ('process.argv == "x"', 13, "list of texts"),
        ('source within "10.0.0.1/8"', 14, "no range of addresses"),
        ('(host == "a"', 12, "expected )"),
        ('host == "a" host == "b"', 12, "expected and, or, or the end"),
        ('host in "a"', 8, "expected a list"),
        ('host == "a" && host == "b"', 12, "and, or, not in words"),
        ('host not == "a"', 9, "after not"),
        ("container.privileged", 20, "== true or == false"),
        ("host is missing", 8, "expected known or unknown"),
        ('container.labels == "x"', 0, "name the label"),
        ('__import__("os").system("id")', 16, "means nothing here"),
        ('host == "a".upper()', 11, "means nothing here"),
        ("not " * 40 + 'host == "a"', 124, "nested deeper"),
    ],
)
def test_an_error_points_at_the_place(text, at, reason):
    with pytest.raises(ExpressionError) as raised:
        parse(text)
    assert raised.value.at == at
    assert reason in raised.value.reason
    assert str(raised.value).splitlines()[-1].startswith(f"  {' ' * at}^")


def test_an_expression_is_bounded():
    with pytest.raises(ExpressionError, match="at most 2000"):
        parse('host == "' + "a" * 3000 + '"')


@given(st.text(max_size=60))
def test_any_text_is_parsed_or_refused(text):
    """Nothing else than an ExpressionError ever comes of a text that somebody types."""
    with contextlib.suppress(ExpressionError):
        parse(text).holds(SUBJECT)


_NAMES = st.sampled_from([n for n, f in fields.FIELDS.items() if f.type == "text" and n != fields.LABELS])
_VALUES = st.text(alphabet="ab*?", max_size=4)


@given(_NAMES, _VALUES, _NAMES, _VALUES)
def test_and_or_not_are_kleenes(one, first, two, second):
    """De Morgan's law holds over known and unknown alike, and nothing is both true and false."""
    a, b = f'{one} == "{first}"', f'{two} like "{second}"'
    assert parse(f"not ({a} and {b})").test(SUBJECT) is parse(f"not {a} or not {b}").test(SUBJECT)
    assert not (parse(a).holds(SUBJECT) and parse(f"not {a}").holds(SUBJECT))


@given(st.text(alphabet="ab", max_size=8), st.text(alphabet="ab*?", max_size=8))
def test_a_glob_means_what_its_regular_expression_means(text, pattern):
    regular = "".join({"*": ".*", "?": "."}.get(char, re.escape(char)) for char in pattern)
    assert globs.matches(pattern, text) is (re.fullmatch(regular, text) is not None)


def test_every_field_has_a_value_in_the_subject_and_no_other_is_there():
    """What is documented is what there is."""
    assert set(SUBJECT) == set(fields.FIELDS)


def test_a_command_has_the_container_and_the_means_of_its_visit():
    command = subject(make.command(2, "curl"), ABOUT)
    assert (command["container.name"], command["means"], command["process.argv"]) == (
        "web",
        "ns-join",
        ("curl",),
    )


@pytest.mark.parametrize(
    ("source", "bare"),
    [
        ("10.0.0.5:51234", "10.0.0.5"),
        ("[fe80::1]:22", "fe80::1"),
        ("10.0.0.5", "10.0.0.5"),
        ("2001:db8::7", "2001:db8::7"),
        ("", None),
        (None, None),
    ],
)
def test_an_address_is_read_without_its_port(source, bare):
    assert address(source) == bare


def test_a_request_to_an_api_server_is_known_by_the_pod_that_it_is_about():
    request = {"namespace": "dev", "pod": "web-0", "user": "ann"}
    asked = subject({"kind": "record", "time": 10**18, "request": request}, About("kubernetes"))
    assert (asked["pod"], asked["pod.namespace"], asked["pod.name"]) == ("dev/web-0", "dev", "web-0")
    assert parse('pod.namespace == "dev"').holds(asked)
