# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The questions that the plan asks of a distribution. kubeadm/distribution.py and k3s/distribution.py answer them.

Outside of those two packages nothing depends on a distribution's name: what differs is a question here.
plan/distributions.py picks the object. In this file a node is {host, name, role, info, inputs, ...} and a cluster is
what plan/cluster.py describes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

from .findings import Finding, Problems, reason
from .reference import ETCD_PAGE, KUBEADM_ETCD_PAGE

Node = dict[str, Any]
Nodes = Mapping[str, Node]
Cluster = dict[str, Any]
Inputs = Mapping[str, Any]
Reason = dict[str, Any]
File = dict[str, Any]


class DatastoreChoice(NamedTuple):
    """Where the cluster stores its state.

    name: the datastore. converts: the server whose datastore is converted to `name` first, None where none is.
    """

    name: str
    converts: str | None
    problems: Problems


class Storage(NamedTuple):
    """Directories of one node, as the facts' `disks` has them.

    datastore: None if the node has no datastore. runtime: of images and containers. installed: programs that the
    collection installs. run: programs that start from there. overlay: True if images are unpacked with overlayfs.
    """

    datastore: str | None
    runtime: str
    installed: tuple[str, ...]
    run: tuple[str, ...]
    overlay: bool = True


class Distribution(ABC):
    """A distribution of Kubernetes: kubeadm or K3s."""

    name: ClassVar[str]
    title: ClassVar[str]
    # Who publishes releases for an architecture, as a sentence names it.
    releases_of: ClassVar[str]
    # What only its releases have after the Kubernetes version; empty if they have the version itself.
    release_suffix: ClassVar[str] = ""
    # Architectures and init systems that it runs on, the least that a machine of each role needs, and the page that
    # says so.
    architectures: ClassVar[tuple[str, ...]]
    inits: ClassVar[tuple[str, ...]]
    minimum: ClassVar[Mapping[str, Mapping[str, Any]]]
    source: ClassVar[str]
    # Keys of inputs for both distributions that this one does not read, by input.
    unread_keys: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    # True if kube_registries.mirrors may have `rewrites`.
    registry_rewrites: ClassVar[bool] = False
    # True if a member must be restarted whose service started before a file with secrets was written.
    restarts_for_older_secrets: ClassVar[bool] = False
    # Network plugins that the collection brings with it.
    plugins: ClassVar[tuple[str, ...]]
    # Local port through which nodes of this distribution reach the API servers on their own, None where our proxy does
    # that.
    balancer_port: ClassVar[int | None] = None
    # True if machines that are too small are refused (unless kube_allow_small_nodes); False if that is a warning.
    refuses_small_machines: ClassVar[bool]
    # True if control planes get the control plane's taint where there are workers.
    taints_control_planes: ClassVar[bool]
    # The first action of a node that joins: "pull" (images, then join) or "join".
    first_action: ClassVar[str]
    # Services that are started when the node joins; True if they are enabled at boot before that.
    started_by_join: ClassVar[Mapping[str, bool]]
    # True if other nodes may join as soon as the first control plane answers, before its start is complete.
    joins_during_start: ClassVar[bool] = False
    # True if what nodes join with stays in the cluster until it is deleted.
    has_join_secrets: ClassVar[bool] = False
    # True if the network plugin's configuration is in the host's directory, /etc/cni/net.d, whatever the plugin.
    uses_host_cni: ClassVar[bool] = True
    # The administrator's kubeconfig on a control plane.
    admin_kubeconfig: ClassVar[str]
    # The program of node_info's `installed` whose version is the cluster's, for when the API is silent.
    version_program: ClassVar[str]
    # The parts of a node that are set up together (plan/slices.py), in the order in which their services start.
    parts: ClassVar[tuple[str, ...]]
    # True if the cluster keeps a password of each node, so that a node which lost its own must be forgotten before it
    # joins again.
    remembers_nodes: ClassVar[bool] = False

    # What its users back up with, where the playbook backup does not do it (an external etcd); empty if it does.
    own_backup: ClassVar[str] = ""
    # True if its nodes have programs of etcd, with which a snapshot is served to prove it.
    has_etcd_programs: ClassVar[bool] = False
    # True if API server and kubelet are one program: a control plane goes through each release as a whole.
    one_program: ClassVar[bool] = False
    # True if a control plane that is removed takes itself out of etcd and stops: the nodes' own balancers would go on
    # using one without a datastore.
    servers_leave: ClassVar[bool] = False
    # True if it renews its certificates on its own when it starts, also those that have expired.
    renews_at_start: ClassVar[bool] = False

    # Services of others that cannot be on a node of this distribution: why, and what the user can do.
    runtimes_in_the_way: ClassVar[Mapping[str, str]]
    # True if nodes use the network configurations in /etc/cni/net.d.
    uses_hosts_cni: ClassVar[bool] = False

    # -- machines ------------------------------------------------------------------------------------------------------

    @abstractmethod
    def check_machine(self, host: str, node: Node, joined: bool) -> Problems:
        """Check what this distribution needs of one machine. joined: True if the node is a member already."""

    def runtime_unit(self, role: str) -> str:
        """Return the service that is the container runtime of a node of this role."""
        return self.unit(role)

    def places_for_itself(self, node: Node) -> list[str]:
        """Return the directories that a node must not share with other programs."""
        return []

    @abstractmethod
    def etcd_disk(self, disks: Mapping[str, Any], alone: bool) -> Mapping[str, Any] | None:
        """Return the disk of a control plane's etcd, None where there is no etcd or the disk is unknown.

        alone: True if it is the only one.
        """

    # -- the running cluster -------------------------------------------------------------------------------------------

    @abstractmethod
    def initialised(self, live: Mapping[str, Any]) -> bool:
        """Return True if the start of the cluster ran to its end, by what its API says."""

    @abstractmethod
    def complete_control_plane(self, node: Node, row: Mapping[str, Any], live: Mapping[str, Any]) -> bool:
        """Return True if a control plane's join ran to its end. row: its Node as the API has it."""

    def datastore_places(self, shared: Inputs) -> list[str]:
        """Return host:port, or the URL, of each server of an external datastore."""
        return []

    def keeps_address(self, role: str) -> bool:
        """Return True if a member with this role cannot get another address."""
        return True

    @abstractmethod
    def has_control_plane(self, cluster: Mapping[str, Any]) -> bool:
        """Return True if the facts of a machine, whose role is control plane, show a control plane that runs there."""

    @abstractmethod
    def has_etcd_member(self, cluster: Mapping[str, Any]) -> bool:
        """Return True if the facts of a machine show a control plane with an etcd member of the cluster."""

    @abstractmethod
    def renewable(self, cluster: Mapping[str, Any]) -> list[str]:
        """Return the certificates of a node, by its facts, that the playbook rotate renews."""

    @abstractmethod
    def lost_data(self, cluster: Mapping[str, Any]) -> str:
        """Return what is missing on a control plane that ran and has no data any more; empty if it has its data.

        cluster: of the machine's facts.
        """

    def can_reopen(self, shared: Inputs, datastore: str) -> bool | None:
        """Return True if new servers can open the cluster in its datastore; None if the servers have the datastore."""
        return None

    # -- choices -------------------------------------------------------------------------------------------------------

    def joins_elsewhere(self, inputs: Inputs) -> bool:
        """Return True if a node's inputs say that it joins a cluster made elsewhere."""
        return False

    def check_joining_elsewhere(self, node: Node, control_planes: Sequence[str]) -> list[Any]:
        """Check the inputs of a node that say which cluster elsewhere it joins. control_planes: of this inventory."""
        return []

    def inputs_to_join_elsewhere(self, shared: Inputs) -> dict[str, Any]:
        """Return the cluster's inputs of an inventory whose nodes join a cluster made elsewhere."""
        return dict(shared)

    @abstractmethod
    def datastore(self, nodes: Nodes, shared: Inputs, control_planes: Sequence[str]) -> tuple[str, list[Reason]]:
        """Return the datastore that the inventory calls for, and the reasons."""

    def settle_datastore(
        self, wanted: str, nodes: Nodes, shared: Inputs, control_planes: Sequence[str], healthy: bool
    ) -> DatastoreChoice:
        """Return the datastore, given what the servers store in already. healthy: True if an API answers."""
        return DatastoreChoice(wanted, None, Problems([], []))

    def datastore_shown(self, shared: Inputs, datastore_name: str) -> str:
        """Return where an external datastore is, without its secrets; empty where there is none."""
        return ""

    def installed_version(self, nodes: Nodes) -> str:
        """Return the version of the program that the user installed and wants used; empty where there is none."""
        return ""

    @abstractmethod
    def plugin(
        self,
        wanted: str,
        needs: Sequence[str],
        pods: Sequence[Any],
        layer2_networks: Mapping[str | None, Sequence[str]],
    ) -> tuple[str, list[Reason], list[Any]]:
        """Return (network plugin of a new cluster, reasons, refusals).

        wanted: the input, may be "auto". pods: the pods' networks. layer2_networks: hosts by the network that holds
        their addresses.
        """

    def cluster_fields(
        self, nodes: Nodes, shared: Inputs, chosen: Mapping[str, Any], revision: str
    ) -> tuple[dict[str, Any], list[Reason]]:
        """Return fields of the cluster that only this distribution has, and the reasons for them.

        chosen: version and plugin. revision: of the distribution's own release, as asked for or as it runs.
        """
        return {}, []

    def config_api(self, version: tuple[int, int, int | None]) -> str:
        """Return the version of the distribution's configuration API; empty where it has none."""
        return ""

    def sets_node_mask(self, shared: Inputs) -> bool:
        """Return True if the inputs set the size of a node's pod network."""
        return False

    def without_kube_proxy(self, shared: Inputs) -> bool:
        """Return True if the inputs leave out kube-proxy."""
        return False

    def shares_images(self, inputs: Inputs) -> bool:
        """Return True if nodes serve their images to each other."""
        return False

    def encrypts_secrets(self, nodes: Nodes, shared: Inputs, exists: bool) -> bool:
        """Return True if the distribution is to encrypt Secrets in the datastore."""
        return False

    # -- checks --------------------------------------------------------------------------------------------------------

    def check_cluster(self, nodes: Nodes, shared: Inputs, cluster: Cluster, state: Mapping[str, Any]) -> Problems:
        """Check the inputs of the cluster, and that nothing changes that is fixed on a running one."""
        return Problems([], [])

    @abstractmethod
    def drift(self, cluster: Cluster, state: Mapping[str, Any]) -> list[str]:
        """Return sentences on where a running cluster's configuration differs from the wanted one."""

    @abstractmethod
    def check_node(self, host: str, node: Node, cluster: Cluster, joined: bool) -> Problems:
        """Check the inputs of one node and what its machine has of the distribution already."""

    def ports_held(self, endpoint: Mapping[str, Any]) -> list[tuple[int, str]]:
        """Return (port, purpose) of ports that each node holds beside those of Kubernetes."""
        return []

    @abstractmethod
    def packages(self, node: Node, cluster: Cluster) -> list[str]:
        """Return the packages that a node needs and does not have."""

    # -- desired state -------------------------------------------------------------------------------------------------

    @abstractmethod
    def wanted(self, node: Node, cluster: Cluster) -> dict[str, Any]:
        """Return the desired state of one node.

        settings, packages, programs; files by part; units: by part the services that read the files; K3s: environment,
        script.
        """

    def wrong_script(self, script: Mapping[str, Any], wrong: Mapping[str, str], facts: Mapping[str, Any]) -> list[str]:
        """Return why the install script must run. script: of wanted(). wrong: sentences on programs, by name."""
        return []

    def data_dir(self, inputs: Inputs) -> str | None:
        """Return the directory of the distribution's state; None where it has no directory of its own."""
        return None

    @abstractmethod
    def storage(self, role: str, inputs: Inputs, datastore: str) -> Storage:
        """Return the directories that a node of this role uses. datastore: the cluster's."""

    @abstractmethod
    def unit(self, role: str) -> str:
        """Return the service that runs the containers of a node of this role."""

    @abstractmethod
    def secret_files(self, node: Node, cluster: Cluster) -> list[File]:
        """Return the files with secrets that the inputs call for."""

    @abstractmethod
    def owned_places(self, node: Node) -> dict[str, list[str]]:
        """Return by part the places in which each file of ours is one that the node should have, or a remainder.

        A place that ends with a slash is a directory with all below it.
        """

    def secrets_read_at_start(self, paths: Sequence[str]) -> list[str]:
        """Return those of the files with secrets that are read only when the service starts."""
        return list(paths)

    def documents(self, node: Node, cluster: Cluster) -> dict[str, Any] | None:
        """Return the configuration with which a node is started, joined or changed; None where files hold all of it."""
        return None

    # -- for the reader and for the roles ------------------------------------------------------------------------------

    @abstractmethod
    def ports(self, cluster: Cluster) -> list[dict[str, Any]]:
        """Return who must reach whom: {port, protocol, to, from, purpose}."""

    @abstractmethod
    def images(self, cluster: Cluster, role: str) -> list[str]:
        """Return the images that a node of this role pulls."""

    @abstractmethod
    def image_registries(self, cluster: Cluster) -> list[str]:
        """Return the registries that the cluster's own images come from."""

    def manifests(self, shared: Inputs, nodes: Nodes) -> list[dict[str, Any]]:
        """Return manifests that the distribution applies beside the network's and the user's."""
        return []

    def auto_deployed(self, shared: Inputs, nodes: Nodes) -> dict[str, Any] | None:
        """Return {wanted, kept} of the files that servers deploy on their own; None if the distribution has none."""
        return None

    @abstractmethod
    def actions(
        self, node: Node, plan: Mapping[str, Any], inputs: Inputs, info: Mapping[str, Any], part: Collection[str]
    ) -> dict[str, Any]:
        """Return what the role's tasks do on a node. start: None if it has nothing to do while the cluster starts.

        node: of the finished plan. part: the hosts of this run.
        """

    def tokens(self, inputs: Inputs) -> dict[str, str]:
        """Return the secrets of a node's inputs that its tasks pass on; nobody sees them."""
        return {}

    def bootstrap_ttl(self, shared: Inputs) -> str:
        """Return the lifetime of the workers' token; empty if it is permanent, or the distribution's own choice."""
        return ""


def data_dir_fixed(host: str, node: Node, what: str, wanted: str, running: str) -> Finding:
    """Return the refusal of another data directory on a member, where `what` would start without its data.

    It is said of all nodes at once. A reset of all control planes would delete the cluster's data.
    """
    text = (
        "%s: kube_data_dir gives %s the directory %s, and its data are in %s. They are not moved: set "
        "kube_data_dir back%s."
    )
    way_out = "" if node["role"] == "control_plane" else ", or reset the node first"
    return Finding("data_dir.fixed", text % (host, what, wanted, running, way_out), host, wanted, running)


def unsupported_plugin(distribution: Distribution, plugin: str) -> list[Finding]:
    """Refuse a network plugin that a distribution does not run with."""
    if plugin in distribution.plugins:
        return []
    known = ", ".join(("auto", *distribution.plugins))
    text = "kube_network.plugin %s does not work with %s. Set it to one of %s." % (plugin, distribution.title, known)
    return [Finding("network_plugin.unsupported", text, value=plugin, limit=known)]


def etcd_reason(count: int) -> Reason:
    """Return the reason that says how many losses the etcd of so many control planes survives."""
    if count == 1:
        text = "1 control plane with etcd: the cluster does not survive its loss"
    else:
        text = "%d control planes, each with an etcd member: the cluster survives the loss of %s"
        text %= (count, {1: "one", 2: "two", 3: "three"}.get((count - 1) // 2, (count - 1) // 2))
    return reason("etcd", None, count, None, ETCD_PAGE if count > 1 else KUBEADM_ETCD_PAGE, text)


def port_row(port: int | str, protocol: str, to: str, source: str, purpose: str) -> dict[str, Any]:
    """Return one row of Distribution.ports()."""
    return {"port": port, "protocol": protocol, "to": to, "from": source, "purpose": purpose}
