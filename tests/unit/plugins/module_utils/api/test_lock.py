# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cluster's lock: one holder, renewals, staleness, races."""

from __future__ import annotations

import itertools

import pytest
from ansible_collections.kubewright.cluster.plugins.module_utils.api import lock
from ansible_collections.kubewright.cluster.plugins.module_utils.api.kubernetes import ApiError
from ansible_collections.kubewright.cluster.plugins.module_utils.api.lock import Holder, Lock, LockError

ALICE, BOB = Holder("alice@laptop", "remove", "laptop/1-1"), Holder("bob@build", "site", "build/2-2")


def test_a_second_run_is_refused_with_the_holder_and_the_way_out(api, clock):
    Lock(api, ALICE, clock).take()
    clock.now += 12
    with pytest.raises(LockError) as refused:
        Lock(api, BOB, clock).take()
    text = str(refused.value)
    assert "alice@laptop" in text and "(remove, since 2026-" in text and "12 s ago" in text
    assert "kubectl -n kube-system delete lease kubewright" in text and refused.value.run == ALICE.run
    assert Lock(api, BOB, clock).held_by_another() and not Lock(api, ALICE, clock).held_by_another()


def test_the_same_run_renews_and_keeps_the_time_since_when(api, clock):
    Lock(api, ALICE, clock).take()
    since = api.objects[lock.PATH]["spec"]["acquireTime"]
    clock.now += 50
    Lock(api, ALICE, clock).take()
    spec = api.objects[lock.PATH]["spec"]
    assert spec["acquireTime"] == since != spec["renewTime"]
    clock.now += 50
    assert Lock(api, BOB, clock).held_by_another()


def test_a_killed_runs_lock_is_stale_after_a_minute(api, clock):
    Lock(api, ALICE, clock).take()
    clock.now += lock.STALE_SECONDS + 1
    Lock(api, BOB, clock).take()
    assert api.objects[lock.PATH]["spec"]["holderIdentity"] == "bob@build"
    Lock(api, ALICE, clock).release()  # it is not hers any more
    assert lock.PATH in api.objects


def test_a_run_that_is_known_to_have_ended_is_not_waited_for(api, clock):
    Lock(api, ALICE, clock).take()
    Lock(api, BOB, clock).take(dead=ALICE.run)
    assert api.objects[lock.PATH]["spec"]["holderIdentity"] == "bob@build"


def test_release_deletes_it_and_is_safe_to_repeat(api, clock):
    Lock(api, ALICE, clock).take()
    Lock(api, ALICE, clock).release()
    Lock(api, ALICE, clock).release()
    assert lock.PATH not in api.objects


@pytest.mark.parametrize("exists", [False, True])
def test_who_writes_second_is_refused(api, clock, exists):
    if exists:  # a stale one, which both want
        Lock(api, Holder("eve@x", "site", "x/3-3"), clock).take()
        clock.now += 100
    api.before_write = Lock(api, ALICE, clock).take
    with pytest.raises(LockError):
        Lock(api, BOB, clock).take()
    assert api.objects[lock.PATH]["spec"]["holderIdentity"] == "alice@laptop"


def test_a_lease_that_is_never_accepted_ends_the_wait(api, clock, monkeypatch):
    ticks, before = itertools.count(0, 5), api.ask

    def conflict(method, path, body=None, patience=None):
        return (409, "{}") if method in ("POST", "PUT") else before(method, path, body, patience)

    monkeypatch.setattr(api, "ask", conflict)
    monkeypatch.setattr(lock.time, "monotonic", lambda: next(ticks))
    monkeypatch.setattr(lock.time, "sleep", lambda _seconds: None)
    with pytest.raises(ApiError, match="cannot be written: for 30 s the API has refused each write"):
        Lock(api, ALICE, clock).take()


def test_nodes_of_one_run_that_take_it_at_once_all_get_it(api, clock):
    Lock(api, ALICE, clock).take()
    api.before_write = Lock(api, ALICE, clock).take
    Lock(api, ALICE, clock).take()
    assert api.objects[lock.PATH]["spec"]["holderIdentity"] == "alice@laptop"
