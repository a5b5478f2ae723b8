# SPDX-License-Identifier: Apache-2.0
"""Skeleton: see the docstrings; bodies follow."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future
    from contextlib import AbstractContextManager

    from sqlalchemy import Connection

T = TypeVar("T")


class Store:
    """The database: one writer thread, and as many read-only connections as are asked for."""

    @classmethod
    def open(cls, url: str) -> Store:
        """The store at `url`, which must exist and have this code's schema."""
        raise NotImplementedError

    def read(self) -> AbstractContextManager[Connection]:
        """A read-only connection that sees one moment of the database until it is left. For any thread."""
        raise NotImplementedError

    def submit(self, work: Callable[[Connection], T]) -> Future[T]:
        """Has the writer thread run `work` in a transaction; the future is done once that is on the disk."""
        raise NotImplementedError

    def write(self, work: Callable[[Connection], T]) -> T:
        """As `submit`, and waits. Never call it from the writer thread (inside another `work`)."""
        raise NotImplementedError

    def close(self) -> None:
        """Finishes what was submitted, then closes."""
        raise NotImplementedError
