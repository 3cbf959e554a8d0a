# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every role accepts every input of the cluster, and each input is declared once."""

from __future__ import annotations

import os

import pytest
from ansible_collections.kubewright.cluster.plugins.plugin_utils.base.resources import ROLES
from ansible_collections.kubewright.cluster.plugins.plugin_utils.inputs import schema

# The role local creates machines; it knows nothing of the cluster on them.
ACCEPTING = sorted(set(os.listdir(ROLES)) - {"local"})


@pytest.mark.parametrize("role", ACCEPTING)
def test_a_role_accepts_every_input_of_the_cluster(role):
    for name, options in schema.entry_points(role).items():
        assert set(schema.specification()) <= set(options), name


def test_an_input_is_declared_by_one_role():
    declared = [
        name
        for role in os.listdir(ROLES)
        for name, spec in schema.entry_points(role)["main"].items()
        if spec["type"] != "raw"
    ]
    assert sorted(declared) == sorted(
        {**schema.specification(), **schema.run_specification()}.keys() - schema.PLAN_OPTIONS
    )


@pytest.mark.parametrize("role", ACCEPTING)
def test_an_input_of_another_role_has_no_default_of_its_own(role):
    for options in schema.entry_points(role).values():
        assert all(set(spec) == {"type", "description"} for spec in options.values() if spec["type"] == "raw")
