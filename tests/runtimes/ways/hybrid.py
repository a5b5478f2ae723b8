# SPDX-License-Identifier: Apache-2.0
"""crun on a host with both versions of cgroups: it wants version 2 to hold no controller there.

A controller belongs to version 1 for as long as a hierarchy of it is mounted somewhere. So it is mounted in a
mount namespace of its own, where no runtime sees it, and goes back with the process that holds that one.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

UNIFIED = Path("/sys/fs/cgroup/unified")


@contextmanager
def no_controller_in_v2() -> Iterator[None]:
    """Take the controllers out of version 2, where it stands beside version 1."""
    listed = UNIFIED / "cgroup.controllers"
    controllers = listed.read_text(encoding="ascii").split() if listed.exists() else []
    if not controllers:
        yield
        return
    for controller in controllers:
        _free(controller)
    mounts = " && ".join(f"mount -t cgroup -o {name} cgroup /mnt" for name in controllers)
    script = f"{mounts} && echo held && exec sleep infinity"
    command = ["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--propagation", "private"]
    with subprocess.Popen([*command, "sh", "-c", script], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        try:
            assert holder.stdout.readline() == b"held\n", f"{controllers} could not be taken out of cgroup2"
            yield
        finally:
            holder.kill()


def _free(controller: str) -> None:
    """Deepest first: a controller that a group hands down cannot leave."""
    for switch in sorted(UNIFIED.rglob("cgroup.subtree_control"), key=lambda path: -len(path.parts)):
        if controller in switch.read_text(encoding="ascii").split():
            switch.write_text(f"-{controller}", encoding="ascii")
