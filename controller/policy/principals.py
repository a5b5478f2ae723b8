# SPDX-License-Identifier: Apache-2.0
"""Who a visit's principal is, as rules, exceptions and approvals see it: one reading of what is known of him."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

SURE: Final = frozenset({"exact", "strong"})
"""Confidences with which a name may open a door: what may be somebody else approves nothing."""
_PORT: Final = re.compile(r"\[(?P<six>[0-9a-fA-F:.%]+)\](?::\d+)?|(?P<four>[^:]+):\d+")


class Principal(NamedTuple):
    """A person or service. None: not known. `name` alone never says that two of other kinds are the same."""

    name: str | None = None
    kind: str | None = None
    """person, service, cron, kubernetes, container."""
    source: str | None = None
    """The network address that he came from, without a port."""
    confidence: str = "none"

    @property
    def sure(self) -> bool:
        """Whether it is known well enough who it is for something to be allowed."""
        return self.name is not None and self.confidence in SURE

    @property
    def names(self) -> frozenset[str]:
        """What a list or an approval may call him: "jane", "person:jane"; nothing where he is not known."""
        return frozenset() if self.name is None else frozenset({self.name, f"{self.kind}:{self.name}"})


def principal(
    entry: Mapping[str, Any] | None,
    known: Mapping[str, Any] | None = None,
    api: Mapping[str, Any] | None = None,
) -> Principal:
    """The principal of a visit: whom the evidence named (`known`), who asked the API server, or its login."""
    if known is not None and known["name"] is not None:
        return Principal(known["name"], known["kind"], address(known["source"]), known["confidence"])
    if api is not None and api["request"] is not None:
        return asker(api["request"], api["confidence"])
    if known is not None:
        return Principal(source=address(known["source"]))
    login = entry.get("login") if entry is not None else None
    if not login:
        return Principal()
    return Principal(login["user"] or f"uid {login['uid']}", "person", confidence="exact")


def asker(request: Mapping[str, Any] | None, confidence: str = "exact") -> Principal:
    """The user of a request to an API server."""
    if request is None:
        return Principal()
    source = next(iter(request["addresses"] or ()), None)
    return Principal(request["user"], "kubernetes", address(source), confidence)


def address(source: str | None) -> str | None:
    """The address of "10.0.0.5:51234", "[fe80::1]:22" or "10.0.0.5"."""
    match = _PORT.fullmatch(source) if source else None
    return (match["six"] or match["four"]) if match else source or None
