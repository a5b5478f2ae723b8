# SPDX-License-Identifier: Apache-2.0
"""The detections and their strategy documents, as they are in this controller."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException

from controller.detect import catalogue
from controller.store import alerts, emulations, troubles
from controller.web import markdown, render
from controller.web.filters import OPEN

if TYPE_CHECKING:
    from collections.abc import Iterable

    from markupsafe import Markup
    from starlette.requests import Request
    from starlette.responses import Response

    from controller.store.emulations import Standing

log = logging.getLogger(__name__)


class ShownProof(emulations.Proof):
    """A proof, and how it stands by now."""

    state: Standing


@dataclass(frozen=True)
class Described:
    """What is shown of a detection. One that is no longer there is known by its id alone."""

    id: str
    title: str
    severity: str | None = None
    techniques: tuple[str, ...] = ()
    description: str = ""
    ads: Markup | None = None


_installed: list[catalogue.Detection] = []


def describe_all(detections: Iterable[catalogue.Detection]) -> None:
    """Tells which detections this controller has, where they are more than those that come with nsentry."""
    _installed[:] = detections
    described.cache_clear()


@cache
def described() -> dict[str, Described]:
    """All detections by id, with their documents rendered; they do not change while the controller runs."""
    return {each.id: _describe(each) for each in _installed or catalogue.load_all()[0]}


def named(detection: str) -> Described:
    """The detection of this id, whether it is still there or not."""
    return described().get(detection) or Described(detection, detection)


def detections_page(request: Request) -> Response:
    """All detections."""
    stale_s = request.app.state.settings.stale_s
    days, hours = divmod(stale_s // 3600, 24)
    after = f"{days} days" if not hours else f"{stale_s // 3600} hours"
    context = {"rows": _with_counts(request), "troubles": _troubles(request), "stale_after": after}
    return render.page(request, "detections.html", context)


def detections_json(request: Request) -> Response:
    """The same for programs."""
    rows = [
        {**_plain(each), "open_alerts": count, "proofs": proofs, "state": state}
        for each, count, proofs, state in _with_counts(request)
    ]
    stale_s = request.app.state.settings.stale_s
    return render.json_response({"detections": rows, "troubles": _troubles(request), "stale_s": stale_s})


def _troubles(request: Request) -> list[troubles.TroubleView]:
    """Rules that failed or were slow; the others went on."""
    with request.app.state.store.read() as connection:
        return troubles.list_(connection)


def detection_page(request: Request) -> Response:
    """One detection: its strategy, whole."""
    return render.page(request, "detection.html", {"detection": _load(request)})


def detection_json(request: Request) -> Response:
    """The same for programs, without the document."""
    return render.json_response(_plain(_load(request)))


def _with_counts(request: Request) -> list[tuple[Described, int, list[ShownProof], str]]:
    """Each with its open alerts, what came of its latest emulation on each host, and how well it is proven."""
    with request.app.state.store.read() as connection:
        facets = alerts.facets(connection, OPEN, top=1000)
        proofs = emulations.proofs(connection)
    counts = {each["value"]: each["count"] for each in facets["detection"]}
    since = time.time_ns() - request.app.state.settings.stale_s * 1_000_000_000
    rows = []
    for each in described().values():
        mine = [proof for proof in proofs if proof["detection"] == each.id]
        shown: list[ShownProof] = [{**proof, "state": emulations.standing(proof, since)} for proof in mine]
        best = min((proof["state"] for proof in shown), key=emulations.STANDINGS.index, default="unproven")
        rows.append((each, counts.get(each.id, 0), shown, best))
    return rows


def _load(request: Request) -> Described:
    detection = described().get(request.path_params["detection"])
    if detection is None:
        raise HTTPException(404, "There is no detection of this id in this controller.")
    return detection


def _plain(detection: Described) -> dict[str, object]:
    return {
        "id": detection.id,
        "title": detection.title,
        "severity": detection.severity,
        "techniques": list(detection.techniques),
        "description": detection.description,
    }


def _describe(detection: catalogue.Detection) -> Described:
    return Described(
        id=detection.id,
        title=detection.title,
        severity=detection.severity.label,
        techniques=detection.techniques,
        description=detection.description,
        ads=_document(detection),
    )


def _document(detection: catalogue.Detection) -> Markup | None:
    try:
        return markdown.render(detection.ads())
    except OSError as error:
        log.warning("the document of detection %s cannot be read: %s", detection.id, error)
        return None
