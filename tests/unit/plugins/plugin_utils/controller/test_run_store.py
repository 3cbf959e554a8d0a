# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The run's files on the controller: turns that hosts take, and how long one waits for another."""

from __future__ import annotations

import multiprocessing

import pytest
from ansible_collections.kubewright.cluster.plugins.plugin_utils.controller import run_store
from ansible_collections.kubewright.cluster.plugins.plugin_utils.controller.run_store import RunStore, TurnError

FORK = multiprocessing.get_context("fork")


def keep(directory, host, taken, end):
    with RunStore(directory).turn("join", host):
        taken.set()
        end.wait(20)


@pytest.fixture
def other(tmp_path):
    """Let another host have the turn. Returns what ends it."""
    taken, end = FORK.Event(), FORK.Event()
    process = FORK.Process(target=keep, args=(str(tmp_path), "cp-1", taken, end))
    process.start()
    assert taken.wait(20)
    yield end
    end.set()
    process.join(20)


def test_a_turn_comes_when_the_other_one_ends(tmp_path, other):
    other.set()
    with RunStore(str(tmp_path)).turn("join", "cp-2", seconds=20):
        assert (tmp_path / "kubewright" / "join.lock").read_text(encoding="utf-8") == "cp-2"


def test_who_has_a_turn_is_named_and_not_waited_for_for_ever(tmp_path, other, monkeypatch):
    monkeypatch.setattr(run_store, "SAY_SECONDS", 0.3)
    said = []
    with pytest.raises(TurnError) as late, RunStore(str(tmp_path)).turn("join", "cp-2", 1, said.append):
        raise AssertionError("cp-1 has it")
    assert str(late.value).startswith("cp-2 waited 1 s for cp-1, which did not end. Nothing was started on it.")
    assert said and all(line.startswith("cp-2 waits for cp-1 (") for line in said)


def test_another_host_that_got_the_turn_is_progress(tmp_path, other, monkeypatch):
    """Each host before may keep it for its own time."""
    ticks = iter(range(0, 10000, 3))
    lock = tmp_path / "kubewright" / "join.lock"
    looks = []

    def sleep(_seconds):
        looks.append(1)
        lock.write_text("cp-%d" % (len(looks) // 2), encoding="utf-8")
        if len(looks) > 20:
            raise KeyboardInterrupt

    monkeypatch.setattr(run_store.time, "monotonic", lambda: next(ticks))
    monkeypatch.setattr(run_store.time, "sleep", sleep)
    with pytest.raises(KeyboardInterrupt), RunStore(str(tmp_path)).turn("join", "cp-99", 10):
        pass
    assert len(looks) == 21
