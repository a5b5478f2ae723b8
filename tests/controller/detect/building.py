# SPDX-License-Identifier: Apache-2.0
"""Events, findings and stores for the tests of detection."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from controller.bus import EmbeddedBus
from controller.detect import examples
from controller.detect.catalogue import Detection
from controller.detect.engine import Raised
from controller.detect.rule import Finding, Severity
from controller.store import migrate
from controller.store.schema import hosts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from controller.store.engine import Store

HOST = "h1"


def event(kind: str, number: int = 1, /, **paths: Any) -> dict[str, Any]:
    """An event of base.yaml with its number; `process__argv=[...]` sets "process.argv"."""
    dotted = {name.replace("__", "."): value for name, value in paths.items()}
    return dict(examples.built({kind: dotted}, number))


def command(number: int, *argv: str, **paths: Any) -> dict[str, Any]:
    """What the visit ran as its `number`th event."""
    path = f"/usr/bin/{argv[0]}"
    return event(
        "command", number, process__exe=path, process__filename=path, process__argv=list(argv), **paths
    )


def ended(number: int) -> dict[str, Any]:
    """A process of the visit ended."""
    moment = {"id": f"h1/b1/{number}", "time": 1764000000 * 10**9 + number, "mono": number * 10**9}
    process = {"pid": 12031, "start": 57000000000, "code": 0, "signal": None}
    return {"kind": "exit", **moment, "session": "h1/b1/1", **process}


def raised(detection: str, severity: Severity, number: int = 1, reason: str = "") -> Raised:
    return Raised(detection, severity, f"h1/b1/{number}", number, reason, {})


def detection(rule: Any, name: str = "any", title: str = "Any") -> Detection:
    """A detection without a folder, for its rule's sake."""
    return Detection(name, title, Severity.HIGH, ("T1609",), "", Path("/nowhere"), rule)


def always(severity: Severity = Severity.LOW, reason: str = "because"):
    """A rule that fires on everything that is judged."""
    return lambda visit, event: Finding(severity, reason)


class Collector:
    """A store with its bus and one enrolled host, in a folder."""

    def __init__(self, store: Store, url: str) -> None:
        self.store, self.url = store, url
        self.bus = EmbeddedBus(store)

    def take_in(self, *events: dict[str, Any], host: str = HOST) -> None:
        """Stores events as ingest does."""
        self.bus.append(host, list(events), 1).result()

    def rows(self, table: Any) -> list[dict[str, Any]]:
        with self.store.read() as connection:
            return [dict(row) for row in connection.execute(table.select()).mappings()]


@contextmanager
def collector(folder: Path) -> Iterator[Collector]:
    """A new one in `folder`, or the one that is there already."""
    url = f"sqlite:///{folder / 'store.db'}"
    new = not (folder / "store.db").exists()
    migrate.create(url)
    migrate.upgrade(url)
    with migrate.open_store(url) as store:
        if new:
            row = dict.fromkeys(("kernel", "os", "arch", "sensor"), "x")
            row |= {"id": HOST, "name": "node1", "credential": "c", "enrolled": 1}
            store.write(lambda connection: connection.execute(hosts.insert().values(row)))
        yield Collector(store, url)
