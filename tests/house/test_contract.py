# SPDX-License-Identifier: Apache-2.0
"""Import rules that say "only", which import-linter's contracts in pyproject.toml cannot."""

from __future__ import annotations

import ast
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]


def _imported(path: Path) -> set[str]:
    """Modules that a file imports anywhere, functions included; `from a import b` gives "a" and "a.b"."""
    package = path.relative_to(ROOT).with_suffix("").parts[:-1]
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(
                [*package[: len(package) - node.level + 1], *([node.module] if node.module else [])]
            )
            module = base if node.level else str(node.module)
            found |= {module, *(f"{module}.{alias.name}" for alias in node.names)}
    return found


def _foreign(path: Path, *allowed: str) -> set[str]:
    """What a file imports beyond the standard library and the modules that are allowed to it."""
    return {
        name
        for name in _imported(path)
        if name.split(".")[0] not in sys.stdlib_module_names
        and not any(name == module or name.startswith(f"{module}.") for module in allowed)
    }


def test_the_wire_needs_nothing_but_the_standard_library_and_msgpack():
    for path in (ROOT / "sensor/wire").glob("*.py"):
        assert not _foreign(path, "msgpack", "sensor.wire"), path.name


def test_only_the_bcc_loader_imports_bcc():
    # bcc brings LLVM into the process: 100 MB that a sensor with the prebuilt object never pays for.
    importers = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "sensor").rglob("*.py")
        if any(name.split(".")[0] == "bcc" for name in _imported(path))
    }
    assert {Path(name).parent for name in importers} <= {Path("sensor/probe")}, importers
    assert len(importers) <= 1


def test_a_detection_knows_only_the_rule_helpers():
    modules = (
        "controller.detect.baseline",
        "controller.detect.rule",
        "controller.detect.commands",
        "controller.detect.credentials",
        "controller.detect.programs",
        "controller.detect.destinations",
        "controller.detect.once",
        "controller.detect.past",
        "controller.detect.principal",
        "controller.detect.files",
        "controller.detect.scans",
        "controller.detect.watchers",
        "controller.exposure",
        "sensor.wire",
    )
    beyond = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in (ROOT / "controller/detections").rglob("*.py")
        for name in _imported(path)
        if name.split(".")[0] not in sys.stdlib_module_names
        and name not in {"controller.detect", "sensor", *modules}
        and not name.startswith(tuple(f"{module}." for module in modules))
    }
    assert not beyond


def test_what_a_program_imports_is_declared_for_those_who_install_it():
    """The tests' own environment has more: what only that has would be missing where users run it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = {name: wanted for name, wanted in project["optional-dependencies"].items() if name != "dev"}
    declared = {
        "sensor": project["dependencies"],
        "controller": sum(extras.values(), project["dependencies"]),
    }
    elsewhere = {"bcc", "yaml", "_typeshed", "markupsafe"}  # the distribution, the type checker, jinja2
    places = packages_distributions()
    for program, wanted in declared.items():
        names = {canonicalize_name(Requirement(one).name) for one in wanted}
        undeclared = {
            f"{path.relative_to(ROOT)}: {module}"
            for path in (ROOT / program).rglob("*.py")
            for module in _foreign(path, "sensor", "controller", "bpf")
            if (top := module.split(".")[0]) not in elsewhere
            and not names & {canonicalize_name(each) for each in places.get(top, [])}
        }
        assert not undeclared, program
