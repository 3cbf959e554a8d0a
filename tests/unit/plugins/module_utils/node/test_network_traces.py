# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The traces of network plugins agree with the input's choices and with the program that sets the bridge's routes."""

from __future__ import annotations

import re
from pathlib import Path

import yaml
from ansible_collections.kubewright.cluster.plugins.module_utils.node import network_traces, paths

ROOT = Path(__file__).resolve().parents[5]


def test_each_plugin_is_a_choice_of_the_input():
    specs = yaml.safe_load((ROOT / "roles/kube/meta/argument_specs.yml").read_text(encoding="utf-8"))
    choices = specs["argument_specs"]["main"]["options"]["kube_network"]["options"]["plugin"]["choices"]
    assert {traces.plugin for traces in network_traces.ALL if traces.plugin} == set(choices) - {"auto"}


def test_the_bridges_program_marks_its_routes_with_the_same_protocol():
    text = (ROOT / "roles/network/files/routes.py").read_text(encoding="utf-8")
    assert re.search(r'^PROTOCOL = "(\d+)"$', text, re.M)[1] == str(paths.ROUTE_PROTOCOL)


def test_reset_finds_each_interface_among_those_that_are_not_the_hosts():
    assert all(name.startswith(network_traces.INTERFACE_PREFIXES) for name in network_traces.INTERFACES)
