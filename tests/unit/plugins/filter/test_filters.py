# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import ast
import pathlib
import re

import pytest
import yaml
from ansible.errors import AnsibleFilterError
from ansible_collections.kubewright.cluster.plugins.filter import plans
from ansible_collections.kubewright.cluster.plugins.plugin_utils.base import quantity, versions
from ansible_collections.kubewright.cluster.plugins.plugin_utils.plan import planner
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.machines import inventory
from jinja2.nativetypes import NativeEnvironment

SIDECARS = pathlib.Path(plans.__file__).parent
EXAMPLE = re.compile(r'^\s*\w+: "(\{\{.*\}\})"  # (.+)$', re.M)


def examples():
    """(filter, template, result) of every documented example that says its result."""
    found = []
    for path in sorted(SIDECARS.glob("*.yml")):
        for template, result in EXAMPLE.findall(yaml.safe_load(path.read_text(encoding="utf-8"))["EXAMPLES"]):
            found.append(pytest.param(template, result, id="%s %s" % (path.stem, result)))
    return found


def literal(text):
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


@pytest.mark.parametrize("template, result", examples())
def test_documented_examples_are_true(template, result):
    environment = NativeEnvironment()
    environment.filters.update(
        {"kubewright.cluster." + name: one for name, one in plans.FilterModule().filters().items()}
    )
    assert environment.from_string(template).render() == literal(result)


def test_every_plain_filter_has_such_examples():
    shown = {parameter.id.split()[0] for parameter in examples()}
    assert set(plans.PLAIN) <= shown


@pytest.mark.parametrize(
    "name, arguments, said",
    [
        ("kube_arch", ["vax"], "'vax' is not a known architecture"),
        ("kube_quantity", ["12 potatoes"], "'12 potatoes' is not a quantity"),
        ("kube_quantity", ["1Gi", "MB"], "'MB' is not a unit"),
        ("kube_version_satisfies", ["1.36.3", "recent"], "'recent' is not a requirement"),
        ("kube_version_satisfies", ["1.36.3", ""], "is not a requirement"),
        ("kube_version_satisfies", ["new", ">1"], "is not a version"),
        ("kube_upgrade_path", ["1.36.3", "1.35"], "not downgraded"),
        ("kube_upgrade_path", ["1.36", "1.37"], "is not a full version"),
        ("kube_upgrade_path", ["1.36.3", "2.0"], "major"),
        ("kubeadm_config", [{}], "takes a plan"),
    ],
)
def test_wrong_input_is_told_with_the_filters_name(name, arguments, said):
    with pytest.raises(AnsibleFilterError, match=re.escape(said)) as raised:
        plans.FilterModule().filters()[name](*arguments)
    assert name in str(raised.value)


@pytest.mark.parametrize(
    "version, requirement, met",
    [
        ("1.36.3", "1.36", True),
        ("1.36.3", "~1.36", True),
        ("1.36.3", "1.36.4", False),
        ("v1.36.0-rc.1", ">=1.36.0", False),
        ("1.36.0-rc.2", ">1.36.0-rc.1", True),
        ("1.36.0-rc.10", ">1.36.0-rc.9", True),
        ("1.36.0", ">1.36.0-rc.10", True),
        ("1.36.0-alpha.1", "<1.36.0-beta.0", True),
        ("1.36.9", ">=1.36", True),
        ("1.36.9", "<=1.36", True),
        ("1.37.0", "<=1.36", False),
        ("1.36.3+k3s1", "==1.36.3", True),
        ("1.36.3", ">=1.34,<1.36", False),
        ("1.36.3", "!=1.36", False),
    ],
)
def test_requirements(version, requirement, met):
    assert versions.satisfies(version, requirement) is met


@pytest.mark.parametrize(
    "running, wanted, path",
    [
        ("1.34.4", "1.37", ["1.35.4", "1.36.3", "1.37.2"]),
        ("1.36.9", "1.36", []),
        ("v1.36.3", "v1.36.5", ["1.36.5"]),
        ("1.37.2", "1.39.1", ["1.38.0", "1.39.1"]),
        ("1.36.0-rc.1", "1.36.0", ["1.36.0"]),
    ],
)
def test_upgrade_paths(running, wanted, path):
    assert versions.upgrade_path(running, wanted) == path


@pytest.mark.parametrize("text", ["1", "1Ki", "1.5Gi", "250m", "100M", "3Ti", "0.5"])
def test_a_quantity_written_in_its_unit_reads_the_same(text):
    unit = text.lstrip("0123456789.")
    assert quantity.convert(text, unit) == text
    assert quantity.convert(quantity.convert(text, "")) == quantity.convert(text)


def test_kubeadms_file_comes_out_of_a_plan():
    plan = planner.cluster_plan(*inventory(3, 1))
    leader = list(yaml.safe_load_all(plans.kubeadm_config(plan)))
    assert [document["kind"] for document in leader][:2] == ["InitConfiguration", "ClusterConfiguration"]
    assert yaml.safe_load(plans.kubeadm_config(plan, "w-1"))["kind"] == "JoinConfiguration"
    with pytest.raises(AnsibleFilterError, match="this plan has no host nobody. It has cp-1"):
        plans.kubeadm_config(plan, "nobody")
    with pytest.raises(AnsibleFilterError, match="2 control planes|two control planes|quorum"):
        plans.kubeadm_config(planner.cluster_plan(*inventory(2, 1)), "cp-1")
