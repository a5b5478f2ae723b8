# SPDX-License-Identifier: Apache-2.0
"""`api-tokens`: what other programs use the API with."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from controller.cli import output, times
from controller.cli.group import FailedError
from controller.cli.output import text, when

if TYPE_CHECKING:
    from controller.cli.state import State

SCOPES = ("approvals:read", "approvals:write")


@click.group("api-tokens")
def api_tokens() -> None:
    """Tokens of programs that use the API, such as a change system that opens approval windows."""


@api_tokens.command()
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    required=True,
    type=click.Choice(SCOPES),
    help="What it is good for; to write is to read too. May be given again.",
)
@click.option(
    "--expires",
    type=times.Later(),
    default="90d",
    show_default=True,
    metavar="TIME",
    help="Until when: RFC 3339, or 90d from now. A year at most.",
)
@output.as_json
@click.pass_obj
def create(state: State, *, name: str, scopes: tuple[str, ...], expires: int, json_: bool) -> None:
    r"""Prints a new token for the program NAME, once: only its digest is kept. Changes are audited as api:NAME.

    \b
    Examples:
      nsentry-controller api-tokens create change-system --scope approvals:write > token
      curl --cacert ca.pem -H "Authorization: Bearer $(cat token)" https://CONTROLLER:8443/api/v1/approvals \
          -d '{"principal": "jane", "pod": "shop/*", "until": "17:00", "change": "4711"}'
    """
    from controller.store import api_tokens as store  # noqa: PLC0415 - help does not wait for it
    from controller.store.views import rfc3339  # noqa: PLC0415 - as above

    by = (output.actor(), time.time_ns())
    try:
        made, secret = state.write(lambda connection: store.new(connection, name, scopes, expires, by))
    except ValueError as error:
        raise FailedError(f"not made: {error}") from error
    if json_:
        output.json_line({"id": made, "name": name, "token": secret, "expires": rfc3339(expires)})
        return
    click.echo(secret)
    click.echo(f"Good until {when(rfc3339(expires))}; 'api-tokens revoke {name}' ends it before.", err=True)


@api_tokens.command("list")
@output.as_json
@click.pass_obj
def list_(state: State, *, json_: bool) -> None:
    r"""The tokens, the latest first, with when each was last used. The tokens themselves are not kept.

    \b
    Examples:
      nsentry-controller api-tokens list
      nsentry-controller api-tokens list --json | jq 'select(.state == "active")'
    """
    from controller.store import api_tokens as store  # noqa: PLC0415 - as above

    with state.reading() as connection:
        rows = store.list_(connection, time.time_ns())
    if json_:
        output.json_lines(rows)
        return
    columns = {
        "NAME": lambda row: text(row["name"]),
        "ID": lambda row: row["id"],
        "STATE": lambda row: row["state"],
        "SCOPES": lambda row: " ".join(row["scopes"]),
        "EXPIRES": lambda row: when(row["expires"]),
        "LAST USED": lambda row: when(row["last_used"]),
        "BY": lambda row: text(row["author"]),
    }
    output.table(columns, rows, "No tokens: make one with 'nsentry-controller api-tokens create'.")


@api_tokens.command()
@click.argument("which", metavar="NAME")
@click.pass_obj
def revoke(state: State, which: str) -> None:
    r"""Ends a token (name or id): whoever has it is answered 401 from now on. Windows that it opened stay.

    \b
    Example:
      nsentry-controller api-tokens revoke change-system
    """
    from controller.store import api_tokens as store  # noqa: PLC0415 - as above

    now = time.time_ns()
    if not state.write(lambda connection: store.revoke(connection, which, output.actor(), now)):
        raise FailedError(
            f"there is no token {text(which)} that is good: see 'nsentry-controller api-tokens list'"
        )
    output.line(f"revoked {text(which)}")
