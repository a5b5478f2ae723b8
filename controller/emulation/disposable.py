# SPDX-License-Identifier: Apache-2.0
"""What an emulation asks of a runtime: a container that exists only for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from controller.emulation.place import Place

LABEL: Final = "nsentry.emulation"
"""Of every container that is made: its value is the run, and nothing without it is touched."""
UID: Final = 65534
"""Whom the container runs as: not root, so that an entry as root is one to be seen."""
LIFE_S: Final = 900
NAME: Final = "nsentry-emulation-{run}"


@dataclass(frozen=True, slots=True)
class Made:
    """A container made for one emulation."""

    id: str
    name: str
    init_pid: int
    """Its first process, as a pid of its host."""
    enter: tuple[str, ...]
    """The command that enters it, when followed by its id and what to run there."""


class Runtime(Protocol):
    """Something that makes containers."""

    @property
    def name(self) -> str:
        """As the command line calls it: docker, podman, cri."""

    @property
    def place(self) -> Place:
        """Where it runs."""

    def check(self) -> None:
        """UnreachableRuntimeError unless it answers."""

    def image(self, name: str | None) -> AbstractContextManager[str]:
        """The image `name`, or one made for this run and removed after it."""

    def container(self, image: str, run: str) -> AbstractContextManager[Made]:
        """A container of this run; when the context is left, all of the run's containers are removed."""

    def containers(self, run: str) -> list[str]:
        """The ids of all containers that carry the label of this run."""
