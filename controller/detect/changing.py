# SPDX-License-Identifier: Apache-2.0
"""By whom a container came to be configured as it is: which client asked its daemon for that. Pure.

As for visits (`choosing`): who was connected is the kernel's word, and a command line only says which of those it
was. A client of which nothing says what it is there for is named alone, and then weakly; of several none is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from controller.detect import client_line
from controller.detect.choosing import MAX_NAMED, SLACK_NS
from controller.detect.principal import called, less, of_caller, of_request, same, unknown

if TYPE_CHECKING:
    from collections.abc import Container, Mapping, Sequence

    from sensor.wire import Client, Principal

_MAKES: Final = frozenset(
    {"run", "create", "start", "restart", "up", "scale", "runp", "play", "kube", "deploy"}
)
_VERBS: Final[Mapping[str, frozenset[str]]] = {
    "update": frozenset({"update", "updatec"}),
    "rename": frozenset({"rename"}),
    "network_connect": frozenset({"network", "up"}),
    "network_disconnect": frozenset({"network", "up", "down"}),
    "restart": frozenset({"restart"}),
    "create": _MAKES,
    "start": _MAKES,
}
"""Commands of clients by what their daemon tells of them."""


class Choice(NamedTuple):
    """Who it was, and the client whose command it was; "" where it is none of a command."""

    principal: Principal
    client: str = ""


def choose(
    event: Mapping[str, Any],
    request: Mapping[str, Any] | None = None,
    spent: Container[str] = (),
    since: int = 0,
) -> Choice:
    """Who did it. `event` is of kind configuration; `request` what an API server's audit tells of the pod.

    `spent`: clients whose commands made earlier changes of the same container; `since`: when it was told of last.
    """
    clients = [each for each in event.get("clients") or [] if key(each) not in spent]
    if request is None and event["because"] != "found" and event.get("caller") is None:
        return _of_clients(event, clients, since)
    return Choice(_known(event, request))


def _known(event: Mapping[str, Any], request: Mapping[str, Any] | None) -> Principal:
    """Who it was where no client can have asked, or where it does not matter which."""
    if request is not None:
        return of_request(request, "strong", "the API server's audit tells who had the pod made")
    if event["because"] == "found":
        return unknown("it was made or changed while no sensor watched")
    caller = event["caller"]
    who = of_caller(caller)
    return less(who, who["confidence"], who["reason"], f"{caller['comm']} (pid {caller['pid']}) did it")


def _of_clients(event: Mapping[str, Any], clients: Sequence[Client], since: int) -> Choice:
    unseen = event.get("clients_unseen")
    said = {key(each): says(each["caller"]["argv"], event) for each in clients}
    able = [each for each in clients if said[key(each)] != "else" and _in_time(each, event["time"])]
    named = [each for each in able if said[key(each)] == "names"]
    # A command that was over when the container was told of last had made what was told then.
    named = [each for each in named if not _over(each, since)] or named
    if len(named) == 1:
        return Choice(_one(named[0], unseen, alone=len(able) == 1, names=True), key(named[0]))
    if len(able) == 1:
        return Choice(_one(able[0], unseen, alone=True, names=False))
    if able:
        return Choice(_one_of(named or able))
    nobody = "nobody who was connected to the daemon can have asked: by the network, or it did so itself"
    return Choice(unknown(unseen or nobody))


def says(argv: Sequence[str] | None, event: Mapping[str, Any]) -> client_line.Says:
    """What a client's command line says of the change that `event` tells."""
    asked = client_line.command(argv)
    if asked is None:
        return "nothing"
    tool, words = asked
    told = event.get("told") or (["create", "start"] if event["because"] == "start" else [])
    verbs = {verb for action in told for verb in _VERBS.get(action, ())}
    if tool == "ctr":
        words = words[1:] if words[0] in {"task", "tasks", "t", "container", "containers", "c"} else words
    if not words or words[0] not in verbs:
        return (
            "else"
            if words and (words[0] == "exec" or client_line.does_something_else(words[0]))
            else "nothing"
        )
    return _about(tool, words, event["container"])


def _about(tool: str, words: Sequence[str], container: Mapping[str, Any]) -> client_line.Says:
    """Whether a command that does such things is about this container."""
    labels = container["labels"]
    if tool == "docker-compose":
        ours = labels.get("com.docker.compose.project") or labels.get("io.podman.compose.project")
        return "names" if ours else "else"
    name, identity = container["name"], container["id"] or ""
    rest = words[1:]
    if any(word.removeprefix("/") == name or (len(word) > 3 and identity.startswith(word)) for word in rest):
        return "names"
    given = next((word for at, word in enumerate(rest) if at and rest[at - 1] == "--name"), None)
    given = given or next((word[7:] for word in rest if word.startswith("--name=")), None)
    if words[0] not in {"run", "create"} or name is None:
        return "nothing" if name is None or words[0] in {"up", "play", "kube", "deploy"} else "else"
    if given is not None:
        return "names" if given == name else "else"
    image = container["image"]
    return "names" if image and image in rest else "nothing"


def _one(client: Client, unseen: str | None, *, alone: bool, names: bool) -> Principal:
    who, tool = of_caller(client["caller"]), client["caller"]["comm"]
    if tool == "kubelet" and who["kind"] != "container":
        return unknown("the kubelet asked, and no audit record names for whom")
    evidence = f"{tool} (pid {client['caller']['pid']}) was connected to {client['socket'] or 'the daemon'}"
    if names and alone and not unseen:
        return less(who, "exact", "of all who were connected only its command line names this", evidence)
    if names:
        why = "its command line names this container" + (f"; {unseen}" if unseen else "")
        return less(who, "strong", why, evidence)
    if unseen or client["witness"] == "held":
        why = "it was connected, and does not say what for" + (f"; {unseen}" if unseen else "")
        return less(who, "weak", why, evidence)
    return less(who, "strong", "nobody else was connected at that time", evidence)


def _one_of(clients: Sequence[Client]) -> Principal:
    every = [of_caller(each["caller"]) for each in clients]
    agreed, evidence = same(every), f"{len(every)} clients were connected that may have asked"
    if agreed is not None and agreed["kind"] != "unknown":
        return less(agreed, "strong", "whichever of them asked belongs to it", evidence)
    names = list(dict.fromkeys(called(each) for each in every))[:MAX_NAMED]
    return unknown("more than one who were connected may have asked", names, [evidence])


def _in_time(client: Client, at: int) -> bool:
    """Whether it was connected by then, and had not merely been there before and gone."""
    connected = client["connected"]
    if client["witness"] == "held" or not connected:
        return not client["closed"]
    return connected[0] <= at + SLACK_NS


def _over(client: Client, since: int) -> bool:
    """Whether it had connected for the last time by then, and has ended."""
    connected = client["connected"]
    return client["closed"] and bool(connected) and connected[-1] < since


def key(client: Client) -> str:
    """What names a client on its host and boot."""
    return f"{client['caller']['pid']}/{client['caller']['start']}"
