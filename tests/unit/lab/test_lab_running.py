# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import ipaddress
import os
import threading
import time

import pytest
from lablib import hostcaps, jobs, services
from lablib.catalog import LabError
from lablib.jobs import Job, Runner

QUIET = {"say": lambda *_words, **_more: None}


def networks(*texts):
    return [ipaddress.ip_network(text) for text in texts]


@pytest.mark.parametrize(
    "mounts, version",
    [
        ("cgroup2 /sys/fs/cgroup cgroup2 rw 0 0\n", "v2"),
        ("tmpfs /sys/fs/cgroup tmpfs rw 0 0\ncgroup /sys/fs/cgroup/cpu cgroup rw 0 0\n", "v1"),
        ("tmpfs /sys/fs/cgroup tmpfs rw 0 0\ncgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n", "hybrid"),
    ],
)
def test_cgroup_version(mounts, version):
    assert hostcaps.cgroup_version(mounts) == version


def test_capability_from_the_effective_set():
    assert hostcaps.raises_limits("CapEff:\t0000000001000000\n")
    assert not hostcaps.raises_limits("CapEff:\t0000000000ffffff\n")


def test_limits_are_set_only_below_the_engines_defaults():
    assert hostcaps.limit_arguments({"nofile": 20000, "nproc": -1}) == ["--ulimit", "nofile=20000:20000"]
    assert hostcaps.limit_arguments({"nofile": 1048576, "nproc": 4194304}) == []


def test_the_first_free_subnet():
    first = hostcaps.free_subnet([])
    assert first == "10.131.0.0/24"
    assert hostcaps.free_subnet(networks("10.131.0.0/16", "fd00::/8")) == "10.132.0.0/24"
    with pytest.raises(LabError, match="overlaps"):
        hostcaps.free_subnet(networks("10.0.0.0/8"))


def test_routes_without_the_default():
    table = [{"dst": "default"}, {"dst": "10.131.0.0/24"}, {"dst": "192.0.2.1"}]
    assert hostcaps.routed(table) == networks("10.131.0.0/24", "192.0.2.1/32")


def test_jobs_wait_for_their_dependencies():
    done = []
    todo = [
        Job("image", lambda: done.append("image"), needs=("program", "root")),
        Job("program", lambda: done.append("program")),
        Job("root", lambda: done.append("root")),
    ]
    assert Runner(todo, **QUIET).run()
    assert done[-1] == "image" and len(done) == 3


def test_a_failure_drops_only_dependent_jobs():
    done, lines = [], []

    def fail():
        raise LabError("the end of the log")

    todo = [
        Job("image", lambda: done.append("image"), needs=("program",)),
        Job("archive", lambda: done.append("archive"), needs=("image",)),
        Job("program", fail),
        Job("other", lambda: done.append("other")),
    ]
    runner = Runner(todo, say=lambda text, **_more: lines.append(text))
    assert not runner.run()
    assert done == ["other"]
    assert any("FAILED program" in line and "the end of the log" in line for line in lines)


def test_a_dropped_job_is_not_started_while_another_waits():
    gate = threading.Event()
    done = []

    def fail():
        gate.set()
        raise LabError("no")

    todo = [
        Job("slow", lambda: (gate.wait(5), time.sleep(0.05), done.append("slow"))),
        Job("bad", fail),
        Job("after", lambda: done.append("after"), needs=("slow",)),
        Job("never", lambda: done.append("never"), needs=("bad", "slow")),
    ]
    assert not Runner(todo, **QUIET).run()
    assert done == ["slow", "after"]


def test_estimate_of_the_remaining_time():
    long, short = Job("a", print, 400), Job("b", print, 20)
    assert jobs.remaining([short], {long: 0.0}, 100.0) == 300
    assert jobs.remaining([short] * 10, {short: 0.0}, 10.0) == 105
    assert jobs.remaining([], {short: 0.0}, 100.0) == 25
    assert jobs.clock(75) == "1:15"


def test_mac_address_of_an_address():
    assert services.hardware_address("10.131.0.2") == "02:42:0a:83:00:02"


@pytest.mark.parametrize(
    "name, alive, running", [("podman", True, True), ("podman", False, False), ("docker", False, True)]
)
def test_a_dead_container_that_podman_reports_as_running_is_replaced(monkeypatch, name, alive, running):
    box = {
        "State": {"Running": True, "Pid": os.getpid() if alive else 2**22 + 1},
        "Config": {"Labels": {"kubewright.lab": "d"}},
    }

    class Engine:
        def inspect(self, *_words):
            return box

    Engine.name = name
    monkeypatch.setattr(services, "engine", Engine)
    assert services.state() == (running, "d")
