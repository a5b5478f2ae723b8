# SPDX-License-Identifier: Apache-2.0
"""The `[[export]]` tables of `controller.toml`: where to, what, in which form. Secrets are files, never settings."""

from __future__ import annotations

import re
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal
from urllib.parse import SplitResult, urlsplit

import msgspec

from controller.errors import ConfigurationError
from controller.store.views import SEVERITIES
from sensor import wire

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Kind = Literal["syslog", "webhook", "file", "stdout", "apprise"]

LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
LEVELS: Final = {label: number for number, label in SEVERITIES.items()}
MAX_SECRET: Final = 65_536
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,47}")
_UNITS: Final = {"m": 60, "h": 3600, "d": 86400}
_SCHEMES: Final[dict[str, tuple[str, ...]]] = {"syslog": ("tls", "tcp", "udp"), "webhook": ("https", "http")}
_PORTS: Final = {"tls": 6514, "tcp": 601, "udp": 514}
"""RFC 5425, RFC 3195's registration that others use for RFC 6587, and RFC 5426."""


class DestinationError(ConfigurationError):
    """An `[[export]]` that cannot work; the message names it, and what to set."""


class Destination(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One place that is told of alerts or events."""

    name: str
    kind: Kind
    what: Literal["alerts", "events"] = "alerts"
    format: Literal["json", "ocsf", "ecs", "cef"] | None = None
    """Default: cef of syslog, else json. An apprise destination has words of its own."""
    severity: Literal["low", "medium", "high", "critical"] = "low"
    """Of alerts: the least that is told."""
    kinds: tuple[str, ...] = ()
    """Of events: only these kinds. Default: all."""
    address: str | None = None
    """syslog: tls://HOST:PORT, tcp://, udp://; webhook: https://...; file: an absolute path."""
    framing: Literal["octets", "lines"] = "octets"
    """Of syslog over TCP: how messages are told apart (RFC 6587). TLS always counts octets (RFC 5425)."""
    ca: Path | None = None
    """PEM of the authorities that the receiver's certificate is checked against. Default: the system's."""
    certificate: Path | None = None
    key: Path | None = None
    """Who we are to a receiver that asks for a certificate."""
    secret_file: Path | None = None
    """webhook: the key of the signature."""
    headers_file: Path | None = None
    """webhook: further headers, a "Name: value" a line, such as Authorization."""
    address_file: Path | None = None
    """apprise: its URLs, one a line; a webhook's address where that is a secret itself."""
    emulations: bool | None = None
    """Whether alerts of staged attacks are told. Default: by syslog, file and stdout, marked; nobody is paged."""
    backfill: bool = False
    """Begin with what is stored already. Default: with what comes after the destination's first start."""
    keep: str = "7d"
    """How long a message is tried for: 30m, 12h, 7d."""
    rotate_bytes: int = 100 * 1024 * 1024
    rotate_files: int = 5

    @property
    def chosen_format(self) -> str:
        """The format in force."""
        return self.format or ("cef" if self.kind == "syslog" else "json")

    @property
    def level(self) -> int:
        """The least severity as a number."""
        return LEVELS[self.severity]

    @property
    def keep_ns(self) -> int:
        """`keep` in ns."""
        return int(self.keep[:-1]) * _UNITS[self.keep[-1]] * 1_000_000_000

    @property
    def tells_emulations(self) -> bool:
        """Whether staged alerts are told."""
        return self.kind not in {"webhook", "apprise"} if self.emulations is None else self.emulations

    @property
    def place(self) -> str:
        """Where it leads, as it may be shown."""
        return self.address or (str(self.address_file) if self.address_file else self.kind)

    def url(self) -> SplitResult:
        """The address in its parts, of a webhook perhaps out of its file. DestinationError: it is not there."""
        return urlsplit(self.address or secret(self, "address_file").splitlines()[0].strip())

    def endpoint(self) -> tuple[str, int]:
        """Host and port of a syslog receiver."""
        parts = self.url()
        return parts.hostname or "", parts.port or _PORTS[parts.scheme]


def parse(tables: Sequence[object], source: Path) -> tuple[Destination, ...]:
    """The destinations of a configuration file. DestinationError with the first that makes no sense."""
    made: list[Destination] = []
    for number, table in enumerate(tables, 1):
        try:
            destination = msgspec.convert(table, Destination, dec_hook=_path)
        except msgspec.ValidationError as error:
            name = table.get("name") if isinstance(table, dict) else None
            raise DestinationError(f"{source}: [[export]] {name or f'number {number}'}: {error}") from error
        problem = next(_problems(destination), None)
        if problem is None and destination.name in {each.name for each in made}:
            problem = "another export has this name; each needs its own, for its cursor is kept by it"
        if problem is not None:
            raise DestinationError(f"{source}: [[export]] {wire.printable(destination.name)}: {problem}")
        made.append(destination)
    return tuple(made)


def check_files(destination: Destination) -> None:
    """DestinationError unless the files that it names can be read, and the secret ones by their owner alone."""
    for name in ("ca", "certificate"):
        path: Path | None = getattr(destination, name)
        if path is not None and not path.is_file():
            raise _wrong(destination, f"{name} = {path}: there is no such file")
    for name in ("key", "secret_file", "headers_file", "address_file"):
        if getattr(destination, name) is not None:
            secret(destination, name)
    if destination.kind == "file" and destination.address and not Path(destination.address).parent.is_dir():
        raise _wrong(destination, f"the folder of {destination.address} does not exist: make it")


def secret(destination: Destination, name: str) -> str:
    """What the secret file of this setting holds, without blanks at its ends. DestinationError: why not."""
    path: Path | None = getattr(destination, name)
    if path is None:
        raise _wrong(destination, f"{name} is not set")
    try:
        mode = path.stat().st_mode
        if mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise _wrong(destination, f"others can read {path}: chmod 600 {path}")
        with path.open(encoding="utf-8") as file:
            text = file.read(MAX_SECRET).strip()
    except OSError as error:
        raise _wrong(destination, f"{name} = {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise _wrong(destination, f"{name} = {path}: it is not UTF-8 text") from error
    if not text:
        raise _wrong(destination, f"{name} = {path}: it is empty")
    return text


def _path(kind: type, value: object) -> Path:
    """What msgspec does not know by itself: a path, out of text."""
    if kind is not Path or not isinstance(value, str):
        raise TypeError(f"expected a path as text, got {value!r}")
    return Path(value)


def _wrong(destination: Destination, text: str) -> DestinationError:
    return DestinationError(f"export {destination.name}: {text}")


def _problems(destination: Destination) -> Iterator[str]:
    if not _NAME.fullmatch(destination.name):
        yield 'name is a word of a-z, 0-9, "-" and "_", at most 48 characters'
    if not re.fullmatch(r"[1-9]\d{0,4}[mhd]", destination.keep):
        yield f"keep is {destination.keep!r}; expected 30m, 12h or 7d"
    unknown = sorted(set(destination.kinds) - set(wire.EVENT_TYPES))
    if unknown:
        yield f"kinds has {', '.join(unknown)}; there are {', '.join(wire.EVENT_TYPES)}"
    if (destination.certificate is None) != (destination.key is None):
        yield "certificate and key go together"
    if destination.rotate_bytes < 4096 or not 1 <= destination.rotate_files <= 1000:
        yield "rotate_bytes is at least 4096, rotate_files 1 to 1000"
    yield from _address_problems(destination)


def _address_problems(destination: Destination) -> Iterator[str]:
    kind, address = destination.kind, destination.address
    if kind == "apprise":
        if destination.address_file is None:
            yield "address_file is missing: the file with apprise's URLs, which hold secrets"
        if destination.what == "events":
            yield 'apprise pages people: what = "alerts"'
    elif kind == "file" and not (address and Path(address).is_absolute()):
        yield "address is missing: the absolute path of the file"
    elif kind == "syslog" or (kind == "webhook" and destination.address_file is None):
        yield from _url_problems(address, _SCHEMES[kind])
        if kind == "webhook" and address and address.startswith("http:") and not _is_local(address):
            yield "http:// only to this host itself: what is told would be readable and changeable on its way"


def _url_problems(address: str | None, schemes: tuple[str, ...]) -> Iterator[str]:
    expected = f"expected {schemes[0]}://HOST" + (
        "" if len(schemes) == 1 else f" (or {', '.join(schemes[1:])})"
    )
    if not address:
        yield f"address is missing; {expected}"
        return
    try:
        parts = urlsplit(address)
        usable = bool(parts.scheme in schemes and parts.hostname and (parts.port is None or parts.port > 0))
    except ValueError:
        usable = False
    if not usable:
        yield f"address is {address!r}; {expected}"
    elif parts.username or parts.password:
        yield "address holds a password: put it into headers_file or address_file"


def _is_local(address: str) -> bool:
    return urlsplit(address).hostname in LOOPBACK
