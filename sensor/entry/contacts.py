# SPDX-License-Identifier: Apache-2.0
"""Whose the unix sockets are that somebody connects to: the kernel is told, once for each.

The kernel tells of a listener that it does not know as of a daemon; a stranger's connects end there from then on.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from sensor.entry.served import Daemons, Served
from sensor.probe.contacts import Contact, Listeners, Listening

MAX_LISTENERS: Final = 4096
"""Listeners that are remembered at once."""


class Contacts:
    """Decides, on the probe's thread."""

    def __init__(
        self,
        daemons: Daemons,
        count: Callable[[str], None],
        heard: Callable[[Contact], None] = lambda _contact: None,
    ) -> None:
        """`heard` is told of each that connected to a daemon: it may be he who asks for the next visit."""
        self._heard = heard
        self._daemons = daemons
        self._count = count
        self._served: OrderedDict[Listening, Served | None] = OrderedDict()

    def take(self, seen: Contact, listeners: Listeners | None) -> Served | None:
        """The daemon's socket that was connected to; None for what is none."""
        key = seen.listening
        self._count("contacts.seen")
        if key not in self._served:
            self._served[key] = self._daemons.served(key, seen.socket)
            if len(self._served) > MAX_LISTENERS:
                self._served.popitem(last=False)
        served = self._served[key]
        if listeners is not None:
            # Each time: what was used for the longest time ago of the kernel's map is forgotten.
            listeners.settle(key, daemon=served is not None)
        if served is not None:
            self._heard(seen)
        return served
