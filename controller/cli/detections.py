# SPDX-License-Identifier: Apache-2.0
"""`detections`: what is looked for, whether the rules keep their promises, and what ATT&CK calls it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from controller.cli import output, times
from controller.cli.detection_new import new
from controller.cli.group import FailedError
from controller.cli.proven import coverage
from controller.detect import catalogue, check, examples

if TYPE_CHECKING:
    from collections.abc import Sequence

    from controller.cli.state import State
    from controller.detect.catalogue import Detection


@click.group()
def detections() -> None:
    """Detections: a rule, its strategy document, its tests and its emulation, one folder each."""


detections.add_command(new)


@detections.command("list")
@output.as_json
@click.pass_obj
def list_(state: State, *, json_: bool) -> None:
    r"""All detections, with what the controller counted while running them.

    \b
    Examples:
      nsentry-controller detections list
      nsentry-controller detections list --json | jq -r 'select(.errors > 0) | .id'
    """
    counts = _counts(state)
    rows = [
        {
            "id": each.id,
            "title": each.title,
            "severity": each.severity.label,
            "techniques": list(each.techniques),
            "description": each.description,
            "folder": str(each.folder),
            **{name: counts.get(f"detect.{each.id}.{name}", 0) for name in COUNTS},
        }
        for each in _loaded(state)
    ]
    if json_:
        output.json_lines(rows)
        return
    columns = {
        "ID": lambda row: row["id"],
        "SEVERITY": lambda row: output.severity(row["severity"]),
        "TECHNIQUES": lambda row: " ".join(row["techniques"]),
        "JUDGED": lambda row: str(row["evaluations"]),
        "FIRED": lambda row: str(row["findings"]),
        "ERRORS": lambda row: str(row["errors"]),
        "SLOW": lambda row: str(row["slow"] + row["skipped"]),
        "TITLE": lambda row: row["title"],
    }
    output.table(columns, rows, "No detections.")


@detections.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option(
    "--root",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of detections. Default: those in use, nsentry's and your own.",
)
@output.as_json
@click.pass_obj
def test(state: State, names: Sequence[str], root: Path | None, *, json_: bool) -> None:
    r"""Checks the folders and runs their tests; every problem with its file and line.

    \b
    Examples:
      nsentry-controller detections test
      nsentry-controller detections test ns_join
      nsentry-controller detections test --root my-detections --json
    """
    folders = _folders(state, root, names)
    results = [(folder, check.test(folder), len(examples.load(folder)[0])) for folder in folders]
    for folder, problems, tests in results:
        if json_:
            said = [{"file": str(each.path), "line": each.line, "problem": each.text} for each in problems]
            output.json_line({"id": folder.name, "ok": not problems, "tests": tests, "problems": said})
            continue
        for each in problems:
            output.line(output.text(each))
        if not problems:
            output.line(f"ok  {folder.name}: {tests} tests")
    wrong = [folder.name for folder, problems, _ in results if problems]
    if wrong:
        raise FailedError(f"{len(wrong)} of {len(results)} detections have problems: {', '.join(wrong)}")


@detections.command()
@click.argument("name")
@click.option(
    "--since", type=times.Moment(), metavar="TIME", default="7d", show_default=True, help="From then on."
)
@output.until
@click.option(
    "--root",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of detections that holds the changed one. Default: those in use, nsentry's and your own.",
)
@output.as_json
@click.pass_obj
def backtest(
    state: State, name: str, since: int, until: int | None, root: Path | None, *, json_: bool
) -> None:
    r"""Replays stored events through the rule NAME as it is now: what it raises that was not raised, and the contrary.

    Knobs are those in force. Exceptions and approvals do not matter: the rule fired all the same. Nothing is written.

    \b
    Examples:
      nsentry-controller detections backtest network_tool --since 7d
      nsentry-controller detections backtest mine --root my-detections --since 24h --json
    """
    from controller.detect import backtest as testing  # noqa: PLC0415 - help does not wait for it
    from controller.store import knobs  # noqa: PLC0415 - as above

    detection = _changed(state, name, root)
    settings, end = state.settings().knobs, until or time.time_ns()
    with state.reading() as connection, output.progress("visits and events judged") as progress:
        in_force = knobs.in_force(connection, settings)
        done = testing.backtest(connection, detection, since, end, in_force, progress)
    if json_:
        output.json_lines(done.outcomes)
    else:
        columns = {
            "OUTCOME": lambda row: row["outcome"],
            "TIME": lambda row: output.when(row["time"]),
            "NOW": lambda row: output.severity(row["severity"]) if row["severity"] else output.UNKNOWN,
            "BEFORE": lambda row: output.severity(row["before"]) if row["before"] else output.UNKNOWN,
            "HOST": lambda row: output.text(row["host"]),
            "SESSION": lambda row: output.text(row["session"]),
            "REASON": lambda row: output.text(row["reason"]),
        }
        output.table(columns, done.outcomes, "It fires on nothing in that time, and did not then.")
    kinds = ("new", "gone", "same", "graver", "milder")
    counts = {kind: sum(row["outcome"] == kind for row in done.outcomes) for kind in kinds}
    told = ", ".join(f"{count} {kind}" for kind, count in counts.items())
    click.echo(f"{done.judged} visits and events judged: {told}", err=True)
    if done.errors:
        raise FailedError(f"the rule raised an exception on {done.errors} events: the log above says which")


detections.add_command(coverage)


COUNTS = ("evaluations", "findings", "errors", "slow", "skipped", "cpu_us")
"""Of the engine: what it counts for each detection."""


def _changed(state: State, name: str, root: Path | None) -> Detection:
    """The detection of this name as it is on the disk now: of `root`, else of those in use, Sigma rules included."""
    if root is None and name.startswith("sigma_"):
        named = {each.id: each for each in _loaded(state)}
        if name in named:
            return named[name]
    (folder,) = _folders(state, root, [name])
    try:
        return catalogue.load(folder)
    except catalogue.BrokenRuleError as error:
        raise FailedError(str(error)) from error


def _loaded(state: State) -> list[Detection]:
    from controller.detect import installed  # noqa: PLC0415 - help does not wait for it

    loaded, problems = installed.detections(state.sigma_rules(), state.own_detections())
    for problem in problems:
        click.echo(f"left out: {output.text(problem)}", err=True)
    return loaded


def _counts(state: State) -> dict[str, int]:
    """What was counted so far; nothing where no controller was set up: the list is of use all the same."""
    from controller.errors import ConfigurationError  # noqa: PLC0415 - help does not wait for it
    from controller.store import counters  # noqa: PLC0415 - as above

    try:
        with state.reading() as connection:
            return counters.all_(connection, "detect.")
    except ConfigurationError:
        return {}


def _folders(state: State, root: Path | None, names: Sequence[str]) -> list[Path]:
    """The folders of those names, all without any: of `root`, else of those in use. BadParameter: there is none."""
    from controller.detect import installed  # noqa: PLC0415 - help does not wait for it

    all_ = installed.folders(state.own_detections()) if root is None else catalogue.folders(root)
    by_name = {each.name: each for each in all_}
    for name in names:
        if name not in by_name:
            raise click.BadParameter(f"no detection {name!r}; there are {', '.join(by_name)}")
    return [by_name[name] for name in names] if names else all_
