# SPDX-License-Identifier: Apache-2.0
"""A hook that stopped firing is found out by what the sensor does itself, with either loader."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sensor.canary import Canary
from sensor.probe import Probe, open_probe, pins, receiver
from sensor.probe.core import CoreProbe
from sensor.probe.layout import KernelEvent

pytestmark = pytest.mark.kernel


class Stage:
    """A canary and what got past it."""

    def __init__(self) -> None:
        self.canary = Canary()
        self.told: list[KernelEvent] = []
        self.probes: list[Probe] = []

    def _feed(self, event: KernelEvent) -> None:
        if not self.canary.heard(event):
            self.told.append(event)

    def open(self, loader: str, folder: Path | None = None) -> Probe:
        self.probes.append(open_probe(loader, receiver(self._feed, pytest.fail), pins=folder))
        return self.probes[-1]

    def silent(self, probe: Probe) -> list[str]:
        self.canary.sing(probe)
        for _ in range(5):
            probe.poll(50)
        return self.canary.silent(probe)


@pytest.fixture
def stage() -> Iterator[Stage]:
    one = Stage()
    yield one
    for probe in one.probes:
        probe.close()


@pytest.mark.parametrize("loader", ["core", "bcc"])
def test_every_hook_sees_the_canary_and_nothing_of_it_is_told(stage: Stage, loader: str) -> None:
    probe = stage.open(loader)
    for _ in range(2):
        assert stage.silent(probe) == []
    cookies = {event.head.cookie for event in stage.told}
    assert stage.canary._cookie not in cookies


def test_a_hook_that_does_not_fire_is_silent(stage: Stage) -> None:
    probe = stage.open("core")
    assert isinstance(probe, CoreProbe)
    functions = [program.function for _, program in probe._wanted]
    exit_link = probe._links.pop(functions.index("on_sched_process_exit"))
    probe._lib.bpf_link__destroy(exit_link)
    assert stage.silent(probe) == ["exit"]


def test_programs_that_were_put_off_duty_are_silent_until_they_are_mended(
    stage: Stage, tmp_path: Path
) -> None:
    folder = Path(f"/sys/fs/bpf/nsentry-test-{tmp_path.name}")
    probe = stage.open("core", folder)
    assert isinstance(probe, CoreProbe)
    try:
        assert probe.damage() == []
        probe._update(probe._map("generation"), bytes(4), bytes(8))
        next(folder.glob("*/link-*")).unlink()
        next(folder.glob("*/marks")).unlink()
        assert len(probe.damage()) == 3
        assert stage.silent(probe) == ["exec", "exit", "fork", "setns"]
        probe.mend()
        assert probe.damage() == []
        assert stage.silent(probe) == []
    finally:
        pins.unpin(folder)
