# SPDX-License-Identifier: Apache-2.0
"""A visit's page says what it did on the network, in order, counted, and with what is known of the far end."""

from __future__ import annotations

import pytest

from controller.bus import EmbeddedBus
from controller.detect import destinations
from controller.store import project, sessions
from controller.store.connections import far_end
from tests.controller import make


@pytest.fixture
def told(store, host):
    """A function that appends events to the bus, and projects them."""

    def tell(*events):
        EmbeddedBus(store).append(host, events, make.BEGIN).result()
        for event in events:
            store.write(lambda connection, event=event: project.apply(connection, host, event))

    return tell


def shown(store):
    with store.read() as connection:
        return sessions.show(connection, make.session_id())["connections"]


def connected(sequence, address, port, **more):
    of = {
        "session": make.session_id(),
        "what": "connect",
        "protocol": "tcp",
        "address": address,
        "port": port,
    }
    return make.connection(sequence, **{**of, **more})


def test_what_a_visit_does_again_is_counted_and_stands_where_it_did_it_first(store, told):
    told(
        make.entry(2),
        connected(3, "192.0.2.7", 10250),
        connected(4, "127.0.0.11", 53, what="send", protocol="udp"),
        connected(5, "192.0.2.7", 10250),
        connected(6, "192.0.2.9", 4444, what="listen"),
    )

    assert [(each["what"], far_end(each), each["place"], each["count"]) for each in shown(store)] == [
        ("connect", "192.0.2.7 port 10250/tcp", "the kubelet's API", 2),
        ("send", "127.0.0.11 port 53/udp", "names (DNS)", 1),
        ("listen", "192.0.2.9 port 4444/tcp", None, 1),
    ]
    first = shown(store)[0]
    assert first["last_ns"] - first["time_ns"] == 2 * make.SECOND


def test_a_daemons_socket_is_among_it(store, told):
    told(make.entry(2), make.contact(3, session=make.session_id(), count=3))

    (each,) = shown(store)
    assert (each["what"], each["protocol"], each["port"], each["count"]) == ("contact", "unix", None, 3)
    assert each["place"].startswith("the socket of ")


@pytest.mark.parametrize(
    ("event", "said"),
    [
        ({"port": 2375}, "Docker's API without TLS"),
        ({"port": 6443}, "the Kubernetes API"),
        ({"address": "10.96.0.1", "port": 443}, None),
        ({"address": "10.96.0.1", "port": 443, "container": {"pod": {"name": "a"}}}, "the Kubernetes API"),
        ({"address": "192.0.2.8", "port": 443, "container": {"pod": {"name": "a"}}}, None),
        ({"what": "listen", "port": 2375}, None),
        ({"what": "send", "protocol": "udp", "port": 2375}, None),
        ({"what": "send", "protocol": "udp", "address": "169.254.169.254", "port": 53}, "names (DNS)"),
        ({"address": "169.254.169.254", "port": 80}, destinations.METADATA["169.254.169.254"]),
    ],
)
def test_a_place_is_known_by_its_port_or_address_and_no_more_is_claimed(event, said):
    base = {"what": "connect", "protocol": "tcp", "address": "192.0.2.7", "port": 80, "container": None}
    assert destinations.label({**base, **event}) == said
