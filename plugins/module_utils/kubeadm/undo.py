# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Take a node whose join failed out of etcd, before what the join left there is removed. Standard library only.

`kubeadm reset` warns and deletes the data all the same when it cannot remove the member
(cmd/kubeadm/app/cmd/phases/reset/removeetcdmember.go of kubernetes/kubernetes). A member without data counts for the
quorum, so here nothing is removed unless another member removes this one and all others are healthy.
"""

from __future__ import annotations

import os
from typing import List
from urllib.parse import urlsplit

from ..api import etcd, tls
from ..api.etcd import Etcd, Member
from ..node import ownership, paths

# Key of the ownership record's settings: the name under which the collection's unfinished join began here.
JOINING = "kubeadm_join"


class UndoError(Exception):
    """The join cannot be undone, and nothing was removed; the message says why and what to do."""


def begin(root: str, name: str) -> None:
    """Record that a join begins on a machine that has nothing of a cluster: what it leaves may be removed."""
    with ownership.lock_node(root + paths.LOCK):
        record = ownership.read(root + paths.OWNERSHIP_RECORD)
        record["settings"][JOINING] = name
        ownership.write(record, root + paths.OWNERSHIP_RECORD)


def end(root: str) -> None:
    """Record that the join is complete: nothing of this node is removed any more, and a restore is behind it."""
    with ownership.lock_node(root + paths.LOCK):
        record = ownership.read(root + paths.OWNERSHIP_RECORD)
        ended = [record["settings"].pop(name, None) for name in (JOINING, ownership.RESTORING)]
        if any(entry is not None for entry in ended):
            ownership.write(record, root + paths.OWNERSHIP_RECORD)


def is_ours(root: str, name: str) -> bool:
    """Return True if the unfinished join on this machine is the collection's, under this name."""
    return ownership.read(root + paths.OWNERSHIP_RECORD)["settings"].get(JOINING) == name


def others(root: str, addresses: List[str]) -> Etcd | None:
    """Return a client of the other control planes' etcd; None if the join did not come so far as to add a member.

    kubeadm adds the member with this certificate: cmd/kubeadm/app/util/etcd/etcd.go (NewFromCluster).
    """
    place = root + paths.KUBERNETES + "/pki/etcd/"
    if not os.path.exists(place + "healthcheck-client.crt"):
        return None
    if not addresses:
        raise UndoError("no other control plane is known that could remove its etcd member")
    try:
        context = tls.from_files(place + "ca.crt", place + "healthcheck-client.crt", place + "healthcheck-client.key")
    except (OSError, ValueError) as error:
        raise UndoError("its etcd certificate cannot be read: %s" % error) from error
    hosts = ["[%s]" % address if ":" in address else address for address in addresses]
    return Etcd(["https://%s:%d" % (host, paths.ETCD_PORT) for host in hosts], context)


def leave(client: Etcd, name: str, address: str) -> None:
    """Remove this node's member by another one, if all others that vote are healthy. Raise UndoError."""
    try:
        members = client.members()
        mine = [member for member in members if _is_mine(member, name, address)]
        rest = [member for member in members if member not in mine and not member.get("isLearner")]
        sick = [_name(member) for member in rest if not _is_healthy(client, member)]
        if sick or not rest:
            raise UndoError("etcd members are not healthy: %s" % (", ".join(sick) or "no other one exists"))
        client.servers = [member["clientURLs"][0] for member in rest]
        for member in mine:
            client.remove(member["ID"])
        if any(_is_mine(member, name, address) for member in client.members()):
            raise UndoError("its etcd member is still in the list")
    except tls.NO_ANSWER as error:
        raise UndoError("etcd on the other control planes does not answer, or refuses: %s" % error) from error


def _is_mine(member: Member, name: str, address: str) -> bool:
    """Return True if a member is this node's: by its name or, before it has started, by the address of its peers."""
    return member.get("name") == name or address in [urlsplit(url).hostname for url in member.get("peerURLs") or []]


def _name(member: Member) -> str:
    return member.get("name") or (member.get("peerURLs") or ["?"])[0]


def _is_healthy(client: Etcd, member: Member) -> bool:
    """Return True if a member has started, answers, and has a leader in the cluster that was asked."""
    if not member.get("clientURLs"):
        return False
    try:
        answer = client.status(member)
    except tls.NO_ANSWER:
        return False
    same = etcd.cluster_of(answer) in (None, client.cluster_id)
    return same and int(answer.get("leader") or 0) != 0
