# SPDX-License-Identifier: Apache-2.0
"""Man pages: one for a program and one for each command, made from what the commands say of themselves.

Written for man(7), which every `man` renders. A line that begins with a dot or a quote would be a request, and
a backslash an escape: both are told apart by `_text`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import click

from vagrant.packages.told import VERSION, program_of

if TYPE_CHECKING:
    from collections.abc import Iterator

EXIT_CODES: Final = (
    ("0", "ok"),
    ("1", "failure"),
    ("2", "usage"),
    ("69", "the controller cannot be reached, or no sensor runs"),
    ("77", "a privilege is missing"),
    ("78", "the configuration makes no sense"),
)
FILES: Final = {
    "nsentry-sensor": (
        ("/etc/nsentry/sensor.toml", "configuration; every setting with its meaning and default"),
        ("/etc/nsentry/conf.d/*.toml", "parts that go over it, in the order of their names"),
        ("/var/lib/nsentry/sensor", "identity, spool and status socket"),
        ("/sys/fs/bpf/nsentry", "programs, maps and ring that record on while no sensor runs"),
    ),
    "nsentry-controller": (
        ("/etc/nsentry/controller.toml", "configuration"),
        ("/var/lib/nsentry/controller", "CA, certificate, credentials and database"),
    ),
}


def pages(program: str, section: str) -> dict[str, str]:
    """Name of each page ("nsentry-sensor", "nsentry-sensor-run", ...) to its source."""
    command = program_of(program)
    context = click.Context(command, info_name=program)
    return {
        inner.command_path.replace(" ", "-"): "".join(_page(each, inner, program, section))
        for each, inner in _all(command, context)
    }


def _all(command: click.Command, context: click.Context) -> Iterator[tuple[click.Command, click.Context]]:
    yield command, context
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            member = command.get_command(context, name)
            if member is not None and not member.hidden:
                yield from _all(member, click.Context(member, info_name=name, parent=context))


def _page(command: click.Command, context: click.Context, program: str, section: str) -> Iterator[str]:
    path = context.command_path
    yield f'.TH "{path.replace(" ", "-").upper()}" "{section}" "" "nsentry {VERSION}" "nsentry"\n.nh\n'
    yield f".SH NAME\n{_text(path.replace(' ', '-'))} \\- {_text(command.get_short_help_str(200))}\n"
    usage = " ".join(command.collect_usage_pieces(context))
    yield f".SH SYNOPSIS\n.B {_text(path)}\n{_text(usage)}\n"
    yield f".SH DESCRIPTION\n{_paragraphs(command.help or '')}"
    options = [record for each in command.get_params(context) if (record := each.get_help_record(context))]
    if options:
        yield ".SH OPTIONS\n" + "".join(f".TP\n.B {_text(name)}\n{_text(said)}\n" for name, said in options)
    if isinstance(command, click.Group):
        yield ".SH COMMANDS\n"
        for name in command.list_commands(context):
            member = command.get_command(context, name)
            if member is not None and not member.hidden:
                yield f".TP\n.B {_text(name)}\n{_text(member.get_short_help_str(200))}\n"
    if command.epilog:
        yield f".SH EXAMPLES\n{_paragraphs(command.epilog)}"
    if context.parent is None:
        yield ".SH FILES\n" + "".join(
            f".TP\n.I {_text(name)}\n{_text(said)}\n" for name, said in FILES[program]
        )
    yield ".SH EXIT STATUS\n" + "".join(f".TP\n.B {code}\n{_text(said)}\n" for code, said in EXIT_CODES)
    if context.parent is not None:
        above = context.parent.command_path.replace(" ", "-")
        yield f".SH SEE ALSO\n.BR {_text(above)} ({section})\n"


def _paragraphs(text: str) -> str:
    """Click's own rule: a paragraph that begins with a backspace stands as it is written."""
    parts = []
    for paragraph in re.split(r"\n[ \t]*\n", text.strip("\n")):
        lines = [line.rstrip() for line in paragraph.splitlines()]
        if lines and lines[0] == "\b":
            kept = "\n".join(_text(line, keep=True) for line in lines[1:])
            parts.append(f".PP\n.nf\n{kept}\n.fi\n")
        elif paragraph.strip():
            parts.append(f".PP\n{_text(' '.join(line.strip() for line in lines))}\n")
    return "".join(parts)


def _text(text: str, *, keep: bool = False) -> str:
    text = text.replace("\\", "\\e").replace("-", "\\-")
    if not keep:
        text = " ".join(text.split())
    return f"\\&{text}" if text.lstrip().startswith((".", "'")) else text
