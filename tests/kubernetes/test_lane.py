# SPDX-License-Identifier: Apache-2.0
"""Real requests of real people to a real API server, and what is known of them afterwards."""

from __future__ import annotations

import subprocess
import time

import pytest
import requests


@pytest.fixture(scope="module")
def cart(lane):
    """A pod with an exec probe, as many have."""
    probe = {"exec": {"command": ["true"]}, "periodSeconds": 2}
    lane.cluster.pod("cart", container={"readinessProbe": probe, "stdin": True, "command": ["cat"]})
    return "cart"


def test_an_exec_has_the_name_of_who_asked_for_it(lane, cart):
    done = lane.cluster.kubectl("exec", "-n", "shop", cart, "--", "echo", "by-alice", user="alice")
    assert (done.returncode, done.stdout) == (0, "by-alice\n"), done.stderr
    visit = lane.visit(cart, "echo", "by-alice")
    assert (visit["api"]["confidence"], visit["api"]["request"]["user"]) == ("strong", "alice")
    assert visit["record"]["confidence"] == "exact"
    assert visit["record"]["source"] == "containerd"
    assert "asked of the API server by alice" in visit["sentence"]


def test_two_people_at_once_are_told_apart(lane, cart):
    lines = {user: lane.cluster.command("exec", "-n", "shop", cart, "--", "echo", f"{user}-now", user=user)
             for user in ("alice", "admin")}  # fmt: skip
    running = [subprocess.Popen(line, stdout=subprocess.DEVNULL) for line in lines.values()]
    assert [each.wait(60) for each in running] == [0, 0]
    for user in lines:
        assert lane.visit(cart, "echo", f"{user}-now")["api"]["request"]["user"] == user


def test_whoever_is_impersonated_is_named_beside_the_one_who_did(lane, cart):
    words = ["exec", "-n", "shop", cart, "--as=alice", "--", "echo", "in-her-name"]
    assert lane.cluster.kubectl(*words).returncode == 0
    request = lane.visit(cart, "echo", "in-her-name")["api"]["request"]
    assert (request["user"], request["impersonated"]) == ("admin", "alice")


def test_the_webhook_and_the_log_tell_the_same_and_both_are_shown(lane, cart):
    lane.cluster.kubectl("exec", "-n", "shop", cart, "--", "echo", "told-twice", user="alice")
    request = lane.visit(cart, "echo", "told-twice")["api"]["request"]["id"]

    def both():
        told = {
            row["place"] for row in lane.records("--pod", f"shop/{cart}") if row["request"]["id"] == request
        }
        return told == {"webhook", str(lane.cluster.audit_log)}

    lane.until(both)
    sources = {row["way"]: row["sources"] for row in lane.stack.read("kubernetes", "list")}
    assert set(sources) == {"webhook", "log"}
    assert all(each["tells_of_execs"] and not each["gaps"] for of in sources.values() for each in of)


def test_kubectl_cp_is_a_visit_with_a_name(lane, cart, tmp_path):
    done = lane.cluster.kubectl("cp", "-n", "shop", f"{cart}:/etc/passwd", str(tmp_path / "x"), user="alice")
    assert done.returncode == 0, done.stderr
    assert lane.visit(cart, "tar", "cf", "-", "/etc/passwd")["api"]["request"]["user"] == "alice"


def test_an_attach_and_a_port_forward_are_told_by_the_audit_alone(lane, cart):
    attach = subprocess.run(lane.cluster.command("attach", "-i", "-n", "shop", cart, user="alice"), input=b"hello\n",
                            timeout=30, check=False, capture_output=True)  # fmt: skip
    assert b"hello" in attach.stdout or attach.returncode == 0, attach.stderr
    line = lane.cluster.command("port-forward", "-n", "shop", cart, "0:80", user="alice")
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True) as forward:
        assert "Forwarding" in forward.stdout.readline()
        lane.until(lambda: lane.records("--action", "port_forward", "--user", "alice"))
        forward.terminate()
    lane.until(lambda: lane.records("--action", "attach", "--user", "alice"))
    assert lane.alert("pod_connection", cart)["user"] == "alice"


def test_a_debug_container_is_told_with_image_and_name(lane, cart):
    """Kubectl of today patches; a server of 1.20 wants the list of ephemeral containers as an object of its own."""
    path = f"/api/v1/namespaces/shop/pods/{cart}/ephemeralcontainers"
    debugger = (f'{{"apiVersion":"v1","kind":"EphemeralContainers","metadata":{{"name":"{cart}"}},'
                '"ephemeralContainers":[{"name":"dbg","image":"localhost/busybox:test","command":["sleep","60"],'
                '"imagePullPolicy":"Never","targetContainerName":"app"}]}')  # fmt: skip
    done = lane.cluster.kubectl("replace", "--raw", path, "-f", "-", user="alice", stdin=debugger)
    assert done.returncode == 0, done.stderr
    assert "localhost/busybox:test" in str(lane.until(lambda: lane.records("--action", "debug_container")))
    assert lane.alert("ephemeral_container", cart)["user"] == "alice"


def test_a_debug_pod_on_the_node_leads_to_the_host(lane):
    words = ["debug", "node/localhost", "-n", "shop", "--image=localhost/busybox:test", "--profile=sysadmin"]
    lane.cluster.kubectl(*words, "--", "true")
    assert "node-debugger" in lane.alert("privileged_pod", "node-debugger")["title"]


def test_a_grant_of_exec_is_an_alert(lane):
    words = ["create", "clusterrolebinding", "too-much", "--clusterrole=cluster-admin", "--user=mallory"]
    assert lane.cluster.kubectl(*words).returncode == 0
    assert "User/mallory" in lane.alert("exec_grant", "too-much")["sentence"]


def test_whoever_is_refused_again_and_again_is_an_alert(lane, cart):
    for number in range(3):
        done = lane.cluster.kubectl("exec", "-n", "shop", cart, "--", "echo", str(number), user="bob")
        assert done.returncode != 0
        time.sleep(1.1)
    assert lane.alert("denied_exec", "bob")["user"] == "bob"


def test_probes_of_the_pod_are_no_visits_and_want_no_request(lane, cart):
    probes = lane.until(lambda: list(lane.entries(cart, "--means", "probe"))[:3])
    assert [row["api"] for row in probes] == [None] * 3


def test_probes_that_nobody_declared_are_known_by_their_pace_and_are_no_alert_that_stays(lane):
    probe = {"exec": {"command": ["true", "undeclared"]}, "periodSeconds": 1}
    lane.cluster.pod("quiet", declared=False, container={"livenessProbe": probe})
    visit = lane.visit("quiet", "true", "undeclared", status="unchecked")
    assert "again and again" in visit["api"]["reason"]
    lane.until(lambda: len(lane.entries("quiet")) > 12)
    open_ = lane.stack.read("alerts", "list", "--limit", "200")
    assert not [row for row in open_ if "api_bypass" in row["detections"] and "undeclared" in row["sentence"]]


def test_by_nodes_proxy_the_visit_has_a_name_and_is_an_alert(lane, cart):
    path = f"/api/v1/nodes/localhost/proxy/run/shop/{cart}/app?cmd=id"
    done = lane.cluster.kubectl("create", "--raw", path, "-f", "-")
    assert "uid=0" in done.stdout, done.stderr
    visit = lane.visit(cart, "id")
    assert (visit["api"]["action"].startswith("node_proxy"), visit["api"]["request"]["user"]) == (
        True,
        "admin",
    )
    assert lane.alert("nodes_proxy", cart)


def test_past_the_api_server_by_the_kubelets_own_port_is_an_alert(lane, cart):
    pki = lane.cluster.folder
    answer = requests.post(f"https://localhost:{lane.cluster.kubelet_port}/run/shop/{cart}/app?cmd=uname",
                           cert=(str(pki / "admin.crt"), str(pki / "admin.key")), verify=str(pki / "ca.crt"),
                           timeout=30)  # fmt: skip
    assert (answer.status_code, answer.text) == (200, "Linux\n")
    visit = lane.visit(cart, "uname", status="unrecorded")
    assert visit["record"]["status"] == "recorded"  # the kubelet did ask containerd
    alert = lane.alert("api_bypass", "uname")
    assert alert["severity"] == "high"
    assert "not asked of the API server" in alert["sentence"]
