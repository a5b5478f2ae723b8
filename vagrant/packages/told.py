# SPDX-License-Identifier: Apache-2.0
"""What the programs say of themselves, in the forms that a system takes: completions and commented configuration."""

from __future__ import annotations

import textwrap
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from click.shell_completion import get_completion_class

from controller.cli import main as controller
from sensor.cli import main as sensor
from sensor.config import SYSTEM_STATE
from sensor.config_keys import KEYS, Key

if TYPE_CHECKING:
    import click

_PROJECT: Final = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
VERSION: Final[str] = _PROJECT["version"]
DESCRIPTION: Final[str] = _PROJECT["description"]
DEPENDENCIES: Final[list[str]] = _PROJECT["dependencies"]
"""What the sensor imports."""
_EXAMPLES: Final = {
    "state_dir": str(SYSTEM_STATE),
    "controller.url": "https://collector.example:8443",
    "controller.ca": f"{SYSTEM_STATE}/ca.pem",
    "controller.proxy": "http://proxy.example:3128",
    "records.kubernetes_audit": "/var/log/kubernetes/audit.log",
}
"""Where a setting has no default to show."""
_BY_KIND: Final = {"path": "/path/to/it", "address": "https://host.example:443"}
_SHELLS: Final = {
    "bash": "bash-completion/completions/{}",
    "zsh": "zsh/vendor-completions/_{}",
    "fish": "fish/vendor_completions.d/{}.fish",
}
_HEADER: Final = """\
# Configuration of the nsentry sensor. What stands here commented is the default, or an example where there is none.
# Parts in conf.d/*.toml beside this file go over it; NSENTRY_SENSOR_* and the command line over both.
# nsentry-sensor config check reads it; config show tells each value and where it came from.
# After a change: systemctl restart nsentry-sensor
"""


def program_of(name: str) -> click.Group:
    """The program of this name."""
    return {"nsentry-sensor": sensor, "nsentry-controller": controller}[name]


def completions(name: str) -> dict[str, str]:
    """Place below /usr/share to the script that asks the program itself what can come next."""
    variable = f"_{name.replace('-', '_').upper()}_COMPLETE"
    scripts = {}
    for shell, place in _SHELLS.items():
        kind = get_completion_class(shell)
        if kind is None:
            raise LookupError(f"click makes no completion for {shell}")
        made = kind(program_of(name), {}, name, variable)
        scripts[place.format(name)] = made.source_template % made.source_vars()
    return scripts


def sensor_configuration() -> str:
    """Every key of the sensor with its meaning; nothing is set."""
    parts = [_HEADER]
    table = ""
    for key in KEYS:
        above, _, name = key.name.rpartition(".")
        if above != table:
            table = above
            parts.append(f"\n[{table}]\n")
        meaning = textwrap.fill(
            f"{key.meaning} ({key.kind})", 118, initial_indent="# ", subsequent_indent="# "
        )
        parts.append(f"\n{meaning}\n# {name} = {_toml(_shown(key))}\n")
    return "".join(parts)


def _shown(key: Key) -> Any:  # noqa: ANN401 - as Key has it
    return (_EXAMPLES.get(key.name) or _BY_KIND[key.kind]) if key.default is None else key.default


def _toml(value: Any) -> str:  # noqa: ANN401 - a setting's value
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, int | float):
        return str(value)
    return '"' + str(value).replace("\\", "\\\\").replace('"', '\\"') + '"'
