# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which parts of K3s are switched off, and why: the user's wish, what a chart replaces, what a small machine goes without.

https://docs.k3s.io/installation/packaged-components. What the user keeps by name (k3s_keep) stays.
"""

from __future__ import annotations

import re

from ..base.findings import reason
from . import auto_deploy as k3s_addons

PAGE = "https://docs.k3s.io/installation/packaged-components"
SERVICES_PAGE = "https://docs.k3s.io/networking/networking-services"
CNI_PAGE = "https://docs.k3s.io/networking/basic-network-options#custom-cni"
PARTS = ("coredns", "local-storage", "metrics-server", "runtimes", "servicelb", "traefik")


def _on(values, *path):
    """Whether a chart's value is true. Nothing said is None."""
    for key in path:
        values = values.get(key) if isinstance(values, dict) else None
    return None if values is None else str(values).lower() == "true"


def _cilium_balances(values):
    return _on(values, "l2announcements", "enabled") or _on(values, "bgpControlPlane", "enabled")


def _kube_vip_balances(values):
    return _on(values, "env", "svc_enable") is not False


def _always(_values):
    return True


# Part -> charts that do its work, each with what of its values says that it does; what they are, and the page that says to switch the part off.
# cilium: https://docs.cilium.io/en/stable/network/l2-announcements/, https://docs.cilium.io/en/stable/network/bgp-control-plane/.
# kube-vip: svc_enable in https://github.com/kube-vip/helm-charts/blob/main/charts/kube-vip/values.yaml.
REPLACED = {
    "servicelb": {
        "charts": {"metallb": _always, "kube-vip": _kube_vip_balances, "kube-vip-cloud-provider": _always, "cilium": _cilium_balances},
        "what": "balances Services of type LoadBalancer",
        "page": SERVICES_PAGE + "#disabling-servicelb",
    },
    "traefik": {
        "charts": dict.fromkeys(
            "ingress-nginx nginx-ingress haproxy-ingress kubernetes-ingress contour traefik kong ingress apisix".split(), _always
        ),
        "what": "is an ingress controller",
        "page": SERVICES_PAGE + "#traefik-ingress-controller",
    },
}
# Charts that are the pod network, which K3s must not bring then: CNI_PAGE.
NETWORKS = ("antrea", "calico", "cilium", "kube-ovn", "tigera-operator")
# What low_footprint goes without. coredns stays, since nothing finds a Service without it, and local-storage, without which no volume claim is
# served. What the parts are: PAGE and SERVICES_PAGE; traefik's jobs: https://github.com/k3s-io/k3s/blob/main/manifests/traefik.yaml.
LIGHT = {
    "traefik": "an ingress controller, with the two jobs that install it",
    "servicelb": "a pod on every node for each Service of type LoadBalancer",
    "metrics-server": "a pod that asks every kubelet again and again, for kubectl top and autoscaling",
}


def off(shared: dict, plugin: str) -> tuple:
    """(parts that are switched off, reasons). shared: the cluster's inputs."""
    found, reasons = set(shared["k3s_disable"]), []
    wanted = {item["name"] for item in k3s_addons.present(shared, "k3s_helm_configs")}

    def switch(part, value, page, why):
        if part not in found and part not in shared["k3s_keep"]:
            found.add(part)
            reasons.append(reason("parts", None, value, None, page, "%s off: %s" % (part, why)))

    for item in k3s_addons.present(shared, "k3s_helm_charts"):
        name = chart_name(item)
        for part, row in REPLACED.items():
            if name in row["charts"] and row["charts"][name](item.get("values") or {}):
                switch(part, item["name"], row["page"], "k3s_helm_charts[%s] %s (k3s_keep keeps it)" % (item["name"], row["what"]))
        if name in NETWORKS and plugin == "none":
            text = "flannel and K3s's NetworkPolicy off: kube_network.plugin is none, k3s_helm_charts[%s] is the network" % item["name"]
            reasons.append(reason("parts", None, item["name"], None, CNI_PAGE, text))
    if "low_footprint" in shared["kube_needs"]:
        for part, what in LIGHT.items():
            # Who sets its values wants it.
            if part not in wanted:
                switch(part, "low_footprint", PAGE, "kube_needs asks for low_footprint, and it is %s (k3s_keep keeps it)" % what)
    return sorted(found), reasons


def chart_name(item: dict) -> str:
    """The name of a chart without the address, version and ending around it."""
    last = str(item.get("chart") or "").rstrip("/").rpartition("/")[2]
    return re.sub(r"(-v?\d[\w.+-]*)?\.tgz$", "", last)


def problems(shared: dict, plugin: str) -> list:
    """Sentences on parts, charts and switches that do not go together."""
    found = [
        "k3s_disable: %s is no part of K3s; it brings %s" % (name, ", ".join(PARTS)) for name in shared["k3s_disable"] if name not in PARTS
    ]
    found += [
        "%s is in k3s_disable and in k3s_keep; take it out of one" % name for name in sorted(set(shared["k3s_disable"]) & set(shared["k3s_keep"]))
    ]
    charts = [item for name in ("k3s_helm_charts", "k3s_helm_configs") for item in k3s_addons.present(shared, name)]
    if charts and is_on(shared, "disable-helm-controller"):
        names = ", ".join(item["name"] for item in charts)
        text = "k3s_config.disable-helm-controller leaves nobody to install the charts %s; drop it, or install them by yourself (%s)"
        found.append(text % (names, k3s_addons.PAGE))
    for item in k3s_addons.present(shared, "k3s_helm_charts"):
        found += _network_problems("k3s_helm_charts[%s]" % item["name"], item, plugin)
    return found


def _network_problems(here, item, plugin):
    name = chart_name(item)
    if name not in NETWORKS:
        return []
    if plugin != "none":
        text = "%s: %s is a pod network, and kube_network.plugin is %s; set kube_network: {plugin: none}, or drop the chart (%s)"
        return [text % (here, name, plugin, CNI_PAGE)]
    if not item.get("bootstrap"):
        text = "%s: %s is the pod network, without which no ordinary pod starts, not even the one that installs it; set bootstrap: true (%s)"
        return [text % (here, name, k3s_addons.PAGE)]
    return []


def warnings(shared: dict) -> list:
    """Sentences on what has to be brought for a switch to work."""
    found = []
    if is_on(shared, "disable-cloud-controller"):
        found.append(
            "k3s_config.disable-cloud-controller: nodes stay tainted and take no pod until a cloud controller of yours runs (%s)"
            % (SERVICES_PAGE + "#deploying-an-external-cloud-controller-manager")
        )
    if is_on(shared, "disable-kube-proxy"):
        found.append(
            "k3s_config.disable-kube-proxy: no Service is reached until something of yours does its work (https://docs.k3s.io/cli/server)"
        )
    if "coredns" in shared["k3s_disable"]:
        text = "k3s_disable: without coredns no name is resolved, and the cluster's proof fails, until a DNS of yours runs (%s)"
        found.append(text % (SERVICES_PAGE + "#coredns"))
    return found


def is_on(shared: dict, key: str) -> bool:
    """Whether a switch of K3s is on in k3s_config."""
    return str((shared.get("k3s_config") or {}).get(key)).lower() == "true"
