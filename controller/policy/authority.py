# SPDX-License-Identifier: Apache-2.0
"""Whether a change was authorised, and by what: a window, the list of principals, the deploying system's label. Pure.

An approval window counts when all of it fits, the principal included. A label says that the deploying system made
the container; who changes one that runs by hand is none of its doing, where it is known that it was a person.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from controller.policy.approval import UNKNOWN, refusal, sentence

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from controller.policy.approval import Approval
    from controller.policy.knobs import Knobs
    from controller.policy.principals import Principal

By = Literal["approval", "principal", "label"]
BY_HAND: Final = "person"
_NO_CONTAINER: Final[dict[str, Any]] = {"name": None, "image": None, "pod": None, "labels": {}}
"""So that a window that is about a container does not fit what is about its host: one about a host alone does."""


class Authority(NamedTuple):
    """Whether a change was authorised; `reason` is a sentence that says by what, or why not."""

    authorised: bool
    by: By | None
    reason: str


def decide(
    event: Mapping[str, Any],
    host: str,
    principal: Principal,
    windows: Iterable[Approval],
    knobs: Knobs,
    *,
    made: bool,
) -> Authority:
    """Of what happened at `event`'s time to its `container`, on a host of this name; None: to the host itself.

    `windows` are those that were open then. `made`: the container was made anew, not changed while it was there.
    """
    container = event["container"] or _NO_CONTAINER
    asked = {"container": container, "means": "configuration", "time": event["time"]}
    refusals = []
    for window in windows:
        why = refusal(window, asked, host, principal)
        if why is None:
            return Authority(True, "approval", sentence(window))
        refusals.append(why)
    if knobs.authorised(principal) and principal.sure:
        return Authority(True, "principal", f"{principal.name} is among the AuthorizedAdminUsers")
    label = knobs.deploying_label(container["labels"])
    by_hand = not made and principal.name is not None and principal.kind == BY_HAND
    if label is not None and not by_hand:
        return Authority(True, "label", f"it carries {label}, which DeployedByLabels names")
    labels = knobs.deployed_by_labels if event["container"] else ()
    return Authority(
        False, None, _why_not(principal, refusals, replace(knobs, deployed_by_labels=labels), label)
    )


def _why_not(principal: Principal, refusals: list[str], knobs: Knobs, label: str | None) -> str:
    """`deployed_by_labels` of the knobs is empty where no label is asked for."""
    if knobs.authorized_admin_users is None and not knobs.deployed_by_labels and not refusals:
        no_labels = "" if knobs.deployed_by_labels == () else ", no DeployedByLabels"
        return f"nobody is authorised: there is no open approval, no AuthorizedAdminUsers{no_labels}"
    parts = []
    if refusals:
        parts.append(
            "who did it is not known" if refusals[0] == UNKNOWN else f"no approval fits: {refusals[0]}"
        )
    if knobs.authorized_admin_users is not None:
        parts.append(_not_listed(principal, knobs))
    if label is not None:
        parts.append(f"it carries {label}, but {principal.name} changed it by hand")
    elif knobs.deployed_by_labels:
        parts.append("it carries no label of DeployedByLabels")
    return "; ".join(parts)


def _not_listed(principal: Principal, knobs: Knobs) -> str:
    if principal.name is None:
        return "who did it is not known"
    if knobs.authorised(principal):
        return f"that it was {principal.name} is not sure enough"
    return f"{principal.name} is not among the AuthorizedAdminUsers"
