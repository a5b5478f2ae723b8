# SPDX-License-Identifier: Apache-2.0
"""A visitor tried a known way from a container to the host: nsenter or chroot to it, or its disks by hand.

Whether it succeeded is `escape`'s, from the kernel's state. Here the try counts, also where rights were missing.
"""

from __future__ import annotations

import re

from controller.detect.commands import invocations
from controller.detect.programs import words
from controller.detect.rule import Event, Finding, Severity, Visit

TITLE = "Way to the host tried from a container"
SEVERITY = Severity.HIGH
TECHNIQUES = ("T1611", "T1006")

MATCHED = ("process.exe", "process.argv", "process.user", "container.privileged")
PLACES = re.compile(r"^/(?:host|hostfs|rootfs|host-root|node|mnt|proc/1/root)(?:/|$)")
FIRST = re.compile(r"(?:^| )(?:-t|--target)[ =]?1(?: |$)|(?:^|[ =]|-[a-zA-Z])/proc/1/ns/\w")
DISK = re.compile(r"^(?:if=)?/dev/(?:[shv]d[a-z]\d*|xvd[a-z]\d*|nvme\d+n\d+(?:p\d+)?|mapper/\S+|dm-\d+)$")
OWN = re.compile(r"-[a-zA-Z]*[Ur]|--user|--map-root-user|--map-auto")
FILES = re.compile(r"(?:^|[\s=])/proc/\d+/root(?:/|\s|$)")
LISTS = words("-l --list -lu print")
LISTERS = words("fdisk sfdisk cfdisk parted gdisk sgdisk")
READERS = words("mount debugfs dd losetup fsck dumpe2fs cat strings xxd")


def rule(visit: Visit, event: Event) -> Finding | None:  # noqa: ARG001 - every rule has this signature
    """Fires on each command that is one, by what it is given."""
    for run in invocations(event):
        if (way := _way(run.program, run.arguments)) is not None:
            return Finding(way[0], f"{way[1]}: {run}", MATCHED)
    return None


def _way(program: str, given: tuple[str, ...]) -> tuple[Severity, str] | None:
    root = next((word for word in given if word[:1] != "-"), "")
    ways = (
        (
            program == "nsenter" and FIRST.search(" ".join(given)),
            "the namespaces of the host's first process were asked for",
        ),
        (program == "chroot" and PLACES.search(root), "the host's files were made the root"),
        (program in READERS and any(map(DISK.search, given)), "a disk of the host was reached for"),
        (program == "mknod" and "b" in given, "a device file for a disk was made"),
    )
    tries = (
        (
            program == "unshare" and any(map(OWN.match, given)),
            "a user namespace was made, in which its maker is root",
        ),
        (any(map(FILES.search, given)), "another process' root folder was looked into"),
        (program in LISTERS and LISTS & {*given}, "the host's disks were listed"),
    )
    grave, lesser = (next((said for holds, said in each if holds), None) for each in (ways, tries))
    if grave is None and lesser is None:
        return None
    return (Severity.HIGH, grave) if grave else (Severity.MEDIUM, lesser or "")
