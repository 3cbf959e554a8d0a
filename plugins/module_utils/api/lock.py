# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One operation at a time on a cluster: the Lease kube-system/kubewright. Standard library only.

https://kubernetes.io/docs/concepts/architecture/leases/#custom-workload
"""

from __future__ import annotations

import random
import time
from typing import Any, Callable, Dict, Mapping, NamedTuple

from . import readiness
from .kubernetes import Api, ApiError, reason

LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases"
NAME = "kubewright"
PATH = LEASES + "/" + NAME
# After so long without a renewal anybody may take the lock.
STALE_SECONDS = 60
# How long a Lease is read again because somebody else, such as another node of this run, wrote it in between.
CONTENDED_SECONDS = 30
OPERATION, RUN = "kubewright.cluster/operation", "kubewright.cluster/run"


class LockError(Exception):
    """Another run has the lock; the message says who, since when, and what to do. run: that run, as Holder names it."""

    def __init__(self, message: str, run: str = "") -> None:
        super().__init__(message)
        self.run = run


class Holder(NamedTuple):
    """Who holds the lock. name: user@controller. operation: the playbook. run: the same for all tasks of one run."""

    name: str
    operation: str
    run: str


class Lock:
    """The lock of a cluster for one run. now: returns the seconds since 1970."""

    def __init__(self, api: Api, holder: Holder, now: Callable[[], float] = time.time) -> None:
        self.api, self.holder, self.now = api, holder, now

    def take(self, seconds: int = STALE_SECONDS, dead: str = "") -> None:
        """Take the lock, or renew it if this run has it. Raise LockError or ApiError.

        seconds: it is stale after so long. dead: a run that is known to have ended.
        """
        deadline = time.monotonic() + CONTENDED_SECONDS
        while True:
            lease = self.api.get(PATH, missing_ok=True)
            other = refusal(lease, self.holder.run, self.now())
            if other and other.run != dead:
                raise other
            if self._write(lease, seconds):
                return
            if time.monotonic() > deadline:
                break
            time.sleep(random.uniform(0.05, 0.3))  # noqa: S311  (nodes of one run that write at the same time)
        text = (
            "the lock of the cluster (Lease kube-system/%s) cannot be written: for %d s the API has refused each write "
            "as if others wrote it at the same time. Look at the API server's log, and at its admission webhooks."
        )
        raise ApiError(text % (NAME, CONTENDED_SECONDS))

    def held_by_another(self) -> LockError | None:
        """Return why this run could not take the lock now, None if it could. Raise ApiError."""
        return refusal(self.api.get(PATH, missing_ok=True), self.holder.run, self.now())

    def release(self) -> None:
        """Give the lock back, if this run has it. Raise ApiError."""
        lease = self.api.get(PATH, missing_ok=True)
        if lease is None or _run(lease) != self.holder.run:
            return
        body = {"preconditions": {"resourceVersion": lease["metadata"]["resourceVersion"]}}
        status, text = self.api.ask("DELETE", PATH, body)
        if status >= 300 and status not in (404, 409):
            raise ApiError("the lock of the cluster is not released: %s" % reason(status, text), status)

    def _write(self, lease: Dict[str, Any] | None, seconds: int) -> bool:
        """Write the Lease. Return False if somebody else wrote it in the meantime."""
        mine = lease is not None and _run(lease) == self.holder.run
        now, old = micro_time(self.now()), (lease or {}).get("spec") or {}
        spec = {
            "holderIdentity": self.holder.name,
            "leaseDurationSeconds": seconds,
            "acquireTime": old.get("acquireTime") if mine else now,
            "renewTime": now,
        }
        return write_lease(self.api, NAME, lease, {OPERATION: self.holder.operation, RUN: self.holder.run}, spec)


def refusal(lease: Mapping[str, Any] | None, run: str, now: float) -> LockError | None:
    """Return why a run may not take the lock, None if it may. lease: as it was read. now: in seconds since 1970."""
    if lease is None or _run(lease) == run:
        return None
    left = _left(lease, now)
    if left <= 0:
        return None
    spec, notes = lease["spec"], lease["metadata"].get("annotations") or {}
    renewed = now - readiness.moment(spec.get("renewTime"))
    text = (
        "%s is changing this cluster (%s, since %s, renewed %d s ago). Wait until that run ends. If it was killed, "
        "its lock ends in %d s; to end it now: kubectl -n kube-system delete lease %s."
    )
    values = (spec["holderIdentity"], notes.get(OPERATION) or "unknown operation", spec.get("acquireTime"))
    return LockError(text % (*values, max(renewed, 0), left + 1, NAME), _run(lease))


def _left(lease: Mapping[str, Any], now: float) -> float:
    """Return for how many seconds the lock is still its holder's."""
    spec = lease.get("spec") or {}
    if not spec.get("holderIdentity"):
        return 0
    return readiness.moment(spec.get("renewTime")) + (spec.get("leaseDurationSeconds") or 0) - now


def write_lease(
    api: Api, name: str, lease: Mapping[str, Any] | None, annotations: Mapping[str, str], spec: Mapping[str, Any]
) -> bool:
    """Write a Lease in kube-system. Return False if somebody else wrote it in the meantime. Raise ApiError.

    lease: as it was read, None to make it.
    """
    body: Dict[str, Any] = {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": name, "namespace": "kube-system", "annotations": dict(annotations)},
        "spec": dict(spec),
    }
    if lease is None:
        status, text = api.ask("POST", LEASES, body)
    else:
        body["metadata"]["resourceVersion"] = lease["metadata"]["resourceVersion"]
        status, text = api.ask("PUT", "%s/%s" % (LEASES, name), body)
    if status in (404, 409):
        return False
    if status >= 300:
        raise ApiError("the Lease kube-system/%s cannot be written: %s" % (name, reason(status, text)), status)
    return True


def _run(lease: Mapping[str, Any]) -> str:
    return str((lease["metadata"].get("annotations") or {}).get(RUN) or "")


def micro_time(moment: float) -> str:
    """Return a time in the form of the API's MicroTime."""
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(moment)) + ".%06dZ" % (moment % 1 * 1000000)
