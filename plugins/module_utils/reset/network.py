# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Remove the cluster's part of a host's network: its links, routes, chains, tables and sets, and nothing else.

Standard library only. No firewall is flushed and no interface of the host is touched, so SSH connections survive.
"""

from __future__ import annotations

import ipaddress
import json
import os
import re
import shlex
from typing import Callable, List, Sequence, Tuple

from ..base.commands import NOT_STARTED, Result
from ..node import network_traces as traces, paths, services

FAMILIES = ("-4", "-6")
ROUTE_PROTOCOL = str(paths.ROUTE_PROTOCOL)
KUBE_ROUTER_PROTOCOL, KUBE_ROUTER_TABLE = traces.KUBE_ROUTER_ROUTES.protocol, traces.KUBE_ROUTER_ROUTES.table


# How portmap's comments begin: the network and the container that a rule is for.
PORT_OWNER = re.compile(r'dnat name: "([^"]*)" id: ')


def removal(saved: str) -> str:
    """Return the input of iptables-restore --noflush that removes the cluster's chains and rules, "" if there are none.

    saved: the text of iptables-save. Only chains and rules of kube-proxy, kubelet, kube-router and the CNI plugins are
    named; the others keep their counters.
    """
    tables: List[Tuple[str, List[str], List[str]]] = []
    kept = chains_of_others(saved)
    for line in saved.splitlines():
        if line.startswith("*"):
            tables.append((line, [], []))
        elif line.startswith(":") and _is_our_chain(line[1:].split()[0], kept):
            tables[-1][1].append(line[1:].split()[0])
        elif line.startswith("-A ") and _is_our_rule(line, kept):
            tables[-1][2].append("-D" + line[2:])
    lines = []
    for name, chains, rules in tables:
        if chains or rules:
            flushed = [":%s - [0:0]" % chain for chain in chains]
            lines += [name, *flushed, *rules, *("-X " + chain for chain in chains), "COMMIT"]
    return "".join(line + "\n" for line in lines)


def chains_of_others(saved: str) -> tuple[str, ...]:
    """Return the beginnings of names of portmap's chains that stay: Podman and nerdctl publish ports with it too.

    Their containers' chains are those whose rules name another network than ours. While there are any, the chains that
    all networks share stay, and so do containers' chains without such a rule.
    """
    owners = {}
    for line in saved.splitlines():
        words = shlex.split(line) if line.startswith("-A " + traces.PORTMAP_SHARED) else []
        options = dict(zip(words, words[1:]))
        found = PORT_OWNER.match(options.get("--comment", ""))
        if found:
            owners[options.get("-j", "")] = found.group(1)
    if not set(owners.values()) - set(traces.CNI_NETWORKS):
        return ()
    ours = {chain for chain, network in owners.items() if network in traces.CNI_NETWORKS}
    all_chains = {line[1:].split()[0] for line in saved.splitlines() if line.startswith(":" + traces.PORTMAP_OWN)}
    return (traces.PORTMAP_SHARED, *sorted(all_chains - ours))


def _is_our_chain(name: str, kept: tuple[str, ...]) -> bool:
    return name.startswith(traces.CHAINS) and not (kept and name.startswith(kept))


def _is_our_rule(line: str, kept: tuple[str, ...]) -> bool:
    """Return True if a rule is ours and does not go with its chain."""
    words = shlex.split(line)  # a rule's comment is one word, whatever it says
    return not _is_our_chain(words[1], kept) and any(
        (option in ("-j", "-g") and _is_our_chain(word, kept))
        or (option == "--match-set" and word.startswith(traces.SETS))
        or (option in ("-i", "-o") and word in traces.RULE_INTERFACES)
        or (option == "--comment" and _comment_is_ours(word))
        for option, word in zip(words, words[1:])
    )


def _comment_is_ours(comment: str) -> bool:
    return any(
        comment.startswith(known[:-1]) if known.endswith("*") else comment == known for known in traces.RULE_COMMENTS
    )


class Network:
    """The host's network. run runs a command; note records a change and returns True unless in check mode."""

    def __init__(
        self,
        run: Callable[..., Result],
        note: Callable[[str], bool],
        failed: Callable[[str, str], None],
        pods: Sequence[str] = (),
        others: Sequence[str] = (),
    ) -> None:
        """failed(what, why): records what could not be removed.

        pods: networks of K3s's pods; flannel's host-gw leaves routes to them that carry no mark of its own.
        others: interfaces that were there before the collection; they stay, whatever their names are.
        """
        self.run, self.note, self.failed, self.others = run, note, failed, set(others)
        self.pods = [ipaddress.ip_network(text, strict=False) for text in pods]

    def clean(self) -> None:
        """Remove everything of the cluster's."""
        self.chains()
        self.tables()
        self.sets()
        self.kube_router()
        self.links()
        self.routes()

    def change(self, what: str, argv: list[str], stdin: str | None = None) -> None:
        """Run a command that removes something, and record its failure."""
        done = self.run(argv, stdin)
        if done.rc:
            self.failed(what, done.complaint(2))

    def listed(self, what: str, argv: list[str], *shows: str) -> str:
        """Return a command's list of things. If it fails, what is there is unknown, and that is recorded.

        shows: paths of which one exists where there can be such things, for example because the kernel has them.
        """
        done = self.run(argv)
        if done.rc not in (0, NOT_STARTED) and any(map(os.path.exists, shows)):
            self.failed(what, "they cannot be listed: %s" % done.complaint(2))
        return done.out if done.rc == 0 else ""

    def chains(self) -> None:
        """Remove the cluster's iptables chains and rules."""
        for family in ("iptables", "ip6tables"):
            legacy = "/sys/module/" + family.replace("tables", "_tables")
            saved = self.listed("chains in %s" % family, [family + "-save"], legacy, "/sys/module/nf_tables")
            unwanted = removal(saved)
            if unwanted and self.note("remove the cluster's chains from %s" % family):
                self.change("the cluster's chains in %s" % family, [family + "-restore", "--noflush"], unwanted)

    def tables(self) -> None:
        """Delete the cluster's nftables tables."""
        listed = self.listed("nftables tables", ["nft", "-j", "list", "tables"], "/sys/module/nf_tables")
        try:
            items = json.loads(listed)["nftables"] if listed else []
            there = {(item["table"]["family"], item["table"]["name"]) for item in items if "table" in item}
        except (ValueError, KeyError) as error:
            self.failed("nftables tables", "nft's list cannot be read: %s" % error)
            return
        for family, name in traces.NFT_TABLES:
            if (family, name) in there and self.note("delete the nftables table %s %s" % (family, name)):
                self.change("the nftables table %s %s" % (family, name), ["nft", "delete", "table", family, name])

    def sets(self) -> None:
        """Destroy the cluster's ipsets."""
        for name in self.listed("ipsets", ["ipset", "list", "-n"], "/sys/module/ip_set").split():
            if name.startswith(traces.SETS) and self.note("destroy the ipset %s" % name):
                self.change("the ipset %s" % name, ["ipset", "destroy", name])

    def kube_router(self) -> None:
        """Delete kube-router's routes, tunnels and rule, if its bridge shows that it ran here."""
        bridge = traces.KUBE_ROUTER_ROUTES.only_with
        if bridge in self.others or self.run(["ip", "link", "show", "dev", bridge]).rc:
            return
        if not self.note("delete kube-router's routes, tunnels and routing rule"):
            return
        for name in self.tunnels():
            self.change("the tunnel %s" % name, ["ip", "link", "delete", name])
        for family in FAMILIES:
            # A table or protocol without routes is an error to some releases of ip.
            self.run(["ip", family, "route", "flush", "proto", KUBE_ROUTER_PROTOCOL])
            self.run(["ip", family, "route", "flush", "table", KUBE_ROUTER_TABLE])
            if KUBE_ROUTER_TABLE in self.run(["ip", family, "rule", "show", "table", KUBE_ROUTER_TABLE]).out:
                rule = ["ip", family, "rule", "delete", "table", KUBE_ROUTER_TABLE]
                self.change("kube-router's routing rule", rule)

    def tunnels(self) -> list[str]:
        """Return kube-router's tunnels, by their type and name: others are a VPN's, perhaps the one SSH comes by."""
        found = []
        for kind in traces.KUBE_ROUTER_ROUTES.tunnel_kinds:
            shown = self.listed("kube-router's tunnels", ["ip", "-o", "link", "show", "type", kind], "/sys/class/net")
            names = (line.split()[1].split("@")[0].rstrip(":") for line in shown.splitlines())
            found += [name for name in names if re.fullmatch(traces.KUBE_ROUTER_ROUTES.tunnels, name)]
        return found

    def links(self) -> None:
        """Delete the interfaces of network plugins, except those that were there before the collection."""
        for name in traces.INTERFACES:
            if name in self.others:
                continue
            if self.run(["ip", "link", "show", "dev", name]).rc == 0 and self.note("delete the interface %s" % name):
                self.change("the interface %s" % name, ["ip", "link", "delete", name])

    def routes(self) -> None:
        """Delete the routes to pods."""
        has_bridge = os.path.exists(services.Systemd.path(paths.BRIDGE_SERVICE))
        for family in FAMILIES:
            known = "/proc/sys/net/ipv%s" % family[1]
            argv = ["ip", family, "route", "show", "proto", ROUTE_PROTOCOL]
            listed = self.listed("routes to pods", argv, *([known] if has_bridge else []))
            if listed.strip() and self.note("delete %d routes to pods" % len(listed.splitlines())):
                self.change("the routes to pods", ["ip", family, "route", "flush", "proto", ROUTE_PROTOCOL])
        for family in FAMILIES if self.pods else ():
            known = "/proc/sys/net/ipv%s" % family[1]
            for line in self.listed("routes to pods", ["ip", family, "route", "show"], known).splitlines():
                words = line.split()[:5]
                if self._leads_to_pods(line) and self.note("delete the route %s" % " ".join(words)):
                    self.change("the route %s" % " ".join(words), ["ip", family, "route", "delete", *words])

    def _leads_to_pods(self, line: str) -> bool:
        """Return True if a line like "10.42.1.0/24 via 10.0.0.12 dev eth0" leads to another node's pods."""
        words = line.split()
        try:
            there = ipaddress.ip_network(words[0])
        except (ValueError, IndexError):
            return False
        # A route to the whole network is not flannel's: it makes one for each node's part.
        return words[1:2] == ["via"] and any(
            there.version == own.version and there != own and there.subnet_of(own)  # type: ignore[arg-type]
            for own in self.pods
        )
