# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Scheduled backups: the service makes a good archive, and none is made twice."""

from __future__ import annotations

import base64
import os
import subprocess
from pathlib import Path

testinfra_hosts = ["ansible://kube_control_plane"]
PLACE = "/mnt/backups"
ADMIN = "$(ls /etc/kubernetes/admin.conf /etc/rancher/k3s/k3s.yaml 2>/dev/null)"
FORGET = f"kubectl --kubeconfig={ADMIN} -n kube-system delete lease kubewright-backup"
PLAIN = {**os.environ, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_FORCE_COLOR": "0"}


def test_the_timer_waits(host):
    assert host.service("kube-backup.timer").is_running and host.service("kube-backup.timer").is_enabled
    settings = host.file("/etc/kubewright/backup/settings.json")
    assert (settings.mode, settings.user) == (0o600, "root")


def test_the_service_makes_a_good_archive_and_not_a_second_one(host, tmp_path):
    host.run(f"rm -rf {PLACE}; {FORGET}")  # of an earlier run of these tests
    for _time in range(2):
        started = host.run("systemctl start kube-backup")
        assert started.rc == 0, host.run("journalctl -u kube-backup -n 20 --no-pager -o cat").stdout
    (name,) = host.check_output(f"ls -A {PLACE}").split()
    archive = tmp_path / name
    archive.write_bytes(base64.b64decode(host.check_output(f"base64 -w0 {PLACE}/{name}")))
    inventory = Path(os.environ["MOLECULE_INVENTORY_FILE"]).parent
    command = ["ansible-playbook", "kubewright.cluster.backup", "-i", str(inventory), "-e", f"backup_check={archive}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=PLAIN)
    assert done.returncode == 0 and "is complete" in done.stdout, done.stdout + done.stderr
    assert not host.run("ls -d /var/lib/kubewright/backup-* /var/lib/kubewright/outgoing").stdout
    log = host.check_output("journalctl -u kube-backup --no-pager -o cat")
    assert f"{name}: sent to {PLACE}/, and read back" in log and f"exists: {name}" in log
