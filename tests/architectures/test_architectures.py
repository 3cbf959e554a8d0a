# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run node_info on other architectures: it must report this machine, seen from another processor.

pytest tests/architectures [-k s390x]        (needs root, Podman and the packages of apt.txt)
"""

from __future__ import annotations

import hashlib
import importlib
import socket
import sys

import looks
import pytest
import roots

BASE = "ansible_collections.kubewright.cluster.plugins."
catalog = importlib.import_module(BASE + "plugin_utils.base.reference")
filters = importlib.import_module(BASE + "filter.plans").FilterModule().filters()


@pytest.fixture(scope="session", autouse=True)
def listening():
    """Listen on a port that node_info must report."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_architecture(found, one):
    assert found["architecture"] == {"name": one.name, "raw": one.machine, "bits": one.bits}
    assert {filters["kube_arch"](word) for word in (one.debian, one.machine, one.name)} == {one.name}


def test_nothing_is_unknown(found, here):
    assert found["warnings"] == []
    assert set(found) == set(here) and {name for name, value in found.items() if value is None} <= {
        "owned",
        "product_uuid",
        "selinux_k3s",
        "selinux_haproxy",
    }
    assert {row["exists"] for row in found["services"].values()} == {False} and set(found["installed"].values()) == {
        None
    }


def test_processors_and_memory(found, here):
    assert found["cpus"] == {
        "count": min(looks.CPUS, here["cpus"]["count"]),
        "host_count": here["cpus"]["host_count"],
        "limit": looks.CPUS,
    }
    memory, total = found["memory"], here["memory"]["total_bytes"]
    assert memory["total_bytes"] == total and memory["limit_bytes"] == looks.MEMORY
    assert 0 < memory["available_bytes"] <= memory["usable_bytes"] == min(total, looks.MEMORY)
    assert found["swap"]["total_bytes"] == here["swap"]["total_bytes"]


def test_system(found, here, debian):
    system, suite = found["os"], roots.SUITES[debian]
    version, python = roots.VERSIONS[suite]
    assert (system["id"], system["version_id"], system["family"]) == ("debian", version, "debian") and suite in system[
        "name"
    ]
    assert found["python"]["version"].startswith(python + ".") and found["python"]["executable"] == "/usr/bin/python3"
    assert found["init"] == "other" and found["machine_id"] == roots.MACHINE_ID and found["usr_read_only"] is False
    assert found["virtualization"] == {"container": "podman", "vm": here["virtualization"]["vm"]}
    assert (
        found["kernel"]["release"] == here["kernel"]["release"]
        and found["kernel"]["version"] == here["kernel"]["version"]
    )
    assert found["kernel"]["modules"]["overlay"] == here["kernel"]["modules"]["overlay"]
    assert found["board"] == here["board"]
    assert found["cgroup"]["version"] and {"cpu", "memory"} <= set(found["cgroup"]["controllers"])


def test_clock_is_read_from_the_kernels_structure(found, here):
    assert 0 <= found["clock"]["offset_seconds"] < looks.SECONDS
    assert found["clock"]["synchronised"] == here["clock"]["synchronised"]


def test_disks_are_larger_than_32_bits(found, here, given):
    large, own, same = found["disks"]["/large"], found["disks"][str(given)], here["disks"][str(given)]
    assert large == {
        "mount": "/large", "fs": "tmpfs", "device": large["device"], "total_bytes": looks.DISK, "free_bytes": looks.DISK, "kind": "virtual",
        "read_only": False, "noexec": False,
    }  # fmt: skip
    assert {key: own[key] for key in ("total_bytes", "fs", "device", "kind", "read_only")} == {
        key: same[key] for key in ("total_bytes", "fs", "device", "kind", "read_only")
    }
    assert own["mount"] == str(given) and 0 < own["free_bytes"] <= own["total_bytes"]


def test_files(found, given):
    row = found["files"][str(given / "file")]
    assert row == {
        "sha256": hashlib.sha256(b"x").hexdigest(),
        "mode": "0640",
        "size": 1,
        "mtime": float(looks.LATER),
        "owned": False,
    }
    assert found["files"]["/none"] is None


def interface(look, name):
    """Return (MTU, MAC, addresses) of an interface."""
    row = next(row for row in look["network"]["interfaces"] if row["name"] == name)
    return (
        row["mtu"],
        row["mac"],
        sorted((entry["address"], entry["prefix"], entry["scope"]) for entry in row["addresses"]),
    )


def test_network_from_the_kernels_files_matches_ip(found, here):
    network, same = found["network"], here["network"]
    assert found["commands"]["ip"] is None and here["commands"]["ip"]
    for name in ("default_ipv4", "default_ipv6"):
        # Only `ip` knows which of several addresses comes first.
        assert (network[name] or {}).get("interface") == (same[name] or {}).get("interface")
        assert (network[name] or {}).get("gateway") == (same[name] or {}).get("gateway")
        assert bool((network[name] or {}).get("address")) == bool((same[name] or {}).get("address"))
    for name in ("lo", (same["default_ipv4"] or {}).get("interface", "lo")):
        assert interface(found, name) == interface(here, name)
        ways = [
            {(row["dst"], row["via"]) for row in look["routes"] if row["dev"] == name and row["family"] == 4}
            for look in (network, same)
        ]
        assert ways[0] == ways[1]
    assert network["probe_source"] == "127.0.0.1"


def test_ports(found, one, listening):
    row = next(row for row in found["ports"] if row["port"] == listening and row["protocol"] == "tcp")
    # /proc/net/tcp has addresses in the kernel's byte order, which the emulator does not convert.
    assert row["address"] == ("127.0.0.1" if one.order == sys.byteorder else "1.0.0.127")


def planned(found):
    """Return the plan of a cluster of this machine. Set init and cgroup, which differ in its container."""
    return filters["cluster_plan"](
        {"one": {**found, "init": "systemd", "cgroup": {"version": "v2", "controllers": ["cpu", "memory", "pids"]}}}
    )


def test_plan(found, one):
    plan = planned(found)
    if one.name in catalog.KUBERNETES_ARCHITECTURES:
        assert plan["refusals"] == [] and plan["distribution"] == "kubeadm"
        node = plan["nodes"]["one"]
        assert node["machine"]["architecture"] == one.name and node["action"] == "init"
        own = [item["url"] for item in node["programs"] if one.name in item["url"]]
        assert len(own) == len(node["programs"]), node["programs"]
        return
    assert [row["rule"] for row in plan["reasons"]][:1] == ["architecture"] and plan["distribution"] == "k3s"
    assert (plan["reasons"][0]["node"], plan["reasons"][0]["value"]) == ("one", one.name)
    if one.name in catalog.K3S_ARCHITECTURES:
        assert plan["refusals"] == [] and plan["nodes"]["one"]["programs"][0]["url"].endswith(f"/k3s-{one.debian}")
        return
    refusals = {(row["id"], row["node"], row["value"]) for row in plan["refusals"]}
    assert ("distribution.impossible", "one", one.name) in refusals
