# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hosts of a playbook: an inventory that is missing, empty or without roles is an error, and so is a misspelt option."""

from __future__ import annotations

import pytest
from ansible import context
from ansible.errors import AnsibleError
from ansible_collections.kubewright.cluster.plugins.lookup import cluster_hosts


def hosts(monkeypatch, groups, propose=False, **variables):
    """What the lookup returns at the start of a playbook."""
    monkeypatch.setattr(context, "CLIARGS", {})
    made = cluster_hosts.LookupModule()
    made.set_options = lambda **_named: None
    made.get_option = {"propose": propose}.get
    return made.run([], {"groups": groups, **variables})


@pytest.mark.parametrize(
    ("groups", "text"),
    [
        ({"all": [], "ungrouped": []}, "The inventory has no hosts"),
        ({"all": ["a"], "web": ["a"]}, "No host of the inventory is in a group with a role"),
        ({"all": ["a"], "kube_control_plan": ["a"]}, "kube_control_plan"),
    ],
)
def test_an_inventory_without_a_cluster(monkeypatch, groups, text):
    with pytest.raises(AnsibleError, match=text):
        hosts(monkeypatch, groups)


def test_the_plan_proposes_roles_for_hosts_without_any(monkeypatch):
    assert hosts(monkeypatch, {"all": ["a"], "web": ["a"]}, propose=True) == ["all"]


@pytest.mark.parametrize("name", ["reset_keep_image", "verify_fial", "plan_htm", "local_nam"])
def test_misspelt_options_stop_every_playbook(monkeypatch, name):
    groups = {"all": ["a"], "kube_control_plane": ["a"]}
    with pytest.raises(AnsibleError, match=name):
        hosts(monkeypatch, groups, **{name: True})
    assert hosts(monkeypatch, groups) == ["kube_control_plane"]
