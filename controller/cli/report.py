# SPDX-License-Identifier: Apache-2.0
"""`report`: an alert as a document to hand over, in the form of the strategy's Response section. Markdown."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import click

from controller.cli import output
from controller.cli.group import FailedError
from controller.cli.output import text
from controller.cli.page import principal

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from controller.cli.state import State
    from controller.detect.catalogue import Detection
    from controller.store.views import AlertView, EntryView, SessionView


@click.command()
@click.argument("alert_id", metavar="ALERT")
@output.as_json
@click.pass_obj
def report(state: State, alert_id: str, *, json_: bool) -> None:
    r"""An alert as a report: what happened, what to do about it, and what was done. Markdown on stdout.

    \b
    Examples:
      nsentry-controller report 3f2a9c > visit.md
      nsentry-controller report 3f2a9c --json | jq .visit.executions
    """
    from controller.store import alerts as reads  # noqa: PLC0415 - help does not wait for it

    with state.reading() as connection:
        alert = reads.show(connection, alert_id)
    if alert is None:
        raise FailedError(
            f"there is no alert {text(alert_id)}: see 'nsentry-controller alerts list --state all'"
        )
    if json_:
        output.json_line(alert)
        return
    from controller.detect import installed  # noqa: PLC0415 - loads every rule

    for line in document(alert, installed.detections(own=state.own_detections())[0]):
        output.line(line)


def document(alert: AlertView, detections: Sequence[Detection]) -> Iterator[str]:
    """The lines of the report. Nothing that an attacker chose leaves a code span or block."""
    visit = alert["visit"]
    entry = visit["opened_by"] if visit else None
    yield f"# {span(alert['title'])}"
    yield ""
    yield f"{span(alert['sentence'])}"
    yield ""
    yield f"Alert {alert['id']}, severity {alert['severity']}, state {alert['state']}."
    yield from _section("Immediate investigation")
    if entry:
        yield from _entry(entry)
    if visit:
        yield from _commands(visit)
    yield from _findings(alert)
    yield from _responses(alert, detections)
    yield from _section("Reporting")
    yield from (
        f"- {change['at']} {change['actor']}: {change['action']} {span(str(change['detail']))}"
        for change in alert["history"]
    )


def span(words: str) -> str:
    """`words` as a code span, made printable. The fence is longer than any run of backticks within."""
    shown = text(words)
    fence = "`" * (1 + max(map(len, re.findall("`+", shown)), default=0))
    return f"{fence} {shown} {fence}"


def _section(title: str) -> Iterator[str]:
    yield from ("", f"## {title}", "")


def _entry(entry: EntryView) -> Iterator[str]:
    place, outside, record = entry["container"], entry["entered_by"], entry["record"]
    who = entry["principal"]
    facts = {
        "when": entry["time"],
        "host": f"{entry['host']} ({entry['host_id']})",
        "container": f"{place['name'] or 'unknown'} ({place['id'] or 'unknown'})",
        "image": place["image"] or "unknown",
        "means": entry["means"],
        "namespaces": ", ".join(entry["namespaces"]),
        "entered by": f"{outside['exe'] or outside['comm']}, uid {outside['uid']}, pid {outside['pid']}",
        "ancestry": " < ".join(step["comm"] for step in entry["ancestry"]),
        "principal": principal(entry["principal"]),
        "evidence": "; ".join([who["reason"], *who["evidence"]]) if who else "unknown",
        "record": f"{record['status']}: {record['reason']}" if record else "not checked",
    }
    yield from ("| what | value |", "| --- | --- |")
    yield from (f"| {name} | {span(value).replace('|', chr(92) + '|')} |" for name, value in facts.items())


def _commands(visit: SessionView) -> Iterator[str]:
    yield from ("", "Commands in order:", "", "```text")
    for each in visit["executions"]:
        line = output.command_line(each["process"]).replace("```", "` ` `")
        yield f"{each['time']}  pid {each['process']['pid']}  {line}"
    yield "```"


def _findings(alert: AlertView) -> Iterator[str]:
    yield from _section("Findings")
    for finding in alert["findings"]:
        yield f"- {finding['severity']}: {finding['detection']}, because {span(finding['reason'])} ({finding['time']})"


def _responses(alert: AlertView, detections: Sequence[Detection]) -> Iterator[str]:
    """What the strategy documents of the detections that fired say is to be done."""
    for detection in detections:
        if detection.id in alert["detections"]:
            yield from _section(f"Response, by the strategy of {detection.id}")
            yield from response(detection.ads())


def response(ads: str) -> Iterator[str]:
    """The lines of the Response section of a strategy document."""
    inside = False
    for line in ads.splitlines():
        if line.startswith("## "):
            inside = line.removeprefix("## ").strip() == "Response"
        elif inside and line.strip():
            yield line
