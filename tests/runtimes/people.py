# SPDX-License-Identifier: Apache-2.0
"""Ways in which people and their jobs come to a command: sudo, cron, a console, a podman of their own."""

from __future__ import annotations

import pwd
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import mkdtemp

from tests.runtimes.sshd import Sshd
from tests.runtimes.ways.targets import PODMAN_IMAGE
from vagrant.local.dockerd import root_file_system

_PAM = Path("/etc/pam.d/cron")
_TABLES = Path("/var/spool/cron/crontabs")


@contextmanager
def sudoers(account: str) -> Iterator[None]:
    """The account may do everything without a password."""
    rule = Path("/etc/sudoers.d", account)
    rule.write_text(f"{account} ALL=(ALL) NOPASSWD: ALL\n", encoding="ascii")
    rule.chmod(0o440)
    try:
        yield
    finally:
        rule.unlink()


def console(account: str, line: str) -> None:
    """Log in at a terminal by login(1), which needs no password of root, and type a line."""
    typed = f"{line}\nexit\n"
    login = ["script", "-qec", f"login -f {account}", "/dev/null"]
    subprocess.run(login, input=typed.encode(), check=True, capture_output=True, timeout=60)


@contextmanager
def cron(account: str, line: str) -> Iterator[None]:
    """The account's job runs once. By Debian's cron where there is one to be had, else by one that does as it does."""
    folder = Path(mkdtemp(prefix="nscron-"))
    program = _fetched(folder)
    command = [str(program), "-f"] if program else _as_cron(folder, account, line)
    with ExitStack() as undo:
        undo.callback(shutil.rmtree, folder)
        if program:
            _table(account, line, undo)
        running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        undo.callback(running.wait)
        undo.callback(running.terminate)
        yield


def _fetched(folder: Path) -> Path | None:
    if installed := shutil.which("cron", path="/usr/sbin"):
        return Path(installed)
    got = subprocess.run(
        ["apt-get", "download", "cron"], cwd=folder, check=False, capture_output=True, timeout=60
    )
    packages = list(folder.glob("cron_*.deb"))
    if got.returncode or not packages:
        return None
    subprocess.run(["dpkg-deb", "-x", packages[0], folder], check=True)
    return folder / "usr" / "sbin" / "cron"


def _table(account: str, line: str, undo: ExitStack) -> None:
    """A job at cron's start, and cron's own rule for PAM, which sets the login uid."""
    if not _PAM.exists():
        _PAM.write_text("@include common-auth\nsession required pam_loginuid.so\n@include common-account\n")
        undo.callback(_PAM.unlink)
    _TABLES.mkdir(parents=True, exist_ok=True)
    table = _TABLES / account
    table.write_text(f"@reboot {line}\n", encoding="ascii")
    table.chmod(0o600)
    shutil.chown(table, account)
    undo.callback(table.unlink)
    for name in ("crond.reboot", "crond.pid"):
        undo.callback(Path("/run", name).unlink, missing_ok=True)


def _as_cron(folder: Path, account: str, line: str) -> list[str]:
    """A shell by the name of cron: sets the login uid as pam_loginuid does, and runs the job as the user."""
    shutil.copy("/bin/dash", folder / "cron")
    uid = pwd.getpwnam(account).pw_uid
    run = f"setpriv --reuid={uid} --init-groups sh -c {shlex.quote(line)}"
    job = f"(echo {uid} > /proc/self/loginuid; {run}); sleep 600"
    return [str(folder / "cron"), "-c", job]


def rootless(sshd: Sshd, account: str, undo: ExitStack) -> str:
    """The command line of an account's own podman, with our image in its store."""
    home = Path(pwd.getpwnam(account).pw_dir)
    (home / "run").mkdir(mode=0o700, exist_ok=True)
    limits = '[containers]\ndefault_ulimits = ["nofile=1024:1024", "nproc=1000:1000"]\n'
    (home / "containers.conf").write_text(limits, encoding="ascii")
    (home / "image.tar").write_bytes(root_file_system())
    for each in ("run", "containers.conf", "image.tar"):
        shutil.chown(home / each, account, account)
    podman = (
        f"XDG_RUNTIME_DIR={home}/run CONTAINERS_CONF={home}/containers.conf podman --storage-driver=vfs "
        "--cgroup-manager=cgroupfs --events-backend=file --runtime runc"
    )
    sshd.run(account, f"{podman} import {home}/image.tar {PODMAN_IMAGE}")
    undo.callback(sshd.run, account, f"{podman} system migrate")
    undo.callback(sshd.run, account, f"{podman} rm -f -t 0 -a")
    return podman
