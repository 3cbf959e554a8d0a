# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The inventory of a local cluster on the controller."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleActionFail
from ansible_collections.kubewright.cluster.plugins.action import local_cluster

MADE = {"changed": True, "summary": ["demo: 1 node"], "inventory": {"all": {"hosts": {"demo-cp1": None}}}}


@pytest.mark.parametrize("present", [None, "", local_cluster.HEADER + "all: {}\n", local_cluster.OURS + " Formerly.\n"])
def test_it_is_written_where_there_is_none_or_an_earlier_one(action, tmp_path, present):
    path = tmp_path / "inventory.yml"
    if present is not None:
        path.write_text(present)
    made = action(local_cluster.ActionModule, {"name": "demo", "inventory_path": str(path)}, [MADE])
    assert made.run(task_vars={})["changed"]
    assert path.read_text().startswith(local_cluster.HEADER) and "demo-cp1" in path.read_text()
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("content", [b"all: {hosts: {mine: }}\n", b"\xff"])
@pytest.mark.parametrize("check_mode", [False, True])
def test_an_inventory_of_the_users_is_not_replaced(action, tmp_path, monkeypatch, content, check_mode):
    """The module's default is inventory.yml in the working directory, as most people call theirs."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "inventory.yml"
    path.write_bytes(content)
    made = action(local_cluster.ActionModule, {"name": "demo"}, [MADE], check_mode=check_mode)
    with pytest.raises(AnsibleActionFail, match="not an inventory of the playbook local. Nothing was changed"):
        made.run(task_vars={})
    assert path.read_bytes() == content and made.asked == []
    made = action(local_cluster.ActionModule, {"name": "demo", "state": "absent"}, [{"changed": True}])
    assert made.run(task_vars={})["changed"] and path.read_bytes() == content
