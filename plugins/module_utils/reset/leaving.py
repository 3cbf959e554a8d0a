# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Take the etcd members of hosts that are about to be reset out of the cluster that stays. Standard library only.

A member whose data are deleted counts for the quorum until it is removed: two of three, and the rest stops.
https://etcd.io/docs/v3.6/op-guide/runtime-configuration/#remove-a-member
"""

from __future__ import annotations

import time
from typing import Any, Callable, Dict, List
from urllib.parse import urlsplit

from ..api import tls
from ..api.etcd import Etcd, Member, cluster_of, k3s_node

# For the election that follows if the leader leaves, and for the members to agree.
SETTLE_SECONDS = 60


class LeaveError(Exception):
    """Members cannot be removed; the message says why and what to do."""


def host_of(member: Member, leaving: List[Dict[str, Any]], is_k3s: bool = False) -> str | None:
    """Return the host that a member is on, None if it is on none of these.

    leaving: [{host, name, addresses}]. A member that never started has no name, only the address of its peers' URL.
    """
    name = member.get("name") or ""
    node = k3s_node(name) if is_k3s else name
    peers = {urlsplit(url).hostname for url in member.get("peerURLs") or []}
    for item in leaving:
        if node == item["name"] or peers & set(item["addresses"]):
            return item["host"]
    return None


def votes(member: Member) -> bool:
    """Return True if a member counts for the quorum."""
    return not member.get("isLearner")


def serves(etcd: Etcd, member: Member) -> bool:
    """Return True if a member answers, in the cluster of the one that was asked."""
    if not member.get("clientURLs"):
        return False  # it has not started
    try:
        answer = etcd.status(member)
    except tls.NO_ANSWER:
        return False
    return answer.get("reached") is True or etcd.cluster_id is not None and cluster_of(answer) == etcd.cluster_id


def problem(staying: List[Member], serving: List[Member], hosts: List[str]) -> str:
    """Return why members must not be removed, "" if they may: a majority of those that stay has to serve."""
    voters = [member for member in staying if votes(member)]
    answering = [member for member in serving if votes(member)]
    needed = len(voters) // 2 + 1
    if not voters:
        text = "no other etcd member than that of %s votes: the cluster's data would be lost. Let another control plane join "
        return (text + "first, or reset all hosts of the cluster. Nothing was changed.") % ", ".join(hosts)
    if len(answering) >= needed:
        return ""
    text = "without %s %d of %d etcd members would answer, and %d are needed: the cluster would stop. Start the others "
    text += "first, or reset all hosts of the cluster. Nothing was changed."
    return text % (", ".join(hosts), len(answering), len(voters), needed)


def leave(
    etcd: Etcd, leaving: List[Dict[str, Any]], note: Callable[[str], bool], sleep: Callable[[float], None] = time.sleep
) -> None:
    """Remove the members of hosts, those that do not answer first. Raise LeaveError before the first, or when one fails.

    note: records a change and returns True unless in check mode.
    """
    members = etcd.members()
    going = [(member, host_of(member, leaving, etcd.own_only)) for member in members]
    gone = [(member, host) for member, host in going if host]
    if not gone:
        return
    staying = [member for member, host in going if not host]
    serving = [member for member in staying if serves(etcd, member)]
    wrong = problem(staying, serving, sorted({str(host) for _member, host in gone}))
    if wrong:
        raise LeaveError(wrong)
    for member, host in sorted(gone, key=lambda pair: serves(etcd, pair[0])):
        if note("remove the etcd member of %s" % host):
            _remove(etcd, member, str(host), sleep)


def _remove(etcd: Etcd, member: Member, host: str, sleep: Callable[[float], None]) -> None:
    """Remove one member and wait until the others agree. etcd itself refuses what would cost the quorum."""
    deadline, why = time.monotonic() + SETTLE_SECONDS, ""
    while True:
        try:
            if all(other.get("ID") != member["ID"] for other in etcd.members()):
                return
            etcd.remove(member["ID"])
        except tls.NO_ANSWER as error:
            why = str(error)
        if time.monotonic() > deadline:
            text = "the etcd member of %s cannot be removed: %s. Nothing was reset. Run this again when etcd answers."
            raise LeaveError(text % (host, why or "it is still in the list"))
        sleep(1)
