# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Does this node serve again after a change: what both distributions are asked. Standard library only.

The API's objects outlive what they describe: a Node stays Ready for 40 seconds after its kubelet has died. So a report
counts only if it is newer than the processes that run now. All times are of this node's own clock: its kubelet writes
them. Each function returns why not, or "" if nothing is wrong.
"""

from __future__ import annotations

import time
from typing import Callable

from ..node.services import Process
from . import etcd, kubelet, readiness, tls
from .kubernetes import Api

# A process that ends right after its start has answered too. systemd starts the kubelet again after ten seconds, K3s
# after five.
STEADY_SECONDS = 3
STEADY_SECONDS_AFTER_A_FAILURE = 20


def process_problem(process: Process | None, unit: str) -> str:
    """Return why the main process of a service does not count yet."""
    if process is None:
        return "%s does not run" % unit
    if not process.settled:
        return "%s is being started or stopped" % unit
    age = time.time() - process.started
    if process.restarts and age < STEADY_SECONDS_AFTER_A_FAILURE:
        return "%s failed %d times, and has been running for only %d s since then" % (unit, process.restarts, age)
    return "" if age >= STEADY_SECONDS else "%s has been running for only %d s" % (unit, age)


def same_process_problem(process: Process, now: Process | None, unit: str) -> str:
    """Return that a service was started again while it was asked."""
    same = process.is_same(now) and now is not None and now.restarts == process.restarts
    return "" if same else "%s was started again in the meantime" % unit


def kubelet_problem(api: Api, name: str, process: Process, changed: float, must_vote: bool = False) -> str:
    """Return why the kubelet that runs now does not serve its node. Raise ApiError.

    process: the service that is, or has, the kubelet. changed: when anything on the node was started last, in seconds
    since 1970. must_vote: the Node has to report that its etcd member votes.
    """
    unhealthy = kubelet.health_problem()
    if unhealthy:
        return "its kubelet is not healthy: %s" % unhealthy
    node = api.get("/api/v1/nodes/" + name, missing_ok=True)
    problem = readiness.node_problem(node, name, must_vote)
    if problem:
        return problem
    lease = api.get("/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/" + name, missing_ok=True)
    return readiness.stale_reason(node, lease, process.started, max(changed, process.started), time.time())


def etcd_problem(
    connect: Callable[[], etcd.Etcd],
    name: str,
    cluster: str,
    is_named: Callable[[str], bool],
    former: dict[str, str] | None = None,
) -> str:
    """Return why this node's etcd member does not vote in the cluster that it belonged to.

    connect: returns a client of the member. cluster: the cluster's ID before the change, "" if it was unknown. is_named:
    whether a member's name is that of this node. former: members before the change by ID, which must all be there.
    """
    try:
        member = connect()
        members = member.members()
        if cluster and member.cluster_id != cluster:
            return "its etcd is of another cluster: %s, before the change it was %s" % (member.cluster_id, cluster)
        own = next((item for item in members if item.get("ID") == member.own_id), None)
        if own is None or not is_named(own.get("name") or ""):
            reason = etcd.not_voting_reason(name, members) or "another member answers in its place"
            return "its etcd member does not vote: %s" % reason
        if own.get("isLearner"):
            return "its etcd member does not vote: it is a learner"
        lost = etcd.lost_reason(former or {}, etcd.names_by_id(members))
        if lost:
            return lost
        state = member.own_status()
    except tls.NO_ANSWER as error:
        return "its etcd does not answer: %s" % (error or type(error).__name__)
    return "" if int(state.get("leader") or 0) else "its etcd member knows no leader"


def settled(read: Callable[[], Process | None], unit: str, ask: Callable[[Process], str]) -> str:
    """Return the first problem of a service's process and of what it is asked; it has to be the same one afterwards."""
    process = read()
    problem = process_problem(process, unit)
    if problem or process is None:
        return problem
    return ask(process) or same_process_problem(process, read(), unit)
