# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of a playbook are read once: typed, with defaults and ranges, and only those that exist."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleError
from ansible_collections.kubewright.cluster.plugins.lookup.run_options import LookupModule


class Templar:
    """Keeps what it was asked to evaluate."""

    def __init__(self):
        self.evaluated = []

    def template(self, value):
        self.evaluated.append(value)
        return value


def options(playbook, **variables):
    templar = Templar()
    (found,) = LookupModule(templar=templar).run([playbook], variables)
    return found, templar.evaluated


def test_defaults_are_those_of_the_specification():
    found, _evaluated = options("verify")
    assert (found["timeout"], found["fail"], found["image"], found["json"]) == (60, True, "", None)
    plan = {"json": None, "html": None, "fail": False, "write_inputs": None, "operation": None}
    assert options("plan")[0] == plan
    assert options("remove")[0] == {"nodes": [], "timeout": 300, "force": False, "dead": False}


def test_replace_has_its_own_nodes_and_the_other_options_of_remove():
    found, _evaluated = options("replace", replace_nodes="cp1,w1", remove_nodes="x", remove_timeout=5)
    assert found == {"nodes": ["cp1", "w1"], "timeout": 5, "force": False, "dead": False}


def test_values_of_the_command_line_have_their_types():
    found, evaluated = options("verify", verify_timeout="90", verify_fail="no", other="{{ never }}")
    assert (found["timeout"], found["fail"]) == (90, False)
    assert sorted(evaluated) == ["90", "no"]


def test_keys_of_maps_that_nobody_set_are_left_out():
    found, _evaluated = options("local", local_nodes=[{"name": "a"}])
    assert found["nodes"] == [{"name": "a"}]


def test_all_that_is_wrong_is_said_at_once():
    with pytest.raises(AnsibleError, match="verify_fail: expected true or false.*verify_timeout: 0 is out of range"):
        options("verify", verify_timeout=0, verify_fail="perhaps")
