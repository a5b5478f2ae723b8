# SPDX-License-Identifier: Apache-2.0
"""API servers that send their audit to a real controller, and what comes of it with the visits of a sensor."""

from __future__ import annotations

import base64
import json
import time
from contextlib import suppress
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

import pytest
import requests
import yaml

from controller.ingest import audit
from sensor.wire import audit as kubernetes_audit
from sensor.wire.redact import Redactor
from tests.controller import make
from tests.controller.serving import wait_for

SAMPLES = Path(__file__).parents[1] / "sensor" / "samples" / "audit.jsonl"
_NUMBERS = count(1)


class Cluster:
    """An API server, as far as its webhook goes: the kubeconfig that `enroll` printed."""

    def __init__(self, served, name=None):
        self.served = served
        self.name = name or f"c{next(_NUMBERS)}"
        self.kubeconfig = yaml.safe_load(served.command("kubernetes", "enroll", self.name))
        self.ca = served.state / f"{self.name}.pem"
        cluster = self.kubeconfig["clusters"][0]["cluster"]
        self.ca.write_bytes(base64.b64decode(cluster["certificate-authority-data"]))
        self.server = cluster["server"]
        self.token = self.kubeconfig["users"][0]["user"]["token"]

    def post(self, data, **headers):
        headers = {"authorization": f"Bearer {self.token}", "content-type": "application/json", **headers}
        address = f"{self.server}?timeout=30s"  # as the API server asks
        return requests.post(address, data=data, headers=headers, verify=str(self.ca), timeout=30)

    def send(self, *events):
        batch = {"kind": "EventList", "apiVersion": "audit.k8s.io/v1", "metadata": {}, "items": list(events)}
        return self.post(json.dumps(batch))

    def records(self):
        return self.served.read("records", "list", "--host", self.name, "--limit", "1000")

    def listed(self):
        return next(each for each in self.served.read("kubernetes", "list") if each["name"] == self.name)


@pytest.fixture
def cluster(shared):
    return Cluster(shared)


def stamp(ago_s=0.0):
    return datetime.fromtimestamp(time.time() - ago_s, UTC).isoformat(timespec="microseconds")


def asked(pod="cart-0", *command, user="alice", code=101, sub="exec", verb="get", **more):
    query = "&".join(["container=app", *(f"command={word}" for word in command)])
    at = stamp()
    base = {
        "level": "Metadata",
        "auditID": f"audit-{next(_NUMBERS)}",
        "stage": "ResponseStarted",
        "requestURI": f"/api/v1/namespaces/shop/pods/{pod}/{sub}?{query}",
        "verb": verb,
        "user": {"username": user, "groups": ["dev"]},
        "sourceIPs": ["10.0.0.5"],
        "objectRef": {"resource": "pods", "subresource": sub, "namespace": "shop", "name": pod},
        "responseStatus": {"code": code},
        "requestReceivedTimestamp": at,
        "stageTimestamp": at,
    }
    return {**base, **more}


def visit(sensor, number, pod="cart-0", *argv, means="cri-exec", **more):
    """An entry into a container of a pod, now."""
    container = make.container(
        id=f"{number:064x}", name="app", labels={"io.kubernetes.container.name": "app"}, runtime="cri",
        pod={"name": pod, "namespace": "shop", "uid": None},
    )  # fmt: skip
    process = make.process(1000 + number, *argv)
    return {
        **make.entry(number, sensor.host, session=number, means=means, container=container, process=process),
        "time": time.time_ns(),
        **more,
    }


def stored(sensor, *events):
    """Sent now: how far the host's clock is wrong is measured by that."""
    assert sensor.send(*events, sent=time.time_ns()).status_code == 200


def entry_of(shared, sensor):
    return shared.read("entries", "list", "--host", sensor.host)[0]


def test_the_kubeconfig_is_ready_to_use_and_its_end_is_one(shared, cluster):
    assert cluster.server.startswith(shared.url)
    assert cluster.server.endswith(audit.ADDRESS)
    assert cluster.send(asked()).status_code == 200
    shared.command("kubernetes", "revoke", cluster.name)
    assert cluster.send(asked()).status_code == 401
    assert cluster.listed()["revoked"]


def test_a_name_is_enrolled_once_and_again_after_it_was_revoked(shared, cluster):
    assert shared.run("kubernetes", "enroll", cluster.name).returncode == 1
    shared.command("kubernetes", "revoke", cluster.name)
    assert shared.run("kubernetes", "enroll", cluster.name).returncode == 0


def test_a_real_log_is_stored_once_however_often_it_is_sent(cluster):
    lines = [json.loads(line) for line in SAMPLES.read_text().splitlines()]
    assert cluster.send(*lines).status_code == 200
    assert cluster.send(*lines, *lines).status_code == 200
    wait_for(lambda: len(cluster.records()) > 10)
    keys = [row["request"]["id"] + row["request"]["stage"] for row in cluster.records()]
    assert len(keys) == len(set(keys))
    wait_for(lambda: cluster.listed()["events"]["repeated"] == 2 * len(keys))
    assert cluster.listed()["events"]["stored"] == len(keys)


def test_an_event_that_cannot_be_read_takes_no_other_with_it_and_is_a_gap(cluster):
    """Whoever can make one event odd must not have the batch refused: the API server would drop it."""
    assert cluster.send({"odd": 1}, asked("cart-0", "id"), {"auditID": []}).status_code == 200
    wait_for(lambda: cluster.listed()["events"]["unreadable"] == 2)
    wait_for(lambda: {row["action"] for row in cluster.records()} == {"exec_start", "source_gap"})
    wait_for(lambda: cluster.listed()["sources"][0]["gaps"] == 1)


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"{", 400),
        (b"[]", 400),
        (b'{"kind":"EventList","apiVersion":"audit.k8s.io/v1beta1","items":[]}', 400),
        (b'{"kind":"EventList","apiVersion":"audit.k8s.io/v1","items":[' + b"[" * 50_000, 400),
        (b'{"kind":"EventList","apiVersion":"audit.k8s.io/v1","items":['
         + b",".join([b"{}"] * (audit.MAX_EVENTS + 1)) + b"]}", 413),
        (b" " * (audit.MAX_BYTES + 1), 413),
    ],
    ids=["cut", "no map", "other version", "nested", "many", "large"],
)  # fmt: skip
def test_what_is_no_batch_or_too_large_is_refused_counted_and_a_gap(cluster, data, status):
    with suppress(requests.ConnectionError):  # it is refused before it is read, and the connection closed
        assert cluster.post(data).status_code == status
    cause = "size" if status == 413 else "malformed"
    wait_for(lambda: cluster.listed()["refused"] == {cause: 1})
    wait_for(lambda: [row["action"] for row in cluster.records()] == ["source_gap"])


def test_a_sensor_may_not_send_an_audit_nor_a_cluster_events(shared, cluster):
    sensor = shared.enrol()
    assert cluster.post(b"{}", authorization=f"Bearer {sensor.credential}").status_code == 401
    answer = requests.post(f"{shared.url}/api/v1/batches", data=b"x", verify=str(cluster.ca), timeout=30,
                           headers={"authorization": f"Bearer {cluster.token}"})  # fmt: skip
    assert answer.status_code == 401
    assert cluster.name not in [row["name"] for row in shared.read("sensors", "list")]


def test_a_visit_is_joined_with_the_request_that_it_came_by_and_has_its_user(shared, cluster):
    sensor = shared.enrol()
    cluster.send(asked("joined", "id", user="jane", impersonatedUser={"username": "root-like"}))
    stored(sensor, visit(sensor, 1, "joined", "id"))
    wait_for(lambda: (entry_of(shared, sensor)["api"] or {}).get("status") == "recorded")
    found = entry_of(shared, sensor)
    assert (found["api"]["confidence"], found["api"]["cluster"]) == ("strong", cluster.name)
    assert found["api"]["request"]["user"] == "jane"
    assert "asked of the API server by jane as root-like" in found["sentence"]
    wait_for(lambda: cluster.listed()["nodes"] == ["n1"])


def test_two_identical_execs_at_once_are_joined_one_to_one(shared, cluster):
    sensor = shared.enrol()
    cluster.send(asked("twice", "id", user="ann"), asked("twice", "id", user="bea"))
    stored(sensor, visit(sensor, 1, "twice", "id"), visit(sensor, 2, "twice", "id"))
    rows = lambda: shared.read("entries", "list", "--host", sensor.host)  # noqa: E731
    wait_for(lambda: all((row["api"] or {}).get("status") == "recorded" for row in rows()))
    assert {row["api"]["request"]["user"] for row in rows()} == {"ann", "bea"}


def test_an_exec_past_the_api_server_is_an_alert_until_its_request_comes_after_all(served):
    """Five seconds is the shortest deadline; the alert is withdrawn, visibly, by the audit that comes later."""
    cluster, sensor = Cluster(served), served.enrol()
    cluster.send(asked("other", "id"))
    stored(sensor, visit(sensor, 1, "other", "id"))
    wait_for(lambda: served.read("entries", "list")[0]["api"]["status"] == "recorded")
    late = asked("passed-by", "true")
    stored(sensor, visit(sensor, 2, "passed-by", "true"), {**visit(sensor, 3, "passed-by"), "means": "probe"})
    bypass = lambda: [  # noqa: E731
        row for row in served.read("alerts", "list", "--state", "all") if "api_bypass" in row["detections"]
    ]
    wait_for(bypass)
    assert [row["severity"] for row in bypass()] == ["high"]
    assert "not asked of the API server" in bypass()[0]["sentence"]
    cluster.send(late)
    wait_for(lambda: not [row for row in bypass() if row["state"] == "new"])
    entry = next(
        row for row in served.read("entries", "list") if row["container"]["pod"]["name"] == "passed-by"
    )
    assert entry["api"] is None or entry["means"] == "probe" or "after the visit" in entry["api"]["reason"]


def test_a_log_that_another_host_reads_counts_only_once_it_is_trusted(shared):
    """Root of any node could have its sensor tell of requests that never were."""
    reader, node = shared.enrol(name="control-plane", machine=None), shared.enrol(name="node-7", machine=None)

    def tell(number, pod):
        saying = kubernetes_audit.read(json.dumps(asked(pod, "id")).encode(), Redactor(()).argv).saying
        event_id = make.event_id(number, reader.host)
        stored(
            reader, kubernetes_audit.record(saying, event_id, "/var/log/audit.log", 0, time.time_ns(), number)
        )
        stored(node, visit(node, number, pod, "id"))

    tell(1, "unbelieved")
    wait_for(lambda: shared.read("records", "list", "--pod", "shop/unbelieved"))
    assert (entry_of(shared, node)["api"] or {}).get("status") != "recorded"
    shared.command("kubernetes", "trust", reader.host)
    tell(2, "believed")
    wait_for(lambda: (entry_of(shared, node)["api"] or {}).get("status") == "recorded")
    assert entry_of(shared, node)["api"]["request"]["user"] == "alice"


def test_what_only_the_audit_shows_is_an_alert_of_its_own_once(cluster, shared):
    role = {"resource": "clusterroles", "apiGroup": "rbac.authorization.k8s.io", "name": "door"}
    rules = [{"apiGroups": [""], "resources": ["pods/exec"], "verbs": ["create"]}]
    binding = {
        "resource": "rolebindings",
        "apiGroup": "rbac.authorization.k8s.io",
        "namespace": "shop",
        "name": "b",
    }
    more = {"verb": "create", "stage": "ResponseComplete", "code": 201}
    cluster.send(asked(**more, objectRef=role, requestObject={"rules": rules}))
    given = {
        "roleRef": {"kind": "ClusterRole", "name": "door"},
        "subjects": [{"kind": "User", "name": "bob"}],
    }
    cluster.send(asked(**more, objectRef=binding, requestObject=given))
    debug = {"resource": "pods", "subresource": "ephemeralcontainers", "namespace": "shop", "name": "cart-9"}
    cluster.send(
        asked(**more, objectRef=debug, requestObject={"spec": {"ephemeralContainers": [{"image": "x"}]}})
    )
    cluster.send(*(asked(f"no-{each}", "id", user="eve", code=403) for each in range(4)))
    forward = asked("cart-8", sub="portforward")
    cluster.send(forward, {**forward, "stage": "ResponseComplete", "stageTimestamp": stamp()})
    mine = lambda: [  # noqa: E731
        row for row in shared.read("alerts", "list", "--limit", "200") if cluster.name in row["sentence"]
    ]
    wait_for(lambda: len(mine()) >= 5)
    found = {tuple(row["detections"]): row for row in mine()}
    assert set(found) == {("exec_grant",), ("ephemeral_container",), ("denied_exec",), ("pod_connection",)}
    assert any("User/bob" in row["sentence"] for row in mine())
    assert found["denied_exec",]["title"].endswith("eve")
    assert len([row for row in mine() if "pod_connection" in row["detections"]]) == 1


def test_what_a_role_holds_is_told_before_and_after_and_whether_somebody_on_the_list_wrote_it(
    cluster, shared
):
    role = {
        "resource": "roles",
        "apiGroup": "rbac.authorization.k8s.io",
        "namespace": "shop",
        "name": "reader",
    }
    more = {"stage": "ResponseComplete", "objectRef": role}

    def written(verb, user, *verbs):
        holds = {"requestObject": {"rules": [{"resources": ["pods"], "verbs": list(verbs)}]}} if verbs else {}
        cluster.send(asked(**more, **holds, verb=verb, user=user, code=201))

    def told(count):
        rows = shared.read("records", "list", "--source", "kubernetes", "--limit", "1000")
        mine = [each for each in rows if each["host"] == cluster.name and each["change"]]
        return mine if len(mine) >= count else None

    assert shared.run("knobs", "set", "AuthorizedAdminUsers", "kubernetes:alice").returncode == 0
    try:
        written("create", "alice", "get")
        wait_for(lambda: told(1))
        written("update", "eve", "get", "list")
        wait_for(lambda: told(2))
        written("delete", "eve")
        wait_for(lambda: told(3))
        found = told(3)
    finally:
        shared.run("knobs", "unset", "AuthorizedAdminUsers")
    by_verb = {each["request"]["verb"]: each["change"] for each in found}
    assert (by_verb["create"]["authorised"], by_verb["create"]["by"]) == (True, "principal")
    assert by_verb["update"]["reason"] == "eve is not among the AuthorizedAdminUsers"
    assert (by_verb["update"]["before"], by_verb["update"]["after"]) == ("get pods", "get,list pods")
    assert (by_verb["delete"]["before"], by_verb["delete"]["after"]) == ("get,list pods", None)
    rows = shared.read("alerts", "list", "--limit", "500")
    mine = [
        each for each in rows if cluster.name in each["sentence"] and "rbac_changed" in each["detections"]
    ]
    assert len(mine) == 1
    assert "eve" in mine[0]["sentence"]


def test_a_log_is_replayed_as_a_cluster_of_its_own_that_is_revoked_after(shared):
    done = shared.run("kubernetes", "replay", str(SAMPLES), "--name", "trial")
    assert done.returncode == 0, done.stderr
    trial = lambda: next(each for each in shared.read("kubernetes", "list") if each["name"] == "trial")  # noqa: E731
    wait_for(lambda: trial()["events"]["stored"] > 10)
    assert trial()["revoked"]
