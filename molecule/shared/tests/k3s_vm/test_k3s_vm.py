# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests of a board: its kernel arguments, and a journal in memory."""

from __future__ import annotations

testinfra_hosts = ["ansible://kube_control_plane"]


def test_the_memory_cgroup_is_enabled(host):
    assert "memory" in host.file("/sys/fs/cgroup/cgroup.controllers").content_string.split()


def test_kernel_arguments_are_on_one_line_and_recorded(host, owned):
    text = host.file("/boot/firmware/cmdline.txt").content_string
    assert text == "rootwait fsck.repair=yes cgroup_memory=1 cgroup_enable=memory\n"
    noted = owned["settings"]["kernel_arguments"]
    assert noted["file"] == "/boot/firmware/cmdline.txt"
    assert noted["words"] == ["cgroup_memory=1", "cgroup_enable=memory"]


def test_the_journal_is_in_memory(host):
    assert "Storage=volatile" in host.file("/etc/systemd/journald.conf.d/50-kubewright.conf").content_string
    # With a journal on the disk, this directory exists too, but without files.
    assert host.check_output("ls /run/log/journal/$(cat /etc/machine-id)/*.journal")
