# SPDX-License-Identifier: Apache-2.0
"""The README's picture, from a real run, as root: `python -m tests.browser.picture FILE.png`.

Its own controller, sensor, daemon and container; the visits are those of `make demo`.
"""

from __future__ import annotations

import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from playwright.sync_api import sync_playwright

from vagrant.local import demo, host
from vagrant.local.dockerd import Dockerd
from vagrant.local.stack import Stack

_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def main(target: Path) -> None:
    with ExitStack() as undo:
        root = Path(undo.enter_context(tempfile.TemporaryDirectory(prefix="nsentry-picture-")))
        undo.enter_context(host.tracefs())
        undo.enter_context(host.docker_cgroups())
        docker = undo.enter_context(Dockerd())
        docker.image(demo.IMAGE)
        docker.run(demo.IMAGE, "sleep", "3600", name="web")
        stack = Stack(root / "var", host.port("NSENTRY_PICTURE_PORT", 8447), (docker.socket,))
        stack.start(undo)
        demo._visit(docker)
        demo._wait(stack)
        alerts = stack.read("alerts", "list", "--state", "all")
        visited = next(alert["id"] for alert in alerts if alert["means"] == "docker-exec")
        playwright = undo.enter_context(sync_playwright())
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=_ARGUMENTS)
        page = browser.new_page(
            viewport={"width": 1280, "height": 900}, ignore_https_errors=True, color_scheme="dark"
        )
        page.goto(stack.controller("login-link").strip())
        page.goto(f"{stack.url}/alerts/{visited}")
        page.screenshot(path=target)
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
