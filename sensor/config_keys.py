# SPDX-License-Identifier: Apache-2.0
"""What can be configured: each key with its type, default, bounds and meaning."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from sensor.files.places import USUAL

Value = Any
"""What TOML, the environment or a flag gives: text, number, list, path, or None for "not set"."""

ENVIRONMENT_PREFIX: Final = "NSENTRY_SENSOR_"
MIB: Final = 1024 * 1024


class WrongValueError(ValueError):
    """A value that a key does not take: says what it takes."""


Read = Callable[[Value, Path], Value]


@dataclass(frozen=True, slots=True)
class Key:
    """One setting. `read` checks a value and makes it what Config holds; relative paths start at `base`."""

    name: str
    read: Read
    default: Value
    kind: str
    meaning: str

    @property
    def variable(self) -> str:
        """Its environment variable."""
        return ENVIRONMENT_PREFIX + self.name.upper().replace(".", "_")


def _text(value: Value, _base: Path) -> str:
    if not isinstance(value, str) or not value:
        raise WrongValueError(f"text was expected, not {_said(value)}")
    return value


def _path(value: Value, base: Path) -> Path:
    if isinstance(value, Path):
        return base / value
    text = _text(value, base)
    try:
        return base / Path(text).expanduser()
    except RuntimeError:
        raise WrongValueError(f"{text!r} begins with a user that is not known here") from None


def _auto_off_or_path(value: Value, base: Path) -> Path | str:
    return value if value in {"auto", "off"} else _path(value, base)


def _one_of(*choices: str) -> Read:
    def read(value: Value, _base: Path) -> str:
        if value not in choices:
            raise WrongValueError(f"one of {', '.join(choices)} was expected, not {_said(value)}")
        return str(value)

    return read


def _number(lowest: float, highest: float, kind: type[int] | type[float]) -> Read:
    name = "a whole number" if kind is int else "a number"

    def read(value: Value, _base: Path) -> int | float:
        if isinstance(value, str):
            try:
                value = kind(value)
            except ValueError:
                raise WrongValueError(f"{name} was expected, not {_said(value)}") from None
        if isinstance(value, bool) or not isinstance(value, int if kind is int else int | float):
            raise WrongValueError(f"{name} was expected, not {_said(value)}")
        if not lowest <= value <= highest:
            raise WrongValueError(f"{value} is out of bounds: from {lowest} to {highest}")
        return kind(value)

    return read


def _list(value: Value, base: Path, item: Read) -> tuple[Value, ...]:
    """A TOML array; from the environment or a flag also one item alone."""
    if isinstance(value, str):
        value = _array(value) if value.lstrip().startswith("[") else [value]
    if not isinstance(value, Sequence):
        raise WrongValueError(f"a list was expected, not {_said(value)}")
    return tuple(item(one, base) for one in value)


def _array(text: str) -> Value:
    try:
        return tomllib.loads(f"x = {text}")["x"]
    except tomllib.TOMLDecodeError as error:
        raise WrongValueError(f'not a TOML array such as ["a", "b"]: {error}') from None


def _paths(value: Value, base: Path) -> tuple[Path, ...]:
    return _list(value, base, _path)


def _patterns(value: Value, base: Path) -> tuple[str, ...]:
    def pattern(one: Value, base: Path) -> str:
        text = _text(one, base)
        try:
            re.compile(text)
        except re.error as error:
            raise WrongValueError(f"{text!r} is not a regular expression: {error}") from None
        return text

    return _list(value, base, pattern)


def _url(*schemes: str) -> Read:
    def read(value: Value, base: Path) -> str:
        text = _text(value, base).rstrip("/")
        try:
            parts = urlsplit(text)
            usable = parts.scheme in schemes and bool(parts.hostname) and parts.port != 0
        except ValueError:
            usable = False
        if not usable:
            raise WrongValueError(
                f"an address such as {schemes[0]}://HOST:PORT was expected, not {_said(value)}"
            )
        if schemes == ("https",) and (parts.path or parts.query or parts.fragment or parts.username):
            raise WrongValueError(f"only scheme, host and port belong here, not {_said(value)}")
        return text

    return read


def _said(value: Value) -> str:
    return repr(value) if isinstance(value, str | int | float) else type(value).__name__


check_url: Final = _url("https")
"""Checks a controller's address, wherever it is given. Raises WrongValueError."""

KEYS: Final = (
    Key("state_dir", _path, None, "path", "Folder of identity, spool and status socket."),
    Key(
        "loader",
        _one_of("auto", "bcc", "core"),
        "auto",
        "auto|bcc|core",
        "How programs get into the kernel: core where it loads, else bcc.",
    ),
    Key(
        "hook",
        _one_of("auto", "fentry", "kprobe", "tracepoint"),
        "auto",
        "auto|fentry|kprobe|tracepoint",
        "The best kind of hook that is tried for setns, in this order. Where the kernel refuses it, the next "
        "serves: the sensor does not go blind for the sake of a setting.",
    ),
    Key(
        "pins",
        _auto_off_or_path,
        "auto",
        "auto, off or path",
        "Folder in bpffs: with core, programs and ring stay there when the sensor is stopped or killed, and the "
        "next one reads what happened meanwhile. auto: one of this state_dir below /sys/fs/bpf, where bpffs is "
        "mounted; off: nothing is pinned.",
    ),
    Key("controller.url", check_url, None, "address", "The controller's address. Default: as enrolled."),
    Key(
        "controller.ca",
        _path,
        None,
        "path",
        "CA that signs the controller's certificate. Default: as enrolled.",
    ),
    Key(
        "controller.proxy", _url("http", "https"), None, "address", "Proxy; the environment's is never used."
    ),
    Key(
        "controller.timeout_s",
        _number(1, 300, float),
        20.0,
        "seconds",
        "How long the controller may take for an answer.",
    ),
    Key(
        "spool.max_bytes",
        _number(8 * MIB, 1024 * 1024 * MIB, int),
        256 * MIB,
        "bytes",
        "Most that is kept on disk while the controller is away; ordinary events go first, then the oldest.",
    ),
    Key(
        "docker.sockets",
        _paths,
        (Path("/run/docker.sock"), Path("/var/run/docker.sock")),
        "list of paths",
        "Sockets that speak Docker's API, besides those that are discovered.",
    ),
    Key(
        "probes.manifests",
        _paths,
        (Path("/etc/kubernetes/manifests"),),
        "list of paths",
        "Folders of manifests (JSON, or YAML with python3-yaml) that say which exec probes pods declare. "
        "Others than root must not be able to write there.",
    ),
    Key(
        "records.kubernetes_audit",
        _path,
        None,
        "path",
        "The audit log of a Kubernetes API server on this host (--audit-log-path). Followed over rotations.",
    ),
    Key(
        "files.paths",
        _paths,
        USUAL,
        "list of paths",
        "Configuration files of runtimes on this host, and folders of such, that are watched for changes; [] watches "
        "none. Default: those of docker, containerd, podman, kubelet, CRI-O and CNI.",
    ),
    Key(
        "redact.patterns",
        _patterns,
        (),
        "list of regular expressions",
        "Secrets in command lines, besides those that are known.",
    ),
    Key("heartbeat.interval_s", _number(1, 3600, float), 30.0, "seconds", "Time between two heartbeats."),
    Key(
        "log.level",
        _one_of("debug", "info", "warning", "error"),
        "info",
        "debug|info|warning|error",
        "The least important lines that are logged.",
    ),
    Key("log.format", _one_of("plain", "json"), "plain", "plain|json", "Lines for people, or JSON lines."),
)
"""Every setting, in the order in which they are shown."""

BY_NAME: Final = {key.name: key for key in KEYS}
