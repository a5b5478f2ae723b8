# SPDX-License-Identifier: Apache-2.0
"""The container's id out of every shape of cgroup path that is known, and no id out of anything else."""

from __future__ import annotations

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from sensor.enrich.cgroup import owner, owner_of

A, B = "a1" * 32, "0f" * 32
UID = "45febc65-62ed-4641-bb65-1e699d29159c"
UNIT_UID = UID.replace("-", "_")
BURSTABLE = f"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{UNIT_UID}.slice"


@pytest.mark.parametrize(
    ("path", "container", "runtime", "pod_uid"),
    [
        # cgroupfs driver, each seen on a real runtime
        (f"/docker/{A}", A, "docker", None),
        (f"/kubepods/besteffort/pod{UID}/{A}", A, "cri", UID),
        (f"/kubepods/burstable/pod{UID}/{A}", A, "cri", UID),
        (f"/kubepods/pod{UID}/{A}", A, "cri", UID),
        (f"/libpod_parent/libpod-{A}", A, "podman", None),
        (f"/default/{A}", A, "containerd", None),
        ("/lxc.payload.ct", "ct", "lxc", None),
        ("/lxc.payload.ct/.lxc", "ct", "lxc", None),
        # systemd driver
        (f"/system.slice/docker-{A}.scope", A, "docker", None),
        (f"{BURSTABLE}/cri-containerd-{A}.scope", A, "cri", UID),
        (f"{BURSTABLE}/crio-{A}.scope", A, "cri-o", UID),
        (f"{BURSTABLE}/docker-{A}.scope", A, "docker", UID),
        (f"/kubepods.slice/kubepods-pod{UNIT_UID}.slice/cri-containerd-{A}.scope", A, "cri", UID),
        (f"/machine.slice/libpod-{A}.scope", A, "podman", None),
        (f"/machine.slice/libpod-{A}.scope/container", A, "podman", None),
        (f"/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{A}.scope", A, "podman", None),
        (f"/user.slice/user-1000.slice/user@1000.service/app.slice/docker-{A}.scope", A, "docker", None),
        (f"/system.slice/nerdctl-{A}.scope", A, "containerd", None),
        ("/machine.slice/systemd-nspawn@web\\x2dfront.service/payload", "web-front", "nspawn", None),
        ("/machine.slice/machine-web.scope/payload/init.scope", "web", "nspawn", None),
        # a runtime with the cgroupfs driver, given systemd's form
        (f"/system.slice:docker:{A}", A, "docker", None),
        (f"/kubepods-burstable-pod{UNIT_UID}.slice:cri-containerd:{A}", A, "cri", UID),
        # and the rest
        (f"/kubepods/burstable/pod{UID}/crio-{A}", A, "cri-o", UID),
        (f"/kubelet/kubepods/pod{'0' * 32}/{A}", A, "cri", "0" * 32),  # a static pod's uid is a hash
        (f"/system.slice/web.service/libpod-payload-{A}", A, "podman", None),
        (f"/ecs/{'9' * 32}/{A}", A, "docker", None),
        (f"/my-own-parent/{A}", A, "unknown", None),
        (f"/docker/{A}/system.slice/cron.service", A, "docker", None),  # systemd runs inside
        (f"/docker/{A} (deleted)", A, "docker", None),
        (f"docker/{A}", A, "docker", None),  # the last two names, as the kernel's event has them
        (f"/../../kubepods/pod{UID}/{A}", A, "cri", UID),  # read from inside a cgroup namespace
        ("/lxc/old", "old", "lxc", None),
    ],
)
def test_the_id_out_of_every_known_shape(path, container, runtime, pod_uid):
    found = owner(path)
    assert (found.container, found.runtime, found.pod_uid) == (container, runtime, pod_uid)
    assert found.within is None
    assert found.path.rstrip("/") in f"/{path}"


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "",
        "/user.slice/user-0.slice/session-1.scope",
        "/system.slice/docker.service",
        "/system.slice/containerd.service",
        "/process_api/e2134a62f9d1ff44ba52200e3c62f887",
        f"/machine.slice/libpod-conmon-{A}.scope",  # the monitor, outside of the container
        f"/kubepods.slice/crio-conmon-{A}.scope",
        "/libpod_parent/conmon",
        "/lxc.monitor.ct",
        "/machine.slice/machine-web.scope/supervisor",
        "/machine.slice/machine-qemu\\x2d1\\x2dvm.scope",
        "/machine.slice/machine-qemu\\x2d1\\x2dvm.scope/libvirt",
        "/payload",
        "/default/web",  # `ctr`: nothing tells it from another cgroup
        f"/docker/{A[:-1]}",
        f"/docker/{A}0",
        f"/docker/{A.upper()}",
        f"/docker-{A}",
        f"/system.slice/docker-{A}.service",
        f"/kubepods/burstable/pod{UID}",
        "/docker/buildkit/1a2b3c4d5e6f7a8b9c0d1e2f3",
    ],
)
def test_no_id_where_there_is_no_container(path):
    assert owner(path) is None


def test_of_nested_containers_the_inner_one_is_told_and_the_outer_one_is_the_hosts_word():
    found = owner(f"/docker/{A}/docker/{B}")
    assert found.container == B
    assert found.within.container == found.outermost.container == A
    assert found.path == f"/docker/{A}/docker/{B}"


def test_a_pod_in_a_node_that_is_a_container_does_not_lend_its_uid_to_the_node():
    found = owner(f"/docker/{A}/kubelet.slice/kubelet-kubepods-pod{UNIT_UID}.slice/cri-containerd-{B}.scope")
    assert (found.container, found.pod_uid, found.outermost.pod_uid) == (B, UID, None)


def test_the_unified_hierarchy_is_believed_first():
    assert owner_of([f"4:memory:/docker/{A}", f"0::/docker/{B}"]).container == B


def test_the_first_line_with_an_id_counts_where_the_unified_one_has_none():
    lines = ["9:name=systemd:/", f"4:memory:/docker/{A}", f"3:cpuset:/docker/{B}", "0::/"]
    assert owner_of(lines).container == A


def test_lines_that_are_none_are_passed_over():
    assert owner_of(["", "nonsense", "0::", f"5:devices:/docker/{A}:x"]) is None


names = st.text(st.characters(codec="utf-8", exclude_characters="/"), max_size=90)


@given(st.lists(names, max_size=8))
@example(["docker", "x" * 64])
@example(["lxc", ""])
@example(["pod" + "0" * 32, "payload"])
def test_no_path_breaks_the_parser_and_every_id_stands_in_the_path(parts):
    found = owner("/" + "/".join(parts))
    if found is not None and found.runtime != "nspawn":
        assert any(found.container in part for part in parts)


@given(st.text(st.sampled_from("0123456789abcdef"), min_size=1, max_size=70), st.lists(names, max_size=3))
def test_of_docker_only_64_hex_digits_are_an_id(identifier, before):
    assume(len(identifier) != 64)
    assume(owner("/" + "/".join(before)) is None)
    assert owner("/" + "/".join([*before, "docker", identifier])) is None


@given(st.text(st.sampled_from("0123456789abcdef"), min_size=64, max_size=64), st.lists(names, max_size=3))
def test_what_a_container_makes_below_its_own_cgroup_never_hides_it(identifier, inside):
    """A root inside can name a cgroup as it likes: the host's word is still there."""
    assert owner("/".join([f"/docker/{A}", *inside, f"docker-{identifier}.scope"])).outermost.container == A
