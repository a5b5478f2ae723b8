# SPDX-License-Identifier: Apache-2.0
"""`baseline`: what is normal for an image or a workload; what of it people accept, ship and compare."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final, cast

import click

from controller.cli import baseline_documents, output
from controller.cli.group import FailedError
from controller.cli.output import text, when

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection

    from controller.cli.state import State
    from controller.detect.baseline import State as BaselineState

HOUR_NS: Final = 3600 * 1_000_000_000


@click.group()
def baseline() -> None:
    r"""What is normal, by image and by workload: programs, arguments, users, destinations; of visits who, how, when.

    A baseline learns for a day what containers do of themselves. It is ready then: what is new waits here for a
    word. Of visits it learns only those that somebody approves.
    """


@baseline.command("list")
@output.limit
@output.as_json
@click.pass_obj
def list_(state: State, *, limit: int, json_: bool) -> None:
    r"""Baselines, those with the most that waits for a word first.

    \b
    Examples:
      nsentry-controller baseline list
      nsentry-controller baseline list --json | jq -r 'select(.waiting > 0).subject'
    """
    from controller.store import baselines  # noqa: PLC0415 - help does not wait for it

    with state.reading() as connection:
        rows = baselines.list_(connection, time.time_ns(), limit + 1)
    columns = {
        "SUBJECT": lambda row: text(row["subject"]),
        "STATE": lambda row: row["state"],
        "UNTIL": lambda row: when(row["until"]) if row["state"] == "learning" else "",
        "KNOWN": lambda row: str(row["known"]),
        "WAITING": lambda row: str(row["waiting"]),
        "REJECTED": lambda row: str(row["rejected"]),
        "LEFT OUT": lambda row: str(row["left_out"]),
        "LAST BY": lambda row: text(row["author"]) if row["author"] else "",
    }
    output.listing(
        rows, columns, "No baselines: no container has done anything yet.", limit=limit, json_=json_
    )


@baseline.command()
@click.argument("subject")
@output.as_json
@click.pass_obj
def show(state: State, subject: str, *, json_: bool) -> None:
    r"""One baseline: its traits, what waits first. Each has a key, by which it is accepted or rejected.

    \b
    Example:
      nsentry-controller baseline show "workload shop/cart/app"
    """
    from controller.store import baselines  # noqa: PLC0415 - as above

    with state.reading() as connection:
        found = baselines.show(connection, subject, time.time_ns())
        traits = baselines.traits_of(connection, subject)
    if found is None:
        raise _none(subject)
    if json_:
        output.json_line({**found, "traits": traits})
        return
    output.line(f"{text(found['subject'])}: {found['state']}")
    columns = {
        "KEY": lambda row: row["key"],
        "STATUS": lambda row: row["status"],
        "SIDE": lambda row: row["side"],
        "FACET": lambda row: row["facet"],
        "VALUE": lambda row: text(row["value"]),
        "SINCE": lambda row: when(row["first"]),
        "OF": lambda row: text(row["source"])[:24],
        "BY": lambda row: text(row["author"]) if row["author"] else "learned",
    }
    output.table(columns, traits, "Nothing of it was seen yet.")


@baseline.command()
@click.argument("subject")
@click.argument("keys", metavar="KEY...", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="All that waits.")
@click.pass_obj
def accept(state: State, subject: str, keys: tuple[str, ...], *, everything: bool) -> None:
    r"""Makes traits part of what is normal.

    \b
    Examples:
      nsentry-controller baseline accept "image redis:7" 3f2a90bb17c0d4e1
      nsentry-controller baseline accept "image redis:7" --all
    """
    _decide(state, subject, keys, everything, "known")


@baseline.command()
@click.argument("subject")
@click.argument("keys", metavar="KEY...", nargs=-1, required=True)
@click.pass_obj
def reject(state: State, subject: str, keys: tuple[str, ...]) -> None:
    r"""Says of traits that they are not normal: a detection fires whenever they are seen.

    \b
    Example:
      nsentry-controller baseline reject "image redis:7" 3f2a90bb17c0d4e1
    """
    _decide(state, subject, keys, False, "rejected")


@baseline.command()
@click.argument("subject")
@click.option("--hours", type=click.IntRange(1, 24 * 90), default=24, show_default=True, help="For so long.")
@click.pass_obj
def learn(state: State, subject: str, *, hours: int) -> None:
    r"""Lets a baseline learn again, from now on: after a release that changes what is normal.

    \b
    Example:
      nsentry-controller baseline learn "workload shop/cart/app" --hours 72
    """
    _set_state(state, subject, "learning", hours * HOUR_NS)


@baseline.command()
@click.argument("subject")
@click.pass_obj
def ready(state: State, subject: str) -> None:
    r"""Ends its learning, or thaws it: what is new waits for a word from now on.

    \b
    Example:
      nsentry-controller baseline ready "image redis:7"
    """
    _set_state(state, subject, "ready")


@baseline.command()
@click.argument("subject")
@click.pass_obj
def freeze(state: State, subject: str) -> None:
    r"""Lets nothing change it until `baseline ready`: neither learning, nor accepting, nor an approved visit.

    \b
    Example:
      nsentry-controller baseline freeze "image redis:7"
    """
    _set_state(state, subject, "frozen")


@baseline.command()
@click.argument("session")
@click.pass_obj
def approve(state: State, session: str) -> None:
    r"""Makes a visit part of what is normal for visits to that image and workload.

    Its way in, programs, arguments, users, parents, hours, and who it was. The container's own normal is untouched.

    \b
    Example:
      nsentry-controller baseline approve "$(nsentry-controller sessions list --json | jq -r .id | head -1)"
    """
    from controller.detect import approving  # noqa: PLC0415 - as above

    by = (output.actor(), time.time_ns())
    try:
        approved = state.write(lambda connection: approving.approve(connection, session, by))
    except ValueError as error:
        raise FailedError(str(error)) from error
    if approved is None:
        raise FailedError(
            f"there is no session {text(session)} in a known container: see 'nsentry-controller sessions list'"
        )
    subjects, new = approved
    output.line(f"approved: {new} new traits in {text(', '.join(subjects))}")


def _decide(state: State, subject: str, keys: tuple[str, ...], everything: bool, status: str) -> None:
    from controller.store import baselines  # noqa: PLC0415 - as above

    if bool(keys) == everything:
        raise click.UsageError("name the keys of traits, or give --all (see 'baseline show')")
    by = (output.actor(), time.time_ns())
    count = _change(
        state,
        subject,
        lambda connection: baselines.decide(connection, subject, keys or None, status, by),
    )
    if count == 0 and keys:
        raise FailedError(f"nothing was changed: {text(subject)} has no such trait, or has it so already")
    output.line(f"{count} traits {'accepted' if status == 'known' else 'rejected'}")


def _set_state(state: State, subject: str, wanted: str, learn_ns: int = 24 * HOUR_NS) -> None:
    from controller.store import baselines  # noqa: PLC0415 - as above

    by = (output.actor(), time.time_ns())
    _change(
        state,
        subject,
        lambda connection: baselines.set_state(
            connection, subject, cast("BaselineState", wanted), by, learn_ns
        ),
    )
    output.line(f"{text(subject)} is {wanted} now")


def _change(state: State, subject: str, work: Callable[[Connection], int]) -> int:
    from controller.store import baselines  # noqa: PLC0415 - as above

    with state.reading() as connection:
        if baselines.show(connection, subject, time.time_ns()) is None:
            raise _none(subject)
    try:
        return state.write(work)
    except baselines.FrozenError as error:
        raise FailedError(f"{error} (nsentry-controller baseline ready ...)") from error


def _none(subject: str) -> FailedError:
    return FailedError(f"there is no baseline of {text(subject)}: see 'nsentry-controller baseline list'")


for _command in baseline_documents.COMMANDS:
    baseline.add_command(_command)
