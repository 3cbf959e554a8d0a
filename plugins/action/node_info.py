# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Action plugin for the module node_info: reads the host's inputs, looks at the host, keeps both for the plan."""

from __future__ import annotations

import contextlib
import signal
import time

import ansible.constants as C
from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase
from ansible.template import is_trusted_as_template, trust_as_template
from ansible_collections.kubewright.cluster.plugins.plugin_utils.controller import host_inputs
from ansible_collections.kubewright.cluster.plugins.plugin_utils.controller.run_store import RunStore
from ansible_collections.kubewright.cluster.plugins.plugin_utils.inputs import schema
from ansible_collections.kubewright.cluster.plugins.plugin_utils.inputs.foreign import dialects
from ansible_collections.kubewright.cluster.plugins.plugin_utils.network.addresses import is_address

SECONDS = 60  # for one look
BUSY_SECONDS = 300  # for a kubeadm that an earlier run left at work


class _NoAnswer(BaseException):
    """The look takes too long. Not an Exception: nothing on the way may take it for one of its own."""


class ActionModule(ActionBase):
    """One look at one host: its own task variables, or those of the host that it is delegated to."""

    TRANSFERS_FILES = False
    _supports_check_mode = True

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        if not boolean(arguments.pop("keep", False)):
            return {**result, **_without_key(self._module(arguments, task_vars))}
        host = str(arguments.pop("host", None) or task_vars["inventory_hostname"])
        store = RunStore(C.DEFAULT_LOCAL_TMP)
        store.drop("look", host)
        server = host_inputs.is_server(host, task_vars["groups"])
        variables = self._variables(host, task_vars)
        templar = self._templar.copy_with_new_env(available_variables=variables)
        names = self._foreign_names(store, task_vars)
        found = host_inputs.read(host, variables, self._template(variables), task_vars["groups"], names)
        probes = self._probes(store, host, task_vars)
        arguments = {**host_inputs.look_arguments(found.values, server, probes), **arguments}
        node, error = self._look(host, arguments, task_vars)
        store.put(
            "look",
            host,
            {
                "info": node,
                "error": error,
                "inputs": found.given,
                "problems": found.problems,
                "foreign": found.foreign.as_dict(),
                "manifests": found.manifests,
                "local": str(templar.template(variables.get("ansible_connection"))) == "local",
            },
        )
        result.update(changed=False)
        if error:
            result["msg"] = error
        return result

    def _template(self, variables):
        """Return the function that evaluates a variable's value with a host's variables."""

        own = self._templar.copy_with_new_env(available_variables=variables)

        def template(value, replaced=None):
            if not replaced:
                return own.template(value)
            trusted = {name: _like(text, variables.get(name)) for name, text in replaced.items()}
            templar = self._templar.copy_with_new_env(available_variables={**variables, **trusted})
            return templar.template(next((trusted[name] for name, text in replaced.items() if text is value), value))

        return template

    def _look(self, host, arguments, task_vars):
        """Return (facts or None, why there are none)."""
        end, waits = time.monotonic() + BUSY_SECONDS, False
        while True:
            try:
                with _limit(SECONDS, self._task.timeout):
                    found = self._module({**arguments, "controller_epoch": time.time()}, task_vars)
            except AnsibleConnectionFailure as error:
                return None, "cannot be reached: %s" % str(error).strip().splitlines()[-1]
            except AnsibleError as error:
                return None, "could not be looked at: %s" % host_inputs.failure({"msg": str(error)})
            except _NoAnswer:
                return None, "could not be looked at: no answer within %d seconds" % SECONDS
            if found.get("failed") or "node" not in found:
                return None, "could not be looked at: %s" % host_inputs.failure(found)
            if not found["node"].get("busy") or time.monotonic() > end:
                return found["node"], None
            if not waits:
                self._display.display("%s: waiting for the kubeadm of an earlier run (up to five minutes)" % host)
                waits = True
            time.sleep(3)

    def _module(self, arguments, task_vars):
        return self._execute_module("kubewright.cluster.node_info", arguments, task_vars=task_vars)

    def _variables(self, host, task_vars):
        """Return the variables of a host, not templated.

        What a play, a role or a task sets holds for hosts that --limit leaves out too.
        """
        own = task_vars["inventory_hostname"]
        if host == own:
            return task_vars
        hostvars = task_vars["hostvars"]
        inventory = hostvars.raw_get(own)
        known, theirs = schema.specification(), dialects.names()
        set_here = {
            name: value
            for name, value in task_vars.items()
            if (name in known or schema.is_input(name) or name in theirs)
            and not (name in inventory and inventory[name] is value)
        }
        return {**hostvars.raw_get(host), **set_here}

    def _foreign_names(self, store, task_vars):
        """Return the names of other projects' variables that hosts of the cluster have."""
        with store.turn("foreign"):
            known = store.get("foreign", "names")
            if known is None:
                theirs, hostvars = dialects.names(), task_vars["hostvars"]
                hosts = host_inputs.known_hosts(task_vars["groups"])
                known = sorted({name for host in hosts for name in hostvars.raw_get(host) if name in theirs})
                store.put("foreign", "names", known)
        return known

    def _probes(self, store, host, task_vars):
        """Return addresses of nodes: the routes to them show which own addresses a node uses.

        They are the same for all hosts and with every --limit, except for the host's own.
        """
        with store.turn("probes"):
            known = store.get("probes", "all")
            if known is None:
                hosts = host_inputs.known_hosts(task_vars["groups"])
                known = host_inputs.probes(self._target(name, task_vars) for name in hosts)
                store.put("probes", "all", known)
        own = self._target(host, task_vars)
        return known + ([own] if is_address(own) and own not in known else [])

    def _target(self, name, task_vars):
        variables = task_vars["hostvars"].raw_get(name)

        def template(text):
            return self._templar.copy_with_new_env(available_variables=variables).template(text)

        with contextlib.suppress(AnsibleError):
            return host_inputs.target(name, variables, template)
        return ""


def _without_key(found):
    """Return a result that may be printed: with the key the digests of short secrets in manifests could be guessed."""
    live = ((found.get("node") or {}).get("cluster") or {}).get("live") or {}
    (live.get("applied") or {}).pop("key", None)
    return found


def _like(text, original):
    """Return a text as a template, if the one that it was made of is one."""
    return trust_as_template(text) if is_trusted_as_template(original) else text


@contextlib.contextmanager
def _limit(seconds, elsewhere):
    """Raise _NoAnswer after so many seconds. elsewhere: the task's own limit, which uses the same alarm."""
    if elsewhere:
        yield
        return

    def stop(_signal, _frame):
        raise _NoAnswer

    former = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, former)
