# SPDX-License-Identifier: Apache-2.0
"""Shims and conmon are known by their arguments, and only where the host runs them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensor.enrich.supervisor import of_argv, of_process

A, B = "a1" * 32, "0f" * 32
SHIM = ("/usr/bin/containerd-shim-runc-v2", "-namespace", "moby", "-id", A, "-address", "/run/c.sock")
CONMON = (
    *("/usr/bin/conmon", "--api-version", "1", "-c", A, "-u", B, "-r", "/usr/bin/crun", "-b", "/run/bundle"),
    *("-p", "/run/pidfile", "-n", "web", "--exit-command-arg", "-c", "--exit-command-arg", B),
)


@pytest.mark.parametrize(
    ("namespace", "runtime"), [("moby", "docker"), ("k8s.io", "cri"), ("default", "containerd")]
)
def test_a_shim_names_container_and_runtime(namespace, runtime):
    found = of_argv(["containerd-shim-runc-v2", "-namespace", namespace, "-id", "any.name-1"])
    assert (found.container, found.runtime, found.namespace) == ("any.name-1", runtime, namespace)
    assert found.serves_pod == (runtime == "cri")


def test_a_shim_of_the_first_generation_has_the_id_in_its_working_directory():
    workdir = f"/var/lib/containerd/io.containerd.runtime.v1.linux/moby/{A}"
    assert of_argv(["containerd-shim", "-namespace", "moby", "-workdir", workdir]).container == A


def test_conmon_names_container_exec_and_bundle():
    found = of_argv(list(CONMON))
    assert (found.runtime, found.container, found.exec_id) == ("podman", A, B)
    assert (found.name, found.bundle) == ("web", "/run/bundle")


def test_conmon_of_a_container_itself_has_no_exec():
    assert of_argv(["conmon", "-c", A, "-u", A, "-n", "web"]).exec_id is None


def test_conmon_of_cri_o_is_told_by_the_name_it_gives():
    assert of_argv(["conmon", "-c", A, "-n", "k8s_app_cart_shop_uid_0"]).runtime == "cri-o"


@pytest.mark.parametrize(
    "argv",
    [
        [],
        ["/usr/bin/conmon", "--version"],
        ["containerd-shim-runc-v2", "-v"],
        ["sh", "-c", A],
        ["conmon", "-c", "../../etc"],
        ["conmon", "-c"],
    ],
)
def test_other_programs_and_helpers_are_none(argv):
    assert of_argv(argv) is None


def test_a_shim_with_an_id_that_is_a_path_has_no_container():
    assert of_argv(["containerd-shim-runc-v2", "-namespace", "moby", "-id", "../x"]).container is None


@given(st.lists(st.text(max_size=20), max_size=10))
def test_no_arguments_break_it(argv):
    of_argv(["conmon", *argv])
    of_argv(["containerd-shim-runc-v2", *argv])


def test_a_process_is_known_with_its_pid_and_user(tree):
    tree.add(50, "containerd-shim", argv=SHIM)
    tree.add(51, "conmon", argv=CONMON, uid=1000)
    assert (of_process(50, tree.path).pid, of_process(50, tree.path).uid) == (50, 0)
    assert of_process(51, tree.path).uid == 1000


def test_a_users_own_program_with_a_shims_name_is_not_believed(tree):
    tree.add(50, "containerd-shim", argv=SHIM, uid=1000)
    assert of_process(50, tree.path) is None


def test_a_shim_inside_a_containers_pid_namespace_is_not_believed(tree):
    tree.add(50, "containerd-shim", argv=SHIM, nspid=(7,))
    assert of_process(50, tree.path) is None


def test_a_process_that_is_gone_is_none(tree):
    assert of_process(50, tree.path) is None
