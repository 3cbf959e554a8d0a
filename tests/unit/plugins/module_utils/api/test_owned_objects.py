# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Labels and taints: ours are set and taken away, others' are left."""

from __future__ import annotations

import json

import pytest
from ansible_collections.kubewright.cluster.plugins.module_utils.api import owned_objects as objects

CONTROL_PLANE = {"key": "node-role.kubernetes.io/control-plane", "value": "", "effect": "NoSchedule"}
GPU = {"key": "gpu", "value": "yes", "effect": "NoSchedule"}


def node(labels=None, taints=None, owned=None):
    annotations = {objects.ANNOTATION: json.dumps(owned)} if owned else {}
    return {
        "metadata": {"name": "n", "labels": labels or {}, "annotations": annotations},
        "spec": {"taints": taints or []},
    }


def merged(item, patch):
    """The node after the merge patch."""
    result = json.loads(json.dumps(item))
    for part in ("labels", "annotations"):
        for key, value in (patch.get("metadata") or {}).get(part, {}).items():
            result["metadata"][part][key] = value
            if value is None:
                del result["metadata"][part][key]
    if "spec" in patch:
        result["spec"]["taints"] = patch["spec"]["taints"]
    return result


@pytest.mark.parametrize("item", [node(), node({"theirs": "1"}, [CONTROL_PLANE]), node({"disk": "hdd"}, [GPU])])
@pytest.mark.parametrize(
    "wanted",
    [
        {"labels": {"disk": "ssd"}, "taints": None},
        {"labels": {}, "taints": [GPU]},
        {"labels": {"a": "b"}, "taints": []},
    ],
)
def test_set_once_and_taken_away_again(item, wanted):
    after = merged(item, objects.node_patch(item, wanted))
    assert objects.node_patch(after, wanted) == {}
    for key, value in wanted["labels"].items():
        assert after["metadata"]["labels"][key] == value
    gone = merged(after, objects.node_patch(after, {"labels": {}, "taints": None}))
    assert not set(wanted["labels"]) & set(gone["metadata"]["labels"])
    assert objects.ANNOTATION not in gone["metadata"]["annotations"]
    assert gone["metadata"]["labels"].get("theirs") == item["metadata"]["labels"].get("theirs")


def test_nobody_asked_nothing_done():
    assert objects.node_patch(node({"theirs": "1"}, [CONTROL_PLANE]), {"labels": {}, "taints": None}) == {}


def test_the_users_taints_replace_the_control_planes():
    patch = objects.node_patch(
        node(taints=[CONTROL_PLANE, {"key": "x", "effect": "NoExecute"}]), {"labels": {}, "taints": []}
    )
    assert patch["spec"]["taints"] == [{"key": "x", "value": "", "effect": "NoExecute"}]


def test_damaged_annotation_is_nobodys():
    item = node()
    item["metadata"]["annotations"][objects.ANNOTATION] = "{"
    assert objects.owned_of(item) == {"labels": [], "taints": []}


def test_identity_and_target():
    item = {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "a", "namespace": "b"}}
    assert objects.kubectl_target(objects.identity(item)) == ["-n", "b", "DaemonSet.v1.apps/a"]
    item = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "a"}}
    assert objects.kubectl_target(objects.identity(item)) == ["Namespace/a"]


def machine(name, ready="True", **spec):
    return {"metadata": {"name": name}, "spec": spec, "status": {"conditions": [{"type": "Ready", "status": ready}]}}


def pod(name, place):
    return {"metadata": {"name": name}, "spec": {"nodeName": place}}


@pytest.mark.parametrize(
    ("places", "nodes", "moves"),
    [
        (["a", "a"], [machine("a"), machine("b", taints=[CONTROL_PLANE])], True),
        (["a", "b"], [machine("a"), machine("b")], False),
        (["a"], [machine("a"), machine("b")], False),
        (["a", "a"], [machine("a")], False),
        (["a", "a"], [machine("a"), machine("b", ready="False")], False),
        (["a", "a"], [machine("a"), machine("b", unschedulable=True)], False),
        (["a", "a"], [machine("a"), machine("b", taints=[GPU])], False),
        ([None, None], [machine("a"), machine("b")], False),
    ],
)
def test_dns_is_spread_where_another_node_can_take_it(places, nodes, moves):
    pods = [pod(str(number), place) for number, place in enumerate(places)]
    assert bool(objects.crowded(pods, nodes)) == moves


@pytest.mark.parametrize(
    ("places", "ready", "may", "settled"),
    [
        (["a", "a"], ["True", "True"], True, True),
        (["a", "a"], ["True", "False"], True, False),
        ([None, "a"], ["True", "True"], True, False),
        (["a", "b"], ["True", "False"], False, False),
        (["a", "a"], ["True"], False, True),
    ],
)
def test_new_nodes_are_waited_for_before_dns_is_spread(places, ready, may, settled):
    nodes = [machine(name, state) for name, state in zip("ab", ready)]
    pods = [pod(str(number), place) for number, place in enumerate(places)]
    assert (objects.may_crowd(pods, nodes), objects.settled(pods, nodes)) == (may, settled)


@pytest.mark.parametrize(
    ("words", "silent"),
    [
        ("Unable to connect to the server: EOF", True),
        ("The connection to the server 10.0.0.1:6443 was refused: connect: connection refused", True),
        ('Get "https://10.0.0.1:6443/api": unexpected EOF', True),
        ('Error from server (NotFound): configmaps "kubewright-manifests" not found', False),
        (
            'Error from server (InternalError): failed calling webhook "w": '
            "dial tcp 10.0.0.9:443: connect: connection refused",
            False,
        ),
        ("error: error parsing STDIN: yaml: line 3: EOF-marker is no key", False),
    ],
)
def test_an_api_that_did_not_answer_is_told_from_one_that_refused(words, silent):
    assert objects.unreached(words) is silent
