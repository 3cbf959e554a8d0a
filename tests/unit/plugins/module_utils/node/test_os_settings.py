# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Swap lines commented and brought back, files for the next boot."""

from __future__ import annotations

from ansible_collections.kubewright.cluster.plugins.module_utils.node import os_settings as settings
from hypothesis import given, strategies as st

FSTAB = """# /etc/fstab
UUID=1 / ext4 defaults 0 1
UUID=2 none swap sw 0 0
#UUID=3 none swap sw 0 0
/swapfile\tnone\tswap\tsw\t0\t0
"""


def test_swap_lines():
    assert settings.swap_lines(FSTAB) == ["UUID=2 none swap sw 0 0", "/swapfile\tnone\tswap\tsw\t0\t0"]


def test_without_swap_and_back():
    without = settings.without_swap(FSTAB)
    assert settings.swap_lines(without) == []
    assert settings.with_swap(without) == FSTAB


@given(st.text(alphabet=st.sampled_from("# \tswapnoe/\nUID=1234"), max_size=300))
def test_any_fstab_comes_back(text):
    assert settings.with_swap(settings.without_swap(text)) == text or settings.MARK in text


def test_swap_devices():
    text = "Filename\tType\tSize\tUsed\tPriority\n/dev/zram0 partition 1048572 0 100\n/swap\\040file file 1 0 -2\n"
    assert settings.swap_devices(text) == ["/dev/zram0", "/swap file"]


def test_texts():
    assert settings.modules_text(["overlay"]).endswith("\noverlay\n")
    assert settings.sysctl_text({"b": "2", "a": "1"}).endswith("a = 1\nb = 2\n")
    assert settings.sysctl_path("net.ipv4.ip_forward") == "/proc/sys/net/ipv4/ip_forward"
    assert settings.sysctl_path("net/ipv6/conf/eth0.7/accept_ra") == "/proc/sys/net/ipv6/conf/eth0.7/accept_ra"
    values = {"net.ipv6.conf.all.forwarding": "1", "net/ipv6/conf/eth0/accept_ra": "2", "a": "1"}
    assert sorted(values.items(), key=settings.sysctl_order)[0][0] == "net/ipv6/conf/eth0/accept_ra"


CMDLINE = "console=serial0,115200 root=PARTUUID=1-02 rootwait quiet\n"
WORDS = ["cgroup_memory=1", "cgroup_enable=memory"]


def test_words_for_the_kernel_stay_on_one_line_and_come_once():
    after = settings.with_arguments(CMDLINE, WORDS)
    assert after == CMDLINE.rstrip() + " cgroup_memory=1 cgroup_enable=memory\n"
    assert settings.with_arguments(after, WORDS) == after
    assert settings.with_arguments(CMDLINE.rstrip() + " cgroup_memory=1", WORDS) == after.rstrip()


def test_firmware_reads_the_first_line_alone():
    assert (
        settings.with_arguments("quiet\n# mine: cgroup_memory=1\n", WORDS[:1])
        == "quiet cgroup_memory=1\n# mine: cgroup_memory=1\n"
    )


@given(st.text(alphabet=st.sampled_from("ab= \t\r\n"), max_size=60))
def test_any_line_comes_back_to_the_last_blank(text):
    assert settings.without_arguments(settings.with_arguments(text, WORDS), WORDS) == text


def test_they_are_taken_out_again_and_what_came_since_stays():
    after = settings.with_arguments(CMDLINE, WORDS).rstrip() + " panic=10\n"
    assert settings.without_arguments(after, WORDS) == CMDLINE.rstrip() + " panic=10\n"
    assert settings.without_arguments(CMDLINE, WORDS) == CMDLINE
