# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a running K3s node is so far that others may follow, or that it is in order. Standard library only."""

from __future__ import annotations

import http.client
import json
import os
import ssl
from urllib.parse import urlsplit

from ..api import kubernetes as kube_api
from ..node import paths as places

# Of etcd, to which its members speak: https://docs.k3s.io/installation/requirements#inbound-rules-for-k3s-nodes
PEERS = 2380


def serving(name):
    """Why others cannot join by a server yet; empty when they can.

    With embedded etcd its API starts once its member votes, and what the Node says of that must not differ (pkg/etcd/etcd.go); the Node itself comes later.
    """
    node, problem = _asked(name)
    votes = _conditions(node or {}).get("EtcdIsVoter")
    return problem or ("its etcd member does not vote: %s" % votes.get("message") if votes and votes.get("status") != "True" else "")


def voting(name, data_dir):
    """Why the next server cannot join yet; empty when it can: this one's etcd member votes, or its API answers.

    etcd tells at its peers' port who its members are (server/etcdserver/api/etcdhttp/peer.go of etcd-io/etcd), also before it serves clients, which
    may come fifteen seconds after the vote. There is one learner at a time: where there is none, this one is none either.
    """
    place = data_dir + "/server/tls/etcd"
    if not os.path.exists(place + "/peer-server-client.key"):
        return serving(name)
    try:
        context = _context(place + "/peer-ca.crt", place + "/peer-server-client")
        members = _answer("127.0.0.1", PEERS, context, "/members")
    except (OSError, ValueError, http.client.HTTPException):
        return serving(name)
    if members is None:
        return serving(name)
    learners = [url for member in members if member.get("isLearner") for url in member.get("peerURLs") or ["?"]]
    return "its etcd does not vote: %s is a learner" % ", ".join(learners) if learners or not members else ""


def _context(authority, name):
    """TLS for who has name.crt and name.key, to servers of an authority whatever they are called."""
    context = ssl.create_default_context(cafile=authority)
    context.check_hostname = False
    context.load_cert_chain(name + ".crt", name + ".key")
    return context


def _answer(host, port, context, path):
    """The JSON at a path, None where the answer is another than 200. OSError, ValueError or HTTPException where there is none."""
    connection = http.client.HTTPSConnection(host, port, timeout=5, context=context)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        text = answer.read().decode("utf-8", "replace")
        return json.loads(text) if answer.status == 200 else None
    finally:
        connection.close()


def problem_of_server(name, voter=False):
    """Why a server does not serve yet; empty when it does. With embedded etcd its member must vote: Ready alone is no gate.

    voter: whether the Node has to say so, which one has just become; else only where it says that it does not.
    """
    node, problem = _asked(name)
    return problem or problem_of_node(node, name, voter)


def _asked(name):
    """(the Node by the server's own API, or None; why the API does not serve, or empty)."""
    try:
        api = kube_api.Api([kube_api.local_server() or ("127.0.0.1", 6443)], places.K3S_ADMIN, timeout=5, patience=0)
        status, text = api.ask("GET", "/readyz")
        if status != 200:
            return None, "its API is not ready: %s" % text.strip()[-200:]
        return api.get("/api/v1/nodes/" + name, missing_ok=True), ""
    except kube_api.ApiError as error:
        return None, str(error)


def _conditions(node):
    return {item["type"]: item for item in (node.get("status") or {}).get("conditions") or []}


def problem_of_node(node, name, voter=False):
    """Why a Node object is not in order. voter: whether it must say that its etcd member votes; else only where it says that it does not."""
    if node is None:
        return "the API does not know the node %s" % name
    conditions = _conditions(node)
    ready = conditions.get("Ready") or {}
    if ready.get("status") != "True":
        return "the node is not Ready: %s" % (ready.get("message") or "its kubelet did not report")
    votes = conditions.get("EtcdIsVoter") or ({"message": "it does not say so yet"} if voter else None)
    if votes and votes.get("status") != "True":
        return "its etcd member does not vote: %s" % (votes.get("message") or "it is a learner")
    return ""


def problem_of_agent(name, data_dir):
    """Why an agent does not serve yet: its own kubelet's certificate asks for its own Node, through K3s's own balancer."""
    place = data_dir + "/agent"
    try:
        context = _context(place + "/server-ca.crt", place + "/client-kubelet")
    except (OSError, ValueError):
        return "it has no identity yet: no server has let it join"
    way = urlsplit(places.K3s().own())
    try:
        return problem_of_node(_answer(way.hostname, way.port, context, "/api/v1/nodes/" + name), name)
    except (OSError, ValueError, http.client.HTTPException) as error:
        return "its way to the servers does not answer: %s" % error
