# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a control plane says of its cluster before an upgrade. Nothing is changed. Standard library only."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Dict, List, Set, Tuple
from urllib.parse import urlsplit

from . import drain, tls
from .etcd import Etcd, Member, k3s_node
from .kubernetes import Api, ApiError, reason

# https://kubernetes.io/docs/reference/using-api/deprecation-policy/#rest-resources-aka-api-objects
DEPRECATED = re.compile(r"^apiserver_requested_deprecated_apis\{([^}]*)\} (\S+)", re.M)
LABEL = re.compile(r'(\w+)="([^"]*)"')
HOOKS = "/apis/admissionregistration.k8s.io/v1/"
SLICES = "/apis/discovery.k8s.io/v1/namespaces/%s/endpointslices?labelSelector=kubernetes.io%%2Fservice-name%%3D%s"
# https://docs.k3s.io/upgrades/automated
PLANS = "/apis/upgrade.cattle.io/v1/plans"


def facts(api: Api, cluster: Etcd | None, servers: List[Tuple[str, Api]], nodes: List[str]) -> Dict[str, Any]:
    """Return {members, etcd_error, blocked, lost, alone, hooks, apis, apis_unknown, plans}.

    apis_unknown: by the name of an API server why it does not say which APIs clients use.
    cluster: the cluster's own etcd, None if the datastore is elsewhere. servers: name and client of each API server.
    nodes: names of those whose pods will be evicted. Raise ApiError.
    """
    found: Dict[str, Any] = {"members": [], "etcd_error": "", "blocked": {}, "lost": {}, "alone": {}, "apis": []}
    found.update(apis_unknown={}, plans=plans(api), hooks=single_webhooks(api, nodes) if nodes else {})
    try:
        found["members"] = members(cluster) if cluster else []
    except (*tls.NO_ANSWER, KeyError) as error:
        found["etcd_error"] = str(error) or type(error).__name__
    single = single_replicas(api) if nodes else set()
    for name in nodes:
        found["blocked"][name], found["lost"][name] = drain.obstacles(api, name, returns=True)
        found["alone"][name] = sorted(
            drain.name_of(pod) for pod in drain.evictable(drain.pods_on(api, name)) if _owner(pod) in single
        )
    for name, server in servers:
        try:
            status, text = server.ask("GET", "/metrics")
        except ApiError as error:
            found["apis_unknown"][name] = str(error)
            continue
        # Each API server has many metrics that begin with its name: a text without any was cut short, or is another's.
        if status == 200 and "apiserver_" in text:
            found["apis"] += [{"server": name, **row} for row in deprecated(text)]
        else:
            found["apis_unknown"][name] = reason(status, text.strip()[:200])
    return found


def members(cluster: Etcd) -> List[Dict[str, Any]]:
    """Return [{id, name, learner, addresses, serves, version, size, quota, alarms, leads}] of etcd's members.

    Raise one of tls.NO_ANSWER if nobody lists them.
    """
    listed = cluster.members()
    with ThreadPoolExecutor(8) as pool:
        states = list(pool.map(lambda member: _state(cluster, member), listed))
    # Of K3s's members only the own one says more than that it is there; it knows who leads, and all alarms.
    own = cluster.own_status() if cluster.own_only else {}
    return [_member(member, state, own) for member, state in zip(listed, states)]


def _state(cluster: Etcd, member: Member) -> Dict[str, Any]:
    try:
        return cluster.status(member)
    except (*tls.NO_ANSWER, LookupError):
        return {}  # it does not serve, which the result says


def _member(member: Member, state: Dict[str, Any], own: Dict[str, Any]) -> Dict[str, Any]:
    """Return the row of a member. own: what K3s's own member says, {} with kubeadm."""
    number = str(member["ID"])
    alarms = [str(text).strip() for text in (own or state).get("errors") or []]
    if own:
        alarms = [text for text in alarms if re.match("memberID:%s\\b" % number, text)]
    leader = str((own or state).get("leader") or "")
    return {
        "id": number,
        "name": k3s_node(member.get("name") or "") if own else member.get("name") or "",
        "learner": bool(member.get("isLearner")),
        "addresses": sorted({urlsplit(url).hostname or "" for url in member.get("peerURLs") or []}),
        "serves": bool(state),
        "version": str(state.get("version") or ""),
        "size": int(state.get("dbSize") or 0),
        "quota": int(state.get("dbSizeQuota") or 0),
        "alarms": "; ".join(alarms),
        "leads": bool(state) and leader == number,
    }


def single_replicas(api: Api) -> Set[Tuple[str, str, str]]:
    """Return (kind, namespace, name) of the controllers whose pods have no second one. Raise ApiError."""
    found = set()
    for kind, path in (("ReplicaSet", "replicasets"), ("StatefulSet", "statefulsets")):
        for item in api.get("/apis/apps/v1/" + path)["items"] or []:
            if (item.get("spec") or {}).get("replicas") == 1:
                found.add((kind, item["metadata"]["namespace"], item["metadata"]["name"]))
    return found


def plans(api: Api) -> List[Dict[str, str]]:
    """Return [{name, image, to}] of the Plans of the system-upgrade-controller, [] without it. Raise ApiError."""
    found = []
    for item in (api.get(PLANS, missing_ok=True) or {}).get("items") or []:
        spec, own = item.get("spec") or {}, item["metadata"]
        row = {
            "name": "%s/%s" % (own["namespace"], own["name"]),
            "to": spec.get("version") or spec.get("channel") or "",
        }
        found.append({**row, "image": (spec.get("upgrade") or {}).get("image") or ""})
    return found


def single_webhooks(api: Api, nodes: List[str]) -> Dict[str, List[str]]:
    """Return by node the pods without which the API refuses what a webhook checks. Raise ApiError.

    https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/#failure-policy
    """
    services: Dict[Tuple[str, str], Set[str]] = {}
    for kind in ("validatingwebhookconfigurations", "mutatingwebhookconfigurations"):
        for item in api.get(HOOKS + kind)["items"] or []:
            for hook in item.get("webhooks") or []:
                service = (hook.get("clientConfig") or {}).get("service")
                if service and hook.get("failurePolicy", "Fail") == "Fail":
                    key = (service["namespace"], service["name"])
                    services.setdefault(key, set()).add(item["metadata"]["name"])
    found: Dict[str, List[str]] = {}
    for service, names in sorted(services.items()):
        serving = _serving(api, service)
        if len(serving) == 1 and set(serving.values()) <= set(nodes):
            pod, node = next(iter(serving.items()))
            found.setdefault(str(node), []).append("%s/%s (%s)" % (service[0], pod, ", ".join(sorted(names))))
    return found


def _serving(api: Api, service: Tuple[str, str]) -> Dict[str, str | None]:
    """Return the node of each pod behind a Service, by the pod's name."""
    found = {}
    for item in api.get(SLICES % service)["items"] or []:
        for endpoint in item.get("endpoints") or []:
            if (endpoint.get("conditions") or {}).get("ready") is not False:
                target = (endpoint.get("targetRef") or {}).get("name") or ", ".join(endpoint.get("addresses") or [])
                found[target] = endpoint.get("nodeName")
    return found


def _owner(pod: Dict[str, Any]) -> Tuple[str, str, str]:
    owners = pod["metadata"].get("ownerReferences") or []
    owner: Dict[str, Any] = next((row for row in owners if row.get("controller")), {})
    return str(owner.get("kind")), pod["metadata"]["namespace"], str(owner.get("name"))


def deprecated(metrics: str) -> List[Dict[str, str]]:
    """Return [{group, version, resource, removed}] of the APIs that clients used and that a release removes."""
    found = []
    for labels, value in DEPRECATED.findall(metrics):
        row = dict(LABEL.findall(labels))
        if row.get("removed_release") and float(value):
            found.append(
                {
                    "group": row.get("group") or "core",
                    "version": row.get("version") or "",
                    "resource": row.get("resource") or "",
                    "removed": row["removed_release"],
                }
            )
    return found
