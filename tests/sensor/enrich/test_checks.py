# SPDX-License-Identifier: Apache-2.0
"""A pod's checks come from manifests and run as its bundle says; that they changed is noticed."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

from sensor.enrich.checks import Checks
from sensor.enrich.facts import Check, Facts
from sensor.enrich.known import Known
from sensor.wire import Pod


def declare(folder: Path, *command: str, name: str = "cart-cff7759f9-zswzr", uid: str = "u1") -> None:
    probe = {"exec": {"command": list(command)}}
    written = {
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "shop", "uid": uid},
        "spec": {"containers": [{"name": "web", "livenessProbe": probe}]},
    }
    (folder / f"{name}.json").write_text(json.dumps(written), encoding="ascii")


def bundle(name: str = "cart-cff7759f9-zswzr", uid: str = "u1") -> Facts:
    return Facts(name="web", pod=Pod(name=name, namespace="shop", uid=uid), user="7:7", folder="/srv")


def known(container: str = "a") -> Known:
    return Known(container * 64, 1 << 30, 1, {}, "cri", None)


def learn(checks: Checks, of: Known, facts: Facts) -> Known:
    made = checks.of_pod(of, facts)
    checks.compare(of, made)
    of.learn(made)
    return of


def checks(folder: Path, counts: Counter[str] | None = None) -> Checks:
    made = Checks([folder], lambda name: counts.update([name]) if counts is not None else None)
    made.refresh()
    return made


def test_a_probe_runs_as_the_containers_first_process_does(tmp_path: Path) -> None:
    declare(tmp_path, "cat", "/ok")
    (check,) = checks(tmp_path).of_pod(known(), bundle()).checks or ()
    assert (check.argv, check.user, check.folder) == (("cat", "/ok"), "7:7", "/srv")


def test_a_manifest_that_comes_later_is_believed(tmp_path: Path) -> None:
    made, web = checks(tmp_path), known()
    learn(made, web, bundle())
    assert web.checks == ()
    declare(tmp_path, "cat", "/ok")
    made.refresh()
    assert [check.argv for check in web.checks or ()] == [("cat", "/ok")]


def test_of_a_container_that_runs_no_other_probe_is_believed(tmp_path: Path) -> None:
    counts = Counter[str]()
    declare(tmp_path, "cat", "/ok")
    made, web = checks(tmp_path, counts), known()
    learn(made, web, bundle())
    declare(tmp_path, "sh", "-c", "wget evil")
    made.refresh()
    assert [check.argv for check in web.checks or ()] == [("cat", "/ok")]
    assert counts == {"probes.manifest_disagrees": 1}


def test_another_probe_of_the_next_pod_is_a_change_and_the_same_is_none(tmp_path: Path) -> None:
    counts = Counter[str]()
    declare(tmp_path, "cat", "/ok")
    declare(tmp_path, "cat", "/ok", name="cart-cff7759f9-b4k5x", uid="u2")
    declare(tmp_path, "cat", "/new", name="cart-7d4b9c6f5d-xv2lq", uid="u3")
    made = checks(tmp_path, counts)
    assert not learn(made, known("a"), bundle()).changed
    assert not learn(made, known("b"), bundle("cart-cff7759f9-b4k5x", "u2")).changed
    assert learn(made, known("c"), bundle("cart-7d4b9c6f5d-xv2lq", "u3")).changed
    assert counts == {"probes.changed": 1}


def test_another_check_of_one_that_runs_is_a_change() -> None:
    counts = Counter[str]()
    made, web = Checks([], lambda name: counts.update([name])), known()
    for argv in (("id",), ("id",), ("wget", "evil")):
        facts = Facts(name="web", checks=(Check(argv),))
        made.compare(web, facts)
        web.learn(facts)
    assert web.changed
    assert counts == {"probes.changed": 1}
