# SPDX-License-Identifier: Apache-2.0
"""What pods declare is read from manifests that only root can write, and told of their own pods alone."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from sensor.enrich import manifests
from sensor.enrich.facts import Check, Pace
from sensor.enrich.manifests import Manifests
from sensor.wire import Pod

S = 1_000_000_000


def container(name: str = "web", **more: Any) -> dict[str, Any]:
    return {"name": name, "livenessProbe": {"exec": {"command": ["cat", "/ok"]}, "periodSeconds": 5}, **more}


def pod(*containers: dict[str, Any], name: str = "cart", **meta: Any) -> dict[str, Any]:
    return {
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "shop", **meta},
        "spec": {"containers": list(containers or [container()])},
    }


def running(name: str = "cart", uid: str | None = "u1", namespace: str = "shop") -> Pod:
    return Pod(name=name, namespace=namespace, uid=uid)


def read(folder: Path, *objects: Any) -> Manifests:
    for number, each in enumerate(objects):
        (folder / f"{number}.json").write_text(json.dumps(each), encoding="utf-8")
    made = Manifests([folder], Counter[str]().update)
    assert made.refresh()
    assert made.failing == {}
    return made


LIVENESS = Check(("cat", "/ok"), pace=Pace(5 * S, ticks=True))


def test_probes_of_each_kind_and_hooks(tmp_path: Path) -> None:
    web = container(
        startupProbe={"exec": {"command": ["sh", "-c", "$(PORT) $$(PORT) $(NONE)"]}, "periodSeconds": 0},
        readinessProbe={"httpGet": {"port": 80}},
        lifecycle={"preStop": {"exec": {"command": ["sleep", "5"]}}},
        env=[{"name": "PORT", "value": "80"}, {"name": "SECRET", "valueFrom": {}}],
    )
    assert read(tmp_path, pod(web)).checks(running(), "web") == (
        Check(("sh", "-c", "80 $(PORT) $(NONE)"), pace=Pace(10 * S, ticks=True)),
        LIVENESS,
        Check(("sleep", "5"), pace=Pace(once=True)),
    )


def test_a_pod_is_known_by_its_uid(tmp_path: Path) -> None:
    found = read(
        tmp_path, {"kind": "PodList", "items": [pod(uid="u1"), pod(container(livenessProbe={}), uid="u2")]}
    )
    assert found.checks(running(uid="u1"), "web") == (LIVENESS,)
    assert found.checks(running(uid="u2"), "web") == ()
    assert found.checks(running(uid="u3"), "web") == ()


@pytest.mark.parametrize(
    ("name", "namespace", "label", "is_it"),
    [
        ("cart", "shop", "web", True),
        ("cart", "shop", "other", False),
        ("cart", "default", "web", False),
        ("cart-2", "shop", "web", False),
        ("cart-thenode", "shop", "web", True),
    ],
)
def test_a_static_pod_has_its_nodes_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, namespace: str, label: str, *, is_it: bool
) -> None:
    found = read(tmp_path, pod())
    monkeypatch.setattr(found, "_node", "thenode")
    assert found.checks(running(name, namespace=namespace), label) == ((LIVENESS,) if is_it else ())


@pytest.mark.parametrize(
    ("name", "is_it"),
    [
        ("cart-cff7759f9-zswzr", True),
        ("cart-0", True),
        ("cart", False),
        ("cartoon-0", False),
        ("cart-a-b-c", False),
    ],
)
def test_a_workloads_pods_carry_its_name(tmp_path: Path, name: str, *, is_it: bool) -> None:
    made = {"kind": "Deployment", "metadata": {"name": "cart", "namespace": "shop"}}
    made["spec"] = {"template": {"spec": pod()["spec"]}}  # type: ignore[assignment]
    assert read(tmp_path, made).checks(running(name), "web") == ((LIVENESS,) if is_it else ())


def test_yaml_of_several_documents(tmp_path: Path) -> None:
    pytest.importorskip("yaml")
    (tmp_path / "two.yaml").write_text(
        "---\nkind: Service\n---\nkind: Pod\nmetadata: {name: cart, namespace: shop}\nspec:\n  containers:\n"
        "  - name: web\n    livenessProbe:\n      periodSeconds: 5\n      exec:\n        command: [cat, /ok]\n",
        encoding="ascii",
    )
    assert read(tmp_path).checks(running(), "web") == (LIVENESS,)


@pytest.mark.parametrize(
    "text",
    [b"{", b"[" * 100_000, b"\xff", b'{"kind": 1'],
)
def test_what_cannot_be_read_is_counted_and_said(tmp_path: Path, text: bytes) -> None:
    counts = Counter[str]()
    (tmp_path / "a.json").write_bytes(text)
    (tmp_path / "b.json").write_text(json.dumps(pod()), encoding="ascii")
    made = Manifests([tmp_path], lambda name: counts.update([name]))
    made.refresh()
    assert counts == {"probes.manifest_unreadable": 1}
    assert list(made.failing) == [str(tmp_path / "a.json")]
    assert made.checks(running(), "web") == (LIVENESS,)


@pytest.mark.parametrize(
    "odd",
    [
        [],
        {"kind": "Pod"},
        {"kind": "Pod", "metadata": {"name": 1}, "spec": 3},
        pod({"name": "web", "livenessProbe": {"exec": {"command": "cat"}}}),
        pod({"name": "web", "livenessProbe": {"exec": {"command": [1]}}, "env": [3]}),
        {"items": [3, {"items": [{"items": []}]}]},
    ],
)
def test_odd_documents_declare_nothing(tmp_path: Path, odd: object) -> None:
    assert read(tmp_path, odd).checks(running(), "web") == ()


def test_what_others_may_write_is_not_believed(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    file.write_text(json.dumps(pod()), encoding="ascii")
    file.chmod(0o666)
    made = Manifests([tmp_path], lambda _: None)
    made.refresh()
    assert made.checks(running(), "web") == ()
    assert "others than root" in made.failing[str(file)]


def test_it_is_read_again_only_when_it_has_changed(tmp_path: Path) -> None:
    made = read(tmp_path, pod())
    assert not made.refresh()
    (tmp_path / "0.json").write_text(json.dumps(pod(container("other"))), encoding="ascii")
    assert made.refresh()
    assert made.checks(running(), "other") == (LIVENESS,)
    assert made.checks(running(), "web") == ()


def test_a_folder_that_is_not_there_is_none(tmp_path: Path) -> None:
    made = Manifests([tmp_path / "none"], lambda _: None)
    made.refresh()
    assert made.failing == {}


def test_bounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifests, "MAX_BYTES", 100)
    (tmp_path / "a.json").write_text(json.dumps(pod()), encoding="ascii")
    made = Manifests([tmp_path], lambda _: None)
    made.refresh()
    assert "longer than" in made.failing[str(tmp_path / "a.json")]
