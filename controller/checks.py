# SPDX-License-Identifier: Apache-2.0
"""What `doctor` looks at: each check has a name, a verdict, what was found, and the command that mends it."""

from __future__ import annotations

import shutil
import stat
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Literal

import requests

from controller import initialise, server
from controller.errors import ControllerError
from controller.export.destination import DestinationError
from controller.export.exporter import status
from controller.export.sender import open_sender
from controller.pki import Pki, names_of
from controller.store import counters, hosts, migrate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from controller.settings import Settings

Verdict = Literal["ok", "warn", "fail"]

INIT: Final = "nsentry-controller init"
RESTORE: Final = "stop the controller and restore a backup of nsentry.db"
MIN_FREE_BYTES: Final = 512 * 1024 * 1024
SILENT_AFTER_S: Final = 120
_TIMEOUT_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class Check:
    """One finding of the doctor. `code` is the exit code of the contract that a failure stands for."""

    name: str
    verdict: Verdict
    found: str
    mend: str | None = None
    code: int = 1

    def as_dict(self) -> dict[str, Any]:
        """As `--json` prints it."""
        return asdict(self)


def run(settings: Settings) -> Iterator[Check]:
    """All checks, in an order in which each relies only on those before it."""
    for check in CHECKS:
        try:
            yield from check(settings)
        except ControllerError as error:
            mend = RESTORE if isinstance(error, migrate.UnusableError) else INIT
            yield Check(check.__name__.strip("_"), "fail", str(error), mend, 78)


def exit_code(checks: list[Check]) -> int:
    """0 when nothing failed, else the first kind's: privilege, configuration, reachability, others."""
    codes = {each.code for each in checks if each.verdict == "fail"}
    return next((code for code in (77, 78, 69, 1) if code in codes), 0)


def _state(settings: Settings) -> Iterator[Check]:
    folder = settings.state_dir
    initialise.require(settings)
    yield Check("state", "ok", str(folder))
    open_to_others = [path for path in (folder, *sorted(folder.iterdir())) if _is_open(path)]
    if open_to_others:
        shown = ", ".join(str(path) for path in open_to_others)
        yield Check("permissions", "fail", f"others can read {shown}", f"chmod -R go= {folder}", 78)
    else:
        yield Check("permissions", "ok", "only their owner can read the keys and the database")


def _certificate(settings: Settings) -> Iterator[Check]:
    certificate = Pki(settings.state_dir).server_certificate()
    days = (certificate.not_valid_after_utc - datetime.now(UTC)).days
    missing = initialise.names(settings) - names_of(certificate)
    if days < 0:
        yield Check(
            "certificate", "fail", f"it ended on {certificate.not_valid_after_utc:%Y-%m-%d}", INIT, 78
        )
    elif missing:
        yield Check("certificate", "warn", f"it lacks {', '.join(sorted(missing))}", INIT)
    else:
        yield Check("certificate", "ok", f"good for {days} days and all names of this host")


def _database(settings: Settings) -> Iterator[Check]:
    with migrate.reader(settings.store_url) as connection:
        yield Check("schema", "ok", migrate.REVISIONS[-1])
        if connection.dialect.name == "sqlite":
            result = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar_one()
            if result != "ok":
                yield Check("database", "fail", f"it is damaged: {result}", RESTORE)
            else:
                yield Check("database", "ok", "its structure is sound")
    free = shutil.disk_usage(settings.state_dir).free
    found = f"{free // 1024**2} MiB free for {settings.state_dir}"
    if free < MIN_FREE_BYTES:
        yield Check("disk", "warn", found, f"make room on the disk of {settings.state_dir}")
    else:
        yield Check("disk", "ok", found)


def _forgotten(settings: Settings) -> Iterator[Check]:
    kept = settings.retention
    with migrate.reader(settings.store_url) as connection:
        gone = counters.all_(connection, "retention.")
    told = ", ".join(f"{count} {name.removeprefix('retention.')}" for name, count in gone.items() if count)
    rule = f"what no visit stands by is kept for {kept.outside.days:g} days, health checks for {kept.probes.days:g}"
    yield Check("retention", "ok", f"{rule}; forgotten so far: {told or 'nothing'}")


def _running(settings: Settings) -> Iterator[Check]:
    running = server.running(settings.lock_file)
    start = "nsentry-controller serve"
    if running is None:
        yield Check("running", "fail", "no process serves this state folder", start, 69)
        return
    yield Check("running", "ok", f"process {running.pid} at {running.url}")
    with requests.Session() as session:
        session.trust_env = False  # neither a proxy nor another CA comes between
        session.headers["authorization"] = f"Bearer {initialise.operator_credential(settings)}"
        try:
            answer = session.get(
                f"{running.url}/readyz",
                verify=str(settings.ca_file),
                timeout=_TIMEOUT_S,
                allow_redirects=False,
            )
            body = answer.json()
        except (requests.RequestException, ValueError) as error:
            mend = "look into its log; set url in controller.toml to an address that leads to it"
            yield Check("answers", "fail", f"{running.url} does not answer: {_reason(error)}", mend, 69)
            return
    if answer.ok:
        yield Check("answers", "ok", f"ready; detection is at most {body['behind']} events behind")
    else:
        problems = ", ".join(body.get("problems") or [body.get("error", str(answer.status_code))])
        yield Check("answers", "fail", problems, "look into its log", 1)


def _sensors(settings: Settings) -> Iterator[Check]:
    with migrate.reader(settings.store_url) as connection:
        known = [host for host in hosts.list_(connection) if host["revoked"] is None]
        refused = {
            name: count for name, count in counters.all_(connection, "refused.").items() if "/" not in name
        }
    if not known:
        yield Check("sensors", "warn", "no host is enrolled", "nsentry-controller token create")
        return
    late = time.time_ns() - SILENT_AFTER_S * 1_000_000_000
    silent = [host["name"] for host in known if (host["last_seen_ns"] or 0) < late]
    if silent:
        mend = "on each of them: nsentry-sensor doctor"
        yield Check("sensors", "warn", f"silent: {', '.join(silent)}", mend)
    else:
        yield Check("sensors", "ok", f"{len(known)} spoke within the last {SILENT_AFTER_S} s")
    told = ", ".join(f"{name.removeprefix('refused.')} {count}" for name, count in refused.items())
    yield Check("refused", "ok", told or "nothing was refused")


def _exports(settings: Settings) -> Iterator[Check]:
    for each in settings.exports:
        try:
            open_sender(each).close()
        except DestinationError as error:
            yield Check("exports", "fail", str(error), f"set it right in {settings.file}", 78)
    with migrate.reader(settings.store_url) as connection:
        for row in status(connection, settings.exports):
            if row["state"] == "failing":
                found = f"{row['name']} fails since {row['failing_since']}, {row['behind']} behind: {row['last_error']}"
                yield Check("exports", "warn", found, f"nsentry-controller exports test {row['name']}")
            else:
                yield Check("exports", "ok", f"{row['name']}: {row['sent']} sent, {row['given_up']} given up")


def _reason(error: BaseException) -> str:
    """What went wrong in the first place: requests and urllib3 wrap it several times."""
    while error.__context__ is not None:
        error = error.__context__
    return str(error) or type(error).__name__


def _is_open(path: Path) -> bool:
    return bool(path.lstat().st_mode & (stat.S_IRWXG | stat.S_IRWXO)) and (path.is_dir() or _is_secret(path))


def _is_secret(path: Path) -> bool:
    return path.suffix in {".key", ".token", ".db", ".db-wal", ".db-shm"}


CHECKS: Final[tuple[Callable[[Settings], Iterator[Check]], ...]] = (
    _state,
    _certificate,
    _database,
    _forgotten,
    _running,
    _sensors,
    _exports,
)
