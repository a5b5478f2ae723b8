# SPDX-License-Identifier: Apache-2.0
"""Run by alembic, on the connection that `controller.store.migrate` hands over.

To write a step: `alembic.command.revision` with `migrate.config(connection)` and autogenerate.
"""

from __future__ import annotations

from alembic import context

from controller.store import policy_schema, records_schema  # noqa: F401 - their tables belong to the metadata
from controller.store.baseline_tables import baselines as _baselines  # noqa: F401 - as below
from controller.store.exports import exports as _exports  # noqa: F401 - its table belongs to the metadata
from controller.store.schema_configurations import file_changes as _files  # noqa: F401 - as below
from controller.store.schema_emulations import metadata
from controller.store.unseen_table import unseen as _unseen  # noqa: F401 - as above

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,  # SQLite cannot alter a column: alembic copies the table
    transaction_per_migration=False,
)
context.run_migrations()
