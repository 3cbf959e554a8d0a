# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests on a machine with its own kernel, after a reboot."""

from __future__ import annotations

import pytest

testinfra_hosts = ["ansible://kube_control_plane"]


def test_cgroups_are_version_2(host):
    assert host.check_output("stat -fc %T /sys/fs/cgroup") == "cgroup2fs"


def test_swap_stayed_off(host):
    assert len(host.file("/proc/swaps").content_string.splitlines()) == 1
    lines = host.file("/etc/fstab").content_string.splitlines()
    assert [line for line in lines if "swap" in line]
    assert not [line for line in lines if "swap" in line and not line.startswith("#")]
    # The host's zram settings must not be removed.
    assert "[zram0]" in host.file("/etc/systemd/zram-generator.conf").content_string


@pytest.mark.parametrize("name", ["overlay", "br_netfilter"])
def test_modules_are_loaded_at_boot(host, name):
    assert host.file(f"/sys/module/{name}").is_directory
    assert name in host.file("/etc/modules-load.d/kubewright.conf").content_string.split()


def test_kernel_settings_are_applied_at_boot(host):
    lines = host.file("/etc/sysctl.d/99-kubewright.conf").content_string.splitlines()
    wanted = dict(line.replace(" ", "").split("=") for line in lines if "=" in line and not line.startswith(("#", ";")))
    assert wanted
    assert {name: str(host.sysctl(name)) for name in wanted} == wanted


def test_no_unit_failed(host):
    assert host.check_output("systemctl --failed --no-legend --plain") == ""
