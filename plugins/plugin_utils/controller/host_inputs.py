# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The inputs of one host, read from its variables; and what node_info has to be asked with them."""

from __future__ import annotations

import os
import re
import socket
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

from ...module_utils.node import paths
from ..base import words
from ..base.findings import Finding
from ..base.yaml_documents import merge
from ..inputs import schema
from ..inputs.foreign import dialects, translate
from ..inputs.foreign.dialect import Dialect, Kind, is_true
from ..inputs.groups import family, members, used_names
from ..k3s import auto_deploy, datastore
from ..machine import backup_schedule
from ..network.addresses import is_address, network_of
from .variables import Template, Values

# So many routes are looked at on a node: one to each network, then others. The cost of a look grows with them.
PROBES = 64
RESOLVE_SECONDS = 3.0
# Connections whose ansible_host is a name in DNS; with others it is the name of a container, for example.
_BY_NAME = ("ssh", "smart", "paramiko", "paramiko_ssh", "ansible.netcommon.libssh")
PYTHON_HINT = "Install python3 on it (Debian: apt install python3), or set ansible_python_interpreter."


def is_server(host: str, groups: Mapping[str, Sequence[str]]) -> bool:
    """Return True if the groups make the host a control plane."""
    return any(host in (groups.get(name) or ()) for name in used_names(family(groups))[0])


def known_hosts(groups: Mapping[str, Sequence[str]]) -> list[str]:
    """Return the hosts of all groups with a role, or all hosts if there is no such group."""
    named = [host for role in members(groups) for host in role]
    return list(dict.fromkeys(named)) or list(groups.get("all") or ())


@dataclass
class Read:
    """The inputs of a host.

    given: as they are set, with the text of files. manifests: k3s_manifests without it. values: complete and
    validated. problems: what cannot be read. foreign: what variables of another project are here.
    """

    given: dict[str, Any]
    values: dict[str, Any]
    problems: list[str]
    foreign: translate.Translation
    manifests: Any = None


def read(
    host: str,
    variables: Mapping[str, Any],
    template: Template,
    groups: Mapping[str, Sequence[str]],
    elsewhere: Iterable[str] = (),
) -> Read:
    """Return a host's inputs.

    variables: the host's variables, not templated. Only inputs, and names in the tables of other projects, are
    evaluated. groups: of the inventory. elsewhere: names of variables that other hosts of the cluster have: an
    inventory is of one project, though a host may have no variable that shows it.
    """
    dialect = dialects.recognise({*variables, *elsewhere}, groups)
    values = Values(variables, template, dialect.defaults if dialect else None)
    problems: list[str] = []
    own = _own(variables, values, dialect, problems)
    # Without groups, a variable of PyratLabs' role says which hosts are control planes.
    server = is_server(host, groups) or is_true(variables.get("k3s_control_node"))
    foreign = translate.Translation()
    if dialect:
        foreign = translate.translate(dialect, host, variables, values.get, own, server, _servers(groups, variables))
        own = _without_unknown(own, dialect, foreign)
    problems += [finding.text for finding in schema.unknown(variables)]
    given = {name: own.get(name, foreign.inputs.get(name)) for name in [*own, *foreign.inputs]}
    for name in set(own) & set(foreign.inputs):
        if isinstance(own[name], Mapping) and isinstance(foreign.inputs[name], Mapping):
            given[name] = merge(foreign.inputs[name], own[name])
    folders = [str(variables[name]) for name in auto_deploy.BESIDE if variables.get(name)]
    manifests = given.get("k3s_manifests")
    given, unread = auto_deploy.read(given, folders)
    complete, _problems = schema.validate(given)  # the plan says what is wrong, once for all hosts
    return Read(given, complete, problems + [finding.text for finding in unread], foreign, manifests)


def _own(variables: Mapping[str, Any], values: Values, dialect: Dialect | None, problems: list[str]) -> dict[str, Any]:
    """Return the inputs among a host's variables. Unknown ones are None: refused by their name, never evaluated."""
    known, found = schema.specification(), {}
    for name in list(variables):
        row = dialect.row(name, known) if dialect else None
        if row and not (row.kind is Kind.UNDERSTOOD and name in known):
            continue  # the table of the project says what it means
        if name in known:
            try:
                found[name] = values.get(name)
            except ValueError as error:
                problems.append(str(error))
        elif schema.is_input(name):
            found[name] = None
    return found


def _without_unknown(own: dict[str, Any], dialect: Dialect, foreign: translate.Translation) -> dict[str, Any]:
    """Return the inputs that exist. Another project's inventory may have names that its table does not know."""
    strange = [name for name in own if name not in schema.specification()]
    for name in strange:
        misspelt = schema.misspelt(name, dialect)
        if misspelt:
            foreign.problems.append(misspelt)
        else:
            foreign.entries.append({"name": name, "kind": Kind.UNKNOWN.value, "text": ""})
    return {name: value for name, value in own.items() if name not in strange}


def _servers(groups: Mapping[str, Sequence[str]], variables: Mapping[str, Any]) -> list[str]:
    """Return the names of the control planes, and their addresses where they are known without a template."""
    hostvars: Any = variables.get("hostvars")
    names = members(groups)[0]
    found = list(names)
    for name in names if hasattr(hostvars, "raw_get") else ():
        address = hostvars.raw_get(name).get("ansible_host")
        found += [str(address)] if address else []
    return found


def target(host: str, variables: Mapping[str, Any], template: Callable[[Any], Any]) -> str:
    """Return the address, or the name, at which the other nodes reach a host; empty if nothing is known of it.

    That is kube_node_ip if it is an address, otherwise where Ansible connects to.
    """

    def value(name: str) -> str:
        text = variables.get(name) or ""
        return str(template(text) if "{" in str(text) else text)

    # Kubespray's names too; where they are templates they may be made of facts.
    theirs = [str(variables.get(name) or "") for name in ("access_ip", "ip")]
    for part in ",".join([value("kube_node_ip"), *theirs]).split(","):
        if is_address(part.strip()):
            return part.strip()
    place = (value("ansible_host") or value("ansible_ssh_host") or host).strip("[]")
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
        "paths": [*paths.MAY_BE_OTHERS, *(backup_schedule.paths_to_look_at(values) if server else [])],
        "data_paths": [
            "/var/lib/etcd",
            data + "/containerd",
            "/var/lib/kubelet",
            data + "/rancher/k3s/server/db/etcd",
            data + "/rancher/k3s/agent/containerd",
            data + "/rancher/k3s/data",
            *dict.fromkeys(["/usr/local/bin", os.path.dirname(binary or "/usr/local/bin"), "/opt/cni/bin"]),
            "/var/log",
            "/run",
        ],
        "programs": {"k3s": binary} if binary else {},
        "reach": datastore.places(endpoint or ""),
    }


def failure(result: Mapping[str, Any]) -> str:
    """Return why a module gave no answer: the last line that says something, and a way out where one is known."""
    message = str(result.get("msg") or "no answer").strip() or "no answer"
    output = [str(result.get(key) or "") for key in ("module_stderr", "module_stdout")]
    said = [line.strip() for text in output for line in text.splitlines()[::-1] if not _NOISE.match(line)]
    last = next((line for line in said if line and not line.startswith("{")), "")
    for text in (last, message):
        for pattern, hint in _WAYS_OUT:
            if re.search(pattern, text, re.IGNORECASE):
                return hint % text.splitlines()[-1].rstrip(".")
    return last or message.splitlines()[-1]


# What SSH and shells add to the output of every module.
_NOISE = re.compile(r"\s*$|Shared connection to|Connection to .* closed|.*cannot change locale|.*setlocale:")
_PYTHON = "Python does not work there: %s. " + PYTHON_HINT
_WAYS_OUT = (
    (
        r"Missing sudo password|sudo: a (terminal|password) is required",
        "sudo asks for a password (%s). Run with -K, or set ansible_become_password.",
    ),
    (r"Incorrect sudo password|sudo: .*incorrect password", "%s. Correct ansible_become_password, or run with -K."),
    (r"is not in the sudoers|may not run sudo", "%s. Let the user run sudo there, or connect as root."),
    (r"minimum of Python version|SyntaxError|invalid syntax", "%s. It needs Python 3.8 or newer. " + PYTHON_HINT),
    (r"No space left on device", "%s. Free some space for the user that Ansible connects as."),
    (r"interpreter", "%s. " + PYTHON_HINT),
    (r"(Module ?NotFound|Import)Error|not found|No such file or directory|cannot execute|Exec format", _PYTHON),
)


def not_root(hosts: Mapping[str, Mapping[str, Any]]) -> list[Finding]:
    """Refuse hosts that Ansible is not root on: neither the look nor the run sees what it must."""
    text = "%s: Ansible connects as %s, which is not root. Set ansible_become: true (with a password: -K)."
    users = {host: (row["info"] or {}).get("user") for host, row in hosts.items()}
    return [
        Finding("user.not_root", text % (host, user["name"]), host, user["name"])
        for host, user in users.items()
        if user and user["uid"] != 0
    ]


def unreadable_inputs(rows: Mapping[str, Mapping[str, Any]]) -> list[Finding]:
    """Refuse inputs that could not be read; each once, with the hosts that it concerns."""
    concerned: dict[str, list[str]] = {}
    for host, row in rows.items():
        for text in row.get("problems") or []:
            concerned.setdefault(text, []).append(host)
    return [
        Finding("inputs.unreadable", text if len(where) == len(rows) else "%s: %s" % (words.names(where), text))
        for text, where in concerned.items()
    ]
