# SPDX-License-Identifier: Apache-2.0
"""Enrolment: a short-lived token buys this host its own id and credential, and pins the controller's CA."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Final

from sensor import __version__, identity, wire
from sensor.config_keys import WrongValueError, check_url
from sensor.fault import ExitCode, Fault
from sensor.uplink import Answer, Uplink

PATH: Final = "/api/v1/enroll"
_ASK_AGAIN: Final = "make a new token on the controller: nsentry-controller token create"


def enroll(
    state_dir: Path,
    url: str,
    token: str,
    *,
    timeout_s: float = 20.0,
    proxy: str | None = None,
    root: Path = Path("/"),
) -> wire.Enrolled:
    """Enrol this host at `url`, keep the identity in `state_dir`, and give what was answered.

    The token is used only over a connection that its own CA vouches for. Raises Fault; an identity
    from before then stays as it was.
    """
    try:
        url = check_url(url, Path())
        secret, ca_pem = wire.decode_token(token)
    except WrongValueError as error:
        raise Fault(f"the controller's address: {error}", exit_code=ExitCode.CONFIG) from error
    except wire.Malformed as error:
        raise Fault(str(error), exit_code=ExitCode.CONFIG, fix=_ASK_AGAIN) from error
    _check_writable(state_dir)
    answer = _ask(url, ca_pem, _enrolment(secret, root), timeout_s, proxy)
    if answer.status != 200:
        raise _refusal(answer)
    enrolled = _enrolled(answer, url)
    try:
        identity.save(state_dir, enrolled, url, ca_pem)
    except OSError as error:
        raise Fault(
            f"the identity cannot be kept in {state_dir}: {error.strerror or error}",
            exit_code=ExitCode.FAILURE,
            fix=_ASK_AGAIN,
        ) from error
    return enrolled


def _enrolment(secret: str, root: Path) -> wire.Enrolment:
    host = identity.describe_host("", "", root)
    return {
        "v": wire.VERSION,
        "token": secret,
        "name": host["name"],
        "machine": identity.machine_hash(root),
        "kernel": host["kernel"],
        "os": host["os"],
        "arch": host["arch"],
        "sensor": __version__,
    }


def _ask(url: str, ca_pem: str, message: wire.Enrolment, timeout_s: float, proxy: str | None) -> Answer:
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as ca:
        ca.write(ca_pem)
        ca.flush()
        try:
            uplink = Uplink(url, Path(ca.name), timeout_s=timeout_s, proxy=proxy)
            answer = uplink.post(PATH, wire.pack(message))
        except Fault as fault:
            # The file is gone by the time this is read.
            sentence = fault.sentence.replace(f" ({ca.name})", "").replace(ca.name, "in the token")
            raise type(fault)(sentence, exit_code=fault.exit_code, fix=fault.fix) from fault
        uplink.close()
        return answer


def _enrolled(answer: Answer, url: str) -> wire.Enrolled:
    try:
        body = wire.unpack(answer.body)
    except (wire.Malformed, wire.Incompatible) as error:
        raise Fault(
            f"{url} does not answer as a controller does: {error}", exit_code=ExitCode.UNREACHABLE
        ) from error
    match body:
        case {"host": str(host), "credential": str(credential)} if host and credential and "/" not in host:
            return {"v": wire.VERSION, "host": host, "credential": credential}
    raise Fault(f"{url} does not answer as a controller does", exit_code=ExitCode.UNREACHABLE)


def _refusal(answer: Answer) -> Fault:
    said = answer.sentence()
    match answer.status:
        case 401 | 403:
            return Fault(f"the token is not accepted: {said}", exit_code=ExitCode.CONFIG, fix=_ASK_AGAIN)
        case 426:
            return Fault(
                f"sensor {__version__} and the controller do not speak the same version: {said}",
                exit_code=ExitCode.CONFIG,
                fix="install versions of sensor and controller that belong together",
            )
        case status if status >= 500 or status in {408, 429}:
            return Fault(
                f"the controller cannot enrol now: {said}",
                exit_code=ExitCode.UNREACHABLE,
                fix="try again later",
            )
        case _:
            return Fault(f"the controller refused: {said}", exit_code=ExitCode.FAILURE)


def _check_writable(state_dir: Path) -> None:
    """Before the token is spent."""
    try:
        state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        reason = error.strerror or str(error)
    else:
        if os.access(state_dir, os.W_OK | os.X_OK):
            return
        reason = "not writable by this user"
    raise Fault(
        f"the state folder {state_dir} cannot be used: {reason}",
        exit_code=ExitCode.PRIVILEGE,
        fix="run it as root",
    )
