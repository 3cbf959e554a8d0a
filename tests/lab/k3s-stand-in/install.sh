#!/bin/sh
# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# A stand-in for K3s's install script: accepts its variables (docs.k3s.io/reference/env-variables) and creates the same files.
# Only for systemd. Usage: install.sh [server|agent] [OPTIONS]
set -eu

say() { echo "[INFO]  $*"; }
fail() { echo "[ERROR]  $*" >&2; exit 1; }

BIN_DIR=${INSTALL_K3S_BIN_DIR:-/usr/local/bin}
SYSTEMD_DIR=${INSTALL_K3S_SYSTEMD_DIR:-/etc/systemd/system}
RELEASES=${INSTALL_K3S_ARTIFACT_URL:-https://github.com/k3s-io/k3s/releases}
case $(uname -m) in
    x86_64) ARCH=amd64 SUFFIX= ;;
    aarch64 | arm64) ARCH=arm64 SUFFIX=-arm64 ;;
    arm*) ARCH=arm SUFFIX=-armhf ;;
    *) fail "Unsupported architecture $(uname -m)" ;;
esac

# The command is in INSTALL_K3S_EXEC or the arguments; the default is agent if K3S_URL is set, otherwise server.
# shellcheck disable=SC2086
set -- ${INSTALL_K3S_EXEC:-} "$@"
case ${1:-} in
    -* | "")
        if [ -z "${K3S_URL:-}" ]; then
            COMMAND=server
        else
            [ -n "${K3S_TOKEN:-}${K3S_TOKEN_FILE:-}" ] ||
                fail "Defaulted k3s exec command to 'agent' because K3S_URL is defined, but K3S_TOKEN or K3S_TOKEN_FILE is not defined."
            COMMAND=agent
        fi
        ;;
    *) COMMAND=$1 && shift ;;
esac
case ${INSTALL_K3S_NAME:-}:$COMMAND in
    :server) NAME=k3s ;;
    :*) NAME=k3s-$COMMAND ;;
    *) NAME=k3s-$INSTALL_K3S_NAME ;;
esac
[ "$(id -u)" = 0 ] || fail "this stand-in must run as root"

fetch() { # ADDRESS TARGET
    if command -v curl >/dev/null; then curl -sfL -o "$2" "$1"; else wget -qO "$2" "$1"; fi || fail "Download failed: $1"
}

download() {
    [ -n "${INSTALL_K3S_VERSION:-}" ] || fail "this stand-in needs INSTALL_K3S_VERSION or INSTALL_K3S_SKIP_DOWNLOAD"
    work=$(mktemp -d)
    base=$RELEASES/download/$(echo "$INSTALL_K3S_VERSION" | sed 's/+/%2B/')
    say "Using $INSTALL_K3S_VERSION as release"
    fetch "$base/sha256sum-$ARCH.txt" "$work/sums"
    wanted=$(sed -n "s/^\([0-9a-f]*\) [ *]k3s$SUFFIX\$/\1/p" "$work/sums")
    if [ -e "$BIN_DIR/k3s" ] && [ "$(sha256sum <"$BIN_DIR/k3s" | cut -d' ' -f1)" = "$wanted" ]; then
        say "Skipping binary downloaded, installed k3s matches hash"
    else
        fetch "$base/k3s$SUFFIX" "$work/k3s"
        [ "$(sha256sum <"$work/k3s" | cut -d' ' -f1)" = "$wanted" ] || fail "Download sha256 does not match $wanted"
        chmod 755 "$work/k3s"
        mv -f "$work/k3s" "$BIN_DIR/k3s"
    fi
    rm -rf "$work"
}

links() {
    for name in kubectl crictl ctr; do
        if [ "${INSTALL_K3S_SYMLINK:-}" != skip ] && [ ! -e "$BIN_DIR/$name" ] && ! command -v $name >/dev/null; then
            ln -s k3s "$BIN_DIR/$name"
        fi
    done
}

unit() { # write the service, and its environment file that only root can read
    umask 077
    env | grep -E '^(K3S_|CONTAINERD_|(NO|HTTP|HTTPS)_PROXY=|(no|http|https)_proxy=)' |
        sed -E "s/^([^=]*)=(.*)\$/\1='\2'/" >"$SYSTEMD_DIR/$NAME.service.env" || true
    umask 022
    type=notify
    [ "$COMMAND" = server ] || type=exec
    words=
    for word; do words="$words '$word'"; done
    cat >"$SYSTEMD_DIR/$NAME.service" <<UNIT
[Unit]
Description=Lightweight Kubernetes (a stand-in)
Documentation=https://k3s.io
Wants=network-online.target
After=network-online.target

[Install]
WantedBy=multi-user.target

[Service]
Type=$type
EnvironmentFile=-/etc/default/%N
EnvironmentFile=-/etc/sysconfig/%N
EnvironmentFile=-$SYSTEMD_DIR/$NAME.service.env
KillMode=process
Delegate=yes
User=root
LimitNOFILE=1048576
LimitNPROC=infinity
LimitCORE=infinity
TasksMax=infinity
TimeoutStartSec=0
Restart=always
RestartSec=5s
ExecStartPre=-/sbin/modprobe br_netfilter
ExecStartPre=-/sbin/modprobe overlay
ExecStart=$BIN_DIR/k3s $COMMAND$words
UNIT
}

killall_script() {
    cat >"$BIN_DIR/k3s-killall.sh" <<'KILLALL'
#!/bin/sh
# Stand-in: stop K3s and all its containers, and remove mounts, interfaces and rules. Data is kept.
for unit in /etc/systemd/system/k3s*.service; do
    [ ! -e "$unit" ] || systemctl stop "$(basename "$unit")"
done
data=${K3S_DATA_DIR:-/var/lib/rancher/k3s}
below() { # print each PID and its descendants
    for pid; do
        echo "$pid"
        # shellcheck disable=SC2046
        below $(ps -o pid= --ppid "$pid")
    done
}
# shellcheck disable=SC2046
kill -9 $(below $(ps -e -o pid= -o args= | awk -v at="^$data/data/[^/]*/bin/containerd-shim" '$2 ~ at {print $1}')) 2>/dev/null
for place in /run/k3s /var/lib/kubelet/pods /var/lib/kubelet/plugins /run/netns/cni-; do
    awk -v at="$place" 'index($2, at) == 1 && $2 != at {print $2}' /proc/self/mounts | sort -r | xargs -r -n1 umount -f
done
rm -rf /run/netns/cni-* /var/lib/cni
for link in cni0 flannel.1; do ip link delete "$link" 2>/dev/null; done
for kind in "" 6; do
    command -v "ip${kind}tables-save" >/dev/null || continue
    "ip${kind}tables-save" | grep -v -e KUBE- -e CNI- | grep -iv flannel | "ip${kind}tables-restore"
done
exit 0
KILLALL
    chmod 755 "$BIN_DIR/k3s-killall.sh"
}

uninstall_script() {
    cat >"$BIN_DIR/$NAME-uninstall.sh" <<UNINSTALL
#!/bin/sh
# Stand-in: uninstall K3s and delete its data.
$BIN_DIR/k3s-killall.sh
systemctl disable $NAME 2>/dev/null
rm -f $SYSTEMD_DIR/$NAME.service $SYSTEMD_DIR/$NAME.service.env
systemctl daemon-reload
systemctl reset-failed $NAME 2>/dev/null
if ls $SYSTEMD_DIR/k3s*.service >/dev/null 2>&1; then
    echo "Additional k3s services installed, skipping uninstall of k3s"
    exit 0
fi
for name in kubectl crictl ctr; do
    [ ! -L $BIN_DIR/\$name ] || rm -f $BIN_DIR/\$name
done
rm -rf /etc/rancher/k3s /run/k3s /run/flannel "\${K3S_DATA_DIR:-/var/lib/rancher/k3s}" /var/lib/kubelet
rm -f $BIN_DIR/k3s $BIN_DIR/k3s-killall.sh $BIN_DIR/$NAME-uninstall.sh
exit 0
UNINSTALL
    chmod 755 "$BIN_DIR/$NAME-uninstall.sh"
}

digests() { sha256sum "$SYSTEMD_DIR/$NAME.service" "$SYSTEMD_DIR/$NAME.service.env" "$BIN_DIR/k3s" 2>/dev/null || true; }

before=$(digests)
if [ "${INSTALL_K3S_SKIP_DOWNLOAD:-false}" = true ]; then
    say "Skipping k3s download and verify"
    [ -x "$BIN_DIR/k3s" ] || fail "Executable k3s binary not found at $BIN_DIR/k3s"
else
    download
fi
links
killall_script
uninstall_script
say "systemd: Creating service file $SYSTEMD_DIR/$NAME.service"
unit "$@"
[ "${INSTALL_K3S_SKIP_ENABLE:-false}" != true ] || exit 0 # before systemd reads the unit, as upstream's script
systemctl enable "$NAME" >/dev/null 2>&1
systemctl daemon-reload
[ "${INSTALL_K3S_SKIP_START:-false}" != true ] || exit 0
if [ "$before" = "$(digests)" ] && [ "${INSTALL_K3S_FORCE_RESTART:-false}" != true ] && systemctl is-active --quiet "$NAME"; then
    say "No change detected so skipping service start"
    exit 0
fi
say "systemd: Starting $NAME"
systemctl restart "$NAME"
