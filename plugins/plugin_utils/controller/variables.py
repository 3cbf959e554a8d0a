# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The values of a host's variables, evaluated when they are asked for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Protocol

from ..base.yaml_documents import plain
from ..inputs import schema
from ..inputs.foreign import dialects
from ..inputs.foreign.dialect import FROM_FACTS

# An expression with facts that only gather_facts or the setup module provides.
_FACTS = re.compile(
    r"\{\{(?:(?!\}\}).)*\b(?:ansible_facts\b|ansible_(?:default_ipv[46]|all_ipv[46]|hostname|fqdn|nodename"
    r"|e[nt][a-z0-9]+|wg[0-9]+|bond[0-9]+|tailscale[0-9]+)\b)(?:(?!\}\}).)*\}\}",
    re.DOTALL,
)
_NO_FACTS = "Facts are not gathered: write the value itself; kube_node_ip takes an interface such as eth0."


class Template(Protocol):
    """Evaluates a variable's value. replaced: variables that have another text than the host's."""

    def __call__(self, value: Any, replaced: Mapping[str, str] | None = None) -> Any:
        """Return the value."""


class Values:
    """The values of a host's variables, each evaluated once, when it is asked for."""

    def __init__(
        self, variables: Mapping[str, Any], template: Template, defaults: Mapping[str, str] | None = None
    ) -> None:
        """defaults: of another project, for names that its inventories refer to without setting them."""
        self._variables = variables
        self._defaults = {name: text for name, text in (defaults or {}).items() if name not in variables}
        self._template = template
        self._known: dict[str, Any] = {}
        self._wrong: dict[str, str] = {}

    def get(self, name: str) -> Any:
        """Return a variable's value. Raise ValueError with its name and what is wrong."""
        if name not in self._known and name not in self._wrong:
            try:
                self._known[name] = self._evaluate(self._variables[name])
            except Exception as error:  # pylint: disable=broad-except  # whatever Jinja's filters and lookups raise
                self._wrong[name] = "%s: %s" % (name, _why(name, error))
        if name in self._wrong:
            raise ValueError(self._wrong[name])
        return self._known[name]

    def _evaluate(self, raw: Any) -> Any:
        try:
            return plain(self._template(raw))
        except Exception:
            # Facts are not gathered: FROM_FACTS stands for them, so that the rest can be read.
            replaced = {
                name: _FACTS.sub(FROM_FACTS, str(value))
                for name, value in self._variables.items()
                if isinstance(value, str) and _FACTS.search(value)
            }
            replaced.update(self._defaults)
            here = next((name for name, value in self._variables.items() if value is raw and name in replaced), None)
            if not replaced:
                raise
            return plain(self._template(replaced[here] if here else raw, replaced))


def _why(name: str, error: Exception) -> str:
    """Return why an input cannot be evaluated. The message may quote the value, which a secret input must not show."""
    other = re.search(r"'HostVars(?:Vars)?' has no attribute '([A-Za-z_]\w*)'", str(error))
    if other:
        return "needs the variable %s of another host, which does not have it. Write the value itself." % other[1]
    missing = re.search(r"'([A-Za-z_]\w*)' is undefined", str(error))
    if missing and not missing[1].startswith("ansible_"):
        return "needs the variable %s, which the host does not have. Set it, or give the file that has it." % missing[1]
    # A command line with a syntax error in it is worth reading, and Jinja quotes no values.
    inputs = [name, *(part for part in dialects.inputs_of(name) if part != "k3s_config")]
    if any(schema.is_secret(each) for each in inputs):
        return "cannot be evaluated (%s). Correct its Jinja." % type(error).__name__
    text = str(error).strip().splitlines()[0]
    return (
        "%s. %s" % (text.rstrip("."), _NO_FACTS)
        if re.search(r"'ansible_\w+' is undefined|ansible_facts", text)
        else text
    )
