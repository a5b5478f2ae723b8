# SPDX-License-Identifier: Apache-2.0
"""Reading containers, as the sensors have seen them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from controller.store.views import ContainerView


@dataclass(frozen=True, slots=True)
class ContainerFilter:
    """What to list; every field that is set must hold."""

    host: str | None = None
    name: str | None = None
    image: str | None = None
    running_only: bool = False


def list_(
    connection: Connection, filters: ContainerFilter | None = None, limit: int = 100, offset: int = 0
) -> list[ContainerView]:
    """The latest seen first."""
    raise NotImplementedError


def show(connection: Connection, container: str, host: str | None = None) -> ContainerView | None:
    """One container by id, beginning of its id (12 characters or more) or name; of several the latest seen.

    None if there is none. `host` (name or id) narrows it where ids or names repeat between hosts.
    """
    raise NotImplementedError
