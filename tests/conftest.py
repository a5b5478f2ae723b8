# SPDX-License-Identifier: Apache-2.0
"""Gives tests what they need of this machine, and says at the end what was left out and why.

In CI, leaving out is a failure.

A test may skip where this machine lacks something. With CI=true the machine is meant to have everything, and
only what LEFT_OUT_IN_CI names may skip: each with the reason why no install step can mend it.
"""

from __future__ import annotations

import os
import subprocess
from collections import defaultdict
from fnmatch import fnmatch
from pathlib import Path

import hypothesis
import pytest

from vagrant.local import host

BPFFS = Path("/sys/fs/bpf")
LEFT_OUT_IN_CI: dict[str, str] = {
    # node id pattern: why the machines that run CI cannot run it
    "tests/runtimes/test_machines.py::*lxc*": "LXC is fetched from Debian's mirror, which may be away",
}

LEFT_OUT = 16
"""The exit code when in CI a test was left out that may not be: pytest's own end at 6."""

_skipped = pytest.StashKey[dict[str, list[str]]]()


# Hypothesis fails what takes longer than 200 ms: on a busy machine that tells of the machine.
hypothesis.settings.register_profile("nsentry", deadline=None)
hypothesis.settings.load_profile("nsentry")


def pytest_configure(config):
    config.stash[_skipped] = defaultdict(list)


def pytest_collection_modifyitems(items):
    """What loads programs into the kernel needs root and BTF, and tracefs to find its tracepoints in."""
    lacking = None
    if os.geteuid() != 0:
        lacking = "loading BPF programs needs root"
    elif not Path("/sys/kernel/btf/vmlinux").exists():
        lacking = "this kernel has no BTF (/sys/kernel/btf/vmlinux)"
    for item in items:
        if item.get_closest_marker("kernel") or item.get_closest_marker("runtimes"):
            item.fixturenames.insert(0, "tracefs")
            if lacking:
                item.add_marker(pytest.mark.skip(reason=lacking))


@pytest.fixture(scope="session")
def tracefs():
    """Mounted for as long as the tests run, where it was not; bpffs, which systemd mounts elsewhere, for good."""
    with host.tracefs():
        kind = subprocess.run(["stat", "-f", "-c", "%T", BPFFS], capture_output=True, text=True, check=True)
        if kind.stdout.strip() != "bpf_fs":
            subprocess.run(["mount", "-t", "bpf", "bpf", BPFFS], check=True)
        yield


class LeftOut:
    """Collects skips, of single tests and of whole modules."""

    def __init__(self, config: pytest.Config) -> None:
        self._by_reason = config.stash[_skipped]

    def _note(self, report):
        if report.skipped and not hasattr(report, "wasxfail"):
            reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
            self._by_reason[reason.removeprefix("Skipped: ")].append(report.nodeid)

    pytest_runtest_logreport = _note
    pytest_collectreport = _note


def pytest_sessionstart(session):
    session.config.pluginmanager.register(LeftOut(session.config))


def _unexcused(by_reason: dict[str, list[str]]) -> list[str]:
    return [
        nodeid
        for nodeids in by_reason.values()
        for nodeid in nodeids
        if not any(fnmatch(nodeid, pattern) for pattern in LEFT_OUT_IN_CI)
    ]


def pytest_sessionfinish(session, exitstatus):
    in_ci = os.environ.get("CI") == "true"
    ended = exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED)
    if in_ci and ended and _unexcused(session.config.stash[_skipped]):
        session.exitstatus = LEFT_OUT


def pytest_terminal_summary(terminalreporter, config):
    by_reason = config.stash[_skipped]
    terminalreporter.section("left out")
    if not by_reason:
        terminalreporter.line("nothing: every test ran")
    for reason, nodeids in by_reason.items():
        terminalreporter.line(f"{len(nodeids)} of {nodeids[0].split('::')[0]}: {reason}")
    if os.environ.get("CI") == "true":
        for nodeid in _unexcused(by_reason):
            terminalreporter.line(f"FAILED in CI, where this must run: {nodeid}", red=True)
