# SPDX-License-Identifier: Apache-2.0
"""A configuration file of a runtime on its host, or its daemon's command line, was changed without authorisation."""

from __future__ import annotations

import re

from controller.detect.rule import Event, Finding, Severity, Visit

TITLE = "Runtime configuration changed on the host"
SEVERITY = Severity.MEDIUM
TECHNIQUES = ("T1543.005", "T1562.001")
KINDS = frozenset({"file"})

MATCHED = ("path", "runtime", "difference", "before", "after", "caller.argv")
OPENS = {
    "the daemon listens on the network": r"tcp://|stream_server_address.*0\.0\.0\.0",
    "a registry need not be trusted": r"insecure[-_]registr|insecure *[=:] *true|insecureAcceptAnything|skip_verify",
    "containers are not confined": r"unconfined|label *= *false|seccomp[-_]profile",
    "another runtime is used": r"default[-_]runtime|\"runtimes\"|runtime_type|BinaryName",
    "the kubelet lets everybody in": r"AlwaysAllow|readOnlyPort: *[1-9]|anonymous-auth=true",
    "something is run on the host": r"ExecStart(?:Pre|Post)?=|hostPath|hostPID|hostNetwork|privileged: *true",
}
"""What a line that was added opens, by what it says."""
GUARDS = re.compile(r"userns-remap|authorization-plugins|seccomp|apparmor|tlsverify|no-new-privileges|icc")
"""What a line that was taken out may have guarded."""


def rule(visit: Visit, event: Event) -> Finding | None:
    """Fires on each change that was not authorised: high where it opens something, or a manifest makes a pod."""
    change = visit.change
    if change is None or change["authorised"]:
        return None
    added = [line[1:] for line in event["difference"] if line.startswith("+")]
    taken = [line[1:] for line in event["difference"] if line.startswith("-")]
    found = [opens for opens, said in OPENS.items() if any(re.search(said, line) for line in added)]
    if "manifests" in event["path"] and event["before"] is None:
        found.insert(0, "a static pod is made, of which no API server is asked")
    found += ["a guard was taken out" for _ in [1] if any(GUARDS.search(line) for line in taken)]
    mode = (event["after"] or {}).get("mode", 0)
    if mode & 0o022 and event["runtime"] != "other":
        found.append("others than its owner may write it")
    what = "; ".join(dict.fromkeys(found)) or f"{len(added)} lines added, {len(taken)} taken out"
    severity = Severity.HIGH if found else Severity.MEDIUM
    return Finding(severity, f"{what}; by {change['who']}; {change['reason']}", MATCHED)
