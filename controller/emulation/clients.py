# SPDX-License-Identifier: Apache-2.0
"""Docker and podman, by their clients, which take the same words."""

from __future__ import annotations

import secrets
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from controller.emulation.disposable import LABEL, LIFE_S, NAME, UID, Made
from controller.emulation.image import root_file_system
from controller.emulation.place import EmulationError, Place

if TYPE_CHECKING:
    from collections.abc import Iterator

_OPTIONS: Final = ("--network=none", f"--user={UID}:{UID}", "--stop-timeout=0", "--entrypoint=sleep")


class UnreachableRuntimeError(EmulationError):
    """No daemon answers, or its client is not there."""


@dataclass(frozen=True, slots=True)
class Client:
    """`docker` or `podman`: `command` is its client's line, options included: ("podman", "--root", ...)."""

    name: str
    command: tuple[str, ...]
    place: Place = field(default_factory=Place)

    def __call__(self, *arguments: str, stdin: bytes | None = None) -> str:
        """What the client printed. EmulationError with what it said when it failed."""
        return self.place.run([*self.command, *arguments], stdin=stdin)

    def check(self) -> None:
        """UnreachableRuntimeError unless it answers."""
        try:
            self("ps", "--quiet", "--last=1")
        except EmulationError as error:
            where = self.place.environment.get("DOCKER_HOST", "the default address")
            raise UnreachableRuntimeError(
                f"no {self.name.capitalize()} answers at {where}: {error}; start one, or name another by "
                "--docker-host or --client"
            ) from error

    @contextmanager
    def image(self, name: str | None) -> Iterator[str]:
        """The image `name`, or one made for this run and removed after it."""
        if name is not None:
            yield name
            return
        made = f"localhost/nsentry-emulation:{secrets.token_hex(6)}"
        self("import", "-", made, stdin=root_file_system())
        try:
            yield made
        finally:
            self("image", "rm", "-f", made)

    @contextmanager
    def container(self, image: str, run: str) -> Iterator[Made]:
        """A container that exists until this context is left, as do those of the same label."""
        name = NAME.format(run=run)
        named = (f"--name={name}", f"--label={LABEL}={run}")
        try:
            made = self("run", "--detach", "--rm", *named, *_OPTIONS, image, str(LIFE_S)).splitlines()[-1]
            pid = int(self("inspect", "--format", "{{.State.Pid}}", made))
            yield Made(made, name, pid, (*self.command, "exec"))
        finally:
            if mine := self.containers(run):
                self("rm", "--force", "--volumes", *mine)

    def containers(self, run: str) -> list[str]:
        """The containers of this run: those that do not carry its label are somebody else's."""
        return self("ps", "--all", "--quiet", "--no-trunc", f"--filter=label={LABEL}={run}").split()
