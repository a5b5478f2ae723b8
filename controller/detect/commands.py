# SPDX-License-Identifier: Apache-2.0
"""Which programs a process runs: by its file, by the applet it plays, and in the strings given to a shell.

A name is evidence only where it is found. Nothing here says that a program was *not* run: command lines may
be unknown, cut or redacted, and a shell has a hundred ways to spell a word ("c''url", "$x"). What a shell
really executes arrives as an event of its own; reading its string besides catches what it does without exec
(builtins, redirections to /dev/tcp, commands never reached) and shows the intent at the first event.

Everything is bounded: depth of nesting, number of invocations, and text.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate, chain, islice, pairwise
from typing import TYPE_CHECKING, Final, Literal

from controller.detect.once import once
from controller.detect.programs import MULTICALL, SHELLS, words
from sensor import wire

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from controller.detect.rule import Event

MAX_DEPTH: Final = 4
MAX_INVOCATIONS: Final = 128
MAX_READ: Final = 32_768
"""Characters of a command line that rules see."""
MAX_CACHED: Final = 8192
"""Characters of command lines whose reading is remembered: the cache's size is not for others to choose."""

ShellUse = Literal["command", "script", "stdin"]


@dataclass(frozen=True, slots=True)
class Invocation:
    """A program by its base name ("curl"), and the arguments it is given."""

    program: str
    arguments: tuple[str, ...]

    def __str__(self) -> str:
        return shlex.join((self.program, *self.arguments))


@once
def invocations(event: Event) -> tuple[Invocation, ...]:
    """The programs that the process of `event` is known to run, itself first; empty when nothing is known.

    One process may answer to several names ("sh" is a link to "dash"): each is an invocation of its own.
    """
    lines = _lines(event)
    small = sum(len(word) for line in lines for word in line) <= MAX_CACHED
    return _invocations(*lines) if small else _invocations.__wrapped__(*lines)


@once
def itself(event: Event) -> tuple[Invocation, ...]:
    """Only the process of `event`, by each of its names: not what it is told to run in turn."""
    owns = (_resolve(line) for line in _lines(event))
    return tuple(dict.fromkeys(each for each in owns if each is not None))


@once
def shell_texts(event: Event) -> tuple[str, ...]:
    """The strings that are given to shells to run, whole, by the process of `event` or by what it is told to run."""
    given = (_shell_text(each.program, each.arguments) for each in invocations(event))
    return tuple(dict.fromkeys(text[: wire.MAX_TEXT] for text in given if text is not None))


def with_next(arguments: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Each argument with the one after it, "" after the last: an option and its value. Of none: nothing."""
    return pairwise((*arguments, ""))


def shell_use(arguments: Sequence[str]) -> ShellUse:
    """What a shell takes its commands from: a `-c` string, a script, or its standard input (a person)."""
    text, script = _shell_operands(arguments)
    if text is not None:
        return "command"
    return "stdin" if script is None else "script"


@once
def _lines(event: Event) -> tuple[tuple[str, ...], ...]:
    """The command line of the process, once for each of its names: its file, the path given, argv[0]."""
    process = event.get("process")
    if process is None:
        return ()
    argv = _read(process["argv"] or ())
    names = [
        name
        for name in (process["exe"], process["filename"], *argv[:1])
        if name is not None and not name.startswith(_NAMELESS)
    ]
    if argv and _base_name(argv[0]) not in MULTICALL:
        # "busybox" says nothing then, and the first argument is not its applet
        names = [name for name in names if _base_name(name) not in MULTICALL]
    return tuple((name, *argv[1:]) for name in names)


def _read(argv: Sequence[str]) -> Sequence[str]:
    """As many of the arguments as are read: all of them, but in a command line that is there to be slow."""
    if sum(map(len, argv)) <= MAX_READ:
        return argv
    ends = accumulate(map(len, argv))
    return [argument for argument, end in zip(argv, ends, strict=True) if end <= MAX_READ]


@lru_cache(maxsize=4096)
def _invocations(*lines: tuple[str, ...]) -> tuple[Invocation, ...]:
    every = chain.from_iterable(_run(line, 0) for line in lines)
    return tuple(dict.fromkeys(islice(every, MAX_INVOCATIONS)))


def _resolve(line: Sequence[str]) -> Invocation | None:
    """The program that `line` runs; None when it does not say (a multi-call binary without its applet)."""
    program, arguments = _base_name(line[0]), tuple(line[1:])
    while program in MULTICALL:
        if not arguments or arguments[0].startswith("-"):
            return None
        program, arguments = _base_name(arguments[0]), arguments[1:]
    return Invocation(program, arguments) if program else None


def _run(line: Sequence[str], depth: int) -> Iterator[Invocation]:
    """What the simple command `line` runs: the program, and those that it is told to run in turn."""
    while line and (line[0] in _KEYWORDS or _ASSIGNMENT.match(line[0])):
        line = line[1:]
    own = _resolve(line) if line and depth <= MAX_DEPTH else None
    if own is None:
        return
    yield own
    program, arguments = own.program, own.arguments
    if (text := _shell_text(program, arguments)) is not None:
        yield from _run_text(text, depth + 1)
    elif program in _WRAPPERS:
        yield from _run(_wrapped(arguments, *_WRAPPERS[program]), depth + 1)
    elif program == "find":
        yield from _run(_after(arguments, {"-exec", "-execdir", "-ok", "-okdir"}), depth + 1)


def _shell_text(program: str, arguments: Sequence[str]) -> str | None:
    if program in SHELLS:
        return _shell_operands(arguments)[0]
    if program in _TAKES_SHELL_STRING:
        option = next(
            (at for at, word in enumerate(arguments) if _STRING_OPTION.fullmatch(word)), len(arguments)
        )
        return next(iter(arguments[option + 1 :]), None)
    return " ".join(arguments) if program == "eval" else None


def _run_text(text: str, depth: int) -> Iterator[Invocation]:
    """What the shell command `text` runs, substitutions included."""
    if depth > MAX_DEPTH:
        return
    text = text[: wire.MAX_TEXT]
    for line in _simple_commands(text):
        yield from _run(line, depth)
    for match in _SUBSTITUTION.finditer(text):
        yield from _run_text(match[1] or match[2], depth + 1)


def _simple_commands(text: str) -> Iterator[list[str]]:
    line: list[str] = []
    comment = False
    for token in _tokens(text):
        if token.strip(_BOUNDARY) == "":
            yield line
            line, comment = [], comment and "\n" not in token
        elif comment or token.startswith("#"):
            comment = True
        elif token.strip("<>&|") != "":  # a redirection's operator goes, its target stays an argument
            line.append(token)
    yield line


def _tokens(text: str) -> list[str]:
    lexer = shlex.shlex(text, posix=True, punctuation_chars=";&|()<>\n")
    lexer.whitespace = " \t\r"
    lexer.whitespace_split = True
    lexer.commenters = ""
    try:
        return list(lexer)
    except ValueError:  # a quote that never closes: the text was cut, or is no shell's
        return re.findall(r"[;&|()\n]+|[^\s;&|()]+", text.replace('"', " ").replace("'", " "))


def _shell_operands(arguments: Sequence[str]) -> tuple[str | None, str | None]:
    """The `-c` string and the script of a shell's arguments, each None where there is none."""
    takes_string = False
    position = 0
    while position < len(arguments) and (word := arguments[position])[:1] in {"-", "+"} and len(word) > 1:
        position += 1
        if word == "--":
            break
        if word.startswith("--"):
            takes_string = takes_string or word == "--command"
            position += word in {"--rcfile", "--init-file"}
            continue
        takes_string = takes_string or (word[0] == "-" and "c" in word)
        position += word[-1] in "oO"
    operand = arguments[position] if position < len(arguments) else None
    return (operand, None) if takes_string else (None, operand)


def _wrapped(arguments: Sequence[str], valued: str, positionals: int) -> Sequence[str]:
    """The command that a wrapper runs: past its options, those with a value, assignments and positionals."""
    position = 0
    while position < len(arguments):
        word = arguments[position]
        if word.startswith("-") and len(word) > 1:
            position += 2 if len(word) == 2 and word[1] in valued else 1
        elif _ASSIGNMENT.match(word):
            position += 1
        elif positionals:
            positionals -= 1
            position += 1
        else:
            break
    return arguments[position:]


def _after(arguments: Sequence[str], markers: set[str]) -> Sequence[str]:
    position = next((at for at, word in enumerate(arguments) if word in markers), len(arguments))
    return arguments[position + 1 :]


def _base_name(word: str) -> str:
    name = word.removesuffix(" (deleted)").rpartition("/")[2].lstrip("-`$\"'")
    match = _VERSIONED.fullmatch(name) or _RELEASE.fullmatch(name)
    return match[1] if match else name


_NAMELESS: Final = ("/proc/", "/dev/fd/", "memfd:", "/memfd:")
"""Paths that name no program: busybox starts its applets from /proc/self/exe, runtimes a copy of theirs."""
_BOUNDARY: Final = ";&|()\n"
_ASSIGNMENT: Final = re.compile(r"[A-Za-z_]\w*\+?=")
_SUBSTITUTION: Final = re.compile(r"`([^`]+)`|\$\(([^()]+)\)")
_VERSIONED: Final = re.compile(r"(python|pypy|pip|perl|ruby|php|lua|node|nc|ncat)-?[0-9.]*(?:\.[a-z]+)?")
_RELEASE: Final = re.compile(
    r"([A-Za-z][A-Za-z-]*?)(?:[-_.]v?\d+(?:\.\d+)+)?(?:[-_.](?:linux(?:32|64)?|amd64|x86[-_]64|x64|i?386|arm64|aarch64|armv[5-8]l?|musl|"
    r"static|gnu))*"
)
"""As projects call what they release: cdk_linux_amd64, chisel_1.9.1_linux_amd64, xmrig-6.21.0."""
_KEYWORDS: Final = words("if then elif else do while until ! { } time coproc")
_TAKES_SHELL_STRING: Final = frozenset({"su", "runuser", "script"})
_STRING_OPTION: Final = re.compile(r"-[a-z]*c|--command")
# Name: the short options that take a value, and how many operands come before the command.
_WRAPPERS: Final[dict[str, tuple[str, int]]] = {
    "sudo": ("ugpChrtUDR", 0),
    "doas": ("uC", 0),
    "env": ("uC", 0),
    "nohup": ("", 0),
    "setsid": ("", 0),
    "exec": ("a", 0),
    "command": ("", 0),
    "builtin": ("", 0),
    "nice": ("n", 0),
    "ionice": ("cn", 0),
    "stdbuf": ("ioe", 0),
    "timeout": ("sk", 1),
    "chroot": ("", 1),
    "gosu": ("", 1),
    "su-exec": ("", 1),
    "setpriv": ("", 0),
    "unshare": ("SG", 0),
    "nsenter": ("tSG", 0),
    "xargs": ("IdaELnPs", 0),
    "watch": ("n", 0),
    "strace": ("eopsu", 0),
    "tini": ("", 0),
    "dumb-init": ("", 0),
}
