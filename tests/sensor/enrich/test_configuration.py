# SPDX-License-Identifier: Apache-2.0
"""What a container may do and reaches, out of the documents of its runtime."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensor.enrich import configuration
from sensor.enrich.configuration import NOTHING, UNCONFINED

DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=12,
)
NAMES = st.sampled_from(
    ["process", "linux", "Config", "HostConfig", "mounts", "Mounts", "args", "env", "Env", "PortBindings"]
)

BUNDLE = {
    "process": {
        "args": ["nginx", "-g", "daemon off;"],
        "env": ["PATH=/bin", "TOKEN=abc", "TOKEN=def", "="],
        "capabilities": {"bounding": ["CAP_KILL", "CAP_CHOWN"]},
        "noNewPrivileges": True,
    },
    "root": {"readonly": True},
    "mounts": [
        {"destination": "/proc", "type": "proc", "source": "proc"},
        {"destination": "/s", "type": "bind", "source": "/run/docker.sock", "options": ["rbind", "ro"]},
        {"destination": "/h", "type": "none", "source": "/", "options": ["rbind"]},
    ],
    "linux": {
        "seccomp": {"defaultAction": "SCMP_ACT_ERRNO"},
        "devices": [{"path": "/dev/fuse"}],
        "resources": {"memory": {"limit": 4096}, "cpu": {"quota": 50_000}, "pids": {"limit": 7}},
    },
}
RECORD = {
    "Image": "sha256:00",
    "Path": "sh",
    "Args": ["-c", "true"],
    "Config": {"User": "app", "Env": ["A=1"]},
    "HostConfig": {
        "Privileged": False,
        "PortBindings": {"80/tcp": [{"HostIp": "", "HostPort": "8080"}], "81/udp": None},
        "RestartPolicy": {"Name": "always"},
        "Memory": 1024,
        "NanoCpus": 0,
        "PidsLimit": -1,
    },
    "NetworkSettings": {"Networks": {"bridge": {}, "back": {}}},
    "Mounts": [{"Source": "/etc", "Destination": "/host", "RW": False}],
}


def test_a_bundle_says_what_is_enforced_and_environment_by_name_alone():
    said = configuration.of_bundle(BUNDLE)
    assert said == {
        **NOTHING,
        "capabilities": ["CAP_CHOWN", "CAP_KILL"],
        "seccomp": "filter",
        "apparmor": UNCONFINED,
        "no_new_privileges": True,
        "read_only": True,
        "entrypoint": ["nginx", "-g", "daemon off;"],
        "environment": ["PATH", "TOKEN"],
        "mounts": [
            {"source": "/", "target": "/h", "writable": True},
            {"source": "/run/docker.sock", "target": "/s", "writable": False},
        ],
        "devices": ["/dev/fuse"],
        "memory": 4096,
        "cpus": 500_000_000,
        "pids": 7,
    }
    assert "abc" not in json.dumps(said)


def test_a_record_says_what_was_asked_for():
    assert configuration.of_record(RECORD) == {
        **NOTHING,
        "privileged": False,
        "image_digest": "sha256:00",
        "user": "app",
        "entrypoint": ["sh", "-c", "true"],
        "environment": ["A"],
        "ports": ["0.0.0.0:8080->80/tcp"],
        "networks": ["back", "bridge"],
        "restart": "always",
        "memory": 1024,
        "cpus": 0,
        "pids": 0,
        "mounts": [{"source": "/etc", "target": "/host", "writable": False}],
    }


def test_what_is_enforced_counts_before_what_was_asked_for_and_limits_are_the_daemons_of_now():
    both = configuration.of_both(configuration.of_bundle(BUNDLE), configuration.of_record(RECORD))
    assert both["mounts"] == configuration.of_bundle(BUNDLE)["mounts"]
    assert (both["restart"], both["seccomp"]) == ("always", "filter")
    assert (both["memory"], both["cpus"], both["pids"]) == (1024, 0, 0)


def record(**host):
    return configuration.of_record({**RECORD, "HostConfig": {**RECORD["HostConfig"], **host}})


def test_how_often_it_is_restarted_is_a_part_of_the_policy():
    assert record(RestartPolicy={"Name": "on-failure", "MaximumRetryCount": 3})["restart"] == "on-failure:3"
    assert record(RestartPolicy={"Name": "", "MaximumRetryCount": 0})["restart"] == "no"


def test_a_share_of_the_cpu_is_the_same_however_it_was_asked_for():
    assert record(CpuQuota=20_000, CpuPeriod=100_000)["cpus"] == record(NanoCpus=200_000_000)["cpus"]


def test_a_port_that_is_published_anywhere_is_told_without_the_number_of_this_start():
    document = {
        **RECORD,
        "HostConfig": {**RECORD["HostConfig"], "PublishAllPorts": True},
        "NetworkSettings": {"Ports": {"80/tcp": [], "443/tcp": [{"HostPort": "49153"}]}},
    }
    assert configuration.of_record(document)["ports"] == ["0.0.0.0:8080->80/tcp", "0.0.0.0:?->443/tcp"]


def test_a_seccomp_profile_that_was_given_differs_from_the_daemons_own_and_from_another():
    bundle = configuration.of_bundle(BUNDLE)
    given = [configuration.of_both(bundle, record(SecurityOpt=[f"seccomp={text}"])) for text in ("{}", "{ }")]
    plain = configuration.of_both(bundle, record(SecurityOpt=["label=disable"]))
    said = [each["seccomp"] for each in (*given, plain)]
    assert len(set(said)) == 3
    assert said[2] == "filter"


@pytest.mark.parametrize("rule", [{"allow": True, "access": "rwm"}, {"allow": True, "type": "a"}])
def test_a_container_that_may_use_every_device_says_all(rule):
    rules = {"resources": {"devices": [{"allow": False, "access": "rwm"}, rule]}}
    assert configuration.of_bundle({"linux": rules})["devices"] == ["all"]


@given(st.dictionaries(NAMES, st.dictionaries(NAMES, DOCUMENTS, max_size=4) | DOCUMENTS, max_size=5))
def test_no_document_at_all_makes_it_fail_or_grow(document):
    for said in (configuration.of_bundle(document), configuration.of_record(document)):
        assert set(said) == set(NOTHING)
        assert len(json.dumps(said)) < 100_000
