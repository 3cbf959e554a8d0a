# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lab's private registry: the same images over HTTPS with its own CA, only for those with a token."""

from __future__ import annotations

import http.client
import json
import secrets
import ssl
import subprocess
import time
from pathlib import Path

from . import catalog, services
from .catalog import LabError
from .hostcaps import engine

CONTAINER = "kubewright-lab-private"
REGISTRY_PORT, TOKEN_PORT = 5001, 5002
SERVER = catalog.LAB / "lablib" / "token_server.py"
USER = "puller"
INPUTS = "lab-private.json"


def place():
    """Return the directory of the login and the certificates."""
    return catalog.cache("login")


def openssl(*words):
    """Run openssl in the directory of the certificates."""
    done = subprocess.run(["openssl", "req", "-x509", "-nodes", *words], cwd=place(), capture_output=True, check=False)
    if done.returncode:
        raise LabError(f"openssl failed: {done.stderr.decode(errors='replace').strip()}")


def make_certificates(address):
    """Create a login, a CA, a server certificate for the address, and the key that signs tokens, where missing."""
    if (place() / "address").exists() and (place() / "address").read_text(encoding="utf-8") == address:
        return
    place().mkdir(mode=0o700, parents=True, exist_ok=True)
    (place() / "login").write_text(f"{USER}:{secrets.token_hex(12)}\n", encoding="utf-8")
    ec = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-days", "30")
    ca = ("-addext", "basicConstraints=critical,CA:true", "-addext", "keyUsage=critical,keyCertSign")
    openssl(*ec, "-subj", "/CN=lab-ca", "-keyout", "ca.key", "-out", "ca.crt", *ca)
    signed = ("-CA", "ca.crt", "-CAkey", "ca.key", "-addext", "basicConstraints=CA:false")
    names = ("-addext", "extendedKeyUsage=serverAuth", "-addext", f"subjectAltName=IP:{address}")
    openssl(*ec, "-subj", "/CN=lab", "-keyout", "server.key", "-out", "server.crt", *signed, *names)
    openssl("-newkey", "rsa:2048", "-days", "30", "-subj", "/CN=token", "-keyout", "token.key", "-out", "token.crt")
    (place() / "address").write_text(address, encoding="utf-8")


def run_arguments(address):
    """Return the engine arguments that run the container, in the network of the lab's other container."""
    words = ["run", "--detach", "--name", CONTAINER, "--label", services.LABEL]
    words += ["--network", f"container:{services.CONTAINER}", *engine().limit_arguments()]
    words += ["--volume", f"{catalog.cache('registry')}:/var/lib/registry:ro", "--volume", f"{place()}:/login:ro"]
    words += ["--volume", f"{catalog.cache('token_server.py')}:/token_server.py:ro", services.image_name()]
    return [*words, "python3", "-u", "/token_server.py", address, str(REGISTRY_PORT), str(TOKEN_PORT)]


def inputs(address):
    """Return the collection's inputs: every image comes from the private registry, and only with the login."""
    user, _colon, password = (place() / "login").read_text(encoding="utf-8").strip().partition(":")
    host = f"{address}:{REGISTRY_PORT}"
    login = {"username": user, "password": password, "ca": (place() / "ca.crt").read_text(encoding="utf-8")}
    mirror = {"endpoints": [f"https://{host}"]}
    mirrors = {"registry.k8s.io": mirror, "docker.io": mirror}
    return {**services.inputs(address), "kube_registries": {"mirrors": mirrors, "configs": {host: login}}}


def answers(address):
    """Return True if the registry asks for a token. It is asked from the nodes' network, as nodes do."""
    context = ssl.create_default_context(cafile=str(place() / "ca.crt"))
    connection = http.client.HTTPSConnection(address, REGISTRY_PORT, timeout=2, context=context)
    try:
        connection.request("GET", "/v2/")
        answer = connection.getresponse()
        return answer.status == 401 and f"https://{address}:{TOKEN_PORT}/token" in answer.getheader("WWW-Authenticate", "")
    except OSError:
        return False
    finally:
        connection.close()


def up():
    """Start the private registry beside the lab, and write its inputs to the cache."""
    services.up()
    address = services.address(services.subnet())
    make_certificates(address)
    catalog.cache("token_server.py").write_bytes(SERVER.read_bytes())
    down()
    engine().run(*engine().global_arguments(), *run_arguments(address))
    until = time.monotonic() + 30
    while not answers(address):
        if time.monotonic() > until:
            raise LabError(f"The private registry does not answer. See `{engine().program} logs {CONTAINER}`.")
        time.sleep(0.2)
    path = Path(catalog.cache(INPUTS))
    path.touch(mode=0o600)
    path.write_text(json.dumps({"local_vars": inputs(address)}, indent=1) + "\n", encoding="utf-8")
    services.say(f"the private registry is up at {address}:{REGISTRY_PORT}; its inputs are in {path}")


def down():
    """Stop the private registry."""
    if engine().inspect("container", CONTAINER):
        engine().run(*engine().global_arguments(), "rm", "--force", CONTAINER)
