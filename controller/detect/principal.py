# SPDX-License-Identifier: Apache-2.0
"""Who it was: the principal that a process outside, a client of a daemon or an audit record stands for. Pure.

exact    the kernel's login uid of the very process, or the user of a record that is joined exactly
strong   one step is inferred: which of several clients it was, or whom an sshd opened the session for
weak     nothing contradicts it, and little supports it: "perhaps" in every sentence
none     it is not known, and `reason` says why; never the likelier of two names
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sensor.wire import Principal, printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sensor.wire import Caller, Login, PrincipalKind, Sure

RANKS: Final[dict[str, int]] = {"exact": 0, "strong": 1, "weak": 2, "none": 3}
MAX_NAME: Final = 64
MAX_CANDIDATES: Final = 3
_FIRST_USER: Final = 1000
_LAST_USER: Final = 60000
"""The accounts of people, by login.defs(5): others are of services."""


def unknown(reason: str, candidates: Iterable[str] = (), evidence: Iterable[str] = ()) -> Principal:
    """Nobody is named."""
    return _made("unknown", None, "none", reason, candidates=list(candidates), evidence=list(evidence))


def of_caller(caller: Caller) -> Principal:
    """Whom a process of the host, or of a container, belongs to."""
    if caller["container_id"] is not None:
        name = caller["container_name"] or caller["container_id"][:12]
        evidence = ["it is a process of that container, by its mount namespace or cgroup"]
        return _made("container", name, "exact", "the process runs in that container", evidence=evidence)
    login = caller["login"]
    if caller["opener"] == "cron":
        # cron sets the login uid of whose table it is (pam_loginuid).
        name = _account(login["uid"], login["user"]) if login else _account(caller["uid"], caller["user"])
        return _of(caller, "cron", name, "exact", "the process descends from cron")
    if login is not None:
        return _logged_in(caller, login)
    if caller["unit"] is not None and caller["opener"] == "service":
        return _of(
            caller, "service", caller["unit"], "exact", "the process runs in the cgroup of that service"
        )
    account = _account(caller["uid"], caller["user"])
    if _FIRST_USER <= caller["uid"] < _LAST_USER:
        return _of(
            caller, "person", account, "weak", "the process runs as that user, and descends from no login"
        )
    return unknown(f"the process ran as {account}, and descends from no login")


def _logged_in(caller: Caller, login: Login) -> Principal:
    account = _account(login["uid"], login["user"])
    if login["session"] is None and caller["opener"] == "ssh":
        reason = "whom the sshd above the process opened the session for: it has no login uid"
        return _of(caller, "person", account, "strong", reason)
    reason = "the kernel's login uid of the process, which no sudo changes"
    if caller["login_ended"]:
        reason += "; that login has ended, and who uses what it left is not known"
        return _of(caller, "person", account, "strong", reason)
    return _of(caller, "person", account, "exact", reason)


def of_login(login: Mapping[str, Any]) -> Principal:
    """Of the word of a sensor that told no more than the login uid of who entered."""
    made = _made("person", _account(login["uid"], login["user"]), "exact", "the kernel's login uid")
    made["uid"], made["session"] = login["uid"], login["session"]
    made["evidence"] = [f"login uid {login['uid']} of the process that entered"]
    return made


def of_request(request: Mapping[str, Any], confidence: Sure, reason: str) -> Principal:
    """Of a Kubernetes audit record that is joined to the visit, so surely."""
    made = _made("kubernetes", request["user"], confidence, reason)
    addresses = request.get("addresses") or []
    made["source"] = addresses[0] if addresses else None
    made["impersonated"] = request.get("impersonated")
    made["evidence"] = [f"the Kubernetes audit record names {request['user']}"]
    if made["impersonated"]:
        made["evidence"].append(f"it acted as {made['impersonated']}")
    return made


def less(principal: Principal, confidence: Sure, reason: str, evidence: str) -> Principal:
    """The same, no surer than the step by which it was come upon."""
    if principal["kind"] == "unknown":
        return {**principal, "evidence": [evidence, *principal["evidence"]]}
    worse = confidence if RANKS[confidence] > RANKS[principal["confidence"]] else principal["confidence"]
    why = reason if principal["confidence"] == "exact" else f"{reason}; {principal['reason']}"
    return {**principal, "confidence": worse, "reason": why, "evidence": [evidence, *principal["evidence"]]}


def same(principals: list[Principal]) -> Principal | None:
    """The one that all are, None where they differ; where one person has several sessions, none of them."""
    first = principals[0]
    if any((each["kind"], each["name"], each["uid"]) != _identity(first) for each in principals):
        return None
    worst = max(principals, key=lambda each: RANKS[each["confidence"]])
    if all(
        (each["source"], each["session"], each["tty"]) == (first["source"], first["session"], first["tty"])
        for each in principals
    ):
        return worst
    return {**worst, "source": None, "session": None, "tty": None, "via": []}


def called(principal: Principal) -> str:
    """How a candidate is called."""
    name = principal["name"] or "somebody unknown"
    return f"{name} ({principal['source']})" if principal["source"] else name


def named(principal: Mapping[str, Any]) -> str:
    """Who it was, and from where, as far as it is known: "jane (ssh from 10.0.0.5, sudo)"."""
    if principal["name"] is None:
        return "unknown"
    name = _short(principal["name"])
    kind = principal["kind"]
    what = {"cron": f"a cron job of {name}", "service": f"service {name}", "container": f"container {name}"}
    more = []
    if kind == "kubernetes":
        more = ["Kubernetes", *([f"from {_short(principal['source'])}"] if principal["source"] else [])]
        if principal["impersonated"]:
            more.append(f"acting as {_short(principal['impersonated'])}")
    elif principal["source"]:
        more = [f"ssh from {_short(principal['source'].rpartition(':')[0].strip('[]'))}"]
    elif principal["tty"] and principal["tty"].startswith("tty"):
        more = [f"on {_short(principal['tty'])}"]
    more += [_short(each) for each in principal["via"][:MAX_CANDIDATES]]
    perhaps = "perhaps " if principal["confidence"] == "weak" else ""
    return f"{perhaps}{what.get(kind, name)}" + (f" ({', '.join(more)})" if more else "")


def said_of(principal: Mapping[str, Any]) -> str:
    """How a sentence names whoever it was: by name, by those that it may have been, or not at all."""
    if principal["name"]:
        return named(principal)
    candidates = " or ".join(_short(each) for each in principal["candidates"][:MAX_CANDIDATES])
    return candidates or "somebody who is not known"


def _short(text: str) -> str:
    shown = printable(text)
    return shown if len(shown) <= MAX_NAME else shown[: MAX_NAME - 1] + "…"


def _identity(principal: Principal) -> tuple[str, str | None, int | None]:
    return principal["kind"], principal["name"], principal["uid"]


def _account(uid: int, name: str | None) -> str:
    return name or ("root" if uid == 0 else f"uid {uid}")


def _of(caller: Caller, kind: PrincipalKind, name: str, confidence: Sure, reason: str) -> Principal:
    login = caller["login"]
    made = _made(kind, name, confidence, reason)
    made["uid"] = login["uid"] if login else None
    made["session"] = login["session"] if login else None
    made["source"], made["tty"], made["via"] = caller["source"], caller["tty"], caller["via"]
    if login is not None and login["session"] is not None:
        made["evidence"].append(f"login uid {login['uid']}, audit session {login['session']}")
    if caller["source"]:
        made["evidence"].append(f"the socket of its sshd, from {caller['source']}")
    if caller["unit"]:
        made["evidence"].append(f"its cgroup is that of {caller['unit']}")
    if caller["uid"] != (login["uid"] if login else caller["uid"]):
        made["evidence"].append(f"it ran as {_account(caller['uid'], caller['user'])}")
    return made


def _made(
    kind: PrincipalKind,
    name: str | None,
    confidence: Sure,
    reason: str,
    *,
    evidence: list[str] | None = None,
    candidates: list[str] | None = None,
) -> Principal:
    return Principal(
        kind=kind,
        name=name,
        uid=None,
        source=None,
        tty=None,
        session=None,
        via=[],
        impersonated=None,
        evidence=evidence or [],
        confidence=confidence,
        reason=reason,
        candidates=candidates or [],
    )
