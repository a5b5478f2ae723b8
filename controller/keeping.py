# SPDX-License-Identifier: Apache-2.0
"""How long the store keeps what no visit stands by: the table `[retention]` of controller.toml."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Bound:
    """How long things of one kind are kept. `most`: so many of the latest events, of whatever kind, are spared."""

    days: float
    most: int


@dataclass(frozen=True, slots=True)
class Retention:
    """By what `store.retention` forgets."""

    outside: Bound = Bound(90, 5_000_000)
    """Records without a visit, contacts and connections outside of visits, what containers do of themselves."""
    probes: Bound = Bound(14, 5_000_000)
    """Visits of health checks."""
