# SPDX-License-Identifier: Apache-2.0
"""Chat and paging services through apprise (extra `notify`), by its URLs out of a file.

Only what is news to people is told: an alert that is raised, graver than before, or open again.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from controller.export.destination import DestinationError, secret
from controller.export.item import PAGED
from controller.export.sender import SendError
from controller.store.views import SEVERITIES, rfc3339
from sensor import wire

if TYPE_CHECKING:
    from controller.export.destination import Destination
    from controller.export.item import Item

MAX_TEXT: Final = 1500
"""Characters: what the tightest of the usual services takes in one message, with its title."""
MAX_REASONS: Final = 5
_TYPES: Final = {0: "info", 1: "info", 2: "warning", 3: "failure", 4: "failure"}


class Paging:
    """Notifies all services of the destination."""

    def __init__(self, destination: Destination) -> None:
        try:
            import apprise  # noqa: PLC0415 - an extra
        except ImportError as error:
            raise DestinationError(
                f"export {destination.name}: apprise is not installed: pip install 'nsentry[notify]'"
            ) from error
        self._services = apprise.Apprise()
        for number, line in enumerate(secret(destination, "address_file").splitlines(), 1):
            url = line.strip()
            if url and not url.startswith("#") and not self._services.add(url):
                raise DestinationError(
                    f"export {destination.name}: {destination.address_file}:{number}: apprise knows no such service"
                )
        if not len(self._services):
            raise DestinationError(f"export {destination.name}: {destination.address_file} names no service")
        self._said = _Said()

    def send(self, item: Item) -> None:
        """See Sender."""
        if item.action not in PAGED:
            return
        log = logging.getLogger("apprise")
        log.addHandler(self._said)
        try:
            told = self._services.notify(
                body=body(item), title=title(item), notify_type=_TYPES[item.severity]
            )
        finally:
            log.removeHandler(self._said)
        if not told:
            raise SendError(self._said.take() or "apprise could not tell the service")

    def flush(self) -> None:
        """The service's answer was the acknowledgement."""

    def close(self) -> None:
        """Apprise keeps no connection."""


def title(item: Item) -> str:
    """One line: how grave, and what."""
    mark = "[TEST] " if item.test else "[emulation] " if item.emulation else ""
    return f"{mark}{SEVERITIES[item.severity]}: {wire.printable(item.body['title'])}"[:200]


def body(item: Item) -> str:
    """What happened, why it is told, and how to look at it; nothing in it can steer where it is shown."""
    alert = item.body
    reasons = [f"- {wire.printable(each['reason'])}" for each in alert["findings"][:MAX_REASONS]]
    lines = [
        wire.printable(alert["sentence"]),
        *reasons,
        f"{item.action} at {rfc3339(item.time)}, host {wire.printable(item.host)}",
        f"nsentry-controller alerts show {alert['id']}",
    ]
    return "\n".join(line[: MAX_TEXT // 2] for line in lines)[:MAX_TEXT]


class _Said(logging.Handler):
    """Keeps the last complaint of apprise, which tells no more than yes or no by itself."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._last = ""

    def emit(self, record: logging.LogRecord) -> None:
        self._last = wire.printable(record.getMessage())[:200]

    def take(self) -> str:
        said, self._last = self._last, ""
        return said
