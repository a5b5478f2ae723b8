# SPDX-License-Identifier: Apache-2.0
"""The sensor's command line. What a machine reads goes to stdout, what happens to stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import click

from sensor import __version__, doctor, logs
from sensor.config import Config
from sensor.fault import ExitCode, Fault
from sensor.identity import Identity
from sensor.probe import LOADERS
from sensor.status import connect
from sensor.wire import printable

_SIGN: Final = {"ok": "ok  ", "warn": "warn", "fail": "FAIL"}

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, one object a line.")
config_file = click.option(
    "--config",
    "file",
    type=click.Path(path_type=Path),
    help="Configuration file to read instead of the usual.",
)


class _Group(click.Group):
    """Turns a Fault of any command into its sentence, its remedy and its exit code."""

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 - click's signature
        try:
            return super().invoke(ctx)
        except Fault as fault:
            click.echo(f"nsentry-sensor: {printable(fault.sentence)}", err=True)
            if fault.fix:
                click.echo(f"To mend it: {fault.fix}", err=True)
            sys.exit(fault.exit_code)


@click.group(cls=_Group, epilog="Example: nsentry-sensor doctor")
def main() -> None:
    """Watches the door of every container on this host."""


@main.command(epilog="Example: nsentry-sensor run --loader core")
@click.option("--loader", type=click.Choice(LOADERS), help="How the programs get into the kernel.")
@click.option("--dry-run", is_flag=True, help="Load and attach the programs, then end.")
@config_file
def run(loader: str | None, file: Path | None, *, dry_run: bool) -> None:
    """Watch until interrupted."""
    config = Config.load({"loader": loader} if loader else None, file)
    logs.setup(config.log.level, config.log.format)
    doctor.require(config)
    from sensor import agent  # noqa: PLC0415 - nothing of the programs before their needs are known to be met

    if dry_run:
        sys.exit(agent.dry_run(config, config.loader))
    sys.exit(agent.run(config, Identity.load(config.state_dir), config.loader))


@main.command(epilog="Example: nsentry-sensor enroll --url https://collector:8443 --token-file token")
@click.option("--url", required=True, help="Address of the controller.")
@click.option("--token-file", type=click.File(), required=True, help="File with the token; - for stdin.")
@config_file
def enroll(url: str, token_file: Any, file: Path | None) -> None:  # noqa: ANN401 - click's file
    """Get an identity from the controller, against a token of `nsentry-controller token create`."""
    from sensor.enroll import enroll as enrol_with  # noqa: PLC0415 - brings requests with it

    enrolled = enrol_with(Config.load(None, file).state_dir, url, token_file.read(100_000))
    click.echo(f"enrolled as host {printable(enrolled['host'])}")


@main.command(epilog="Example: nsentry-sensor status --json")
@as_json
@config_file
def status(file: Path | None, *, as_json: bool) -> None:
    """How the running sensor is: loader, hooks, counters, what does not work."""
    beat = next(_ask(file, "status"), {})
    if as_json:
        click.echo(json.dumps(beat))
        return
    click.echo(f"loader   {beat['loader']}: {printable(beat['loader_reason'])}")
    for title, pairs in (("hook", beat["hooks"]), ("counter", beat["counters"]), ("gauge", beat["gauges"])):
        for name, value in pairs.items():
            click.echo(f"{title:8} {printable(name)}: {printable(str(value))}")
    for sentence in beat["degraded"] or ["nothing"]:
        click.echo(f"wrong    {printable(sentence)}")


@main.command(epilog="Example: nsentry-sensor tail --json")
@as_json
@config_file
def tail(file: Path | None, *, as_json: bool) -> None:
    """Each event of the running sensor, as it happens."""
    for event in _ask(file, "tail"):
        _print_event(event, as_json=as_json)


def _print_event(event: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(event))
        return
    container = (event.get("container") or {}).get("name") or ""
    argv = " ".join((event.get("process") or {}).get("argv") or [])
    click.echo(printable(f"{event['kind']:12} {event.get('means', ''):12} {container:20} {argv}".rstrip()))


@main.command("doctor", epilog="Example: nsentry-sensor doctor --json")
@as_json
@config_file
def doctor_(file: Path | None, *, as_json: bool) -> None:
    """What is missing on this host, and the command that mends each."""
    checks = doctor.everything(Config.load(None, file))
    for check in checks:
        if as_json:
            click.echo(json.dumps({**asdict(check), "exit_code": int(check.exit_code)}))
            continue
        click.echo(f"{_SIGN[check.state]} {check.name:11} {printable(check.said)}")
        if check.state != "ok":
            click.echo(f"     to mend it: {check.fix}")
    sys.exit(doctor.exit_code(checks))


@main.group(epilog="Example: nsentry-sensor config show")
def config() -> None:
    """The configuration."""


@config.command(epilog="Example: nsentry-sensor config show --json")
@as_json
@config_file
def show(file: Path | None, *, as_json: bool) -> None:
    """Every setting with the place that its value comes from."""
    loaded = Config.load(None, file)
    rows: Iterable[tuple[str, Any]] = loaded.values().items()
    for name, value in rows:
        origin = loaded.origins[name]
        if as_json:
            click.echo(json.dumps({"name": name, "value": value, "origin": origin}))
        else:
            click.echo(printable(f"{name:24} {value!s:32} {origin}"))


@main.command(epilog="Example: nsentry-sensor version --json")
@as_json
def version(*, as_json: bool) -> None:
    """The sensor's version."""
    click.echo(json.dumps({"version": __version__}) if as_json else __version__)


def _ask(file: Path | None, what: str) -> Iterator[dict[str, Any]]:
    """What the running sensor answers, line by line. Raises Fault when none runs."""
    state_dir = Config.load(None, file).state_dir
    try:
        connection = connect(state_dir)
    except OSError as error:
        raise Fault(
            f"no sensor answers in {state_dir} ({error.strerror})",
            exit_code=ExitCode.UNREACHABLE,
            fix="nsentry-sensor run",
        ) from error
    with connection, connection.makefile("r", encoding="utf-8") as lines:
        connection.sendall(what.encode() + b"\n")
        if what == "tail":
            connection.settimeout(None)
        yield from map(json.loads, lines)


if __name__ == "__main__":
    sys.exit(ExitCode.OK if main() is None else ExitCode.FAILURE)
