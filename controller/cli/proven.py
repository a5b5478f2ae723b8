# SPDX-License-Identifier: Apache-2.0
"""`detections coverage`: techniques, the detections that look for each, and when these were last seen to fire."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from controller.cli import output
from controller.detect import attack, navigator

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from controller.cli.state import State
    from controller.detect.catalogue import Detection
    from controller.store.emulations import Proof

SECOND_NS = 1_000_000_000
DAY_NS = 86_400 * SECOND_NS


@click.command()
@click.option("--host", metavar="HOST", help="Only what was proven on this host counts.")
@click.option(
    "--stale",
    type=click.FloatRange(0.01, 3650),
    metavar="DAYS",
    help="A proof older than this is stale. Default: [emulation] stale of the settings, else 30.",
)
@click.option(
    "--navigator",
    "layer",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write a layer of the ATT&CK Navigator to this file.",
)
@output.as_json
@click.pass_obj
def coverage(state: State, *, host: str | None, stale: float | None, layer: Path | None, json_: bool) -> None:
    r"""ATT&CK techniques, the detections that look for each, and when they were last proven by emulation.

    \b
    Examples:
      nsentry-controller detections coverage
      nsentry-controller detections coverage --host node1 --stale 7
      nsentry-controller detections coverage --navigator layer.json
    """
    allowed = state.stale_s() * SECOND_NS if stale is None else int(stale * DAY_NS)
    rows = _rows(_known(state), proven_at(state, host), time.time_ns() - allowed)
    if layer is not None:
        layer.write_text(json.dumps(navigator.layer(_by_technique(rows)), indent=2) + "\n", encoding="utf-8")
    if json_:
        output.json_lines(_by_technique(rows))
        return
    columns = {
        "TECHNIQUE": lambda row: str(row["technique"]),
        "DETECTION": lambda row: str(row["detection"]),
        "LAST PROVEN": lambda row: output.text(row["proven"] or "never"),
        "STATE": lambda row: str(row["state"]),
        "NAME": lambda row: str(row["name"]),
    }
    output.table(columns, rows, "No detections.")


def proven_at(state: State, host: str | None = None) -> dict[str, Proof]:
    """The latest proof of each detection; none where no controller was set up."""
    from controller.errors import ConfigurationError  # noqa: PLC0415 - help does not wait for it
    from controller.store import emulations  # noqa: PLC0415 - as above

    try:
        with state.reading() as connection:
            proofs = emulations.proofs(connection, host)
    except ConfigurationError:
        return {}
    proven = sorted((each for each in proofs if each["proven_ns"]), key=lambda each: each["proven_ns"] or 0)
    return {each["detection"]: each for each in proven}


def _known(state: State) -> list[Detection]:
    from controller.detect import installed  # noqa: PLC0415 - help does not wait for it

    return installed.detections(own=state.own_detections())[0]


def _rows(detections: Sequence[Detection], proofs: Mapping[str, Proof], since: int) -> list[dict[str, Any]]:
    from controller.store.emulations import standing  # noqa: PLC0415 - help does not wait for it

    known = attack.techniques()
    pairs = sorted((technique, each.id) for each in detections for technique in each.techniques)
    return [
        {
            "technique": technique,
            "name": known[technique].name,
            "tactics": list(known[technique].tactics),
            "detection": detection,
            "proven": proofs[detection]["proven"] if detection in proofs else None,
            "host": proofs[detection]["host"] if detection in proofs else None,
            "state": standing(proofs.get(detection), since),
        }
        for technique, detection in pairs
        if technique in known
    ]


def _by_technique(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """One line for each technique: as proven as the best of its detections."""
    from controller.store.emulations import STANDINGS  # noqa: PLC0415 - help does not wait for it

    made = []
    for technique in dict.fromkeys(row["technique"] for row in rows):
        mine = [row for row in rows if row["technique"] == technique]
        best = min(mine, key=lambda row: (STANDINGS.index(row["state"]), row["detection"]))
        proofs = {row["detection"]: {key: row[key] for key in ("proven", "host", "state")} for row in mine}
        made.append(
            {
                **{key: best[key] for key in ("technique", "name", "tactics", "state", "proven")},
                "detections": [row["detection"] for row in mine],
                "proofs": proofs,
            }
        )
    return made
