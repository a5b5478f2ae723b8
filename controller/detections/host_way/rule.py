# SPDX-License-Identifier: Apache-2.0
"""A visitor tried a known way from a container to the host: nsenter or chroot to it, or its disks by hand.

Whether it succeeded is `escape`'s, from the kernel's state. Here the try counts, also where rights were missing.
"""

from __future__ import annotations

import re

from controller.detect.commands import invocations, with_next
from controller.detect.programs import words
from controller.detect.rule import Event, Finding, Severity, Visit

TITLE = "Way to the host tried from a container"
SEVERITY = Severity.HIGH
TECHNIQUES = ("T1611", "T1006")

MATCHED = ("process.exe", "process.argv", "process.user", "container.privileged")
PLACES = re.compile(r"^/(?:host|hostfs|rootfs|host-root|mnt/host|node|proc/1/root)(?:/|$)")
FIRST = re.compile(r"^(?:-t1|--target=1|/proc/1/ns/\w+|--\w+=/proc/1/ns/\w+|-[a-zA-Z]=?/proc/1/ns/\w+)$")
DISK = re.compile(r"^(?:if=)?/dev/(?:[shv]d[a-z]\d*|xvd[a-z]\d*|nvme\d+n\d+(?:p\d+)?|mapper/\S+|dm-\d+)$")
OWN = re.compile(r"-[a-zA-Z]*[Ur]|--user|--map-root-user|--map-auto")
READERS = words("mount debugfs dd losetup fsck dumpe2fs cat strings xxd")


def rule(visit: Visit, event: Event) -> Finding | None:  # noqa: ARG001 - every rule has this signature
    """Fires on each command that is one, by what it is given."""
    for run in invocations(event):
        given = run.arguments
        if run.program == "nsenter" and (any(map(FIRST.search, given)) or _target(given) == "1"):
            return Finding(
                Severity.HIGH, f"the namespaces of the host's first process were asked for: {run}", MATCHED
            )
        if run.program == "chroot" and given and PLACES.search(next((w for w in given if w[0:1] != "-"), "")):
            return Finding(Severity.HIGH, f"the host's files were made the root: {run}", MATCHED)
        if run.program == "unshare" and any(map(OWN.match, given)):
            return Finding(
                Severity.MEDIUM, f"a user namespace was made, in which its maker is root: {run}", MATCHED
            )
        disk = next((word for word in given if DISK.search(word)), None)
        if disk is not None and run.program in READERS:
            return Finding(Severity.HIGH, f"a disk of the host was reached for: {run}", MATCHED)
        if run.program == "mknod" and "b" in given:
            return Finding(Severity.HIGH, f"a device file for a disk was made: {run}", MATCHED)
    return None


def _target(given: tuple[str, ...]) -> str | None:
    """What stands after -t or --target."""
    return next((value for word, value in with_next(given) if word in {"-t", "--target"}), None)
