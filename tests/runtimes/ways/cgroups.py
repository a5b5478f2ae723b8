# SPDX-License-Identifier: Apache-2.0
"""Ways into a container's cgroup, and into none of its namespaces."""

from __future__ import annotations

from functools import partial

from tests.runtimes.ways.way import Way

MOVE = (
    "for each in $(find /sys/fs/cgroup -type d -name '*{id}*'); do echo $$ >$each/cgroup.procs; done 2>&-; "
)
"""The shell moves itself; on cgroup v1 into each hierarchy, where a controller may refuse it."""

_moved = partial(Way, means="cgroup-join", verdict="cgroup-only", namespaces="", above=("sh",), uid=0)

WAYS = [
    _moved("moved into the cgroup", into="docker", run=MOVE + "id", by="sh"),
    _moved("moved into the cgroup, crun", into="docker-crun", run=MOVE + "id", by="sh"),
    _moved("moved into the cgroup of podman", into="podman-crun", run=MOVE + "id", by="sh"),
    _moved(
        "moved into the cgroup, then another mount namespace",
        into="docker",
        run=MOVE + "unshare -m id",
        by="sh",
        runs="unshare -m id",
        session=("entry", "command", "exit", "session_end"),
    ),
    _moved(
        "made in the cgroup",
        into="docker",
        run="{python} {programs}/clone_into.py $(find /sys/fs/cgroup/unified /sys/fs/cgroup -maxdepth 3 -type d "
        "-name '*{id}*' | head -n 1) id",
        by="python3",
        above=("python3", "sh"),
    ),
]
