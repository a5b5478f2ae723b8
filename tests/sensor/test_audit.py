# SPDX-License-Identifier: Apache-2.0
"""The audit of Kubernetes' API servers: what real lines say, what hostile ones must not do.

samples/audit.jsonl is of a real API server of 1.34 with kubectl 1.32 and the Python client.
"""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.validity import check_event
from sensor import wire
from sensor.wire import audit, audit_objects
from sensor.wire.redact import Redactor

SAMPLES = Path(__file__).with_name("samples") / "audit.jsonl"
LINES = SAMPLES.read_bytes().splitlines()
REDACT = Redactor(()).argv


def sayings(lines=LINES):
    return [told.saying for line in lines if (told := audit.read(line, REDACT)).saying]


def line(**more):
    base = {
        "kind": "Event",
        "apiVersion": "audit.k8s.io/v1",
        "level": "Metadata",
        "auditID": "a-1",
        "stage": "ResponseStarted",
        "requestURI": "/api/v1/namespaces/shop/pods/cart-0/exec?command=id&container=app",
        "verb": "get",
        "user": {"username": "alice", "groups": ["dev"]},
        "sourceIPs": ["10.0.0.5"],
        "objectRef": {"resource": "pods", "subresource": "exec", "namespace": "shop", "name": "cart-0"},
        "responseStatus": {"code": 101},
        "requestReceivedTimestamp": "2026-11-24T02:22:06.648751Z",
        "stageTimestamp": "2026-11-24T02:22:06.651751Z",
    }
    return json.dumps({**base, **more}).encode()


def say(**more):
    return audit.read(line(**more), REDACT).saying


def about(resource, subresource=None, group="", **more):
    names = {"resource": resource, "namespace": "shop", "name": "x", "apiGroup": group}
    return {"objectRef": names | ({"subresource": subresource} if subresource else {}), **more}


def test_real_lines_say_who_asked_for_what():
    said = {(each.action, each.request["verb"]): each for each in reversed(sayings())}
    exec_ = said["exec_start", "get"]
    assert (exec_.request["user"], exec_.request["pod"], exec_.request["container"]) == (
        "alice@example.com",
        "cart-65bd99d588-5xqhx",
        "app",
    )
    assert exec_.request["code"] == 101
    assert exec_.request["whole"]
    assert {
        "attach",
        "port_forward",
        "debug_container",
        "node_proxy_failed",
        "pod_create",
        "exec_failed",
    } <= {action for action, _ in said}
    assert said["debug_container", "patch"].detail == {"image": "localhost/busybox:test", "target": "app"}
    assert any(each.request["impersonated"] == "carol@example.com" for each in sayings())
    shell = next(each for each in sayings() if each.command and each.command.startswith("/bin/sh -c echo"))
    assert shell.command in {"/bin/sh -c echo spdy", "/bin/sh -c echo from python; id"}


def test_every_saying_of_real_lines_is_a_record_that_the_controller_takes():
    for saying in sayings():
        record = audit.record(saying, "k1/x/1", "webhook", 0, 1, 1)
        check_event(msgspec.convert(record, wire.Record))


def test_all_stages_of_a_request_have_one_id_and_keys_of_their_own():
    received = say(stage="RequestReceived", responseStatus=None, stageTimestamp="2026-11-24T02:22:06.648751Z")
    started = say()
    ended = say(stage="ResponseComplete", stageTimestamp="2026-11-24T03:22:06.6Z")
    assert received.request["id"] == started.request["id"] == ended.request["id"]
    assert len({received.key, started.key, ended.key}) == 3
    assert [each.action for each in (received, started, ended)] == ["exec_create", "exec_start", "exec_die"]
    assert received.time == started.time == ended.time
    assert say().key == started.key


@pytest.mark.parametrize(
    "other",
    [
        {"requestReceivedTimestamp": "2026-11-24T02:22:06.648752Z"},
        {"user": {"username": "mallory"}},
        {"requestURI": "/api/v1/namespaces/shop/pods/cart-0/exec?command=sh&container=app"},
    ],
)
def test_a_client_that_chooses_the_audit_id_of_another_request_hides_nothing(other):
    """The API server takes the id from the header Audit-ID: a request with a known one is still a record."""
    assert say(**other).key != say().key
    assert say(**other).request["id"] != say().request["id"]


@pytest.mark.parametrize(
    ("query", "command"),
    [
        ("command=%2Fbin%2Fsh&command=-c&command=echo+a%20b", "/bin/sh -c echo a b"),
        ("command=env&command=PASSWORD%3Dhunter2", "env PASSWORD=***"),
        ("container=app&stdin=true", None),
        ("command=%ff%00", "\\xff\\x00"),
    ],
)
def test_the_command_is_read_from_the_query_without_secrets(query, command):
    saying = say(requestURI=f"/api/v1/namespaces/shop/pods/cart-0/exec?{query}")
    assert saying.command == command
    assert saying.request["whole"] is (command is not None and "***" not in command)
    if command is None:
        assert saying.request["absent"] == "command not in the audit: level Metadata"


def test_what_was_refused_says_so():
    assert say(responseStatus={"code": 403}).action == "exec_denied"
    assert say(responseStatus={"code": 400}).action == "exec_failed"
    assert say(**about("nodes", "proxy"), requestURI="/api/v1/nodes/n/proxy/exec/shop/cart-0/app?command=id",
               responseStatus={"code": 403}).action == "node_proxy_denied"  # fmt: skip


@pytest.mark.parametrize(
    ("path", "pod", "command"),
    [
        ("run/shop/cart-0/app?cmd=id%20-u", "cart-0", "id -u"),
        ("exec/shop/cart-0/0f-uid/app?command=id&command=-u", "cart-0", "id -u"),
        ("//run/./shop/cart-0/app?cmd=id", "cart-0", "id"),
        ("x/../run/shop/cart-0/app?command=id", None, "id"),
        ("portForward/shop/cart-0", "cart-0", None),
        ("metrics", "none", None),
        ("pods/", "none", None),
        ("containerLogs/shop/cart-0/app", "none", None),
    ],
)
def test_a_way_through_the_kubelet_is_known_by_its_path(path, pod, command):
    saying = say(**about("nodes", "proxy"), requestURI=f"/api/v1/nodes/n1/proxy/{path}", verb="create")
    if pod == "none":
        assert saying is None
    else:
        assert (saying.request["pod"], saying.command) == (pod, command)


def test_a_pod_says_what_of_it_leads_to_the_host_and_a_plain_one_nothing():
    spec = {
        "hostPID": True,
        "volumes": [{"name": "h", "hostPath": {"path": "/"}}],
        "containers": [
            {"name": "a", "volumeMounts": [{"name": "h", "mountPath": "/host", "readOnly": True}]},
            {"name": "b", "securityContext": {"privileged": True, "capabilities": {"add": ["SYS_ADMIN"]}}},
        ],
    }
    saying = say(**about("pods"), verb="create", stage="ResponseComplete", requestObject={"spec": spec})
    settings = saying.request["settings"]
    assert (settings["privileged"], settings["host_namespaces"]) == (True, ["pid"])
    assert settings["mounts"] == [{"source": "/", "target": "/host", "writable": False}]
    assert settings["capabilities"] == ["CAP_SYS_ADMIN"]
    made = say(**about("cronjobs", group="batch"), verb="update", stage="ResponseComplete",
               requestObject={"spec": {"jobTemplate": {"spec": {"template": {"spec": spec}}}}})  # fmt: skip
    assert (made.action, made.request["settings"]["privileged"]) == ("workload_write", True)
    plain = {"spec": {"containers": [{"name": "a", "image": "x"}]}}
    assert say(**about("pods"), verb="create", stage="ResponseComplete", requestObject=plain) is None


def test_at_level_metadata_the_object_is_absent_and_that_is_said():
    for more in (about("pods", verb="create"), about("pods", "ephemeralcontainers", verb="patch"),
                 about("rolebindings", group="rbac.authorization.k8s.io", verb="create")):  # fmt: skip
        saying = say(**more, stage="ResponseComplete", responseStatus={"code": 201})
        assert saying.request["absent"] == "object not in the audit: level Metadata"


@pytest.mark.parametrize(
    ("rule", "grants"),
    [
        ({"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}, ["* *"]),
        ({"apiGroups": [""], "resources": ["pods/exec"], "verbs": ["get"]}, ["get pods/exec"]),
        ({"apiGroups": [""], "resources": ["*/exec"], "verbs": ["create"]}, ["create pods/exec"]),
        ({"apiGroups": [""], "resources": ["nodes/proxy"], "verbs": ["*"]}, ["* nodes/proxy"]),
        ({"apiGroups": [""], "resources": ["users"], "verbs": ["impersonate"]}, ["impersonate users"]),
        ({"apiGroups": [""], "resources": ["pods", "pods/log"], "verbs": ["get", "list"]}, []),
        ({"apiGroups": ["apps"], "resources": ["*"], "verbs": ["*"]}, []),
    ],
)
def test_a_role_says_which_rights_lead_into_containers(rule, grants):
    assert audit_objects.rights({"rules": [rule]}) == grants


def test_a_binding_says_to_whom_which_role_is_given():
    binding = {"roleRef": {"kind": "ClusterRole", "name": "cluster-admin"},
               "subjects": [{"kind": "ServiceAccount", "name": "ci", "namespace": "build"}]}  # fmt: skip
    saying = say(**about("clusterrolebindings", group="rbac.authorization.k8s.io"), verb="create",
                 stage="ResponseComplete", requestObject=binding)  # fmt: skip
    assert saying.request["role"] == "ClusterRole/cluster-admin"
    assert (saying.request["subjects"], saying.request["grants"]) == (["ServiceAccount/build/ci"], ["* *"])


def test_every_write_of_a_role_is_told_with_what_it_holds_and_one_that_leads_nowhere_is_no_grant():
    rules = [
        {"resources": ["secrets"], "verbs": ["get", "list"]},
        {"nonResourceURLs": ["/x"], "verbs": ["get"]},
    ]
    role = about("roles", group="rbac.authorization.k8s.io")
    saying = say(**role, verb="update", stage="ResponseComplete", requestObject={"rules": rules})
    assert (saying.action, saying.detail["holds"]) == ("role_write", "get,list secrets; get /x")
    door = [{"apiGroups": [""], "resources": ["pods/exec"], "verbs": ["create"]}]
    assert (
        say(**role, verb="patch", stage="ResponseComplete", responseObject={"rules": door}).action == "grant"
    )
    assert say(**role, verb="delete", stage="ResponseComplete").action == "rbac_delete"
    assert say(**role, verb="get", stage="ResponseComplete") is None


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=20,
)


def _survives(data):
    try:
        saying = audit.read(data, REDACT).saying
    except audit.NotAudit:
        return
    if saying is not None:
        record = audit.record(saying, "k1/x/1", "webhook", 0, 1, 1)
        check_event(msgspec.convert(record, wire.Record))
        wire.pack(record)


@given(st.binary(max_size=200))
def test_any_bytes_are_an_event_or_no_audit(data):
    _survives(data)


@given(st.sampled_from(LINES), st.data())
def test_a_real_line_with_anything_in_any_place_is_a_valid_record_or_no_audit(sample, data):
    """Whatever whoever asked can have written into it: the place is any, however deep."""
    document = json.loads(sample)
    place = document
    while True:
        name = data.draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
        deeper = place[name]
        if not isinstance(deeper, dict | list) or not deeper or data.draw(st.booleans()):
            place[name] = data.draw(json_values)
            break
        place = deeper
    _survives(json.dumps(document).encode())


@pytest.mark.parametrize(
    "data",
    [
        b"[" * 100_000 + b"]" * 100_000,
        b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
        b'{"auditID":' + b"9" * 10_000 + b"}",
        line()[:-30],
        line(stageTimestamp="9999999-01-01T00:00:00Z"),
        line(stageTimestamp="2026-11-24T02:22:06"),
        line(apiVersion="audit.k8s.io/v1beta1"),
        line(level="None"),
        b" " * (audit.MAX_EVENT + 1),
    ],
)
def test_what_is_no_event_is_refused_and_nothing_worse(data):
    with pytest.raises(audit.NotAudit):
        audit.read(data, REDACT)


def test_a_command_of_a_megabyte_is_cut_and_says_so():
    saying = say(requestURI="/api/v1/namespaces/shop/pods/cart-0/exec?command=" + "x" * 1_000_000)
    assert len(saying.command) <= wire.MAX_TEXT
    assert not saying.request["whole"]
    many = say(requestURI="/api/v1/namespaces/shop/pods/cart-0/exec?" + "command=x&" * 5000)
    assert many.command is None
    assert many.request["absent"].startswith("command not read")
