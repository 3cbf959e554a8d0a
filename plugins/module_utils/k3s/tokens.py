# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""K3s's tokens: made on the first server, read for others to join. Standard library only.

What each token is for: https://docs.k3s.io/cli/token
"""

from __future__ import annotations

import hashlib
import re
import secrets
import time
from typing import Callable

from ..api import readiness
from ..api.kubernetes import Api, local_server
from ..base import commands
from ..base.text_files import read_text, write_secret
from ..node import paths

# K3s's controllers remove a Node's finalizers within a second, once they have done their work.
GONE_SECONDS = 30
LOST_SECONDS = 90


class K3sError(Exception):
    """K3s does not serve; the message says why, without secrets."""


def make(data_dir: str, given: str = "", put: Callable[[str, str], bool] = write_secret) -> bool:
    """Create the tokens of a new cluster; an existing cluster keeps its own. Return True if a file changes.

    given: the servers' token of an earlier cluster whose datastore is used again. It replaces a random one that the
    datastore refused: K3s writes server/token only once the datastore accepts it. put: write_secret, or differs in
    check mode.
    """
    known = password(_read(data_dir + "/server/token"))
    given = "" if known else password(given.strip())
    server = given or _read(paths.K3S_TOKEN) or known or secrets.token_hex(32)
    agent = "" if given else _read(paths.K3S_AGENT_TOKEN)
    agent = agent or password(_read(data_dir + "/server/agent-token")) or derived_agent_token(server)
    return any([put(paths.K3S_TOKEN, server), put(paths.K3S_AGENT_TOKEN, agent)])


def derived_agent_token(server: str) -> str:
    """Return the agents' token that belongs to a servers' token, without revealing it.

    Servers that are rebuilt with the same token accept the agents that exist.
    """
    return hashlib.pbkdf2_hmac("sha256", server.encode(), b"kubewright.cluster agents", 200000).hex()


def password(token: str) -> str:
    """Return the secret part of K10<digest>::<user>:<password>."""
    return token.rpartition(":")[2]


def credentials(data_dir: str, forget: list[str], ttl: str = "", program: str = paths.K3S_PROGRAM) -> dict[str, str]:
    """Return what others need to join: {server, agent, agent_token}. Raise K3sError or ApiError.

    server, agent: tokens with the authority's digest. agent_token: the secret that all servers share.
    ttl: lifetime of a new token for agents, "" for the permanent one.
    forget: nodes that were reinstalled. Their Nodes and the passwords that K3s keeps of them are deleted, otherwise K3s
    refuses them:
    https://docs.k3s.io/architecture#how-agent-node-registration-works
    """
    server = _read(data_dir + "/server/token")
    if not server:
        raise K3sError("%s/server/token is missing: this is not a running server" % data_dir)
    if forget:
        api = Api([local_server()], paths.K3S_ADMIN)
        _require_lost(api, forget)
        for name in forget:
            forget_node(api, name)
    secret = _read(paths.K3S_AGENT_TOKEN)
    digest = server.partition("::")[0]
    agent = "%s::node:%s" % (digest, password(secret)) if secret and digest.startswith("K10") else server
    return {"server": server, "agent": bootstrap(program, ttl) if ttl else agent, "agent_token": password(secret)}


def _require_lost(api: Api, names: list[str]) -> None:
    """Wait until none of these Nodes is Ready. Raise K3sError before anything is deleted if one stays so, or ApiError.

    The node itself has no data. A Node that stays Ready is another machine's; that of a machine which was reset a moment
    ago is Ready until its lease has expired: --node-monitor-grace-period of kube-controller-manager, 50 s by default.
    """
    deadline = time.monotonic() + LOST_SECONDS
    while True:
        nodes = {name: api.get("/api/v1/nodes/" + name, missing_ok=True) for name in names}
        living = sorted(name for name, node in nodes.items() if node and readiness.is_ready(node))
        if not living:
            return
        if time.monotonic() > deadline:
            text = (
                "the cluster has Ready nodes with the names of new ones: %s. Nothing was deleted. Give the new nodes other "
                "names (kube_node_name). If they replace those machines, switch those off and run kubectl delete node."
            )
            raise K3sError(text % ", ".join(living))
        time.sleep(1)


def forget_node(api: Api, name: str) -> None:
    """Delete a Node and its password, and wait until the Node is gone. Raise K3sError or ApiError.

    K3s puts finalizers on Nodes: a server's stays until its etcd member is removed, which etcd refuses while the others
    have no quorum (pkg/etcd/member_controller.go, pkg/node/controller.go). A node that joins before is refused.
    """
    forget_password(api, name)
    api.delete("/api/v1/nodes/" + name)
    deadline = time.monotonic() + GONE_SECONDS
    while True:
        node = api.get("/api/v1/nodes/" + name, missing_ok=True)
        if node is None:
            return
        if time.monotonic() > deadline:
            break
        time.sleep(0.3)
    waiting = ", ".join((node.get("metadata") or {}).get("finalizers") or []) or "no finalizer"
    text = (
        "The Node %s was deleted, and is still there after %d s (%s). A server's Node stays until its etcd member can be "
        "removed: bring the other servers back, more than half of the members have to run. Then run site again."
    )
    raise K3sError(text % (name, GONE_SECONDS, waiting))


def forget_password(api: Api, name: str) -> None:
    """Delete the password of a node, so that another machine may have its name. Raise ApiError."""
    api.delete("/api/v1/namespaces/kube-system/secrets/%s.node-password.k3s" % name)


def bootstrap(program: str, ttl: str) -> str:
    """Return a new token with a lifetime: https://docs.k3s.io/cli/token#k3s-token-create

    K3s prefers the environment's KUBECONFIG, which may be that of another cluster: pkg/cli/cmds/token.go
    """
    description = "agents that join with kubewright.cluster"
    argv = [program, "token", "create", "--ttl", ttl, "--description", description]
    done = commands.run(argv, clean=True, merge=True, env={"KUBECONFIG": paths.K3S_ADMIN})
    found = re.search(r"^(?:K10[0-9a-f]{64}::)?[a-z0-9]{6}\.[a-z0-9]{16}$", done.out, re.M)
    if done.rc or not found:
        raise K3sError("k3s token create failed: %s" % done.complaint()[-400:])
    return found.group(0)


def _read(path: str) -> str:
    return read_text(path).strip()
