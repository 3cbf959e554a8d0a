# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests of the container runtime."""

from __future__ import annotations

import json

testinfra_hosts = ["ansible://all"]


def test_the_service_runs_and_starts_at_boot(host):
    service = host.service("containerd")
    assert service.is_running
    assert service.is_enabled


def test_programs_match_the_record(host, owned):
    for path, artifact in owned["artifacts"].items():
        program = host.file(path)
        assert (program.size, program.user, program.mode) == (artifact["size"], "root", 0o755), path
    assert owned["artifacts"]["/usr/local/bin/containerd"]["version"].lstrip("v") in host.check_output("containerd --version")
    assert owned["artifacts"]["/usr/local/sbin/runc" if host.file("/usr/local/sbin/runc").exists else "/usr/local/bin/runc"]


def test_the_runtime_is_ready(host):
    status = json.loads(host.check_output("crictl info"))["status"]
    conditions = {condition["type"]: condition["status"] for condition in status["conditions"]}
    assert conditions["RuntimeReady"]


def test_registry_configuration(host, inputs):
    for registry in inputs.get("kube_registries", {}).get("mirrors", {}):
        hosts = host.file(f"/etc/containerd/certs.d/{registry}/hosts.toml")
        assert (hosts.user, hosts.mode) == ("root", 0o644)


def test_an_image_is_pulled_through_the_mirror(host):
    sandbox = host.check_output("sed -n 's/.*sandbox = \"\\(.*\\)\"/\\1/p' /etc/containerd/config.toml")
    host.check_output(f"crictl pull {sandbox}")
    assert sandbox.rpartition(":")[0] in host.check_output("crictl images")


def test_network_plugins(host):
    for plugin in ("bridge", "host-local", "loopback", "portmap"):
        assert host.file(f"/opt/cni/bin/{plugin}").mode == 0o755
