# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which addresses the nodes have in the cluster.

They follow from the facts and inputs of the hosts, so they are the same in every run and with every --limit. A member
keeps the addresses of its Node.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from ipaddress import ip_address

from ..base import words
from ..base.findings import Finding
from ..base.model import Address
from .addresses import Facts, family, is_address, link_network, network_of, of_host, stays_here, usable

# Networks to propose: https://www.rfc-editor.org/rfc/rfc1918 and https://www.rfc-editor.org/rfc/rfc4193
_NETWORKS = {
    4: "kube_pod_cidrs: [10.244.0.0/16] and kube_service_cidrs: [10.96.0.0/12]",
    6: 'kube_pod_cidrs: ["fd42:244::/56"] and kube_service_cidrs: ["fd42:96::/112"]',
}
# Findings about members, whose sentence the caller ends: with what else can be done than to set the address back.
OF_MEMBERS = ("address.gone", "address.fixed")
Chosen = tuple[list[Address], list[Finding]]


@dataclass(frozen=True)
class Request:
    """What decides the addresses of one node.

    wanted: the input kube_node_ip: an address, an interface or a CIDR, or several of them with commas between; empty
    for the address that the routes to the other nodes use. network: the host's facts. kept: the addresses of its Node
    if it is a member. fixed: True if a member cannot get another address.
    """

    host: str
    wanted: str
    network: Facts
    kept: Sequence[str] = ()
    fixed: bool = True

    @property
    def parts(self) -> list[str]:
        """Return the parts of `wanted`."""
        return [part.strip() for part in self.wanted.split(",") if part.strip()]


def choose(request: Request, families: Sequence[int] = ()) -> Chosen:
    """Return the addresses of a node in the cluster, the primary one first, and what is wrong.

    families: 4, 6 or both in the order of the pods' networks; empty where nothing is known of the cluster.
    https://docs.k3s.io/networking/basic-network-options#dual-stack-ipv4--ipv6-networking
    """
    kept = _kept(request)
    kept = [one for one in kept if one.family in families] or kept
    changed = _changed(request, kept)
    if kept and (request.fixed or not changed):
        return kept, changed
    version = families[0] if families else None
    primary, problems = _wanted(request, version) if request.parts else _by_routes(request, version)
    if primary is None:
        return [], problems
    chosen = [primary]
    for version in families[1:]:
        other = _other_family(request, primary, version)
        if other:
            chosen.append(other)
            continue
        text = (
            "%s: has no IPv%d address beside %s, and kube_pod_cidrs has networks of both families. "
            "Add an address to the host, or set kube_node_ip to both."
        )
        values = (request.host, version, primary.address)
        problems.append(Finding("address.family_missing", text % values, request.host, primary.address, version))
    return chosen, problems


def not_unique(nodes: Mapping[str, Sequence[Address]], facts: Mapping[str, Facts]) -> list[Finding]:
    """Refuse an address that several nodes have, as behind the NAT of a hypervisor. nodes: addresses by host."""
    by_address: dict[str, list[str]] = {}
    for host, found in nodes.items():
        for one in found:
            by_address.setdefault(one.address, []).append(host)
    problems = []
    for address, hosts in by_address.items():
        if len(hosts) > 1:
            text = "%s have the same address %s (NAT?). Set kube_node_ip to the network that connects them%s."
            shared = _shared_network(address, [facts[host] for host in hosts])
            values = (words.together(hosts), address, ", such as %s" % shared if shared else "")
            problems.append(Finding("address.not_unique", text % values, hosts[0], address))
    return problems


def _shared_network(address: str, facts: Sequence[Facts]) -> str | None:
    """Return a network in which each of these hosts has its own address."""
    known = [{one.address: link_network(one, network) for one in usable(network)} for network in facts]
    for candidate in known[0].values():
        own = [next((text for text, there in row.items() if there == candidate), None) for row in known]
        if candidate and None not in own and len(set(own)) == len(own) and address not in own:
            return candidate
    return None


def _kept(request: Request) -> list[Address]:
    """Return the addresses of a member's Node, one of each family."""
    there = {one.address: one for one in of_host(request.network)}
    found: dict[int, Address] = {}
    for text in request.kept:
        if is_address(text):
            one = there.get(text) or Address(text, family=family(text))
            found.setdefault(one.family, replace(one, reason="address of its Node"))
    return list(found.values())


def _changed(request: Request, kept: Sequence[Address]) -> list[Finding]:
    """Check that the host still has the addresses of its Node, and that the input asks for no other ones."""
    found = []
    there = [one.address for one in of_host(request.network)]
    for one in kept:
        if there and one.address not in there:
            text = (
                "%s: its Node has the address %s, and the host no longer has it (it has %s). Give it back to the host"
            )
            values = (request.host, one.address, ", ".join(there))
            found.append(Finding("address.gone", text % values, request.host, one.address, there))
    for part in request.parts:
        if kept and not any(_fits(one, part) for one in kept):
            text = "%s: kube_node_ip is %s, and its Node has the address %s. A member keeps its address: set it back"
            has = " and ".join(one.address for one in kept)
            values = (request.host, part, has)
            found.append(Finding("address.fixed", text % values, request.host, part, has))
    return found


def _wanted(request: Request, version: int | None) -> tuple[Address | None, list[Finding]]:
    """Return the address that the input asks for."""
    fits = _fitting(request)
    found = [one for one in fits if version in (None, one.family)]
    if not fits:
        there = ", ".join("%s on %s" % (one.address, one.interface) for one in of_host(request.network)) or "none"
        text = (
            "%s: kube_node_ip %s fits no address of the host (it has %s). Set it to one of these, to an "
            "interface or to a network."
        )
        values = (request.host, request.wanted, there)
        return None, [Finding("address.not_on_host", text % values, request.host, request.wanted, there)]
    if not found:
        return fits[0], [_family_differs(request, fits[0], version or fits[0].family)]
    one = replace(found[0], reason="kube_node_ip is %s" % request.wanted)
    down = [row["name"] for row in request.network.get("interfaces") or [] if row.get("up") is False]
    if one.interface in down:
        text = "%s: kube_node_ip %s is on the interface %s, which is down. Bring it up, or set another address."
        values = (request.host, request.wanted, str(one.interface))
        return one, [Finding("address.interface_down", text % values, request.host, one.address, one.interface)]
    return one, []


def _fitting(request: Request) -> list[Address]:
    """Return the host's addresses that the input allows: those that stay first, others only if it names them."""
    good = usable(request.network)
    named = [part for part in request.parts if "/" not in part]
    rest = [one for one in of_host(request.network) if one not in good and any(_fits(one, part) for part in named)]
    return [one for one in good if any(_fits(one, part) for part in request.parts)] + rest


def _fits(address: Address, wanted: str) -> bool:
    if is_address(wanted):
        return ip_address(address.address) == ip_address(wanted)
    if "/" in wanted:
        network = network_of(wanted)
        return network is not None and ip_address(address.address) in network
    return address.interface == wanted


def _by_routes(request: Request, version: int | None) -> tuple[Address | None, list[Finding]]:
    """Return the address that the routes to the other nodes use, or else the one that is most likely."""
    sources, reached = _sources(request.network)
    fits = {text: row for text, row in sources.items() if version in (None, row[0].family)}
    if len({row[0].family for row in fits.values()}) > 1:  # nothing is known of the cluster
        fits = {text: row for text, row in fits.items() if row[0].family == 4}
    if len(fits) > 1:
        shown = ", ".join("to %s from %s" % (target, text) for text, (_one, target) in sorted(fits.items()))
        text = (
            "%s: its routes to the other nodes start from different addresses (%s). "
            "Set kube_node_ip to the network that connects all nodes."
        )
        one = min(fits.items())[1][0]
        return one, [Finding("address.several_routes", text % (request.host, shown), request.host, sorted(fits))]
    for one, _target in fits.values():
        found = replace(one, reason="source address of the routes to the other nodes")
        if reached is None or reached.family != one.family or reached.interface == one.interface:
            return found, []
        text = (
            "%s: Ansible reaches it at %s, and its routes to the other nodes start from %s. "
            "Set kube_node_ip to the network that connects all nodes."
        )
        values = (request.host, reached.address, one.address)
        return found, [Finding("address.other_route", text % values, request.host, reached.address, one.address)]
    return _likely(request, version, [*([reached] if reached else []), *(one for one, _target in sources.values())])


def _likely(request: Request, version: int | None, near: Sequence[Address]) -> tuple[Address | None, list[Finding]]:
    """Return the address of a host without a route to another node. near: addresses that show an interface to use."""
    known = _ordered(usable(request.network))
    defaults = [request.network.get("default_ipv%d" % number) or {} for number in (4, 6)]
    interfaces = [one.interface for one in near]
    choices = [(one, "address at which Ansible reaches the host") for one in near[:1]]
    choices += [
        (one, "address of the interface that leads to the other nodes") for one in known if one.interface in interfaces
    ]
    for row in defaults:
        here = next((one for one in known if one.address == row.get("address")), None)
        if (
            here is None
            and row.get("address")
            and row["address"] not in [one.address for one in of_host(request.network)]
            and not stays_here(row["address"])
        ):
            here = Address(row["address"], row.get("interface"), family=family(row["address"]))
        choices += [(here, "address of the default route")] if here else []
    choices += [(one, "first address of the host") for one in known]
    for one, why in choices:
        if version in (None, one.family):
            return replace(one, reason=why), []
    if choices:
        return choices[0][0], [_family_differs(request, choices[0][0], version or 4)]
    text = "%s: has no address that other hosts can reach. Connect it to the network of the nodes, or set kube_node_ip."
    return None, [Finding("address.missing", text % request.host, request.host)]


def _family_differs(request: Request, address: Address, version: int) -> Finding:
    text = (
        "%s: its address %s is IPv%d, and the first of kube_pod_cidrs is IPv%d. Set kube_node_ip to an IPv%d address, "
        "or choose networks of the other family: %s."
    )
    values = (request.host, address.address, address.family, version, version, _NETWORKS[address.family])
    return Finding("address.other_family", text % values, request.host, address.address, "IPv%d" % version)


def _other_family(request: Request, primary: Address, version: int) -> Address | None:
    """Return an address of the other family: one that the input names, one on the same interface, or one with a route.

    Any other one, such as that of a container engine's bridge, leads to no other node.
    """
    known = _ordered(usable(request.network))
    sources, _reached = _sources(request.network)
    default = (request.network.get("default_ipv%d" % version) or {}).get("address")
    candidates = [
        *(one for one in _fitting(request) if request.parts),
        *(one for one in known if one.interface == primary.interface),
        *(one for one, _target in sources.values()),
        *(one for one in known if one.address == default),
    ]
    found = next((one for one in candidates if one.family == version), None)
    return replace(found, reason="IPv%d address beside %s" % (version, primary.address)) if found else None


def _sources(network: Facts) -> tuple[dict[str, tuple[Address, str]], Address | None]:
    """Return ({own address: (it, a node that is reached from it)}, the own address at which Ansible reaches the host).

    The kernel prefers temporary addresses for what starts here (RFC 8981). The address that stays takes their place.
    """
    given = network.get("sources") or {}
    if not given and network.get("probe_source"):
        given = {network["probe_source"]: "the other nodes"}
    found: dict[str, tuple[Address, str]] = {}
    reached = None
    for text, target in given.items():
        one = _stable(text, network)
        if one is None:
            continue
        if text == target:
            reached = one
        else:
            found.setdefault(one.address, (one, target))
    return found, reached


def _stable(text: str, network: Facts) -> Address | None:
    """Return the address of a host that stays, for one that it uses; None if no other host can reach it."""
    known = _ordered(usable(network))
    here = next((one for one in known if one.address == text), None)
    own = next((one for one in of_host(network) if one.address == text), None)
    if here or own is None:
        lost = stays_here(text) or text in {item["address"] for item in _all(network)}
        return here or (None if lost else Address(text, family=family(text)))
    beside = [one for one in known if (one.interface, one.family) == (own.interface, own.family)]
    beside.sort(key=lambda one: link_network(one, network) != link_network(own, network))
    return beside[0] if beside else None


def _all(network: Facts) -> Iterator[Facts]:
    for interface in network.get("interfaces") or []:
        yield from interface.get("addresses") or []


def _ordered(found: Sequence[Address]) -> list[Address]:
    """Return addresses in an order that stays: the kernel lists a new IPv6 address first."""
    order = {one.interface: place for place, one in reversed(list(enumerate(found)))}
    return sorted(
        found, key=lambda one: (order[one.interface], one.family, ip_address(one.address) if one.family == 6 else 0)
    )
