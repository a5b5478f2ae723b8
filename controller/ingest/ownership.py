# SPDX-License-Identifier: Apache-2.0
"""A sensor writes of its own host only: its id is the first part of every id that it may use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from controller.ingest.refusal import RefusedError

if TYPE_CHECKING:
    from sensor import wire


def check_host(host: wire.Host, own: str) -> None:
    """RefusedError "foreign" unless the message says it comes from the host that the credential is of."""
    if host["id"] != own:
        raise RefusedError("foreign", "the message is of another host than its credential: enrol again")


def check_batch(batch: wire.Batch, own: str) -> None:
    """RefusedError "foreign" unless the batch, its events, sessions and targets are all of the host `own`."""
    check_host(batch["host"], own)
    prefix = f"{own}/"
    for index, event in enumerate(batch["events"]):
        for name in ("id", "session", "target"):
            value = event.get(name)
            if isinstance(value, str) and not value.startswith(prefix):
                sentence = f"events[{index}].{name}: not of this host: it has to begin with its id"
                raise RefusedError("foreign", sentence, index=index)
