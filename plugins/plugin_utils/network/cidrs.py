# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The networks of pods and Services: their form and size. overlaps.py compares them with what others use."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import ip_network

from ..base.findings import Finding
from .plugin import IPNetwork

# Prefix lengths of a node's pod network: --node-cidr-mask-size-ipv4 and -ipv6,
# https://kubernetes.io/docs/reference/command-line-tools-reference/kube-controller-manager/
NODE_PREFIX = {4: 24, 6: 64}
# The controller manager and kubeadm allow so many bits between the two: pkg/controller/nodeipam/ipam/cidrset/cidr_set.go
# (clusterSubnetMaxDiff) and cmd/kubeadm/app/constants/constants.go (PodSubnetNodeMaskMaxDiff) of kubernetes/kubernetes.
POD_BITS = 16
# Bits of a Service network: DNS has its tenth address, and the API server takes at most 20 bits
# (cmd/kube-apiserver/app/options/validation.go, maxCIDRBits).
SERVICE_BITS = (4, 20)


def read(name: str, texts: Sequence[str]) -> tuple[list[IPNetwork], list[Finding]]:
    """Return the networks of an input that takes one for each address family, and what is wrong with their number."""
    found: list[IPNetwork] = [ip_network(text) for text in texts]
    problems = []
    if not found:
        problems.append(Finding("cidrs.empty", "%s is empty. Name one network." % name))
    if len(found) > 2 or len({network.version for network in found}) < len(found):
        text = "%s: expected at most one IPv4 and one IPv6 network, got %s."
        given = ", ".join(map(str, found))
        problems.append(Finding("cidrs.too_many", text % (name, given), value=given))
    return found, problems


def sizes(pods: Sequence[IPNetwork], nodes: int) -> list[Finding]:
    """Check that every node gets a network for its pods: the controller manager gives each one of NODE_PREFIX.

    nodes: how many there are.
    """
    found = []
    for pod in pods:
        prefix = NODE_PREFIX[pod.version]
        if prefix - pod.prefixlen > POD_BITS:
            text = "kube_pod_cidrs %s: expected a prefix length from %d to %d, since each node gets a /%d of it."
            limit = "%d to %d" % (prefix - POD_BITS, prefix)
            values = (pod, prefix - POD_BITS, prefix, prefix)
            found.append(Finding("cidrs.pod_size", text % values, value=str(pod), limit=limit))
        room = 2 ** (prefix - pod.prefixlen) if pod.prefixlen <= prefix else 0
        if room < nodes:
            text = "kube_pod_cidrs %s has room for %d nodes (a /%d each), and there are %d. Choose a larger network."
            found.append(Finding("cidrs.too_small", text % (pod, room, prefix, nodes), value=str(pod), limit=nodes))
    return found


def service_sizes(services: Sequence[IPNetwork]) -> list[Finding]:
    """Check that the API server takes the networks of the Services."""
    found = []
    for service in services:
        longest, shortest = service.max_prefixlen - SERVICE_BITS[0], service.max_prefixlen - SERVICE_BITS[1]
        if not shortest <= service.prefixlen <= longest:
            limit = "%d to %d" % (shortest, longest)
            text = "kube_service_cidrs %s: expected a prefix length from %s." % (service, limit)
            found.append(Finding("cidrs.service_size", text, value=str(service), limit=limit))
    return found


def families(pods: Sequence[IPNetwork], services: Sequence[IPNetwork]) -> list[Finding]:
    """Check that pods and Services have networks of the same address families in the same order."""
    of_pods, of_services = [item.version for item in pods], [item.version for item in services]
    if not pods or not services or of_pods == of_services:
        return []
    if any(len(set(versions)) < len(versions) for versions in (of_pods, of_services)):
        return []  # read() says that there are too many
    if sorted(of_pods) == sorted(of_services):
        # The API server's address is of the first family of both.
        text = "kube_pod_cidrs begins with IPv%d and kube_service_cidrs with IPv%d. List both in the same order."
        value = ", ".join(map(str, services))
        return [Finding("cidrs.order", text % (of_pods[0], of_services[0]), value=value, limit="IPv%d" % of_pods[0])]
    shown = [
        "%s (%s)" % (", ".join(map(str, rows)), _words({row.version for row in rows})) for rows in (pods, services)
    ]
    text = "kube_pod_cidrs %s and kube_service_cidrs %s have different address families. Give both the same ones."
    return [Finding("cidrs.families", text % tuple(shown), value=_words(of_services), limit=_words(of_pods))]


def _words(versions: Iterable[int]) -> str:
    return " and ".join("IPv%d" % version for version in sorted(versions))
