# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import time

import pytest
from ansible_collections.kubewright.cluster.plugins.module_utils.base.commands import Result
from ansible_collections.kubewright.cluster.plugins.module_utils.node import services
from ansible_collections.kubewright.cluster.plugins.module_utils.node.services import OpenRC, Systemd


def systemd(output):
    return Systemd(lambda _argv: Result(0, output))


@pytest.mark.parametrize(
    "state, down",
    [("active", False), ("activating", False), ("deactivating", False), ("reloading", False), ("", False),
     ("inactive", True), ("failed", True)],
)  # fmt: skip
def test_a_service_that_waits_or_ends_is_not_down(state, down):
    assert systemd(state + "\n").is_down("k3s") == down


def test_a_service_of_openrc_that_starts_is_not_down(monkeypatch, tmp_path):
    for name in ("started", "starting"):
        monkeypatch.setattr(OpenRC, name, str(tmp_path / name) + "/")
        (tmp_path / name).mkdir()
    assert OpenRC().is_down("k3s")
    (tmp_path / "starting/k3s").touch()
    assert not OpenRC().is_down("k3s")


@pytest.mark.parametrize(
    ("state", "stopped"),
    [("inactive", True), ("failed", True), ("deactivating", False), ("active", False), ("", False)],
)
def test_a_service_that_is_still_stopping_has_not_stopped(state, stopped):
    assert systemd(state + "\n").remove("containerd") == stopped


SHOWN = "MainPID=%d\nInvocationID=a1\nNRestarts=2\nActiveState=active\n"


@pytest.mark.parametrize(
    ("more", "settled"),
    [("", True), ("Job=0\n", True), ("Job=1234\n", False), ("ActiveState=deactivating\n", False)],
)
def test_the_main_process(more, settled):
    found = systemd(SHOWN % os.getpid() + more).process("k3s")
    assert found[:4] == (str(os.getpid()), "a1", 2, settled) and 0 <= time.time() - found.started < 3600
    assert found.is_same(found._replace(settled=False)) and not found.is_same(None)
    assert not found.is_same(found._replace(invocation="b2")) and not found.is_same(found._replace(number="1"))


@pytest.mark.parametrize("output", ["MainPID=0\nInvocationID=a1\n", "", "MainPID=\n", "Failed to connect to bus"])
def test_a_service_without_a_process(output):
    assert systemd(output).process("k3s") is None


def test_the_process_that_supervise_daemon_started(tmp_path, monkeypatch):
    monkeypatch.setattr(OpenRC, "options", str(tmp_path) + "/options/")
    monkeypatch.setattr(OpenRC, "started", str(tmp_path) + "/started/")
    for name, content in {"options/k3s/child_pid": str(os.getpid()), "options/k3s/start_count": "3"}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    assert OpenRC().process("k3s")[:4] == (str(os.getpid()), "", 2, False)
    (tmp_path / "started").mkdir()
    (tmp_path / "started/k3s").write_text("")
    assert OpenRC().process("k3s").settled
    (tmp_path / "options/k3s/child_pid").write_text("999999999")
    assert OpenRC().process("k3s") is OpenRC().process("none") is None


def test_when_a_process_started():
    """This one started after its parent and before now, whatever the clock."""
    own, parent = services.started_at(str(os.getpid())), services.started_at(str(os.getppid()))
    assert 0 < parent <= own <= time.time() and services.started_at("999999999") == 0


def test_the_time_asleep_counts(tmp_path, monkeypatch):
    """Started 1,000 s after a boot 40,000 s ago, of which the machine slept eight hours."""
    clocks = {time.CLOCK_BOOTTIME: 40_000.0, time.CLOCK_MONOTONIC: 11_200.0}
    monkeypatch.setattr(services.time, "clock_gettime", clocks.get)
    monkeypatch.setattr(services.time, "time", lambda: 1_000_000.0)
    ticks = 1000 * os.sysconf("SC_CLK_TCK")
    (tmp_path / "7").mkdir()
    (tmp_path / "7/stat").write_text("7 (a) b) S " + " ".join(["0"] * 18 + [str(ticks)]))
    assert services.started_at("7", str(tmp_path)) == 1_000_000 - 39_000
