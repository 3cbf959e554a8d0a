#!/usr/bin/python
# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: k3s
short_description: Start and join K3s nodes
version_added: 0.1.0
author: kubewright contributors (@kubewright)
description:
  - Runs the K3s steps that the plan has for a node. The program, its configuration and its service must exist already.
  - Tokens are only in files of mode 0600, never in arguments or units.
extends_documentation_fragment: [kubewright.cluster.attributes]
attributes:
  diff_mode:
    support: none
options:
  state:
    description:
      - V(installed) runs upstream's install script O(script), which the role downloaded and checked. Nothing is enabled
        or started.
      - V(credentials) reads on a running server what others need to join. Use C(no_log) on the task.
      - V(unpacked) lets the program unpack its embedded files, as its first start would. This takes a while on a slow
        disk.
      - V(started) starts the service (with O(restart) restarts it) and waits as O(until) says.
      - V(settled) replaces C(cluster-init) in the configuration of the server that started the cluster by O(server), if
        others have joined. Nothing restarts.
      - V(redirected) names O(server) in the configuration in place of a server of which O(former) has the address.
        Nothing restarts.
      - V(rotated) stops K3s, lets its own command move its certificates away, starts it again, and waits as O(until)
        says and until those in O(names) are new. Pods run on meanwhile.
    type: str
    required: true
    choices: [installed, credentials, unpacked, started, settled, redirected, rotated]
  names:
    description: Certificates that must be new afterwards (O(state=rotated)), as paths below the data directory without
      C(.crt).
    type: list
    elements: str
    default: []
  server:
    description: URL of another server (O(state=settled), O(state=redirected)).
    type: str
  former:
    description: Addresses of servers that have left the cluster (O(state=redirected)).
    type: list
    elements: str
    default: []
  node_name:
    description: Name of the node in the cluster (O(state=started)).
    type: str
  role:
    description: What the node runs.
    type: str
    choices: [server, agent]
    default: server
  program:
    description: Path of K3s's program (O(state=credentials), O(state=unpacked), O(state=rotated)).
    type: path
    default: /usr/local/bin/k3s
  data_dir:
    description: K3s's data directory.
    type: path
    default: /var/lib/rancher/k3s
  credentials:
    description: What O(state=credentials) returned on a server, for a node that joins.
    type: dict
  forget:
    description: Names of reinstalled nodes. Their Nodes and the passwords that K3s keeps of them are deleted
      (O(state=credentials)).
    type: list
    elements: str
    default: []
  convert:
    description:
      - Converts a server from SQLite to embedded etcd (O(state=started)). Its database, keys and tokens are copied to
        C(backups/sqlite-TIME) in O(data_dir) and the copy is checked, before K3s is restarted with its new
        configuration.
    type: bool
    default: false
  joins:
    description: >-
      The node joins in this task. Servers join one at a time, whatever C(--forks) is, and each then waits until it is
      ready.
    type: bool
    default: false
  init:
    description: This server begins a cluster (O(state=started)); its tokens are made first, existing ones are kept.
    type: bool
    default: false
  database:
    description: Description of the external datastore without secrets, for messages if it refuses K3s
      (O(state=started)).
    type: str
    default: ""
  token:
    description: The servers' token of an earlier cluster, for O(init). A random one is made by default.
    type: str
    default: ""
  script:
    description:
      - The install script (O(state=installed)) - its C(path), and the files that belong to the collection afterwards,
        C(makes) (always written) and C(perhaps) (written only if they do not exist).
    type: dict
  ttl:
    description: Lifetime of a token for agents that is made for this run (O(state=credentials)); empty for the
      permanent token.
    type: str
    default: ""
  restart:
    description: Restart a running service.
    type: bool
    default: false
  until:
    description:
      - What to wait for (O(state=started)).
      - V(ready) - the Node is Ready and, on a server, its API answers and its etcd member votes.
      - V(serving) - a server's API answers, so that others can join; with embedded etcd it does once its member votes.
      - V(voting) - its etcd member votes, so that the next server can join; without embedded etcd like V(serving).
      - V(started) - nothing.
    type: str
    choices: [started, voting, serving, ready]
    default: ready
  timeout:
    description: Longest time to wait, in seconds.
    type: int
    default: 300
  version:
    description: The release that the node must run afterwards, such as C(v1.36.3+k3s1); empty for any
      (O(state=started)).
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Join an agent
  kubewright.cluster.k3s:
    state: started
    role: agent
    node_name: worker-1
    credentials: "{{ hostvars['cp-1'].made.credentials }}"
"""

RETURN = r"""
backup:
  description: Path of the copy of the former datastore; empty if none was made.
  type: str
  returned: when O(state=started)
credentials:
  description: C(server), the token for servers, C(agent), the token for agents, and C(agent_token), the secret that all
    servers share.
  type: dict
  returned: when O(state=credentials)
seconds:
  description: How long it took, in seconds.
  type: float
  returned: always
"""

import time
from typing import Any, Callable, Dict

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.kubewright.cluster.plugins.module_utils.api.kubernetes import ApiError
from ansible_collections.kubewright.cluster.plugins.module_utils.base.text_files import differs, write_secret
from ansible_collections.kubewright.cluster.plugins.module_utils.k3s import (
    datastore,
    readiness,
    renew,
    runner,
    tokens,
    upgrade,
)
from ansible_collections.kubewright.cluster.plugins.module_utils.k3s.datastore import DatastoreError
from ansible_collections.kubewright.cluster.plugins.module_utils.k3s.tokens import K3sError
from ansible_collections.kubewright.cluster.plugins.module_utils.node import ownership, paths, services
from ansible_collections.kubewright.cluster.plugins.module_utils.node.ownership import OwnershipError
from ansible_collections.kubewright.cluster.plugins.module_utils.restore.aside import Journal

Parameters = Dict[str, Any]


def unit_of(wanted: Parameters) -> str:
    """Return the name of K3s's service for the node's role."""
    return "k3s" if wanted["role"] == "server" else "k3s-agent"


def installed(wanted: Parameters) -> dict[str, Any]:
    """Run the install script."""
    script = wanted["script"]
    runner.install(script["path"], wanted["role"], script["makes"], script["perhaps"])
    return {"changed": True}


def credentials(wanted: Parameters) -> dict[str, Any]:
    """Read what others need to join."""
    found = tokens.credentials(wanted["data_dir"], wanted["forget"], wanted["ttl"], wanted["program"])
    return {"changed": bool(wanted["forget"] or wanted["ttl"]), "credentials": found}


def unpacked(wanted: Parameters) -> dict[str, Any]:
    """Unpack the program's embedded files."""
    return {"changed": runner.unpack(wanted["program"], wanted["data_dir"])}


def put_tokens(wanted: Parameters, put: Callable[[str, str], bool]) -> bool:
    """Write the tokens of a node that begins a cluster or joins one. Return True if one differed."""
    secret = wanted["credentials"] or {}
    changed = [wanted["init"] and tokens.make(wanted["data_dir"], wanted["token"], put)]
    if secret:
        changed.append(put(paths.K3S_TOKEN, secret[wanted["role"]]))
        if wanted["role"] == "server" and secret["agent_token"]:
            changed.append(put(paths.K3S_AGENT_TOKEN, secret["agent_token"]))
    return any(changed)


def started(wanted: Parameters) -> dict[str, Any]:
    """Start or restart the service if there is a reason, and wait as long as `until` says."""
    unit, data_dir, server = unit_of(wanted), wanted["data_dir"], wanted["role"] == "server"
    if wanted["init"]:
        datastore.refuse_used()
    changed = put_tokens(wanted, write_secret)
    backup = runner.convert(unit, data_dir) if wanted["convert"] else ""
    restart = wanted["restart"] or changed or bool(backup)
    old = services.here().process(unit) if restart else None
    note_etcd(wanted, restart and server and not wanted["convert"])
    if restart or not services.here().active(unit):
        # A server that cannot reach its database keeps trying with its old settings for five minutes.
        runner.start(unit, restart or (server and bool(wanted["database"])), data_dir)
        changed = True
    if wanted["until"] != "started":
        problem_of = of_new_process(unit, old, question(wanted))
        runner.wait(wanted["node_name"], unit, problem_of, server, wanted["timeout"], wanted["database"])
        if server and wanted["credentials"]:
            end_restore()
    return {"changed": changed, "backup": backup}


def note_etcd(wanted: Parameters, runs: bool) -> None:
    """Note etcd's cluster and members before the change. runs: whether this node may have a member."""
    wanted["etcd_cluster"], wanted["etcd_members"] = readiness.etcd_before() if runs else ("", {})


def end_restore() -> None:
    """Record that a server which was stopped for a restore has joined again: nothing is put back any more."""
    if Journal().read():
        with ownership.lock_node():
            Journal().end()


def of_new_process(unit: str, old: services.Process | None, problem_of: Callable[[], str]) -> Callable[[], str]:
    """Return a question that the process about to stop does not answer. old: that process, None if there is none."""

    def problem() -> str:
        still = old is not None and old.is_same(services.here().process(unit))
        return "its former process still runs" if still else problem_of()

    return problem


def question(wanted: Parameters) -> Callable[[], str]:
    """Return the function that is called until it finds no problem any more."""
    name, data_dir = wanted["node_name"], wanted["data_dir"]
    if wanted["role"] == "agent":
        return with_version(wanted, lambda: readiness.agent_problem(name, data_dir))
    questions: dict[str, Callable[[], str]] = {
        "voting": lambda: readiness.voting_problem(name, data_dir),
        "serving": lambda: readiness.serving_problem(name),
        "ready": lambda: readiness.server_problem(
            name,
            must_vote=wanted["convert"],
            etcd_cluster=wanted["etcd_cluster"],
            etcd_members=wanted["etcd_members"],
        ),
    }
    return with_version(wanted, questions[wanted["until"]])


def with_version(wanted: Parameters, ask: Callable[[], str]) -> Callable[[], str]:
    """Return a question that also asks for the wanted version, where the task names one."""
    if not wanted["version"]:
        return ask
    name, version, server = wanted["node_name"], wanted["version"], wanted["role"] == "server"
    return lambda: ask() or upgrade.problem(name, wanted["data_dir"], version, server)


def settled(wanted: Parameters) -> dict[str, Any]:
    """Let the first server join the others if it loses its data."""
    return {"changed": runner.settle(wanted["data_dir"], wanted["server"])}


def redirected(wanted: Parameters) -> dict[str, Any]:
    """Name another server in place of one that has left the cluster."""
    return {"changed": runner.redirect(wanted["server"], wanted["former"])}


def rotated(wanted: Parameters) -> dict[str, Any]:
    """Renew the node's certificates, and wait as long as `until` says."""
    unit, data_dir = unit_of(wanted), wanted["data_dir"]
    former = renew.digests(data_dir, wanted["names"])
    note_etcd(wanted, wanted["role"] == "server")
    renew.rotate(unit, wanted["program"], data_dir)
    runner.start(unit, False, data_dir)
    if wanted["until"] != "started":
        ask = question(wanted)
        server = wanted["role"] == "server"
        name, timeout = wanted["node_name"], wanted["timeout"]
        runner.wait(name, unit, lambda: ask() or renew.problem(data_dir, former), server, timeout, "")
    return {"changed": True}


ACTIONS: dict[str, Callable[[Parameters], dict[str, Any]]] = {
    "installed": installed,
    "credentials": credentials,
    "unpacked": unpacked,
    "started": started,
    "settled": settled,
    "redirected": redirected,
    "rotated": rotated,
}


def would_change(wanted: Parameters) -> bool:
    """Return True if there is something to do. A gate after a change that needs no restart changes nothing."""
    if wanted["state"] == "redirected":
        return runner.redirect(wanted["server"], wanted["former"], check=True)
    if wanted["state"] != "started":
        return wanted["state"] in ("installed", "unpacked", "rotated")
    made = wanted["init"] and tokens.make(wanted["data_dir"], wanted["token"], differs)
    running = services.here().active(unit_of(wanted))
    return bool(made or wanted["restart"] or wanted["credentials"] or wanted["convert"] or not running)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "required": True, "choices": list(ACTIONS)},
            "node_name": {"type": "str"},
            "server": {"type": "str"},
            "former": {"type": "list", "elements": "str", "default": []},
            "role": {"type": "str", "default": "server", "choices": ["server", "agent"]},
            "program": {"type": "path", "default": paths.K3S_PROGRAM},
            "data_dir": {"type": "path", "default": paths.K3S_DATA},
            "credentials": {"type": "dict", "no_log": True},
            "forget": {"type": "list", "elements": "str", "default": []},
            "convert": {"type": "bool", "default": False},
            "init": {"type": "bool", "default": False},
            "joins": {"type": "bool", "default": False},
            "names": {"type": "list", "elements": "str", "default": []},
            "database": {"type": "str", "default": ""},
            "token": {"type": "str", "default": "", "no_log": True},
            "script": {"type": "dict"},
            "ttl": {"type": "str", "default": ""},
            "restart": {"type": "bool", "default": False},
            "until": {"type": "str", "default": "ready", "choices": ["started", "voting", "serving", "ready"]},
            "timeout": {"type": "int", "default": 300},
            "version": {"type": "str", "default": ""},
        },
        required_if=[
            ("state", "started", ["node_name"]),
            ("state", "rotated", ["node_name"]),
            ("state", "installed", ["script"]),
            ("state", "settled", ["server"]),
            ("state", "redirected", ["server"]),
        ],
        supports_check_mode=True,
    )
    began = time.monotonic()
    if module.check_mode:
        module.exit_json(changed=would_change(module.params), seconds=0.0)
    try:
        result = ACTIONS[module.params["state"]](module.params)
    except (K3sError, DatastoreError, ApiError, OwnershipError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(seconds=round(time.monotonic() - began, 1), **result)


if __name__ == "__main__":
    main()
