# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fakes for action plugins: a task, modules that answer from a list, a display that keeps its lines, a run's files."""

from __future__ import annotations

from types import SimpleNamespace

import ansible.constants as C
import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar
from ansible_collections.kubewright.cluster.plugins.plugin_utils.controller.run_store import RunStore


class HostVars(dict):
    """hostvars of a few hosts, not templated."""

    def raw_get(self, host):
        return self[host]


class Display:
    """Keeps what is printed, with its colour."""

    def __init__(self):
        self.lines = []

    def display(self, line, color=None, **_more):
        self.lines.append((line, color))

    def text(self):
        """Return all that was printed on one line: where a line ends depends on the length of the test's paths."""
        return " ".join(" ".join(line for line, _color in self.lines).split())

    def __getattr__(self, _name):
        return lambda *arguments, **named: None


@pytest.fixture
def store(tmp_path, monkeypatch):
    """The files of this run."""
    monkeypatch.setattr(C, "DEFAULT_LOCAL_TMP", str(tmp_path / "local"))
    return RunStore(C.DEFAULT_LOCAL_TMP)


@pytest.fixture
def action(store):
    """Make an action plugin. answers: results of its modules, in order, or exceptions; what was asked is in .asked."""

    def make(cls, args=None, answers=(), variables=None, check_mode=False):
        loader = DataLoader()
        task = SimpleNamespace(
            args=args or {},
            check_mode=check_mode,
            no_log=False,
            timeout=0,
            async_val=0,
            diff=False,
            action="x",
            environment=None,
        )
        connection = SimpleNamespace(_shell=SimpleNamespace(tmpdir=None))
        made = cls(task, connection, None, loader, Templar(loader=loader, variables=variables or {}), None)
        made._display = Display()
        made.asked = []
        rest = list(answers)

        def module(module_name=None, module_args=None, task_vars=None, **_named):
            made.asked.append((module_name, module_args, task.no_log))
            answer = rest.pop(0)
            if isinstance(answer, BaseException):
                raise answer
            return answer

        made._execute_module = module
        return made

    return make
