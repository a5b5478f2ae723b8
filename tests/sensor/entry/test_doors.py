# SPDX-License-Identifier: Apache-2.0
"""Whose namespaces they are: one container's, or nobody's that can be named. Never the wrong one's."""

from __future__ import annotations

from pathlib import Path

from sensor.enrich.containers import Containers
from sensor.enrich.known import Known
from sensor.entry.crossing import Owner
from sensor.entry.doors import Doors
from sensor.probe.layout import NsSet

HOST = NsSet(1, 2, 3, 4, 5, 5, 6, 6, 7, 8)
WEB = HOST._replace(ipc=12, mnt=13, net=14, pid=15, pid_for_children=15, uts=18)
ON_HOST = HOST._replace(mnt=23, ipc=22)
"""`docker run --network host --pid host --uts host`."""
BESIDE_WEB = HOST._replace(mnt=33, ipc=32, net=14)
"""`docker run --network container:web`."""


def doors(tmp_path: Path, **containers: NsSet) -> Doors:
    known = Containers(proc=tmp_path)
    for number, (name, ns) in enumerate(containers.items()):
        known.adopt(Known(name, 100 + number, 1, ns._asdict(), "docker", None))
    return Doors(known, HOST._asdict())


def test_a_namespace_of_one_container_names_it(tmp_path: Path) -> None:
    assert doors(tmp_path, web=WEB, hn=ON_HOST).owner(["net"], HOST._replace(net=14)) == Owner("web")
    assert doors(tmp_path, web=WEB).owner(["pid"], HOST._replace(pid_for_children=15)) == Owner("web")


def test_who_comes_back_to_the_host_has_not_entered_a_container_that_shares_its_namespaces(
    tmp_path: Path,
) -> None:
    known = doors(tmp_path, web=WEB, hn=ON_HOST)
    for kinds in (["net"], ["pid"], ["uts"], ["net", "pid", "uts"], ["ipc", "mnt", "net", "pid", "uts"]):
        assert known.owner(kinds, HOST) == Owner(None)


def test_a_namespace_that_two_containers_share_names_neither(tmp_path: Path) -> None:
    known = doors(tmp_path, web=WEB, beside=BESIDE_WEB)
    assert known.owner(["net"], HOST._replace(net=14)) == Owner(None, shared=True)
    assert known.owner(["ipc", "net"], HOST._replace(net=14, ipc=12)) == Owner("web")


def test_a_mount_namespace_decides_alone(tmp_path: Path) -> None:
    known = doors(tmp_path, web=WEB, beside=BESIDE_WEB)
    assert known.owner(["mnt", "net"], HOST._replace(mnt=33, net=14)) == Owner("beside")
    assert known.owner(["mnt", "net"], HOST._replace(mnt=99, net=14)) == Owner(None)
