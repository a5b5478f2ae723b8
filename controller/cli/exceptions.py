# SPDX-License-Identifier: Apache-2.0
"""`exceptions`: what is found and is no alert, by whose word, why and until when."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from controller.cli import output, times
from controller.cli.group import FailedError
from controller.cli.output import text, when

if TYPE_CHECKING:
    from controller.cli.state import State
    from controller.policy.expression import Expression
    from controller.store.exceptions import ExceptionView
    from controller.store.hindsight import Preview
    from controller.store.views import WithheldView

DAY_NS = 86_400 * 10**9
_detection = click.option(
    "--detection", metavar="NAME", help="Only of this detection. Without it, findings of all of them."
)
_expires = click.option(
    "--expires",
    type=times.Later(),
    required=True,
    metavar="TIME",
    help="Until when: RFC 3339, 17:00 (UTC), or 30d from now. A year at most.",
)
_reason = click.option("--reason", required=True, metavar="TEXT", help="Why. It is kept, and shown.")


@click.group()
def exceptions() -> None:
    r"""What is found and is no alert. Excepted findings are kept, counted and shown, with the exception's name.

    An expression compares fields: 'nsentry-controller exceptions fields' lists them, with the operators.

    \b
    Example:
      nsentry-controller exceptions preview 'container.image like "backup:*"' --detection network_tool
    """


@exceptions.command("list")
@click.option(
    "--state",
    "states",
    multiple=True,
    type=click.Choice(("active", "expired", "removed")),
    help="Only those. May be given again. Default: active and expired.",
)
@output.as_json
@click.pass_obj
def list_(state: State, states: tuple[str, ...], *, json_: bool) -> None:
    r"""The exceptions: active ones first, the soonest to expire before the others.

    \b
    Examples:
      nsentry-controller exceptions list
      nsentry-controller exceptions list --state removed --json
    """
    from controller.store import exceptions as store  # noqa: PLC0415 - help does not wait for it

    wanted = states or ("active", "expired")
    with state.reading() as connection:
        rows = store.list_(connection, time.time_ns(), wanted)  # type: ignore[arg-type]
    if json_:
        output.json_lines(rows)
        return
    columns = {
        "NAME": lambda row: text(row["name"]),
        "STATE": lambda row: row["state"],
        "DETECTION": lambda row: text(row["detection"] or "all"),
        "EXPIRES": lambda row: when(row["expires"]),
        "WITHHELD": lambda row: f"{row['findings']} in {row['visits']}",
        "AUTHOR": lambda row: text(row["author"]),
        "EXPRESSION": lambda row: text(row["expression"]),
    }
    output.table(columns, rows, "No exceptions.")


@exceptions.command()
@output.as_json
def fields(*, json_: bool) -> None:
    r"""The fields that an expression may look at, with their types, and what can be asked of them.

    \b
    Examples:
      nsentry-controller exceptions fields
      nsentry-controller exceptions fields --json | jq -r .field
    """
    from controller.policy.expression import OPERATORS_OF  # noqa: PLC0415 - as above
    from controller.policy.fields import FIELDS  # noqa: PLC0415 - as above

    rows = [
        {
            "field": name,
            "type": each.type,
            "operators": list(OPERATORS_OF[each.type]),
            "meaning": each.meaning,
        }
        for name, each in FIELDS.items()
    ]
    if json_:
        output.json_lines(rows)
        return
    columns = {
        "FIELD": lambda row: row["field"],
        "TYPE": lambda row: row["type"],
        "OPERATORS": lambda row: " ".join(row["operators"]),
        "MEANING": lambda row: row["meaning"],
    }
    output.table(columns, rows, "")
    output.line('Each also takes: is known, is unknown. Combine with and, or, not, ( ). Texts: "...".')


@exceptions.command()
@click.argument("expression")
@_detection
@click.option(
    "--days", type=click.IntRange(1, 3650), default=30, show_default=True, help="How far to look back."
)
@output.as_json
@click.pass_obj
def preview(state: State, expression: str, detection: str | None, days: int, *, json_: bool) -> None:
    r"""What EXPRESSION would have hidden in the last days, among them how many were marked true.

    \b
    Examples:
      nsentry-controller exceptions preview 'principal == "backup" and hour < 5' --detection network_tool
      nsentry-controller exceptions preview 'host like "build-*"' --days 90 --json
    """
    _known_detection(state, detection)
    told = _preview(state, _parsed(expression), detection, days)
    if json_:
        output.json_line(told)
        return
    _say(told, days)
    columns = {
        "ALERT": lambda row: row["alert"],
        "SEVERITY": lambda row: output.severity(row["severity"]),
        "STATE": lambda row: row["state"].replace("_", " "),
        "LAST SEEN": lambda row: when(row["last_seen"]),
        "HIDDEN": lambda row: "all" if row["whole"] else " ".join(row["detections"]),
        "TITLE": lambda row: text(row["title"]),
    }
    output.table(columns, told["alerts"][:50], "It would have hidden nothing.")


@exceptions.command()
@click.argument("name")
@click.argument("expression")
@_detection
@_reason
@_expires
@click.option(
    "--despite-true-positives",
    "despite",
    is_flag=True,
    help="Add it though it would have hidden alerts that were marked true.",
)
@click.pass_obj
def add(
    state: State,
    name: str,
    expression: str,
    detection: str | None,
    reason: str,
    expires: int,
    *,
    despite: bool,
) -> None:
    r"""Adds the exception NAME: findings for which EXPRESSION holds are no alert until it expires.

    \b
    Examples:
      nsentry-controller exceptions add nightly-backup 'container.image like "backup:*" and hour < 5' \
          --detection network_tool --reason "the backup fetches its keys" --expires 90d
    """
    from controller.store import exceptions as store  # noqa: PLC0415 - as above

    _known_detection(state, detection)
    told = _preview(state, _parsed(expression), detection, 30)
    _say(told, 30)
    wanted = store.Wanted(expression, detection, told["true_positives"], despite)
    now = time.time_ns()
    try:
        state.write(
            lambda connection: store.add(
                connection, name, wanted, author=output.actor(), reason=reason, expires=expires, now=now
            )
        )
    except store.HidesTrueError as error:
        advice = "make it narrower, or say --despite-true-positives"
        raise FailedError(f"not added: {error}; {advice}") from error
    except ValueError as error:
        raise FailedError(f"not added: {error}") from error
    output.line(f"added {text(name)}")


@exceptions.command()
@click.argument("name")
@output.as_json
@click.pass_obj
def show(state: State, name: str, *, json_: bool) -> None:
    r"""One exception, and the latest findings that it withheld.

    \b
    Examples:
      nsentry-controller exceptions show nightly-backup
      nsentry-controller exceptions show nightly-backup --json | jq .withheld
    """
    from controller.store import exceptions as store  # noqa: PLC0415 - as above
    from controller.store import withheld  # noqa: PLC0415 - as above

    with state.reading() as connection:
        found = store.show(connection, name, time.time_ns())
        kept = withheld.by(connection, "exception", name)
    if found is None:
        raise _none(name)
    if json_:
        output.json_line({**found, "withheld": kept})
        return
    output.fields([(key.replace("_", " "), text(value)) for key, value in _shown(found)])
    output.line("")
    withheld_table(kept)


@exceptions.command()
@click.argument("name")
@click.option("--reason", metavar="TEXT", help="Why. It is kept in the audit log.")
@click.pass_obj
def remove(state: State, name: str, reason: str | None) -> None:
    r"""Ends an exception. What it withheld stays as it is, and it stays listed as removed.

    \b
    Example:
      nsentry-controller exceptions remove nightly-backup --reason "the backup has its own network now"
    """
    from controller.store import exceptions as store  # noqa: PLC0415 - as above

    now = time.time_ns()
    if not state.write(lambda connection: store.remove(connection, name, output.actor(), reason, now)):
        raise _none(name)
    output.line(f"removed {text(name)}")


@exceptions.command()
@click.argument("name")
@_expires
@_reason
@click.pass_obj
def extend(state: State, name: str, expires: int, reason: str) -> None:
    r"""Gives an exception another expiry, also one that has expired.

    \b
    Example:
      nsentry-controller exceptions extend nightly-backup --expires 90d --reason "reviewed, still the same"
    """
    from controller.store import exceptions as store  # noqa: PLC0415 - as above

    now = time.time_ns()
    try:
        found = state.write(
            lambda connection: store.extend(connection, name, expires, output.actor(), reason, now)
        )
    except ValueError as error:
        raise FailedError(f"not extended: {error}") from error
    if not found:
        raise _none(name)
    output.line(f"extended {text(name)}")


def withheld_table(rows: list[WithheldView]) -> None:
    """Findings that were withheld."""
    columns = {
        "TIME": lambda row: when(row["time"]),
        "SEVERITY": lambda row: output.severity(row["severity"]),
        "DETECTION": lambda row: text(row["detection"]),
        "SESSION": lambda row: text(row["session"]),
        "REASON": lambda row: text(row["reason"]),
    }
    output.table(columns, rows, "It has withheld nothing so far.")


def _shown(found: ExceptionView) -> list[tuple[str, object]]:
    return [(key, value) for key, value in found.items() if not key.endswith("_ns")]


def _parsed(expression: str) -> Expression:
    from controller.policy.expression import ExpressionError, parse  # noqa: PLC0415 - as above

    try:
        return parse(expression)
    except ExpressionError as error:
        raise click.UsageError(f"EXPRESSION: {error}") from error


def _known_detection(state: State, name: str | None) -> None:
    from controller.detect import installed  # noqa: PLC0415 - as above

    names = [each.name for each in installed.folders(state.own_detections())]
    if name is not None and name not in names:
        raise click.UsageError(
            f"there is no detection {text(name)}: see 'nsentry-controller detections list'"
        )


def _preview(state: State, expression: Expression, detection: str | None, days: int) -> Preview:
    from controller.store import hindsight  # noqa: PLC0415 - as above

    since = time.time_ns() - days * DAY_NS
    with state.reading() as connection, output.progress("findings looked at") as progress:
        return hindsight.preview(connection, expression, detection, since, progress)


def _say(told: Preview, days: int) -> None:
    marked = ", ".join(
        f"{count} {state.replace('_', ' ')}" for state, count in sorted(told["states"].items())
    )
    output.line(
        f"In the last {days} days it would have hidden {told['hidden_findings']} of {told['findings']} findings"
        f" and {told['hidden_alerts']} whole alerts{f' (of alerts: {marked})' if marked else ''}; "
        f"marked true: {told['true_positives']}"
    )


def _none(name: str) -> FailedError:
    return FailedError(f"there is no exception {text(name)} to do that with: see 'exceptions list'")
