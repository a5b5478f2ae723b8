# SPDX-License-Identifier: Apache-2.0
"""The program's group: commands loaded when used, and each kind of failure told with its exit code."""

from __future__ import annotations

import importlib
from typing import Any, ClassVar

import click

from controller.errors import ConfigurationError, OperationError


class FailedError(click.ClickException):
    """Ends the program with a message on stderr and exit code 1."""


class UnreachableError(FailedError):
    """The controller does not answer."""

    exit_code = 69


class NoPrivilegeError(FailedError):
    """The user may not do that."""

    exit_code = 77


class BadConfigurationError(FailedError):
    """Something has to be set up, or set right, first."""

    exit_code = 78


def _keep_lines(command: click.Command) -> click.Command:
    r"""The command, with the examples in its help as they are written.

    Click leaves a paragraph alone that begins with a backspace. Our docstrings are raw, so it stands there as
    the two characters \b.
    """
    if command.help:
        command.help = command.help.replace("\\b\n", "\b\n")
    for each in command.commands.values() if isinstance(command, click.Group) else ():
        _keep_lines(each)
    return command


class Program(click.Group):
    """A group whose commands are named by "module:attribute" in `by_name`."""

    by_name: ClassVar[dict[str, str]] = {}

    def __init__(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401 - click's own
        super().__init__(*arguments, **options)
        _keep_lines(self)

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """In the order of the table: what comes first is used first."""
        return list(self.by_name)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Imports the command."""
        if cmd_name not in self.by_name:
            return None
        module, _, attribute = self.by_name[cmd_name].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return _keep_lines(command)

    def invoke(self, ctx: click.Context) -> object:
        """Runs the command; what our own modules raise becomes a message and an exit code."""
        try:
            return super().invoke(ctx)
        except ConfigurationError as error:
            raise BadConfigurationError(str(error)) from error
        except OperationError as error:
            raise FailedError(str(error)) from error
        except PermissionError as error:
            what = error.filename or "something that is needed"
            raise NoPrivilegeError(f"{what}: {error.strerror}: run this as the controller's user") from error
