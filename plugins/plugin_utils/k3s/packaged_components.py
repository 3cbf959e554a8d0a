# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decide which packaged components of K3s are off: as requested, replaced by a chart, or to save memory.

https://docs.k3s.io/installation/packaged-components. Those in k3s_keep stay on.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple

from ..base.distribution import Inputs, Reason
from ..base.findings import Finding, reason
from . import auto_deploy
from .config_keys import SERVER_PAGE

PAGE = "https://docs.k3s.io/installation/packaged-components"
SERVICES_PAGE = "https://docs.k3s.io/networking/networking-services"
CNI_PAGE = "https://docs.k3s.io/networking/basic-network-options#custom-cni"
PARTS = ("coredns", "local-storage", "metrics-server", "runtimes", "servicelb", "traefik")


class Replacement(NamedTuple):
    """What replaces a packaged component.

    charts: names of charts, each with a function that tells by the chart's values whether it does. does: what they do,
    as a sentence ends. page: where K3s's documentation says to turn the component off.
    """

    charts: dict[str, Callable[[Any], bool]]
    does: str
    page: str


def _on(values: Any, *path: str) -> bool | None:
    """Return True or False for a switch in a chart's values; None if it is not set."""
    for key in path:
        values = values.get(key) if isinstance(values, dict) else None
    return None if values is None else str(values).lower() == "true"


def _cilium_balances(values: Any) -> bool:
    return bool(_on(values, "l2announcements", "enabled") or _on(values, "bgpControlPlane", "enabled"))


def _kube_vip_balances(values: Any) -> bool:
    return _on(values, "env", "svc_enable") is not False


def _always(_values: Any) -> bool:
    return True


# cilium: https://docs.cilium.io/en/stable/network/l2-announcements/ and
# https://docs.cilium.io/en/stable/network/bgp-control-plane/.
# kube-vip: svc_enable in https://github.com/kube-vip/helm-charts/blob/main/charts/kube-vip/values.yaml.
_BALANCERS: dict[str, Callable[[Any], bool]] = {
    "metallb": _always,
    "kube-vip": _kube_vip_balances,
    "kube-vip-cloud-provider": _always,
    "cilium": _cilium_balances,
}
_INGRESSES = (
    "ingress-nginx nginx-ingress haproxy-ingress kubernetes-ingress contour traefik kong ingress apisix".split()
)
REPLACED = {
    "servicelb": Replacement(
        _BALANCERS, "balances Services of type LoadBalancer", SERVICES_PAGE + "#disabling-servicelb"
    ),
    "traefik": Replacement(
        dict.fromkeys(_INGRESSES, _always), "is an ingress controller", SERVICES_PAGE + "#traefik-ingress-controller"
    ),
}
# Charts of pod networks, which need flannel off: CNI_PAGE.
NETWORKS = ("antrea", "calico", "cilium", "kube-ovn", "tigera-operator")
# What low_footprint turns off. coredns stays, because Services are found by DNS, and so does local-storage, which
# serves volume claims. Sources: PAGE and SERVICES_PAGE, and for traefik's jobs
# https://github.com/k3s-io/k3s/blob/main/manifests/traefik.yaml.
LIGHT = {
    "traefik": "an ingress controller, with the two jobs that install it",
    "servicelb": "a pod on every node for each Service of type LoadBalancer",
    "metrics-server": "a pod that asks every kubelet again and again, for kubectl top and autoscaling",
}


def off(shared: Inputs, plugin: str) -> tuple[list[str], list[Reason]]:
    """Return (components that are off, reasons). shared: the cluster's inputs."""
    found: set[str] = set(shared["k3s_disable"])
    reasons: list[Reason] = []

    def turn_off(part: str, value: str, page: str, why: str) -> None:
        if part not in found and part not in shared["k3s_keep"]:
            found.add(part)
            reasons.append(reason("parts", None, value, None, page, "%s off: %s (k3s_keep keeps it)" % (part, why)))

    for item in auto_deploy.present(shared, "k3s_helm_charts"):
        name = chart_name(item)
        for part, row in REPLACED.items():
            if name in row.charts and row.charts[name](item.get("values") or {}):
                turn_off(part, item["name"], row.page, "k3s_helm_charts[%s] %s" % (item["name"], row.does))
        if name in NETWORKS and plugin == "none":
            text = (
                "flannel and K3s's NetworkPolicy off: kube_network.plugin is none, k3s_helm_charts[%s] is the network"
            )
            reasons.append(reason("parts", None, item["name"], None, CNI_PAGE, text % item["name"]))
    if "low_footprint" in shared["kube_needs"]:
        # Values for a component mean that it is used.
        configured = {item["name"] for item in auto_deploy.present(shared, "k3s_helm_configs")}
        for part, what in LIGHT.items():
            if part not in configured:
                turn_off(part, "low_footprint", PAGE, "kube_needs asks for low_footprint, and it is " + what)
    return sorted(found), reasons


def chart_name(item: Inputs) -> str:
    """Return the name of a chart, without the address, version and file extension around it."""
    last = str(item.get("chart") or "").rstrip("/").rpartition("/")[2]
    return re.sub(r"(-v?\d[\w.+-]*)?\.tgz$", "", last)


def problems(shared: Inputs, plugin: str) -> list[Finding]:
    """Refuse components, charts and switches that do not fit together."""
    found = []
    for name in shared["k3s_disable"]:
        if name not in PARTS:
            text = "k3s_disable: K3s has no packaged component %s. Use %s." % (name, ", ".join(PARTS))
            found.append(Finding("k3s_disable.unknown", text, value=name, limit=", ".join(PARTS)))
    for name in sorted(set(shared["k3s_disable"]) & set(shared["k3s_keep"])):
        text = "%s is in both k3s_disable and k3s_keep. Remove it from one of them." % name
        found.append(Finding("k3s_disable.also_kept", text, value=name))
    charts = [item for name in ("k3s_helm_charts", "k3s_helm_configs") for item in auto_deploy.present(shared, name)]
    if charts and is_on(shared, "disable-helm-controller"):
        names = [item["name"] for item in charts]
        text = "k3s_config.disable-helm-controller is on, but the charts %s need it off. Remove one of them (%s)."
        found.append(Finding("helm_chart.no_controller", text % (", ".join(names), auto_deploy.PAGE), value=names))
    for item in auto_deploy.present(shared, "k3s_helm_charts"):
        found += _check_network(item, plugin)
    return found


def _check_network(item: Inputs, plugin: str) -> list[Finding]:
    """Check the settings around a chart that is a pod network."""
    name = chart_name(item)
    if name not in NETWORKS:
        return []
    if plugin != "none":
        text = (
            "k3s_helm_charts[%s]: %s is a pod network and needs kube_network.plugin none, got %s. "
            "Set kube_network: {plugin: none}, or remove the chart (%s)."
        ) % (item["name"], name, plugin, CNI_PAGE)
        return [Finding("helm_chart.second_network", text, value=plugin, limit="none")]
    if not item.get("bootstrap"):
        text = (
            "k3s_helm_charts[%s]: %s is the pod network, and the pod that installs it must start without one. "
            "Set bootstrap: true (%s)."
        ) % (item["name"], name, auto_deploy.PAGE)
        return [Finding("helm_chart.network_without_bootstrap", text, value=item["name"])]
    return []


def warnings(shared: Inputs) -> list[Finding]:
    """Warn of what must be installed instead of a component that is off."""
    found = []
    if is_on(shared, "disable-cloud-controller"):
        text = (
            "k3s_config.disable-cloud-controller: install another cloud controller; until then nodes stay tainted (%s)."
        )
        page = SERVICES_PAGE + "#deploying-an-external-cloud-controller-manager"
        found.append(Finding("k3s_config.no_cloud_controller", text % page))
    if is_on(shared, "disable-kube-proxy"):
        text = "k3s_config.disable-kube-proxy: install a replacement; until then Services cannot be reached (%s)."
        found.append(Finding("k3s_config.no_kube_proxy", text % SERVER_PAGE))
    if "coredns" in shared["k3s_disable"]:
        text = "k3s_disable: coredns is off. Install another DNS server; until then names do not resolve (%s)."
        found.append(Finding("k3s_disable.no_dns", text % (SERVICES_PAGE + "#coredns"), value="coredns"))
    return found


def is_on(shared: Inputs, key: str) -> bool:
    """Return True if a switch of K3s is on in k3s_config."""
    return str((shared.get("k3s_config") or {}).get(key)).lower() == "true"
