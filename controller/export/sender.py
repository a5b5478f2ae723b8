# SPDX-License-Identifier: Apache-2.0
"""What all senders have in common: how they are made, and the ways in which telling may fail."""

from __future__ import annotations

import ssl
import sys
from typing import TYPE_CHECKING, Final, Protocol

from controller.export.destination import DestinationError, check_files

if TYPE_CHECKING:
    from controller.export.destination import Destination
    from controller.export.item import Item

TIMEOUT_S: Final = 10.0
"""For a connection, and for each answer: a receiver that is slower is tried again."""


class SendError(Exception):
    """It did not get there this time; the message says why.

    `after_s`: how long the receiver asks to be left alone; it has too much to do, and nothing against the message.
    """

    def __init__(self, text: str, after_s: float | None = None) -> None:
        super().__init__(text)
        self.after_s = after_s


class RefusedError(SendError):
    """The receiver, or the way there, does not take this message, and will not when it is tried again."""


class LostError(SendError):
    """The connection ended: what was sent last may have been lost with it."""


class Sender(Protocol):
    """Tells one destination. Used by one thread at a time."""

    def send(self, item: Item) -> None:
        """Tells it. SendError: not now; RefusedError: never."""
        ...

    def flush(self) -> None:
        """Returns once what was sent is there, as far as can be known. SendError: it is not."""
        ...

    def close(self) -> None:
        """Lets go of connections and files. May be called twice; the next `send` begins anew."""
        ...


def open_sender(destination: Destination) -> Sender:
    """The sender for a destination, not connected yet. DestinationError: a file or a package is missing."""
    check_files(destination)
    if destination.kind == "syslog":
        from controller.export.syslog import open_syslog  # noqa: PLC0415 - only what is used is loaded

        return open_syslog(destination)
    if destination.kind == "webhook":
        from controller.export.webhook import Webhook  # noqa: PLC0415 - as above

        return Webhook(destination)
    if destination.kind == "apprise":
        from controller.export.paging import Paging  # noqa: PLC0415 - as above

        return Paging(destination)
    from controller.export.files import File, Output  # noqa: PLC0415 - as above

    return File(destination) if destination.kind == "file" else Output(destination, sys.stdout)


def tls_context(destination: Destination) -> ssl.SSLContext:
    """Verifies the receiver's name and certificate, by the own CA where one is set."""
    try:
        context = ssl.create_default_context(cafile=destination.ca)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if destination.certificate is not None:
            context.load_cert_chain(destination.certificate, destination.key)
    except (OSError, ssl.SSLError) as error:
        raise DestinationError(
            f"export {destination.name}: ca, certificate or key cannot be used: {error}"
        ) from error
    return context
