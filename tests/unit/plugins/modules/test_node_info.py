# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module itself: what it documents is what it returns, here and on this very machine."""

from __future__ import annotations

import io
import json
from unittest import mock

import yaml
from ansible.module_utils import basic
from ansible_collections.kubewright.cluster.plugins.module_utils.detect import look as node
from ansible_collections.kubewright.cluster.plugins.modules import node_info


def run(parameters):
    """Result of the module with these parameters."""
    arguments = json.dumps({"ANSIBLE_MODULE_ARGS": parameters}).encode()
    patches = [mock.patch.object(basic, "_ANSIBLE_ARGS", arguments)]
    if hasattr(basic, "_ANSIBLE_PROFILE"):
        patches.append(mock.patch.object(basic, "_ANSIBLE_PROFILE", "legacy"))
    output = io.StringIO()
    for patch in patches:
        patch.start()
    try:
        with mock.patch("sys.stdout", output):
            node_info.main()
    except SystemExit as end:
        assert not end.code, output.getvalue()
    finally:
        mock.patch.stopall()
    return json.loads(output.getvalue())


def test_everything_is_documented():
    documented = yaml.safe_load(node_info.RETURN)["node"]["contains"]
    assert set(documented) == set(node.look(host=None))


def test_this_machine(tmp_path):
    (tmp_path / "file").write_text("x", encoding="utf-8")
    result = run({"paths": [str(tmp_path / "file"), "/none"], "controller_epoch": 5.0, "data_paths": [str(tmp_path)]})
    found = result["node"]
    assert result["changed"] is False and found["schema"] == 1
    assert found["files"][str(tmp_path / "file")]["size"] == 1 and found["files"]["/none"] is None
    assert found["disks"][str(tmp_path)]["total_bytes"] > 0 and found["clock"]["offset_seconds"] > 1e9
    assert found["memory"]["usable_bytes"] > 0 and found["cpus"]["count"] >= 1
