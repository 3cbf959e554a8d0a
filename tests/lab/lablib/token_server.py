# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later


"""Run a registry that wants tokens, and the server that gives them out, as Docker Hub and GitLab have them.

It runs in a container, with Python's standard library. https://distribution.github.io/distribution/spec/auth/token/
"""

from __future__ import annotations

import base64
import hashlib
import http.server
import json
import os
import pathlib
import signal
import socketserver
import ssl
import subprocess
import sys
import threading
import time
import urllib.parse

PLACE = pathlib.Path("/login")
SERVICE = "kubewright-lab"
SECONDS = 300
REGISTRY = """\
version: 0.1
log: {{level: error, accesslog: {{disabled: true}}}}
storage:
  filesystem: {{rootdirectory: /var/lib/registry}}
  maintenance: {{readonly: {{enabled: true}}}}
http:
  addr: ":{port}"
  tls: {{certificate: {place}/server.crt, key: {place}/server.key}}
auth:
  token: {{realm: "https://{realm}/token", service: {service}, issuer: {service}, rootcertbundle: {place}/token.crt}}
"""
# The ASN.1 prefix of a SHA-256 digest in an RSA signature: RFC 8017, 9.2, note 1.
SHA256_PREFIX = bytes.fromhex("3031300d060960864801650304020105000420")


def der(data):
    """Yield (tag, content) of the values in DER."""
    position = 0
    while position < len(data):
        tag, size, position = data[position], data[position + 1], position + 2
        if size & 0x80:
            length = size & 0x7F
            size, position = int.from_bytes(data[position : position + length], "big"), position + length
        yield tag, data[position : position + size]
        position += size


def pem(text):
    """Return the bytes in PEM text."""
    return base64.b64decode("".join(line for line in text.splitlines() if not line.startswith("-----")))


def private_key(text):
    """Return (modulus, private exponent) of an RSA key in PEM, PKCS 8."""
    ((_sequence, outer),) = der(pem(text))
    inner = [content for tag, content in der(outer) if tag == 4][0]
    ((_sequence, numbers),) = der(inner)
    _version, modulus, _exponent, private = (int.from_bytes(content, "big") for _tag, content in list(der(numbers))[:4])
    return modulus, private


def sign(data, key):
    """Return the RSA signature of data, PKCS 1 v1.5 with SHA-256."""
    modulus, private = key
    size = (modulus.bit_length() + 7) // 8
    digest = SHA256_PREFIX + hashlib.sha256(data).digest()
    padded = b"\0\1" + b"\xff" * (size - len(digest) - 3) + b"\0" + digest
    return pow(int.from_bytes(padded, "big"), private, modulus).to_bytes(size, "big")


def encoded(data):
    """Return base64 as a JSON web token has it."""
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def token(scopes, user, key, certificate):
    """Return a JSON web token for these scopes. Without a user it allows nothing."""
    access = []
    for scope in scopes:
        kind, _colon, rest = scope.partition(":")
        name, _colon, actions = rest.rpartition(":")
        allowed = [action for action in actions.split(",") if action == "pull"]
        if user and kind == "repository" and allowed:
            access.append({"type": kind, "name": name, "actions": allowed})
    now = int(time.time())
    header = {"typ": "JWT", "alg": "RS256", "x5c": [base64.b64encode(pem(certificate)).decode()]}
    times = {"exp": now + SECONDS, "nbf": now - 60, "iat": now}
    claims = {"iss": SERVICE, "sub": user, "aud": SERVICE, "jti": os.urandom(8).hex(), "access": access, **times}
    parts = b".".join(encoded(json.dumps(part).encode()) for part in (header, claims))
    return (parts + b"." + encoded(sign(parts, key))).decode()


class Handler(http.server.BaseHTTPRequestHandler):
    """Gives out tokens. login, key and certificate are set by handler()."""

    protocol_version = "HTTP/1.1"
    login, key, certificate = ("", ""), (0, 0), ""

    def log_request(self, code="-", size="-"):
        """Log nothing: the addresses have scopes, and the log of the container is not read."""

    def do_GET(self):
        """Answer a request with a login in the header, or without one."""
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)
        given = self.headers.get("Authorization")
        if given is None:
            return self.give(query, "")
        kind, _blank, word = given.partition(" ")
        try:
            user, _colon, password = base64.b64decode(word).decode().partition(":")
        except ValueError:
            user = password = ""
        return self.give(query, user if kind == "Basic" and (user, password) == self.login else None)

    def do_POST(self):
        """Answer the OAuth form: https://distribution.github.io/distribution/spec/auth/oauth/."""
        text = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        form = urllib.parse.parse_qs(text)
        user, password = ((form.get(name) or [""])[0] for name in ("username", "password"))
        self.give(form, user if (user, password) == self.login else None)

    def give(self, query, user):
        """Send a token. user: None if the login is wrong."""
        scopes = [scope for value in query.get("scope") or [] for scope in value.split()]
        body = {"details": "wrong login"}
        if user is not None:
            made = token(scopes, user, self.key, self.certificate)
            body = {"token": made, "access_token": made, "expires_in": SECONDS, "scope": " ".join(scopes)}
        data = json.dumps(body).encode()
        self.send_response(401 if user is None else 200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def handler(place):
    """Return a handler with the login and the key in a directory."""
    user, _colon, password = (place / "login").read_text(encoding="utf-8").strip().partition(":")
    values = {
        "login": (user, password),
        "key": private_key((place / "token.key").read_text(encoding="utf-8")),
        "certificate": (place / "token.crt").read_text(encoding="utf-8"),
    }
    return type("LabHandler", (Handler,), values)


class Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
    """A server with a thread per client."""

    allow_reuse_address = True
    daemon_threads = True


def main(address, registry_port, token_port):
    """Run both servers until one of them ends or the container is stopped."""
    realm = f"{address}:{token_port}"
    text = REGISTRY.format(port=registry_port, realm=realm, service=SERVICE, place=PLACE)
    pathlib.Path("/run/registry.yml").write_text(text, encoding="utf-8")
    registry = subprocess.Popen(["docker-registry", "serve", "/run/registry.yml"])
    threading.Thread(target=lambda: os._exit(registry.wait() or 1), daemon=True).start()
    signal.signal(signal.SIGTERM, lambda *_arguments: sys.exit(0))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(PLACE / "server.crt", PLACE / "server.key")
    with Server(("", int(token_port)), handler(PLACE)) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        server.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
