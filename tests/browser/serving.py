# SPDX-License-Identifier: Apache-2.0
"""A real controller: the installed program, its own state folder, its own port, TLS by its own CA."""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.browser.seed import Fleet, fill

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.browser.seed import Host

START_S = 30


@dataclass
class Served:
    """A controller that answers at `url`."""

    state: Path
    url: str

    def command(self, *words: str) -> str:
        """What `nsentry-controller WORDS` prints, over this controller's state."""
        line = [sys.executable, "-c", "from controller.cli import main; main()", "--state", str(self.state), *words]
        done = subprocess.run(line, capture_output=True, text=True, check=True, timeout=60)
        return done.stdout.strip()

    def login_link(self, user: str = "ada") -> str:
        """A new one-time link."""
        return self.command("login-link", "--user", user)

    def fleet(self) -> Fleet:
        """Hosts that may enrol."""
        return Fleet(self.url, str(self.state / "ca.pem"), self.command("token", "create", "--uses", "50"))


@contextmanager
def controller(state: Path) -> Iterator[Served]:
    """Serves from `state` until it is left."""
    served = Served(state, "")
    served.command("init", "--listen", "127.0.0.1:0")
    ready, log = state / "ready", (state / "log").open("wb")
    line = [sys.executable, "-c", "from controller.cli import main; main()", "--state", str(state)]
    process = subprocess.Popen(
        [*line, "serve", "--listen", "127.0.0.1:0", "--ready-file", str(ready)], stdout=log, stderr=log
    )
    try:
        until = time.monotonic() + START_S
        while not (ready.exists() and ready.read_text().strip()):
            assert process.poll() is None, (state / "log").read_text()
            assert time.monotonic() < until, (state / "log").read_text()
            time.sleep(0.05)
        yield Served(state, ready.read_text().strip())
    finally:
        process.terminate()
        process.wait(20)
        log.close()


def filled(served: Served) -> dict[str, Host]:
    """The controller with the fleet of `seed`, once its detect worker has dealt with all of it."""
    hosts = fill(served.fleet())
    wait_for(lambda: served.command("alerts", "list", "--json").count("\n") >= 14)
    return hosts


def wait_for(condition, seconds: float = 20) -> None:
    """Until `condition()` holds; fails when it does not in time."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.1)
