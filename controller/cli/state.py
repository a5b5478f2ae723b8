# SPDX-License-Identifier: Apache-2.0
"""What every command starts from: the state folder, and the database in it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from controller import initialise, settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from sqlalchemy import Connection

T = TypeVar("T")


class State:
    """The state folder that the command line names. Commands get it with `click.pass_obj`."""

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder

    def settings(self) -> settings.Settings:
        """The settings in force. SettingsError; NotInitialisedError unless `init` was run."""
        loaded = settings.load(self.folder)
        initialise.require(loaded)
        return loaded

    def sigma_rules(self) -> Path | None:
        """The folder of Sigma rules that the settings name; None also where no controller was set up."""
        return settings.load(self.folder).sigma_rules

    def own_detections(self) -> Path | None:
        """The folder of one's own detections that the settings name; None also where no controller was set up."""
        return settings.load(self.folder).own_detections

    def stale_s(self) -> int:
        """After how many seconds a proof is stale; the default also where no controller was set up."""
        return settings.load(self.folder).stale_s

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A read-only connection, which works while the controller serves and when it does not."""
        from controller.store import migrate  # noqa: PLC0415 - what only shows help does not wait for it

        with migrate.reader(self.settings().store_url) as connection:
            yield connection

    def write(self, work: Callable[[Connection], T]) -> T:
        """Runs `work` in one transaction, waiting for the controller's own where it serves."""
        from controller.store import migrate  # noqa: PLC0415 - as above

        with migrate.open_store(self.settings().store_url) as store:
            return store.write(work)
