# SPDX-License-Identifier: Apache-2.0
"""A bundle gives what is in it for sure, of every runtime that writes one, and nothing where it is odd."""

from __future__ import annotations

import json
import os
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensor import wire
from sensor.enrich import bundle
from sensor.enrich.facts import Facts
from sensor.enrich.supervisor import Supervisor

A, B = "a1" * 32, "0f" * 32
UID = "45febc65-62ed-4641-bb65-1e699d29159c"
MASKED = {"maskedPaths": ["/proc/kcore"], "readonlyPaths": ["/proc/sys"]}
ALL_DEVICES = {"resources": {"devices": [{"allow": True, "access": "rwm"}]}}
ALL_CAPS = ["CAP_CHOWN", "CAP_SYS_ADMIN", "CAP_SYS_MODULE", "CAP_SYS_RAWIO", "CAP_SYS_PTRACE"]


def config(**changes):
    process = {"user": {"uid": 0, "gid": 0}, "capabilities": {"bounding": ["CAP_CHOWN"]}}
    return {"ociVersion": "1.0.2", "process": process, "linux": MASKED, **changes}


CRI = config(
    annotations={
        "io.kubernetes.cri.container-name": "app",
        "io.kubernetes.cri.container-type": "container",
        "io.kubernetes.cri.image-name": "localhost/busybox:test",
        "io.kubernetes.cri.sandbox-id": B,
        "io.kubernetes.cri.sandbox-name": "cart-cff7759f9-zswzr",
        "io.kubernetes.cri.sandbox-namespace": "shop",
        "io.kubernetes.cri.sandbox-uid": UID,
    }
)
CRIO = config(
    annotations={
        "io.kubernetes.cri-o.ContainerName": "app",
        "io.kubernetes.cri-o.ImageName": "quay.io/shop/cart:1",
        "io.kubernetes.cri-o.Labels": json.dumps({"io.kubernetes.container.name": "app"}),
        "io.kubernetes.cri-o.Namespace": "shop",
        "io.kubernetes.cri-o.PrivilegedRuntime": "true",
        "io.kubernetes.pod.name": "cart",
        "io.kubernetes.pod.uid": UID,
    }
)


def write(folder, content):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(content))


def test_containerds_annotations_name_pod_container_and_image():
    """Labels are in containerd's own database: not known here, which is not the same as none."""
    assert replace(bundle.describe(CRI), settings=None) == Facts(
        name="app",
        image="localhost/busybox:test",
        pod={"name": "cart-cff7759f9-zswzr", "namespace": "shop", "uid": UID},
        user="0:0",
        privileged=False,
    )


def test_cri_os_annotations_name_labels_and_privileges_too():
    found = bundle.describe(CRIO)
    assert (found.name, found.image) == ("app", "quay.io/shop/cart:1")
    assert found.labels == {"io.kubernetes.container.name": "app"}
    assert found.pod == {"name": "cart", "namespace": "shop", "uid": UID}
    assert found.privileged is True


def test_dockers_bundle_has_no_name_but_user_and_privileges():
    found = bundle.describe(config(process={"user": {"uid": 1000, "gid": 1000}}))
    assert replace(found, settings=None) == Facts(user="1000:1000", privileged=False)


@pytest.mark.parametrize(
    ("caps", "linux", "privileged"),
    [
        (ALL_CAPS, ALL_DEVICES, True),
        (ALL_CAPS, {**ALL_DEVICES, "seccomp": {"defaultAction": "SCMP_ACT_ERRNO"}}, None),
        (ALL_CAPS, {}, None),
        (["CAP_SYS_ADMIN"], ALL_DEVICES, None),  # --cap-add with systempaths=unconfined
        (ALL_CAPS, {**ALL_DEVICES, **MASKED}, False),
        (None, None, None),
    ],
)
def test_privileged_is_told_only_where_it_is_certain(caps, linux, privileged):
    found = bundle.describe({"process": {"capabilities": {"bounding": caps}}, "linux": linux})
    assert found.privileged is privileged


def test_the_bundle_beside_the_shims_own_is_found(tree, tmp_path):
    write(tmp_path / "task" / A, config())
    write(tmp_path / "task" / B, CRI)
    tree.add(50)
    (tree.path / "50" / "cwd").symlink_to(tmp_path / "task" / A)
    shim = Supervisor("cri", A, namespace="k8s.io", pid=50)
    assert bundle.read(B, shim, tree.path).name == "app"


def test_podmans_bundle_is_in_conmons_arguments_and_its_image_in_the_storages_index(tree, tmp_path):
    folder = tmp_path / "storage" / "overlay-containers" / A / "userdata"
    write(folder, config())
    index = [
        {"id": B, "names": ["other"]},
        {"id": A, "names": ["db"], "metadata": json.dumps({"image-name": "localhost/postgres:16"})},
    ]
    (tmp_path / "storage" / "overlay-containers" / "containers.json").write_text(json.dumps(index))
    tree.add(51)
    (tree.path / "51" / "root").symlink_to("/")
    found = bundle.read(A, Supervisor("podman", A, name="db", bundle=str(folder), pid=51), tree.path)
    assert (found.name, found.image, found.user) == ("db", "localhost/postgres:16", "0:0")


@pytest.mark.parametrize("pattern", bundle._ROOTS)
def test_the_usual_places_are_looked_at_without_a_supervisor(tree, tmp_path, pattern):
    write(tmp_path / "root" / pattern.format(id=A), CRI)
    (tree.path / "self").unlink()
    (tree.path / "self").mkdir()
    (tree.path / "self" / "root").symlink_to(tmp_path / "root")
    assert bundle.read(A, None, tree.path).name == "app"


@pytest.mark.parametrize("odd", ["..", "../../etc", "a/b", "", "."])
def test_an_id_that_is_a_path_is_not_followed(tree, odd):
    assert bundle.read(odd, None, tree.path) is None


def test_no_bundle_is_none(tree):
    assert bundle.read(A, Supervisor("docker", A, pid=50), tree.path) is None


@pytest.mark.parametrize("make", ["fifo", "link", "huge", "nested", "list", "binary"])
def test_a_config_that_is_no_plain_small_json_map_is_none(tree, tmp_path, make, monkeypatch):
    folder = tmp_path / "task" / A
    folder.mkdir(parents=True)
    file = folder / "config.json"
    match make:
        case "fifo":
            os.mkfifo(file)
        case "link":
            (tmp_path / "real").write_text(json.dumps(CRI))
            file.symlink_to(tmp_path / "real")
        case "huge":
            monkeypatch.setattr(bundle, "MAX_BYTES", 10)
            file.write_text(json.dumps(CRI))
        case "nested":
            file.write_text("[" * 100_000)
        case "list":
            file.write_text("[]")
        case "binary":
            file.write_bytes(b"\xff\xfe\x00")
    tree.add(50)
    (tree.path / "50" / "cwd").symlink_to(folder)
    assert bundle.read(A, Supervisor("docker", A, pid=50), tree.path) is None


keys = st.sampled_from(
    [
        *("process", "user", "uid", "gid", "linux", "annotations", "maskedPaths", "resources", "devices"),
        *("seccomp", "capabilities", "bounding", *CRI["annotations"], *CRIO["annotations"]),
    ]
)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(codec=None), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=10,
)


@given(st.dictionaries(keys, values, max_size=5))
def test_any_document_can_be_described_and_packed(document):
    found = bundle.describe(document)
    wire.pack(
        {"v": 1, "facts": [found.name, found.image, found.labels, found.pod, found.user, found.privileged]}
    )


@given(values)
def test_any_index_of_podman_can_be_read(document):
    bundle.stored(document, A)
