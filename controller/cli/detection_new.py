# SPDX-License-Identifier: Apache-2.0
"""`detections new`: from a name, or from a visit that really happened, to a folder to go on from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from controller.cli import output
from controller.cli.group import FailedError
from controller.detect import catalogue, scaffold

if TYPE_CHECKING:
    from controller.cli.state import State
    from controller.detect.rule import Event


@click.command()
@click.argument("name")
@click.option("--program", default="curl", show_default=True, help="What its rule looks for to begin with.")
@click.option("--technique", default="T1609", show_default=True, help="Of ATT&CK.")
@click.option("--from", "session", metavar="SESSION", help="This visit becomes its first test.")
@click.option(
    "--root",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of detections. Default: [detections] folder of the settings.",
)
@click.pass_obj
def new(
    state: State, name: str, *, program: str, technique: str, session: str | None, root: Path | None
) -> None:
    r"""Makes the folder of a new detection. What is left to say in it is marked; `detections test NAME` lists it.

    \b
    Examples:
      nsentry-controller detections new my_scanner --program masscan --technique T1046
      nsentry-controller detections new my_scanner --program masscan --from SESSION --root my-detections
    """
    visit = _visit(state, session) if session is not None else ()
    folder = scaffold.write(
        root or state.own_detections() or catalogue.BUILT_IN, name, technique, program, visit
    )
    output.line(f"made {folder}: rule.py, tests.yaml, ADS.md, emulate.sh")
    where = f" --root {folder.parent}" if root is not None else ""
    output.line(
        f"next: nsentry-controller detections test {name}{where}   says what is left, by file and line"
    )


def _visit(state: State, session: str) -> tuple[Event, ...]:
    from controller.detect import visits  # noqa: PLC0415 - help does not wait for it

    with state.reading() as connection:
        visited = visits.load(connection, session, 2**62)
    if not visited.executions:
        raise FailedError(
            f"there is no session {output.text(session)} in which something ran: "
            "see 'nsentry-controller sessions list'"
        )
    return tuple(visited.executions)
