# SPDX-License-Identifier: Apache-2.0
"""Whom processes talk to: daemons at their sockets, and others on the network. On the probe's thread."""

from __future__ import annotations

from sensor.entry.contacts import Contacts
from sensor.entry.doors import Doors
from sensor.entry.network import Network
from sensor.entry.report import Reporter
from sensor.probe.contacts import Contact
from sensor.probe.flows import Flow
from sensor.watch import Watch


class Talk:
    """Tells of it, each in the session that it belongs to."""

    def __init__(
        self, watch: Watch, contacts: Contacts, network: Network, reporter: Reporter, doors: Doors
    ) -> None:
        self._watch = watch
        self._contacts = contacts
        self._network = network
        self._reporter = reporter
        self._doors = doors

    def contacted(self, seen: Contact) -> None:
        """Somebody connected to a unix socket of a daemon, or of who may be one."""
        probe = self._watch.probe
        served = self._contacts.take(seen, probe.listeners if probe else None)
        if served is not None and seen.connects:
            session = self._watch.session_of(seen.head.cookie)
            self._watch.tell(self._reporter.contacted(seen, served, session, self._doors.inside))

    def flowed(self, seen: Flow) -> None:
        """Somebody who came in used the network, or a program began on one end of a connection."""
        event = self._network.event(seen, self._watch.session_of(seen.head.cookie))
        if event is not None:
            self._watch.tell(event)
