// Copyright: (c) 2026, kubewright contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"fmt"
	"sort"
	"strings"
)

type kind int

const (
	text kind = iota
	number
	boolean
	list
)

const (
	onServer = 1 << iota
	onAgent
	onSnapshot
	both = onServer | onAgent
	all  = both | onSnapshot
	s3   = onServer | onSnapshot
)

// row is an option of K3s. It has the same name on the command line and in config.yaml.
type row struct {
	name, short string
	kind        kind
	env, def    string
	where       int
}

func (r row) usage() string {
	words := "--" + r.name
	if r.short != "" {
		words += ", -" + r.short
	}
	if r.def != "" {
		words += fmt.Sprintf(" (default: %s)", r.def)
	}
	if r.env != "" {
		words += " [$" + r.env + "]"
	}
	return words
}

// rows has all options: docs.k3s.io/cli/server and /cli/agent; pkg/cli/cmds/{server,agent,etcd_snapshot}.go.
var rows = []row{
	{"config", "c", text, "K3S_CONFIG_FILE", "/etc/rancher/k3s/config.yaml", all},
	{"debug", "", boolean, "K3S_DEBUG", "", all},
	{"v", "", number, "", "0", both},
	{"vmodule", "", text, "", "", both},
	{"log", "l", text, "", "", all},
	{"alsologtostderr", "", boolean, "", "", all},
	{"bind-address", "", text, "", "", both},
	{"https-listen-port", "", number, "", "6443", onServer},
	{"advertise-address", "", text, "", "", onServer},
	{"advertise-port", "", number, "", "0", onServer},
	{"tls-san", "", list, "", "", onServer},
	{"tls-san-security", "", boolean, "", "true", onServer},
	{"data-dir", "d", text, "K3S_DATA_DIR", defaultDataDir, all},
	{"cluster-cidr", "", list, "", "", onServer},
	{"service-cidr", "", list, "", "", onServer},
	{"service-node-port-range", "", text, "", "30000-32767", onServer},
	{"cluster-dns", "", list, "", "", onServer},
	{"cluster-domain", "", text, "", "cluster.local", onServer},
	{"flannel-backend", "", text, "", "vxlan", onServer},
	{"flannel-ipv6-masq", "", boolean, "", "", onServer},
	{"flannel-external-ip", "", boolean, "", "", onServer},
	{"egress-selector-mode", "", text, "", "agent", onServer},
	{"servicelb-namespace", "", text, "", "kube-system", onServer},
	{"write-kubeconfig", "o", text, "K3S_KUBECONFIG_OUTPUT", "", onServer},
	{"write-kubeconfig-mode", "", text, "K3S_KUBECONFIG_MODE", "", onServer},
	{"write-kubeconfig-group", "", text, "K3S_KUBECONFIG_GROUP", "", onServer},
	{"helm-job-image", "", text, "", "", onServer},
	{"token", "t", text, "K3S_TOKEN", "", both},
	{"token-file", "", text, "K3S_TOKEN_FILE", "", both},
	{"agent-token", "", text, "K3S_AGENT_TOKEN", "", onServer},
	{"agent-token-file", "", text, "K3S_AGENT_TOKEN_FILE", "", onServer},
	{"server", "s", text, "K3S_URL", "", both},
	{"cluster-init", "", boolean, "K3S_CLUSTER_INIT", "", onServer},
	{"cluster-reset", "", boolean, "K3S_CLUSTER_RESET", "", onServer},
	{"cluster-reset-restore-path", "", text, "", "", onServer},
	{"kube-apiserver-arg", "", list, "", "", onServer},
	{"etcd-arg", "", list, "", "", onServer},
	{"kube-controller-manager-arg", "", list, "", "", onServer},
	{"kube-scheduler-arg", "", list, "", "", onServer},
	{"kube-cloud-controller-manager-arg", "", list, "", "", onServer},
	{"kine-tls", "", boolean, "", "", onServer},
	{"datastore-endpoint", "", text, "K3S_DATASTORE_ENDPOINT", "", onServer},
	{"datastore-cafile", "", text, "K3S_DATASTORE_CAFILE", "", onServer},
	{"datastore-certfile", "", text, "K3S_DATASTORE_CERTFILE", "", onServer},
	{"datastore-keyfile", "", text, "K3S_DATASTORE_KEYFILE", "", onServer},
	{"etcd-expose-metrics", "", boolean, "", "", onServer},
	{"etcd-disable-snapshots", "", boolean, "", "", onServer},
	{"etcd-snapshot-name", "", text, "", "etcd-snapshot", onServer},
	{"etcd-snapshot-schedule-cron", "", text, "", "0 */12 * * *", onServer},
	{"etcd-snapshot-reconcile-interval", "", text, "", "10m0s", onServer},
	{"etcd-snapshot-retention", "", number, "", "5", s3},
	{"etcd-snapshot-dir", "", text, "", "", s3},
	{"etcd-snapshot-compress", "", boolean, "", "", s3},
	{"default-local-storage-path", "", text, "", "", onServer},
	{"disable", "", list, "", "", onServer},
	{"disable-scheduler", "", boolean, "", "", onServer},
	{"disable-cloud-controller", "", boolean, "", "", onServer},
	{"disable-kube-proxy", "", boolean, "", "", onServer},
	{"disable-network-policy", "", boolean, "", "", onServer},
	{"disable-helm-controller", "", boolean, "", "", onServer},
	{"disable-apiserver", "", boolean, "", "", onServer},
	{"disable-controller-manager", "", boolean, "", "", onServer},
	{"disable-etcd", "", boolean, "", "", onServer},
	{"disable-agent", "", boolean, "", "", onServer},
	{"disable-apiserver-lb", "", boolean, "", "", onAgent},
	{"embedded-registry", "", boolean, "", "", onServer},
	{"supervisor-metrics", "", boolean, "", "", onServer},
	{"node-name", "", text, "K3S_NODE_NAME", "", all},
	{"with-node-id", "", boolean, "", "", both},
	{"node-label", "", list, "", "", both},
	{"node-taint", "", list, "", "", both},
	{"image-credential-provider-bin-dir", "", text, "", "/var/lib/rancher/credentialprovider/bin", both},
	{"image-credential-provider-config", "", text, "", "/var/lib/rancher/credentialprovider/config.yaml", both},
	{"docker", "", boolean, "", "", both},
	{"container-runtime-endpoint", "", text, "", "", both},
	{"default-runtime", "", text, "", "", both},
	{"nonroot-devices", "", boolean, "", "", both},
	{"image-service-endpoint", "", text, "", "", both},
	{"disable-default-registry-endpoint", "", boolean, "", "", both},
	{"pause-image", "", text, "", "", both},
	{"snapshotter", "", text, "", "overlayfs", both},
	{"private-registry", "", text, "", "/etc/rancher/k3s/registries.yaml", both},
	{"system-default-registry", "", text, "K3S_SYSTEM_DEFAULT_REGISTRY", "", onServer},
	{"airgap-extra-registry", "", list, "", "", both},
	{"node-ip", "i", list, "", "", both},
	{"node-external-ip", "", list, "", "", both},
	{"node-internal-dns", "", list, "", "", both},
	{"node-external-dns", "", list, "", "", both},
	{"resolv-conf", "", text, "K3S_RESOLV_CONF", "", both},
	{"flannel-iface", "", text, "", "", both},
	{"flannel-conf", "", text, "", "", both},
	{"flannel-cni-conf", "", text, "", "", both},
	{"vpn-auth", "", text, "K3S_VPN_AUTH", "", both},
	{"vpn-auth-file", "", text, "K3S_VPN_AUTH_FILE", "", both},
	{"kubelet-arg", "", list, "", "", both},
	{"kube-proxy-arg", "", list, "", "", both},
	{"protect-kernel-defaults", "", boolean, "", "", both},
	{"secrets-encryption", "", boolean, "", "", onServer},
	{"secrets-encryption-provider", "", text, "", "aescbc", onServer},
	{"enable-pprof", "", boolean, "", "", both},
	{"rootless", "", boolean, "", "", both},
	{"prefer-bundled-bin", "", boolean, "", "", both},
	{"selinux", "", boolean, "K3S_SELINUX", "", both},
	{"lb-server-port", "", number, "K3S_LB_SERVER_PORT", "6444", both},
	{"kube-controller-arg", "", list, "", "", onServer},
	{"kube-cloud-controller-arg", "", list, "", "", onServer},
	{"dir", "", text, "", "", onSnapshot},
	{"name", "", text, "", "on-demand", onSnapshot},
	{"snapshot-compress", "", boolean, "", "", onSnapshot},
	{"snapshot-retention", "", number, "", "5", onSnapshot},
	{"output", "o", text, "", "", onSnapshot},
	{"etcd-token", "t", text, "K3S_TOKEN", "", onSnapshot},
	{"etcd-server", "s", text, "", "https://127.0.0.1:6443", onSnapshot},
	{"etcd-s3", "", boolean, "", "", s3},
	{"etcd-s3-endpoint", "", text, "", "s3.amazonaws.com", s3},
	{"etcd-s3-endpoint-ca", "", text, "", "", s3},
	{"etcd-s3-skip-ssl-verify", "", boolean, "", "", s3},
	{"etcd-s3-access-key", "", text, "AWS_ACCESS_KEY_ID", "", s3},
	{"etcd-s3-secret-key", "", text, "AWS_SECRET_ACCESS_KEY", "", s3},
	{"etcd-s3-session-token", "", text, "AWS_SESSION_TOKEN", "", s3},
	{"etcd-s3-bucket", "", text, "", "", s3},
	{"etcd-s3-bucket-lookup-type", "", text, "", "auto", s3},
	{"etcd-s3-region", "", text, "", "us-east-1", s3},
	{"etcd-s3-folder", "", text, "", "", s3},
	{"etcd-s3-retention", "", number, "", "5", s3},
	{"etcd-s3-proxy", "", text, "", "", s3},
	{"etcd-s3-config-secret", "", text, "", "", s3},
	{"etcd-s3-insecure", "", boolean, "", "", s3},
	{"etcd-s3-timeout", "", text, "", "5m0s", s3},
}

// flagsOf returns the options of a command, or nil if the command reads no config file.
func flagsOf(command string) []row {
	bit := map[string]int{"server": onServer, "agent": onAgent, "etcd-snapshot": onSnapshot}[command]
	var found []row
	for _, r := range rows {
		if r.where&bit != 0 {
			found = append(found, r)
		}
	}
	return found
}

func findRow(table []row, name string) (row, bool) {
	for _, r := range table {
		if r.name == name || (r.short != "" && r.short == name) {
			return r, true
		}
	}
	return row{}, false
}

func sortedKeys[V any](table map[string]V) []string {
	names := make([]string, 0, len(table))
	for name := range table {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

// splitList splits a list at commas, as K3s does for names and addresses (util.SplitStringSlice).
func splitList(values []string) []string {
	var found []string
	for _, value := range values {
		for _, part := range strings.Split(value, ",") {
			if part = strings.TrimSpace(part); part != "" {
				found = append(found, part)
			}
		}
	}
	return found
}
