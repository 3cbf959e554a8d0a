# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of the form of hosts, addresses, networks and URLs, as those of forms.py."""

from __future__ import annotations

import ipaddress
import re
from typing import Any
from urllib.parse import urlsplit

from .forms import Check, Problem, subdomain

# Not every host that a URL names is a DNS name: some have underscores.
_HOST_OF_URL = re.compile(r"[A-Za-z0-9._-]+|[0-9A-Fa-f:.]+(%\w+)?")


def host(value: str) -> Problem:
    """Check a DNS name or an IP address, without scheme and port."""
    if "://" in value:
        return '"%s" is a URL' % value, "give the name or address only"
    if "%" in value and _address(value):
        return '"%s" has a zone, which certificates and clients cannot have' % value, "use an address of a network"
    if _address(value):
        address = ipaddress.ip_address(value)
        if address.is_unspecified or address.is_multicast or address.version == 4 and address.is_reserved:
            return '"%s" is the address of no host' % value, "use an address that clients can connect to"
        return None
    if not subdomain(value.lower()) and not value.rpartition(".")[2].isdigit():
        return None
    return '"%s" is neither a DNS name nor an IP address' % value, "use a name such as api.example.com, or an address"


def wildcard_host(value: str) -> Problem:
    """Check a name or address for a certificate; a name may begin with `*.`."""
    if value.startswith("*.") and not _address(value[2:]):
        return host(value[2:])
    return host(value)


def url(*schemes: str, login: bool = False) -> Check:
    """Return a check for a URL with one of the schemes and a host. It is not shown where it may hold a secret.

    login: True if a login is allowed in it.
    """

    def check(value: str) -> Problem:
        try:
            parts = urlsplit(value)
            good = parts.scheme in schemes and bool(parts.hostname) and (parts.port is None or 0 < parts.port < 65536)
            good = good and not re.search(r"\s", value) and bool(_HOST_OF_URL.fullmatch(parts.hostname or ""))
            if good and "@" in parts.path:
                return "its login has a /", "write / as %2F and @ as %40 in the login"
            if good and not login and "@" in parts.netloc:
                return "it has a login", "remove the login: URLs are shown in plans, logs and messages"
        except ValueError:
            good = False
        return (
            None
            if good
            else (
                "%s is not a URL that begins with %s://" % (_shown(value, login), ":// or ".join(schemes)),
                "write it as %s://host:port" % schemes[0],
            )
        )

    return check


def _shown(value: str, login: bool) -> str:
    return "it" if login or re.search("[@?#]", value) else '"%s"' % value


# What Go's url.Parse takes in a login (net/url, validUserinfo), which must be encoded otherwise.
_LOGIN = re.compile(r"(%[0-9A-Fa-f]{2}|[A-Za-z0-9._:~!$&'()*+,;=@-])*")


def proxy(value: str) -> Problem:
    """Check the URL of a proxy. The value is not shown: it may hold a login."""
    found = url("http", "https", login=True)(value)
    if not found and not _LOGIN.fullmatch(urlsplit(value).netloc.rpartition("@")[0]):
        return (
            "its login has a character that is not allowed in a URL",
            'write it encoded, such as %25 for % and %22 for "',
        )
    return found


def source(value: str) -> Problem:
    """Check where programs come from: upstream, the URL of a mirror, or a directory on the controller."""
    if value == "upstream" or value.startswith(("/", "~", "./", "../")):
        return None
    if "://" in value:
        found = url("http", "https")(value)
        if not found and re.search(r"[?#]", value):
            return "it has a query or a fragment", "remove it: names of files are added at its end"
        return found
    return (
        '"%s" is neither upstream, nor a URL, nor a path' % value,
        "write a mirror as https://mirror.example, a directory as /srv/mirror or ./mirror",
    )


def cidr(value: str) -> Problem:
    """Check a network with its prefix length and without host bits. Kubernetes takes no mask in place of a length."""
    try:
        network = ipaddress.ip_network(value)
    except ValueError:
        return _why_no_network(value)
    if "/" not in value:
        return '"%s" has no prefix length' % value, "write it as 10.244.0.0/16"
    if not re.fullmatch(r".*/(0|[1-9][0-9]{0,2})", value):
        return '"%s" has another form of prefix length' % value, "write it as %s" % network
    return None


def cluster_cidr(value: str) -> Problem:
    """Check a network for pods or Services: one that hosts can route."""
    found = cidr(value)
    if found:
        return found
    network = ipaddress.ip_network(value)
    for name in ("loopback", "link_local", "multicast", "reserved", "unspecified"):
        if getattr(network.network_address, "is_" + name):
            text = '"%s" is for %s addresses' % (value, name.replace("_", "-"))
            return text, "use a private network, such as 10.244.0.0/16"
    return None


def _why_no_network(value: str) -> tuple[str, str]:
    try:
        return '"%s" has host bits set' % value, "write it as %s" % ipaddress.ip_network(value, strict=False)
    except ValueError:
        return '"%s" is not a network' % value, "write it as 10.244.0.0/16"


def node_ip(value: str) -> Problem:
    """Check where a node's address comes from: addresses, interfaces or networks, separated by commas."""
    for part in value.split(","):
        part = part.strip()
        if "/" in part and "://" not in part:
            wrong = cidr(part)
            if wrong and "host bits" in wrong[0]:
                return wrong[0], "%s, or as %s" % (wrong[1], part.partition("/")[0])
            if wrong:
                return wrong[0], "write it as 10.0.0.0/24"
        elif (
            not (_address(part) or re.fullmatch(r"[A-Za-z0-9_.:@-]{1,15}", part))
            or re.fullmatch(r"[0-9.]+", part)
            and not _address(part)
        ):
            return (
                '"%s" is not an address, an interface or a network' % part,
                "use one of the node's own, such as 10.0.0.5, eth1 or 10.0.0.0/24",
            )
    return None


# Labels of a name, the first of which may be *, and a port. The last one is not a number, or a range of numbers.
# https://pkg.go.dev/golang.org/x/net/http/httpproxy
_EXCEPTION = re.compile(r"(\*?\.)?([A-Za-z0-9_-]+\.)*(?![0-9]+(-|\.?(:|$)))[A-Za-z0-9_-]+\.?(:[0-9]{1,5})?")


def exception(value: str) -> Problem:
    """Check a name, domain, address or network that is reached without the proxy."""
    name = value.partition("/")[0]
    if (
        not ((_address(name) or _address(name.rpartition(":")[0].strip("[]"))) or _EXCEPTION.fullmatch(name))
        or "://" in value
    ):
        return (
            '"%s" is not a host, a domain or a network' % value,
            "use names such as .example.com, addresses, or networks such as 10.0.0.0/8",
        )
    return cidr(value) if "/" in value else None


def forwarded_port(value: str) -> Problem:
    """Check a port of this machine that is forwarded to a node of a local cluster."""
    found = re.fullmatch(r"(?:(\[[0-9a-fA-F:.]+\]|[0-9.]+):)?([0-9]{1,5}):([0-9]{1,5})(/(?:tcp|udp|sctp))?", value)
    ports = [int(port) for port in found.group(2, 3)] if found else []
    if not found or found.group(1) and not _address(found.group(1).strip("[]")):
        return '"%s" is not a forwarded port' % value, "write it as [ADDRESS:]HOST_PORT:NODE_PORT[/PROTOCOL]"
    if not all(0 < port < 65536 for port in ports):
        return '"%s" has a port that does not exist' % value, "use 1 to 65535"
    return None


def forwarded_ports(value: list[Any]) -> Problem:
    """Check that no port of this machine is forwarded twice."""
    own = [re.sub(r":[0-9]+(?=(/|$))", "", str(item).removesuffix("/tcp")) for item in value]
    twice = sorted({port for port in own if own.count(port) > 1})
    return ("%s is forwarded twice" % ", ".join(twice), "forward each port once") if twice else None


# As many addresses as the smallest local network has: three nodes, the gateway, and some to spare.
_LOCAL_PREFIX = 28


def local_subnet(value: str) -> Problem:
    """Check the network of a local cluster: a private one of IPv4 with room for nodes."""
    found = cidr(value)
    if found:
        return found[0], found[1].replace("10.244.0.0/16", "10.131.0.0/24")
    network = ipaddress.ip_network(value)
    if network.version == 4 and network.is_private and network.prefixlen <= _LOCAL_PREFIX:
        return None
    return '"%s" is not a private IPv4 network with room for nodes' % value, "write it as 10.131.0.0/24"


def mtu(value: Any) -> Problem:
    """Check the size of packets in bytes: at least what every IPv4 host takes, at most what the header can say."""
    if isinstance(value, bool) or not re.fullmatch(r"[0-9]{3,5}", str(value)) or not 576 <= int(value) <= 65535:
        return '"%s" is not a size of packets' % value, "use 576 to 65535"
    return None


def registry(value: str) -> Problem:
    """Check the name of a registry, as images have it: a host, with a port where it is not 443."""
    if value in ("index.docker.io", "registry-1.docker.io"):
        return '"%s" is not how containerd names Docker Hub' % value, "write docker.io"
    found = re.fullmatch(r"([a-z0-9]([a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:]+\])(?::([1-9][0-9]{0,4}))?", value)
    if found and not re.search(r"[.:]", value) and value != "localhost":
        # containerd takes a first part without a dot and a port for a part of the image's name at Docker Hub.
        return '"%s" is not the host of a registry' % value, "write it with its domain or port, such as docker.io"
    if value == "*" or found and ".." not in value and int(found.group(3) or 0) < 65536:
        return None
    return '"%s" is not the name of a registry' % value, "write it as registry.example:5000, without https:// and path"


def vrrp_password(value: str) -> Problem:
    """Check the password of VRRP, of which 8 bytes are sent (RFC 2338, section 5.3.6). The value is not shown."""
    good = isinstance(value, str) and re.fullmatch(r"[A-Za-z0-9._+-]{1,8}", value)
    return None if good else ("VRRP cannot use it", "choose 1 to 8 letters, digits and . _ + -")


def _address(value: str) -> bool:
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return False
    return True
