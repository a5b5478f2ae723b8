# SPDX-License-Identifier: Apache-2.0
"""A known container as bytes and back, for the sensor that goes on where another was killed.

`unpack` raises ValueError for what is not of this form.
"""

from __future__ import annotations

from dataclasses import astuple
from typing import Any, cast

import msgpack

from sensor.enrich.containers import Witness
from sensor.enrich.facts import Pace
from sensor.enrich.inside import Own
from sensor.enrich.known import Known
from sensor.enrich.supervisor import Supervisor
from sensor.wire import Container, Missing


def pack(known: Known, witnesses: list[Witness]) -> bytes:
    """Inverse of `unpack`."""
    container, missing = known.description
    checks = known.checks
    return bytes(
        msgpack.packb(
            [
                known.id,
                known.init_pid,
                known.init_start,
                known.namespaces,
                container,
                missing,
                known.cgroup,
                known.nested,
                astuple(known.supervisor) if known.supervisor else None,
                None if checks is None else [astuple(check) for check in checks],
                witnesses,
                sorted(known.lent),
            ]
        )
    )


def unpack(data: bytes) -> tuple[Known, list[Witness]]:
    """The container, and the processes that prove its mount namespaces."""
    try:
        named, pid, start, namespaces, container, missing, cgroup, nested, *rest = msgpack.unpackb(data)
        supervisor, checks, witnesses, lent = rest
        known = Known(
            named,
            pid,
            start,
            namespaces,
            container["runtime"],
            container["caps"],
            cgroup=cgroup,
            nested=nested,
            supervisor=Supervisor(*supervisor) if supervisor else None,
            lent=frozenset(lent),
        )
        known.remember(cast("Container", container), cast("dict[str, Missing]", missing))
        if checks is not None:
            known.checks = tuple(_check(*parts) for parts in checks)
        return known, [(mnt, witness, began) for mnt, witness, began in witnesses]
    except (TypeError, ValueError, KeyError, msgpack.exceptions.UnpackException) as error:
        raise ValueError(f"no container: {error}") from error


def _check(
    argv: list[str], uid: int | None, folder: str, pace: list[Any], also: list[str], absent: bool
) -> Own:
    return Own(tuple(argv), uid, folder, Pace(*pace), tuple(also), absent)
