# SPDX-License-Identifier: Apache-2.0
"""The sensor's configuration: flags over environment over conf.d over file over defaults.

KEYS is the one list of what can be set; the option reference and `config show` are made from it. Every value
remembers where it came from. A key that does not exist and a value of the wrong type are errors that name
the place.
"""

from __future__ import annotations

import hashlib
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, cast
from urllib.parse import urlsplit

from sensor.config_keys import BY_NAME, ENVIRONMENT_PREFIX, KEYS, Key, Value, WrongValueError
from sensor.fault import ExitCode, Fault

Loader = Literal["auto", "bcc", "core"]
Hook = Literal["auto", "fentry", "kprobe", "tracepoint"]

FILE_VARIABLE: Final = "NSENTRY_SENSOR_CONFIG"
LOCAL_STATE: Final = Path("var/sensor")
SYSTEM_STATE: Final = Path("/var/lib/nsentry/sensor")
BPFFS: Final = Path("/sys/fs/bpf")
SYSTEM_FILE: Final = Path("/etc/nsentry/sensor.toml")


@dataclass(frozen=True, slots=True)
class Controller:
    """Where events go. `url` None: as enrolled. `ca` None: the one pinned at enrolment."""

    url: str | None
    ca: Path | None
    proxy: str | None
    timeout_s: float


@dataclass(frozen=True, slots=True)
class SpoolLimits:
    """What is kept on disk while the controller is away."""

    max_bytes: int


@dataclass(frozen=True, slots=True)
class Docker:
    """Sockets of Docker and of what speaks its API; further ones are discovered."""

    sockets: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class Probes:
    """Where it stands what pods declare as probes."""

    manifests: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class Records:
    """What is read of what others say happened, besides the runtimes that are discovered."""

    kubernetes_audit: Path | None


@dataclass(frozen=True, slots=True)
class Files:
    """Configuration files of runtimes on the host that are watched, and folders of such."""

    paths: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class Redact:
    """Regular expressions for secrets in command lines, besides the built-in ones."""

    patterns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """How often the sensor says how it is."""

    interval_s: float


@dataclass(frozen=True, slots=True)
class Log:
    """What goes to stderr."""

    level: Literal["debug", "info", "warning", "error"]
    format: Literal["plain", "json"]


@dataclass(frozen=True, slots=True)
class Config:
    """All settings, checked, with paths made absolute."""

    state_dir: Path
    loader: Loader
    hook: Hook
    pins: Path | None
    """Where programs and ring are pinned; None: nowhere."""
    pins_asked: bool
    """The folder was named: where it cannot be used the sensor does not run."""
    controller: Controller
    spool: SpoolLimits
    docker: Docker
    probes: Probes
    records: Records
    files: Files
    redact: Redact
    heartbeat: Heartbeat
    log: Log
    origins: Mapping[str, str]
    """Dotted key to the place its value came from: a file, "$VARIABLE", "flag" or "default"."""
    file: Path | None
    """The main file, None where there is none."""

    @staticmethod
    def load(
        flags: Mapping[str, Value] | None = None,
        file: Path | None = None,
        environment: Mapping[str, str] | None = None,
        folder: Path | None = None,
    ) -> Config:
        """Gather and check all settings. Raises Fault (bad configuration).

        `flags` are dotted keys; text is read as in the environment. `file` overrides the search for one.
        `environment` and `folder` stand for os.environ and the working folder.
        """
        environment = os.environ if environment is None else environment
        folder = Path.cwd() if folder is None else folder
        found = _find_file(file, environment, folder)
        gathered = _defaults(folder)
        for part in _files(found) if found else ():
            _merge(gathered, _flatten(_read(part), str(part)), str(part), part.parent)
        for key in KEYS:
            if (text := environment.get(key.variable)) is not None:
                _merge(gathered, {key.name: text}, f"${key.variable}", folder)
        _refuse_unknown_variables(environment)
        _merge(gathered, flags or {}, "flag", folder)
        return _build(gathered, found)

    def values(self) -> dict[str, Value]:
        """Every dotted key with its value, as plain text, numbers and lists; a proxy's password is hidden."""
        values: dict[str, Value] = {}
        for key in KEYS:
            held: Any = self
            for step in key.name.split("."):
                held = getattr(held, step)
            values[key.name] = _plain(held)
        values["controller.proxy"] = _without_password(self.controller.proxy)
        return values


def _find_file(given: Path | None, environment: Mapping[str, str], folder: Path) -> Path | None:
    """A file that was asked for has to exist; the usual places may be empty."""
    named = given or (Path(environment[FILE_VARIABLE]) if environment.get(FILE_VARIABLE) else None)
    if named is not None:
        return folder / named
    for usual in (folder / LOCAL_STATE / "sensor.toml", SYSTEM_FILE):
        if usual.exists() or _parts(usual):
            return usual
    return None


def _files(main: Path) -> list[Path]:
    """The main file, which only conf.d can stand in for, then the parts in the order of their names."""
    parts = _parts(main)
    return [main, *parts] if main.exists() or not parts else parts


def _parts(main: Path) -> list[Path]:
    return sorted((main.parent / "conf.d").glob("*.toml"))


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text())
    except tomllib.TOMLDecodeError as error:
        fix = "mend that line; a text stands in double quotes"
        raise Fault(f"{path}: not TOML: {error}", exit_code=ExitCode.CONFIG, fix=fix) from error
    except UnicodeDecodeError as error:
        raise _bad(f"{path}: not UTF-8 text") from error
    except PermissionError as error:
        raise Fault(
            f"{path} cannot be read by this user", exit_code=ExitCode.PRIVILEGE, fix="run it as root"
        ) from error
    except OSError as error:
        fix = "name a file that is there, or leave --config and its variable out"
        raise Fault(f"{path}: {error.strerror or error}", exit_code=ExitCode.CONFIG, fix=fix) from error


def _flatten(table: Mapping[str, Any], place: str, prefix: str = "") -> dict[str, Value]:
    flat: dict[str, Value] = {}
    for name, value in table.items():
        dotted = prefix + name
        if isinstance(value, dict) and dotted not in BY_NAME:
            flat |= _flatten(value, place, f"{dotted}.")
        else:
            flat[dotted] = value
    return flat


Gathered = dict[str, tuple[Value, str]]


def _defaults(folder: Path) -> Gathered:
    gathered: Gathered = {key.name: (key.default, "default") for key in KEYS}
    local = folder / LOCAL_STATE
    gathered["state_dir"] = (local if local.is_dir() else SYSTEM_STATE, "default")
    return gathered


def _merge(gathered: Gathered, values: Mapping[str, Value], origin: str, base: Path) -> None:
    for name, value in values.items():
        key = BY_NAME.get(name)
        if key is None:
            near = _nearest(name)
            raise _bad(
                f"{origin}: there is no setting {name!r}" + (f"; did you mean {near!r}?" if near else "")
            )
        gathered[name] = (_checked(key, value, origin, base), origin)


def _checked(key: Key, value: Value, origin: str, base: Path) -> Value:
    try:
        return key.read(value, base)
    except WrongValueError as error:
        raise _bad(f"{origin}: {key.name}: {error}") from error


def _refuse_unknown_variables(environment: Mapping[str, str]) -> None:
    known = {key.variable for key in KEYS} | {FILE_VARIABLE}
    for name in sorted(environment):
        if name.startswith(ENVIRONMENT_PREFIX) and name not in known:
            raise _bad(f"${name}: there is no such setting; 'nsentry-sensor config show' lists them")


def _nearest(name: str) -> str | None:
    import difflib  # noqa: PLC0415 - only to word an error

    tables = {known.partition(".")[0] for known in BY_NAME}
    return next(iter(difflib.get_close_matches(name, [*BY_NAME, *sorted(tables)], n=1)), None)


def _build(gathered: Gathered, file: Path | None) -> Config:
    def of(name: str) -> Any:  # noqa: ANN401 - each was checked by its Key
        return gathered[name][0]

    return Config(
        state_dir=of("state_dir"),
        loader=cast("Loader", of("loader")),
        hook=cast("Hook", of("hook")),
        pins=_pins(of("pins"), of("state_dir")),
        pins_asked=of("pins") not in {"auto", "off"},
        controller=Controller(
            of("controller.url"), of("controller.ca"), of("controller.proxy"), of("controller.timeout_s")
        ),
        spool=SpoolLimits(of("spool.max_bytes")),
        docker=Docker(of("docker.sockets")),
        probes=Probes(of("probes.manifests")),
        records=Records(of("records.kubernetes_audit")),
        files=Files(of("files.paths")),
        redact=Redact(of("redact.patterns")),
        heartbeat=Heartbeat(of("heartbeat.interval_s")),
        log=Log(of("log.level"), of("log.format")),
        origins={name: origin for name, (_, origin) in gathered.items()},
        file=file,
    )


def _pins(value: Path | str, state_dir: Path) -> Path | None:
    """One folder for each state folder: two sensors cannot share one."""
    if value == "off":
        return None
    if value != "auto":
        return Path(value)
    if state_dir == SYSTEM_STATE:
        return BPFFS / "nsentry"
    return BPFFS / f"nsentry-{hashlib.sha256(os.fsencode(state_dir)).hexdigest()[:12]}"


def _plain(value: Any) -> Value:  # noqa: ANN401 - any held value
    if isinstance(value, tuple):
        return [str(item) for item in value]
    return str(value) if isinstance(value, Path) else cast("Value", value)


def _without_password(url: str | None) -> str | None:
    if url is None or urlsplit(url).password is None:
        return url
    return re.sub(r"(?<=//)([^:@/]*):[^@/]*@", r"\1:***@", url)


def _bad(sentence: str) -> Fault:
    return Fault(sentence, exit_code=ExitCode.CONFIG, fix="see 'nsentry-sensor config show'")
