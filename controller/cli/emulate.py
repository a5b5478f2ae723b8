# SPDX-License-Identifier: Apache-2.0
"""`emulate`: does the real thing to a disposable container, and waits for the alert."""

from __future__ import annotations

import signal
import sys
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final

import click

from controller.cli import output
from controller.cli.group import FailedError, UnreachableError
from controller.detect import catalogue, emulation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from controller.cli.state import State
    from controller.detect.catalogue import Detection
    from controller.detect.emulation import Docker
    from controller.store.views import AlertRow

POLL_S: Final = 0.25
LATEST: Final = 200
"""Alerts that are looked through for those of an emulation: it has only just begun."""


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one emulation. `seconds` from its beginning until the alert had the finding."""

    detection: str
    fired: bool
    seconds: float | None
    session: str | None
    alert: str | None
    also: list[str]
    """Other detections that fired on the same container until then."""
    error: str | None


@click.group()
def emulate() -> None:
    """Emulations: proves that a detection fires, on this host, now."""


@emulate.command("list")
@output.as_json
def list_(*, json_: bool) -> None:
    r"""The emulations that can be run, and what each does.

    \b
    Example:
      nsentry-controller emulate list
    """
    rows = [
        {"detection": each.id, "title": each.title, "does": _does(each), "script": str(each.emulation)}
        for each in catalogue.load_all()[0]
    ]
    if json_:
        output.json_lines(rows)
        return
    columns = {"DETECTION": lambda row: row["detection"], "DOES": lambda row: row["does"]}
    output.table(columns, rows, "No detections.")


@emulate.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--all", "all_", is_flag=True, help="Run all of them.")
@click.option(
    "--docker-host", envvar="DOCKER_HOST", metavar="ADDRESS", help="Docker daemon. Default: $DOCKER_HOST."
)
@click.option(
    "--image", metavar="NAME", help="Image with sleep, sh, id and wget. Default: one made of busybox."
)
@click.option(
    "--timeout",
    type=click.FloatRange(1, 600),
    default=30.0,
    show_default=True,
    help="Seconds to wait for an alert.",
)
@output.as_json
@click.pass_obj
def run(
    state: State,
    names: Sequence[str],
    *,
    all_: bool,
    docker_host: str | None,
    image: str | None,
    timeout: float,
    json_: bool,
) -> None:
    r"""Runs emulations against containers made for them, and says which detections fired.

    The sensor must run on the Docker daemon's host, and send to this controller. Nothing is touched but what
    is made here. Exit code 1 unless all fired.

    \b
    Examples:
      nsentry-controller emulate run ns_join
      nsentry-controller emulate run --all --docker-host unix:///run/docker.sock --json
    """
    chosen = _chosen(names, all_=all_)
    state.settings()  # says at once that there is no controller here, rather than when the time is up
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was made is removed
    docker = emulation.Docker(docker_host)
    try:
        docker.check()
    except emulation.DockerUnreachableError as error:
        raise UnreachableError(str(error)) from error
    results = []
    with emulation.image(docker, image) as image_name:
        for each in chosen:
            results.append(_run(state, each, docker, image_name, timeout))
            if json_:
                output.json_line(asdict(results[-1]))
    if not json_:
        _table(results)
    silent = [each.detection for each in results if not each.fired]
    if silent:
        raise FailedError(f"{len(silent)} of {len(results)} did not fire: {', '.join(silent)}")


def _run(state: State, detection: Detection, docker: Docker, image: str, timeout: float) -> Result:
    try:
        with emulation.container(docker, image) as (container, name):
            began = time.monotonic()
            emulation.emulate(detection, docker, container, state.settings().state_dir)
            return _wait(state, detection.id, name, began, timeout)
    except emulation.EmulationError as error:
        return Result(detection.id, False, None, None, None, [], str(error))


def _wait(state: State, detection: str, name: str, began: float, timeout: float) -> Result:
    """Looks for the finding until it is there or the time is up. What is late counts as silent."""
    while True:
        alerts = _alerts(state, name)
        took = time.monotonic() - began
        fired = next((each for each in alerts if detection in each["detections"]), None)
        if fired is not None or took > timeout:
            break
        time.sleep(POLL_S)
    also = sorted({name for each in alerts for name in each["detections"]} - {detection})
    if fired is None:
        error = f"no alert within {timeout:.0f} s: does a sensor on that host send to this controller?"
        return Result(detection, False, None, None, None, also, error)
    return Result(detection, True, round(took, 2), fired["session"], fired["id"], also, None)


def _alerts(state: State, name: str) -> list[AlertRow]:
    """The alerts on the container of this name, on those started beside it, and on what was asked in its name."""
    from controller.store import alerts  # noqa: PLC0415 - help does not wait for it

    with state.reading() as connection:
        latest = alerts.list_(connection, limit=LATEST, order="newest")
    return [
        each for each in latest if (each["container"]["name"] or "").startswith(name) or name in each["title"]
    ]


def _chosen(names: Sequence[str], *, all_: bool) -> list[Detection]:
    loaded, _ = catalogue.load_all()
    if all_ == bool(names):
        raise click.UsageError("name the detections to emulate, or --all")
    by_id = {each.id: each for each in loaded}
    for name in names:
        if name not in by_id:
            raise click.BadParameter(f"no detection {name!r}; there are {', '.join(by_id)}")
    return loaded if all_ else [by_id[name] for name in names]


def _does(detection: Detection) -> str:
    """The first comment of the script that is not its licence."""
    lines = detection.emulation.read_text(encoding="utf-8").splitlines()
    comments = (line.removeprefix("# ") for line in lines[1:] if line.startswith("# "))
    return next((each for each in comments if not each.startswith("SPDX")), "")


def _table(results: Sequence[Result]) -> None:
    columns = {
        "DETECTION": lambda each: each.detection,
        "FIRED": lambda each: "yes" if each.fired else "NO",
        "SECONDS": lambda each: output.text(each.seconds),
        "SESSION": lambda each: output.text(each.session),
        "ALSO FIRED": lambda each: output.text(" ".join(each.also)),
        "": lambda each: "" if each.error is None else output.text(each.error),
    }
    output.table(columns, results, "Nothing was run.")
