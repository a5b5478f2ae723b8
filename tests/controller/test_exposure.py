# SPDX-License-Identifier: Apache-2.0
"""A setting that leads to the host is named; what is not known, and what is usual, is not."""

from __future__ import annotations

import pytest

from controller.exposure import exposures
from tests.sensor.examples import SETTINGS

USUAL = {
    **SETTINGS,
    "capabilities": ["CAP_CHOWN"],
    "apparmor": "docker-default",
    "host_namespaces": [],
    "mounts": [],
}


def mount(source, *, writable=True):
    return {"source": source, "target": "/x", "writable": writable}


@pytest.mark.parametrize(
    ("settings", "phrase"),
    [
        ({"privileged": True, "seccomp": "unconfined"}, "is privileged"),
        ({"host_namespaces": ["pid"]}, "shares the host's pid namespace"),
        ({"mounts": [mount("/var/run/docker.sock")]}, "reaches the runtime by /var/run/docker.sock"),
        ({"mounts": [mount("/", writable=False)]}, "reads the host's /"),
        ({"mounts": [mount("/proc/")]}, "may write the host's /proc"),
        ({"devices": ["all"]}, "may use every device"),
        ({"capabilities": ["CAP_KILL", "CAP_SYS_ADMIN"]}, "has CAP_SYS_ADMIN"),
        ({"seccomp": "unconfined"}, "has no seccomp"),
    ],
)
def test_each_way_to_the_host_is_one_phrase(settings, phrase):
    assert [found.phrase for found in exposures({**USUAL, **settings})] == [phrase]


@pytest.mark.parametrize(
    "settings",
    [
        {},
        dict.fromkeys(SETTINGS),
        {"mounts": [mount("/srv/data"), mount("/etc/nginx", writable=False), mount("volume")]},
    ],
)
def test_what_is_usual_or_not_known_is_no_exposure(settings):
    assert exposures({**USUAL, **settings}) == []
