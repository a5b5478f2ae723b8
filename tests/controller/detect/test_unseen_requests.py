# SPDX-License-Identifier: Apache-2.0
"""Execs that an API server granted and nobody saw: on a node without a sensor, on one with, and after all."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from itertools import count

import pytest
from sqlalchemy import insert, update

from controller.detect import catalogue
from controller.detect.engine import Engine
from controller.detect.worker import Worker
from controller.store import audit_sources, coverage
from controller.store.records_schema import api_attributions
from controller.store.schema import alerts, containers, findings, hosts
from controller.store.unseen_table import unseen
from sensor.wire import audit
from sensor.wire.redact import Redactor
from tests.controller.detect.building import HOST, collector, event

S = 10**9
AT = event("docker-exec", 2)["time"]
_numbers = count(1)


def granted(pod="cart-0", user="alice", after=0, code=101, audit_id=None):
    """The record of a webhook: what the API server answered to an exec of `id`."""
    stamp = datetime.fromtimestamp((AT + after) / S, UTC).isoformat(timespec="microseconds")
    number = next(_numbers)
    said = {
        "level": "Metadata",
        "auditID": audit_id or f"audit-{number}",
        "stage": "ResponseStarted",
        "requestURI": f"/api/v1/namespaces/shop/pods/{pod}/exec?container=app&command=id",
        "verb": "get",
        "user": {"username": user, "groups": ["dev"]},
        "sourceIPs": ["10.0.0.5"],
        "objectRef": {"resource": "pods", "subresource": "exec", "namespace": "shop", "name": pod},
        "responseStatus": {"code": code},
        "requestReceivedTimestamp": stamp,
        "stageTimestamp": stamp,
    }
    saying = audit.read(json.dumps(said).encode(), Redactor(()).argv).saying
    return audit.record(saying, f"k1/b1/{number}", "webhook", 0, AT + after, number)


def visit(number, pod="cart-0", **more):
    """The entry that came of it."""
    where = {"name": pod, "namespace": "shop", "uid": None}
    return event(
        "docker-exec", number, means="cri-exec", container__pod=where, container__name="app",
        process__argv=["id"], **more,
    )  # fmt: skip


class Here:
    def __init__(self, made):
        self.made, self.now = made, AT
        nothing = dict.fromkeys(("kernel", "os", "arch", "sensor"), "")
        cluster = {"id": "k1", "name": "prod", "credential": "k", "enrolled": 1, "kind": "cluster"}
        made.store.write(lambda connection: connection.execute(insert(hosts).values({**nothing, **cluster})))
        engine = Engine([catalogue.load(catalogue.BUILT_IN / "record_without_entry")])
        self.worker = Worker(made.store, made.bus, engine, clock=lambda: self.now)

    def comes(self, *events, host=HOST):
        self.made.take_in(*events, host=host)
        while self.worker.run_once():
            pass

    def asks(self, *events, behind=0):
        heard = (AT - S - behind, AT - behind)
        self.made.store.write(lambda one: audit_sources.heard(one, "k1", "webhook", heard, self.now))
        self.comes(*events, host="k1")

    def passes(self, seconds):
        self.now += seconds * S
        for _ in range(3):
            self.worker.run_once()

    def rows(self, table):
        return self.made.rows(table)


@pytest.fixture
def here(tmp_path):
    with collector(tmp_path) as made:
        yield Here(made)


def test_an_exec_in_a_pod_that_no_sensor_knows_is_told_of_a_node_without_one(here):
    here.asks(granted())
    here.passes(20)
    (row,) = here.rows(unseen)
    assert (row["status"], row["cause"], row["container"]) == ("unseen", "no_sensor", "shop/cart-0")
    (alert,) = here.rows(alerts)
    assert alert["host"] == "k1"
    assert alert["sentence"].startswith("alice asked for an exec of id in pod shop/cart-0 of cluster prod")
    with here.made.store.read() as connection:
        (shown,) = coverage.list_(connection)
        assert (shown["container_name"], shown["host"]) == ("shop/cart-0", "prod")
        assert coverage.counts(connection) == {"prod": {"no_sensor": 1}}


def test_on_a_node_with_a_sensor_it_is_unexplained_and_grave(here):
    here.comes(visit(2))
    here.asks(granted(after=400 * S))
    here.passes(20)
    (row,) = here.rows(unseen)
    assert row["cause"] == "unexplained"
    assert [each["severity"] for each in here.rows(alerts)] == [3]


def test_the_visit_that_comes_later_corrects_it_and_the_alert(here):
    here.asks(granted())
    here.passes(20)
    here.comes(visit(2))
    (row,) = here.rows(unseen)
    assert row["status"] == "seen"
    (finding,) = here.rows(findings)
    assert finding["reason"].startswith("taken back")


def test_what_is_refused_or_whose_visit_is_there_is_no_finding(here):
    here.comes(visit(2))
    here.asks(granted(), granted(code=403))
    here.passes(20)
    assert here.rows(unseen) == []


def test_one_exec_that_a_client_asks_for_twice_and_two_sources_tell_is_one(here):
    """So does kubectl of 1.31 and newer with a server of 1.20, by GET and then by POST."""
    first, second = granted(audit_id="a"), granted(audit_id="b", after=S // 5)
    here.comes(visit(2))
    here.asks(first, second)
    here.passes(20)
    assert here.rows(unseen) == []


def test_a_log_that_a_node_reads_for_itself_is_not_believed_about_pods_elsewhere(here):
    here.comes({**granted(), "id": f"{HOST}/b1/77", "place": "/var/log/audit.log"})
    here.passes(20)
    assert here.rows(unseen) == []


def test_an_exec_whose_container_no_sensor_of_that_host_has_seen_is_told_of_a_daemon_elsewhere(here):
    said = event("docker-exec", 2)
    record = {
        **granted(), "id": f"{HOST}/b1/78", "source": "docker", "place": "/run/far.sock", "action": "exec_start",
        "container_id": "f" * 64, "exec_id": "e" * 64, "time": said["time"],
    }  # fmt: skip
    del record["request"]
    here.comes(record)
    here.passes(20)
    (row,) = here.rows(unseen)
    assert row["cause"] == "no_sensor"
    assert "another machine" in row["reason"]
    assert here.rows(containers) == []


def test_of_a_cluster_that_was_revoked_meanwhile_nothing_is_awaited(here):
    here.asks(granted())
    here.made.store.write(lambda connection: connection.execute(update(hosts).values(revoked=1)))
    here.passes(20)
    assert here.rows(unseen) == here.rows(alerts) == []


def test_an_audit_whose_clock_is_minutes_behind_is_joined_all_the_same(here):
    here.asks(granted(after=-200 * S), behind=200 * S)
    here.comes(visit(2))
    here.passes(20)
    (row,) = here.rows(api_attributions)
    assert (row["status"], row["confidence"]) == ("recorded", "strong")
    with here.made.store.read() as connection:
        assert audit_sources.all_(connection)["k1"][0]["behind_ns"] == 170 * S
