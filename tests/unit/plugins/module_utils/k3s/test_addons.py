# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""AddOns of K3s: what is late, what is dropped, and which objects are whose."""

from __future__ import annotations

from ansible_collections.kubewright.cluster.plugins.module_utils.k3s import addons


def addon(name, checksum=""):
    return {"metadata": {"name": name}, "spec": {"checksum": checksum}}


def thing(name, owner, kind="ConfigMap", **labels):
    notes = {"objectset.rio.cattle.io/owner-%s" % key: value for key, value in owner.items()}
    return {
        "apiVersion": "v1",
        "kind": kind,
        "metadata": {"name": name, "namespace": "default", "annotations": notes, "labels": labels},
    }


def of(name):
    return {"gvk": "k3s.cattle.io/v1, Kind=Addon", "name": name, "namespace": "kube-system"}


def test_late_is_what_has_no_addon_or_an_older_one():
    found = [addon("kubewright-a", "1"), addon("kubewright-b", "old"), addon("kubewright-c")]
    assert addons.late(found, {"kubewright-a": "1", "kubewright-b": "2", "kubewright-c": "3", "kubewright-d": "4"}) == [
        "kubewright-b",
        "kubewright-c",
        "kubewright-d",
    ]


def test_dropped_are_ours_alone_and_not_those_with_a_file_left():
    found = [addon(name) for name in ("coredns", "kubewright-a", "kubewright-b", "kubewright-c", "theirs")]
    assert addons.dropped(found, {"kubewright-a": "1"}, ["kubewright-c"]) == ["kubewright-b"]


def test_objects_are_those_whose_annotations_say_so():
    items = [
        thing("one", of("kubewright-a")),
        thing("two", of("kubewright-b")),
        thing("copied", {}),
        thing("chart's", {**of("kubewright-a"), "gvk": "helm.cattle.io/v1, Kind=HelmChart"}),
        thing("kept", of("kubewright-a"), **{"objectset.rio.cattle.io/prune": "false"}),
        thing("one", of("kubewright-a")),
    ]
    assert addons.owned(items, ["kubewright-a", "kubewright-c"]) == {
        "kubewright-a": ["v1|ConfigMap|default|one"],
        "kubewright-c": [],
    }


def test_the_label_is_that_of_a_real_cluster():
    assert addons.selector(["coredns"]) == "objectset.rio.cattle.io/hash in (bce283298811743a0386ab510f2f67ef74240c57)"


def test_what_k3s_said_last():
    def event(name, message, moment, kind="Warning"):
        return {"involvedObject": {"name": name}, "message": message, "type": kind, "lastTimestamp": moment}

    items = [
        event("kubewright-a", "older", "2026-01-01T00:00:00Z"),
        event("kubewright-a", "no matches for\nkind Gadget", "2026-01-01T00:00:15Z"),
        event("kubewright-a", "Applying", "2026-01-01T00:00:30Z", "Normal"),
        event("kubewright-b", "another's", "2026-01-01T00:01:00Z"),
    ]
    assert addons.last_event(items, "kubewright-a") == "no matches for kind Gadget"
    assert addons.last_event(items, "kubewright-c") == ""
    assert addons.resources("configmaps\nevents\ndeployments.apps\nevents.events.k8s.io\n") == [
        "configmaps",
        "deployments.apps",
    ]
