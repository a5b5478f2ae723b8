# SPDX-License-Identifier: Apache-2.0
"""`alerts`: what the detections found. What is done about it is in `triage`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

import click

from controller.cli import output, page, triage
from controller.cli.output import text

if TYPE_CHECKING:
    from controller.cli.state import State
    from controller.store.views import ChangeView

POLL_S: Final = 0.1
STATES: Final = ("open", "all", "new", "acknowledged", "investigating", *triage.VERDICTS)
SEVERITIES: Final = ("low", "medium", "high", "critical")


@click.group()
def alerts() -> None:
    """Alerts: one for each visit, with all that the detections found in it."""


@alerts.command("list")
@click.option(
    "--state",
    "states",
    type=click.Choice(STATES),
    multiple=True,
    help="In this state; repeatable. Default: open.",
)
@click.option("--severity", type=click.Choice(SEVERITIES), multiple=True, help="Of this one; repeatable.")
@click.option("--detection", multiple=True, metavar="NAME", help="Only with a finding of this detection.")
@output.host
@click.option("--container", metavar="NAME", help="Only of the container with this name.")
@output.principal
@click.option("--newest", "by_time", is_flag=True, help="The latest first, not the gravest.")
@output.since
@output.limit
@output.as_json
@click.pass_obj
def list_(
    state: State,
    /,
    *,
    states: tuple[str, ...],
    by_time: bool,
    since: int | None,
    limit: int,
    json_: bool,
    **facets: str | tuple[str, ...] | None,
) -> None:
    r"""Open alerts, the gravest first and of these the latest.

    \b
    Examples:
      nsentry-controller alerts list
      nsentry-controller alerts list --state all --severity high --since 7d --json
    """
    from controller.store import alerts as reads  # noqa: PLC0415 - help does not wait for it

    include: dict[str, tuple[str, ...]] = {
        name: (value,) if isinstance(value, str) else value for name, value in facets.items() if value
    }
    if "all" not in states:
        include["state"] = states or ("open",)
    filters = reads.AlertFilter(include, since=since)
    with state.reading() as connection:
        rows = reads.list_(connection, filters, limit + 1, order="newest" if by_time else "severity")
    columns = {
        "LAST SEEN": lambda row: output.when(row["last_seen"]),
        "SEVERITY": lambda row: output.severity(row["severity"]),
        "STATE": lambda row: text(row["state"]),
        "ID": lambda row: row["id"],
        "EVENTS": lambda row: str(row["events"]),
        "WHAT": lambda row: text(row["sentence"]),
    }
    none = output.nothing("No open alerts.", (*facets.values(), *states, since))
    output.listing(rows, columns, none, limit=limit, json_=json_)


@alerts.command()
@click.argument("alert_id", metavar="ID")
@output.as_json
@click.pass_obj
def show(state: State, alert_id: str, *, json_: bool) -> None:
    r"""One alert: why, who, what, where, how, the commands in order, and its history.

    \b
    Example:
      nsentry-controller alerts show 0f3a5b7c9d1e2f40
    """
    from controller.store import alerts as reads  # noqa: PLC0415 - as above

    with state.reading() as connection:
        found = reads.show(connection, alert_id)
    if found is None:
        raise triage.no_alert(alert_id)
    if json_:
        output.json_line(found)
    else:
        page.alert(found)


@alerts.command()
@click.option("--from-start", is_flag=True, help="Begin with everything that there is.")
@output.as_json
@click.pass_obj
def tail(state: State, *, from_start: bool, json_: bool) -> None:
    r"""Follows the alerts: each that is raised or changed as a line, until Ctrl-C.

    \b
    Examples:
      nsentry-controller alerts tail
      nsentry-controller alerts tail --json | jq -r .alert.sentence
    """
    from controller.store import alerts as reads  # noqa: PLC0415 - as above

    with state.reading() as connection:
        last = 0 if from_start else reads.last_change(connection)
    try:
        while True:
            with state.reading() as connection:
                found = reads.changes(connection, last)
            for each in found:
                last = each["change"]["id"]
                output.json_line(each) if json_ else _change(each)
            if not found:
                time.sleep(POLL_S)
    except KeyboardInterrupt:
        return


def _change(each: ChangeView) -> None:
    alert, change = each["alert"], each["change"]
    by = "" if change["actor"] == "nsentry" else f" by {text(change['actor'])}"
    what = change["action"]
    if what == "state":
        what = text(change["detail"].get("to")).replace("_", " ")
    words = (
        output.when(change["at"]),
        output.severity(alert["severity"]),
        what + by,
        text(alert["sentence"]),
    )
    output.line(f"{'  '.join(words)}  [{alert['id']}]")


for _each in (triage.ack, triage.assign, triage.comment, triage.investigate, triage.close, triage.reopen):
    alerts.add_command(_each)
