# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of all scenarios use. Host names are expected as the inventory has them."""

from __future__ import annotations

import json

import pytest


@pytest.fixture
def inputs(host):
    """The host's variables, as a run of the collection sees them."""
    return host.ansible.get_variables()


@pytest.fixture
def owned(host):
    """The record of what the collection made on the host."""
    return json.loads(host.check_output("cat /etc/kubewright/owned.json"))


@pytest.fixture
def kubectl(host):
    """Asks the API with a control plane's own kubectl: kubectl("nodes") gives the objects."""

    def get(kind, *arguments):
        command = ["kubectl", "--cache-dir=/run/kubectl", "--kubeconfig=/etc/kubernetes/admin.conf", "get", kind, "-o", "json", *arguments]
        return json.loads(host.check_output(" ".join(command)))["items"]

    return get


@pytest.fixture
def members(inputs):
    """Inventory names of control planes and workers."""
    groups = inputs["groups"]
    return {"control_planes": groups.get("kube_control_plane", []), "workers": groups.get("kube_node", [])}
