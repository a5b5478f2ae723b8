# SPDX-License-Identifier: Apache-2.0
"""Daemons are found wherever they listen, and only those that the host itself runs."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from sensor.enrich.sockets import discover, of_arguments

A = "a1" * 32


@pytest.fixture
def listen(tmp_path):
    sockets: list[socket.socket] = []

    def start(name: str) -> str:
        path = str(tmp_path / name)
        sockets.append(socket.socket(socket.AF_UNIX))
        sockets[-1].bind(path)
        sockets[-1].listen()
        return path

    yield start
    for one in sockets:
        one.close()


@pytest.mark.parametrize(
    ("argv", "paths"),
    [
        (["dockerd", "-H", "unix:///run/a.sock"], ["/run/a.sock"]),
        (["dockerd", "-Hunix:///run/a.sock"], ["/run/a.sock"]),
        (["dockerd", "-H=unix:///run/a.sock", "--host=unix:///b"], ["/run/a.sock", "/b"]),
        (["dockerd", "--host", "unix:///run/a.sock", "-H", "fd://"], ["/run/a.sock"]),
        (["podman", "system", "service", "--time=0", "unix:///run/p.sock"], ["/run/p.sock"]),
        (["dockerd", "-H", "tcp://0.0.0.0:2375"], []),
        (["dockerd", "-H", "unix://relative"], []),
        (["dockerd", "-H"], []),
        ([], []),
    ],
)
def test_sockets_out_of_a_daemons_arguments(argv, paths):
    assert of_arguments(argv) == paths


def test_configured_sockets_come_first_and_each_once(listen, tree, tmp_path):
    path = listen("docker.sock")
    (tmp_path / "link.sock").symlink_to(path)
    (tmp_path / "file").touch()
    configured = [path, str(tmp_path / "link.sock"), str(tmp_path / "file"), str(tmp_path / "none"), "\0"]
    found = discover(configured, tree.path)
    assert found[0] == path
    assert str(tmp_path / "link.sock") not in found
    assert str(tmp_path / "file") not in found


def test_a_daemon_on_another_socket_is_found_by_its_arguments(listen, tree):
    path = listen("odd.sock")
    tree.add(70, "dockerd", argv=("/usr/sbin/dockerd", "-H", f"unix://{path}"))
    assert path in discover((), tree.path)


def test_a_socket_that_only_its_configuration_names_is_found_among_those_it_listens_on(listen, tree):
    path, internal = listen("odd"), listen("metrics.sock")
    tree.add(70, "dockerd", argv=("/usr/sbin/dockerd",))
    fds, net = tree.path / "70" / "fd", tree.path / "70" / "net"
    fds.mkdir()
    net.mkdir()
    (fds / "3").symlink_to("socket:[111]")
    (fds / "4").symlink_to("socket:[222]")
    (fds / "5").symlink_to("socket:[333]")
    (net / "unix").write_text(
        "Num       RefCount Protocol Flags    Type St Inode Path\n"
        f"0000000000000000: 00000002 00000000 00010000 0001 01   111 {path}\n"
        f"0000000000000000: 00000002 00000000 00010000 0001 01   222 {internal}\n"
        f"0000000000000000: 00000003 00000000 00000000 0001 03   333 {path}2\n"
        "0000000000000000: 00000003 00000000 00000000 0001 03   444\n"
    )
    assert path in discover((), tree.path)
    assert internal not in discover((), tree.path)


def test_a_daemon_in_another_mount_namespace_is_reached_through_its_root(listen, tree, tmp_path):
    listen("odd.sock")
    tree.add(70, "dockerd", argv=("/usr/sbin/dockerd", "-H", "unix:///odd.sock"), mnt="its-own")
    (tree.path / "70" / "root").symlink_to(tmp_path)
    assert f"{tree.path}/70/root/odd.sock" in discover((), tree.path)


@pytest.mark.parametrize("inside", [{"cgroup": f"/docker/{A}"}, {"nspid": (1,)}])
def test_what_calls_itself_dockerd_inside_a_container_is_not_asked(listen, tree, inside):
    """It could name every container of the host as it likes."""
    path = listen("evil.sock")
    tree.add(70, "dockerd", argv=("dockerd", "-H", f"unix://{path}"), **inside)
    assert path not in discover((), tree.path)


def test_another_program_with_such_arguments_is_not_asked(listen, tree):
    path = listen("other.sock")
    tree.add(70, "curl", argv=("curl", "-H", f"unix://{path}"))
    assert path not in discover((), tree.path)


def test_the_machines_own_processes_can_be_looked_through():
    assert all(Path(path).is_socket() for path in discover())
