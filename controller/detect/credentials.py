# SPDX-License-Identifier: Apache-2.0
"""Where credentials lie, and what looks for them: in command lines alone."""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING, Final

from controller.detect.programs import words

if TYPE_CHECKING:
    from controller.detect.commands import Invocation

PATH: Final = re.compile(
    r"/etc/g?shadow\b|(?:/run/secrets/|secrets/kubernetes\.io/)\S*|\.ssh/(?!known_hosts)|\bid_(?:rsa|dsa|"
    r"ecdsa|ed25519)\b(?!\.pub)|\.aws/credentials|\.config/gcloud|\.azure/|\.kube/config|/etc/kubernetes/\S*\.conf|"
    r"\.docker/config\.json|\.git-credentials|\.netrc\b|\.pgpass|\.my\.cnf|\.vault-token|/proc/[^/\s]+/environ|"
    r"\b(?:docker|podman|containerd|crio)\.sock\b|169\.254\.169\.254|metadata\.google\.internal"
)
_HISTORY: Final = re.compile(r"\.(?:ba|z|k|a|da)?sh_history$|\.(?:mysql|psql|python|rediscli)_history$")
_FILE: Final = re.compile(
    r"\*?(?:id_(?:rsa|dsa|ecdsa|ed25519)|token|credentials|shadow|kubeconfig|authorized_keys|\.env|\.netrc|\.pgpass|\.git-credentials|"
    r"\.htpasswd|\w*\.(?:kdbx|pfx|p12|jks|keystore|ppk|ovpn)|\*?(?:password|passwd|secret|credential)s?\*?(?:\.\w+)?)\*?",
    re.IGNORECASE,
)
_NAME: Final = re.compile(r"[\w.][\w./-]*")
_READS: Final = words(
    "cat less more head tail strings grep egrep fgrep zgrep cp tar base64 xxd od awk sed sort vi"
)
_GREPS: Final = words("grep egrep fgrep rgrep rg ag zgrep")
_SECRET: Final = re.compile(
    r"passw(?:or)?d|secret|api.?key|access.?key|private.?key|credential|token|AKIA", re.IGNORECASE
)


def path(run: Invocation, cwd: str | None = None) -> str | None:
    """The place of a credential that it is given; a shell's history, where people type some, counts if it is read.

    `cwd`: where it runs, for what is given by its name alone.
    """
    for word in run.arguments:
        if found := PATH.search(word) or PATH.search(_whole(word, cwd)):
            return found[0]
        if run.program in _READS and (found := _HISTORY.search(word)):
            return found[0]
    return None


def _whole(word: str, cwd: str | None) -> str:
    """`word` as a path from the root on, without detours: "/etc/../etc//shadow" is /etc/shadow."""
    if not word.startswith("/") and (cwd is None or not _NAME.fullmatch(word)):
        return ""
    return posixpath.normpath(posixpath.join(cwd or "/", word))


def searches(run: Invocation) -> bool:
    """Whether it goes through whole folders for secrets, by the words beside them or by the names of their files.

    `grep -ri password /etc`, `xargs grep -l password`, `find / -name id_rsa`.
    """
    if run.program in {"find", "locate"} and any(map(_FILE.fullmatch, run.arguments)):
        return True
    if run.program in {"find", "xargs"} and _GREPS & {*run.arguments}:
        return any(map(_SECRET.search, run.arguments))
    flags = [word for word in run.arguments if word.startswith("-")]
    deep = run.program in {"rgrep", "rg", "ag"} or any(
        word == "--recursive" or re.match(r"-[a-zA-Z]*[rR]", word) for word in flags
    )
    pattern = next((word for word in run.arguments if not word.startswith("-")), "")
    return run.program in _GREPS and deep and bool(_SECRET.search(pattern))
