# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Readiness of K3s nodes: can others join by a server, and does a node serve. Standard library only.

Each function returns why not, or "" if nothing is wrong.
"""

from __future__ import annotations

import os
from typing import Any
from urllib.parse import urlsplit

from ..api import etcd, gate, kubernetes, readiness, tls
from ..api.kubernetes import Api, ApiError, local_server
from ..node import paths, services
from ..node.services import Process


def serving_problem(name: str) -> str:
    """Return why others cannot join by this server yet.

    With embedded etcd its API starts once its member votes, and what the Node says about that must not differ
    (pkg/etcd/etcd.go); the Node itself appears later.
    """
    node, problem = _own_node(name)
    reason = readiness.not_voting_reason(node)
    return problem or ("its etcd member does not vote: %s" % reason if reason else "")


def voting_problem(name: str, data_dir: str) -> str:
    """Return why the next server cannot join yet: it can if this one's etcd member votes, or its API answers.

    etcd answers at its peers' port before it serves clients, which may come fifteen seconds after the vote. There is at
    most one learner at a time: if there is none, this member votes.
    """
    if not os.path.exists(data_dir + "/server/tls/etcd/peer-server-client.key"):
        return serving_problem(name)
    try:
        members = etcd.peers(data_dir)
    except tls.NO_ANSWER:
        members = None
    if members is None:
        return serving_problem(name)
    if not members:
        return "its etcd does not vote: it has no members"
    learners = etcd.learners(members)
    return "its etcd does not vote: %s is a learner" % ", ".join(learners) if learners else ""


def server_problem(
    name: str, must_vote: bool = False, etcd_cluster: str = "", etcd_members: dict[str, str] | None = None
) -> str:
    """Return why a server does not serve yet. With embedded etcd its member must vote: Ready does not say that.

    must_vote: the Node has to report that it votes, as after a conversion of the datastore. etcd_cluster: the ID of its
    etcd cluster before the change, "" if it was unknown. etcd_members: that cluster's members by ID, which must all be
    there.
    """

    def ask(process: Process) -> str:
        api, problem = own_api()
        if problem or api is None:
            return problem
        return gate.kubelet_problem(api, name, process, process.started, must_vote) or _etcd_problem(
            name, etcd_cluster, etcd_members or {}
        )

    try:
        return gate.settled(lambda: services.here().process("k3s"), "K3s", ask)
    except ApiError as error:
        return str(error)


def _etcd_problem(name: str, cluster: str, members: dict[str, str]) -> str:
    """Return why the embedded etcd's member does not vote."""
    how = paths.K3s().etcd()
    if not how:
        return ""
    return gate.etcd_problem(
        lambda: etcd.connect(how), name, cluster, lambda member: etcd.k3s_node(member) == name, members
    )


def etcd_before() -> tuple[str, dict[str, str]]:
    """Return (ID of this server's etcd cluster, its members by ID); ("", {}) without embedded etcd or an answer."""
    how = paths.K3s().etcd()
    try:
        member = etcd.connect(how) if how else None
        members = member.members() if member is not None else []
    except tls.NO_ANSWER:
        return "", {}
    return (member and member.cluster_id) or "", etcd.names_by_id(members)


def agent_problem(name: str, data_dir: str) -> str:
    """Return why an agent does not serve yet.

    It asks for its own Node with its kubelet's certificate, through K3s's balancer.
    """
    try:
        api, problem = agent_api(data_dir)
        if api is None:
            return problem
        return gate.settled(
            lambda: services.here().process("k3s-agent"),
            "K3s",
            lambda process: gate.kubelet_problem(api, name, process, process.started),
        )
    except ApiError as error:
        return "the servers do not answer through its balancer: %s" % error


def agent_api(data_dir: str) -> tuple[Api | None, str]:
    """Return (a client of the API through an agent's balancer or None, why there is none)."""
    place = data_dir + "/agent"
    try:
        identity = (place + "/client-kubelet.crt", place + "/client-kubelet.key")
        context = tls.from_files(place + "/server-ca.crt", *identity)
    except (OSError, ValueError):
        return None, "it has no identity yet: no server has accepted it"
    url = urlsplit(paths.K3s().own_server())
    return Api([(url.hostname or "", url.port or 443)], context=context, timeout=5, patience=0), ""


def _own_node(name: str) -> tuple[dict[str, Any] | None, str]:
    """Return (the Node in the server's own API or None, why that API does not serve)."""
    try:
        api, problem = own_api()
        return (api.get("/api/v1/nodes/" + name, missing_ok=True) if api and not problem else None), problem
    except ApiError as error:
        return None, str(error)


def own_api() -> tuple[Api | None, str]:
    """Return (a client of the server's own API or None, why it does not serve). Raise ApiError."""
    api = Api([local_server() or ("127.0.0.1", paths.API_PORT)], paths.K3S_ADMIN, timeout=5, patience=0)
    status, text = api.ask("GET", "/readyz")
    return (api, "") if status == 200 else (None, "its API is not ready: %s" % kubernetes.reason(status, text.strip()))
