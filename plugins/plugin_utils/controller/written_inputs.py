# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cluster as an inventory in this collection's own inputs, for `plan -e write_inputs=FILE`.

Secrets are not in it: a variable stands for each, and the head of the file says which.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from ..base.yaml_documents import plain
from ..inputs import schema
from ..k3s.config_keys import SECRET as K3S_SECRET
from . import kubeconfig

HEADER = "# An inventory made by kubewright.cluster (plan -e write_inputs).\n"
# How Ansible reaches a host. Passwords are never written.
CONNECTION = (
    "ansible_host",
    "ansible_port",
    "ansible_user",
    "ansible_connection",
    "ansible_become",
    "ansible_become_method",
    "ansible_become_user",
    "ansible_python_interpreter",
    "ansible_ssh_private_key_file",
    "ansible_ssh_common_args",
    "ansible_ssh_extra_args",
)
# Values inside of an input that are secret.
_SECRET_KEYS = ("password", "token", "key", *K3S_SECRET)
_LOGIN = re.compile(r"://[^/\s]*@")


class WriteError(ValueError):
    """A file that is not ours to write. The message says what to do."""


class _Unsafe(str):
    """Text that must not be read as a template."""


class _Dumper(yaml.SafeDumper):
    """Lists indented as people write them."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)

    def ignore_aliases(self, data: Any) -> bool:
        return True


_Dumper.add_representer(_Unsafe, lambda dumper, text: dumper.represent_scalar("!unsafe", str(text)))


def text(
    groups: Mapping[str, Sequence[str]],
    inputs: Mapping[str, Mapping[str, Any]],
    connection: Mapping[str, Mapping[str, Any]],
    questions: Sequence[str] = (),
) -> str:
    """Return the inventory as YAML.

    groups: kube_control_plane and kube_node with their hosts; without roles all hosts under "". inputs, connection: by
    host. questions: what is still to be decided, for the head of the file.
    """
    secrets: dict[str, str] = {}
    values = {
        host: {**plain(connection.get(host, {})), **_without_secrets(given, secrets)} for host, given in inputs.items()
    }
    shared = _common(values, sorted(values))
    own: dict[str, Any] = {"vars": shared} if shared else {}
    children: dict[str, Any] = {}
    written: set[str] = set()
    for group, hosts in groups.items():
        rest = {host: _beyond(values[host], shared) for host in hosts}
        in_group = _common(rest, sorted(hosts)) if len(hosts) > 1 else {}
        # A host in both groups has its variables in the first one only.
        rows = {str(host): {} if host in written else _beyond(rest[host], in_group) for host in hosts}
        written.update(hosts)
        children[group] = {"hosts": rows, **({"vars": in_group} if in_group else {})}
    body = {"all": {**own, **children.get("", {"children": children})}}
    return HEADER + _comments(secrets, questions) + yaml.dump(body, Dumper=_Dumper, sort_keys=False, width=110)


def write(path: str, content: str) -> None:
    """Write the inventory, for its owner only. Raise WriteError if another file has that name."""
    if os.path.lexists(path):
        try:
            with open(path, encoding="utf-8") as stream:
                ours = stream.readline() == HEADER
        except (OSError, UnicodeDecodeError):
            ours = False
        if not ours:
            raise WriteError("%s exists and was not made by write_inputs. Give another name, or move it away." % path)
    kubeconfig.write(path, content, False)


def _comments(secrets: Mapping[str, str], questions: Sequence[str]) -> str:
    lines = []
    if secrets:
        lines.append("Secrets are not in this file. Put them into a file for Ansible Vault, as these variables:")
        lines += ["  %s: %s" % (variable, where) for variable, where in sorted(secrets.items())]
    if questions:
        lines.append("Still to be decided:")
        lines += ["  " + " ".join(question.split()) for question in questions]
    return "".join("# %s\n" % line for line in lines)


def _common(values: Mapping[str, Mapping[str, Any]], hosts: Sequence[str]) -> dict[str, Any]:
    """Return what all hosts have alike."""
    if not hosts:
        return {}
    first = values[hosts[0]]
    return {
        name: value
        for name, value in first.items()
        if name != "ansible_host" and all(name in values[host] and values[host][name] == value for host in hosts)
    }


def _beyond(values: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name not in known}


def _without_secrets(given: Mapping[str, Any], secrets: dict[str, str]) -> dict[str, Any]:
    return {name: _masked(name, [name], value, secrets) for name, value in sorted(plain(given).items())}


def _masked(name: str, path: list[str], value: Any, secrets: dict[str, str]) -> Any:
    """Return a value with a variable in place of each secret in it."""
    if isinstance(value, dict):
        return {key: _masked(name, [*path, key], item, secrets) for key, item in value.items()}
    if isinstance(value, list):
        return [_masked(name, [*path, str(number)], item, secrets) for number, item in enumerate(value)]
    if value not in (None, "", True, False) and _is_secret(path, value):
        variable = "vault_" + re.sub(r"[^a-z0-9]+", "_", "_".join(path).lower()).strip("_")
        secrets[variable] = ".".join(path)
        return "{{ %s }}" % variable
    return _Unsafe(value) if isinstance(value, str) and re.search(r"\{[{%#]", value) else value


def _is_secret(path: list[str], value: Any) -> bool:
    if isinstance(value, str) and _LOGIN.search(value):
        return True
    if len(path) > 1:
        secret_text = path[-1] in ("content", "chart_content") or "values" in path or "set" in path
        return schema.is_secret(path[0]) and path[-1] in _SECRET_KEYS or secret_text
    return schema.is_secret(path[0]) and isinstance(value, str)
