# SPDX-License-Identifier: Apache-2.0
"""Who blinds a real sensor is an alert at the controller within a heartbeat, and the sensor sees again."""

from __future__ import annotations

import json
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from controller.detect.catalogue import BUILT_IN
from tests.conftest import BPFFS
from vagrant.local.stack import Stack

PATIENCE_S = 90.0
HEARTBEAT_S = 5


@pytest.fixture(scope="module")
def pins() -> Path:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return BPFFS / f"nsentry-watch-{free.getsockname()[1]}"


@pytest.fixture(scope="module")
def stack(tracefs: None, pins: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with ExitStack() as undo:
        made = Stack(tmp_path_factory.mktemp("watch"), port)
        folder = made.root / "sensor"
        folder.mkdir(parents=True, mode=0o700)
        config = f"state_dir = {json.dumps(str(folder))}\npins = {json.dumps(str(pins))}\n"
        (folder / "sensor.toml").write_text(
            f"{config}[heartbeat]\ninterval_s = {HEARTBEAT_S}\n", encoding="utf-8"
        )
        made.start_controller(undo)
        made.start_sensor(undo, "core")
        yield made


def _until(found: Callable[[], Any]) -> Any:
    end = time.monotonic() + PATIENCE_S
    while not (made := found()):
        assert time.monotonic() < end
        time.sleep(0.3)
    return made


def _reasons(stack: Stack) -> list[str]:
    """Why the sensor's alert was raised, by its findings."""
    alerts = [each for each in stack.read("alerts", "list") if each["title"] == "Sensor blinded: the sensor"]
    assert len(alerts) <= 1, "a host's sensor has one alert"
    if not alerts:
        return []
    assert (alerts[0]["severity"], alerts[0]["container"]["id"]) == ("high", None)
    assert "found that a part of its own does not work" in alerts[0]["sentence"]
    (shown,) = stack.read("alerts", "show", alerts[0]["id"])
    return [each["reason"] for each in shown["findings"]]


def _notes(stack: Stack) -> list[str]:
    (host,) = stack.read("sensors", "show", stack.read("sensors", "list")[0]["id"])
    return [f"{each['action']}: {each['reason']}" for each in host["notes"]]


def test_a_pin_that_is_taken_away_is_an_alert_and_is_there_again(stack: Stack, pins: Path) -> None:
    """By the detection's own emulation."""
    links = {each.name for each in pins.glob("*/link-*")}
    line = ["env", f"PINS={pins}", "sh", str(BUILT_IN / "sensor_blinded" / "emulate.sh")]
    subprocess.run(line, check=True)
    assert {each.name for each in pins.glob("*/link-*")} != links
    _until(lambda: any("is not pinned any more" in each for each in _reasons(stack)))
    _until(lambda: any(each.startswith("mended") for each in _notes(stack)))
    assert {each.name for each in pins.glob("*/link-*")} == links


def test_a_map_that_is_unpinned_is_an_alert(stack: Stack, pins: Path) -> None:
    (ring,) = pins.glob("*/entries")
    ring.unlink()
    _until(lambda: any("entries is not pinned" in each for each in _reasons(stack)))
    _until(ring.exists)


def test_programs_that_are_put_off_duty_by_their_map_are_an_alert_and_are_on_duty_again(
    stack: Stack, pins: Path
) -> None:
    (turn,) = pins.glob("*/generation")

    def whose() -> list[str]:
        line = ["bpftool", "--json", "map", "dump", "pinned", str(turn)]
        return list(json.loads(subprocess.run(line, check=True, capture_output=True).stdout)[0]["value"])

    before = whose()
    line = ["bpftool", "map", "update", "pinned", str(turn), "key", *["0"] * 4, "value", *["0"] * 8]
    subprocess.run(line, check=True)
    assert whose() != before
    _until(lambda: any("put off duty" in each for each in _reasons(stack)))
    assert whose() == before
