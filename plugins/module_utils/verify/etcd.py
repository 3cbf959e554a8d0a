# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of the datastore: every etcd member has started, votes, answers and has no alarm. Standard library only."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any, Dict, List, Optional, Set, Tuple

from ..api.etcd import Etcd, Member, access, connect, etcdctl_id, k3s_node, of_one_name
from ..node import paths
from .check import FAIL, OK, WARN, Check, check, tried

QUOTA = 2 << 30  # etcd's own default: https://etcd.io/docs/v3.6/dev-guide/limit/
# (status or None, why there is none).
Answer = Tuple[Optional[Dict[str, Any]], Optional[str]]


def status_of(etcd: Etcd, member: Member, deadline: float) -> Answer:
    """Return (status of a member or None, why there is none), tried until the deadline."""
    if not member.get("clientURLs"):
        return None, "it has not started"
    return tried(deadline, lambda: etcd.status(member))[:2]


def checks(
    control_planes: list[str], deadline: float, timeout: float = 3, how: dict[str, str] | None = None
) -> list[Check]:
    """Return all checks of etcd; none if the datastore is not etcd.

    control_planes: the nodes that should each have a member if etcd is stacked. timeout: seconds for one answer of a
    member. how: api.etcd.access(), for tests.
    """
    how = access() if how is None else how
    if not how.get("servers"):
        return []
    try:
        etcd = connect(how, timeout)
    except (OSError, KeyError, ValueError) as error:
        return [check("etcd", FAIL, "its certificates cannot be read: %s" % error)]
    members, problem, _ms = tried(deadline, etcd.members)
    if members is None:
        look = "`journalctl -u k3s`" if etcd.own_only else "`crictl ps -a --name etcd` and its logs"
        hint = "look at %s on the control planes; more than half of the members must run" % look
        return [check("etcd", FAIL, "%s does not answer: %s" % (how["servers"], problem), hint=hint)]
    with ThreadPoolExecutor(max(1, len(members))) as pool:
        answers = list(pool.map(lambda member: status_of(etcd, member, deadline), members))
    if isinstance(paths.here(), paths.K3s):
        members = [{**member, "name": k3s_node(member.get("name") or "")} for member in members]
    stacked = any(word in how["servers"] for word in ("127.0.0.1", "localhost", "[::1]"))
    return judge(members, answers, control_planes if stacked else None)


def judge(members: list[Member], answers: List[Answer], control_planes: list[str] | None) -> list[Check]:
    """Return the checks for a member list and the answer of each. control_planes: None if etcd is not stacked."""
    found: List[Check] = []
    for member, (status, problem) in zip(members, answers):
        found += _member(member, status, problem)
    found += _clusters(members, answers)
    for name, rows in sorted(of_one_name(members).items()):
        places = ", ".join("%s at %s" % (etcdctl_id(row.get("ID")), (row.get("peerURLs") or ["?"])[0]) for row in rows)
        hint = "remove the one whose machine is gone: `etcdctl member list`, then `etcdctl member remove ID`"
        found.append(check("etcd", FAIL, "%d members have the name %s: %s" % (len(rows), name, places), hint=hint))
    names: Set[str] = {member["name"] for member in members if member.get("name")}
    for name in sorted(set(control_planes or []) - names):
        hint = "run site again: it joins missing members"
        found.append(check("etcd", FAIL, "the control plane has no etcd member", name, hint))
    for name in sorted(names - set(control_planes or names)):
        hint = "if that machine is gone, remove it: `etcdctl member list`, then `etcdctl member remove ID`"
        found.append(check("etcd", FAIL, "the member %s is not a control plane of the inventory" % name, hint=hint))
    if not any(item["status"] == FAIL for item in found):
        known = [status for status, _problem in answers if status and not status.get("reached")]
        size = max([int(status.get("dbSize") or 0) for status in known] or [0])
        versions = ", ".join(sorted({status.get("version") or "?" for status in known}))
        count = "1 member that votes" if len(members) == 1 else "%d members, all vote" % len(members)
        found.append(check("etcd", OK, "%s, version %s, %d MiB" % (count, versions, size >> 20)))
    return found


def _clusters(members: list[Member], answers: List[Answer]) -> list[Check]:
    """Check that all members that answered are of one cluster. One that lost its data may have started a new one."""
    clusters: Dict[str, List[str]] = {}
    for member, (status, _problem) in zip(members, answers):
        known = ((status or {}).get("header") or {}).get("cluster_id")
        if known:
            clusters.setdefault(str(known), []).append(member.get("name") or "?")
    if len(clusters) < 2:
        return []
    parts = "; ".join("%s on %s" % (known, ", ".join(names)) for known, names in sorted(clusters.items()))
    hint = "keep the one with your data; reset the other control planes and run site again"
    return [check("etcd", FAIL, "the members are of %d clusters: %s" % (len(clusters), parts), hint=hint)]


def _member(member: Member, status: dict[str, Any] | None, problem: str | None) -> list[Check]:
    name = member.get("name") or (member.get("peerURLs") or ["?"])[0]
    if member.get("isLearner"):
        text = "the member %s is a learner and does not vote" % name
        return [check("etcd", FAIL, text, hint="run site again: it promotes the member")]
    if not member.get("name") or status is None:
        hint = "look at `crictl ps -a --name etcd` and its logs there"
        return [check("etcd", FAIL, "the member %s does not answer: %s" % (name, problem), hint=hint)]
    found: List[Check] = []
    if status.get("reached"):
        return found
    if int(status.get("leader") or 0) == 0:
        text = "the member %s knows no leader" % name
        found.append(check("etcd", FAIL, text, hint="more than half of the members must run"))
    for alarm in status.get("errors") or []:
        hint = "see https://etcd.io/docs/v3.6/op-guide/maintenance/: compact, defragment, `etcdctl alarm disarm`"
        found.append(check("etcd", FAIL, "the member %s: %s" % (name, alarm), hint=hint))
    quota = int(status.get("dbSizeQuota") or QUOTA)
    size = int(status.get("dbSize") or 0)
    if size > quota * 0.8 and not found:
        text = "the member %s uses %d of %d MiB" % (name, size >> 20, quota >> 20)
        found.append(check("etcd", WARN, text, hint="at the quota it refuses writes: compact and defragment it"))
    return found
