# SPDX-License-Identifier: Apache-2.0
"""Ways to a container's files that join none of its namespaces, from the host and from another container."""

from __future__ import annotations

from functools import partial

from tests.runtimes.ways.way import Way

_files = partial(
    Way,
    into="docker",
    means="proc-root",
    verdict="ns-only",
    namespaces="",
    by="sh",
    above=("sh",),
    uid=0,
    gone=True,
)
MERGED = "m=$({docker} inspect -f '{{{{.GraphDriver.Data.MergedDir}}}}' {id}) && "
"""Where the host itself has mounted what the container's root is."""
NEIGHBOUR = "{docker} run --rm --pid=host --cap-add=SYS_PTRACE --cap-add=SYS_CHROOT {image} sh -c "

WAYS = [
    _files("chroot through another descriptor", run="cd /proc/{pid}/root && chroot . id"),
    _files("chroot to where the host mounted it", run=MERGED + "chroot $m id"),
    _files(
        "chroot to a bind mount of where the host mounted it",
        run=MERGED + "mkdir {scratch}/m && mount --bind $m {scratch}/m && chroot {scratch}/m id; r=$?; "
        "umount {scratch}/m; exit $r",
    ),
    _files(
        "several commands in where the host mounted it",
        run=MERGED + "chroot $m sh -c 'busybox id; busybox true; :'",
        runs="sh -c 'busybox id; busybox true; :'",
        session=("entry", "command", "exit", "command", "exit", "exit", "session_end"),
    ),
    _files(
        "a program of where the host mounted it",
        run=MERGED + "ln -s $m {scratch}/m && cd / && {scratch}/m/bin/busybox id",
        runs="{scratch}/m/bin/busybox id",
    ),
    _files(
        "chroot by a neighbour that sees its processes",
        run=NEIGHBOUR + "'chroot /proc/{pid}/root id; :'",
        above=("sh", "containerd-shim"),
    ),
    _files(
        "a program of it, executed by a neighbour",
        run=NEIGHBOUR + "'/proc/{pid}/root/bin/busybox id; :'",
        runs="/proc/{pid}/root/bin/busybox id",
        above=("sh", "containerd-shim"),
    ),
]
