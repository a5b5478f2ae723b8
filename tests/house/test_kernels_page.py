# SPDX-License-Identifier: Apache-2.0
"""The table of kernels in docs/kernels.md is what a run found, as it is kept beside the run's tests."""

from __future__ import annotations

import json

from tests.vm import table


def test_the_table_of_kernels_is_what_the_latest_kept_run_found() -> None:
    page = table.PAGE.read_text()
    assert page == table.pasted(page, table.render(json.loads(table.RESULTS.read_text()))), (
        "run `make test-vm`"
    )
