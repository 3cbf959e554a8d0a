# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lab's container: a registry and the artifact server, at a fixed address on the nodes' network."""

from __future__ import annotations

import hashlib
import http.client
import ipaddress
import json
import subprocess
import tempfile
import time
from pathlib import Path

from . import catalog, images, rootfs
from .catalog import LabError
from .hostcaps import engine, free_subnet, host_networks
from .registry import Registry

NETWORK = "kubewright"
CONTAINER = "kubewright-lab"
IMAGE = "localhost/kubewright-lab"
LABEL_NAME = "kubewright.test-servers"
LABEL = f"{LABEL_NAME}=yes"
# The role local removes a network with this label after its last container.
NETWORK_LABEL = "kubewright.network=local"
SERVE = catalog.LAB / "lablib" / "serve.py"
REGISTRY_PORT, ARTIFACT_PORT = 5000, 8080
CONTAINERFILE = """\
FROM docker.io/library/debian:{suite}-slim
RUN apt-get update && apt-get install -y --no-install-recommends {packages} && rm -rf /var/lib/apt/lists/*
"""


def say(text):
    """Print one line of progress."""
    print(text, flush=True)


def subnet():
    """Return the network's IPv4 subnet, or None if the network does not exist."""
    found = engine().inspect("network", NETWORK)
    if not found:
        return None
    ranges = found.get("subnets") or [{"subnet": row["Subnet"]} for row in found.get("IPAM", {}).get("Config", [])]
    return next((row["subnet"] for row in ranges if ":" not in row["subnet"]), None)


def address(network):
    """Return the lab's address: the second of the network."""
    return str(ipaddress.ip_network(network)[2])


def make_network():
    """Create the nodes' network and return its subnet."""
    plain = ["--disable-dns"] if engine().name == "podman" else []
    wanted = free_subnet(host_networks())
    labels = ["--label", LABEL, "--label", NETWORK_LABEL]
    engine().run("network", "create", *plain, "--subnet", wanted, *labels, NETWORK)
    say(f"created network {NETWORK} ({wanted})")
    return wanted


def image_name():
    """Return the image's name. Its tag changes with the contents."""
    return f"{IMAGE}:{rootfs.key('services')}"


def make_image():
    """Import the servers' root file system, or build the image on Debian's if there is none."""
    root, name = rootfs.path("services", catalog.host_arch()), image_name()
    if engine().inspect("image", name):
        return
    if root.exists():
        engine().run("import", str(root), name)
        return
    with tempfile.TemporaryDirectory() as work:
        text = CONTAINERFILE.format(suite=rootfs.SUITE, packages=" ".join(rootfs.ROOTS["services"]))
        Path(work, "Containerfile").write_text(text, encoding="utf-8")
        engine().run("build", "-t", name, "-f", f"{work}/Containerfile", work)


def hardware_address(ip):
    """Return a MAC address derived from the IP address: ARP entries stay valid when the container is replaced."""
    return ":".join(f"{byte:02x}" for byte in (0x02, 0x42, *ipaddress.ip_address(ip).packed))


def run_arguments(network):
    """Return the engine arguments that run the container."""
    words = ["run", "--detach", "--name", CONTAINER, "--hostname", CONTAINER, "--label", LABEL]
    ip = address(network)
    words += ["--network", NETWORK, "--ip", ip, "--mac-address", hardware_address(ip), *engine().limit_arguments()]
    for port in (REGISTRY_PORT, ARTIFACT_PORT):
        words += ["--publish", f"127.0.0.1:{port}:{port}"]
    words += ["--volume", f"{catalog.cache('registry')}:/var/lib/registry"]
    words += ["--volume", f"{catalog.cache('artifacts')}:/artifacts:ro", "--volume", f"{catalog.cache('serve.py')}:/serve.py:ro"]
    return [*words, image_name(), "python3", "-u", "/serve.py"]


def digest_of(arguments):
    """Changes when the container has to be made again."""
    return hashlib.sha256(repr(arguments).encode() + SERVE.read_bytes()).hexdigest()[:16]


def state():
    """Return (running, digest of its arguments) of the container, or (None, None) if it does not exist."""
    found = engine().inspect("container", CONTAINER)
    if not found:
        return None, None
    # Podman still reports a container as running if its processes and conmon were killed together.
    alive = engine().name != "podman" or Path(f"/proc/{found['State']['Pid']}").exists()
    return found["State"]["Running"] and alive, found["Config"]["Labels"].get("kubewright.lab")


def answers(port):
    """Return True if a server answers on this host."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", "/v2/" if port == REGISTRY_PORT else "/dl.k8s.io/")
        return connection.getresponse().status < 500
    except OSError:
        return False
    finally:
        connection.close()


def wait():
    """Wait until both servers answer. Raise LabError with the end of their log if they do not."""
    until = time.monotonic() + 30
    while not (answers(REGISTRY_PORT) and answers(ARTIFACT_PORT)):
        if time.monotonic() > until or not state()[0]:
            done = subprocess.run(
                [engine().program, "logs", "--tail", "20", CONTAINER], capture_output=True, text=True, check=False
            )
            raise LabError(f"The lab's servers do not answer. The end of their log:\n{done.stdout}{done.stderr}")
        time.sleep(0.1)


def start():
    """Create or replace the container if needed. Return True if something changed."""
    network = subnet() or make_network()
    arguments = run_arguments(network)
    digest = digest_of(arguments)
    running, made_with = state()
    if running and made_with == digest:
        return False
    for folder in ("registry", "artifacts"):
        catalog.cache(folder).mkdir(parents=True, exist_ok=True)
    # The container is shared by checkouts that may be deleted, so it gets its own copy.
    catalog.cache("serve.py").write_bytes(SERVE.read_bytes())
    make_image()
    if running is not None:
        remove()
    arguments[1:1] = ["--label", f"kubewright.lab={digest}"]
    engine().run(*engine().global_arguments(), *arguments)
    say(f"started {CONTAINER} at {address(network)}")
    return True


def remove():
    """Remove the container. Its data stays in the cache."""
    engine().run(*engine().global_arguments(), "rm", "--force", CONTAINER)


def wanted_images(table):
    """Return the images of all versions whose archives exist."""
    found = {image.ref: image for version in table["kubernetes"] for image in images.images(table, version)}
    arch = catalog.host_arch()
    return [image for image in found.values() if images.record(image, arch) and image.archive(arch).exists()]


def push(table):
    """Push the images that the registry does not have yet. Return how many."""
    registry, arch, pushed = Registry(f"127.0.0.1:{REGISTRY_PORT}"), catalog.host_arch(), 0
    for image in wanted_images(table):
        name = image.name.split("/", 1)[1]
        if registry.digest(name, image.tag) != images.record(image, arch)["digest"]:
            registry.push(image.archive(arch), name, image.tag)
            say(f"pushed {image.ref}")
            pushed += 1
    return pushed


def up():
    """Start the servers and fill the registry."""
    changed = start()
    wait()
    pushed = push(catalog.versions())
    write_inputs()
    say("the lab is up" + ("" if changed or pushed else " already"))


def down():
    """Stop the servers. Keep the network while nodes are on it."""
    if state()[0] is not None:
        remove()
        say(f"removed {CONTAINER}")
    network = engine().inspect("network", NETWORK) or {}
    labels = network.get("labels") or network.get("Labels") or {}
    if LABEL_NAME in labels and not engine().run("ps", "-aq", "--filter", f"network={NETWORK}"):
        engine().run("network", "rm", NETWORK)
        say(f"removed the network {NETWORK}")


def inputs(host):
    """Return the collection's inputs for machines that reach the lab at this address."""
    endpoints = {"endpoints": [f"http://{host}:{REGISTRY_PORT}"]}
    return {
        "kube_artifacts": {"source": f"http://{host}:{ARTIFACT_PORT}"},
        "kube_registries": {"mirrors": {"registry.k8s.io": endpoints, "docker.io": endpoints}},
    }


def write_inputs():
    """Write the inputs with which container nodes use the lab, for `-e @FILE` and for Molecule."""
    content = {"local_vars": inputs(address(subnet()))}
    catalog.cache("lab-inputs.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def facts():
    """Return the addresses for nodes, virtual machines and the host, and the available versions."""
    network = subnet()
    table, arch = catalog.versions(), catalog.host_arch()
    there = {
        version: dict(row, **{name: table[name] for name in (*catalog.COMMON, "kube-router")})
        for version, row in table["kubernetes"].items()
        if all(images.record(image, arch) for image in images.images(table, version))
    }
    lab = address(network) if network else None
    seen = {"nodes": lab, "virtual_machines": "10.0.2.2", "host": "127.0.0.1"}
    return {
        "running": bool(state()[0]),
        "network": {
            "name": NETWORK,
            "subnet": network,
            "gateway": str(ipaddress.ip_network(network)[1]) if network else None,
        },
        "registry": {who: host and f"http://{host}:{REGISTRY_PORT}" for who, host in seen.items()},
        "artifacts": {who: host and f"http://{host}:{ARTIFACT_PORT}" for who, host in seen.items()},
        "inputs": {who: inputs(host) for who, host in seen.items() if host},
        "kubernetes": there,
        "cache": str(catalog.cache()),
    }
