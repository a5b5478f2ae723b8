# SPDX-License-Identifier: Apache-2.0
"""Which files a command line writes, fetches or makes executable: what a later execution is compared with.

Only what stands in command lines is known. What a program writes of its own accord, and what a shell's prompt
redirects, is not: that executes nothing.
"""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING, Final

from controller.detect.commands import invocations, shell_texts, with_next
from controller.detect.once import once
from controller.detect.programs import INTERPRETERS, SHELLS, TRANSFER

if TYPE_CHECKING:
    from collections.abc import Iterator

    from controller.detect.commands import Invocation
    from controller.detect.rule import Event, Visit

_REDIRECTION: Final = re.compile(r"(?<![\d&<>-])\d?>{1,2}\|?\s*(?![&(])([\"']?)([^\s;&|()<>\"']+)\1")
_OUTPUT: Final = re.compile(r"-[a-zA-Z]*[oO]|--output|--output-document|--out")
_JOINED: Final = re.compile(r"(?:--output(?:-document)?|--out|of)=(.+)|-[a-zA-Z]?[oO](/.+)")
_URL: Final = re.compile(r"\w+://[^/\s]+/(?:[^?#\s]*/)?([^/?#\s]+)(?:[?#].*)?")
_MODE: Final = re.compile(r"[ugoa]*[+=][rwst]*x[rwxst]*|0?[0-7]*[1357][0-7]{0,2}")
_PACKERS: Final = frozenset({"cat", "gzip", "pigz", "bzip2", "xz", "zstd"})
_CD: Final = re.compile(r"(?:^|[;&|({\n])\s*cd\s+[\"']?([^\s;&|()<>\"']+)")
_INLINE: Final = frozenset({"-c", "-e", "-E", "-r", "-ne", "-pe"})
_OPENED: Final = re.compile(
    r"\b(?:open|Path|File\.(?:open|write)|(?:write|append)File(?:Sync)?|file_put_contents|fopen)\W{1,3}(?:\w+\s*,\s*)?[\"'](?P<how>>{0,2})"
    r"\s*(?P<path>[^\"'>]+)[\"']\)?(?P<more>\s*,\s*[\"']?[wax+>]|\.(?:write|touch))?"
)
_AFTER: Final = re.compile(r"[.-][\w.-]+")
_WRITERS: Final = frozenset({"cp", "mv", "install", "ln"})


@once
def redirected(event: Event) -> tuple[str, ...]:
    """The files that shell strings of `event` write to by `>` and `>>`: as they are spelt, after `cd` from there on."""
    return tuple(path for path, _ in _redirections(event))


@once
def truncated(event: Event) -> tuple[str, ...]:
    """The files that are written anew, by a single `>`, tee, dd or an interpreter: what they held is gone."""
    anew = [path for path, appends in (*_redirections(event), *_opened(event)) if not appends]
    for run in invocations(event):
        if run.program == "dd" or (run.program == "tee" and not {"-a", "--append"} & {*run.arguments}):
            anew += _written_by(run)
    return tuple(anew)


@once
def targets(event: Event) -> frozenset[str]:
    """All that `event` writes by what stands in its command line: by a shell, a program, a download, an interpreter."""
    opened = (path for path, _ in _opened(event))
    return frozenset({*redirected(event), *written(event), *fetched(event), *opened})


@once
def fetched(event: Event) -> frozenset[str]:
    """The files, by whole path, that the download tools of `event` are told to write."""
    return _whole(event, (path for run in invocations(event) for path in _fetched_by(run)))


@once
def written(event: Event) -> frozenset[str]:
    """The files, by whole path, that `event` copies, moves, writes or makes executable."""
    paths = [path for run in invocations(event) for path in _written_by(run)]
    return _whole(event, (*paths, *redirected(event)))


@once
def executed(event: Event) -> frozenset[str]:
    """The files, by whole path, that the process of `event` executes: its own, and a script that it is given."""
    process = event.get("process")
    if process is None:
        return frozenset()
    own = [name for name in (process["exe"], process["filename"]) if name]
    scripts = [word for run in invocations(event)[:1] for word in _script_of(run)]
    return _whole(event, (*own, *scripts))


def pasted(event: Event) -> frozenset[str]:
    """The files, by whole path, whose content `event` writes itself: by a redirection, tee or dd."""
    made = [path for run in invocations(event) if run.program in {"tee", "dd"} for path in _written_by(run)]
    return _whole(event, (*made, *redirected(event)))


def beside(event: Event) -> dict[str, str]:
    """Copies that `event` makes under the name of what it copies and more, by that: error.log.1 of error.log."""
    made = {}
    for run in invocations(event):
        targets = run.arguments[-1:] if run.program == "cp" else ()
        targets = redirected(event) if run.program in _PACKERS else targets
        pairs = [(path, to) for path in run.arguments for to in targets if to.startswith(path)]
        made.update({path: to for path, to in pairs if _AFTER.fullmatch(to.removeprefix(path))})
    return made


def name(path: str) -> str:
    """The last part of a path."""
    return posixpath.basename(path)


def before(visit: Visit, event: Event) -> tuple[Event, ...]:
    """What was executed earlier, and `event` itself: one shell string may do both."""
    return (*visit.before(event), event)


def _redirections(event: Event) -> Iterator[tuple[str, bool]]:
    """Path, and whether the shell appends."""
    for text in shell_texts(event):
        for match in _REDIRECTION.finditer(text):
            folders = _CD.findall(text, 0, match.start())
            yield posixpath.join(*folders[-1:], match[2]), ">>" in match[0]


def _opened(event: Event) -> Iterator[tuple[str, bool]]:
    """Path, and whether it is appended to, of what an interpreter's one-liner opens to write."""
    for run in invocations(event):
        if run.program in INTERPRETERS and _INLINE & {*run.arguments}:
            for match in (found for word in run.arguments for found in _OPENED.finditer(word)):
                how = match["how"] + (match["more"] or "")
                if how or "rite" in match[0].partition("(")[0] or "_put_" in match[0]:
                    yield match["path"], ">>" in how or how.endswith("a") or "append" in match[0]


def _fetched_by(run: Invocation) -> Iterator[str]:
    if run.program not in TRANSFER:
        return
    named = [path for path in _outputs(run.arguments) if path not in {"-", "/dev/null"}]
    yield from named
    if not named:
        yield from (match[1] for word in run.arguments if (match := _URL.fullmatch(word)))


def _outputs(arguments: tuple[str, ...]) -> Iterator[str]:
    for word, after in with_next(arguments):
        if match := _JOINED.fullmatch(word):
            yield match[1] or match[2]
        elif _OUTPUT.fullmatch(word) and after and not re.match(r"-.|\w+://", after):
            yield after


def _written_by(run: Invocation) -> Iterator[str]:
    operands = [word for word in run.arguments if not word.startswith("-")]
    if run.program in _WRITERS and len(operands) > 1:
        yield operands[-1]
        yield from (posixpath.join(operands[-1], posixpath.basename(each)) for each in operands[:-1])
    elif run.program == "tee":
        yield from operands
    elif run.program == "dd":
        yield from (word.removeprefix("of=") for word in run.arguments if word.startswith("of="))
    elif run.program == "chmod" and operands and _MODE.fullmatch(operands[0]):
        yield from operands[1:]


def _script_of(run: Invocation) -> Iterator[str]:
    if run.program in SHELLS | INTERPRETERS or run.program in {".", "source"}:
        operand = next((word for word in run.arguments if not word.startswith("-")), None)
        if operand and "-c" not in run.arguments and "-e" not in run.arguments:
            yield operand


def _whole(event: Event, paths: Iterator[str] | tuple[str, ...]) -> frozenset[str]:
    """The paths from the root on, by the working directory of the process; relative ones also by their name alone.

    A shell string may have changed the directory first (`cd /tmp && ./x`): then the name is all that is known.
    """
    process = event.get("process") or {}
    cwd = process.get("cwd") or "/"
    return frozenset(
        posixpath.normpath(posixpath.join(cwd, path.removesuffix(" (deleted)"))) for path in paths
    )
