# SPDX-License-Identifier: Apache-2.0
"""Commands were hidden in an encoding and decoded into a shell or an interpreter: `base64 -d | sh` and kin.

So a command line passes a reader, and a rule that looks for words. What it decodes to runs as usual and is judged.
"""

from __future__ import annotations

import re

from controller.detect.commands import invocations, shell_texts
from controller.detect.programs import INTERPRETERS, SHELLS
from controller.detect.rule import Event, Finding, Severity, Visit

TITLE = "Encoded command decoded and run"
SEVERITY = Severity.HIGH
TECHNIQUES = ("T1027", "T1140", "T1059.004")

MATCHED = ("process.exe", "process.argv", "process.user")
DECODES = (
    r"(?:base(?:64|32)\s+(?:-\w*[dD]\w*|--decode)|openssl\s+(?:enc|base64)\b[^|]*\s-d\b|xxd\s+-\w*r\w*|uudecode|"
    r"gunzip\s+-c|gzip\s+-\w*d\w*|rev\b|tr\s+'?A-Za-z'?|"
    r"(?:printf|echo\s+-\w*e\w*)\s[^|;&]*?(?:\\x[0-9a-fA-F]{2}|\\[0-3][0-7]{2}){2})"
)
RUNS = (
    r"(?:(?:sudo|exec|env|nohup|(?:/\S*/)?busybox)\s+)*"
    r"(?:/\S*/)?(?:ba|da|a|z|k)?sh\b|(?:/\S*/)?(?:python[\d.]*|perl|ruby|node|php)\b"
)
PIPED = re.compile(rf"{DECODES}[^|;&]*\|\s*(?:[^|;&]*\|\s*)?(?:{RUNS})")
GIVEN = re.compile(rf"(?:{RUNS})[^|;&]*?(?:<<<\s*[\"']?(?:\$\(|`)|<\()[^)`]*{DECODES}")
FILED = re.compile(
    rf"{DECODES}[^|;&]*>\s*([^\s;&|]+)(?![^\s;&|])(?=.*(?:(?:{RUNS})|[;&]\s*\.)\s+\1(?![^\s;&|]))", re.DOTALL
)
SUBSTITUTED = re.compile(rf"(?:eval|sh\s+-c|\bsource|\.)\s+[\"']?(?:\$\(|`|<\()[^)`]*{DECODES}")
INLINE = re.compile(
    r"(?:exec|eval|compile|system)\b.*(?:b64decode|decode_base64|fromhex|base64_decode|atob|unpack\(|Buffer\.from)"
)
TEXT = (PIPED, SUBSTITUTED, GIVEN, FILED, INLINE)


def rule(visit: Visit, event: Event) -> Finding | None:  # noqa: ARG001 - every rule has this signature
    """Fires on the shell's string, or on an interpreter's one-liner, that does both: decode and run."""
    for text in shell_texts(event):
        if found := next(
            filter(None, (each.search(text) for each in (PIPED, SUBSTITUTED, GIVEN, FILED))), None
        ):
            return Finding(Severity.HIGH, f"a decoded text was run: {found[0]}", MATCHED)
    for run in invocations(event):
        inline = [word for word in run.arguments if INLINE.search(word)]
        if run.program in INTERPRETERS - SHELLS and inline:
            return Finding(Severity.HIGH, f"{run.program} was given an encoded program", MATCHED)
    return None
