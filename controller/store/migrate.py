# SPDX-License-Identifier: Apache-2.0
"""Creating the database, bringing it up to this code's schema, and refusing one that it would damage."""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

import sqlalchemy
from sqlalchemy import exc

from controller.errors import ConfigurationError
from controller.store.engine import Store, engine

if TYPE_CHECKING:
    from collections.abc import Iterator

    from alembic.config import Config
    from sqlalchemy import Connection

REVISIONS: Final = (
    "0001",
    "0002",
    "0003",
    "0004",
    "0005",
    "0006",
    "0007",
    "0008",
    "0009",
    "0010",
    "0011",
    "0012",
    "0013",
    "0014",
    "0015",
    "0016",
    "0017",
    "0018",
    "0019",
    "0020",
    "0021",
    "0022",
    "0023",
    "0024",
)
"""All steps that this code knows, oldest first: the files in `migrations/versions`."""


class SchemaError(ConfigurationError):
    """The database is missing, older or newer than this code; the message says what to do."""


class UnusableError(SchemaError):
    """It is newer, or damaged: nothing that this program does makes it good."""


def create(url: str) -> None:
    """Makes the database at `url` if there is none, for its owner only. Its tables come by `upgrade`."""
    path = _sqlite_path(url)
    if path is not None:
        # SQLite gives its -wal and -shm files the mode of the database itself.
        with suppress(FileExistsError):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))


def upgrade(url: str) -> list[str]:
    """Runs the missing steps, all in one transaction; returns their names. SchemaError when it is newer."""
    from alembic import command  # noqa: PLC0415 - half a second that only `init` and `serve` have to spend

    _must_exist(url)
    writer = engine(url, read_only=False)
    try:
        with writer.begin() as connection:
            missing = _missing(connection)
            if missing:
                command.upgrade(config(connection), "head")
            return missing
    except exc.DatabaseError as error:
        if _is_damage(error):
            raise _damaged(url, error) from error
        raise
    finally:
        writer.dispose()


def open_store(url: str) -> Store:
    """The store at `url`. SchemaError unless it exists and has exactly this code's schema."""
    check(url)
    return Store(url)


def check(url: str) -> None:
    """SchemaError unless the database at `url` exists and has exactly this code's schema."""
    with reader(url):
        pass


@contextmanager
def reader(url: str) -> Iterator[Connection]:
    """A read-only connection to the database at `url`. SchemaError as for `check`, also when damage shows late."""
    _must_exist(url)
    made = engine(url, read_only=True)
    try:
        with made.connect() as connection:
            missing = _missing(connection)
            if missing:
                raise SchemaError(
                    f"{_shown(url)} is older than this program (steps missing: {', '.join(missing)}): "
                    "run 'nsentry-controller init', which brings it up to date and keeps what is in it"
                )
            yield connection
    except exc.DatabaseError as error:
        if _is_damage(error):
            raise _damaged(url, error) from error
        raise
    finally:
        made.dispose()


def config(connection: Connection) -> Config:
    """Alembic's configuration: the steps lie beside this module, and no file of its own is read."""
    from alembic.config import Config  # noqa: PLC0415 - see above

    made = Config()
    made.set_main_option("script_location", str(Path(__file__).with_name("migrations")).replace("%", "%%"))
    made.attributes["connection"] = connection
    return made


def _missing(connection: Connection) -> list[str]:
    """The steps that this database has not had. SchemaError if it has had one that is not known here."""
    if not sqlalchemy.inspect(connection).has_table("alembic_version"):
        return list(REVISIONS)
    row = connection.exec_driver_sql("SELECT version_num FROM alembic_version").one_or_none()
    if row is None:
        return list(REVISIONS)
    if row[0] not in REVISIONS:
        raise UnusableError(
            f"the database has schema {row[0]}, this program knows up to {REVISIONS[-1]}: "
            "it was written by a newer nsentry; install that version again, or restore a backup"
        )
    return list(REVISIONS[REVISIONS.index(row[0]) + 1 :])


def _is_damage(error: exc.DatabaseError) -> bool:
    """SQLite's own words for what is not, or no longer, a database (sqlite.org/rescode.html)."""
    return getattr(error.orig, "sqlite_errorname", "").startswith(("SQLITE_NOTADB", "SQLITE_CORRUPT"))


def _damaged(url: str, error: exc.DatabaseError) -> UnusableError:
    return UnusableError(
        f"{_shown(url)} cannot be read as a database: {error.orig}; stop the controller and restore a backup"
    )


def _must_exist(url: str) -> None:
    path = _sqlite_path(url)
    if path is not None and not path.exists():
        raise SchemaError(f"there is no database at {path}: run 'nsentry-controller init'")


def _sqlite_path(url: str) -> Path | None:
    parsed = sqlalchemy.make_url(url)
    return Path(parsed.database or "") if parsed.get_backend_name() == "sqlite" else None


def _shown(url: str) -> str:
    return str(_sqlite_path(url) or sqlalchemy.make_url(url).render_as_string(hide_password=True))
