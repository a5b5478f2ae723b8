# SPDX-License-Identifier: Apache-2.0
"""A day of Docker's operations."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.runtimes.day import system
from tests.runtimes.day.work import Work
from vagrant.local.dockerd import Dockerd

IMAGE = "busybox:quiet"
SYSTEM = "systemd:quiet"
ABSENT = "absent:quiet"
CRON = "mkdir -p /c && echo '* * * * * true' > /c/root && exec crond -f -c /c"
CHECKED = ("--health-interval=1s", "--health-timeout=20s", "--health-cmd")
CHECKS = (
    "test -e /bin/busybox",
    "wget -q -O /dev/null http://127.0.0.1:1/ || true",
    "cat /etc/passwd | head -1",
)


class Docker:
    """One daemon on this day. `parts` are done in turn, as often as wanted; `stay` once, before them."""

    def __init__(self, work: Work, daemon: Dockerd) -> None:
        self._work = work
        self._daemon = daemon
        self.parts = (self.burst, self.life, self.company, self.project, self.trouble, self.build)

    def stay(self) -> None:
        """What runs all day: containers with a health check, one with cron, one with systemd."""
        self._daemon.image(IMAGE)
        with TemporaryDirectory() as folder:
            system.context(Path(folder), IMAGE)
            self._do("build", "-q", "-t", SYSTEM, folder)
        for check in CHECKS:
            self._container(options=(*CHECKED, check))
        self._container(options=(*CHECKED, "/bin/nosuch"))
        absent = f'FROM {IMAGE}\nHEALTHCHECK --interval=1s CMD ["/bin/nosuch"]\nCMD ["sleep", "36000"]\n'
        self._work.do(self._daemon.command("build", "-q", "-t", ABSENT, "-"), stdin=absent.encode())
        self._work.made_one(self._do("run", "-d", ABSENT))
        self._container("sh", "-c", CRON)
        self._work.made_one(self._do("run", "-d", *system.options(), SYSTEM))

    def end(self) -> None:
        """Everything goes, at once."""
        if containers := self._do("ps", "-aq").split():
            self._do("rm", "-f", "-v", *containers)

    def _do(self, *arguments: str, fails: bool = False) -> str:
        return self._work.do(self._daemon.command(*arguments), fails=fails)

    def _container(self, *command: str, options: tuple[str, ...] = ()) -> str:
        made = self._do("run", "-d", *options, IMAGE, *(command or ("sleep", "36000")))
        return self._work.made_one(made)

    def burst(self) -> None:
        """Several at once, each with its own short life."""
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda _: self._short(), range(4)))

    def _short(self) -> None:
        name = self._work.name("x")
        self._work.made_one(self._do("create", "--name", name, IMAGE, "true"))
        self._do("start", "-a", name)
        self._do("rm", name)

    def life(self) -> None:
        """One container through all that is done to it from outside."""
        web = self._container("sh", "-c", CRON)
        for verb, *options in (
            ("restart", "-t", "0"),
            ("pause",),
            ("unpause",),
            ("top",),
            ("stats", "--no-stream"),
            ("logs",),
            ("update", "--restart", "no"),
            ("diff",),
            ("inspect",),
            ("port",),
        ):
            self._do(verb, *options, web)
        with TemporaryDirectory() as folder:
            file = Path(folder, "file")
            file.write_text("text", encoding="ascii")
            self._do("cp", str(file), f"{web}:/file")
            self._do("cp", f"{web}:/file", str(file))
            self._do("export", "-o", f"{folder}/root.tar", web)
        self._do("commit", web, image := self._work.name("i"))
        self._do("rmi", image)
        self._do("rename", web, self._work.name("r"))
        self._do("stop", "-t", "0", web)
        self._do("start", web)
        self._do("kill", web)
        self._do("rm", web)

    def company(self) -> None:
        """Containers that share what others have of their own."""
        first = self._container(options=("--ipc", "shareable"))
        for kind in ("pid", "network", "ipc"):
            self._container("sh", "-c", "ps; true", options=(f"--{kind}=container:{first}",))
        self._container("true", options=("--network", "host", "--pid", "host"))
        network = self._work.name("n")
        self._do("network", "create", network)
        self._do("network", "connect", network, first)
        self._do("network", "disconnect", network, first)
        self._do("network", "rm", network)
        self._do("rm", "-f", first)

    def project(self) -> None:
        """What a compose file does: a network, its services all at once, one made anew, and all down again."""
        network, volume = self._work.name("n"), self._work.name("v")
        self._do("network", "create", network)
        self._do("volume", "create", volume)

        def service(command: tuple[str, ...]) -> str:
            options = (
                "--network",
                network,
                "-v",
                f"{volume}:/data",
                "--restart",
                "unless-stopped",
                "-p",
                "80",
            )
            return self._container(*command, options=options)

        with ThreadPoolExecutor(3) as pool:
            made = list(
                pool.map(service, [("httpd", "-f"), ("sleep", "36000"), ("sh", "-c", "id; sleep 600")])
            )
        self._do("rm", "-f", made.pop())
        made.append(service(("httpd", "-f")))
        self._do("restart", "-t", "0", *made)
        self._do("rm", "-f", *made)
        self._do("volume", "rm", volume)
        self._do("network", "rm", network)

    def trouble(self) -> None:
        """What does not go well."""
        self._do("run", "--rm", IMAGE, "/bin/nosuch", fails=True)
        self._do("run", "--rm", IMAGE, "false", fails=True)
        self._container("false", options=("--restart", "on-failure:2"))
        self._do("run", "--rm", "--memory", "6m", IMAGE, "sh", "-c", "kill -9 $$", fails=True)

    def build(self) -> None:
        """An image of some steps, by the daemon's own builder."""
        tag = self._work.name("b") + ":1"
        text = f"FROM {IMAGE}\nRUN echo {tag} > /made\nRUN cat /made && id\nUSER 65534\nRUN id\n"
        self._work.do(self._daemon.command("build", "-q", "-t", tag, "-"), stdin=text.encode())
        self._work.count(2)  # each step is a container
        self._do("rmi", tag)
