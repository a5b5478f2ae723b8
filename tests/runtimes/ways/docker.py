# SPDX-License-Identifier: Apache-2.0
"""Ways into a container of docker, with runc and with crun below it."""

from __future__ import annotations

from functools import partial

from tests.runtimes.ways.way import Quiet, Way, has_every_capability

SHIM = ("containerd-shim",)

_runc = partial(Way, into="docker", means="docker-exec", by="runc", above=SHIM, exec_id=True)
_crun = partial(Way, into="docker-crun", means="docker-exec", by="crun", above=SHIM, exec_id=True)

WAYS = [
    _runc("docker exec", run="{docker} exec {id} id"),
    _runc("docker exec -i", run="echo exit | {docker} exec -i {id} sh", runs="sh"),
    _runc("docker exec -t", run="{docker} exec -t {id} id", terminal=True, tty="pts"),
    _runc(
        "docker exec -it", run="{docker} exec -it {id} sh -c id", runs="sh -c id", terminal=True, tty="pts"
    ),
    _runc("docker exec -d", run="{docker} exec -d {id} id"),
    _runc("docker exec -u by number", run="{docker} exec -u 65534 {id} id", uid=65534),
    _runc("docker exec -u by name", run="{docker} exec -u app {id} id", uid=1000),
    _runc("docker exec -w", run="{docker} exec -w /bin {id} ls", runs="ls", cwd="/bin"),
    _runc("docker exec -e", run="{docker} exec -e A=b {id} env", runs="env"),
    # runc asks for every capability that the kernel has, and gives up where the machine itself lacks one.
    _runc(
        "docker exec --privileged",
        run="{docker} exec --privileged {id} id",
        kind="entry" if has_every_capability() else "attempt",
    ),
    _runc("docker exec, powers added at its start", into="docker-powers", run="{docker} exec {id} id"),
    _runc("docker exec, a cgroup namespace of its own", into="docker-cgroupns", run="{docker} exec {id} id"),
    _runc("docker exec, in the host's pid namespace", into="docker-hostpid", run="{docker} exec {id} id"),
    _runc("docker exec, in the daemon's network", into="docker-samenet", run="{docker} exec {id} id"),
    _runc(
        "docker exec, its first process in mounts of its own",
        into="docker-moved",
        run="{docker} exec {id} id",
    ),
    _runc("the API without the CLI", run="{python} {programs}/docker_api.py {socket} {id} id"),
    _runc("docker exec of what is not there", run="{docker} exec {id} /bin/nosuch", kind="attempt"),
    _crun("crun: docker exec", run="{docker} exec {id} id"),
    _crun("crun: docker exec -t", run="{docker} exec -t {id} id", terminal=True, tty="pts"),
    _crun("crun: docker exec -d", run="{docker} exec -d {id} id"),
    _crun("crun: docker exec -u", run="{docker} exec -u 65534 {id} id", uid=65534),
    _crun("crun: docker exec -w", run="{docker} exec -w /bin {id} ls", runs="ls", cwd="/bin"),
    _crun("crun: docker exec -e", run="{docker} exec -e A=b {id} env", runs="env"),
    _crun("crun: the API without the CLI", run="{python} {programs}/docker_api.py {socket} {id} id"),
]

QUIET = [
    Quiet("docker run", into="docker", run="{docker} run --cidfile {made} --rm {image} sh -c 'id; id'"),
    Quiet(
        "docker run -it",
        into="docker",
        run="{docker} run --cidfile {made} --rm -it {image} sh -c 'id; id'",
        terminal=True,
    ),
    Quiet(
        "crun: docker run -it",
        into="docker-crun",
        run="{docker} run --cidfile {made} --rm --runtime crun -it {image} id",
        terminal=True,
    ),
    Quiet(
        "docker attach",
        into="docker-cat",
        run="echo a | timeout 2 {docker} attach --sig-proxy=false {id} || true",
    ),
    Quiet(
        "nsenter into the daemon's network, which a container shares",
        into="docker-samenet",
        run="nsenter --net=/proc/{daemon}/ns/net id",
    ),
    Quiet("docker cp in", into="docker", run="{docker} cp {programs}/docker_api.py {id}:/tmp/"),
    Quiet("docker cp out", into="docker", run="{docker} cp {id}:/etc/passwd - >/dev/null"),
    Quiet("docker top", into="docker", run="{docker} top {id}"),
    Quiet(
        "docker diff, export, commit, logs and stats",
        into="docker",
        run="{docker} diff {id} && {docker} export {id} >/dev/null && {docker} rmi $({docker} commit {id}) && "
        "{docker} logs {id} && {docker} stats --no-stream {id}",
    ),
    Quiet(
        "mount namespaces that a container makes, and the numbers of those it has left",
        into="docker",
        run="{docker} run --cidfile {made} --rm --cap-add=SYS_ADMIN --security-opt=seccomp=unconfined {image} "
        "unshare -m sh -c 'unshare -m busybox id; unshare -m sh -c \"busybox id; busybox id\"; :'",
    ),
    Quiet(
        "a build whose steps run beside what it is made from",
        into="docker",
        run="printf 'FROM {image}\\nRUN busybox id\\n' | {docker} build -q --no-cache -",
    ),
]
