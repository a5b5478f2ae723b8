# SPDX-License-Identifier: Apache-2.0
"""A store with alerts and events, and receivers with a certificate of their own."""

from __future__ import annotations

import pytest

from controller.bus import EmbeddedBus
from controller.detect.worker import Worker
from tests.controller import make
from tests.controller.export import receiving


@pytest.fixture(scope="module")
def tls(tmp_path_factory):
    """The CA that receivers are checked against, and their context."""
    pem, key = receiving.certificate(tmp_path_factory.mktemp("tls"))
    return pem, receiving.server_context(pem, key)


@pytest.fixture
def judge(store, host):
    """Takes events in and has them judged by the detections that come with nsentry."""
    bus = EmbeddedBus(store)
    worker = Worker(store, bus)

    def take(*events):
        bus.append(host, list(events), make.BEGIN).result()
        while worker.run_once():
            pass

    return take


@pytest.fixture
def syslog(tls):
    server = receiving.Syslog(tls[1])
    yield server
    server.close()


@pytest.fixture
def hook(tls):
    server = receiving.Hook(tls[1])
    yield server
    server.close()
