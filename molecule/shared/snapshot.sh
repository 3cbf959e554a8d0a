#!/bin/sh
# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Print the state of a host as lines to compare: files, units, kernel settings, network, mounts.
# Left out: files that a host writes on its own (logs, caches, random seeds, compiled Python), and changes of containerd
# and the kubelet that happen on container nodes only (the mode of a volume, an empty /usr/lib/modules).
set -eu
LC_ALL=C
export LC_ALL

volatile() {
    grep -vE '^\S+ /(var/(log|cache|tmp|lib/(systemd|apt|dpkg|chrony|private))/|etc/(ld.so.cache|machine-id|hostname|hosts|resolv.conf|mtab)|root/\.|var/lib/sudo)|/var/lib/(containerd|kubelet|etcd|rancher) $|/usr/lib/modules $|__pycache__'
}

echo "# files"
find /etc /opt /usr /var /root /srv /home -xdev \( -type f -o -type l -o -type d \) -printf '%M:%u %p %l\n' 2>/dev/null | volatile | sort -k2
for directory in /var/lib/containerd /var/lib/kubelet /var/lib/etcd /var/lib/rancher; do
    [ ! -d $directory ] || find $directory -mindepth 1 -maxdepth 1 -printf 'data %p\n' | sort
done

echo "# contents of /etc"
find /etc -xdev -type f -exec sha256sum {} + | awk '{print $1 " " $2}' | volatile | sort -k2

echo "# kernel arguments of a board's firmware"
cat /boot/firmware/cmdline.txt 2>/dev/null || true

echo "# units"
systemctl list-unit-files --no-legend --no-pager --plain | awk '$2 != "generated" && $2 != "transient" {print $1, $2}' | sort
systemctl list-units --no-legend --no-pager --plain --state=active --type=service | awk '{print $1}' | grep -vE '^(user|session|getty|systemd-|run-)' | sort

echo "# kernel settings"
settings='^net\.(ipv4\.(ip_forward|conf\.(all|default)\.)|ipv6\.conf\.(all|default)\.forwarding|bridge\.)'
systemd-detect-virt -cq || settings="$settings|^vm\.(overcommit_memory|panic_on_oom)|^kernel\.panic" # containers share these with the host
sysctl -a 2>/dev/null | grep -E "$settings" | sort

echo "# network"
ip -o link show | awk '{print $2}' | sed 's/@.*//' | sort
ip route show table all | grep -v '^local\|^broadcast\|^ff00\|^fe80\|linkdown' | sed 's/ *$//' | sort
ip rule | sort
# Rules and user-defined chains; the kernel creates the built-in chains with their table.
for family in iptables ip6tables; do
    $family-save 2>/dev/null | grep -E '^-A|^:.* - ' | sed 's/ \[.*//' | sort || true
done
nft list tables 2>/dev/null | grep -vE '^table ip6? (filter|mangle|nat|raw|security)$' | sort || true

echo "# mounts"
awk '{print $2}' /proc/self/mounts | grep -vE '^/(proc|sys|dev|run/(user|credentials))' | sort
swapon --show=NAME --noheadings 2>/dev/null || true
