# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Remove nodes from a cluster that stays, asked of a control plane that stays. Standard library only."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Callable, Dict, Iterable, List, Tuple
from urllib.parse import urlsplit

from ..api import drain, etcd, readiness, tls
from ..api.etcd import Etcd
from ..api.kubernetes import Api, local_server
from ..node import paths
from . import leaving

# A kubelet renews its Lease every ten seconds and counts as lost after 40 (nodeLeaseDurationSeconds).
LOST_SECONDS = 40
# It has missed a renewal, with which it would have reached any control plane.
MISSED_SECONDS = 15
ANSWER_SECONDS = 2
# K3s's controllers remove a Node's finalizers within a second. They run on one server; if that is the one that died,
# another one takes over when its lease ends, after 45 seconds: leader/leader.go of rancher/wrangler.
GONE_SECONDS = 90
NODES, NODE_LEASES = "/api/v1/nodes/", "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/"
PASSWORD = "/api/v1/namespaces/kube-system/secrets/%s.node-password.k3s"
CONTROL_PLANE = "node-role.kubernetes.io/control-plane"


class RemovalError(Exception):
    """A node cannot be removed; the message says why and what to do."""


def client() -> Etcd | None:
    """Return a client of the cluster's own etcd, None if its datastore is elsewhere. Raise what etcd.connect raises."""
    how = etcd.access()
    stacked = not os.path.exists(paths.API_SERVER_MANIFEST) or os.path.exists(paths.MANIFESTS + "/etcd.yaml")
    return etcd.connect(how) if how and stacked else None


def api() -> Api:
    """Return a client of this control plane's own API. Raise ApiError."""
    return Api([local_server()])


# -- what there is ---------------------------------------------------------------------------------


def nodes(
    cluster: Api, silent: List[str], off: bool = False, sleep: Callable[[float], None] = time.sleep
) -> List[Dict[str, Any]]:
    """Return [{name, ready, reports, answers, machine_id, control_plane, addresses}] of all Nodes. Raise ApiError.

    silent: names of nodes that cannot be reached. One that died a moment ago is Ready for a while, so they are waited
    for until their kubelets count as lost. off: the user says that their machines are off, so one missed report is
    enough. reports: the kubelet is alive, by its Lease. answers: ports at which a silent node answers.
    """
    limit = MISSED_SECONDS if off else LOST_SECONDS
    deadline = time.monotonic() + limit + 5
    seen = Leases(limit, off)
    while True:
        rows = [_row(cluster, item, seen) for item in cluster.get("/api/v1/nodes")["items"] or []]
        if not any(row["name"] in silent and row["reports"] for row in rows) or time.monotonic() > deadline:
            break
        sleep(1)
    for row in rows:
        if row["name"] in silent:
            # Another machine may have the address of one that is gone.
            row["addresses"] = [address for address in row["addresses"] if address not in _of_others(rows, row)]
        row["answers"] = answers(row["addresses"]) if row["name"] in silent and not row["reports"] else []
    return rows


def _of_others(rows: List[Dict[str, Any]], row: Dict[str, Any]) -> List[str]:
    return [address for other in rows if other is not row and other["ready"] for address in other["addresses"]]


def answers(addresses: Iterable[str]) -> List[str]:
    """Return the places ADDRESS:PORT at which a node's kubelet, API server or etcd takes connections.

    A new machine in its place refuses them.
    """
    server = local_server()
    ports = (paths.KUBELET_PORT, server[1] if server else paths.API_PORT, paths.ETCD_PORT)
    places = [(address, port) for address in addresses for port in ports]
    with ThreadPoolExecutor(8) as pool:
        return ["%s:%d" % place for place, takes in zip(places, pool.map(_takes_connections, places)) if takes]


def _takes_connections(place: Any) -> bool:
    try:
        socket.create_connection(place, ANSWER_SECONDS).close()
    except OSError:
        return False
    return True


class Leases:
    """The Leases of nodes, as they are seen. limit, off: as in nodes().

    A Lease has the time of its node's clock, which nobody knows of a machine that is gone: it may be hours ahead, or
    behind. So a Lease that looks new and does not change is that of a dead node, and one that looks old and changes is
    not.
    """

    def __init__(self, limit: float, off: bool) -> None:
        self.limit, self.off = limit, off
        self.known: Dict[str, Tuple[str, float]] = {}

    def reports(self, name: str, ready: bool, renewed: str) -> bool:
        """Return True if a kubelet is alive. renewed: time of its last report, "" if it has no Lease."""
        if not renewed:
            return ready
        now = time.monotonic()
        if (self.known.get(name) or ("",))[0] != renewed:
            # The first one may be of any age; each later one is a sign of life.
            self.known[name] = (renewed, now)
        same = now - self.known[name][1]
        looks_old = time.time() - readiness.moment(renewed) >= self.limit
        # Kubernetes watches for changes too: of a node that is not Ready it has missed reports for 50 seconds.
        is_lost = looks_old and (self.off or not ready or same >= MISSED_SECONDS)
        return not (is_lost or same >= self.limit)


def _row(cluster: Api, item: Dict[str, Any], seen: Leases) -> Dict[str, Any]:
    name, ready = item["metadata"]["name"], readiness.is_ready(item)
    lease = cluster.get(NODE_LEASES + name, missing_ok=True)
    renewed = str(((lease or {}).get("spec") or {}).get("renewTime") or "")
    status = item.get("status") or {}
    return {
        "name": name,
        "ready": ready,
        "reports": seen.reports(name, ready, renewed),
        "machine_id": (status.get("nodeInfo") or {}).get("machineID"),
        "control_plane": CONTROL_PLANE in (item["metadata"].get("labels") or {}),
        "addresses": [entry["address"] for entry in status.get("addresses") or [] if entry["type"] == "InternalIP"],
    }


def members(member_list: Etcd) -> List[Dict[str, Any]]:
    """Return [{id, name, learner, addresses, serves}] of etcd's members, each asked. Raise one of tls.NO_ANSWER."""
    found = member_list.members()
    with ThreadPoolExecutor(8) as pool:
        serving = list(pool.map(lambda member: leaving.serves(member_list, member), found))
    return [
        {
            "id": member["ID"],
            "name": member.get("name") or "",
            "learner": not leaving.votes(member),
            "addresses": sorted({urlsplit(url).hostname or "" for url in member.get("peerURLs") or []}),
            "serves": serves,
        }
        for member, serves in zip(found, serving)
    ]


# -- taking a node out -----------------------------------------------------------------------------


def move_leader(cluster: Etcd, going: List[Dict[str, Any]], note: Callable[[str], bool]) -> None:
    """Give etcd's leadership to a member that stays, if one that leaves has it. Raise one of tls.NO_ANSWER.

    going: [{host, name, addresses}]. Of K3s's members only the leader itself can be asked, on its own node.
    """
    known = cluster.members()
    leader = str(cluster.own_status().get("leader") or "")
    current = next((member for member in known if str(member["ID"]) == leader), None)
    if current is None or (cluster.own_only and current["ID"] != cluster.own_id):
        return
    if not leaving.host_of(current, going, cluster.own_only):
        return
    staying = [
        member for member in known if leaving.votes(member) and not leaving.host_of(member, going, cluster.own_only)
    ]
    target = next((member for member in staying if leaving.serves(cluster, member)), None)
    if target and note("move etcd's leadership from %s to %s" % (current.get("name"), target.get("name"))):
        with contextlib.suppress(*tls.NO_ANSWER):  # if it fails, the others elect a leader when this one goes
            cluster.move_leader(current, target)


def remove_member(cluster: Etcd, item: Dict[str, Any], note: Callable[[str], bool]) -> None:
    """Remove the etcd member of a node, after the leadership. Raise RemovalError.

    note: records a change and returns True unless in check mode.
    """
    try:
        move_leader(cluster, [item], note)
        leaving.leave(cluster, [item], note)
    except leaving.LeaveError as error:
        raise RemovalError(str(error)) from error
    except tls.NO_ANSWER as error:
        raise RemovalError("etcd does not answer: %s" % (error or type(error).__name__)) from error


def leave_etcd(own: Etcd, item: Dict[str, Any], note: Callable[[str], bool]) -> bool:
    """Remove the etcd member of the server on which this runs. Return True if its K3s can be stopped then.

    A member that does not answer may still count for the majority; a control plane that stays removes it. Raise
    RemovalError before anything is changed.
    """
    try:
        known = own.members()
        staying = [member for member in known if member["ID"] != own.own_id]
        serving = [member for member in staying if leaving.serves(own, member)]
        wrong = leaving.problem(staying, serving, [item["host"]])
        if wrong:
            raise RemovalError(wrong)
        move_leader(own, [item], note)
    except tls.NO_ANSWER:
        return False
    if len(staying) < len(known) and note("remove the etcd member of %s" % item["host"]):
        try:
            own.remove(own.own_id or "")
        except tls.NO_ANSWER:  # a member that is removed may end before it answers
            return True
    return True


def forget(cluster: Api, name: str, note: Callable[[str], bool], sleep: Callable[[float], None] = time.sleep) -> None:
    """Delete a Node, and what K3s and kubeadm know of it beside. Raise RemovalError or ApiError.

    K3s puts finalizers on Nodes: a server's stays until its etcd member is removed.
    """
    path, password = NODES + name, PASSWORD % name
    if cluster.get(password, missing_ok=True) and note("delete the password that K3s keeps of %s" % name):
        cluster.delete(password)
    if cluster.get(path, missing_ok=True) is None or not note("delete the Node %s" % name):
        return
    drain.forget_static_pods(cluster, name)
    cluster.delete(path)
    deadline = time.monotonic() + GONE_SECONDS
    while True:
        node = cluster.get(path, missing_ok=True)
        if node is None:
            drain.forget_pods(cluster, name)
            return
        if time.monotonic() > deadline:
            waiting = ", ".join(node["metadata"].get("finalizers") or []) or "no finalizer"
            text = "the Node %s was deleted and is still there after %d s (%s). Run remove again."
            raise RemovalError(text % (name, GONE_SECONDS, waiting))
        sleep(0.3)


def attachments(cluster: Api, names: List[str]) -> List[str]:
    """Return the volumes that are still attached to nodes. Raise ApiError."""
    found = cluster.get("/apis/storage.k8s.io/v1/volumeattachments")["items"] or []
    return [item["metadata"]["name"] for item in found if item["spec"].get("nodeName") in names]
