# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Remove the cluster's part of a host's network: its links, routes, chains, tables and sets, and nothing else.

Standard library only. No firewall is flushed and no interface of the host is touched, so SSH connections survive.
"""

from __future__ import annotations

import ipaddress
import json
import shlex
from typing import Callable, List, Sequence, Tuple

from ..base.commands import NOT_STARTED, Result
from ..node import network_traces as traces, paths

FAMILIES = ("-4", "-6")
ROUTE_PROTOCOL = str(paths.ROUTE_PROTOCOL)
KUBE_ROUTER_PROTOCOL, KUBE_ROUTER_TABLE = traces.KUBE_ROUTER_ROUTES.protocol, traces.KUBE_ROUTER_ROUTES.table


def removal(saved: str) -> str:
    """Return the input of iptables-restore --noflush that removes the cluster's chains and rules, "" if there are none.

    saved: the text of iptables-save. Only chains and rules of kube-proxy, kubelet, kube-router and the CNI plugins are
    named; the others keep their counters.
    """
    tables: List[Tuple[str, List[str], List[str]]] = []
    for line in saved.splitlines():
        if line.startswith("*"):
            tables.append((line, [], []))
        elif _ours(line) and line.startswith(":"):
            tables[-1][1].append(line[1:].split()[0])
        elif _ours(line) and line.startswith("-A ") and not line[3:].startswith(traces.CHAINS):
            tables[-1][2].append("-D" + line[2:])
    lines = []
    for name, chains, rules in tables:
        if chains or rules:
            flushed = [":%s - [0:0]" % chain for chain in chains]
            lines += [name, *flushed, *rules, *("-X " + chain for chain in chains), "COMMIT"]
    return "".join(line + "\n" for line in lines)


def _ours(line: str) -> bool:
    if line.startswith(":"):
        return line[1:].startswith(traces.CHAINS)
    words = shlex.split(line)  # a rule's comment is one word, whatever it says
    return any(
        (option in ("-A", "-N", "-j", "-g") and word.startswith(traces.CHAINS))
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
    ) -> None:
        """failed(what, why): records what could not be removed.

        pods: networks of K3s's pods; flannel's host-gw leaves routes to them that carry no mark of its own.
        """
        self.run, self.note, self.failed = run, note, failed
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

    def chains(self) -> None:
        """Remove the cluster's iptables chains and rules."""
        for family in ("iptables", "ip6tables"):
            saved = self.run([family + "-save"])
            unwanted = removal(saved.out) if saved.rc == 0 else ""
            if unwanted and self.note("remove the cluster's chains from %s" % family):
                self.change("the cluster's chains in %s" % family, [family + "-restore", "--noflush"], unwanted)

    def tables(self) -> None:
        """Delete the cluster's nftables tables."""
        listed = self.run(["nft", "-j", "list", "tables"])
        try:
            items = json.loads(listed.out)["nftables"] if listed.rc == 0 else []
            there = {(item["table"]["family"], item["table"]["name"]) for item in items if "table" in item}
        except (ValueError, KeyError) as error:
            self.failed("nftables tables", "nft's list cannot be read: %s" % error)
            return
        for family, name in traces.NFT_TABLES:
            if (family, name) in there and self.note("delete the nftables table %s %s" % (family, name)):
                self.change("the nftables table %s %s" % (family, name), ["nft", "delete", "table", family, name])

    def sets(self) -> None:
        """Destroy the cluster's ipsets."""
        listed = self.run(["ipset", "list", "-n"])
        for name in listed.out.split() if listed.rc == 0 else ():
            if name.startswith(traces.SETS) and self.note("destroy the ipset %s" % name):
                self.change("the ipset %s" % name, ["ipset", "destroy", name])

    def kube_router(self) -> None:
        """Delete kube-router's routes, tunnels and rule, if its bridge shows that it ran here."""
        if self.run(["ip", "link", "show", "dev", traces.KUBE_ROUTER_ROUTES.only_with]).rc:
            return
        if not self.note("delete kube-router's routes, tunnels and routing rule"):
            return
        links = self.run(["ip", "-o", "link", "show"]).out.splitlines()
        for name in (line.split()[1].split("@")[0].rstrip(":") for line in links):
            if name.startswith(traces.KUBE_ROUTER_ROUTES.tunnels):
                self.change("the tunnel %s" % name, ["ip", "link", "delete", name])
        for family in FAMILIES:
            # A table or protocol without routes is an error to some releases of ip.
            self.run(["ip", family, "route", "flush", "proto", KUBE_ROUTER_PROTOCOL])
            self.run(["ip", family, "route", "flush", "table", KUBE_ROUTER_TABLE])
            if KUBE_ROUTER_TABLE in self.run(["ip", family, "rule", "show", "table", KUBE_ROUTER_TABLE]).out:
                rule = ["ip", family, "rule", "delete", "table", KUBE_ROUTER_TABLE]
                self.change("kube-router's routing rule", rule)

    def links(self) -> None:
        """Delete the interfaces of network plugins."""
        for name in traces.INTERFACES:
            if self.run(["ip", "link", "show", "dev", name]).rc == 0 and self.note("delete the interface %s" % name):
                self.change("the interface %s" % name, ["ip", "link", "delete", name])

    def routes(self) -> None:
        """Delete the routes to pods."""
        listed = self.run(["ip", "-4", "route", "show", "proto", ROUTE_PROTOCOL])
        if listed.rc == NOT_STARTED:
            return
        if listed.out.strip() and self.note("delete %d routes to pods" % len(listed.out.splitlines())):
            self.change("the routes to pods", ["ip", "-4", "route", "flush", "proto", ROUTE_PROTOCOL])
        for family in FAMILIES if self.pods else ():
            for line in self.run(["ip", family, "route", "show"]).out.splitlines():
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
        return words[1:2] == ["via"] and any(
            there.version == own.version and there.subnet_of(own)  # type: ignore[arg-type]
            for own in self.pods
        )
