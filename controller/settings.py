# SPDX-License-Identifier: Apache-2.0
"""Where the controller keeps its state and where it listens.

Order: command line over environment over, for the system's state folder, /etc/nsentry/controller.toml over
`controller.toml` in the state folder, which `init` writes, over defaults. Secrets are files of that folder, never
settings.
"""

from __future__ import annotations

import difflib
import os
import re
import socket
import tomllib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec

from controller.errors import ConfigurationError
from controller.export import destination
from controller.keeping import Bound, Retention
from controller.policy import knobs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

STATE_VARIABLE: Final = "NSENTRY_CONTROLLER_STATE"
LOCAL_STATE: Final = Path("var/controller")
SYSTEM_STATE: Final = Path("/var/lib/nsentry/controller")
SYSTEM_FILE: Final = Path("/etc/nsentry/controller.toml")
"""The administrator's, beside the system's state folder alone."""
DEFAULT_LISTEN: Final = "127.0.0.1:8443"
"""This host only: whoever has a fleet says which address its sensors shall reach."""

_VARIABLES: Final = {
    "listen": "NSENTRY_CONTROLLER_LISTEN",
    "url": "NSENTRY_CONTROLLER_URL",
    "store": "NSENTRY_CONTROLLER_STORE",
    "log_level": "NSENTRY_CONTROLLER_LOG_LEVEL",
}
_LEVELS: Final = ("debug", "info", "warning", "error")


DEFAULT_STALE_S: Final = 30 * 86_400


class SettingsError(ConfigurationError):
    """A setting that makes no sense; the message names it, where it was read, and what is expected."""


class _File(msgspec.Struct, forbid_unknown_fields=True):
    """What `controller.toml` may hold."""

    listen: str | None = None
    url: str | None = None
    names: list[str] = []
    store: str | None = None
    log_level: str | None = None
    knobs: dict[str, str | list[str]] = {}
    export: list[dict[str, Any]] = []
    sigma: _Sigma | None = None
    detections: _Detections | None = None
    emulation: _Emulation | None = None
    retention: _Retention | None = None


class _Retention(msgspec.Struct, forbid_unknown_fields=True):
    """The table `[retention]`."""

    days: float = Retention().outside.days
    probe_days: float = Retention().probes.days
    events: int = Retention().outside.most


class _Emulation(msgspec.Struct, forbid_unknown_fields=True):
    """The table `[emulation]`."""

    stale: str


class _Detections(msgspec.Struct, forbid_unknown_fields=True):
    """The table `[detections]`."""

    folder: str


class _Sigma(msgspec.Struct, forbid_unknown_fields=True):
    """The table `[sigma]`."""

    rules: str


_TABLES: Final[Mapping[str, type[msgspec.Struct]]] = {
    "retention": _Retention,
    "emulation": _Emulation,
    "sigma": _Sigma,
}


@dataclass(frozen=True, slots=True)
class Settings:
    """The controller's configuration. Make it with `load`."""

    state_dir: Path
    host: str
    port: int
    url: str
    """The address under which sensors and browsers reach it: "https://collector:8443"."""
    names: tuple[str, ...] = ()
    """Names and addresses that the certificate holds besides this host's own."""
    store: str = ""
    """SQLAlchemy URL of the database; by default SQLite in the state folder."""
    log_level: str = "info"
    exports: tuple[destination.Destination, ...] = ()
    """Where alerts and events are told, see docs/exports.md."""
    sigma_rules: Path | None = None
    """Folder of Sigma rules that are detections too, see docs/sigma.md."""
    own_detections: Path | None = None
    """Folder of detections that are one's own, see docs/write-a-detection.md."""
    knobs: Mapping[str, str | Sequence[str]] = field(default_factory=dict)
    """The table [knobs], checked: see controller.policy.knobs."""
    stale_s: int = DEFAULT_STALE_S
    """Seconds after which the proof that a detection fires is stale: `stale` of the table [emulation]."""
    retention: Retention = field(default_factory=Retention)
    """What is forgotten, and when."""

    @property
    def store_url(self) -> str:
        """The database's URL."""
        return self.store or f"sqlite:///{self.state_dir / 'nsentry.db'}"

    @property
    def file(self) -> Path:
        """The configuration file."""
        return self.state_dir / "controller.toml"

    @property
    def ca_file(self) -> Path:
        """The certificate of the own CA: what sensors trust, and browsers may."""
        return self.state_dir / "ca.pem"

    @property
    def operator_file(self) -> Path:
        """The credential of programs on this host that ask for the controller's health."""
        return self.state_dir / "operator.token"

    @property
    def lock_file(self) -> Path:
        """Held by the process that serves."""
        return self.state_dir / "serve.lock"


def state_dir(flag: Path | None = None, environment: Mapping[str, str] = os.environ) -> Path:
    """Flag, else $NSENTRY_CONTROLLER_STATE, else ./var/controller where it exists, else the system's."""
    if flag is not None:
        return flag.absolute()
    if environment.get(STATE_VARIABLE):
        return Path(environment[STATE_VARIABLE]).absolute()
    return LOCAL_STATE.absolute() if LOCAL_STATE.is_dir() else SYSTEM_STATE


def load(
    state: Path | None = None,
    *,
    environment: Mapping[str, str] = os.environ,
    listen: str | None = None,
    url: str | None = None,
    names: tuple[str, ...] = (),
) -> Settings:
    """The settings in force. SettingsError where one makes no sense."""
    folder = state_dir(state, environment)
    own = folder / "controller.toml"
    file = _read(own)
    administrator = _read(SYSTEM_FILE) if folder == SYSTEM_STATE else _File()
    flags = {"listen": listen, "url": url}

    def pick(name: str) -> str | None:
        given = flags.get(name) or environment.get(_VARIABLES[name])
        return given or getattr(administrator, name) or getattr(file, name)

    host, port = parse_listen(pick("listen") or DEFAULT_LISTEN)
    level = (pick("log_level") or "info").lower()
    if level not in _LEVELS:
        raise SettingsError(f"log_level is {level!r}; expected one of {', '.join(_LEVELS)}")
    return Settings(
        state_dir=folder,
        host=host,
        port=port,
        url=_checked_url(pick("url")) or default_url(host, port),
        names=tuple(dict.fromkeys((*names, *administrator.names, *file.names))),
        store=pick("store") or "",
        log_level=level,
        exports=destination.parse(*_first((administrator.export, SYSTEM_FILE), (file.export, own))),
        sigma_rules=_sigma_rules((administrator.sigma, SYSTEM_FILE), (file.sigma, own)),
        own_detections=_own_detections((administrator.detections, SYSTEM_FILE), (file.detections, own)),
        stale_s=_stale((administrator.emulation, SYSTEM_FILE), (file.emulation, own)),
        retention=_retention((administrator.retention, SYSTEM_FILE), (file.retention, own)),
        knobs={**_checked_knobs(own, file.knobs), **_checked_knobs(SYSTEM_FILE, administrator.knobs)},
    )


T = TypeVar("T")


def _first(*found: tuple[T, Path]) -> tuple[T, Path]:
    """The first value that is set, with the file that it stands in; else the last."""
    return next((each for each in found if each[0]), found[-1])


def _sigma_rules(*found: tuple[_Sigma | None, Path]) -> Path | None:
    """Where Sigma rules are, a relative path beside the file that names it."""
    table, place = _first(*found)
    return place.parent / table.rules if table else None


def _own_detections(*found: tuple[_Detections | None, Path]) -> Path | None:
    """Where one's own detections are, a relative path beside the file that names it."""
    table, place = _first(*found)
    return place.parent / table.folder if table else None


def _retention(*found: tuple[_Retention | None, Path]) -> Retention:
    """How long what belongs to no visit, and health checks, are kept."""
    table, place = _first(*found)
    if table is None:
        return Retention()
    for name, least in (("days", 1), ("probe_days", 1), ("events", 10_000)):
        if not least <= getattr(table, name) < 10**12:
            raise SettingsError(
                f"{place}: in [retention], {name} is {getattr(table, name)}; expected {least} or more"
            )
    return Retention(Bound(table.days, table.events), Bound(table.probe_days, table.events))


def _stale(*found: tuple[_Emulation | None, Path]) -> int:
    """How old a proof may be, in seconds."""
    table, place = _first(*found)
    if table is None:
        return DEFAULT_STALE_S
    match = re.fullmatch(r"(\d{1,4})([hd])", table.stale)
    if match is None or int(match[1]) == 0:
        raise SettingsError(f"{place}: in [emulation], stale is {table.stale!r}; expected 12h, 30d")
    return int(match[1]) * {"h": 3600, "d": 86_400}[match[2]]


def with_port(settings: Settings, port: int) -> Settings:
    """The same for a port that the system chose (port 0 was asked for)."""
    if settings.port != 0:
        return settings
    url = settings.url.removesuffix(":0")
    return replace(settings, port=port, url=f"{url}:{port}" if url != settings.url else settings.url)


def parse_listen(text: str) -> tuple[str, int]:
    """Address and port of "127.0.0.1:8443", "[::1]:8443" or "0.0.0.0:8443"."""
    match = re.fullmatch(r"(?:\[(?P<six>[0-9a-fA-F:.]+)\]|(?P<four>[^:\[\]\s]+)):(?P<port>\d{1,5})", text)
    if match is None or int(match["port"]) > 65535:
        raise SettingsError(f"listen is {text!r}; expected ADDRESS:PORT such as {DEFAULT_LISTEN}")
    return match["six"] or match["four"], int(match["port"])


def default_url(host: str, port: int) -> str:
    """The address to tell others: this host's name where every address is listened on."""
    if host in {"127.0.0.1", "::1", "localhost"}:
        name = "localhost"
    elif host in {"0.0.0.0", "::"}:  # noqa: S104 - compared with, not bound to
        name = socket.gethostname()
    else:
        name = f"[{host}]" if ":" in host else host
    return f"https://{name}:{port}"


def _checked_url(url: str | None) -> str | None:
    if url is not None and not re.fullmatch(r"https://[^/\s?#@]+/?", url):
        raise SettingsError(f"url is {url!r}; expected https://NAME:PORT, without a path")
    return url.rstrip("/") if url else None


def _checked_knobs(path: Path, values: dict[str, str | list[str]]) -> Mapping[str, str | Sequence[str]]:
    try:
        knobs.read(values)
    except knobs.KnobError as error:
        raise SettingsError(f"{path}: in [knobs], {error}") from error
    return values


def _read(path: Path) -> _File:
    try:
        return msgspec.convert(tomllib.loads(path.read_text()), _File)
    except FileNotFoundError:
        return _File()
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as error:
        raise SettingsError(f"{path}: {_wrong(str(error))}") from error


def _wrong(told: str) -> str:
    """What msgspec or tomllib told, with the setting that may have been meant."""
    unknown = re.match(r"Object contains unknown field `([^`]+)`(?: - at `\$\.?([^`]+)`)?", told)
    if unknown is None:
        return told
    name, table = unknown[1], unknown[2]
    known = _TABLES.get(table or "", _File).__struct_fields__
    near = difflib.get_close_matches(name, known, n=1)
    where = f" in [{table}]" if table else ""
    return f"there is no setting {name!r}{where}" + (f"; did you mean {near[0]!r}?" if near else "")


def write_file(path: Path, values: Mapping[str, Any]) -> None:
    """Writes a new `controller.toml`; what is None is left out."""
    quoted = {name: _toml(value) for name, value in values.items() if value}
    path.write_text("".join(f"{name} = {value}\n" for name, value in quoted.items()))


def _toml(value: str | tuple[str, ...]) -> str:
    # TOML's basic strings and arrays of them are JSON's.
    return msgspec.json.encode(value).decode()
