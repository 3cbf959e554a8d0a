#!/bin/sh
# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# What a host is like, in lines that can be compared: files, units, kernel settings, network, mounts.
# Left out is what a host writes by itself: logs, caches, random seeds, compiled Python.
set -eu
LC_ALL=C
export LC_ALL

volatile() {
    grep -vE '^\S+ /(var/(log|cache|tmp|lib/(systemd|apt|dpkg|chrony|private))/|etc/(ld.so.cache|machine-id|hostname|hosts|resolv.conf|mtab)|root/\.|var/lib/sudo)|__pycache__'
}

echo "# files"
find /etc /opt /usr /var /root /srv /home -xdev \( -type f -o -type l -o -type d \) -printf '%M:%u %p %l\n' 2>/dev/null | volatile | sort -k2
for directory in /var/lib/containerd /var/lib/kubelet /var/lib/etcd; do
    [ ! -d $directory ] || find $directory -mindepth 1 -maxdepth 1 -printf 'data %p\n' | sort
done

echo "# contents of /etc"
find /etc -xdev -type f -exec sha256sum {} + | awk '{print $1 " " $2}' | volatile | sort -k2

echo "# units"
systemctl list-unit-files --no-legend --no-pager --plain | awk '$2 != "generated" && $2 != "transient" {print $1, $2}' | sort
systemctl list-units --no-legend --no-pager --plain --state=active --type=service | awk '{print $1}' | grep -vE '^(user|session|getty|systemd-|run-)' | sort

echo "# kernel settings"
sysctl -a 2>/dev/null | grep -E '^(net\.(ipv4\.(ip_forward|conf\.(all|default)\.)|ipv6\.conf\.(all|default)\.forwarding|bridge\.)|vm\.(overcommit_memory|panic_on_oom)|kernel\.panic)' | sort

echo "# network"
ip -o link show | awk '{print $2}' | sed 's/@.*//' | sort
ip route show table all | grep -v '^local\|^broadcast\|^ff00\|^fe80\|linkdown' | sed 's/ *$//' | sort
ip rule | sort
iptables-save 2>/dev/null | grep -v '^#\|^:' | sort || true
nft list tables 2>/dev/null | sort || true

echo "# mounts"
awk '{print $2}' /proc/self/mounts | grep -vE '^/(proc|sys|dev|run/(user|credentials))' | sort
swapon --show=NAME --noheadings 2>/dev/null || true
