# SPDX-License-Identifier: Apache-2.0
"""`baseline export | import | diff`: baselines as documents, to review, to ship, to compare."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from controller.cli import output
from controller.cli.group import FailedError
from controller.cli.output import text

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from controller.cli.state import State
    from controller.detect.baseline import Trait


@click.command()
@click.argument("subject")
@click.option(
    "--output", "-o", "target", type=click.Path(dir_okay=False, path_type=Path), help="Default: stdout."
)
@click.pass_obj
def export(state: State, subject: str, *, target: Path | None) -> None:
    r"""Writes what is known as a document (JSON): to review, to keep beside an image's source, to ship with it.

    \b
    Example:
      nsentry-controller baseline export "image redis:7" -o redis-7.baseline.json
    """
    from controller.detect import shipped  # noqa: PLC0415 - as above

    with state.reading() as connection:
        traits = _known(connection, subject)
    document = shipped.write(subject, traits)
    if target is None:
        click.echo(document, nl=False)
    else:
        target.write_text(document)
        output.line(f"{len(traits)} traits written to {target}")


@click.command("import")
@click.argument("source", metavar="FILE", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--as", "subject", metavar="SUBJECT", help="For this image or workload. Default: as the file says."
)
@click.pass_obj
def import_(state: State, source: Path, *, subject: str | None) -> None:
    r"""Takes in a document that `export` wrote, and freezes that baseline: it is what was reviewed.

    \b
    Example:
      nsentry-controller baseline import redis-7.baseline.json --as "image registry.example/redis:7.4"
    """
    from controller.detect import shipped  # noqa: PLC0415 - as above
    from controller.store import baselines  # noqa: PLC0415 - as above

    by = (output.actor(), time.time_ns())
    try:
        named, traits = shipped.read(source)
        name = shipped.checked_subject(subject or named)
        new = state.write(
            lambda connection: baselines.bring(connection, name, traits, f"import of {named}", by)
        )
    except ValueError as error:
        raise FailedError(str(error)) from error
    output.line(f"{new} new traits for {text(name)}, which is frozen now")


@click.command()
@click.argument("first")
@click.argument("second")
@output.as_json
@click.pass_obj
def diff(state: State, first: str, second: str, *, json_: bool) -> None:
    r"""What two baselines do not have in common: each a subject, or a document that `export` wrote.

    \b
    Example:
      nsentry-controller baseline diff redis-7.baseline.json "image redis:7"
    """
    sides = []
    with state.reading() as connection:
        sides = [_either(connection, each) for each in (first, second)]
    changes = [("-", each) for each in sorted(sides[0] - sides[1])]
    changes += [("+", each) for each in sorted(sides[1] - sides[0])]
    for sign, each in changes:
        if json_:
            output.json_line({"change": sign, "side": each.side, "facet": each.facet, "value": each.value})
        else:
            output.line(f"{sign} {each.side:5} {each.facet:11} {text(each.value)}")
    if not changes and not json_:
        output.line("They are alike.")


def _either(connection: Connection, name: str) -> set[Trait]:
    from controller.detect import shipped  # noqa: PLC0415 - as above

    if Path(name).is_file():
        try:
            return set(shipped.read(Path(name))[1])
        except ValueError as error:
            raise FailedError(str(error)) from error
    return set(_known(connection, name))


def _known(connection: Connection, subject: str) -> list[Trait]:
    from controller.store import baselines  # noqa: PLC0415 - as above

    now = time.time_ns()
    if baselines.show(connection, subject, now) is None:
        raise FailedError(f"there is no baseline of {text(subject)}: see 'nsentry-controller baseline list'")
    return sorted(baselines.normal(connection, [subject], now).traits)


COMMANDS: Final[tuple[click.Command, ...]] = (export, import_, diff)
