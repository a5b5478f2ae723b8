# SPDX-License-Identifier: Apache-2.0
"""Each format parses back whatever a container said, and OCSF's own schema takes what we send."""

from __future__ import annotations

import json
import re
from functools import cache

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema

from controller.export import cef, ocsf
from controller.export.destination import Destination
from controller.export.exporter import test_item as sample_alert  # not a test of its own
from controller.export.feed import steps
from controller.export.formats import FORMATS
from controller.export.item import Item
from controller.export.syslog import message
from controller.store import alerts
from tests.controller import make

HOSTILE = st.text(st.characters(codec=None), max_size=80)


@cache
def schema(name):
    """The class as the published schema has it, by the package that carries it."""
    made = OcsfJsonSchemaEmbedded(get_ocsf_schema(ocsf.VERSION)).get_class_schema(name, list(ocsf.PROFILES))
    return jsonschema.Draft202012Validator(made)


CLASSES = {2004: "detection_finding", 1007: "process_activity", 0: "base_event"}


def valid(document):
    problems = [each.message for each in schema(CLASSES[document["class_uid"]]).iter_errors(document)]
    assert problems == []
    return document


def event_item(event):
    return Item(event["id"], 1, "events", "event", event["kind"], event["time"], 0, "n1", make.HOST, event)


def parse_cef(line):
    """CEF as its specification has it: header fields, and the extension as a dictionary."""
    parts = _split(line, "|", 7)
    values = {}
    for match in re.finditer(r"(\w+)=((?:\\.|[^\\=])*?)(?=\s\w+=|$)", parts[7]):
        values[match[1]] = re.sub(r"\\(.)", lambda at: {"n": "\n", "r": "\r"}.get(at[1], at[1]), match[2])
    return [re.sub(r"\\(.)", r"\1", each) for each in parts[:7]], values


def _split(line, by, times):
    parts, current, escaped = [], "", False
    for position, char in enumerate(line):
        if char == by and not escaped:
            parts.append(current)
            current = ""
            if len(parts) == times:
                return [*parts, line[position + 1 :]]
            continue
        escaped = char == "\\" and not escaped
        current += char
    return [*parts, current]


@pytest.mark.parametrize("event", make.one_of_each(), ids=lambda each: each["kind"])
def test_every_kind_of_event_is_valid_ocsf(event):
    valid(ocsf.encode(event_item(event)))


def test_processes_are_process_activity():
    launched = ocsf.encode(event_item(make.command(3, "curl", "-s", "http://x")))
    assert (launched["class_uid"], launched["activity_id"], launched["type_uid"]) == (1007, 1, 100701)
    assert launched["process"]["cmd_line"] == "curl -s http://x"
    assert ocsf.encode(event_item(make.ended(4)))["activity_id"] == 2


def test_an_alert_from_raised_to_closed_is_a_finding_created_updated_closed(judge, store):
    judge(make.entry(1, process=make.process(1000, "sh", "-i", tty="pts/0")))
    judge(make.command(2, "curl", "http://10.0.0.1/x"))
    identity = alerts.alert_id(make.session_id())
    store.write(lambda connection: alerts.comment(connection, identity, "looked at", "ada", make.BEGIN))
    store.write(
        lambda connection: alerts.set_state(connection, identity, "false_positive", "ada", "ours", make.BEGIN)
    )
    with store.read() as connection:
        told = [each.item for each in steps(connection, Destination("x", "stdout"), 0, 100)]
    documents = [valid(ocsf.encode(each)) for each in told]
    activities = [each["activity_id"] for each in documents]
    assert activities[0] == 1
    assert activities[-1] == 3
    assert set(activities[1:-1]) == {2}
    assert len({each["metadata"]["uid"] for each in documents}) == len(documents)
    assert {each["finding_info"]["uid"] for each in documents} == {identity}
    assert documents[-1]["status"] == "Suppressed"
    assert documents[-1]["comment"] == "ours"
    assert any("T1609" in str(each) for each in documents[0]["finding_info"]["attacks"])


def test_a_test_alert_says_so_in_every_format():
    item = sample_alert("n1", make.BEGIN)
    valid(ocsf.encode(item))
    for encode in FORMATS.values():
        assert re.search(r"[:\-\"= ]test\b", encode(item)), encode


@settings(max_examples=60)
@given(HOSTILE, HOSTILE, HOSTILE)
def test_hostile_text_parses_back_in_every_format(argument, name, image):
    process = make.process(1001, "sh", argument, comm=name[:15], exe=name or None)
    event = make.entry(1, process=process, container=make.container(name=name or None, image=image or None))
    item = event_item(event)
    for name_, encode in FORMATS.items():
        line = encode(item)
        assert not set(line) & {"\n", "\r", "\x00", "\x1b", "\x85", "\u2028"}, name_
        if name_ != "cef":
            assert json.loads(line.encode("utf-8"))
    valid(json.loads(FORMATS["ocsf"](item)))
    head, values = parse_cef(FORMATS["cef"](item))
    assert head[:4] == ["CEF:0", "nsentry", "nsentry", "1"]
    assert values["externalId"] == event["id"]


@settings(max_examples=100)
@given(
    st.text(st.characters(codec="utf-8", exclude_categories=["C"]) | st.sampled_from("|=\\\n\r"), max_size=60)
)
def test_cef_gives_back_what_was_put_in(text):
    _, values = parse_cef("CEF:0|a|b|1|c|d|1|msg=" + cef.extension_value(text + "."))
    expected = "".join(cef.printable(each) if each not in "\n\r" else each for each in text + ".")
    assert values["msg"] == expected
    head, _ = parse_cef(f"CEF:0|a|b|1|{cef.header(text)}|d|1|x=y")
    assert head[4] == cef.printable(" ".join(text.splitlines()))


def test_the_syslog_header_is_rfc_5424():
    item = sample_alert("a host with blanks", make.BEGIN)
    match = re.fullmatch(
        rb"<(\d{1,3})>1 (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z) ([!-~]+) nsentry - create - (CEF:0.*)",
        message(item, cef.encode(item)),
    )
    assert match
    assert int(match[1]) == 13 * 8 + 5
    assert match[3] == b"a_host_with_blanks"
