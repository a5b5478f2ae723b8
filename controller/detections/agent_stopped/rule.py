# SPDX-License-Identifier: Apache-2.0
"""A security or logging agent, or a firewall, was stopped, killed, removed or switched off from inside a visit.

In a container that sees the host's processes, or that is the agent's own, this blinds whoever watches. By the agents'
names, where a command that ends things is given one.
"""

from __future__ import annotations

import re

from controller.detect.commands import invocations
from controller.detect.programs import words
from controller.detect.rule import Event, Finding, Severity, Visit

TITLE = "Security agent stopped"
SEVERITY = Severity.HIGH
TECHNIQUES = ("T1562.001", "T1562.004", "T1489")

MATCHED = ("process.exe", "process.argv", "process.user")
ENDS = words(
    "kill pkill killall killall5 systemctl service rc-service sv initctl supervisorctl s6-svc update-rc.d apt apt-get "
    "dpkg yum dnf rpm apk"
)
VERBS = words("stop disable mask kill down off remove del -d -dx purge erase -e -r -P")
FIREWALLS = words("iptables ip6tables iptables-legacy iptables-nft nft ufw firewall-cmd")
OPENS = words("-F --flush flush disable reset --panic-off")
AGENT = re.compile(
    r"(?:^|/)(?:nsentry-sensor|falco|falcoctl|tetragon|tracee|auditd|osqueryd|ossec\w*|wazuh[\w-]*|filebeat|auditbeat|"
    r"metricbeat|elastic-agent|fluent-?(?:d|bit)|rsyslogd?|syslog-ng|vector|datadog-agent|sysmon|clamd|aide|crowdsec|"
    r"falcon-sensor|cbagentd|mdatp|kubearmor|sentinelone|apparmor|fail2ban)(?:[.\s/*]|$)"
)
SWITCHES = {
    ("setenforce", "0"),
    ("auditctl", "-e0"),
    ("auditctl", "-D"),
    ("aa-teardown", ""),
    ("setenforce", "Permissive"),
}


def rule(visit: Visit, event: Event) -> Finding | None:  # noqa: ARG001 - every rule has this signature
    """Fires on each such command; asking for an agent's state is silent."""
    for run in invocations(event):
        joined = {"".join(run.arguments[:2]), *run.arguments[:1]}
        if any((run.program, word) in SWITCHES for word in joined):
            return Finding(Severity.HIGH, f"the kernel's own watch was switched off: {run}", MATCHED)
        if run.program in FIREWALLS and OPENS & {*run.arguments}:
            return Finding(Severity.HIGH, f"a firewall's rules were taken away: {run}", MATCHED)
        named = [word for word in run.arguments if AGENT.search(word)]
        direct = run.program in {"kill", "pkill", "killall", "killall5"}
        if named and run.program in ENDS and (direct or VERBS & {*run.arguments}):
            asks = direct and {"-0", "-l"} & {*run.arguments}
            if not asks:
                return Finding(Severity.HIGH, f"{named[0]} was told to end: {run}", MATCHED)
    return None
