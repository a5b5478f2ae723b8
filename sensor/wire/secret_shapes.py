# SPDX-License-Identifier: Apache-2.0
"""What a secret looks like: names that announce one, values that are one by their shape, options for one.

Data for `redact`. Every pattern here matches in time linear in the text: it is run on what an attacker wrote.
A lookbehind before each repeated class and possessive quantifiers see to that; the latter on single classes
only, for on groups they match too much before Python 3.11.5 (python/cpython#106052).
"""

from __future__ import annotations

import re
from typing import Final, Literal

Form = Literal["separate", "attached", "both", "pair"]
"""How an option takes its secret: `-p x`, `-px`, either, or either as user:secret or user%secret."""

_WORDS: Final = frozenset(
    {"auth", "authorization", "bearer", "cookie", "credential", "dbpass", "jwt", "otp", "pass", "passcode"}
    | {"passphrase", "passwd", "password", "pw", "pwd", "rootpass", "secret", "secrets", "sig", "signature"}
    | {"sshpass", "token", "tokens", "userpass"}
)
_ENDINGS: Final = ("password", "passwd", "passphrase", "secret", "token", "apikey", "credentials")
_KEYS: Final = frozenset(
    {"access", "account", "api", "auth", "encryption", "master", "private", "secret", "shared", "signing"}
)
"""A "key" is a secret only after one of these: access key, API key."""
_HARMLESS: Final = frozenset(
    {"algorithm", "dir", "endpoint", "env", "expiry", "file", "id", "length", "lifetime", "method", "mode"}
    | {"name", "path", "policy", "stdin", "ttl", "type", "uri", "url"}
)
"""Last words that make a name one of something around the secret: --password-file, TOKEN_URL."""
_PARTS: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")

VALUES: Final[tuple[re.Pattern[str], ...]] = (
    re.compile(
        r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY-----"
        r"[^-]*+(?:-(?!----END)[^-]*+)*(?:-----END [A-Z0-9 ]{0,40}-----)?"
    ),
    re.compile(r"(?<![A-Za-z0-9])(?:AKIA|ASIA)[0-9A-Z]{16}(?![A-Za-z0-9])"),
    re.compile(r"(?<![\w-])eyJ[\w-]{8,}+\.[\w-]{8,}+(?:\.[\w-]*+)?"),
    re.compile(
        r"(?<![\w-])(?:gh[pousr]_|github_pat_|glpat-|xox[abeoprs]-|sk_live_|rk_live_|sk-|AIza|npm_|dckr_pat_|hv[sb]\."
        r"|pypi-|SG\.|nsentry1\.)[\w.-]{16,}+"
    ),
)
"""Secrets wherever they stand: private keys, AWS keys, JWTs, tokens with a well-known prefix."""

BEARER: Final = re.compile(r"(?i)(?<![\w-])(?P<keep>(?:bearer|basic)[ \t]{1,3})(?P<secret>[\w.~+/=-]{8,}+)")
HEADER: Final = re.compile(
    r"(?i)(?<![\w-])(?P<keep>(?:(?:proxy-)?authorization|(?:set-)?cookie)"
    r"[\"']?[ \t]{0,3}[:=][ \t]{0,3}[\"']?)"
    r"(?P<secret>[^\"'\r\n]++)"
)
"""A header's value may hold blanks, so it goes on to the end of the line or the closing quote."""
URL: Final = re.compile(
    r"(?<![\w+.-])(?P<keep>[A-Za-z][\w+.-]{1,20}+://[^\s/?#@:\"']{0,128}+:)(?P<secret>[^\s/?#@\"']{1,512}+)(?=@)"
)
URL_TOKEN: Final = re.compile(
    r"(?<![\w+.-])(?P<keep>[A-Za-z][\w+.-]{1,20}+://)(?P<secret>[^\s/?#@:\"']{16,512}+)(?=@)"
)
"""A "user" of this length alone before a host is a token: https://TOKEN@example.com."""
PASS_ARGUMENT: Final = re.compile(r"(?<![\w:])(?P<keep>pass:)(?P<secret>[^\s\"']++)")
"""openssl's `-passin pass:secret`."""

_MYSQL: Final[dict[str, Form]] = {"-p": "attached"}
_MONGO: Final[dict[str, Form]] = {"-p": "both"}
_LDAP: Final[dict[str, Form]] = {"-w": "both"}
_ARCHIVE: Final[dict[str, Form]] = {"-P": "both"}
_SAMBA: Final[dict[str, Form]] = {"-U": "pair", "--user": "pair"}

OPTIONS: Final[dict[str, dict[str, Form]]] = {
    "mysql": _MYSQL,
    "mysqladmin": _MYSQL,
    "mysqlcheck": _MYSQL,
    "mysqldump": _MYSQL,
    "mysqlimport": _MYSQL,
    "mysqlshow": _MYSQL,
    "mariadb": _MYSQL,
    "mariadb-admin": _MYSQL,
    "mariadb-check": _MYSQL,
    "mariadb-dump": _MYSQL,
    "mariadb-import": _MYSQL,
    "mariadb-show": _MYSQL,
    "7z": _MYSQL,
    "7za": _MYSQL,
    "mongo": _MONGO,
    "mongosh": _MONGO,
    "mongodump": _MONGO,
    "mongoexport": _MONGO,
    "mongoimport": _MONGO,
    "mongorestore": _MONGO,
    "sshpass": _MONGO,
    "ldapadd": _LDAP,
    "ldapdelete": _LDAP,
    "ldapmodify": _LDAP,
    "ldappasswd": _LDAP,
    "ldapsearch": _LDAP,
    "ldapwhoami": _LDAP,
    "zip": _ARCHIVE,
    "unzip": _ARCHIVE,
    "sqlcmd": _ARCHIVE,
    "smbclient": _SAMBA,
    "rpcclient": _SAMBA,
    "redis-cli": {"-a": "separate"},
    "login": {"-p": "separate"},  # `docker login -p`, and podman's and helm's
    "curl": {"-u": "pair", "--user": "pair", "-U": "pair", "--proxy-user": "pair", "-E": "pair"},
}
"""Options that take a secret and do not say so by their name, by the program's name."""


def announces(name: str) -> bool:
    """Whether what is called `name` is likely to be a secret: "DB_PASSWORD", "--api-key", "authToken"."""
    parts = [part.lower() for part in _PARTS.findall(name[-96:])]
    if not parts or parts[-1] in _HARMLESS:
        return False
    for before, part in zip(["", *parts], parts, strict=False):
        if part in _WORDS or part.endswith(_ENDINGS):
            return True
        if part in {"key", "keys"} and before in _KEYS:
            return True
    return False
