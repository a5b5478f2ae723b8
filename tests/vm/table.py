# SPDX-License-Identifier: Apache-2.0
"""The table of docs/kernels.md: made of what the latest runs of make test-vm found, which is kept beside this."""

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


def merged(kept: dict[str, dict[str, Any]], latest: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """What the latest run found, and of earlier ones what it did not try: a loader on the same kernel, or a kernel."""
    found = {}
    for kernel in WANTED:
        both = [source[kernel] for source in (kept, latest) if kernel in source]
        if not both:
            continue
        old, new = both[0], both[-1]
        if old["kernel"] != new["kernel"]:
            old = new
        tried = {row["loader"] for row in new["rows"]}
        rows = [*new["rows"], *(row for row in old["rows"] if row["loader"] not in tried)]
        rows.sort(key=lambda row: row["loader"] != "core")
        found[kernel] = new | {"pins": old["pins"] | new["pins"], "rows": rows}
    return found


def _latest() -> Iterator[tuple[str, dict[str, Any]]]:
    for kernel in WANTED:
        if results_of(kernel).exists():  # else the run on it did not end: it has no row
            yield kernel, json.loads(results_of(kernel).read_text())


if __name__ == "__main__":
    found = merged(json.loads(RESULTS.read_text()), dict(_latest()))
    RESULTS.write_text(json.dumps(found, indent=1) + "\n")
    PAGE.write_text(pasted(PAGE.read_text(), render(found)))
