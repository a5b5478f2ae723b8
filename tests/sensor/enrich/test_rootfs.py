# SPDX-License-Identifier: Apache-2.0
"""Which file system is a container's alone: that which a runtime put together for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from sensor.enrich import rootfs

OURS = "25 1 0:30 / / rw - overlay overlay rw\n"
OWN = "700 600 0:77 / / rw,relatime master:1 - overlay overlay rw,lowerdir=/l\n701 700 0:80 / /proc rw - proc proc rw\n"


@pytest.mark.parametrize(
    ("lines", "number"),
    [
        (OWN, 77),
        (OWN.replace("0:77", "1:5"), 1 << 20 | 5),
        (OWN.replace("- overlay", "- fuse.fuse-overlayfs"), 77),
        (OWN.replace("/ / rw", "/var/lib/root / rw"), None),
        (OWN.replace("- overlay", "- ext4"), None),
        (OURS, None),
        ("", None),
        ("nonsense\n- - -\n", None),
        (OWN.replace("0:77", "x:y"), None),
        (OWN + "702 700 8:1 / / rw - ext4 /dev/sda rw\n", None),
    ],
    ids=[
        "own",
        "a disk's",
        "fuse",
        "a folder",
        "the host's kind",
        "ours",
        "none",
        "nonsense",
        "no number",
        "covered",
    ],
)
def test_a_root_is_the_containers_own_or_none(lines: str, number: int | None, tmp_path: Path) -> None:
    for name, text in (("self", OURS), ("60", lines)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "mountinfo").write_text(text, encoding="utf-8")
    assert rootfs.device(60, tmp_path) == number


def test_who_is_gone_has_no_root(tmp_path: Path) -> None:
    assert rootfs.device(60, tmp_path) is None
