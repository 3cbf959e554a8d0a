# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tasks of each host read: its part of the plan, with everything already decided."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from ...module_utils.node import paths
from ..network.endpoint import PASSWORD_FILE
from . import distributions, membership

# Each part of a node's set-up: the service units that belong to it, in the order in which they are started.
PARTS = {
    "containerd": ("containerd",),
    "network": ("kube-bridge",),
    "endpoint": ("kube-endpoint", "kube-endpoint-vip"),
    "kubelet": ("kubelet",),
    "k3s": (),
    "backup": (paths.BACKUP_TIMER,),
}
# Fields of a plan's node that no task reads.
UNUSED = ("capacity", "machine", "kubeadm")
# What a new or changed node may need, in this order: the step of the plan, and the role's tasks that do it.
SEQUENCE = (
    ("before_node", "kube", "before_node"),
    ("programs", "kube", "programs"),
    ("repository", "node", "repository"),
    ("packages", "node", "packages"),
    ("settings", "node", "settings"),
    ("reboot", "node", "reboot"),
    ("clock", "node", "clock"),
    ("script", "k3s", "script"),
    ("parts", "kube", "parts"),
    ("after_node", "kube", "after_node"),
)


# Files with secrets that belong to another step than `credentials`.
OWN_STEP = {PASSWORD_FILE: "endpoint", paths.BACKUP_SETTINGS: "backup"}
# For so long the cluster's lock is kept without a renewal: downloads, restarts, the gate of one node, and the reboot.
HOLD_SECONDS, REBOOT_SECONDS = 1200, 900
# What happens to a host in a run, in this order; each host has one of these at most. Its stages: of the plan.
PHASES = {
    "endpoint": ("endpoint", "backup"),
    "new": ("prepare", "start", "join"),
    "change": ("change", "roll"),
}


def _phase(stages: Collection[str]) -> str:
    return next((phase for phase, names in PHASES.items() if set(names) & set(stages)), "")


def in_order(plan: dict[str, Any], infos: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return the hosts in the order in which they change: silent control planes first.

    If one stays silent, its gate ends the run before the others change.
    """
    return sorted(plan["nodes"], key=lambda host: not membership.is_silent(infos.get(host) or {}))


def asked(plan: Mapping[str, Any], infos: Mapping[str, Mapping[str, Any]], host: str) -> str | None:
    """Return the healthy control plane that is asked while a running node changes: another one, if there is one.

    None if none is healthy: then the change is what repairs them.
    """
    healthy = [name for name in plan["control_planes"] if membership.live_of(infos.get(name) or {}).get("healthy")]
    return next((name for name in healthy if name != host), host if host in healthy else None)


def of_host(
    plan: dict[str, Any], host: str, values: dict[str, Any], info: dict[str, Any], part: Collection[str]
) -> dict[str, Any]:
    """Return what the tasks of a host need, without what all hosts share.

    values: the host's validated inputs. info: its facts. part: the hosts of this run.
    """
    node = plan["nodes"][host]
    distribution = distributions.by_name(plan["distribution"])
    apply = distribution.actions(node, plan, values, info, part)
    stages = [stage for stage in node["stages"] if stage != "start" or apply["start"]]
    beside = set(stages) - {"leader"} <= set(PHASES["endpoint"]) and bool(set(stages) - {"leader"})
    hooks = {} if beside else {name: path for name, path in (values["kube_hooks"] or {}).items() if path}
    return {
        **{key: value for key, value in node.items() if key not in UNUSED},
        "host": host,
        "stages": stages,
        "phase": _phase(stages),
        "apply": apply,
        "hooks": hooks,
        "clock_service": _clock_service(node, info),
        "parts": list(distribution.parts),
        "artifacts": artifacts_from(values, plan["no_proxy"]),
        "needs": needs(node, hooks, info),
        "hold": HOLD_SECONDS + (REBOOT_SECONDS if "reboot" in node["steps"] else 0),
    }


def needs(node: dict[str, Any], hooks: dict[str, Any], info: dict[str, Any]) -> list[str]:
    """Return the entries of SEQUENCE that a node needs."""
    steps = set(node["steps"])
    wanted = steps & {"programs", "repository", "packages", "settings", "reboot", "script"}
    if steps & {"credentials", *PARTS} or node["services"]:
        wanted.add("parts")
    if _clock_service(node, info):
        wanted.add("clock")
    return [name for name, _role, _tasks in SEQUENCE if name in wanted or hooks.get(name)]


def sequence(slices: Iterable[dict[str, Any]]) -> list[dict[str, str]]:
    """Return the role tasks that at least one of these hosts needs, in order: none is included only to be skipped."""
    wanted = {name for each in slices for name in each["needs"]}
    return [{"role": role, "tasks": tasks} for name, role, tasks in SEQUENCE if name in wanted]


def secrets(plan: dict[str, Any], host: str, values: dict[str, Any]) -> dict[str, Any]:
    """Return what a host's tasks write and nobody may see: files with credentials, K3s's tokens."""
    node, distribution = plan["nodes"][host], distributions.by_name(plan["distribution"])
    files = distribution.secret_files({**node, "inputs": values}, plan)
    if "credentials" not in node["steps"]:
        files = [entry for entry in files if OWN_STEP.get(entry["path"]) in node["steps"]]
    return {"files": files, **distribution.tokens(values)}


def shared(plan: dict[str, Any], slices: dict[str, dict[str, Any]], part: Iterable[str]) -> dict[str, Any]:
    """Return what the tasks of all hosts share. Small: every host reads it. part: the hosts of this run."""
    here = [slices[host] for host in part if host in slices]
    leader = plan["leader"]

    def staged(name: str) -> list[dict[str, Any]]:
        return [each for each in here if name in each["stages"]]

    def in_phase(name: str) -> list[dict[str, Any]]:
        return [each for each in here if each["phase"] == name]

    started = [{"role": plan["distribution"], "tasks": name} for name in ("start", "join") if staged(name)]

    return {
        **{key: plan[key] for key in ("name", "distribution", "leader", "api_port", "plugin")},
        "database": plan.get("database") or "",
        # False: nothing is applied through the API. None: that is unknown, so it is compared by applying it.
        "apply_objects": plan["apply_objects"],
        "bootstrap_ttl": plan.get("bootstrap_ttl") or "",
        "tasks": {
            "endpoint": sequence(in_phase("endpoint")),
            "new": sequence(in_phase("new")) + started,
            "change": _change(plan["distribution"], in_phase("change")),
        },
        "joins_control_plane": any(each["role"] == "control_plane" for each in staged("join")),
        "rejoining": [each["name"] for each in staged("join") if each.get("rejoins")],
        "leader_data_dir": slices[leader]["data_dir"] if leader else None,
        "leader_program": slices[leader]["apply"].get("program") if leader else None,
        "leader_config": ((plan["nodes"][leader].get("kubeadm") or {}).get("init")) if leader else None,
        "complete": _complete(plan, slices[leader]) if leader else [],
    }


def _change(distribution: str, changing: list[dict[str, Any]]) -> list[dict[str, str]]:
    """Return the role tasks that change running nodes, between the lock and the gate."""
    tasks = sequence(changing)
    if any("control-plane" in each["steps"] for each in changing):
        tasks.append({"role": "kubeadm", "tasks": "reconfigure"})
    tasks.append({"role": distribution, "tasks": "gate"})
    if not any(each["asked"] for each in changing):
        return tasks
    return [{"role": "kube", "tasks": "enter"}, *tasks, {"role": "kube", "tasks": "leave"}]


def _complete(plan: dict[str, Any], leader: dict[str, Any]) -> list[dict[str, str]]:
    """Return the role tasks on the leader after the cluster's objects are applied."""
    upload = [{"role": "kubeadm", "tasks": "upload"}] if plan["drift"] else []
    # The running program read the line when it started: nothing restarts.
    upload += [{"role": "k3s", "tasks": "settle"}] if leader.get("settles") else []
    return upload + ([{"role": "kube", "tasks": "after_cluster"}] if leader["hooks"].get("after_cluster") else [])


def batches(plan: dict[str, Any], slices: dict[str, dict[str, Any]], part: Collection[str]) -> list[Any]:
    """Return how many hosts are worked on at once, batch by batch: those whose API endpoint changes, the new ones, then
    the running ones that change: control planes one at a time, workers a few at a time."""
    here = [slices[host] for host in part if host in slices]
    sizes = [sum(each["phase"] == phase for each in here) for phase in ("endpoint", "new")]
    alone = [1 for each in here if "change" in each["stages"]]
    rolled = [plan["workers_at_once"]] if any("roll" in each["stages"] for each in here) else []
    return [*(size for size in sizes if size), *alone, *rolled] or [1]


def last_to_change(stages: Mapping[str, Sequence[str]], part: Collection[str]) -> str | None:
    """Return the running node that changes last, None if none does: with it the run releases the cluster's lock.

    Between two nodes the lock is kept, because another run would begin to change the cluster then. stages: the hosts of
    each stage, in order. part: the hosts of this run.
    """
    changing = [host for stage in PHASES["change"] for host in stages.get(stage) or () if host in part]
    return changing[-1] if changing else None


def _clock_service(node: dict[str, Any], info: dict[str, Any]) -> str | None:
    """Return the time service to start where this run installs it."""
    if "chrony" not in node["packages"]:
        return None
    return "chrony" if (info.get("os") or {}).get("family") == "debian" else "chronyd"


def artifacts_from(values: dict[str, Any], direct: list[str]) -> dict[str, Any]:
    """Return where a node's programs come from. direct: the cluster's own networks and names, see Plan.no_proxy."""
    source = str((values["kube_artifacts"] or {}).get("source") or "upstream")
    proxy = values["kube_http_proxy"] or {}
    return {
        "source": source,
        "from_controller": source != "upstream" and "://" not in source,
        "proxy": (proxy.get("http") or proxy.get("https"))
        if source.startswith("http://")
        else (proxy.get("https") or proxy.get("http")),
        "no_proxy": [*direct, *(proxy.get("no_proxy") or [])],
    }


def objects(plan: dict[str, Any], manifests: list[dict[str, Any]], joins: bool) -> dict[str, Any]:
    """Return what the leader applies through the API. manifests: cluster_objects.complete(). joins: True if nodes join
    in this run."""
    return {
        "nodes": plan["objects"],
        "manifests": manifests,
        "addons": plan["addons"],
        "spread_dns": plan["plugin"] != "none",
        "revoke_joins": joins and distributions.by_name(plan["distribution"]).has_join_secrets,
        "kubeconfig": distributions.by_name(plan["distribution"]).admin_kubeconfig,
    }


def kubeconfig(
    plan: dict[str, Any],
    values: dict[str, dict[str, Any]],
    directory: str | None,
    is_inventory: bool,
    host: str | None = None,
) -> dict[str, Any]:
    """Return what is written on the controller, and where.

    host: the control plane whose API server and credentials it has; the leader by default.

    directory: the inventory's directory. is_inventory: the directory itself is the inventory, so the file goes beside
    it.
    """
    leader = plan["leader"]
    if leader is None:
        return {"fetch": False}
    wanted = values[leader]["kube_kubeconfig"] or {}
    endpoint, address = plan["endpoint"], plan["nodes"][host or leader]["address"]
    shared_address = endpoint["mode"] in ("vip", "external")
    place = "[%s]" % address if ":" in address else address
    return {
        "fetch": wanted.get("fetch", True) and (plan["kubeconfig"] or {}).get("state") != "kept",
        "same": _kubeconfig_is_same(plan),
        "path": wanted.get("path") or default_kubeconfig(directory, is_inventory),
        "server": "https://%s" % (endpoint["host_port"] if shared_address else "%s:%s" % (place, plan["api_port"])),
        "cluster_name": plan["name"],
        "source": distributions.by_name(plan["distribution"]).admin_kubeconfig,
        "merge": bool(wanted.get("merge")),
    }


def _kubeconfig_is_same(plan: dict[str, Any]) -> bool:
    """Return True if the file on the controller is as it would be written, and stays so: K3s renews certificates when
    it starts."""
    changes = any(plan["nodes"][host]["steps"] or plan["nodes"][host]["action"] for host in plan["control_planes"])
    return (plan["kubeconfig"] or {}).get("state") in ("same", "kept") and not changes


def default_kubeconfig(directory: str | None, is_inventory: bool) -> str:
    """Return the kubeconfig's path on the controller where kube_kubeconfig.path is not set."""
    return (directory or ".") + (".kubeconfig" if is_inventory else "/kubeconfig")
