# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The inputs of one host, read from its variables; and what node_info has to be asked with them."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from ipaddress import ip_address
from typing import Any

from ...module_utils.node import paths
from ..base.yaml_documents import plain
from ..inputs import from_k3s_ansible, schema
from ..k3s import auto_deploy, datastore
from ..network.addresses import is_address, network_of
from ..plan.draft import group_names

# So many routes are looked at on a node: one to each network, then others. The cost of a look grows with them.
PROBES = 64
RESOLVE_SECONDS = 3.0
# Connections whose ansible_host is a name in DNS; with others it is the name of a container, for example.
_BY_NAME = ("ssh", "smart", "paramiko", "paramiko_ssh", "ansible.netcommon.libssh")
PYTHON_HINT = "Install python3 on it (Debian: apt install python3), or set ansible_python_interpreter."


def is_server(host: str, groups: Mapping[str, Sequence[str]]) -> bool:
    """Return True if the groups make the host a control plane."""
    return host in (groups.get(group_names(groups)[0]) or ())


def known_hosts(groups: Mapping[str, Sequence[str]]) -> list[str]:
    """Return the hosts of all groups with a role, or all hosts if there is no such group."""
    named = [host for name in group_names(groups) for host in groups.get(name) or ()]
    return list(dict.fromkeys(named)) or list(groups.get("all") or ())


def read(
    variables: Mapping[str, Any], template: Callable[[Any], Any], server: bool
) -> tuple[dict[str, Any], dict[str, Any], list[str]]:
    """Return a host's inputs as given, the same complete and validated, and what is wrong with them.

    variables: the host's variables, not templated. template: evaluates one of them. Only inputs are evaluated.
    """
    names = set(schema.specification()) | set(from_k3s_ansible.VARIABLES)
    found: dict[str, Any] = {}
    problems: list[str] = []
    for name in list(variables):
        if name in names:
            try:
                found[name] = plain(template(variables[name]))
            except Exception as error:  # pylint: disable=broad-except  # whatever Jinja's filters and lookups raise
                problems.append("%s: %s" % (name, _why(name, error)))
        elif schema.is_input(name):
            found[name] = None  # unknown: refused by its name, never evaluated
    problems += [finding.text for finding in schema.unknown(variables)]
    given, problem = schema.of_host(found, server)
    problems += [problem] if problem else []
    folders = [str(variables[name]) for name in auto_deploy.BESIDE if variables.get(name)]
    given, unread = auto_deploy.read(given, folders)
    values, _problems = schema.validate(given)  # the plan says what is wrong, once for all hosts
    return given, values, problems + [finding.text for finding in unread]


def _why(name: str, error: Exception) -> str:
    """Return why an input cannot be evaluated. The message may quote the value, which a secret input must not show."""
    if schema.is_secret(name):
        return "cannot be evaluated (%s). Correct its Jinja." % type(error).__name__
    return str(error).strip().splitlines()[0]


def target(host: str, variables: Mapping[str, Any], template: Callable[[Any], Any]) -> str:
    """Return the address, or the name, at which the other nodes reach a host; empty if nothing is known of it.

    That is kube_node_ip if it is an address, otherwise where Ansible connects to.
    """

    def value(name: str) -> str:
        text = variables.get(name) or ""
        return str(template(text) if "{" in str(text) else text)

    for part in value("kube_node_ip").split(","):
        if is_address(part.strip()):
            return part.strip()
    place = value("ansible_host") or value("ansible_ssh_host") or host
    if is_address(place):
        return "" if ip_address(place).is_loopback else place
    return place if (value("ansible_connection") or "ssh") in _BY_NAME and "%" not in place else ""


def probes(targets: Iterable[str]) -> list[str]:
    """Return the addresses of nodes to which a node's routes are looked at. The order of the hosts has no meaning.

    targets: of all nodes, from target().
    """
    given = sorted({text for text in targets if text})
    addresses = {text for text in given if is_address(text)}
    by_network: dict[Any, list[str]] = {}
    for text in sorted({*addresses, *resolved([text for text in given if text not in addresses][:PROBES])}):
        by_network.setdefault(network_of("%s/%d" % (text, 64 if ":" in text else 24)), []).append(text)
    first = [rows[0] for rows in by_network.values()]
    rest = [text for rows in by_network.values() for text in rows[1:]]
    return sorted((first + rest)[:PROBES])


def resolved(names: Sequence[str]) -> list[str]:
    """Return an address of each name that the controller knows; a name server that is silent does not hold up a run."""
    found: dict[str, str] = {}
    threads = [
        threading.Thread(target=lambda name=name: found.update({name: _address(name)}), daemon=True) for name in names
    ]
    for thread in threads:
        thread.start()
    end = time.monotonic() + RESOLVE_SECONDS
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()))
    known = dict(found)
    return [known[name] for name in names if known.get(name)]


def _address(name: str) -> str:
    try:
        found = {str(row[4][0]) for row in socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)}
    except (OSError, UnicodeError):
        return ""
    far = [text for text in found if is_address(text) and not ip_address(text).is_loopback]
    return min(far, key=lambda text: (":" in text, text), default="")


def look_arguments(values: Mapping[str, Any], server: bool, addresses: Sequence[str]) -> dict[str, Any]:
    """Return node_info's arguments for a host. addresses: of the nodes, to look at the routes to them."""
    data = (values.get("kube_data_dir") or "/var/lib").rstrip("/")
    binary = values.get("k3s_binary")
    endpoint = values.get("k3s_datastore_endpoint") if server else None
    return {
        "address_probes": list(addresses),
        "paths": list(paths.MAY_BE_OTHERS),
        "data_paths": [
            "/var/lib/etcd",
            data + "/containerd",
            "/var/lib/kubelet",
            data + "/rancher/k3s/server/db/etcd",
            "/var/log",
        ],
        "programs": {"k3s": binary} if binary else {},
        "reach": datastore.places(endpoint or ""),
    }


def failure(result: Mapping[str, Any]) -> str:
    """Return why a module gave no answer, with a way out if its Python does not work."""
    text = str(result.get("msg") or "no answer").strip()
    lines = text.splitlines()
    output = [str(result.get(key) or "").strip() for key in ("module_stderr", "module_stdout")]
    said = next((part.splitlines()[-1] for part in output if part), "")
    if said and not said.startswith("{"):
        return "Python does not work there: %s. %s" % (said.rstrip("."), PYTHON_HINT)
    if "interpreter" in text:
        return "%s. %s" % (lines[0].rstrip("."), PYTHON_HINT)
    if "Missing sudo password" in text:
        return "sudo asks for a password. Run with -K, or set ansible_become_password."
    return lines[-1]
