# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small client of etcd: its members, their state, and whether they vote. Standard library only.

https://etcd.io/docs/v3.6/dev-guide/api_grpc_gateway/
"""

from __future__ import annotations

import base64
import contextlib
import json
import re
import socket
import ssl
from typing import Any, Callable, Dict, Iterable, List
from urllib.parse import urlsplit

from ..base.masking import masked_message
from ..base.text_files import read_text
from ..node import paths
from . import tls

MEMBERS = "/v3/cluster/member/list"
REMOVE = "/v3/cluster/member/remove"
STATUS = "/v3/maintenance/status"
MOVE_LEADER = "/v3/maintenance/transfer-leadership"
RANGE = "/v3/kv/range"
# Where API servers keep their objects, unless --etcd-prefix says otherwise.
OBJECTS = "/registry/"
Member = Dict[str, Any]


class Etcd:
    """An etcd cluster, asked with a client certificate through the JSON gateways of its members."""

    def __init__(
        self, servers: list[str], context: ssl.SSLContext | None, timeout: float = 3, own_only: bool = False
    ) -> None:
        """servers: client URLs. own_only: True if a member answers only its own node, as with K3s."""
        self.servers, self.context, self.timeout, self.own_only = servers, context, timeout, own_only
        self.own_id: str | None = None
        self.cluster_id: str | None = None

    def ask(self, url: str, path: str, body: str = "{}") -> Any:
        """Return the answer of the member at a URL. Raise one of tls.NO_ANSWER."""
        parts = urlsplit(url)
        context = self.context if parts.scheme == "https" else None
        session = tls.Session(parts.hostname or "", parts.port or 2379, context, self.timeout)
        try:
            status, text = session.ask("POST", path, body)
        finally:
            session.close()
        if status != 200:
            raise ValueError("HTTP %d %s" % (status, text[:200].strip()))
        return json.loads(text)

    def members(self) -> list[Member]:
        """Return the member list as the first server that answers has it. Raise one of tls.NO_ANSWER.

        That server comes first from then on.
        """
        for url in self.servers[:-1]:
            try:
                return self._members(url)
            except tls.NO_ANSWER:
                continue
        return self._members(self.servers[-1])

    def _members(self, url: str) -> list[Member]:
        answer = self.ask(url, MEMBERS)
        self.servers = [url, *(other for other in self.servers if other != url)]
        self.own_id, self.cluster_id = (answer.get("header") or {}).get("member_id"), cluster_of(answer)
        return _named(answer)

    def remove(self, member_id: str) -> None:
        """Remove a member from the cluster. Raise one of tls.NO_ANSWER, also if etcd refuses."""
        self.ask(self.servers[0], REMOVE, json.dumps({"ID": member_id}))

    def move_leader(self, leader: Member, target: Member) -> None:
        """Make another voting member the leader. Only the leader can be asked to. Raise one of tls.NO_ANSWER."""
        url = self.servers[0] if leader["ID"] == self.own_id else leader["clientURLs"][0]
        self.ask(url, MOVE_LEADER, json.dumps({"targetID": target["ID"]}))

    def count(self, prefix: str) -> int:
        """Return how many keys begin with a prefix, by the first server that answers. Raise one of tls.NO_ANSWER."""
        begin = prefix.encode()
        end = begin[:-1] + bytes([begin[-1] + 1])
        keys = {"key": base64.b64encode(begin).decode(), "range_end": base64.b64encode(end).decode()}
        body = json.dumps({**keys, "count_only": True})
        for url in self.servers[:-1]:
            with contextlib.suppress(*tls.NO_ANSWER):
                return int(answered(self.ask(url, RANGE, body)).get("count") or 0)
        return int(answered(self.ask(self.servers[-1], RANGE, body)).get("count") or 0)

    def own_status(self) -> dict[str, Any]:
        """Return the state of the member that listed the members. Raise one of tls.NO_ANSWER."""
        return self.ask(self.servers[0], STATUS)

    def status(self, member: Member) -> dict[str, Any]:
        """Return the state of a member that has started: etcd's status, or {reached: True} if it answers only its node.

        Raise one of tls.NO_ANSWER, also if another member answers at its address.
        """
        url = member["clientURLs"][0]
        if not self.own_only:
            answer = self.ask(url, STATUS)
            there = (answer.get("header") or {}).get("member_id") if isinstance(answer, dict) else None
            if there and str(there) != str(member.get("ID")):
                raise ValueError("the member %s answers in its place" % there)
            return answer
        if member.get("ID") == self.own_id:
            return self.own_status()
        return self._reached(url)

    def _reached(self, url: str) -> dict[str, Any]:
        """Connect to a member with our certificate. Whether it votes is in what our own member says."""
        parts = urlsplit(url)
        plain = socket.create_connection((parts.hostname or "", parts.port or 2379), self.timeout)
        if self.context is None:
            plain.close()
        else:
            self.context.wrap_socket(plain, server_hostname=parts.hostname).close()
        return {"reached": True}


def access(manifest: str = paths.API_SERVER_MANIFEST) -> dict[str, str]:
    """Return how this node's API server reaches etcd: {servers, cafile, certfile, keyfile}, {} if it does not.

    own_only: set if a member answers requests of its own node only.
    """
    text = read_text(manifest)
    if not text:
        found = paths.here()
        return found.etcd() if isinstance(found, paths.K3s) else {}
    return dict(re.findall(r"--etcd-(servers|cafile|certfile|keyfile)=(\S+)", text))


def connect(how: dict[str, str], timeout: float = 3) -> Etcd:
    """Return a client of the etcd that access() describes. Raise OSError, KeyError, ValueError for bad certificates."""
    # Without a certificate: an etcd that asks for none, or that has no TLS.
    context = ssl.create_default_context(cafile=how.get("cafile"))
    if "certfile" in how:
        context = tls.from_files(how["cafile"], how["certfile"], how["keyfile"])
    return Etcd(how["servers"].split(","), context, timeout, bool(how.get("own_only")))


def used_problem(how: dict[str, str], reopened_by: str = "") -> str:
    """Return why no cluster may begin on an external etcd: it has the objects of one, or does not say; "" if it may.

    reopened_by: prefix of the keys with which a cluster there is opened again instead, if there are any.
    """
    try:
        client = connect(how, timeout=10)
        count = 0 if reopened_by and client.count(reopened_by) else client.count(OBJECTS)
    except (*tls.NO_ANSWER, KeyError) as error:
        text = "the external etcd (%s) does not say whether it is empty: %s. Correct that, or its certificates."
        return text % (how["servers"], masked_message(str(error)))
    text = (
        "the external etcd (%s) has %d objects of a cluster, and no control plane of that cluster is in the "
        "inventory. A new cluster needs an empty etcd. Add the running control planes, or use another etcd."
    )
    return text % (how["servers"], count) if count else ""


def local(root: str = paths.KUBERNETES, port: int = paths.ETCD_PORT, timeout: float = 5) -> Etcd:
    """Return a client of a kubeadm control plane's own member. Raise OSError or ValueError for bad certificates."""
    place = root + "/pki/etcd/"
    context = tls.from_files(place + "ca.crt", place + "healthcheck-client.crt", place + "healthcheck-client.key")
    # kubeadm's member listens at [::1] on a node whose first address is IPv6: GetClientURLByIP in its
    # cmd/kubeadm/app/phases/etcd/local.go.
    return Etcd(["https://127.0.0.1:%d" % port, "https://[::1]:%d" % port], context, timeout)


def not_voting_reason(name: str, members: list[Member]) -> str:
    """Return why a node's member does not vote, by the member list; "" if it does."""
    own = next((member for member in members if member.get("name") == name), None)
    if own and not own.get("isLearner"):
        return ""
    if own:
        return "it is a learner"
    names = ", ".join(member.get("name") or "one that has not started" for member in members)
    return "the members are %s" % (names or "unknown")


def names_by_id(members: list[Member]) -> dict[str, str]:
    """Return the name of each member, or its peers' address if it has not started, by its ID."""
    return {str(item.get("ID")): item.get("name") or ", ".join(item.get("peerURLs") or []) for item in members}


def lost_reason(before: dict[str, str], now: dict[str, str]) -> str:
    """Return which members a change has cost the cluster, as names_by_id() has them; "" if none.

    The restart of a K3s server did that: https://github.com/k3s-io/k3s/issues/7613
    """
    gone = sorted(name for number, name in before.items() if number not in now)
    return "etcd has lost the members %s since the change began" % ", ".join(gone) if gone else ""


def returned_reason(before: dict[str, str], now: dict[str, str]) -> str:
    """Return which members a change has brought, as those that were removed once may come back; "" if none.

    https://etcd.io/blog/2025/zombie_members_upgrade/
    """
    new = sorted(name for number, name in now.items() if number not in before)
    return "etcd has the new members %s since the change began" % ", ".join(new) if new and before else ""


def peers(data_dir: str, port: int = paths.ETCD_PEER_PORT, host: str = "") -> list[Member] | None:
    """Return the members that a K3s server's etcd reports to its peers, before it serves clients; None if it refuses.

    host: of another server, asked with this one's certificate. Raise one of tls.NO_ANSWER.
    server/etcdserver/api/etcdhttp/peer.go of etcd-io/etcd
    """
    place = data_dir + "/server/tls/etcd"
    own = place + "/peer-server-client"
    context = tls.from_files(place + "/peer-ca.crt", own + ".crt", own + ".key")
    session = tls.Session(host or paths.K3s().loopback.strip("[]"), port, context, 5)
    try:
        status, text = session.ask("GET", "/members")
    finally:
        session.close()
    return json.loads(text) if status == 200 else None


def learners(members: list[Member]) -> List[str]:
    """Return the peer URLs of the members that do not vote yet."""
    return [url for member in members if member.get("isLearner") for url in member.get("peerURLs") or ["?"]]


def cluster_of(answer: Any) -> str | None:
    """Return the ID of the cluster that a member's answer names, None if it names none."""
    known = (answer.get("header") or {}).get("cluster_id") if isinstance(answer, dict) else None
    return str(known) if known else None


def answered(answer: Any) -> Any:
    """Return an answer about keys. Raise ValueError if it is not etcd's, which would read as if there were none."""
    if not isinstance(answer, dict) or "header" not in answer:
        raise ValueError("the answer is not one of etcd: %s" % str(answer)[:100])
    return answer


def of_one_name(members: Iterable[Member]) -> Dict[str, List[Member]]:
    """Return by name the members that share it. A machine that is set up again under another address has two of them:
    the former one is never removed by itself, and counts for the quorum."""
    found: Dict[str, List[Member]] = {}
    for member in members:
        found.setdefault(member.get("name") or "", []).append(member)
    return {name: rows for name, rows in found.items() if name and len(rows) > 1}


def etcdctl_id(number: Any) -> str:
    """Return a member's ID as etcdctl has it: in hexadecimal, while the JSON gateway gives decimals."""
    return "%x" % int(number) if str(number).isdigit() else str(number)


def k3s_node(member: str) -> str:
    """Return the node of a K3s member, which is named after it and a random number: pkg/etcd/etcd.go (setName)."""
    return re.sub("-[0-9a-f]{8}$", "", member)


def described(text: str, node_of: Callable[[str], str] = str) -> list[Member]:
    """Return [{id, name, learner, peer_urls}] of etcd's answer; a member that has not started yet has no name.

    node_of: returns the node that a member's name names.
    """
    return [
        {
            "id": item.get("ID"),
            "name": node_of(item.get("name", "")),
            "learner": bool(item.get("isLearner")),
            "peer_urls": item.get("peerURLs") or [],
        }
        for item in _named(json.loads(text))
    ]


def _named(answer: Any) -> list[Member]:
    """Return the members in an answer. Raise ValueError if it names none: every cluster has at least one."""
    found = answer.get("members") if isinstance(answer, dict) else None
    if not found:
        raise ValueError("etcd's answer names no member")
    return found
