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


def test_a_run_with_one_loader_keeps_what_another_run_found_with_the_other():
    def found(kernel: str, loader: str, pins: dict[str, str]) -> dict[str, dict]:
        return {"bookworm": {"kernel": kernel, "pins": pins, "rows": [{"loader": loader, "asked": "auto"}]}}

    kept, latest = found("6.1.0-1", "core", {"auto": "ok"}), found("6.1.0-1", "bcc", {})
    (one,) = table.merged(kept, latest).values()
    assert one["pins"] == {"auto": "ok"}
    assert [row["loader"] for row in one["rows"]] == ["core", "bcc"]
    assert table.merged(kept, {}) == kept
    for new in (found("6.1.0-1", "core", {"auto": "no"}), found("6.1.0-2", "bcc", {})):
        assert table.merged(kept, new) == new
