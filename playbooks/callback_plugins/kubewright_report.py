# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write the report of a run where -e report_json=FILE is given. Ansible loads this file because it is beside the
playbooks."""

from __future__ import annotations

import os
import time

import ansible.constants as C
from ansible import context
from ansible.plugins.callback import CallbackBase
from ansible_collections.kubewright.cluster.plugins.plugin_utils.controller import kubeconfig
from ansible_collections.kubewright.cluster.plugins.plugin_utils.controller.run_store import RunStore
from ansible_collections.kubewright.cluster.plugins.plugin_utils.report.run_report import Report


class CallbackModule(CallbackBase):
    """Collects what each task did on each host. Without report_json it does nothing."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "kubewright_report"

    def __init__(self):
        super().__init__()
        self._path, self._report, self._playbook = "", None, ""

    def v2_playbook_on_start(self, playbook):
        self._playbook = os.path.splitext(os.path.basename(playbook._file_name))[0]

    def v2_playbook_on_play_start(self, play):
        if self._report is None:
            path = str(play.get_variable_manager().extra_vars.get("report_json") or "")
            if not path:
                return
            self._path = os.path.abspath(os.path.expanduser(path))
            self._report = Report(self._playbook, bool(context.CLIARGS.get("check")), time.time())
        self._report.play = str(play.get_name())
        self._write(ended=False)

    def v2_runner_on_start(self, host, task):
        if self._report:
            self._report.begin(host.get_name(), task._uuid, time.time())

    def v2_runner_on_ok(self, result):
        self._add(result, "changed" if result.is_changed() else "ok")

    def v2_runner_on_failed(self, result, ignore_errors=False):
        self._add(result, "ignored" if ignore_errors else "failed")

    def v2_runner_on_unreachable(self, result):
        self._add(result, "unreachable")

    def v2_playbook_on_stats(self, stats):
        if self._report:
            self._write(ended=True)
            self._display.display("The report is in %s" % self._path)

    def _add(self, result, how):
        if not self._report:
            return
        hidden = getattr(result.task, "no_log", False)
        message = "hidden (no_log)" if hidden is True else result.result.get("msg")
        step = {"name": result.task_name, "result": how, "message": message}
        self._report.end(result.host.get_name(), result.task._uuid, step, time.time())

    def _write(self, ended):
        plan = RunStore(C.DEFAULT_LOCAL_TMP).get("plan", "summary")
        try:
            kubeconfig.write(self._path, self._report.text(plan, time.time(), ended), False)
        except OSError as error:
            self._display.warning("report_json: %s cannot be written: %s" % (self._path, error.strerror or error))
