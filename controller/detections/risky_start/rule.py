# SPDX-License-Identifier: Apache-2.0
"""A container was started, or changed, so that whoever is inside has a way to the host.

Known from the runtime's own documents (the OCI bundle, the daemon's record) and, for namespaces, from the
kernel. Nobody need have come in yet: the alert is about the container.
"""

from __future__ import annotations

from controller.detect.rule import Event, Finding, Severity, Visit
from controller.exposure import exposures

TITLE = "Container with a way to the host"
SEVERITY = Severity.HIGH
TECHNIQUES = ("T1610", "T1611")
KINDS = frozenset({"configuration"})

MATCHED = tuple(
    f"settings.{name}" for name in ("privileged", "host_namespaces", "mounts", "capabilities", "devices")
)


def rule(visit: Visit, event: Event) -> Finding | None:  # noqa: ARG001 - every rule has this signature
    """Fires once for all that exposes the host. Weak settings alone are usual: host networking, no AppArmor."""
    found = exposures(event["settings"])
    how_near = {each.nearness for each in found}
    if not how_near & {"host", "part"}:
        return None
    severity = Severity.HIGH if "host" in how_near else Severity.MEDIUM
    return Finding(severity, f"the container {', '.join(each.phrase for each in found)}", MATCHED)
