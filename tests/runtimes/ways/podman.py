# SPDX-License-Identifier: Apache-2.0
"""Ways into a container of podman, with crun and with runc below it, as root."""

from __future__ import annotations

from functools import partial

from tests.runtimes.ways.way import Way

_podman = partial(Way, means="podman-exec", above=("conmon",), exec_id=True)

WAYS = [
    _podman("podman exec, crun", into="podman-crun", run="{podman} exec {id} id", by="crun"),
    _podman(
        "podman exec -u, crun", into="podman-crun", run="{podman} exec -u 65534 {id} id", by="crun", uid=65534
    ),
    _podman(
        "podman exec -t, crun",
        into="podman-crun",
        run="{podman} exec -t {id} id",
        by="crun",
        terminal=True,
        tty="pts",
    ),
    _podman("podman exec, runc", into="podman-runc", run="{podman} exec {id} id", by="runc"),
    _podman("podman exec, a user namespace", into="podman-userns", run="{podman} exec {id} id", by="crun"),
    Way(
        "nsenter -a -U into a user namespace",
        into="podman-userns",
        run="nsenter -t {pid} -a -U id",
        means="ns-join",
        verdict="ns-only",
        by="nsenter",
        above=("nsenter", "sh"),
    ),
]
