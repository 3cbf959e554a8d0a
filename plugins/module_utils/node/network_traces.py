# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each network plugin leaves on a node. Standard library only, and data only.

Reset, node_info and the verification use it on the node, which does not have the plan. On the controller the plugins in
plugin_utils/network refer to the same entries.
"""

from __future__ import annotations

from typing import NamedTuple, Tuple

from . import paths

CNI_DIRECTORY = paths.CNI_CONF
# Prefixes of the iptables chains of the CNI plugin portmap: those that all networks share, and one of each container.
# https://github.com/containernetworking/plugins/blob/main/plugins/meta/portmap/portmap_iptables.go
PORTMAP_SHARED, PORTMAP_OWN = "CNI-HOSTPORT-", "CNI-DN-"
PORTMAP = (PORTMAP_SHARED, PORTMAP_OWN)
# The comment of kube-router's rule that accepts what network policies allow. K3s puts its own word before it.
# https://github.com/cloudnativelabs/kube-router/blob/master/pkg/controllers/netpol/network_policy_controller.go
ACCEPTED_BY_POLICY = "rule to explicitly ACCEPT traffic that comply to network policies"


class Routes(NamedTuple):
    """Routes that a plugin adds to the host's tables.

    protocol: their number in `ip route`, as text.
    families: options of `ip` for the address families that have them.
    only_with: an interface that must exist before they are removed, if other programs use the protocol number too.
    table: the plugin's own routing table, which is removed with the rule that leads to it.
    tunnels: a pattern of the names of the tunnel interfaces that go with the routes.
    tunnel_kinds: the types of these interfaces, as `ip link` names them.
    """

    protocol: str
    families: Tuple[str, ...] = ("-4", "-6")
    only_with: str = ""
    table: str = ""
    tunnels: str = ""
    tunnel_kinds: Tuple[str, ...] = ()


class Traces(NamedTuple):
    """What one network plugin leaves on a node and in the cluster.

    plugin: its name in kube_network.plugin.
    interfaces: interfaces that it creates.
    interface_prefixes: prefixes of the names of all its interfaces. Their addresses are never the node's own.
    cni_files: names of its files in CNI_DIRECTORY, by which a running plugin is recognised.
    daemon_sets: names of its DaemonSets in kube-system; the cluster does not work without them.
    services: systemd services of the collection that belong to it.
    node_annotations: annotations that it sets on Nodes.
    nft_tables: (family, name) of its nftables tables.
    chains, sets: prefixes of the names of its iptables chains and ipsets.
    cni_networks: names of its CNI networks. Chains for the ports of pods name them.
    rule_comments: comments of its iptables rules that name none of its chains, sets or interfaces. One that ends with
        `*` is a prefix.
    rule_interfaces: its own interfaces that such rules name.
    paths: (service, path) of more files, which reset removes if the collection made the service.
    """

    plugin: str
    interfaces: Tuple[str, ...] = ()
    interface_prefixes: Tuple[str, ...] = ()
    cni_files: Tuple[str, ...] = ()
    daemon_sets: Tuple[str, ...] = ()
    services: Tuple[str, ...] = ()
    node_annotations: Tuple[str, ...] = ()
    nft_tables: Tuple[Tuple[str, str], ...] = ()
    chains: Tuple[str, ...] = ()
    sets: Tuple[str, ...] = ()
    cni_networks: Tuple[str, ...] = ()
    rule_comments: Tuple[str, ...] = ()
    rule_interfaces: Tuple[str, ...] = ()
    paths: Tuple[Tuple[str, str], ...] = ()


# kubelet, kube-proxy and the reference CNI plugins, with any network plugin.
KUBERNETES = Traces(
    "",
    interface_prefixes=("veth", "nodelocaldns"),
    nft_tables=(("ip", "kube-proxy"), ("ip6", "kube-proxy")),
    # Chains of the CNI plugin portmap. Its other plugins are not used: CNI-FORWARD and CNI-ADMIN belong to others.
    chains=("KUBE-", *PORTMAP),
    # kube-router's library, which K3s uses for network policies, puts the family before a name: pkg/utils/ipset.go
    sets=("KUBE-", "inet6:KUBE-"),
)
BRIDGE = Traces(
    "bridge",
    interfaces=("cni0",),
    interface_prefixes=("cni",),
    # containerd writes it from our template.
    cni_files=("10-containerd-net.conflist",),
    services=("kube-bridge",),
    nft_tables=(("ip", "kubewright"), ("ip6", "kubewright")),
    cni_networks=("kube-bridge",),
    paths=(("containerd", CNI_DIRECTORY + "/10-containerd-net.conflist"),),
)
# https://github.com/cloudnativelabs/kube-router/tree/master/pkg/controllers/routing; tunnels: pkg/tunnels/linux_tunnels.go
KUBE_ROUTER_ROUTES = Routes(
    "17", only_with="kube-bridge", table="77", tunnels="tun-[0-9a-f]{11}", tunnel_kinds=("ipip", "ip6tnl")
)
KUBE_ROUTER = Traces(
    "kube-router",
    interfaces=("kube-bridge", "kube-dummy-if"),
    interface_prefixes=("kube-bridge", "kube-dummy-if"),
    cni_files=("10-kuberouter.conflist",),
    daemon_sets=("kube-router",),
    sets=("kube-router-", "inet6:kube-router-"),
    # https://github.com/cloudnativelabs/kube-router/tree/master/pkg/controllers/netpol
    rule_comments=(
        "allow outbound node port traffic on node interface with which node ip is associated",
        ACCEPTED_BY_POLICY,
    ),
    cni_networks=("kube-router",),
    rule_interfaces=("kube-bridge",),
    paths=(("kubelet", CNI_DIRECTORY + "/10-kuberouter.conflist"),),
)
FLANNEL = Traces(
    "flannel",
    interfaces=("cni0", "flannel.1", "flannel-v6.1", "flannel-wg", "flannel-wg-v6"),
    interface_prefixes=("cni", "flannel"),
    # https://github.com/flannel-io/flannel/blob/master/Documentation/kubernetes.md#annotations
    node_annotations=("flannel.alpha.coreos.com/backend-type",),
    chains=("FLANNEL-",),
    rule_comments=("flanneld *", "KUBE-ROUTER " + ACCEPTED_BY_POLICY),
    cni_networks=("cbr0",),
    paths=(("k3s", "/run/flannel"),),
)
# Plugins that users bring themselves: Calico and Cilium. Reset leaves what they made.
OTHERS = Traces("none", interface_prefixes=("cali", "tunl", "vxlan.calico", "cilium_"))

ALL = (KUBERNETES, BRIDGE, KUBE_ROUTER, FLANNEL, OTHERS)

INTERFACES = tuple(dict.fromkeys(name for traces in ALL for name in traces.interfaces))
INTERFACE_PREFIXES = tuple(dict.fromkeys(prefix for traces in ALL for prefix in traces.interface_prefixes))
SERVICES = tuple(name for traces in ALL for name in traces.services)
DAEMON_SETS = tuple(name for traces in ALL for name in traces.daemon_sets)
NODE_ANNOTATIONS = tuple(name for traces in ALL for name in traces.node_annotations)
NFT_TABLES = tuple(table for traces in ALL for table in traces.nft_tables)
CHAINS = tuple(prefix for traces in ALL for prefix in traces.chains)
CNI_NETWORKS = tuple(name for traces in ALL for name in traces.cni_networks)
SETS = tuple(prefix for traces in ALL for prefix in traces.sets)
RULE_COMMENTS = tuple(text for traces in ALL for text in traces.rule_comments)
RULE_INTERFACES = tuple(name for traces in ALL for name in traces.rule_interfaces)


def paths_of(service: str) -> Tuple[str, ...]:
    """Return the paths that plugins leave and that reset removes when this service is ours."""
    return tuple(path for traces in ALL for owner, path in traces.paths if owner == service)
