# SPDX-License-Identifier: Apache-2.0
"""Makes answers: pages from templates, fragments of them, and their JSON twins.

Every expression of every template goes through `text.show`, on top of Jinja's own escaping: a template cannot
forget it. Inside an attribute write `{{ value|plain }}`, which does the same without markup.
"""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jinja2
from markupsafe import Markup
from starlette.responses import HTMLResponse, Response

from controller.detect.principal import named, said_of
from controller.detect.rule import capability_names, mask
from controller.store import alerts
from controller.store.configurations import setting_text
from controller.store.connections import WORDS, far_end, known_as
from controller.store.views import MANY_PROBES, OPEN_STATES
from controller.web import markdown, text, timeline
from controller.web.filters import OPEN
from controller.web.static import address
from sensor import wire

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

STATE_NAMES = {
    "new": "new",
    "acknowledged": "acknowledged",
    "investigating": "investigating",
    "true_positive": "true positive",
    "benign_true_positive": "benign true positive",
    "false_positive": "false positive",
}


def page(
    request: Request, template: str, context: Mapping[str, Any] | None = None, status: int = 200
) -> HTMLResponse:
    """A whole page, with what all pages have: who is signed in, and how many alerts are open."""
    user = getattr(request.state, "user", None)
    frame = {"user": user, "path": request.url.path, "csrf": getattr(request.state, "csrf", "")}
    if user is not None:
        frame["live"] = f"/live?after={request.state.change}"
        with request.app.state.store.read() as connection:
            frame["open_alerts"] = alerts.count(connection, OPEN)
    return HTMLResponse(_environment.get_template(template).render({**frame, **(context or {})}), status)


def fragment(request: Request, template: str, context: Mapping[str, Any]) -> HTMLResponse:
    """A part of a page, to be put in place of an older one."""
    csrf = getattr(request.state, "csrf", "")
    return HTMLResponse(_environment.get_template(template).render({"csrf": csrf, **context}))


def json_response(value: object, status: int = 200) -> Response:
    """`value` as JSON in ASCII: it can be printed to a terminal as it is."""
    return Response(json.dumps(value, indent=1) + "\n", status, media_type="application/json")


def _when(rfc3339: str | None) -> Markup:
    """A time as UTC, to the second; the page's script shows local time instead where that was chosen."""
    if rfc3339 is None:
        return Markup('<span class="missing">unknown</span>')
    moment = datetime.fromisoformat(rfc3339)
    shown = f"{moment:%Y-%m-%d %H:%M:%S}"
    return Markup('<time datetime="{}" title="{} UTC">{}</time>').format(rfc3339, shown, shown)


def _ago(rfc3339: str | None) -> Markup:
    """How long ago, to be read at a glance; the exact time is in its title."""
    if rfc3339 is None:
        return Markup('<span class="missing">never</span>')
    moment = datetime.fromisoformat(rfc3339)
    seconds = (datetime.now(UTC) - moment).total_seconds()
    shown = "just now" if seconds < 2 else f"{_short(int(seconds))} ago"
    return Markup('<time datetime="{}" title="{} UTC" data-ago>{}</time>').format(
        rfc3339, f"{moment:%Y-%m-%d %H:%M:%S}", shown
    )


def _short(seconds: int) -> str:
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def _caps(value: str | None) -> tuple[str, ...] | None:
    bits = mask(value)
    return None if bits is None else capability_names(bits)


def _finalise(value: object) -> object:
    return value if isinstance(value, Markup | jinja2.Undefined) else text.show(value)


_environment = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    finalize=_finalise,
    trim_blocks=True,
    lstrip_blocks=True,
)
_environment.filters.update(
    plain=lambda value: wire.printable(str(value)),
    lines=text.show_lines,
    inline=markdown.inline,
    pretty=text.show_json,
    compact=lambda value: json.dumps(value, ensure_ascii=False),
    command=text.command_line,
    when=_when,
    ago=_ago,
    setting=setting_text,
    duration=timeline.duration,
    caps=_caps,
    named=named,
    did=lambda connection: WORDS[connection["what"]],
    far_end=far_end,
    known_as=known_as,
    by=said_of,
    state=lambda value: STATE_NAMES.get(value, value),
)
_environment.globals.update(
    static=address,
    now_ns=time.time_ns,
    namespaces=wire.NAMESPACES,
    open_states=OPEN_STATES,
    many_probes=MANY_PROBES,
)
