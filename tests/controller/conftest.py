# SPDX-License-Identifier: Apache-2.0
"""Databases for unit tests, and real controllers: the program in a process and on a port of its own."""

from __future__ import annotations

import pytest
from sqlalchemy import insert

from controller.store import migrate, project, schema
from tests.controller import make
from tests.controller.serving import Served


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory):
    """A database with all tables, to be copied: migrating takes longer than most tests."""
    path = tmp_path_factory.mktemp("empty") / "nsentry.db"
    migrate.create(f"sqlite:///{path}")
    migrate.upgrade(f"sqlite:///{path}")
    return path


@pytest.fixture
def url(tmp_path, empty_database):
    path = tmp_path / "nsentry.db"
    path.write_bytes(empty_database.read_bytes())
    path.chmod(0o600)
    return f"sqlite:///{path}"


@pytest.fixture
def store(url):
    with migrate.open_store(url) as opened:
        yield opened


def add_host(connection, host_id=make.HOST, name="n1", **more):
    row = {
        "id": host_id,
        "name": name,
        "kernel": "6.1.0",
        "os": "Debian 12",
        "arch": "x86_64",
        "sensor": "0.1.0",
        "credential": f"digest of {host_id}",
        "enrolled": make.BEGIN,
    }
    connection.execute(insert(schema.hosts).values({**row, **more}))


@pytest.fixture
def host(store):
    """The store with one enrolled host, `make.HOST`."""
    store.write(add_host)
    return make.HOST


@pytest.fixture
def take(store, host):
    """Projects each event given; only for kinds that are told without the `events` table."""

    def take_in(*events):
        def apply(connection):
            for event in events:
                project.apply(connection, host, event)

        store.write(apply)

    return take_in


@pytest.fixture(scope="session")
def initialised(tmp_path_factory):
    """A state folder as `init` makes it, to be copied."""
    served = Served(tmp_path_factory.mktemp("initialised") / "state")
    served.command("init", "--listen", "127.0.0.1:0")
    return served.state


@pytest.fixture
def stopped(tmp_path, initialised):
    """A controller that is set up and does not run."""
    served = Served.copy_of(initialised, tmp_path / "state")
    yield served
    served.stop()


@pytest.fixture
def served(stopped):
    """A controller of this test alone."""
    stopped.start()
    return stopped


@pytest.fixture(scope="module")
def shared(tmp_path_factory, initialised):
    """A controller that the tests of a module share; each enrols hosts of its own."""
    served = Served.copy_of(initialised, tmp_path_factory.mktemp("shared") / "state")
    served.start()
    yield served
    served.stop()
