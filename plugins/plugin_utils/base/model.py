# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The data that crosses module boundaries: facts, nodes, the cluster, the plan.

Facts and plans travel as JSON, so they are TypedDicts. The descriptions of a plan's and a node's fields are the source
of the tables in docs/plan.md (docs/generate.py).
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Annotated, Any, TypedDict

# Every input by name, validated and with its default (inputs/schema.py).
Inputs = dict[str, Any]


@dataclass(frozen=True)
class Address:
    """An address of a node and why it was chosen.

    address: without prefix. interface: its name, None when unknown. prefix: length of the network's prefix. mtu: of the
    interface, in bytes. family: 4 or 6. reason: one sentence.
    """

    address: str
    interface: str | None = None
    prefix: int | None = None
    mtu: int | None = None
    family: int = 4
    reason: str = ""


class Placement(str, enum.Enum):
    """Where a datastore runs."""

    STACKED = "stacked"  # etcd as a static pod of each control plane
    EMBEDDED = "embedded"  # inside of K3s's servers
    EXTERNAL = "external"  # the user runs it
    ELSEWHERE = "elsewhere"  # in the cluster of another inventory that the nodes join


# Schemes of SQL databases in addresses of K3s's datastore.
SQL = {"postgres": "PostgreSQL", "postgresql": "PostgreSQL", "mysql": "MySQL"}


@dataclass(frozen=True)
class Datastore:
    """What a cluster stores its objects in. The plan shows it as text; parse() reads that text.

    kind: etcd, SQLite, PostgreSQL, MySQL, or database for an external one of unknown kind.
    """

    kind: str
    placement: Placement

    def __str__(self) -> str:
        if self.placement is Placement.ELSEWHERE:
            return "of the cluster that is joined"
        return self.kind if self.kind == "SQLite" else "%s %s" % (self.placement.value, self.kind)

    @classmethod
    def parse(cls, text: str) -> Datastore:
        """Return the datastore that str() gives this text for."""
        first, _space, kind = text.partition(" ")
        known = {placement.value: placement for placement in Placement}
        if text == "SQLite":
            return cls(text, Placement.EMBEDDED)
        return cls(kind, known[first]) if first in known else cls("etcd", Placement.ELSEWHERE)

    @property
    def is_external(self) -> bool:
        """Return True if the user runs the datastore."""
        return self.placement is Placement.EXTERNAL

    @property
    def is_external_sql(self) -> bool:
        """Return True if it is an SQL database that the user runs."""
        return self.is_external and self.kind in SQL.values()

    @property
    def is_embedded_etcd(self) -> bool:
        """Return True if K3s's servers run etcd."""
        return self.kind == "etcd" and self.placement is Placement.EMBEDDED


class Member(TypedDict):
    """A control plane as the endpoint knows it."""

    name: str
    address: str | None


class Endpoint(TypedDict):
    """The one address at which nodes and clients reach the API."""

    mode: str  # local, vip, external, none
    address: str
    port: int
    host_port: str
    proxied: list[str]  # roles of the nodes that run HAProxy


class File(TypedDict, total=False):
    """A file that a node should have. state is "absent" for one that should not exist."""

    path: str
    content: str
    mode: str
    state: str
    secret: bool
    sha256: str  # of a file that is built where it is written; it has no content
    built: str


class ManifestChange(TypedDict):
    """What becomes of a manifest of the plan, or of one that was applied before."""

    name: str
    state: str  # new, changed, altered, removed, kept, unknown, same
    differs: dict[str, str]  # its objects that somebody changed or deleted: "changed", "deleted", "unknown"
    deletes: list[str]  # objects that no manifest has any more


class Kubeconfig(TypedDict):
    """What becomes of the kubeconfig on the controller."""

    path: str
    state: str  # new, changed, same, kept (has another control plane's credentials), unknown
    text: str  # in words


class PlanNode(TypedDict, total=False):
    """One node of a plan."""

    name: Annotated[str, "name of the node in the cluster"]
    role: Annotated[str, "`control_plane` or `worker`"]
    address: Annotated[str, "address in the cluster"]
    addresses: Annotated[
        list[dict[str, Any]],
        (
            "the address, and a second one if pods have both families: `address`, `interface`, `prefix`, "
            "`mtu`, `family`, `reason` (why it was chosen)"
        ),
    ]
    machine: Annotated[
        dict[str, Any],
        "`architecture`, `cpus`, `memory_bytes` (what the cluster may use), `os`, `board`, `gpus` (vendors)",
    ]
    capacity: Annotated[
        dict[str, Any],
        "`reserved` (`kube`, `system`, `eviction`, as in the kubelet's configuration), `allocatable` "
        "(`memory_bytes`, `cpus`), "
        "`pods` (`limit`, and `of_128Mi`: how many pods of 128 MiB fit)",
    ]
    settings: Annotated[
        dict[str, Any], "kernel modules, sysctls, swap and journal, as the module node_settings takes them"
    ]
    packages: Annotated[list[str], "packages to install"]
    programs: Annotated[list[dict[str, Any]], "programs to install, as the module artifacts takes them"]
    environment: Annotated[str, "K3s: file with the environment of its service"]
    script: Annotated[dict[str, Any], "K3s: how upstream's install script is called, when it is used"]
    files: Annotated[
        dict[str, list[File]],
        "files by part (`containerd`, `kubelet`, `endpoint`, `network`, `k3s`, `backup`), without secrets",
    ]
    steps: Annotated[
        dict[str, list[str]],
        "what differs, by step (`packages`, `settings`, `repository`, `programs`, `script`, "
        "`credentials`, `containerd`, `network`, "
        "`endpoint`, `kubelet`, `k3s`, `backup`, `control-plane`, `datastore`, `reboot`), with the reasons",
    ]
    services: Annotated[dict[str, str], "services to start, restart, reload or stop, by name"]
    object_changes: Annotated[list[str], "labels and taints that are set or removed, in words"]
    stages: Annotated[
        list[str],
        "plays of `site` that the node takes part in: `prepare`, `endpoint`, `backup`, `start`, `join`, `change` "
        "(a running control plane), "
        "`roll` (a running worker), `leader`",
    ]
    action: Annotated[
        str,
        (
            "what the distribution does first: `init`, `pull` (then join; kubeadm), `join` (K3s), `wait`, "
            "`convert`, or nothing"
        ),
    ]
    certificate: Annotated[
        dict[str, Any] | None,
        "control planes: the certificate that expires next, `name` and `days_left`; null if none is known",
    ]
    joined: Annotated[bool, "true if it is a complete member of the cluster"]
    taints: Annotated[list[dict[str, str]], "taints that it joins with"]
    kubeadm: Annotated[
        dict[str, Any], "kubeadm: the configuration that it starts or joins with (`init` or `join`), and `images`"
    ]
    data_dir: Annotated[str | None, "K3s: its data directory"]
    settles: Annotated[
        str, "K3s: the server that replaces `cluster-init` in its configuration once others have joined; else empty"
    ]
    rejoins: Annotated[
        bool, "K3s: true if the cluster knows, or may know, the name of a node that comes back without its data"
    ]


class Plan(TypedDict, total=False):
    """The plan of one cluster."""

    schema: Annotated[int, "version of this format: 2"]
    name: Annotated[str, "name of the cluster"]
    distribution: Annotated[str | None, "`kubeadm` or `k3s`; null where it could not be decided"]
    version: Annotated[str, "Kubernetes version"]
    release: Annotated[str, "K3s: its release, such as v1.36.3+k3s1"]
    datastore: Annotated[
        str | None, "`stacked etcd`, `embedded etcd`, `SQLite`, or `external ...` with the kind of the database"
    ]
    database: Annotated[str, "K3s: the external datastore in words, without its login; otherwise empty"]
    endpoint: Annotated[
        Endpoint, "`mode`, `address`, `port`, `host_port` of the API endpoint, and the roles that are `proxied`"
    ]
    api_port: Annotated[int, "port of the API servers"]
    api_version: Annotated[str, "version of kubeadm's configuration"]
    plugin: Annotated[str, "network plugin"]
    proxy_mode: Annotated[str, "mode of kube-proxy"]
    pod_cidrs: Annotated[list[str], "networks of the pods"]
    service_cidrs: Annotated[list[str], "networks of the Services"]
    domain: Annotated[str, "DNS domain of the cluster"]
    cluster_domain: Annotated[str, "the same as `domain`, also where the plan was refused"]
    sans: Annotated[list[str], "names and addresses in the API server's certificate"]
    no_proxy: Annotated[list[str], "networks and domains that are never reached through the HTTP proxy"]
    leader: Annotated[
        str | None, "control plane that is asked: a healthy one, or the one that starts the cluster. Any can lead"
    ]
    exists: Annotated[bool, "true if the cluster exists"]
    control_planes: Annotated[list[str], "inventory names"]
    workers: Annotated[list[str], "inventory names"]
    workers_at_once: Annotated[str, "how many running workers change at the same time"]
    members: Annotated[list[Member], "name and address of each control plane, which the endpoint balances between"]
    alternatives: Annotated[
        list[dict[str, str]], "what would have to change for the other distribution: `distribution` and `text`"
    ]
    reasons: Annotated[
        list[dict[str, Any]], "why: each with `rule`, `node`, `value`, `limit`, `source` (a page) and `text`"
    ]
    warnings: Annotated[list[dict[str, Any]], "each with `id`, `text`, `node` (null for the cluster), `value`, `limit`"]
    refusals: Annotated[list[dict[str, Any]], "the same form. With a refusal nothing is applied"]
    ports: Annotated[list[dict[str, Any]], "ports to open: `port`, `protocol`, `to`, `from`, `purpose`"]
    images: Annotated[
        list[str], "every image that the cluster itself needs; none with K3s, whose releases list their own"
    ]
    manifests: Annotated[list[dict[str, Any]], "manifests that are applied"]
    manifest_changes: Annotated[
        list[ManifestChange],
        "what becomes of each manifest: `name`; `state` (`new`, `changed`, `altered` on the cluster by somebody else, "
        "`removed`, `kept`, `same`, `unknown`); `differs`, its objects that were `changed` or `deleted`; `deletes`, "
        "the objects that will be deleted",
    ]
    cluster_changes: Annotated[list[str], "what is applied in the cluster or deleted from it, in words"]
    apply_objects: Annotated[
        bool | None,
        "true if manifests, labels, taints or addons are applied or removed, false if nothing is, null if that is "
        "unknown until the run compares them",
    ]
    kubeconfig: Annotated[
        Kubeconfig | None,
        "the kubeconfig on the controller: `path`, `state` (`new`, `changed`, `same`, `unknown`) and `text`; null if "
        "it is not fetched",
    ]
    objects: Annotated[dict[str, Any], "labels and taints by node name"]
    addons: Annotated[
        dict[str, Any] | None,
        (
            "K3s: `wanted`, by name the SHA-256 of each file of yours in its auto-deploy folder; `kept`, "
            "names that stay on a server because `--limit` leaves it out, or because no file is listed"
        ),
    ]
    disable: Annotated[list[str], "K3s: packaged components that are off"]
    bootstrap_ttl: Annotated[
        str, "K3s: lifetime of the token that this run's agents join with; empty for the permanent one"
    ]
    etcd_tag: Annotated[str, "kubeadm: tag of etcd's image where it is not kubeadm's own"]
    drift: Annotated[list[str], "kubeadm: how the running cluster's configuration differs from the wanted one"]
    inventory: Annotated[
        dict[str, Any] | None,
        "what another project's variables are here: `project`, and by kind (`understood`, `translated`, `no_effect`, "
        "`not_taken`, `decide`, `unknown`) each `name`, `hosts` (empty for all) and `text`; null for an inventory of "
        "this collection",
    ]
    operation: Annotated[
        dict[str, Any],
        "only with `-e operation=NAME`: its `name`, `tasks` in words, `refusals`, `warnings` (also those of the plan "
        "then); for `backup` its `source`, the control plane that is asked; for `remove` and `replace` the `nodes` "
        "that go (`host`, `name`, `role`, `alive`, `known`, `evicts`) and `etcd` `before` and `after` (`voters`, "
        "`serving`, `needed`, `spare`); for `restore` the control plane that is restored `first`, and the nodes that "
        "are `replaced` or `forgotten`; for `rotate` the `mode` (`rolling`, `offline`), and the `nodes` that change "
        "(`host`, `name`, `certificates`, `restarts`, `kubelet`); for `upgrade` the `hops` (versions), the `rounds` "
        "(one control plane each: `host`, `version`, `kind`, `etcd`), the `windows` and `workers` (nodes that get "
        "their kubelet), those that are `drained`, and `seconds`",
    ]
    nodes: Annotated[dict[str, PlanNode], "by inventory name, see below"]
