# SPDX-License-Identifier: Apache-2.0
"""The table of docs/kernels.md: made of what the latest run of make test-vm found, which is kept beside this."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from tests.vm.kernel_runs import WANTED, results_of

RESULTS: Final = Path(__file__).with_name("results.json")
PAGE: Final = Path(__file__).parents[2] / "docs" / "kernels.md"
BEGIN: Final = "<!-- from here on by make test-vm -->\n"
END: Final = "<!-- up to here -->\n"
HEAD: Final = (
    "| kernel | cgroup | loader | setns is seen by | ways, right of tried | not seen | pins | BPF for a setns, ns "
    "| getppid with against without |"
)


def render(found: dict[str, dict[str, Any]]) -> str:
    """The table in Markdown."""
    lines = [HEAD, "|" + " --- |" * (HEAD.count("|") - 1)]
    for result in found.values():
        lines += [_line(result, row) for row in result["rows"] if "error" not in row]
    return "\n".join(lines) + "\n"


def _line(result: dict[str, Any], row: dict[str, Any]) -> str:
    wrong = [way for way, told in row["ways"].items() if told != "ok"]
    cells = (
        result["kernel"],
        result["cgroup"],
        row["loader"],
        row["hooks"]["setns"].replace(" (fentry: not asked for)", "").partition(" (fentry: not asked")[0],
        f"{len(row['ways']) - len(wrong)} of {len(row['ways'])}",
        ", ".join(wrong) or "-",
        _pins(result, row),
        str(row["setns_ns"]),
        f"{row['getppid_on_ns'] / row['getppid_off_ns']:.2f}",
    )
    return f"| {' | '.join(cells)} |"


def _pins(result: dict[str, Any], row: dict[str, Any]) -> str:
    if row["loader"] != "core":
        return "-"
    return "yes" if result["pins"][row["asked"]] == "ok" else "no"


def pasted(page: str, table: str) -> str:
    """The page with this table in place of its own."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table}\n{END}{after}"


def _latest() -> Iterator[tuple[str, dict[str, Any]]]:
    for kernel in WANTED:
        if results_of(kernel).exists():  # else the run on it did not end: it has no row
            yield kernel, json.loads(results_of(kernel).read_text())


if __name__ == "__main__":
    latest = dict(_latest())
    RESULTS.write_text(json.dumps(latest, indent=1) + "\n")
    PAGE.write_text(pasted(PAGE.read_text(), render(latest)))
