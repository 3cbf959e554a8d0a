# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Take one running node out of service for a change, and return it. Standard library only.

A healthy control plane is asked, not the node itself. Every step can be repeated: what is done already is not done
again.
"""

from __future__ import annotations

import time
from typing import Any, Callable

from . import drain, etcd, tls
from .drain import DrainError
from .kubernetes import Api
from .lock import Lock

NODES = "/api/v1/nodes/"
# Between two renewals of the lock, and between two tries of a dry run.
RENEW_SECONDS, RETRY_SECONDS = 15, 2


class MaintenanceError(Exception):
    """The node cannot be taken out of service; the message says why and what to do."""


class Maintenance:
    """One node in a run that holds the cluster's lock.

    member: a client of the cluster's own etcd, None if the datastore is elsewhere. hold: seconds for which the lock is
    kept without a renewal, while the node is worked on. dead: a run that ended without releasing the lock. note:
    records a change and returns True if it has to be made.
    """

    def __init__(
        self,
        api: Api,
        member: etcd.Etcd | None,
        name: str,
        lock: Lock,
        note: Callable[[str], bool],
        hold: int,
        dead: str = "",
    ) -> None:
        self.api, self.member, self.name, self.lock, self.note = api, member, name, lock, note
        self.hold, self.dead = hold, dead
        self.renewed = 0.0

    def renew(self) -> None:
        """Renew the lock from time to time. Raise LockError or ApiError."""
        if time.monotonic() - self.renewed > RENEW_SECONDS or not self.renewed:
            self.lock.take(self.hold, self.dead)
            self.renewed = time.monotonic()

    # -- out of service ------------------------------------------------------------------------------------------------

    def drain(self, timeout: float, force: bool = False) -> None:
        """Make the node unschedulable and evict its pods. Raise DrainError or ApiError.

        The node is made schedulable again if its pods stay, unless it was unschedulable before. force: pods may be
        lost.
        """
        deadline = time.monotonic() + timeout
        self._await_permission(deadline, force)
        found = self.api.get(NODES + self.name)
        cordoned = not (found.get("spec") or {}).get("unschedulable") and self.note("cordon %s" % self.name)
        if cordoned:
            drain.cordon(self.api, self.name, self.lock.holder.operation)
        pods = drain.evictable(drain.pods_on(self.api, self.name))
        if not pods or not self.note("evict %d pods from %s" % (len(pods), self.name)):
            return
        try:
            drain.evict(self.api, self.name, max(deadline - time.monotonic(), 0), self.renew, time.sleep)
        except DrainError:
            drain.uncordon(self.api, self.name)
            raise

    def _await_permission(self, deadline: float, force: bool) -> None:
        """Wait until a dry run of the evictions passes: pods of the node before may not be ready again yet."""
        while True:
            found = drain.obstacles(self.api, self.name, returns=True)
            if found.lost and not force:
                text = "pods of %s would be lost: %s. Move them first, or allow that."
                raise DrainError(text % (self.name, "; ".join(found.lost)))
            if not found.blocked:
                return
            if time.monotonic() > deadline:
                text = "pods of %s may not be evicted: %s. Let them have more replicas, or change the budget."
                raise DrainError(text % (self.name, "; ".join(found.blocked)))
            self.renew()
            time.sleep(RETRY_SECONDS)

    def hand_over_leadership(self) -> None:
        """Let another member lead etcd while this one is down. Raise MaintenanceError or one of tls.NO_ANSWER.

        Of three members or more, a majority of the others has to answer. K3s's members say who leads on their own node
        only, so there the member gives its leadership away when it stops.
        """
        if self.member is None:
            return
        members = self.member.members()
        # A machine that was set up again may have left a former member of its name, which does not serve either.
        own = [item for item in members if self._is_own(self.member, item)]
        voters = [item for item in members if not item.get("isLearner")]
        if not own or len(voters) < 2:
            return
        leader = str(self.member.own_status().get("leader") or "")
        serving = [item for item in voters if item not in own and self._serves(self.member, item)]
        needed = len(voters) // 2 + 1
        if len(voters) > 2 and len(serving) < needed:
            text = "without %s %d of %d etcd members would answer, and %d are needed. Start the others first."
            raise MaintenanceError(text % (self.name, len(serving), len(voters), needed))
        leading = [item for item in own if str(item["ID"]) == leader]
        if leading and serving and not self.member.own_only:
            words = (self.name, serving[0].get("name") or "another member")
            if self.note("move etcd's leadership from %s to %s" % words):
                self.member.move_leader(leading[0], serving[0])

    def _is_own(self, client: etcd.Etcd, item: dict[str, Any]) -> bool:
        name = item.get("name") or ""
        return (etcd.k3s_node(name) if client.own_only else name) == self.name

    @staticmethod
    def _serves(client: etcd.Etcd, item: dict[str, Any]) -> bool:
        """Return True if a member answers with a leader, in the cluster of the one that was asked. Those of K3s only
        take the connection."""
        try:
            answer = client.status(item)
        except (*tls.NO_ANSWER, LookupError):
            return False
        same = etcd.cluster_of(answer) in (None, client.cluster_id)
        return answer.get("reached") is True or same and bool(int(answer.get("leader") or 0))

    # -- back in service -----------------------------------------------------------------------------------------------

    def uncordon(self) -> None:
        """Make the node schedulable if the collection made it unschedulable. Raise ApiError."""
        found = self.api.get(NODES + self.name, missing_ok=True) or {}
        ours = drain.CORDONED in ((found.get("metadata") or {}).get("annotations") or {})
        if ours and self.note("uncordon %s" % self.name):
            drain.uncordon(self.api, self.name)


def entered(work: Maintenance, evict: bool, timeout: float, force: bool) -> None:
    """Take the node out of service, and keep the lock. Raise what the steps raise; the lock is released then."""
    try:
        if evict:
            work.drain(timeout, force)
        work.hand_over_leadership()
        work.lock.take(work.hold, work.dead)
    except BaseException:
        work.lock.release()
        raise


def left(work: Maintenance, release: bool) -> None:
    """Return the node to service. release: the run has no other node to change now."""
    work.uncordon()
    if release:
        work.lock.release()
