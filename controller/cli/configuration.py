# SPDX-License-Identifier: Apache-2.0
"""How a container is configured, as `containers show` prints it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from controller.cli import output
from controller.cli.output import text, when
from controller.detect.difference import setting_text, summary
from controller.detect.principal import said_of

if TYPE_CHECKING:
    from controller.store.configurations import ConfigurationView, FleetChangeView

_NAMES = {
    "no_new_privileges": "no new privileges",
    "read_only": "read-only root",
    "image_digest": "image digest",
}


def page(views: list[ConfigurationView]) -> None:
    """The latest configuration by setting, then what was changed, the latest change first."""
    if not views:
        return
    latest = views[0]
    output.line("")
    output.line(f"configured since {when(latest['time'])} ({latest['because']})")
    output.fields([(_name(name), _said(value, name)) for name, value in latest["settings"].items()])
    output.fields([("exposed by", text("; ".join(latest["exposures"]) or "nothing that is known"))])
    changed = [view for view in views if view["changes"]]
    if changed:
        output.line("")
        output.line("changes")
        output.fields([(when(view["time"]), text(_change(view))) for view in changed])


def fleet(rows: list[FleetChangeView], limit: int, *, json_: bool) -> None:
    """Differences of the fleet, the latest first."""
    columns = {
        "TIME": lambda row: when(row["time"]),
        "HOST": lambda row: text(row["host"]),
        "CONTAINER": lambda row: text(row["name"] or row["container"][:12]),
        "BY": lambda row: text(said_of(row["principal"])),
        "AUTHORISED": lambda row: text(row["authorised_by"] if row["authorised"] else "no"),
        "WHAT": lambda row: text(summary(row["changes"])),
    }
    output.listing(
        rows, columns, "No container was configured otherwise than before.", limit=limit, json_=json_
    )


def _change(view: ConfigurationView) -> str:
    """What differs, by whom, and whether that was authorised."""
    said = summary(view["changes"])
    if view["replaces"]:
        said = f"in the place of {view['replaces'][:12]}: {said}"
    if view["principal"] is None:
        return said
    authorised = "authorised" if view["authorised"] else "not authorised"
    return f"{said}; by {said_of(view['principal'])} ({view['principal']['reason']}); {authorised}: {view['authority']}"


def _name(setting: str) -> str:
    return _NAMES.get(setting, setting.replace("_", " "))


def _said(value: object, name: str) -> str:
    return text(setting_text(value, name))
