# SPDX-License-Identifier: Apache-2.0
"""What a person does about an alert, as commands of `alerts`: each is kept in its history, with who and when."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Final

import click

from controller.cli import output
from controller.cli.group import FailedError
from controller.cli.output import text

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection

    from controller.cli.state import State
    from controller.store.views import AlertState

VERDICTS: Final = ("true_positive", "benign_true_positive", "false_positive")


@click.command()
@click.argument("alert_id", metavar="ID")
@click.option("--assign", "assignee", metavar="NAME", help="Give it to somebody. Default: to you.")
@click.pass_obj
def ack(state: State, alert_id: str, *, assignee: str | None) -> None:
    r"""Acknowledges an alert: it is yours now, and others see that. A closed one stays closed.

    \b
    Example:
      nsentry-controller alerts ack 0f3a5b7c9d1e2f40
    """
    from controller.store import alerts as store  # noqa: PLC0415 - as above

    _set_state(state, alert_id, "acknowledged", None)
    actor = output.actor()
    _write(
        state,
        alert_id,
        lambda connection: store.assign(connection, alert_id, assignee or actor, actor, time.time_ns()),
    )
    output.line(f"acknowledged {text(alert_id)}, assigned to {text(assignee or actor)}")


@click.command()
@click.argument("alert_id", metavar="ID")
@click.option("--to", "assignee", metavar="NAME", help="To whom. Default: to you.")
@click.option("--nobody", is_flag=True, help="Give it back: nobody has it then.")
@click.pass_obj
def assign(state: State, alert_id: str, *, assignee: str | None, nobody: bool) -> None:
    r"""Gives an alert to somebody. Its state stays.

    \b
    Examples:
      nsentry-controller alerts assign 0f3a5b7c9d1e2f40
      nsentry-controller alerts assign 0f3a5b7c9d1e2f40 --to jane
      nsentry-controller alerts assign 0f3a5b7c9d1e2f40 --nobody
    """
    from controller.store import alerts as store  # noqa: PLC0415 - help does not wait for it

    if nobody and assignee:
        raise click.UsageError("--to names somebody, --nobody does not: give one of them")
    actor, now = output.actor(), time.time_ns()
    to = None if nobody else assignee or actor
    _write(state, alert_id, lambda connection: store.assign(connection, alert_id, to, actor, now))
    output.line(f"{text(alert_id)} is assigned to {text(to or 'nobody')}")


@click.command()
@click.argument("alert_id", metavar="ID")
@click.argument("words", metavar="TEXT")
@click.pass_obj
def comment(state: State, alert_id: str, words: str) -> None:
    r"""Adds a comment to an alert, for who looks at it next. TEXT - is read from stdin.

    \b
    Examples:
      nsentry-controller alerts comment 0f3a5b7c9d1e2f40 "asked jane: change 4711"
      nsentry-controller alerts comment 0f3a5b7c9d1e2f40 - < notes
    """
    from controller.store import alerts as store  # noqa: PLC0415 - help does not wait for it

    said = (sys.stdin.read() if words == "-" else words).strip()
    actor, now = output.actor(), time.time_ns()
    _write(state, alert_id, lambda connection: store.comment(connection, alert_id, said, actor, now))
    output.line(f"commented on {text(alert_id)}")


@click.command()
@click.argument("alert_id", metavar="ID")
@click.pass_obj
def investigate(state: State, alert_id: str) -> None:
    r"""Says that an alert is being looked into. A closed one stays closed: see `reopen`.

    \b
    Example:
      nsentry-controller alerts investigate 0f3a5b7c9d1e2f40
    """
    _set_state(state, alert_id, "investigating", None)
    output.line(f"{text(alert_id)} is being investigated")


@click.command()
@click.argument("alert_id", metavar="ID")
@click.option("--as", "verdict", type=click.Choice(VERDICTS), required=True, help="What it was.")
@click.option("--reason", required=True, metavar="TEXT", help="Why: who reads it later was not there.")
@click.pass_obj
def close(state: State, alert_id: str, *, verdict: AlertState, reason: str) -> None:
    r"""Closes an alert. It opens again by itself when a graver finding is added.

    \b
    Example:
      nsentry-controller alerts close 0f3a5b7c9d1e2f40 --as benign_true_positive --reason "change 4711"
    """
    _set_state(state, alert_id, verdict, reason)
    output.line(f"closed {text(alert_id)} as {verdict.replace('_', ' ')}")


@click.command()
@click.argument("alert_id", metavar="ID")
@click.option("--reason", metavar="TEXT", help="Why.")
@click.pass_obj
def reopen(state: State, alert_id: str, *, reason: str | None) -> None:
    r"""Opens a closed alert again: it is being investigated. One that is open is left as it is.

    \b
    Example:
      nsentry-controller alerts reopen 0f3a5b7c9d1e2f40 --reason "change 4711 was not approved"
    """
    from controller.store import alerts as reads  # noqa: PLC0415 - as above
    from controller.store.views import OPEN_STATES  # noqa: PLC0415 - as above

    with state.reading() as connection:
        found = reads.show(connection, alert_id, max_events=0)
    if found is not None and found["state"] in OPEN_STATES:
        raise FailedError(f"alert {text(alert_id)} is open: its state is {found['state']}")
    _set_state(state, alert_id, "investigating", reason, reopens=True)
    output.line(f"opened {text(alert_id)} again")


def _set_state(
    state: State, alert_id: str, wanted: AlertState, reason: str | None, *, reopens: bool = False
) -> None:
    from controller.store import alerts as store  # noqa: PLC0415 - help does not wait for it

    actor, now = output.actor(), time.time_ns()
    _write(
        state,
        alert_id,
        lambda connection: store.set_state(connection, alert_id, wanted, actor, reason, now, reopen=reopens),
    )


def _write(state: State, alert_id: str, work: Callable[[Connection], bool]) -> None:
    """Makes one change. FailedError: it cannot be made, or there is no such alert."""
    from controller.store import alerts as store  # noqa: PLC0415 - as above

    try:
        found = state.write(work)
    except store.ClosedError as error:
        advice = f"nothing was changed; 'nsentry-controller alerts reopen {text(alert_id)}' opens it again"
        raise FailedError(f"{error}: {advice}") from error
    except ValueError as error:
        raise FailedError(str(error)) from error
    if not found:
        raise no_alert(alert_id)


def no_alert(alert_id: str) -> FailedError:
    """What is said where no alert has this id."""
    return FailedError(
        f"there is no alert {text(alert_id)}: see 'nsentry-controller alerts list --state all'"
    )
