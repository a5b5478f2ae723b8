# SPDX-License-Identifier: Apache-2.0
"""A group of commands that are imported when used, and that end with a sentence and not with a traceback."""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any, ClassVar

import click

from sensor.fault import ExitCode, Fault
from sensor.wire import printable


class Program(click.Group):
    """The commands of `by_name`, in that order: name to "module:function"."""

    by_name: ClassVar[dict[str, str]] = {}

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """The names, in the order in which a person needs them."""
        return list(self.by_name)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """The command, imported now; None for a name that is none."""
        place = self.by_name.get(cmd_name)
        if place is None:
            return None
        module, _, name = place.partition(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        return command

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 - click's signature
        """Run the command; a Fault is said on stderr, with what mends it, and gives the exit code."""
        try:
            return super().invoke(ctx)
        except Fault as fault:
            complain(fault)
            sys.exit(fault.exit_code)
        except BrokenPipeError:
            # The reader of stdout has gone, as `head` does. Python would complain of it at exit once more.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(ExitCode.OK)


def examples(*lines: str) -> str:
    """An epilog of command lines; the control character keeps click from filling them into a paragraph."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)


def complain(fault: Fault) -> None:
    """The two lines that a person reads when a command cannot do what it was asked."""
    click.echo(f"nsentry-sensor: {printable(fault.sentence)}", err=True)
    if fault.fix:
        click.echo(f"  to mend it: {printable(fault.fix)}", err=True)
