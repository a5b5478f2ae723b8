# SPDX-License-Identifier: Apache-2.0
"""`sigma`: which Sigma rules nsentry can evaluate, and why not the others."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from controller.cli import output

if TYPE_CHECKING:
    from controller.detect.catalogue import Problem


@click.group()
def sigma() -> None:
    """Sigma rules as detections, from the folder that [sigma] in controller.toml names (docs/sigma.md)."""


@sigma.command()
@click.argument("path", type=click.Path(exists=True, path_type=Path))
@click.option("--all", "all_", is_flag=True, help="Name the rules for other logs (Windows, cloud) too.")
@output.as_json
@click.pass_context
def check(context: click.Context, path: Path, *, all_: bool, json_: bool) -> None:
    r"""The share of rules that map, and what cannot be mapped, by file and line. Exit code 1 if something cannot.

    \b
    Examples:
      nsentry-controller sigma check rules/
      nsentry-controller sigma check rules/ --json | jq -r .problems[].problem
    """
    from controller.sigma.rules import load  # noqa: PLC0415 - loads pySigma

    loaded = load(path)
    if json_:
        output.json_line(
            {
                "rules": loaded.rules,
                "mapped": len(loaded.detections),
                "other_logs": len(loaded.others),
                "share": round(loaded.share, 4),
                "detections": [
                    {
                        "id": each.id,
                        "title": each.title,
                        "severity": each.severity.label,
                        "kinds": sorted(each.kinds),
                    }
                    for each in loaded.detections
                ],
                "problems": [_problem(each) for each in loaded.problems],
                **({"others": [_problem(each) for each in loaded.others]} if all_ else {}),
            }
        )
    else:
        for each in [*loaded.problems, *(loaded.others if all_ else ())]:
            output.line(output.text(each))
        output.line(
            f"{len(loaded.detections)} of {loaded.rules - len(loaded.others)} rules map ({loaded.share:.0%}); "
            f"{len(loaded.others)} are for other logs"
        )
    context.exit(1 if loaded.problems else 0)


def _problem(problem: Problem) -> dict[str, object]:
    return {"file": str(problem.path), "line": problem.line, "problem": problem.text}
