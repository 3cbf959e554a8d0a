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
  - Carries out on one node what the plan says that K3s has to do there. Program, configuration and unit are in place before.
  - Tokens are in files of mode 0600 alone; no argument and no unit holds one.
extends_documentation_fragment: [kubewright.cluster.attributes]
attributes:
  diff_mode:
    support: none
options:
  state:
    description:
      - V(installed) runs upstream's install script O(script), which the role brought and checked. Nothing is enabled or started.
      - V(credentials) reads on a running server what others join with. Run it under C(no_log).
      - V(unpacked) lets the program unpack what it carries, as its first start would; on a slow disk that takes a while.
      - V(started) starts the service, or starts it anew where O(restart), and waits until the node serves - its API answers (a server), its Node is
        Ready and, with embedded etcd, its member votes. C(Ready) alone would hide a member that does not take part.
    type: str
    required: true
    choices: [installed, credentials, unpacked, started]
  node_name:
    description: Name of the node in the cluster (O(state=started)).
    type: str
  role:
    description: What the node runs.
    type: str
    choices: [server, agent]
    default: server
  program:
    description: Where K3s's program is (O(state=credentials), O(state=unpacked)).
    type: path
    default: /usr/local/bin/k3s
  data_dir:
    description: Where K3s keeps its state.
    type: path
    default: /var/lib/rancher/k3s
  credentials:
    description: What O(state=credentials) returned on a server, for a node that joins.
    type: dict
  forget:
    description: Names of nodes that come back without their data, whose password and Node object are taken away (O(state=credentials)).
    type: list
    elements: str
    default: []
  convert:
    description:
      - Whether a server that stores in SQLite becomes one with embedded etcd (O(state=started)). Its database, keys and tokens are copied to
        C(backups/sqlite-TIME) in O(data_dir) and the copy is checked, before K3s starts anew as its configuration says.
    type: bool
    default: false
  init:
    description: Whether this server begins a cluster (O(state=started)), for which its tokens are made first; those that are there are kept.
    type: bool
    default: false
  database:
    description: The external datastore in words without secrets, for what is said where it does not let K3s in (O(state=started)).
    type: str
    default: ""
  token:
    description: The servers' token of an earlier cluster, for O(init). Without it one is made at random.
    type: str
    default: ""
  script:
    description: What O(state=installed) runs - C(path), and the files that are the collection's from then on, C(makes) and C(perhaps).
    type: dict
  ttl:
    description: How long the token for agents lives, made anew for it (O(state=credentials)); empty for the lasting one.
    type: str
    default: ""
  restart:
    description: Whether a running service is started anew.
    type: bool
    default: false
  until:
    description:
      - What is waited for (O(state=started)). V(ready) - a server's API answers, the Node is Ready, and an etcd member votes. V(serving) - a
        server's API answers, which with embedded etcd it does only once its member votes; its kubelet may still be at work, and others can join.
        V(voting) - an etcd member votes, so that the next one can join; without embedded etcd as V(serving).
        V(started) - nothing.
    type: str
    choices: [started, voting, serving, ready]
    default: ready
  timeout:
    description: Seconds to wait at most.
    type: int
    default: 300
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
  description: Where the copy of the former datastore is; empty where none was made.
  type: str
  returned: when O(state=started)
credentials:
  description: The token of servers, that of agents, and the secret that all servers share.
  type: dict
  returned: when O(state=credentials)
seconds:
  description: How long it took.
  type: float
  returned: always
"""

import time

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.kubewright.cluster.plugins.module_utils.api.kubernetes import ApiError
from ansible_collections.kubewright.cluster.plugins.module_utils.k3s import (
    datastore as k3s_datastore,
    readiness as gate,
    runner as node,
)
from ansible_collections.kubewright.cluster.plugins.module_utils.node import services


def installed(parameters):
    script = parameters["script"]
    node.install(script["path"], parameters["role"], script["makes"], script["perhaps"])
    return {"changed": True}


def credentials(parameters):
    found = node.credentials(parameters["data_dir"], parameters["forget"], parameters["ttl"], parameters["program"])
    return {"changed": bool(parameters["forget"] or parameters["ttl"]), "credentials": found}


def unpacked(parameters):
    return {"changed": node.unpack(parameters["program"], parameters["data_dir"])}


def started(parameters):
    """Start the service where need be, and wait as long as `until` says."""
    unit = "k3s" if parameters["role"] == "server" else "k3s-agent"
    secret = parameters["credentials"] or {}
    changed = parameters["init"] and node.make_tokens(parameters["data_dir"], parameters["token"])
    if secret:
        changed = node.write(node.TOKEN, secret[parameters["role"]]) or changed
        if parameters["role"] == "server" and secret["agent_token"]:
            changed = node.write(node.AGENT_TOKEN, secret["agent_token"]) or changed
    data_dir, server = parameters["data_dir"], parameters["role"] == "server"
    backup = node.convert(unit, data_dir) if parameters["convert"] else ""
    again = parameters["restart"] or changed or bool(backup)
    if again or not services.here().active(unit):
        # One that asks its database in vain goes on with its old settings for five minutes.
        node.start(unit, again or server and bool(parameters["database"]), data_dir)
        changed = True
    if parameters["until"] != "started":
        node.wait(unit, asked(parameters), server, parameters["timeout"], parameters["database"])
    return {"changed": changed, "backup": backup}


def asked(parameters):
    """The question that is asked until it finds no problem any more."""
    name, data_dir, until = parameters["node_name"], parameters["data_dir"], parameters["until"]
    if parameters["role"] == "agent":
        return lambda: gate.problem_of_agent(name, data_dir)
    return {
        "voting": lambda: gate.voting(name, data_dir),
        "serving": lambda: gate.serving(name),
        "ready": lambda: gate.problem_of_server(name, parameters["convert"]),
    }[until]


def would_change(parameters):
    """Whether there is something to do. A gate after a change that needs no restart changes nothing."""
    if parameters["state"] != "started":
        return parameters["state"] in ("installed", "unpacked")
    running = services.here().active("k3s" if parameters["role"] == "server" else "k3s-agent")
    made = parameters["init"] and node.make_tokens(parameters["data_dir"], parameters["token"], node.differs)
    return bool(made or parameters["restart"] or parameters["credentials"] or parameters["convert"] or not running)


def main():
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "required": True, "choices": ["installed", "credentials", "unpacked", "started"]},
            "node_name": {"type": "str"},
            "role": {"type": "str", "default": "server", "choices": ["server", "agent"]},
            "program": {"type": "path", "default": node.PROGRAM},
            "data_dir": {"type": "path", "default": "/var/lib/rancher/k3s"},
            "credentials": {"type": "dict", "no_log": True},
            "forget": {"type": "list", "elements": "str", "default": []},
            "convert": {"type": "bool", "default": False},
            "init": {"type": "bool", "default": False},
            "database": {"type": "str", "default": ""},
            "token": {"type": "str", "default": "", "no_log": True},
            "script": {"type": "dict"},
            "ttl": {"type": "str", "default": ""},
            "restart": {"type": "bool", "default": False},
            "until": {"type": "str", "default": "ready", "choices": ["started", "voting", "serving", "ready"]},
            "timeout": {"type": "int", "default": 300},
        },
        required_if=[("state", "started", ["node_name"]), ("state", "installed", ["script"])],
        supports_check_mode=True,
    )
    began = time.monotonic()
    if module.check_mode:
        module.exit_json(changed=would_change(module.params), seconds=0.0)
    try:
        result = globals()[module.params["state"]](module.params)
    except (node.K3sError, k3s_datastore.DatastoreError, ApiError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(seconds=round(time.monotonic() - began, 1), **result)


if __name__ == "__main__":
    main()
