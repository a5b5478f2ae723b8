# SPDX-License-Identifier: Apache-2.0
"""The options that say where an emulation runs, for the commands that run one."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any

import click

from controller.emulation import script
from controller.emulation.clients import Client
from controller.emulation.crictl import Cri
from controller.emulation.place import Place

if TYPE_CHECKING:
    from collections.abc import Callable

    from controller.emulation.disposable import Runtime


@dataclass(frozen=True, slots=True)
class Where:
    """What makes the containers, of which image, and whose alerts count."""

    runtime: Runtime
    image: str | None
    host: str | None


_OPTIONS = (
    click.option(
        "--runtime",
        type=click.Choice(script.RUNTIMES),
        default="docker",
        show_default=True,
        help="What makes the containers.",
    ),
    click.option(
        "--client", metavar="COMMAND", help="Command line of its client. Default: docker, podman, or crictl."
    ),
    click.option(
        "--docker-host",
        envvar="DOCKER_HOST",
        metavar="ADDRESS",
        help="Docker daemon. Default: $DOCKER_HOST.",
    ),
    click.option(
        "--via", metavar="COMMAND", help="Run on another host, by a command such as 'ssh root@node1'."
    ),
    click.option("--host", metavar="HOST", help="Only alerts from this host's sensor count."),
    click.option(
        "--image", metavar="NAME", help="Image with sleep, sh, id and wget. Default: one made of busybox."
    ),
)


def options(command: Callable[..., None]) -> Callable[..., None]:
    """Gives `command` the options, and what they say as the argument `where`."""

    @wraps(command)
    def wrapper(
        *args: Any,  # noqa: ANN401 - click's
        runtime: str,
        client: str | None,
        docker_host: str | None,
        via: str | None,
        **rest: Any,  # noqa: ANN401 - click's
    ) -> None:
        made = _runtime(runtime, client, docker_host, via)
        where = Where(made, rest.pop("image"), rest.pop("host"))
        command(*args, where=where, **rest)

    for option in reversed(_OPTIONS):
        wrapper = option(wrapper)
    return wrapper


def _runtime(name: str, client: str | None, docker_host: str | None, via: str | None) -> Runtime:
    environment = {"DOCKER_HOST": docker_host} if docker_host and name == "docker" else {}
    place = Place(tuple(shlex.split(via or "")), environment)
    words = tuple(shlex.split(client or ""))
    if name == "cri":
        return Cri(words or ("crictl",), place)
    return Client(name, words or (name,), place)
