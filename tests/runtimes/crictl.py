# SPDX-License-Identifier: Apache-2.0
"""The words of crictl that emulations use, spoken to a real CRI: for machines that have no crictl.

    PATH/crictl --runtime-endpoint unix://SOCKET WORD...

It is run by its own name, as `named` makes it: by the word crictl on its command line the sensor's word on who was
connected to the daemon is told from others who were.

Takes the same JSON as crictl (PodSandboxConfig and ContainerConfig of k8s.io/cri-api, whose field numbers are here).
"""

from __future__ import annotations

import json
import os
import shlex
import sys
from pathlib import Path
from typing import Any

from sensor.enrich import protobuf
from tests.runtimes.cri import Pods

_SCRIPT = """#!{python}
import sys
sys.path.insert(0, {root!r})
from tests.runtimes.crictl import main
sys.exit(main(*sys.argv[1:]))
"""


def named(folder: Path, socket: Path) -> str:
    """The command line of a crictl that is made in `folder`, up to its first word."""
    script = folder / "crictl"
    script.write_text(
        _SCRIPT.format(python=sys.executable, root=str(Path(__file__).parents[2])), encoding="utf-8"
    )
    script.chmod(0o755)
    return shlex.join([str(script), "--runtime-endpoint", f"unix://{socket}"])


def _namespaces(config: dict[str, Any]) -> dict[int, object]:
    chosen = config["linux"]["security_context"]
    options = chosen.get("namespace_options", chosen)
    return {1: options["network"], 2: options["pid"], 3: options["ipc"]}


def _pod(config: dict[str, Any]) -> dict[int, object]:
    named = config["metadata"]
    return {
        1: {1: named["name"], 2: named["uid"], 3: named["namespace"], 4: named["attempt"]},
        2: config["hostname"],
        6: config["labels"],
        8: {2: {1: _namespaces(config)}},
    }


def _container(config: dict[str, Any], namespaces: dict[int, object]) -> dict[int, object]:
    user = config["linux"]["security_context"]["run_as_user"]["value"]
    return {
        1: {1: config["metadata"]["name"], 2: config["metadata"]["attempt"]},
        2: {1: config["image"]["image"]},
        3: config["command"],
        9: config["labels"],
        15: {2: {3: namespaces, 5: {1: user}, 13: ["/proc/kcore"], 14: ["/proc/sys"]}},
    }


def _label(words: list[str]) -> dict[str, str]:
    name, _, value = words[words.index("--label") + 1].partition("=")
    return {name: value}


def main(option: str, endpoint: str, word: str, *words: str) -> int:
    """One command; its exit code."""
    assert option == "--runtime-endpoint"
    pods, given = Pods(endpoint.removeprefix("unix://")), list(words)
    if word == "version":
        pods.call("Version", {})
    elif word == "runp":
        print(protobuf.text(pods.call("RunPodSandbox", {1: _pod(_read(given[0]))}), 1))
    elif word == "create":
        pod = _read(given[2])
        container = _container(_read(given[1]), _namespaces(pod))
        print(protobuf.text(pods.call("CreateContainer", {1: given[0], 2: container, 3: _pod(pod)}), 1))
    elif word == "start":
        pods.call("StartContainer", {1: given[0]})
    elif word == "inspect":
        told = pods.call("ContainerStatus", {1: given[-1], 2: True})
        # A map: its entries are messages of key and value.
        entries = [protobuf.unpack(each) for each in told[2] if isinstance(each, bytes)]
        info = next(protobuf.text(each, 2) for each in entries if protobuf.text(each, 1) == "info")
        print(json.dumps({"info": json.loads(info)}))
    elif word in {"ps", "pods"}:
        method = {"ps": "ListContainers", "pods": "ListPodSandbox"}[word]
        listed = pods.call(method, {1: {{"ps": 4, "pods": 3}[word]: _label(given)}})
        for each in listed.get(1, []):
            assert isinstance(each, bytes)
            print(protobuf.text(protobuf.unpack(each), 1))
    elif word in {"stopp", "rmp"}:
        pods.call({"stopp": "StopPodSandbox", "rmp": "RemovePodSandbox"}[word], {1: given[0]})
    elif word == "exec":
        tty = given[0] == "-it"
        # What is typed: at a terminal nothing says that it has ended.
        typed = os.read(0, 4096) if tty else b""
        printed, status = pods.exec(given[tty], *given[tty + 1 :], tty=tty, stdin=typed)
        sys.stdout.buffer.write(printed)
        return 0 if status and status["status"] == "Success" else 1
    return 0


def _read(path: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Path(path).read_bytes())
    return found
