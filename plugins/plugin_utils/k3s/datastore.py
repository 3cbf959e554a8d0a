# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where K3s stores: the address of an external database, its TLS files, and the one change of datastore that K3s knows.

https://docs.k3s.io/datastore. An address holds a password: no sentence here shows more of it than host, port and the database's name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs, urlsplit

from ..base.distribution import Inputs, Nodes, Reason, etcd_reason
from ..base.findings import reason
from ..base.reference import K3S_DATASTORE_PAGE, K3S_ETCD

PAGE = "https://docs.k3s.io/datastore#datastore-endpoint-format-and-functionality"
CONVERT_PAGE = "https://docs.k3s.io/datastore/ha-embedded#existing-single-node-clusters"
SQLITE, ETCD = "SQLite", "embedded etcd"
# Of an inventory of agents.
ELSEWHERE = "of the cluster that is joined"
KINDS = {"postgres": "PostgreSQL", "postgresql": "PostgreSQL", "mysql": "MySQL", "http": "etcd", "https": "etcd"}
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
_HOST = re.compile(r"^(?:\[([0-9A-Fa-f:.%]+)\]|([A-Za-z0-9_.-]+))(?::([0-9]{1,5}))?$")
_MYSQL = re.compile(r"^(?:.*@)?(?:(tcp|unix)\(([^()]*)\))?/([^/?]*)(?:\?(.*))?$", re.S)


def choose(nodes: Nodes, shared: Inputs, control_planes: Sequence[str]) -> tuple[str, list[Reason]]:
    """Return the datastore that the inventory calls for, and the reasons."""
    count, wanted = len(control_planes), shared.get("k3s_datastore", "auto")
    if not count:
        return ELSEWHERE, []
    if "external_database" in shared["kube_needs"]:
        name = "external %s" % (kind(shared.get("k3s_datastore_endpoint") or "") or "database")
        text = "%s: kube_needs asks for an external database, and the cluster survives what that survives" % name
        return name, [reason("datastore", None, count, None, K3S_DATASTORE_PAGE, text)]
    if count == 1 and wanted == "auto" and ETCD in there(nodes, control_planes).values():
        text = "embedded etcd: it is what runs on %s, and K3s knows no way from it to SQLite" % control_planes[0]
        return ETCD, [reason("datastore", control_planes[0], count, None, K3S_DATASTORE_PAGE, text)]
    if wanted == "sqlite" or wanted == "auto" and count == 1:
        text = "SQLite: one server, which needs no cluster of its datastore; its loss is not survived"
        return SQLITE, [reason("datastore", control_planes[0], count, None, K3S_DATASTORE_PAGE, text)]
    return ETCD, [etcd_reason(count)]


def disk(disks: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the disk under a server's etcd, None where it is unknown."""
    own = next((found for path, found in disks.items() if path.endswith(K3S_ETCD)), None)
    return own or disks.get("/var/lib/etcd")


def kind(endpoint: str) -> str:
    """PostgreSQL, MySQL or etcd by the scheme of an address, else empty."""
    return KINDS.get(endpoint.partition("://")[0], "") if "://" in endpoint else ""


def parse(endpoint: str) -> dict:
    """{kind, places (["host:port"]; none for a socket), name (of the database)} of an address. ValueError with a sentence that holds no secret."""
    name = kind(endpoint)
    if not name:
        scheme = endpoint.partition("://")[0] if re.match(r"^[a-z][a-z0-9+.-]{0,15}://", endpoint) else ""
        seen = "%s:// is none that K3s's documentation names" % scheme if scheme else "it begins with no scheme"
        raise ValueError("k3s_datastore_endpoint: %s; write %s (%s)" % (seen, " or ".join(FORMS.values()), PAGE))
    places, database = {"PostgreSQL": _postgres, "MySQL": _mysql, "etcd": _etcd}[name](endpoint)
    return {"kind": name, "places": places, "name": database}


def shown(endpoint: str) -> str:
    """The database in words without its secrets: "PostgreSQL at db:5432, database k3s"; empty for none or a wrong address."""
    try:
        found = parse(endpoint) if endpoint else None
    except ValueError:
        return ""
    if not found:
        return ""
    text = "%s at %s" % (found["kind"], ", ".join(found["places"]) or "a local socket")
    return text + (", database %s" % found["name"] if found["name"] else "")


def places(endpoint: str) -> list:
    """The ["host:port"] that servers have to reach; none where the address is wrong, which the plan refuses."""
    try:
        return parse(endpoint)["places"] if endpoint else []
    except ValueError:
        return []


def _wrong(name, why):
    return ValueError("k3s_datastore_endpoint: %s; write %s (%s)" % (why, FORMS[name], PAGE))


def _place(text, port, name):
    """host:port of a text, with the default port where it names none (0: there is none)."""
    found = _HOST.match(text)
    if not found or int(found.group(3) or port or 0) not in range(1, 65536):
        raise _wrong(name, "there is no host with a port where one must be")
    host = "[%s]" % found.group(1) if found.group(1) else found.group(2)
    return "%s:%d" % (host, int(found.group(3) or port))


def _postgres(endpoint):
    """https://pkg.go.dev/github.com/jackc/pgx/v5/pgconn#ParseConfig"""
    try:
        parts = urlsplit(endpoint)
        query = parse_qs(parts.query)
    except ValueError:
        raise _wrong("PostgreSQL", "it is no URL") from None
    if parts.fragment or parts.netloc.count("@") > 1 or ("@" in parts.path + parts.query and "@" not in parts.netloc):
        raise _wrong("PostgreSQL", "user or password hold one of / ? # @, which must be written as %2F %3F %23 %40")
    mode = (query.get("sslmode") or ["prefer"])[0]
    if mode not in SSL_MODES:
        raise _wrong("PostgreSQL", "sslmode is none of %s" % ", ".join(SSL_MODES))
    hosts = parts.netloc.rpartition("@")[2] or ("localhost" if endpoint.endswith("://") else "")
    name = parts.path.strip("/") or "kubernetes"
    if not hosts and query.get("host"):
        return [], name
    return [_place(host, 5432, "PostgreSQL") for host in hosts.split(",")], name


def _mysql(endpoint):
    """https://github.com/go-sql-driver/mysql#dsn-data-source-name"""
    found = _MYSQL.match(endpoint.partition("://")[2] or "root@unix(/var/run/mysqld/mysqld.sock)/")
    if not found:
        raise _wrong("MySQL", "the host must stand in tcp(...), and a / after it")
    if "tls" in parse_qs(found.group(4) or "", keep_blank_values=True):
        raise _wrong("MySQL", "K3s does not take the parameter tls; set k3s_datastore_tls")
    name = found.group(3) or "kubernetes"
    if found.group(1) == "unix":
        return [], name
    return [_place(found.group(2) or "127.0.0.1", 3306, "MySQL")], name


def _etcd(endpoint):
    found = []
    for url in endpoint.split(","):
        match = re.match(r"^https?://([^/?#@]+)/?$", url.strip())
        if not match:
            raise _wrong("etcd", "it is no list of URLs without login and path")
        found.append(_place(match.group(1), 0, "etcd"))
    return found, ""


def key_files(tls: dict) -> dict:
    """K3s's keys for the files of k3s_datastore_tls: {cafile: path, ...}."""
    return {key: path for name, (key, path, _block) in TLS.items() if tls.get(name)}


def files(tls: dict) -> list:
    """Those files: [{path, content, mode, secret}]."""
    return [
        {"path": path, "content": tls[name].strip() + "\n", "mode": "0600", "secret": True}
        for name, (_key, path, _block) in TLS.items()
        if tls.get(name)
    ]


def problems(values: dict) -> list:
    """Sentences on one server's inputs of the datastore."""
    endpoint, tls, found = values["k3s_datastore_endpoint"], values["k3s_datastore_tls"], []
    wanted = "external_database" in values["kube_needs"]
    if wanted and not endpoint:
        found.append("kube_needs asks for external_database; set k3s_datastore_endpoint (https://docs.k3s.io/datastore)")
    if endpoint and not wanted:
        found.append("k3s_datastore_endpoint is set; add external_database to kube_needs, or drop it")
    if wanted and values["k3s_datastore"] != "auto":
        text = "kube_needs asks for external_database and k3s_datastore for %s; a cluster has one datastore: drop either"
        found.append(text % values["k3s_datastore"])
    if endpoint:
        try:
            parse(endpoint)
        except ValueError as error:
            found.append(str(error))
    return found + _tls_problems(endpoint, {name: text for name, text in tls.items() if text})


def _tls_problems(endpoint, tls):
    found = [
        "k3s_datastore_tls.%s holds no PEM block %s; give the file's text, not its path" % (name, TLS[name][2])
        for name in tls
        if not re.search(r"-----BEGIN [A-Z ]*%s-----" % TLS[name][2], tls[name])
    ]
    if tls and not endpoint:
        found.append("k3s_datastore_tls is for an external database; set k3s_datastore_endpoint, or drop it")
    if ("certificate" in tls) != ("key" in tls):
        found.append("k3s_datastore_tls has one of certificate and key; a client needs both, or neither")
    if tls and re.search(r"[?&]sslmode=disable(&|$)", endpoint):
        found.append("k3s_datastore_tls is set and sslmode=disable in k3s_datastore_endpoint switches TLS off; drop either")
    return found


def among_servers(nodes: dict, control_planes: list) -> list:
    """Sentences on servers that would not store in one place. nodes: by host {inputs}."""
    hosts = {}
    if len(control_planes) > 1 and nodes[control_planes[0]]["inputs"]["k3s_datastore"] == "sqlite":
        return ["k3s_datastore sqlite is for one server, the inventory has %d (%s); set it to auto" % (len(control_planes), ", ".join(control_planes))]
    for host in control_planes:
        hosts.setdefault(nodes[host]["inputs"]["k3s_datastore_endpoint"], []).append(host)
    if len(hosts) < 2:
        return []
    rows = " and ".join(", ".join(names) for names in hosts.values())
    return ["k3s_datastore_endpoint is another one on %s; servers of a cluster share one datastore: set it for their whole group" % rows]


def reach(host: str, node: dict, joined: bool) -> tuple:
    """(refusals, warnings) on a server's way to its database, as it was tried at the look: node_info's "reach"."""
    tried = node["info"].get("reach") or {}
    failed = {place: why for place, why in tried.items() if why}
    if not failed:
        return [], []
    what = kind(node["inputs"]["k3s_datastore_endpoint"]) or "the database"
    text = "%s: does not reach %s at %s; start it, let this server through to it, or correct k3s_datastore_endpoint"
    sentence = text % (host, what, ", ".join("%s (%s)" % pair for pair in sorted(failed.items())))
    # Of an etcd of several members one may be down; a running cluster is changed whether or not its database has a bad minute.
    return ([], [sentence]) if joined or len(failed) < len(tried) else ([sentence], [])


def there(nodes: dict, control_planes: list) -> dict:
    """{host: what it stores in, in the plan's words} of the servers that have data; "torn" after a conversion that was broken off."""
    found = {}
    for host in control_planes:
        cluster = nodes[host]["info"].get("cluster") or {}
        name, _space, scheme = str(cluster.get("datastore") or "").partition(" ")
        if name and not cluster.get("foreign"):
            words = "external %s" % KINDS.get(scheme, "database")
            found[host] = {"sqlite": SQLITE, "etcd": ETCD, "external": words}.get(name, name)
    return found


def settle(wanted: str, known: dict, convert: bool, healthy: bool = False) -> tuple:
    """What the cluster stores in, given what its servers do already.

    wanted: the decision's datastore. known: there(). convert: the input k3s_convert_datastore. healthy: whether an API answers.
    Returns (datastore, host to convert or None, refusals).
    """
    kinds = set(known.values())
    if kinds <= {wanted} or wanted == ETCD and kinds & {ETCD}:
        return wanted, None, []  # a server that was lost may be among them, and comes back; others' rules speak of it
    seen = "; ".join("%s in %s" % (host, name) for host, name in sorted(known.items()))
    if wanted == ETCD and len(known) == 1 and kinds <= {SQLITE, "torn"}:
        host = next(iter(known))
        return wanted, host if convert else None, _conversion(host, kinds == {"torn"} and healthy, convert)
    text = "the running servers store otherwise than the inventory says (%s; wanted: %s); a running cluster is not moved: %s"
    return wanted, None, [text % (seen, wanted, "set kube_needs, k3s_datastore and k3s_datastore_endpoint as they were")]


def _conversion(host, served, consent):
    """Sentences against it. served: whether K3s serves what had reached etcd when it was broken off, which may be newer than SQLite."""
    if served:
        text = "%s: its conversion from SQLite was broken off, and K3s serves the part that had reached etcd; stop k3s, move server/db/etcd out of its %s"
        return [text % (host, "data directory, and run again")]
    if consent:
        return []
    text = "%s stores in SQLite, and the inventory needs embedded etcd; set k3s_convert_datastore: true, which makes a backup and converts it, or %s (%s)"
    return [text % (host, "keep one server", CONVERT_PAGE)]
