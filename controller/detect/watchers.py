# SPDX-License-Identifier: Apache-2.0
"""What watches a machine, by its names: agents of security and of logs, their files and their settings.

A name is evidence where it is found, never where one is not: any agent can be called otherwise.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from controller.detect.programs import words

if TYPE_CHECKING:
    from controller.detect.commands import Invocation

AGENT: Final = re.compile(
    r"(?:^|/)(?:nsentry-sensor|falco|falcoctl|tetragon|tracee|auditd|osqueryd|ossec\w*|wazuh[\w-]*|filebeat|auditbeat|"
    r"metricbeat|elastic-agent|fluent-?(?:d|bit)|rsyslogd?|syslog-ng|vector|datadog-agent|sysmon|clamd|aide|crowdsec|"
    r"falcon-sensor|cbagentd|mdatp|kubearmor|sentinelone|apparmor|fail2ban)(?:[.\s/*]|$)"
)
"""One of them, as a word of a command line or a part of a path."""
SETTINGS: Final = re.compile(
    r"/etc/(?:audit/\S+|selinux/config|rsyslog\.(?:conf|d/\S+)|(?:falco|filebeat|auditbeat|fluent-bit|osquery|datadog-agent|vector)/\S+)$"
)
INSTALLED: Final = re.compile(r"^/(?:opt|etc|usr|s?bin|lib|var/(?:lib|ossec))(?:/|$)")
"""Where programs and their settings lie, and no logs."""
FIREWALLS: Final = words("iptables ip6tables iptables-legacy iptables-nft nft ufw firewall-cmd")
_OPENS: Final = words("-F --flush flush disable reset --panic-off")
_SWITCHES: Final = {
    ("setenforce", "0"),
    ("setenforce", "Permissive"),
    ("auditctl", "-e0"),
    ("auditctl", "-D"),
    ("aa-teardown", ""),
}


def switched_off(run: Invocation) -> str | None:
    """A firewall, or the kernel's own watch, that was switched off; `-P INPUT ACCEPT` lets all pass."""
    given = {*run.arguments}
    if run.program in FIREWALLS and (_OPENS & given or ({"-P", "--policy"} & given and "ACCEPT" in given)):
        return "a firewall's rules were taken away"
    off = any((run.program, word) in _SWITCHES for word in ("".join(run.arguments[:2]), *run.arguments[:1]))
    return "the kernel's own watch was switched off" if off else None
