# SPDX-License-Identifier: Apache-2.0
"""`detections`: what is looked for, whether the rules keep their promises, and what ATT&CK calls it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from controller.cli import output
from controller.cli.group import FailedError
from controller.detect import attack, catalogue, check, examples

if TYPE_CHECKING:
    from collections.abc import Sequence

    from controller.cli.state import State
    from controller.detect.catalogue import Detection


@click.group()
def detections() -> None:
    """Detections: a rule, its strategy document, its tests and its emulation, one folder each."""


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
        for each in _loaded(state.sigma_rules())
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
        "TITLE": lambda row: row["title"],
    }
    output.table(columns, rows, "No detections.")


@detections.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option(
    "--root",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of detections. Default: those that come with nsentry.",
)
@output.as_json
def test(names: Sequence[str], root: Path | None, *, json_: bool) -> None:
    r"""Checks the folders and runs their tests; every problem with its file and line.

    \b
    Examples:
      nsentry-controller detections test
      nsentry-controller detections test ns_join
      nsentry-controller detections test --root my-detections --json
    """
    folders = _folders(root or catalogue.BUILT_IN, names)
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
@output.as_json
def coverage(*, json_: bool) -> None:
    r"""ATT&CK techniques, and the detections that look for each.

    \b
    Examples:
      nsentry-controller detections coverage
      nsentry-controller detections coverage --json
    """
    by_technique: dict[str, list[str]] = {}
    for each in _loaded():
        for technique in each.techniques:
            by_technique.setdefault(technique, []).append(each.id)
    known = attack.techniques()
    rows = [
        {
            "technique": technique,
            "name": known[technique].name,
            "tactics": list(known[technique].tactics),
            "detections": by_technique[technique],
        }
        for technique in sorted(by_technique)
        if technique in known
    ]
    if json_:
        output.json_lines(rows)
        return
    columns = {
        "TECHNIQUE": lambda row: row["technique"],
        "DETECTIONS": lambda row: " ".join(row["detections"]),
        "NAME": lambda row: row["name"],
    }
    output.table(columns, rows, "No detections.")


COUNTS = ("evaluations", "findings", "errors", "slow", "skipped", "cpu_us")
"""Of the engine: what it counts for each detection."""


def _loaded(sigma_rules: Path | None = None) -> list[Detection]:
    from controller.detect import installed  # noqa: PLC0415 - help does not wait for it

    loaded, problems = installed.detections(sigma_rules)
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


def _folders(root: Path, names: Sequence[str]) -> list[Path]:
    """The folders of those names, all without any. BadParameter for one that does not exist."""
    all_ = catalogue.folders(root)
    by_name = {each.name: each for each in all_}
    for name in names:
        if name not in by_name:
            raise click.BadParameter(f"no detection {name!r}; there are {', '.join(by_name)}")
    return [by_name[name] for name in names] if names else all_
