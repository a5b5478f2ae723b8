# SPDX-License-Identifier: Apache-2.0
"""What a client's command line says that it asks a daemon for. Pure.

The command line is the client's own word, and can be forged by whoever starts it. It only says which of those who
were connected asked for which visit: who they are is the kernel's word. So a command line is never taken to say
something else because of an option that is not known here: then it says nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

Says = Literal["names", "else", "nothing"]
"""It names this very exec; it is a command for something else; it does not say what it is for."""

MAX_ARGV: Final = 2048
"""Characters of a client's command line that its sensor keeps: one as long may have been longer."""
HIDDEN: Final = "***"

_PYTHON: Final = re.compile(r"(?:^|/)python[\d.]*$")
_DOCKER: Final = "-H --host -c --context --config -l --log-level --tlscacert --tlscert --tlskey"
_PODMAN: Final = (
    "-c --connection --url --identity --root --runroot --tmpdir --storage-driver --storage-opt --imagestore "
    "--cgroup-manager --events-backend --runtime --runtime-flag --conmon --module --network-config-dir --hooks-dir "
    "--log-level --out --ssh --cdi-spec-dir --network-cmd-path --volumepath"
)
_NERDCTL: Final = (
    "-n --namespace -a --address -H --host --data-root --cgroup-manager --cni-path --cni-netconfpath --snapshotter "
    "--storage-driver --hosts-dir"
)
_CRICTL: Final = "-c --config -r --runtime-endpoint -i --image-endpoint -t --timeout"
_COMPOSE: Final = (
    "-f --file -p --project-name --project-directory --profile --env-file --ansi --progress --parallel"
)
_BEFORE: Final[dict[str, frozenset[str]]] = {
    "docker": frozenset(_DOCKER.split()),
    "podman": frozenset(_PODMAN.split()),
    "podman-remote": frozenset(_PODMAN.split()),
    "nerdctl": frozenset(_NERDCTL.split()),
    "crictl": frozenset(_CRICTL.split()),
    "ctr": frozenset({"-a", "--address", "-n", "--namespace", "--timeout", "--connect-timeout"}),
    "docker-compose": frozenset(_COMPOSE.split()),
}
"""The options of each tool before its command that have a value of their own word."""
_PLAIN: Final = frozenset(
    ["-D", "--debug", "--tls", "--tlsverify", "--remote", "--syslog", "--noout", "--transient-store"]
)
_VALUED: Final = (
    "-e --env --env-file -u --user -w --workdir --detach-keys --preserve-fds --index --exec-id --cwd"
)
_OF_EXEC: Final = frozenset(
    [*_VALUED.split(), "--cidfile", "--fifo-dir", "--log-uri", "--timeout", "--transport"]
)
_SWITCHES: Final = frozenset(
    [
        "-d",
        "-i",
        "-t",
        "-T",
        "-s",
        "--detach",
        "--interactive",
        "--tty",
        "--privileged",
        "--no-tty",
        "--no-TTY",
        "--sync",
    ]
)


_OTHERS: Final = (
    "run ps logs events stats inspect attach cp start stop restart kill rm rmi images pull push build info version "
    "top wait update rename pause unpause create commit diff export port network volume image containers container "
    "pods runp stopp rmp inspectp statsp namespaces snapshots content leases ls login logout tag save load history "
    "search checkpoint import"
)
_ELSE: Final = frozenset(_OTHERS.split())
"""Commands that never make an exec. `system dial-stdio` hands on what others ask; compose has hooks that do."""


@dataclass(frozen=True, slots=True)
class Exec:
    """An exec that a command line asks for."""

    tool: str
    container: str
    """A name, an id, the beginning of one, or a service of compose."""
    command: tuple[str, ...]
    by_service: bool = False
    exec_id: str | None = None
    terminal: bool | None = None
    """None: the tool decides by itself."""
    attached: bool = True
    """It waits for what the exec writes."""


def read(argv: Sequence[str] | None) -> Exec | Literal["else"] | None:
    """The exec that is asked for; "else" of a known tool that was called for something else; None: no telling."""
    asked = command(argv)
    if asked is None:
        return None
    tool, words = asked
    if tool == "ctr":
        if words[0] not in {"task", "tasks", "t"}:
            return "else" if words[0] in _ELSE else None
        words = words[1:]
    if words and words[0] == "exec":
        return _exec(words[1:], tool)
    return "else" if words and words[0] in _ELSE and tool != "docker-compose" else None


def says(argv: Sequence[str] | None, entry: Mapping[str, Any]) -> Says:
    """What a client's command line says of the exec that came in as `entry`."""
    asked = read(argv)
    if asked is None or asked == "else":
        return asked or "nothing"
    if asked.exec_id is not None and entry.get("exec_id"):
        return "names" if asked.exec_id == entry["exec_id"] else "else"
    process = entry.get("process")
    cut = sum(map(len, argv or ())) + len(argv or ()) >= MAX_ARGV
    if process is not None and not (_is_command(asked, process, cut=cut) and _is_terminal(asked, process)):
        return "else"
    same = _is_container(asked, entry["container"])
    return "nothing" if same is None else "names" if same else "else"


def is_tool(argv: Sequence[str] | None) -> bool:
    """Whether it is a command that makes one exec, and ends with it."""
    return isinstance(read(argv), Exec)


def command(argv: Sequence[str] | None) -> tuple[str, list[str]] | None:
    """The tool, and the words from its command on; None: no tool that is known, or no telling."""
    line = list(argv or ())
    if len(line) > 1 and _PYTHON.search(line[0]) and line[1].startswith("/"):
        line = line[
            1:
        ]  # the kernel puts a script behind its interpreter: docker-compose's first, podman-compose
    tool = line[0].rpartition("/")[2] if line else ""
    words = _command(line[1:], tool)
    if words and words[0] == "compose":
        tool, words = "docker-compose", _command(words[1:], "docker-compose")
    if words and words[0] == "container" and tool != "ctr":
        words = words[1:]
    return (tool, words) if words else None


def does_something_else(word: str) -> bool:
    """Whether a command makes no exec, by its first word."""
    return word in _ELSE


def _command(words: list[str], tool: str) -> list[str] | None:
    """The words from the command on; None where an option before it is not known, or the tool is not."""
    valued = _BEFORE.get(tool)
    at = 0
    while valued is not None and at < len(words) and words[at].startswith("-"):
        name, equals, _ = words[at].partition("=")
        joined = name[:2] in valued and not name.startswith("--") and len(name) > 2
        if name not in valued and name not in _PLAIN and not joined:
            return None
        at += 2 if name in valued and not equals else 1
    return None if valued is None else words[at:]


def _exec(words: list[str], tool: str) -> Exec | None:
    """What stands after the word exec; None where that cannot be told."""
    options: dict[str, str] = {}
    rest = iter(words)
    for word in rest:
        if not word.startswith("-") or word in {"-", "--"}:
            name = word if word != "--" else next(rest, "")
            return _asked(tool, name, tuple(rest), options) if name else None
        if not _take(word, rest, options, single=tool == "ctr"):
            return None
    return None


def _take(word: str, rest: Iterator[str], options: dict[str, str], *, single: bool) -> bool:
    """Reads one option, and its value; False where it is not known."""
    if word.startswith("--") or (single and len(word) > 2):
        name, equals, value = ("--" + word.lstrip("-")).partition("=")
        if name not in _OF_EXEC | _SWITCHES:
            return False
        options[name] = value if equals else (next(rest, "") if name in _OF_EXEC else "true")
        return True
    for at, letter in enumerate(word[1:], start=1):
        name, after = f"-{letter}", word[at + 1 :]
        if name in _OF_EXEC:
            options[name] = after.removeprefix("=") or next(rest, "")
            return True
        if name not in _SWITCHES:
            return False
        if after.startswith("="):
            options[name] = after[1:]
            return True
        options[name] = "true"
    return True


def _asked(tool: str, container: str, command: tuple[str, ...], options: Mapping[str, str]) -> Exec:
    def on(*names: str) -> bool:
        return any(options.get(name, "false").lower() not in {"false", "0", "f"} for name in names)

    compose = tool == "docker-compose"
    return Exec(
        tool,
        container,
        command,
        by_service=compose,
        exec_id=options.get("--exec-id"),
        terminal=None if compose else on("-t", "--tty"),
        attached=not on("-d", "--detach"),
    )


def _is_container(asked: Exec, container: Mapping[str, Any]) -> bool | None:
    """None: by a name, and what the container is called is not known."""
    labels, named, identity = container["labels"], container["name"], container["id"] or ""
    if asked.by_service:
        return asked.container in {
            labels.get(f"{each}.compose.service") for each in ("com.docker", "io.podman")
        }
    if identity.startswith(asked.container):
        return True
    return None if named is None else asked.container.removeprefix("/") == named


def _is_command(asked: Exec, process: Mapping[str, Any], *, cut: bool) -> bool:
    argv, wanted = process["argv"], asked.command
    if argv is None or not wanted:
        return True
    if _alike(wanted, tuple(argv), cut=cut or process["argv_cut"]):
        return True
    # Of a script the kernel makes [interpreter, perhaps one argument, path of the script, the rest].
    extra = len(argv) - len(wanted)
    path = process["filename"] or ""
    named = wanted[0] == path or ("/" not in wanted[0] and path.rpartition("/")[2] == wanted[0])
    script = extra in {1, 2} and named and argv[extra] == path
    return script and _alike(wanted[1:], tuple(argv[extra + 1 :]), cut=False)


def _alike(one: tuple[str, ...], other: tuple[str, ...], *, cut: bool) -> bool:
    """Word for word; of one with a secret taken out only that it is there. `cut`: the last may be a beginning."""
    if cut:
        length = min(len(one), len(other)) - 1
        return length < 0 or _alike(one[:length], other[:length], cut=False)
    return len(one) == len(other) and all(
        a == b or HIDDEN in a or HIDDEN in b for a, b in zip(one, other, strict=True)
    )


def _is_terminal(asked: Exec, process: Mapping[str, Any]) -> bool:
    return asked.terminal is None or asked.terminal == (process["tty"] is not None)
