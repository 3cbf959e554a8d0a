#!/bin/sh
# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Turns a Debian root file system with the listed packages into a node: a machine that
# boots in a container, lets its maker in by key, and is unlike its siblings.
# Usage: setup.sh ROOT   (ROOT is / inside a container build)
set -eu
root=${1%/}

unit() { # NAME: a unit file from standard input
    cat > "$root/etc/systemd/system/$1"
}

wants() { # TARGET UNIT: enabled without a running systemd
    mkdir -p "$root/etc/systemd/system/$1.wants"
    ln -sf "/etc/systemd/system/$2" "$root/etc/systemd/system/$1.wants/$2"
}

# There but not running: whoever wants them starts them.
for service in haproxy keepalived nftables; do
    rm -f "$root/etc/systemd/system/multi-user.target.wants/$service.service" \
        "$root/etc/systemd/system/sysinit.target.wants/$service.service"
done
# What has no business in a container: consoles, the host's clock, disks and kernel log.
for name in getty@tty1 console-getty systemd-udevd systemd-udev-trigger \
    systemd-timesyncd systemd-networkd-wait-online e2scrub_reap apt-daily apt-daily-upgrade; do
    ln -sf /dev/null "$root/etc/systemd/system/$name.service"
done
for name in apt-daily.timer apt-daily-upgrade.timer e2scrub_all.timer dpkg-db-backup.timer fstrim.timer \
    systemd-udevd-kernel.socket systemd-udevd-control.socket dev-hugepages.mount sys-kernel-debug.mount \
    sys-kernel-tracing.mount sys-kernel-config.mount sys-fs-fuse-connections.mount \
    proc-sys-fs-binfmt_misc.automount proc-sys-fs-binfmt_misc.mount; do
    ln -sf /dev/null "$root/etc/systemd/system/$name"
done
ln -sf /lib/systemd/system/multi-user.target "$root/etc/systemd/system/default.target"

mkdir -p "$root/etc/systemd/journald.conf.d" "$root/usr/local/lib/kubewright" "$root/etc/ssh/sshd_config.d"
printf '[Journal]\nStorage=volatile\nRuntimeMaxUse=64M\nReadKMsg=no\nForwardToConsole=no\n' \
    > "$root/etc/systemd/journald.conf.d/kubewright.conf"

# Each node is its own machine: identity and host key come at its first start.
: > "$root/etc/machine-id"
rm -f "$root"/var/lib/dbus/machine-id "$root"/etc/ssh/ssh_host_*
ln -sf /etc/machine-id "$root/var/lib/dbus/machine-id"
cat > "$root/etc/ssh/sshd_config.d/kubewright.conf" <<'CONF'
HostKey /etc/ssh/ssh_host_ed25519_key
PermitRootLogin prohibit-password
PasswordAuthentication no
UseDNS no
MaxSessions 100
MaxStartups 100
CONF
cat > "$root/usr/local/lib/kubewright/node-setup" <<'SETUP'
#!/bin/sh
# The first start of a node: its host key, its maker's key, a file system others may mount from.
set -eu
mount --make-rshared /
[ -e /etc/ssh/ssh_host_ed25519_key ] || ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/ssh_host_ed25519_key
if [ -n "${KUBEWRIGHT_AUTHORIZED_KEY:-}" ] && [ ! -e /root/.ssh/authorized_keys ]; then
    umask 077
    mkdir -p /root/.ssh
    printf '%s\n' "$KUBEWRIGHT_AUTHORIZED_KEY" > /root/.ssh/authorized_keys
fi
SETUP
chmod 0755 "$root/usr/local/lib/kubewright/node-setup"
unit kubewright-node-setup.service <<'UNIT'
[Unit]
Description=First start of a node container
Before=ssh.service

[Service]
Type=oneshot
RemainAfterExit=yes
PassEnvironment=KUBEWRIGHT_AUTHORIZED_KEY
ExecStart=/usr/local/lib/kubewright/node-setup

[Install]
WantedBy=multi-user.target
UNIT
wants multi-user.target kubewright-node-setup.service

echo 'LANG=C.UTF-8' > "$root/etc/default/locale"
printf '# Nothing to mount: a container.\n' > "$root/etc/fstab"
rm -rf "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/*.bin "$root"/var/log/*.log "$root"/usr/share/doc/* \
    "$root"/usr/share/man/* "$root"/usr/share/info/*
