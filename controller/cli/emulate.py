# SPDX-License-Identifier: Apache-2.0
"""`emulate`: does the real thing to a disposable container, and waits for the alert."""

from __future__ import annotations

import signal
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from controller.cli import output, staged_where
from controller.cli.benign import benign
from controller.cli.group import FailedError, UnreachableError
from controller.cli.staging import Result, Stage
from controller.emulation import script
from controller.emulation.clients import UnreachableRuntimeError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from controller.cli.staged_where import Where
    from controller.cli.state import State
    from controller.detect.catalogue import Detection


@click.group()
def emulate() -> None:
    """Emulations: proves that a detection fires, and that a day without an attack is quiet, on this host, now."""


emulate.add_command(benign)


@emulate.command("list")
@output.as_json
@click.pass_obj
def list_(state: State, *, json_: bool) -> None:
    r"""The emulations that can be run, and what each does.

    \b
    Examples:
      nsentry-controller emulate list
      nsentry-controller emulate list --json | jq -r 'select(.runtimes | index("cri")) | .detection'
    """
    rows = [
        {
            "detection": each.id,
            "title": each.title,
            "does": script.does(each.emulation),
            "runtimes": list(script.runtimes(each.emulation)),
            "script": str(each.emulation),
        }
        for each in _known(state)
    ]
    if json_:
        output.json_lines(rows)
        return
    columns: dict[str, Callable[[dict[str, object]], str]] = {
        "DETECTION": lambda row: str(row["detection"]),
        "RUNTIMES": lambda row: " ".join(row["runtimes"]),  # type: ignore[arg-type]
        "DOES": lambda row: str(row["does"]),
    }
    output.table(columns, rows, "No detections.")


@emulate.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--all", "all_", is_flag=True, help="Run all of them that the runtime can.")
@staged_where.options
@click.option(
    "--timeout",
    type=click.FloatRange(1, 600),
    default=30.0,
    show_default=True,
    help="Seconds to wait for an alert; a script may take as long, and 60 in any case.",
)
@click.option("--keep-open", is_flag=True, help="Do not close the alerts once they have fired.")
@output.as_json
@click.pass_obj
def run(
    state: State,
    names: Sequence[str],
    *,
    all_: bool,
    where: Where,
    timeout: float,
    keep_open: bool,
    json_: bool,
) -> None:
    r"""Runs emulations against containers made for them, and says which detections fired.

    The sensor must run on the host of the containers, and send to this controller. Nothing is touched but what
    is made here. The controller keeps what came of each, the alerts are marked and closed as staged, and nobody
    is paged. Exit code 1 unless all fired.

    \b
    Examples:
      nsentry-controller emulate run ns_join
      nsentry-controller emulate run --all --docker-host unix:///run/docker.sock --json
      nsentry-controller emulate run --all --runtime podman --via 'ssh root@node1' --host node1
      nsentry-controller emulate run ns_join --runtime cri --image docker.io/library/busybox:1.36
    """
    chosen = _chosen(state, names, where.runtime.name, all_=all_)
    state.settings()  # says at once that there is no controller here, rather than when the time is up
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was made is removed
    stage = Stage(state, where.runtime, timeout, where.host, keep_open=keep_open)
    try:
        where.runtime.check()
    except UnreachableRuntimeError as error:
        raise UnreachableError(str(error)) from error
    results: list[Result] = []
    try:
        with where.runtime.image(where.image) as image_name:
            for number, each in enumerate(chosen, 1):
                if sys.stderr.isatty():
                    click.echo(f"{number} of {len(chosen)}: {each.id}", err=True)
                results.append(stage.run(each, image_name))
                if json_:
                    output.json_line(_plain(results[-1]))
    finally:  # of a run that is stopped, what there is so far
        if not json_:
            _table(results)
    silent = [each.detection for each in results if not each.outcome.fired]
    if silent:
        raise FailedError(f"{len(silent)} of {len(results)} did not fire: {', '.join(silent)}")


def _plain(result: Result) -> dict[str, object]:
    said = {"detection": result.detection, "runtime": result.runtime, "run": result.run}
    return {**said, **asdict(result.outcome)}


def _known(state: State) -> list[Detection]:
    from controller.detect import installed  # noqa: PLC0415 - help does not wait for it

    return installed.detections(own=state.own_detections())[0]


def _chosen(state: State, names: Sequence[str], runtime: str, *, all_: bool) -> list[Detection]:
    loaded = _known(state)
    if all_ == bool(names):
        raise click.UsageError("name the detections to emulate, or --all")
    by_id = {each.id: each for each in loaded}
    for name in names:
        if name not in by_id:
            raise click.BadParameter(f"no detection {name!r}; there are {', '.join(by_id)}")
    able = [each for each in loaded if runtime in script.runtimes(each.emulation)]
    if all_:
        if left := [each.id for each in loaded if each not in able]:
            click.echo(f"left out, not for {runtime}: {', '.join(left)}", err=True)
        # A burst is told once: the visits of the others would be one before its own turn came.
        return sorted(able, key=lambda each: each.id != "exec_burst")
    if unable := [name for name in names if by_id[name] not in able]:
        raise click.BadParameter(f"not for {runtime}: {', '.join(unable)}; see `emulate list`")
    return [by_id[name] for name in names]


def _table(results: Sequence[Result]) -> None:
    columns: dict[str, Callable[[Result], str]] = {
        "DETECTION": lambda each: each.detection,
        "FIRED": lambda each: "yes" if each.outcome.fired else "NO",
        "SECONDS": lambda each: output.text(each.outcome.seconds),
        "SESSION": lambda each: output.text(each.outcome.session),
        "ALSO FIRED": lambda each: output.text(" ".join(each.outcome.also)),
        "": lambda each: "" if each.outcome.error is None else output.text(each.outcome.error),
    }
    output.table(columns, results, "Nothing was run.")
