# SPDX-License-Identifier: Apache-2.0
"""From nothing to the tables, without a way to damage what a newer program wrote."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, select, text

from controller.store import (
    counters,
    migrate,
    policy_schema,  # noqa: F401 - its tables belong to the metadata
)
from controller.store.baseline_tables import baselines as _baselines  # noqa: F401 - as below
from controller.store.engine import engine
from controller.store.exports import exports as _exports  # noqa: F401 - its table belongs to the metadata
from controller.store.schema_emulations import metadata
from controller.store.unseen_table import unseen as _unseen  # noqa: F401 - as above


@pytest.fixture
def fresh(tmp_path):
    url = f"sqlite:///{tmp_path}/a b%20c.db"
    migrate.create(url)
    return url


def test_the_steps_lead_to_the_tables_of_this_code(fresh):
    assert migrate.upgrade(fresh) == list(migrate.REVISIONS)

    with migrate.reader(fresh) as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
        made = inspect(connection)
        for table in metadata.tables.values():
            assert {index.name for index in table.indexes} == {
                index["name"] for index in made.get_indexes(table.name)
            }
        created = connection.execute(
            text("SELECT sql FROM sqlite_master WHERE name IN ('events', 'alert_history')")
        ).scalars()
        assert all("AUTOINCREMENT" in sql for sql in created)


def test_the_known_steps_are_those_that_are_packaged(fresh):
    made = engine(fresh, read_only=False)
    with made.begin() as connection:
        scripts = ScriptDirectory.from_config(migrate.config(connection))
        steps = [script.revision for script in scripts.walk_revisions()]
    made.dispose()
    assert tuple(reversed(steps)) == migrate.REVISIONS


def test_upgrading_twice_does_nothing(fresh):
    migrate.upgrade(fresh)
    with migrate.open_store(fresh) as store:
        store.write(lambda connection: counters.add(connection, "kept"))

    assert migrate.upgrade(fresh) == []
    with migrate.reader(fresh) as connection:
        assert counters.all_(connection) == {"kept": 1}


def test_a_database_is_made_for_its_owner_only_and_never_over_another(tmp_path):
    path = tmp_path / "nsentry.db"
    migrate.create(f"sqlite:///{path}")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.write_bytes(b"something")
    migrate.create(f"sqlite:///{path}")
    assert path.read_bytes() == b"something"


def test_a_missing_database_says_the_command(tmp_path):
    for use in (migrate.check, migrate.open_store, migrate.upgrade):
        with pytest.raises(migrate.SchemaError, match="nsentry-controller init"):
            use(f"sqlite:///{tmp_path}/none.db")
    assert not (tmp_path / "none.db").exists()


def test_a_database_without_tables_is_too_old(fresh):
    with pytest.raises(migrate.SchemaError, match="older than this program"):
        migrate.check(fresh)


def test_a_newer_database_is_left_alone(url):
    made = engine(url, read_only=False)
    with made.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    made.dispose()

    for use in (migrate.check, migrate.open_store, migrate.upgrade):
        with pytest.raises(migrate.SchemaError, match=r"schema 9999.*newer nsentry"):
            use(url)


def test_what_is_no_database_says_so(tmp_path):
    path = tmp_path / "nsentry.db"
    path.write_bytes(b"this is not a database, but long enough to be read as one" * 100)

    for use in (migrate.check, migrate.open_store, migrate.upgrade):
        with pytest.raises(migrate.UnusableError, match=r"cannot be read as a database.*restore a backup"):
            use(f"sqlite:///{path}")


def test_damage_that_shows_late_says_so_too(url):
    """Its head is good, its pages are not: that comes out when somebody reads."""
    path = Path(url.removeprefix("sqlite:///"))
    whole = path.read_bytes()
    path.write_bytes(whole[:8192] + b"\xff" * (len(whole) - 8192))

    def read_all():
        with migrate.reader(url) as connection:
            for table in metadata.tables.values():
                connection.execute(select(table)).all()

    with pytest.raises(migrate.UnusableError, match="cannot be read as a database"):
        read_all()
