# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests of air-gapped nodes with images from an archive."""

from __future__ import annotations

testinfra_hosts = ["ansible://all"]
DATA = "/var/lib/rancher/k3s"


def test_nothing_outside_is_reachable(host, inputs):
    lab = inputs["ansible_host"].rsplit(".", 1)[0] + ".2"
    ask = "import socket; socket.create_connection(('%s', %d), 3)"
    for address, port in ((lab, 5000), (lab, 8080), ("1.1.1.1", 443)):
        assert host.run("python3 -c %s", ask % (address, port)).rc != 0, address


def test_images_come_from_the_archive(host):
    archive = host.file(DATA + "/agent/images/k3s-airgap-images-amd64.tar.zst")
    assert archive.exists and archive.mode == 0o644
    there = host.check_output("k3s crictl images")
    assert "coredns" in there and "pause" in there


def test_no_registry_is_configured(host):
    assert not host.file("/etc/rancher/k3s/registries.yaml").exists
