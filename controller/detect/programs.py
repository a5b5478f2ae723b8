# SPDX-License-Identifier: Apache-2.0
"""What programs are for, by their base names: the vocabulary that rules share.

A name proves nothing about a file, and any file can be renamed. These lists are evidence where a name is
found, and never where one is not.
"""

from __future__ import annotations

from typing import Final


def words(text: str) -> frozenset[str]:
    """The words of `text` as a set: how lists of names are written down."""
    return frozenset(text.split())


SHELLS: Final = words("sh ash bash dash zsh ksh mksh oksh ksh93 fish csh tcsh rbash yash hush elvish nu pwsh")
MULTICALL: Final = words("busybox toybox coreutils")
"""Programs that are many: what they do is named by argv[0], or by the first argument."""
INTERPRETERS: Final = words("python pypy perl ruby php node lua deno bun")

TRANSFER: Final = words(
    "curl wget wget2 aria2c axel http https xh lynx links elinks w3m ftp lftp tftp ftpget ftpput scp "
    "sftp rsync rclone smbclient"
)
"""Fetch or send files."""
NETCATS: Final = words("nc ncat netcat socat")
CONNECTORS: Final = NETCATS | words(
    "telnet ssl_client ssh dbclient sshpass nmap masscan zmap proxychains4 chisel gost ngrok "
    "cloudflared frpc websocat"
)
"""Open connections of any kind, scanners and tunnels among them."""
PACKAGE_MANAGERS: Final = words(
    "apt apt-get apk yum dnf microdnf zypper pacman pip uv npm pnpm yarn gem cargo go git conda"
)
REACH_OUT: Final = TRANSFER | CONNECTORS | PACKAGE_MANAGERS | INTERPRETERS | {"openssl"}
"""Can be told to."""
LOOKS: Final = words(
    "id whoami who w groups users last getent uname hostname arch lscpu ps top htop pstree lsof mount "
    "findmnt df lsblk capsh getcap getpcaps netstat ss ip ifconfig route arp dmesg lsmod amicontained"
)
"""Tell where one is, who one is and what runs there."""
RUNTIME_CLIENTS: Final = words(
    "docker docker-compose podman nerdctl ctr crictl kubectl oc k3s microk8s helm buildctl runc crun"
)
"""Clients of container runtimes and clusters."""
CONTAINER_TOOLS: Final = words(
    "amicontained deepce deepce.sh kdigger cdk peirates botb kube-hunter kubeletctl rakkess linpeas linpeas.sh"
)
"""Made to find out how to get on from inside a container."""
SCANNERS: Final = words(
    "nmap masscan zmap rustscan naabu fscan arp-scan arping fping netdiscover unicornscan hping3 zgrab zgrab2"
)
"""Try many hosts or ports."""
