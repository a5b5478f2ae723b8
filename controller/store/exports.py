# SPDX-License-Identifier: Apache-2.0
"""How far each export has come, and what became of what it was to tell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypedDict

from sqlalchemy import BigInteger, Column, String, Table, Text, delete, func, select, update

from controller.store.dialect import insert, insert_new
from controller.store.schema import alert_history, events, metadata
from controller.store.views import rfc3339

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Connection

exports = Table(
    "exports",
    metadata,
    Column("name", String(64), primary_key=True),
    # seq: of alert_history, or of events, the last that was dealt with; the others count
    *(Column(each, BigInteger, nullable=False) for each in ("seq", "sent", "failed", "given_up", "left_out")),
    *(Column(each, BigInteger) for each in ("last_sent", "failing_since")),
    Column("last_error", Text),
)

dead_letters = Table(
    "dead_letters",
    metadata,
    Column("export", String(64), primary_key=True),
    Column("seq", BigInteger, primary_key=True),  # as of `exports`
    Column("message", String(256), nullable=False),  # the id under which it would have been told
    Column("at", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
)
MAX_LETTERS: Final = 1000
"""Dead letters that are listed of one export, the latest; all are counted (`given_up`)."""


class Letter(NamedTuple):
    """A message that its destination does not take, and that is not told any more."""

    seq: int
    message: str
    at: int
    reason: str


class LetterView(TypedDict):
    """The same as people see it."""

    seq: int
    message: str
    at: str
    at_ns: int
    reason: str


class Progress(NamedTuple):
    """One export's row; times in ns by the controller's clock."""

    name: str
    seq: int
    """The last change or event that was dealt with."""
    sent: int
    failed: int
    """Tries that came to nothing; the same message may be tried many times."""
    given_up: int
    """Messages that are not told any more: refused for good, or older than `keep`."""
    left_out: int
    """What the destination does not want: another kind, not severe enough, staged."""
    last_sent: int | None
    failing_since: int | None
    last_error: str | None
    """What the latest try that failed said; kept after it works again."""


def progress(connection: Connection, name: str) -> Progress | None:
    """The row of the export `name`; None before its first start."""
    row = connection.execute(select(*_columns()).where(exports.c.name == name)).one_or_none()
    return None if row is None else Progress(*row)


def begin(connection: Connection, name: str, what: str, *, backfill: bool) -> Progress:
    """The row of the export, made now if it is new: at the end of what there is, or at its beginning."""
    at = 0 if backfill else head(connection, what)
    values = {"name": name, "seq": at, "sent": 0, "failed": 0, "given_up": 0, "left_out": 0}
    connection.execute(insert(connection, exports).values(values).on_conflict_do_nothing())
    found = progress(connection, name)
    assert found is not None  # noqa: S101 - it was made two lines above
    return found


def advance(connection: Connection, name: str, seq: int, counts: Mapping[str, int], **values: Any) -> None:  # noqa: ANN401 - columns
    """Moves the cursor to `seq` and adds to the counters, in one transaction."""
    added = {column: exports.c[column] + count for column, count in counts.items() if count}
    connection.execute(update(exports).where(exports.c.name == name).values(seq=seq, **added, **values))


def bury(connection: Connection, name: str, letters: Sequence[Letter]) -> None:
    """Keeps them, the latest MAX_LETTERS."""
    rows = [{"export": name, **each._asdict()} for each in letters]
    insert_new(connection, dead_letters, rows)
    mine = dead_letters.c.export == name
    latest = select(dead_letters.c.seq).where(mine).order_by(dead_letters.c.seq.desc())
    oldest = connection.execute(latest.offset(MAX_LETTERS - 1).limit(1)).scalar_one_or_none()
    if oldest is not None:
        connection.execute(delete(dead_letters).where(mine, dead_letters.c.seq < oldest))


def letters(connection: Connection, name: str, limit: int = MAX_LETTERS) -> list[LetterView]:
    """The dead letters of an export, the latest first."""
    query = select(dead_letters).where(dead_letters.c.export == name).order_by(dead_letters.c.seq.desc())
    return [
        {"seq": row.seq, "message": row.message, "at": rfc3339(row.at), "at_ns": row.at, "reason": row.reason}
        for row in connection.execute(query.limit(limit))
    ]


def head(connection: Connection, what: str) -> int:
    """The latest change of an alert, or event; 0 when there is none."""
    column = alert_history.c.id if what == "alerts" else events.c.seq
    return connection.execute(select(func.max(column))).scalar_one() or 0


def before(connection: Connection, what: str, moment: int) -> int:
    """A position after which everything of since `moment` (ns) comes; what came late stands there too."""
    if what == "alerts":
        query = select(func.min(alert_history.c.id)).where(alert_history.c.at >= moment)
    else:
        query = select(func.min(events.c.seq)).where(events.c.time >= moment)
    first = connection.execute(query).scalar_one()
    return head(connection, what) if first is None else int(first) - 1


def _columns() -> list[Any]:
    return [exports.c[name] for name in Progress._fields]
