# SPDX-License-Identifier: Apache-2.0
"""`emulate benign`: a day's ordinary work on containers, of which nothing may be told."""

from __future__ import annotations

import signal
import sys
from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from controller.cli import output, staged_where
from controller.cli.group import FailedError, UnreachableError
from controller.cli.quiet_day import Day, Result
from controller.emulation import chores
from controller.emulation.clients import UnreachableRuntimeError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from controller.cli.staged_where import Where
    from controller.cli.state import State


@click.command()
@click.argument("names", nargs=-1, metavar="[CHORE]...")
@staged_where.options
@click.option(
    "--untold",
    is_flag=True,
    help="Open no window and add no exception: shows what would be told where nobody had said anything.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(1, 600),
    default=60.0,
    show_default=True,
    help="Seconds to wait for the last visit to be seen and judged.",
)
@output.as_json
@click.pass_obj
def benign(
    state: State, names: Sequence[str], *, where: Where, untold: bool, timeout: float, json_: bool
) -> None:
    r"""A day of backups, probes, log rotation, releases, builds, playbooks, CI jobs and on-call work: no alert.

    All chores, or those that are named, are done to containers made for them. What an operator would have said
    of each (an approval window for who is on call, exceptions) is said before, for these containers alone, marked
    as emulation in the audit log, and taken back at the end. The table tells what was found and by what it was
    kept quiet. Exit code 1 if anything was told.

    \b
    Examples:
      nsentry-controller emulate benign
      nsentry-controller emulate benign --untold
      nsentry-controller emulate benign on_call log_rotation --runtime podman --json
    """
    chosen = _chosen(names, where.runtime.name)
    state.settings()  # says at once that there is no controller here
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was made and said is taken back
    try:
        where.runtime.check()
    except UnreachableRuntimeError as error:
        raise UnreachableError(str(error)) from error
    day = Day(state, where.runtime, timeout, untold=untold)
    with day.whole():
        with where.runtime.image(where.image) as image:
            for each in chosen:
                day.do(each, image)
            day.settle(image)
        results = day.results()
    if json_:
        output.json_lines([asdict(each) for each in results])
    else:
        _table(results)
    loud = [each.chore for each in results if not each.quiet]
    if loud:
        raise FailedError(f"{len(loud)} of {len(results)} were not quiet: {', '.join(loud)}")


def _chosen(names: Sequence[str], runtime: str) -> list[chores.Chore]:
    by_name = {each.name: each for each in chores.load_all()}
    for name in names:
        if name not in by_name:
            raise click.BadParameter(f"no chore {name!r}; there are {', '.join(by_name)}")
        if runtime not in by_name[name].runtimes:
            raise click.BadParameter(f"{name} is not for {runtime}")
    able = [each for each in by_name.values() if runtime in each.runtimes]
    if not names and (left := [each.name for each in by_name.values() if each not in able]):
        click.echo(f"left out, not for {runtime}: {', '.join(left)}", err=True)
    return [by_name[name] for name in dict.fromkeys(names)] or able


def _table(results: Sequence[Result]) -> None:
    columns: dict[str, Callable[[Result], str]] = {
        "CHORE": lambda each: each.chore,
        "QUIET": lambda each: "yes" if each.quiet else "NO",
        "VISITS": lambda each: str(each.visits),
        "FOUND": lambda each: output.text(", ".join(_found(each)) or "-"),
        "QUIET BY": lambda each: output.text(", ".join(_quiet_by(each)) or "-"),
        "TOLD": lambda each: output.text(" ".join(_told(each)) or "-"),
        "": lambda each: "" if each.error is None else output.text(each.error),
    }
    output.table(columns, results, "Nothing was done.")


def _found(result: Result) -> list[str]:
    """The detections whose findings were withheld, and how often."""
    times = Counter(each["detection"] for each in result.withheld)
    return [name if count == 1 else f"{name} ({count})" for name, count in sorted(times.items())]


def _quiet_by(result: Result) -> list[str]:
    """What kept it quiet: nothing, where nothing was found."""
    probes = [f"{result.probes} known as probes"] if result.probes else []
    return [*probes, *sorted({each["because"] for each in result.withheld})]


def _told(result: Result) -> list[str]:
    return sorted({name for alert in result.alerts for name in alert["detections"]})
