# SPDX-License-Identifier: Apache-2.0
"""What `init` makes: the state folder with CA, certificate, operator's credential and database.

Each step is skipped where its result is there, so that init may be run again after it was interrupted, after
an upgrade, and for no reason at all.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from controller import settings as settings_
from controller import tokens
from controller.errors import ConfigurationError
from controller.pki import Pki, own_names
from controller.store import migrate

if TYPE_CHECKING:
    from pathlib import Path

    from controller.settings import Settings


class NotInitialisedError(ConfigurationError):
    """`init` was not run, or not by this user; the message has the command."""


def initialise(settings: Settings) -> list[str]:
    """Makes what is missing; returns what was done, a line each. Empty: everything was there."""
    done = []
    if _make_folder(settings):
        done.append(f"made {settings.state_dir}")
    if not settings.file.exists():
        values = {"listen": _listen(settings), "url": settings.url, "names": settings.names}
        settings_.write_file(settings.file, {**values, "store": settings.store})
        done.append(f"wrote {settings.file}")
    pki = Pki(settings.state_dir)
    if pki.create_ca():
        done.append(f"made the CA {pki.ca_file}")
    reason = pki.renew_server(names(settings))
    if reason is not None:
        done.append(f"made the server's certificate {pki.server_file} ({reason})")
    if _make_operator(settings):
        done.append(f"made the operator's credential {settings.operator_file}")
    migrate.create(settings.store_url)
    steps = migrate.upgrade(settings.store_url)
    if steps:
        done.append(f"brought the database to schema {steps[-1]}")
    return done


def names(settings: Settings) -> set[str]:
    """What the server's certificate has to hold: this host's names, and the one that others are told."""
    told = settings.url.removeprefix("https://").rpartition(":")[0].strip("[]")
    return own_names((*settings.names, told))


def become_owner(folder: Path) -> None:
    """Where root works in a folder of another user, go on as that user, for good.

    What root made there, that user could not read: a package gives the system's state folder to one of its own.
    """
    if os.geteuid() != 0 or not folder.exists():
        return
    owner = folder.stat()
    if owner.st_uid != 0:
        os.setgroups([owner.st_gid])
        os.setgid(owner.st_gid)
        os.setuid(owner.st_uid)


def require(settings: Settings) -> None:
    """NotInitialisedError unless this user can use a state folder that `init` has made."""
    command = "nsentry-controller init"
    if settings.state_dir not in {settings_.SYSTEM_STATE, settings_.LOCAL_STATE.absolute()}:
        command = f"nsentry-controller --state {settings.state_dir} init"
    try:
        found = Pki(settings.state_dir).ca_file.exists() and settings.operator_file.exists()
    except PermissionError:
        found = False
        command = f"this as the user that owns {settings.state_dir}"
    if not found:
        raise NotInitialisedError(f"{settings.state_dir} is not set up: run {command}")


def operator_credential(settings: Settings) -> str:
    """The credential of programs on this host. NotInitialisedError when there is none."""
    try:
        return settings.operator_file.read_text("ascii").strip()
    except (FileNotFoundError, PermissionError) as error:
        raise NotInitialisedError(f"{settings.operator_file} cannot be read: {error.strerror}") from error


def _make_folder(settings: Settings) -> bool:
    folder = settings.state_dir
    new = not folder.exists()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    return new


def _make_operator(settings: Settings) -> bool:
    try:
        descriptor = os.open(settings.operator_file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except FileExistsError:
        return False
    with os.fdopen(descriptor, "w") as file:
        file.write(tokens.new("operator") + "\n")
    return True


def _listen(settings: Settings) -> str:
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"{host}:{settings.port}"
