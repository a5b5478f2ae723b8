# SPDX-License-Identifier: Apache-2.0
"""`init`, `serve` and `version`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from controller.cli import output

if TYPE_CHECKING:
    from controller.cli.state import State
    from controller.settings import Settings

_listen = click.option("--listen", metavar="ADDRESS:PORT", help="Where to listen. Default: 127.0.0.1:8443.")
_url = click.option(
    "--url", metavar="URL", help="The address that sensors and browsers use: https://NAME:PORT."
)


@click.command()
@_listen
@_url
@click.option("--name", "names", multiple=True, metavar="NAME", help="Another name or address of this host.")
@click.pass_obj
def init(state: State, *, listen: str | None, url: str | None, names: tuple[str, ...]) -> None:
    r"""Makes the state folder: own CA and certificate, database, credentials. May be run again at any time.

    \b
    Examples:
      nsentry-controller init
      nsentry-controller init --listen 0.0.0.0:8443 --url https://collector.example:8443
    """
    from controller import initialise, settings  # noqa: PLC0415 - help does not wait for it

    wanted = settings.load(state.folder, listen=listen, url=url, names=names)
    initialise.become_owner(wanted.state_dir)
    done = initialise.initialise(wanted)
    for each in done:
        output.line(output.text(each))
    if not done:
        output.line(f"{wanted.state_dir} is set up already: nothing was changed")


@click.command()
@_listen
@_url
@click.option(
    "--ready-file",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Written once requests are answered (holds the address), removed at the end.",
)
@click.pass_obj
def serve(state: State, *, listen: str | None, url: str | None, ready_file: Path | None) -> None:
    r"""Takes in events, detects, alerts, and serves the dashboard, until SIGINT or SIGTERM.

    \b
    Examples:
      nsentry-controller serve
      nsentry-controller serve --listen 0.0.0.0:8443 --ready-file /run/nsentry/ready
    """
    from controller import initialise, logs, server, settings  # noqa: PLC0415 - help does not wait for it

    wanted = settings.load(state.folder, listen=listen, url=url)
    initialise.become_owner(wanted.state_dir)
    logs.configure(wanted.log_level)

    def ready(served: Settings) -> None:
        click.echo(
            f"nsentry controller at {served.url}; log in with: nsentry-controller login-link", err=True
        )
        if ready_file is not None:
            new = ready_file.with_name(f".{ready_file.name}.new")
            new.write_text(f"{served.url}\n")
            new.replace(ready_file)  # whole as soon as it is there

    try:
        server.serve(wanted, ready)
    finally:
        if ready_file is not None:
            ready_file.unlink(missing_ok=True)


@click.command()
@output.as_json
def version(*, json_: bool) -> None:
    """Prints the versions of the program, of the wire and of the database."""
    from importlib import metadata  # noqa: PLC0415 - help does not wait for it

    from controller.store.migrate import REVISIONS  # noqa: PLC0415 - as above
    from sensor import wire  # noqa: PLC0415 - as above

    try:
        program = metadata.version("nsentry")
    except metadata.PackageNotFoundError:
        program = "0 (not installed)"
    known = {"version": program, "wire": wire.VERSION, "schema": REVISIONS[-1]}
    if json_:
        output.json_line(known)
    else:
        output.line(f"nsentry-controller {program}, wire {wire.VERSION}, schema {REVISIONS[-1]}")
