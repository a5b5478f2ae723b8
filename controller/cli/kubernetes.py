# SPDX-License-Identifier: Apache-2.0
"""`kubernetes`: API servers that send their audit, so that a visit to a pod gets the name of who asked for it."""

from __future__ import annotations

import base64
import re
import secrets
import signal
import sys
import time
from typing import TYPE_CHECKING, Any, BinaryIO, Final

import click
import msgspec

from controller.cli import output
from controller.cli.group import FailedError, UnreachableError
from controller.cli.output import text, when

if TYPE_CHECKING:
    from collections.abc import Iterator

    from controller.cli.state import State
    from controller.store.clusters import ClusterView

BATCH: Final = 400
MAX_REPLAYED: Final = 8 * 1024 * 1024
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


@click.group()
def kubernetes() -> None:
    """API servers of Kubernetes that send their audit."""


@kubernetes.command()
@click.argument("name")
@output.as_json
@click.pass_obj
def enroll(state: State, name: str, *, json_: bool) -> None:
    r"""Prints the kubeconfig by which the API server of cluster NAME sends its audit here. It holds a secret.

    \b
    Example:
      nsentry-controller kubernetes enroll prod > nsentry-audit.kubeconfig
    On the API server's host then, with an audit policy that has pods/exec (docs/kubernetes.md):
      kube-apiserver --audit-policy-file=POLICY --audit-webhook-config-file=nsentry-audit.kubeconfig \
        --audit-webhook-truncate-enabled --audit-webhook-batch-max-wait=2s
    """
    from controller import server  # noqa: PLC0415 - help does not wait for it
    from controller.pki import Pki  # noqa: PLC0415 - as above
    from controller.store import clusters  # noqa: PLC0415 - as above

    if not _NAME.fullmatch(name):
        raise click.BadParameter(
            "letters, digits, '.', '_' and '-' make a name, 63 at most", param_hint="NAME"
        )
    settings = state.settings()
    running = server.running(settings.lock_file)
    url = running.url if running else settings.url
    ca_pem = Pki(settings.state_dir).ca_pem()
    made = state.write(lambda connection: clusters.enrol(connection, name, time.time_ns()))
    if made is None:
        raise FailedError(
            f"{text(name)} is enrolled: revoke it first with 'nsentry-controller kubernetes revoke {text(name)}'"
        )
    kubeconfig = _kubeconfig(name, url, ca_pem, made[1])
    if json_:
        output.json_line({"id": made[0], "name": name, "url": url, "kubeconfig": kubeconfig})
        return
    click.echo(msgspec.yaml.encode(kubeconfig).decode(), nl=False)
    click.echo(f"Enrolled {name} ({made[0]}). Give this to its API server:", err=True)
    click.echo("  --audit-webhook-config-file=FILE --audit-webhook-truncate-enabled", err=True)


def _kubeconfig(name: str, url: str, ca_pem: str, credential: str) -> dict[str, Any]:
    """As https://kubernetes.io/docs/tasks/debug/debug-cluster/audit/#webhook-backend wants it."""
    from controller.ingest.audit import ADDRESS  # noqa: PLC0415 - help does not wait for it

    ca = base64.b64encode(ca_pem.encode()).decode()
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {"name": "nsentry", "cluster": {"server": f"{url}{ADDRESS}", "certificate-authority-data": ca}}
        ],
        "users": [{"name": name, "user": {"token": credential}}],
        "contexts": [{"name": "nsentry", "context": {"cluster": "nsentry", "user": name}}],
        "current-context": "nsentry",
    }


@kubernetes.command("list")
@output.as_json
@click.pass_obj
def list_(state: State, *, json_: bool) -> None:
    r"""The clusters, and hosts whose sensor reads an audit log: when each was heard, how late, and what is missing.

    \b
    Examples:
      nsentry-controller kubernetes list
      nsentry-controller kubernetes list --json | jq '.sources[] | {place, delay_ns, gaps}'
    """
    from controller.store import clusters  # noqa: PLC0415 - as above

    with state.reading() as connection:
        rows = clusters.list_(connection)
    if json_:
        output.json_lines(rows)
        return
    columns = {
        "NAME": lambda row: text(row["name"]),
        "ID": lambda row: text(row["id"]),
        "WAY": lambda row: row["way"],
        "STATE": _state,
        "HEARD": lambda row: when(max((each["heard"] for each in row["sources"]), default=None)),
        "LATE": lambda row: _seconds(row, "delay_ns"),
        "CLOCK": _clock,
        "RECORDS": lambda row: str(row["records"]),
        "GAPS": lambda row: str(sum(each["gaps"] for each in row["sources"])),
        "REFUSED": lambda row: _counts(row["refused"]),
        "NODES": lambda row: text(", ".join(row["nodes"]) or None),
    }
    output.table(columns, rows, "No clusters: 'nsentry-controller kubernetes enroll NAME'.")
    for row in rows:
        passed = {what: number for what, number in row["events"].items() if number}
        if passed:
            output.line(f"{text(row['name'])}: events {_counts(passed)}")


@kubernetes.command()
@click.argument("host")
@click.option("--not", "not_", is_flag=True, help="Not any more.")
@click.pass_obj
def trust(state: State, host: str, *, not_: bool) -> None:
    r"""Believes the audit log that HOST's sensor reads (name or id) about the pods of other hosts too.

    Without that it counts for HOST itself alone: else root of any node could tell of requests that never were.

    \b
    Example:
      nsentry-controller kubernetes trust control-plane-1
    """
    from controller.store import audit_sources, hosts  # noqa: PLC0415 - as above

    with state.reading() as connection:
        found = hosts.show(connection, host)
    if found is None:
        raise FailedError(
            f"{text(host)}: no host, or several, of this name: see 'nsentry-controller sensors list'"
        )
    if not state.write(lambda connection: audit_sources.trust(connection, found["id"], trusted=not not_)):
        raise FailedError(
            f"{text(host)} reads no audit log so far: set records.kubernetes_audit for its sensor"
        )
    output.line(f"{'not trusted' if not_ else 'trusted'}: the audit log of {text(found['name'])}")


@kubernetes.command()
@click.argument("file", type=click.File("rb"), default="-")
@click.option("--name", metavar="NAME", help="What the cluster is called. Default: one of this run.")
@click.option(
    "--hold", type=click.IntRange(0, 600), default=0, help="Keep it enrolled for so many seconds after."
)
@click.pass_obj
def replay(state: State, file: BinaryIO, *, name: str | None, hold: int) -> None:
    r"""Sends the lines of an audit log to the controller that serves, as a cluster of its own that is revoked after.

    What the detections make of an API server's audit, before it is connected. FILE: else standard input.

    \b
    Examples:
      nsentry-controller kubernetes replay /var/log/kubernetes/audit.log
      nsentry-controller kubernetes replay --name trial < audit.log && nsentry-controller records list --host trial
    """
    from controller import server  # noqa: PLC0415 - as above
    from controller.pki import Pki  # noqa: PLC0415 - as above
    from controller.store import clusters  # noqa: PLC0415 - as above

    settings = state.settings()
    running = server.running(settings.lock_file)
    if running is None:
        raise UnreachableError("no controller serves this state folder: nsentry-controller serve")
    called = name or f"replay-{secrets.token_hex(4)}"
    made = state.write(lambda connection: clusters.enrol(connection, called, time.time_ns()))
    if made is None:
        raise FailedError(f"{text(called)} is enrolled: choose another --name")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that it is revoked
    try:
        sent = _send(running.url, str(Pki(settings.state_dir).ca_file), made[1], file)
        time.sleep(hold)
    finally:
        state.write(lambda connection: clusters.revoke(connection, made[0], time.time_ns()))
    output.line(
        f"sent {sent} lines as cluster {text(called)}: nsentry-controller records list --host {text(called)}"
    )


def _send(url: str, ca_file: str, credential: str, file: BinaryIO) -> int:
    import requests  # noqa: PLC0415 - as above

    from controller.ingest.audit import ADDRESS  # noqa: PLC0415 - as above

    sent = 0
    with requests.Session() as session:
        session.trust_env = False  # neither a proxy nor another CA comes between
        session.headers["authorization"] = f"Bearer {credential}"
        for lines in _batches(file):
            sent += len(lines)
            items = b",".join(lines)
            batch = b'{"kind":"EventList","apiVersion":"audit.k8s.io/v1","items":[' + items + b"]}"
            try:
                answer = session.post(f"{url}{ADDRESS}", data=batch, verify=ca_file, timeout=60)
            except requests.RequestException as error:
                raise UnreachableError(f"{url} does not answer: {error}") from error
            if not answer.ok:
                raise FailedError(f"line {sent - len(lines) + 1} and on: {text(answer.json().get('error'))}")
    return sent


def _batches(file: BinaryIO) -> Iterator[list[bytes]]:
    """The lines of a log that are not empty, as many at once as are taken together."""
    lines: list[bytes] = []
    size = 0
    for line in file:
        if line.strip():
            lines.append(line.strip())
            size += len(line)
        if size > MAX_REPLAYED or len(lines) == BATCH:
            yield lines
            lines, size = [], 0
    if lines:
        yield lines


@kubernetes.command()
@click.argument("cluster")
@click.pass_obj
def revoke(state: State, cluster: str) -> None:
    r"""Ends the credential of CLUSTER (name or id): from now on its API server is answered 401.

    \b
    Example:
      nsentry-controller kubernetes revoke prod
    """
    from controller.store import clusters  # noqa: PLC0415 - as above

    if not state.write(lambda connection: clusters.revoke(connection, cluster, time.time_ns())):
        raise FailedError(
            f"{text(cluster)}: no such cluster is enrolled: see 'nsentry-controller kubernetes list'"
        )
    output.line(f"revoked {text(cluster)}")


def _state(row: ClusterView) -> str:
    if row["revoked"] is not None:
        return "revoked"
    if not row["sources"]:
        return "enrolled"
    if all(each["away"] for each in row["sources"]):
        return "away"
    return "ok" if any(each["tells_of_execs"] for each in row["sources"]) else "no exec yet"


def _seconds(row: ClusterView, name: str, prefix: str = "") -> str:
    longest: int = max((each[name] for each in row["sources"]), default=0)  # type: ignore[literal-required]
    return f"{prefix}{longest / 1e9:.1f} s" if longest else output.UNKNOWN


def _clock(row: ClusterView) -> str:
    ahead = _seconds(row, "ahead_ns", "ahead ")
    return _seconds(row, "behind_ns", "behind ") if ahead == output.UNKNOWN else ahead


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{text(name)} {count}" for name, count in counts.items()) or output.UNKNOWN
