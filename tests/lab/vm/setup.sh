#!/bin/sh
# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Turn a Debian root file system into a virtual machine's disk: an ordinary server with swap on a disk and in zram,
# without services that only cost time on an emulated processor.
# Usage: setup.sh ROOT
set -eu
root=${1%/}

# Installed but not enabled: the collection starts them where they are needed.
rm -f "$root"/etc/systemd/system/multi-user.target.wants/haproxy.service \
    "$root"/etc/systemd/system/multi-user.target.wants/keepalived.service
# Not needed on a machine that lives for an hour: maintenance and login terminals.
for unit in apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer fstrim.timer \
    e2scrub_reap.service systemd-pstore.service systemd-update-utmp.service systemd-update-utmp-runlevel.service \
    getty@tty1.service serial-getty@ttyS0.service sys-kernel-debug.mount sys-kernel-tracing.mount \
    sys-kernel-config.mount sys-fs-fuse-connections.mount proc-sys-fs-binfmt_misc.automount systemd-binfmt.service \
    systemd-repart.service modprobe@drm.service modprobe@dm_mod.service modprobe@loop.service modprobe@fuse.service \
    modprobe@configfs.service; do
    ln -sf /dev/null "$root/etc/systemd/system/$unit"
done
# Drivers that are loaded only because of the processor type.
for module in powernow_k8 kvm_amd kvm_intel acpi_cpufreq aesni_intel; do
    echo "blacklist $module"
done > "$root/etc/modprobe.d/lab.conf"
ln -sf /lib/systemd/system/multi-user.target "$root/etc/systemd/system/default.target"
mkdir -p "$root/etc/systemd/journald.conf.d"
printf '[Journal]\nStorage=volatile\n' > "$root/etc/systemd/journald.conf.d/lab.conf"

# QEMU's user network always has the same addresses.
cat > "$root/etc/systemd/network/10-lab.network" <<'CONF'
[Match]
Name=en* eth*

[Network]
Address=10.0.2.15/24
Gateway=10.0.2.2
LinkLocalAddressing=no
IPv6AcceptRA=no
CONF
mkdir -p "$root/etc/systemd/system/multi-user.target.wants"
ln -sf /lib/systemd/system/systemd-networkd.service "$root/etc/systemd/system/multi-user.target.wants/systemd-networkd.service"
echo 'nameserver 10.0.2.3' > "$root/etc/resolv.conf"

# Swap on the second disk and in compressed memory: the collection must turn off both permanently.
printf 'LABEL=swap none swap sw 0 0\n' > "$root/etc/fstab"
printf '[zram0]\nzram-size = 64\n' > "$root/etc/systemd/zram-generator.conf"

# Each machine gets its own identity and host key at its first boot.
: > "$root/etc/machine-id"
rm -f "$root"/var/lib/dbus/machine-id "$root"/etc/ssh/ssh_host_*
ln -s /etc/machine-id "$root/var/lib/dbus/machine-id"
mkdir -p "$root/etc/systemd/system/ssh.service.d"
cat > "$root/etc/systemd/system/ssh.service.d/lab.conf" <<'CONF'
[Service]
ExecStartPre=
ExecStartPre=/bin/sh -c 'test -e /etc/ssh/ssh_host_ed25519_key || exec ssh-keygen -q -t ed25519 -N "" -f /etc/ssh/ssh_host_ed25519_key'
CONF
printf 'HostKey /etc/ssh/ssh_host_ed25519_key\nPasswordAuthentication no\nUseDNS no\n' > "$root/etc/ssh/sshd_config.d/lab.conf"
echo 'LANG=C.UTF-8' > "$root/etc/default/locale"
