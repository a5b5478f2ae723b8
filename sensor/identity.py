# SPDX-License-Identifier: Apache-2.0
"""Who this sensor is: the host id and the credential that the controller gave it when it was enrolled."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

from sensor import wire
from sensor.fault import ExitCode, Fault

FILE_NAME: Final = "identity.json"
CA_NAME: Final = "ca.pem"
_ENROLL: Final = "nsentry-sensor enroll --url https://CONTROLLER:8443 --token-file FILE"
_OPEN_TO_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


@dataclass(frozen=True, slots=True)
class Identity:
    """What `enroll` left in the state folder. Whoever holds the credential can write events of this host."""

    host: str
    boot: str
    """boot_id(5) of the running kernel: ids of events are unique in it."""
    credential: str = field(repr=False)
    url: str
    ca: Path

    @classmethod
    def load(cls, state_dir: Path, proc: Path = Path("/proc")) -> Self:
        """The identity in `state_dir`. Raises Fault: not enrolled, not readable, damaged, open to others."""
        path = state_dir / FILE_NAME
        try:
            mode = path.stat().st_mode
            saved = json.loads(path.read_bytes())
            if mode & _OPEN_TO_OTHERS:
                raise Fault(
                    f"{path} holds the sensor's credential and is open to others (mode {mode & 0o777:04o})",
                    exit_code=ExitCode.CONFIG,
                    fix=f"chmod 600 {path}, and enrol again if somebody may have read it",
                )
            text = {name: _text(saved, name) for name in ("host", "credential", "url")}
        except FileNotFoundError:
            raise Fault(
                f"this host is not enrolled: there is no {path}", exit_code=ExitCode.CONFIG, fix=_ENROLL
            ) from None
        except PermissionError:
            raise Fault(
                f"{path} cannot be read by this user", exit_code=ExitCode.PRIVILEGE, fix="run it as root"
            ) from None
        except (OSError, ValueError) as error:
            raise Fault(f"{path} is damaged ({error})", exit_code=ExitCode.CONFIG, fix=_ENROLL) from error
        return cls(
            host=text["host"],
            boot=boot_id(proc),
            credential=text["credential"],
            url=text["url"],
            ca=state_dir / CA_NAME,
        )


def save(state_dir: Path, enrolled: wire.Enrolled, url: str, ca_pem: str) -> None:
    """Keep what the controller gave, readable by this user only; an identity before it is replaced.

    The CA is written first and the identity last: a crash between leaves no identity without its CA.
    Raises OSError.
    """
    state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    _replace(state_dir / CA_NAME, ca_pem.encode())
    kept = {"host": enrolled["host"], "credential": enrolled["credential"], "url": url}
    _replace(state_dir / FILE_NAME, json.dumps(kept, indent=2).encode() + b"\n")


def boot_id(proc: Path = Path("/proc")) -> str:
    """Random id that the kernel takes at each boot (random(4)). Raises Fault."""
    try:
        return (proc / "sys/kernel/random/boot_id").read_text("ascii").strip()
    except (OSError, ValueError) as error:
        raise Fault(
            f"the kernel's boot id cannot be read ({error})", exit_code=ExitCode.CONFIG, fix="mount /proc"
        ) from error


def machine_hash(root: Path = Path("/")) -> str | None:
    """Tells this machine from others without giving away its machine-id(5), which is to be kept secret.

    None where the machine has no id.
    """
    try:
        machine = (root / "etc/machine-id").read_text("ascii").strip()
    except (OSError, ValueError):
        return None
    if not machine:
        return None
    return hmac.new(machine.encode(), b"nsentry sensor", hashlib.sha256).hexdigest()


def describe_host(host: str, boot: str, root: Path = Path("/")) -> wire.Host:
    """The host as it names itself: os-release(5) and uname(2)."""
    uname = os.uname()
    return {
        "id": host,
        "boot": boot,
        "name": uname.nodename[: wire.MAX_TEXT],
        "kernel": uname.release,
        "os": _pretty_name(root),
        "arch": uname.machine,
    }


def _pretty_name(root: Path) -> str:
    """PRETTY_NAME of os-release(5), cut to a line's length; "Linux" is its own default there."""
    for place in ("etc/os-release", "usr/lib/os-release"):
        try:
            lines = (root / place).read_text(errors="replace").splitlines()
        except OSError:
            continue
        for line in lines:
            if line.startswith("PRETTY_NAME="):
                return line.partition("=")[2].strip("\"'")[:200]
    return "Linux"


def _text(saved: object, name: str) -> str:
    value = saved.get(name) if isinstance(saved, dict) else None
    if not isinstance(value, str) or not value:
        raise ValueError(f"{name!r} is missing")
    return value


def _replace(path: Path, content: bytes) -> None:
    new = path.with_suffix(".new")
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
