# SPDX-License-Identifier: Apache-2.0
"""Ways into a container of podman, with crun and with runc below it, as root."""

from __future__ import annotations

from functools import partial

from tests.runtimes.ways.way import Quiet, Way

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
    _podman("podman exec, --userns=auto", into="podman-userns-auto", run="{podman} exec {id} id", by="crun"),
    # A user's podman has no cgroup of its own on cgroup v1: its conmon tells, while it lives.
    # It is in its user namespace already.
    _podman(
        "podman exec, by a user",
        into="podman-rootless",
        run="{podman} exec {id} sleep 1",
        runs="sleep 1",
        by="runc",
        verdict="ns-only",
        namespaces="ipc mnt net pid uts",
    ),
    _podman(
        "podman exec, by a user who keeps his id",
        into="podman-rootless-keep-id",
        run="{podman} exec {id} sleep 1",
        runs="sleep 1",
        by="runc",
        verdict="ns-only",
    ),
    Way(
        "nsenter -a into a user's container",
        into="podman-rootless",
        run="nsenter -t {pid} -a -U id",
        means="ns-join",
        verdict="ns-only",
        by="nsenter",
        above=("nsenter", "sh"),
    ),
    Way(
        "nsenter -U alone",
        into="podman-userns",
        run="nsenter -t {pid} -U id",
        namespaces="user",
        means="ns-join",
        verdict="ns-only",
        by="nsenter",
        above=("sh",),
        uid=100_000,
    ),
    Way(
        "nsenter -U -n, with the host's files",
        into="podman-rootless",
        run="nsenter -t {pid} -U -n id",
        namespaces="net user",
        means="ns-join",
        verdict="ns-only",
        by="nsenter",
        above=("sh",),
        uid=60_123,
    ),
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

QUIET = [
    Quiet(
        "podman run",
        into="podman-crun",
        run="{podman} --runtime crun run --cidfile {made} --rm --net=none {image} id",
    ),
    Quiet(
        "podman run, by a user",
        into="podman-rootless",
        run="{podman} --runtime runc run --rm --net=none {image} id",
    ),
    Quiet("podman cp in", into="podman-crun", run="{podman} cp {programs}/docker_api.py {id}:/tmp/"),
    Quiet("podman cp out", into="podman-crun", run="{podman} cp {id}:/etc/passwd - >/dev/null"),
    Quiet("podman top", into="podman-crun", run="{podman} top {id}; {podman} inspect {id}"),
    Quiet("podman top, in its namespaces", into="podman-crun", run="{podman} top {id} user pid hpid label"),
    Quiet(
        "podman attach",
        into="podman-crun",
        run="timeout 2 {podman} attach --no-stdin --sig-proxy=false {id} || true",
    ),
]
