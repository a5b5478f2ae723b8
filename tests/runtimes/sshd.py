# SPDX-License-Identifier: Apache-2.0
"""A private sshd with accounts of its own, which are gone at the end."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path
from tempfile import mkdtemp

_CONFIG = """
Port {port}
ListenAddress 127.0.0.1
ListenAddress ::1
HostKey {folder}/host_key
PidFile {folder}/sshd.pid
AuthorizedKeysFile {folder}/user_key.pub
PermitRootLogin prohibit-password
PasswordAuthentication no
UsePAM yes
StrictModes no
MaxStartups 50
PermitUserEnvironment no
"""


class Sshd:
    """Takes its users' key for each of `accounts`, who are in a `group` of their own, and for root."""

    def __init__(self, accounts: tuple[str, ...], group: str) -> None:
        self._group = group
        # Not below pytest's folder, which its users may not enter.
        self.folder = Path(mkdtemp(prefix="nsshd-"))
        self._accounts = accounts
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]

    def __enter__(self) -> Sshd:
        for name in ("host_key", "user_key"):
            key = self.folder / name
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
        self.folder.chmod(0o755)  # an account's key is read as that user
        subprocess.run(["groupadd", self._group], check=True)
        for account in self._accounts:
            line = ["useradd", "--create-home", "--shell", "/bin/sh", "--groups", self._group, account]
            subprocess.run(line, check=True)
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # where it confines what is not logged in yet
        (self.folder / "sshd_config").write_text(_CONFIG.format(port=self.port, folder=self.folder))
        log = self.folder / "sshd.log"
        subprocess.run(["/usr/sbin/sshd", "-f", self.folder / "sshd_config", "-E", log], check=True)
        self._until_it_listens()
        return self

    def __exit__(self, *_: object) -> None:
        os.kill(int((self.folder / "sshd.pid").read_text()), 15)
        for account in self._accounts:
            subprocess.run(["pkill", "-KILL", "-u", account], check=False)
            for _ in range(300):
                # Refused while the last of its processes is about to end.
                removed = subprocess.run(["userdel", "--remove", account], check=False, capture_output=True)
                if removed.returncode != 8:
                    break
                time.sleep(0.1)
        subprocess.run(["groupdel", self._group], check=True)
        shutil.rmtree(self.folder)

    def line(self, account: str, command: str, *options: str, host: str = "127.0.0.1") -> list[str]:
        """The command line by which somebody runs `command` over ssh."""
        quiet = (
            "-o",
            "StrictHostKeyChecking=no",
            "-o",
            "UserKnownHostsFile=/dev/null",
            "-o",
            "LogLevel=ERROR",
        )
        key = ("-o", "IdentitiesOnly=yes", "-i", str(self.folder / "user_key"))
        return [
            "ssh",
            "-F",
            "none",
            *quiet,
            *key,
            *options,
            "-p",
            str(self.port),
            f"{account}@{host}",
            command,
        ]

    def run(self, account: str, command: str, *options: str, host: str = "127.0.0.1") -> str:
        """Run it, and wait; what it wrote."""
        line = self.line(account, command, *options, host=host)
        done = subprocess.run(
            line, check=False, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=90
        )
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        return done.stdout

    def _until_it_listens(self) -> None:
        for _ in range(100):
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
            except OSError:
                time.sleep(0.05)
            else:
                return
        raise AssertionError((self.folder / "sshd.log").read_text())
