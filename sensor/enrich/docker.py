# SPDX-License-Identifier: Apache-2.0
"""The little of Docker's API that the sensor asks for, over the daemon's unix socket.

https://docs.docker.com/reference/api/engine/ ; podman serves the same paths. A daemon can hang, send without
end, or be somebody else's program: each request has one deadline for all of it and a bound on its size, and
what comes back is taken field by field.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import time
from collections.abc import Iterator
from typing import Any, Final

from sensor.enrich import configuration, daemon, facts
from sensor.enrich.daemon import TIMEOUT_S, UnexpectedError, away
from sensor.enrich.facts import Check, Facts, Pace
from sensor.enrich.supervisor import ID

API_VERSION: Final = "1.41"
"""Asked for first: Docker 20.10 to 28 and podman 4 speak it. Docker 29 wants 1.44, and says so."""
MAX_BYTES: Final = 1024 * 1024

_INTERVAL: Final = 30_000_000_000
_START_INTERVAL: Final = 5_000_000_000
_VERSION: Final = re.compile(r"1\.[0-9]{1,3}")


class Docker:
    """One daemon, by its socket."""

    def __init__(self, path: str, timeout_s: float = TIMEOUT_S) -> None:
        self.path = path
        self._timeout_s = timeout_s
        self._version = API_VERSION
        self.owner: int | None = None
        """The uid that listens there, once it was asked: SO_PEERCRED of unix(7)."""

    def inspect(self, container_id: str) -> dict[str, Any] | None:
        """The container's full record, None where this daemon has no such container.

        Raises AwayError or UnexpectedError.
        """
        if not ID.fullmatch(container_id):
            return None
        status, body = self._get(f"/v{self._version}/containers/{container_id}/json")
        if status == 400:
            # "client version 1.41 is too old. Minimum supported API version is 1.44", or too new.
            self._version = self._negotiate()
            status, body = self._get(f"/v{self._version}/containers/{container_id}/json")
        if status == 404:
            return None
        if status != 200:
            raise UnexpectedError(f"{self.path} answered {status} to an inspect")
        try:
            record = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise UnexpectedError(f"{self.path} sent no JSON: {error}") from error
        if not isinstance(record, dict) or record.get("Id") != container_id:
            raise UnexpectedError(f"{self.path} sent the record of another container")
        return record

    def _negotiate(self) -> str:
        """The newest version that the daemon speaks, from the header that its ping carries."""
        with self._request("/_ping") as response:
            offered = response.getheader("Api-Version") or ""
        if not _VERSION.fullmatch(offered):
            raise UnexpectedError(f"{self.path} does not say which version of the API it speaks")
        return offered

    def _get(self, path: str) -> tuple[int, bytes]:
        with self._request(path) as response:
            try:
                body = response.read(MAX_BYTES + 1)
            except OSError as error:
                raise away(self.path, error) from error
            except http.client.HTTPException as error:
                raise UnexpectedError(f"{self.path} ended its answer early: {error!r}") from error
            if len(body) > MAX_BYTES:
                raise UnexpectedError(f"{self.path} sent more than {MAX_BYTES} bytes")
            return response.status, body

    def _connection(self) -> _Connection:
        return _Connection(self.path, time.monotonic() + self._timeout_s)

    @contextlib.contextmanager
    def _request(self, path: str) -> Iterator[http.client.HTTPResponse]:
        connection = self._connection()
        try:
            connection.request("GET", path, headers={"Host": "docker", "User-Agent": "nsentry"})
            self.owner = daemon.peer_uid(connection.sock)
            response = connection.getresponse()
        except OSError as error:
            raise away(self.path, error) from error
        except http.client.HTTPException as error:
            raise UnexpectedError(f"{self.path} does not speak HTTP: {error!r}") from error
        else:
            yield response
        finally:
            connection.close()


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: str, deadline: float) -> None:
        super().__init__("localhost")
        self._path = path
        self._deadline = deadline

    def connect(self) -> None:
        self.sock = daemon.connect(self._path, self._deadline)


def describe(record: dict[str, Any], *, podman: bool = False) -> Facts:
    """What an inspect says. Types are checked: the daemon may be another's, and labels are anybody's.

    `podman`: it is podman's answer, which executes a check in another way than Docker does.
    """
    config, host = facts.section(record, "Config"), facts.section(record, "HostConfig")
    labels = facts.labels(config.get("Labels"))
    name = facts.text(record.get("Name"))
    privileged = host.get("Privileged")
    return Facts(
        name=name.removeprefix("/") if name else None,
        image=facts.text(config.get("Image")),
        labels=labels,
        pod=facts.pod(
            labels.get("io.kubernetes.pod.name"),
            labels.get("io.kubernetes.pod.namespace"),
            labels.get("io.kubernetes.pod.uid"),
        ),
        user=facts.text(config.get("User")),
        privileged=privileged if isinstance(privileged, bool) else None,
        checks=_checks(config, podman=podman),
        settings=configuration.of_record(record),
    )


def _checks(config: dict[str, Any], *, podman: bool) -> tuple[Check, ...]:
    """The command of the HEALTHCHECK, as moby:daemon/health.go and podman:libpod/healthcheck.go make it."""
    declared = facts.section(config, "Healthcheck")
    also: tuple[str, ...] = ()
    match _words(declared.get("Test")):
        case ["CMD", *argv] if argv:
            pass
        case ["CMD-SHELL", *argv] if argv and podman:
            # It knows no SHELL, and joins the words. Up to version 3 it called the shell by name.
            also = ("sh", "-c", " ".join(argv))
            argv = ["/bin/sh", "-c", " ".join(argv)]
        case ["CMD-SHELL", *argv] if argv:
            argv = [*(_words(config.get("Shell")) or ["/bin/sh", "-c"]), *argv]
        case _:
            return ()
    user, folder = config.get("User"), config.get("WorkingDir")
    return (
        Check(
            tuple(argv),
            user if isinstance(user, str) else "",
            folder if isinstance(folder, str) and folder.startswith("/") else "/",
            _pace(declared, podman=podman),
            also,
        ),
    )


def _pace(declared: dict[str, Any], *, podman: bool) -> Pace:
    """Times of a HEALTHCHECK, with moby's defaults. Without an interval podman leaves it to others to run it."""
    interval = _ns(declared, "Interval")
    if podman:
        return Pace(interval)
    period = interval or _INTERVAL
    return Pace(
        period,
        first_period=min(_ns(declared, "StartInterval") or _START_INTERVAL, period),
        first_for=_ns(declared, "StartPeriod"),
    )


def _ns(declared: dict[str, Any], key: str) -> int:
    value = declared.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def _words(value: object) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(word, str) for word in value):
        return []
    return value


def init_pid(record: dict[str, Any]) -> int | None:
    """The host's pid of the container's init, None while it does not run."""
    pid = facts.section(record, "State").get("Pid")
    return pid if isinstance(pid, int) and pid > 0 else None
