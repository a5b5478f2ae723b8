# SPDX-License-Identifier: Apache-2.0
"""From the findings of one visit to its one alert. Pure: the store keeps what comes out of here.

The alert depends on the *set* of findings: in which order they were made, and how often, changes nothing. Of
two findings of one detection on one event the graver stands, so judging an event again when more is known of
it can add to an alert, and make its words right, but takes nothing from it. Only the word of the sensor that a visit
is a declared health check, when it comes late, withdraws an alert that has nothing else: it is closed, not gone.

A health check's own command, declared in the container's configuration, is not news however it looks: of a
visit by `probe` only what is at least PROBE_FLOOR counts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from controller.detect.probes import declared
from controller.detect.rule import Severity
from controller.detect.sentence import alone, container_name, sentence, user
from controller.store import notes
from controller.store.alert_rows import NewAlert, NewFinding
from sensor.wire import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from controller.detect.engine import Raised
    from controller.detect.rule import Event
    from controller.detect.visits import Visited

PROBE_FLOOR: Final = Severity.HIGH
MAX_PER_DETECTION: Final = 64
"""Findings kept of one detection in one visit: a loop of a thousand downloads is one fact."""
MAX_TITLES: Final = 2
MAX_HOST: Final = 64
MAX_NOTE: Final = 400
NO_ENTRY: Final = "none"
"""The means of an alert that is about no visit: nobody came in."""


def merge(findings: Iterable[Raised]) -> tuple[Raised, ...]:
    """One finding for each detection and event, the graver of two, in the order of time."""
    kept: dict[tuple[str, str], Raised] = {}
    for each in findings:
        key = (each.detection, each.event)
        if key not in kept or _weight(each) > _weight(kept[key]):
            kept[key] = each
    return tuple(sorted(kept.values(), key=lambda each: (each.time, each.event, each.detection)))


def admit(entry: Event | None, known: Sequence[Raised], new: Iterable[Raised]) -> tuple[list[Raised], int]:
    """Which of `new` the alert takes beside those it has (`known`), and how many it has no room for."""
    floor = PROBE_FLOOR if entry is not None and entry["means"] == "probe" else Severity.LOW
    admitted, refused = list(known), 0
    taken = []
    for each in new:
        if each.severity < floor:
            continue
        mine = [other for other in admitted if other.detection == each.detection]
        again = any(other.event == each.event for other in mine)
        graver = all(other.severity < each.severity for other in mine)
        if again or graver or len(mine) < MAX_PER_DETECTION:
            taken.append(each)
            admitted.append(each)
        else:
            refused += 1
    return taken, refused


def void(visited: Visited) -> bool:
    """Whether the visit is a declared check, and its alert has nothing that one would be alerted of."""
    if visited.entry is None or visited.entry["means"] != "probe" or not visited.findings:
        return False
    checked = {event["id"] for visit, event in visited.judged() if declared(visit, event)}
    return all(each.severity < PROBE_FLOOR or each.event in checked for each in visited.findings)


def judged_again(known: Iterable[Raised], new: Sequence[Raised]) -> tuple[Raised, ...]:
    """`known` with `new` merged in; a new finding takes the place of an old one that is not graver.

    So what is said of an event follows what is known of it.
    """
    severities: dict[tuple[str, str], int] = {
        (each.detection, each.event): each.severity for each in merge(new)
    }
    still = [each for each in known if each.severity > severities.get((each.detection, each.event), 0)]
    return merge((*still, *new))


def title(findings: Sequence[Raised], titles: Mapping[str, str], container: str) -> str:
    """What an alert is called: the gravest finding's detection, of equals the first, and where.

    Two that are equally grave on the same event are named together. `titles` has the title of each detection;
    one that is no longer there is called by its id.
    """
    gravest = max(each.severity for each in findings)
    leading = [each for each in merge(findings) if each.severity == gravest]
    first = leading[0].event
    together = sorted(titles.get(each.detection, each.detection) for each in leading if each.event == first)
    named = [together[0], *(each[:1].lower() + each[1:] for each in together[1:MAX_TITLES])]
    return f"{', '.join(named)}: {container}"


def describe(visited: Visited, host: str, host_name: str, titles: Mapping[str, str]) -> NewAlert:
    """The alert of a visit that has findings, as it stands now."""
    entry = visited.entry
    container = entry["container"] if entry is not None else None
    named = container_name(container)
    return NewAlert(
        session=visited.session,
        host=host,
        title=title(visited.findings, titles, named),
        sentence=sentence(host_name, entry, visited.commands, visited.record, visited.api, visited.principal),
        means="unknown" if entry is None else entry["means"],
        container=container["id"] if container else None,
        container_name=container["name"] if container else None,
        image=container["image"] if container else None,
        user=user(entry),
        principal=visited.principal["name"] if visited.principal else None,
        first_seen=visited.first_seen or 0,
        last_seen=visited.last_seen or 0,
        events=visited.events,
    )


def subject(host: str, event: Event) -> str:
    """What the alert of an event of no visit is about: its container, so that one that restarts has one alert.

    It stands where an alert of a visit has the session. Host ids hold no such text as "container".
    """
    return f"{host}/container/{event['container']['id']}"


def describe_alone(
    since: int | None,
    host: str,
    host_name: str,
    event: Event,
    found: tuple[Sequence[Raised], Mapping[str, str]],
) -> NewAlert:
    """The alert of a container, as its latest event makes it. `found`: findings, and titles by detection.

    `since` is when the alert was first seen, None while there is none.
    """
    container = event["container"]
    change = event.get("change")
    return NewAlert(
        session=subject(host, event),
        host=host,
        title=title(*found, container_name(container)),
        sentence=alone(host_name, event),
        means=NO_ENTRY,
        container=container["id"],
        container_name=container["name"],
        image=container["image"],
        user=None,
        principal=change["principal"]["name"] if change else None,
        first_seen=event["time"] if since is None else min(since, event["time"]),
        last_seen=event["time"],
        events=1,
    )


def of_sensor(host: str) -> str:
    """What an alert of a sensor's own notes is about, in the place of a session: a host's are one alert."""
    return f"{host}/sensor"


def describe_sensor(
    since: int | None,
    host: str,
    host_name: str,
    event: Event,
    found: tuple[Sequence[Raised], Mapping[str, str]],
) -> NewAlert:
    """The alert of what a sensor noted of itself; as `describe_alone`."""
    return NewAlert(
        session=of_sensor(host),
        host=host,
        title=title(*found, "the sensor"),
        sentence=f"the sensor of {printable(host_name)[:MAX_HOST]} {printable(notes.sentence(event))}"[
            :MAX_NOTE
        ],
        means=NO_ENTRY,
        container=None,
        container_name=None,
        image=None,
        user=None,
        principal=None,
        first_seen=event["time"] if since is None else min(since, event["time"]),
        last_seen=event["time"],
        events=1,
    )


def to_keep(finding: Raised) -> NewFinding:
    """A finding as the store takes it."""
    return NewFinding(
        finding.detection, int(finding.severity), finding.event, finding.time, finding.reason, finding.fields
    )


def _weight(finding: Raised) -> tuple[Severity, str]:
    return finding.severity, finding.reason
