# SPDX-License-Identifier: Apache-2.0
"""Ways into a container by its namespaces, past every runtime: nsenter, its kin, and programs of one's own."""

from __future__ import annotations

from functools import partial

from tests.runtimes.ways.way import Way

_nsenter = partial(
    Way, into="docker", means="ns-join", verdict="ns-only", by="nsenter", above=("nsenter", "sh"), uid=0
)
_alone = partial(_nsenter, above=("sh",))
"""No child: nsenter itself becomes the command."""
_setns = partial(_nsenter, by="python3", above=("python3", "sh"))

WAYS = [
    _nsenter("nsenter -a", run="nsenter -t {pid} -a id"),
    _alone("nsenter -m", run="nsenter -t {pid} -m id", namespaces="mnt"),
    _nsenter("nsenter -p", run="nsenter -t {pid} -p id", namespaces="pid"),
    _alone("nsenter -n", run="nsenter -t {pid} -n id", namespaces="net"),
    _nsenter("nsenter -m -p", run="nsenter -t {pid} -m -p id", namespaces="mnt pid"),
    _alone("nsenter -m -p --no-fork", run="nsenter -t {pid} -m -p --no-fork id", namespaces="mnt pid"),
    _alone("nsenter -C", into="docker-cgroupns", run="nsenter -t {pid} -C id", namespaces="cgroup"),
    _nsenter("nsenter -a, a cgroup namespace too", into="docker-cgroupns", run="nsenter -t {pid} -a id"),
    _nsenter(
        "nsenter -a, the host's pid namespace",
        into="docker-hostpid",
        run="nsenter -t {pid} -a id",
        above=("sh",),
    ),
    _nsenter(
        "nsenter out of the container's cgroup",
        run="for c in $(find /sys/fs/cgroup -type d -name '*{id}*'); do echo $$ >$c/cgroup.procs; done 2>&-; "
        "nsenter -t {pid} -a id",
        verdict="both",
    ),
    _nsenter(
        "nsenter of busybox",
        run="busybox nsenter -t {pid} -m -u -i -n -p id",
        by="busybox",
        above=("busybox", "sh"),
    ),
    _nsenter(
        "nsenter by another name",
        run="cp /usr/bin/nsenter {scratch}/cp && {scratch}/cp -t {pid} -a id",
        by="cp",
        above=("cp", "sh"),
    ),
    _setns("setns by namespace file", run="{python} {programs}/setns.py {pid} ipc,uts,net,pid,mnt id"),
    _setns("setns, mount namespace first", run="{python} {programs}/setns.py {pid} mnt,net,uts,ipc,pid id"),
    _setns(
        "setns by namespace file, type 0",
        run="{python} {programs}/setns.py --any {pid} ipc,uts,net,pid,mnt id",
    ),
    _setns(
        "setns by pidfd, all at once", run="{python} {programs}/setns.py --pidfd {pid} ipc,uts,net,pid,mnt id"
    ),
    _setns(
        "setns by pidfd, two kinds",
        run="{python} {programs}/setns.py --pidfd {pid} net,uts id",
        namespaces="net uts",
    ),
    _setns(
        "a thread joins, its process stays",
        run="{python} {programs}/setns.py --thread {pid} uts,net,mnt id",
        namespaces="mnt net uts",
    ),
    _nsenter(
        "setns by a static program, five kinds at once",
        run="gcc -static -o {scratch}/enter {programs}/enter.c && {scratch}/enter {pid} id",
        by="enter",
        above=("enter", "sh"),
    ),
    _alone(
        "a namespace by its file that is mounted elsewhere",
        run="touch {scratch}/ns && mount --bind /proc/{pid}/ns/net {scratch}/ns && "
        "nsenter --net={scratch}/ns id; r=$?; umount {scratch}/ns; exit $r",
        namespaces="net",
    ),
    _alone(
        "a namespace by the descriptor of another process",
        run="exec 9</proc/{pid}/ns/mnt; nsenter --mount=/proc/$$/fd/9 id",
        namespaces="mnt",
    ),
    # Who executes nothing has its files at hand all the same.
    *(
        _alone(
            f"a look inside, {how}",
            run="{python} {programs}/look.py " + how + " {pid}",
            by="python3",
            namespaces="mnt",
            kind="attempt",
        )
        for how in ("back", "thread")
    ),
    _nsenter(
        "nsenter -a, its first process in mounts of its own",
        into="docker-moved",
        run="nsenter -t {pid} -a id",
    ),
    _alone(
        "nsenter -m, its first process in mounts of its own",
        into="docker-moved",
        run="nsenter -t {pid} -m id",
        namespaces="mnt",
    ),
    _alone(
        "ip netns exec",
        run="mkdir -p /run/netns && ln -s /proc/{pid}/ns/net /run/netns/ns{pid} && ip netns exec ns{pid} id; "
        "r=$?; rm /run/netns/ns{pid}; exit $r",
        by="ip",
        namespaces="net",
    ),
    _nsenter(
        "another pid namespace after the way in",
        run="nsenter -t {pid} -m -u -p unshare --pid --fork --mount-proc id",
        runs="unshare --pid --fork --mount-proc id",
        namespaces="mnt pid uts",
        session=("entry", "command", "exit", "exit", "session_end"),
    ),
]
