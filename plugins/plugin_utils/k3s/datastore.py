# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""K3s's datastore: the address of an external database, its TLS files, and the conversion from SQLite to etcd.

https://docs.k3s.io/datastore. An address contains a password: messages show only its host, port and database name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs, urlsplit

from ..base import words
from ..base.distribution import File, Inputs, Node, Nodes, Reason, data_dir_fixed, etcd_reason
from ..base.findings import Finding, reason
from ..base.model import SQL, Datastore, Placement
from ..base.reference import K3S_DATASTORE_PAGE, K3S_ETCD
from . import config

PAGE = "https://docs.k3s.io/datastore#datastore-endpoint-format-and-functionality"
CONVERT_PAGE = "https://docs.k3s.io/datastore/ha-embedded#existing-single-node-clusters"
SQLITE = str(Datastore("SQLite", Placement.EMBEDDED))
ETCD = str(Datastore("etcd", Placement.EMBEDDED))
# The datastore of an inventory with agents only.
ELSEWHERE = str(Datastore("etcd", Placement.ELSEWHERE))
KINDS = {**SQL, "http": "etcd", "https": "etcd"}
FORMS = {
    "PostgreSQL": "postgres://USER:PASSWORD@HOST:5432/DATABASE",
    "MySQL": "mysql://USER:PASSWORD@tcp(HOST:3306)/DATABASE",
    "etcd": "https://HOST:2379,https://HOST:2379",
}
SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
DIRECTORY = "/etc/rancher/k3s/datastore/"
# Key of k3s_datastore_tls -> (K3s's key behind "datastore-", path, the PEM block that must be in it).
TLS = {
    "ca": ("cafile", DIRECTORY + "ca.crt", "CERTIFICATE"),
    "certificate": ("certfile", DIRECTORY + "client.crt", "CERTIFICATE"),
    "key": ("keyfile", DIRECTORY + "client.key", "PRIVATE KEY"),
}
_HOST = re.compile(r"(?:\[([0-9A-Fa-f:.%]+)\]|([A-Za-z0-9_.-]+))(?::([0-9]{1,5}))?")
_MYSQL = re.compile(r"^(?:.*@)?(?:(tcp|unix)\(([^()]*)\))?/([^/?]*)(?:\?(.*))?$", re.S)


def choose(nodes: Nodes, shared: Inputs, control_planes: Sequence[str]) -> tuple[str, list[Reason]]:
    """Return the datastore that the inventory calls for, and the reasons."""
    count, wanted = len(control_planes), shared.get("k3s_datastore", "auto")
    if not count:
        return ELSEWHERE, []
    if "external_database" in shared["kube_needs"]:
        name = _external(kind(shared.get("k3s_datastore_endpoint") or ""))
        text = "%s: kube_needs asks for an external database; the cluster is as available as the database" % name
        return name, [reason("datastore", None, count, None, K3S_DATASTORE_PAGE, text)]
    if count == 1 and wanted == "auto" and ETCD in in_use(nodes, control_planes).values():
        text = "embedded etcd: %s uses it already, and K3s cannot convert it to SQLite" % control_planes[0]
        return ETCD, [reason("datastore", control_planes[0], count, None, K3S_DATASTORE_PAGE, text)]
    if wanted == "sqlite" or wanted == "auto" and count == 1:
        text = "SQLite: a single server needs no etcd cluster; the cluster does not survive the loss of this server"
        return SQLITE, [reason("datastore", control_planes[0], count, None, K3S_DATASTORE_PAGE, text)]
    return ETCD, [etcd_reason(count)]


def _external(kind_: str) -> str:
    return str(Datastore(kind_ or "database", Placement.EXTERNAL))


def moved(host: str, node: Node) -> list[Finding]:
    """Refuse another data directory on a member: K3s would start there as a new cluster, or as a node without data."""
    cluster = node["info"].get("cluster") or {}
    running, wanted = cluster.get("data_dir"), config.data_dir(node["inputs"])
    if not running or running == wanted or not (cluster.get("kubelet_conf") or cluster.get("etcd_data")):
        return []
    return [data_dir_fixed(host, node, "K3s", wanted, running)]


def removed(host: str, node: Node, served: bool) -> list[Finding]:
    """Refuse a server whose etcd member the cluster has removed, as after `kubectl delete node`.

    Its K3s serves no more. A server with `server:` in its configuration joins again once it is restarted, any other one
    does not start: pkg/etcd/etcd.go (Register). served: True if another server serves the cluster.
    """
    cluster = node["info"].get("cluster") or {}
    if cluster.get("datastore") != "removed":
        return []
    text = (
        "%s: the cluster has removed this server's etcd member (%s/server/db/etcd/tombstone), so its K3s does not serve. "
        "%s."
    )
    way_out = "Do not reset it: no other server serves the cluster's data. Start one, or restore a backup"
    if served:
        way_out = "Reset it (kubewright.cluster.reset --limit %s), then run site: it joins again" % host
    place = cluster.get("data_dir") or config.DATA_DIR
    return [Finding("member.removed", text % (host, place, way_out), host, "removed")]


def other_database(host: str, node: Node) -> list[Finding]:
    """Refuse another external database on a running server: in it, K3s would start as another cluster."""
    cluster, wanted = node["info"].get("cluster") or {}, node["inputs"]["k3s_datastore_endpoint"]
    running = cluster.get("database")
    if not (running and wanted and cluster.get("kubelet_conf")) or shown(running) in ("", shown(wanted)):
        return []
    text = (
        "%s: k3s_datastore_endpoint is %s, and this server runs with %s. With other data K3s would be another "
        "cluster: set it back. To move the database, keep the name of its host in DNS."
    )
    values = (host, shown(wanted) or "not a known address", shown(running))
    return [Finding("datastore.other_database", text % values, host, values[1], values[2])]


def disk(disks: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the disk under a server's etcd, None if it is unknown."""
    own = next((found for path, found in disks.items() if path.endswith(K3S_ETCD)), None)
    return own or disks.get("/var/lib/etcd")


def kind(endpoint: str) -> str:
    """Return PostgreSQL, MySQL or etcd by the scheme of an address; empty for another scheme."""
    return KINDS.get(endpoint.partition("://")[0], "") if "://" in endpoint else ""


def parse(endpoint: str) -> dict[str, Any]:
    """Return {kind, places (["host:port"]; empty for a socket), name (of the database)} of an address.

    Raise ValueError with what is wrong, without secrets.
    """
    name = kind(endpoint)
    if not name:
        forms = " or ".join(FORMS.values())
        raise ValueError("k3s_datastore_endpoint: K3s does not support its scheme. Write %s (%s)." % (forms, PAGE))
    found, database = {"PostgreSQL": _postgres, "MySQL": _mysql, "etcd": _etcd}[name](endpoint)
    return {"kind": name, "places": found, "name": database}


def shown(endpoint: str) -> str:
    """Return the database without its secrets, as "PostgreSQL at db:5432, database k3s"; empty if none or wrong."""
    try:
        found = parse(endpoint) if endpoint else None
    except ValueError:
        return ""
    if not found:
        return ""
    text = "%s at %s" % (found["kind"], ", ".join(found["places"]) or "a local socket")
    return text + (", database %s" % found["name"] if found["name"] else "")


def places(endpoint: str) -> list[str]:
    """Return the ["host:port"] that servers must reach; [] if the address is wrong, which the plan refuses."""
    try:
        return list(parse(endpoint)["places"]) if endpoint else []
    except ValueError:
        return []


def _wrong(name: str, why: str) -> ValueError:
    return ValueError("k3s_datastore_endpoint: %s. Write %s (%s)." % (why, FORMS[name], PAGE))


def _place(text: str, port: int, name: str) -> str:
    """Return host:port of a text. port: the default; 0 if the text must have a port."""
    found = _HOST.fullmatch(text)
    if not found or int(found.group(3) or port or 0) not in range(1, 65536):
        raise _wrong(name, "HOST:PORT is missing or wrong")
    host = "[%s]" % found.group(1) if found.group(1) else found.group(2)
    return "%s:%d" % (host, int(found.group(3) or port))


def _postgres(endpoint: str) -> tuple[list[str], str]:
    """Return the places and the database of a PostgreSQL address.

    https://pkg.go.dev/github.com/jackc/pgx/v5/pgconn#ParseConfig
    """
    try:
        parts = urlsplit(endpoint)
        query = parse_qs(parts.query)
    except ValueError:
        raise _wrong("PostgreSQL", "it is not a URL") from None
    if parts.fragment or parts.netloc.count("@") > 1 or ("@" in parts.path + parts.query and "@" not in parts.netloc):
        raise _wrong("PostgreSQL", "/ ? # @ in user or password must be written as %2F %3F %23 %40")
    mode = (query.get("sslmode") or ["prefer"])[0]
    if mode not in SSL_MODES:
        raise _wrong("PostgreSQL", "sslmode must be one of %s" % ", ".join(SSL_MODES))
    hosts = parts.netloc.rpartition("@")[2] or ("localhost" if endpoint.endswith("://") else "")
    name = parts.path.strip("/") or "kubernetes"
    if not hosts and query.get("host"):
        return [], name
    return [_place(host, 5432, "PostgreSQL") for host in hosts.split(",")], name


def _mysql(endpoint: str) -> tuple[list[str], str]:
    """Return the places and the database of a MySQL address.

    https://github.com/go-sql-driver/mysql#dsn-data-source-name
    """
    found = _MYSQL.fullmatch(endpoint.partition("://")[2] or "root@unix(/var/run/mysqld/mysqld.sock)/")
    if not found:
        raise _wrong("MySQL", "the host must be in tcp(...), followed by a /")
    if "tls" in parse_qs(found.group(4) or "", keep_blank_values=True):
        raise _wrong("MySQL", "K3s needs k3s_datastore_tls instead of the parameter tls")
    name = found.group(3) or "kubernetes"
    if found.group(1) == "unix":
        return [], name
    return [_place(found.group(2) or "127.0.0.1", 3306, "MySQL")], name


def _etcd(endpoint: str) -> tuple[list[str], str]:
    """Return the places of an etcd address, which has no database."""
    found = []
    for url in endpoint.split(","):
        match = re.fullmatch(r"https?://([^/?#@]+)/?", url.strip())
        if not match:
            raise _wrong("etcd", "it is not a list of URLs without login and path")
        found.append(_place(match.group(1), 0, "etcd"))
    return found, ""


def key_files(tls: Mapping[str, str]) -> dict[str, str]:
    """Return K3s's keys for the files of k3s_datastore_tls: {cafile: path, ...}."""
    return {key: path for name, (key, path, _block) in TLS.items() if tls.get(name)}


def files(tls: Mapping[str, str]) -> list[File]:
    """Return the files of k3s_datastore_tls: [{path, content, mode, secret}]."""
    return [
        {"path": path, "content": tls[name].strip() + "\n", "mode": "0600", "secret": True}
        for name, (_key, path, _block) in TLS.items()
        if tls.get(name)
    ]


def problems(values: Inputs) -> list[Finding]:
    """Check one server's inputs of the datastore."""
    endpoint, tls, found = values["k3s_datastore_endpoint"], values["k3s_datastore_tls"], []
    wanted, datastore = "external_database" in values["kube_needs"], values["k3s_datastore"]
    if wanted and not endpoint:
        text = "kube_needs has external_database, but k3s_datastore_endpoint is missing. Set it (%s)." % PAGE
        found.append(Finding("datastore.no_endpoint", text))
    if endpoint and not wanted:
        text = "k3s_datastore_endpoint needs external_database in kube_needs. Add that, or remove the endpoint."
        found.append(Finding("datastore.unused_endpoint", text))
    if wanted and datastore != "auto":
        text = "A cluster has one datastore, got external_database in kube_needs and k3s_datastore %s. Remove one."
        found.append(Finding("datastore.several", text % datastore, value=datastore))
    if endpoint:
        try:
            parse(endpoint)
        except ValueError as error:
            found.append(Finding("datastore.endpoint_format", str(error)))
    return found + _check_tls(endpoint, {name: text for name, text in tls.items() if text})


def _check_tls(endpoint: str, tls: Mapping[str, str]) -> list[Finding]:
    """Check the files for TLS to the database. Their texts are never shown."""
    found = []
    for name, content in tls.items():
        block = TLS[name][2]
        if not re.search(r"-----BEGIN [A-Z ]*%s-----" % block, content):
            text = "k3s_datastore_tls.%s has no PEM block %s. Set the content of the file, not its path."
            found.append(Finding("datastore_tls.not_pem", text % (name, block), value=name, limit=block))
    if tls and not endpoint:
        text = "k3s_datastore_tls needs an external database. Set k3s_datastore_endpoint, or remove k3s_datastore_tls."
        found.append(Finding("datastore_tls.no_endpoint", text))
    if ("certificate" in tls) != ("key" in tls):
        missing = "certificate" if "key" in tls else "key"
        text = "k3s_datastore_tls needs certificate and key together, and has no %s. Add it, or remove the other one."
        found.append(Finding("datastore_tls.incomplete", text % missing, value=missing))
    if tls and re.search(r"[?&]sslmode=disable(&|$)", endpoint):
        text = "k3s_datastore_tls has no effect with sslmode=disable in k3s_datastore_endpoint. Remove one of them."
        found.append(Finding("datastore_tls.disabled", text, value="sslmode=disable"))
    return found


def among_servers(nodes: Nodes, control_planes: Sequence[str]) -> list[Finding]:
    """Refuse servers that would not share one datastore. nodes: {inputs} by host."""
    count = len(control_planes)
    if count > 1 and nodes[control_planes[0]]["inputs"]["k3s_datastore"] == "sqlite":
        text = "k3s_datastore sqlite works with one server only, and the inventory has %d: %s. Set k3s_datastore: auto."
        text = text % (count, ", ".join(control_planes))
        return [Finding("datastore.sqlite_on_several", text, value=count, limit=1)]
    users: dict[str, list[str]] = {}
    for host in control_planes:
        users.setdefault(nodes[host]["inputs"]["k3s_datastore_endpoint"], []).append(host)
    if len(users) < 2:
        return []
    groups = [", ".join(hosts) for hosts in users.values()]
    text = "k3s_datastore_endpoint differs between %s. Set the same one for the group of all control planes."
    return [Finding("datastore.differs_between_servers", text % " and ".join(groups), value=groups)]


def reach(host: str, node: Node, joined: bool) -> tuple[list[Finding], list[Finding]]:
    """Return (refusals, warnings) on a server's way to its database, as node_info tried it."""
    tried = node["info"].get("reach") or {}
    failed = {address: why for address, why in tried.items() if why}
    if not failed:
        return [], []
    database = kind(node["inputs"]["k3s_datastore_endpoint"]) or "the database"
    seen = ", ".join("%s (%s)" % pair for pair in sorted(failed.items()))
    text = "%s cannot reach %s at %s. Start it, open its port in the firewall, or correct k3s_datastore_endpoint."
    found = [Finding("datastore.unreachable", text % (host, database, seen), host, sorted(failed))]
    # One of several etcd members may be down, and a running cluster can be changed while its database is briefly away.
    return ([], found) if joined or len(failed) < len(tried) else (found, [])


def in_use(nodes: Nodes, control_planes: Sequence[str]) -> dict[str, str]:
    """Return {host: datastore} of the servers that have data; "torn" after an interrupted conversion."""
    found = {}
    for host in control_planes:
        cluster = nodes[host]["info"].get("cluster") or {}
        name, _space, scheme = str(cluster.get("datastore") or "").partition(" ")
        if name and not cluster.get("foreign"):
            external = _external(KINDS.get(scheme, ""))
            found[host] = {"sqlite": SQLITE, "etcd": ETCD, "removed": ETCD, "external": external}.get(name, name)
    return found


def are_several_clusters(nodes: Nodes, control_planes: Sequence[str]) -> bool:
    """Return True if servers have different certificate authorities: they are refused as that."""
    clusters = (nodes[host]["info"].get("cluster") or {} for host in control_planes)
    return len({cluster["ca_sha256"] for cluster in clusters if cluster.get("ca_sha256")}) > 1


def settle(
    wanted: str, known: Mapping[str, str], convert: bool, healthy: bool = False
) -> tuple[str, str | None, list[Finding]]:
    """Return (datastore, host to convert or None, refusals), given what the servers use already.

    wanted: what the inventory calls for. known: in_use(). convert: the input k3s_convert_datastore. healthy: True if an
    API server answers.
    """
    kinds = set(known.values())
    seen = "; ".join("%s uses %s" % (host, name) for host, name in sorted(known.items()))
    if len(kinds - {"torn"}) > 1:
        text = (
            "The servers have different datastores (%s), so they are several clusters. Find out which one has your "
            "data, reset the others (kubewright.cluster.reset --limit HOST), and run again."
        )
        return wanted, None, [Finding("member.several_datastores", text % seen, None, sorted(kinds), wanted)]
    if len(known) > 1 and kinds == {SQLITE}:
        text = (
            "Each of %s has a SQLite database, so they are several clusters. Find out which one has your data, reset the "
            "others (kubewright.cluster.reset --limit HOST), and run again."
        )
        hosts = words.together(known)
        return wanted, None, [Finding("member.several_databases", text % hosts, None, sorted(known), wanted)]
    if kinds <= {wanted} or wanted == ETCD and kinds & {ETCD}:
        return wanted, None, []  # a server whose conversion was interrupted may be among them
    if wanted == ETCD and len(known) == 1 and kinds <= {SQLITE, "torn"}:
        host = next(iter(known))
        return wanted, host if convert else None, _check_conversion(host, kinds == {"torn"} and healthy, convert)
    text = (
        "The inventory calls for %s, but %s, and a running cluster keeps its datastore. "
        "Set kube_needs, k3s_datastore and k3s_datastore_endpoint as before, or create a new cluster."
    )
    return wanted, None, [Finding("datastore.changed", text % (wanted, seen), None, sorted(kinds), wanted)]


def _check_conversion(host: str, served: bool, consent: bool) -> list[Finding]:
    """Return what prevents the conversion.

    served: True if K3s runs with the incomplete data in etcd, which may be newer than SQLite's.
    """
    if served:
        text = (
            "%s: its conversion from SQLite was interrupted, and K3s runs with the part of the data that is in etcd. "
            "Stop k3s, move server/db/etcd out of its data directory, and run again."
        )
        return [Finding("datastore.conversion_interrupted", text % host, host)]
    if consent:
        return []
    text = (
        "%s uses SQLite, and the inventory calls for embedded etcd. Set k3s_convert_datastore: true to back up and "
        "convert it, or keep a single server with k3s_datastore: auto (%s)."
    )
    return [Finding("datastore.needs_conversion", text % (host, CONVERT_PAGE), host, SQLITE, ETCD)]
