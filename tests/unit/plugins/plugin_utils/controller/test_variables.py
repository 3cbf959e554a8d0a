# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why a variable cannot be evaluated: the way out is named, and no value of a secret."""

from __future__ import annotations

import pytest
from ansible_collections.kubewright.cluster.plugins.plugin_utils.controller.variables import Values


def why(name, error):
    def template(_value, _replaced=None):
        raise ValueError(error)

    with pytest.raises(ValueError) as raised:
        Values({name: "{{ x }}"}, template).get(name)
    return str(raised.value)


@pytest.mark.parametrize("name", ["k3s_token", "kube_http_proxy", "kube_node_labels"])
def test_a_variable_that_is_not_set_is_named_though_the_input_is_secret(name):
    wanted = "%s: needs the variable vault_it, which the host does not have. Set it, or give the file that has it."
    assert why(name, "'vault_it' is undefined") == wanted % name
    assert why(name, "Error while resolving value: 'vault_it' is undefined") == wanted % name


def test_a_variable_of_another_host_is_named():
    wanted = "kube_version: needs the variable version of another host, which does not have it. Write the value itself."
    assert why("kube_version", "object of type 'HostVarsVars' has no attribute 'version'") == wanted


def test_what_else_goes_wrong_with_a_secret_is_not_quoted():
    assert "s3cret" not in why("k3s_token", "unexpected 's3cret'")
    assert "s3cret" in why("kube_node_labels", "unexpected 's3cret'")


def test_facts_have_their_own_way_out():
    assert "Facts are not gathered" in why("kube_node_ip", "'ansible_default_ipv4' is undefined")
