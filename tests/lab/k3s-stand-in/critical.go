// Copyright: (c) 2026, kubewright contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"reflect"
	"slices"
)

// critical has the settings that all servers with embedded etcd must share: config.CriticalControlArgs, and
// docs.k3s.io/cli/server#critical-configuration-values. The tag is the name that messages about a mismatch use.
type critical struct {
	ClusterDNSs           []string `cli:"cluster-dns"`
	ClusterIPRanges       []string `cli:"cluster-cidr"`
	ClusterDomain         string   `cli:"cluster-domain"`
	DisableCCM            bool     `cli:"disable-cloud-controller"`
	DisableHelmController bool     `cli:"disable-helm-controller"`
	DisableNPC            bool     `cli:"disable-network-policy"`
	DisableServiceLB      bool     `cli:"disable-service-lb"`
	EncryptSecrets        bool     `cli:"secrets-encryption"`
	EncryptProvider       string   `cli:"secrets-encryption-provider"`
	EmbeddedRegistry      bool     `cli:"embedded-registry"`
	FlannelBackend        string   `cli:"flannel-backend"`
	FlannelIPv6Masq       bool     `cli:"flannel-ipv6-masq"`
	FlannelExternalIP     bool     `cli:"flannel-external-ip"`
	EgressSelectorMode    string   `cli:"egress-selector-mode"`
	ServiceIPRanges       []string `cli:"service-cidr"`
	SupervisorMetrics     bool     `cli:"supervisor-metrics"`
}

// clusterConfig is the response of /v1-k3s/config. Agents and joining servers use these settings of the cluster.
type clusterConfig struct {
	critical
	HTTPSPort             int
	DisableKubeProxy      bool
	SystemDefaultRegistry string
	Version               string
}

func (s *server) clusterConfig() clusterConfig {
	return clusterConfig{s.critical, s.port, s.boolean("disable-kube-proxy"), s.str("system-default-registry"), version}
}

// readCritical computes the settings. K3s's defaults are 10.42.0.0/16, 10.43.0.0/16 and the tenth address of the
// service range.
func readCritical(s *settings) (critical, error) {
	found := critical{
		ClusterIPRanges: splitList(s.list("cluster-cidr")), ServiceIPRanges: splitList(s.list("service-cidr")),
		ClusterDNSs: splitList(s.list("cluster-dns")), ClusterDomain: s.str("cluster-domain"),
		DisableCCM: s.boolean("disable-cloud-controller"), DisableHelmController: s.boolean("disable-helm-controller"),
		DisableNPC: s.boolean("disable-network-policy"), EncryptSecrets: s.boolean("secrets-encryption"),
		EncryptProvider:  s.str("secrets-encryption-provider"),
		DisableServiceLB: slices.Contains(splitList(s.list("disable")), "servicelb"),
		EmbeddedRegistry: s.boolean("embedded-registry"), FlannelBackend: s.str("flannel-backend"),
		FlannelIPv6Masq: s.boolean("flannel-ipv6-masq"), FlannelExternalIP: s.boolean("flannel-external-ip"),
		EgressSelectorMode: s.str("egress-selector-mode"), SupervisorMetrics: s.boolean("supervisor-metrics"),
	}
	if len(found.ClusterIPRanges) == 0 {
		found.ClusterIPRanges = []string{"10.42.0.0/16"}
	}
	if len(found.ServiceIPRanges) == 0 {
		found.ServiceIPRanges = []string{"10.43.0.0/16"}
	}
	for name, ranges := range map[string][]string{"cluster-cidr": found.ClusterIPRanges, "service-cidr": found.ServiceIPRanges} {
		for i, value := range ranges {
			_, parsed, err := net.ParseCIDR(value)
			if err != nil {
				return found, fmt.Errorf("invalid %s %s: %w", name, value, err)
			}
			ranges[i] = parsed.String()
		}
	}
	if len(found.ClusterDNSs) == 0 {
		for _, value := range found.ServiceIPRanges {
			found.ClusterDNSs = append(found.ClusterDNSs, indexedIP(value, 10))
		}
	}
	for _, value := range found.ClusterDNSs {
		if net.ParseIP(value) == nil {
			return found, fmt.Errorf("invalid cluster-dns address %s", value)
		}
	}
	return found, checkModes(found)
}

func checkModes(found critical) error {
	switch found.EgressSelectorMode {
	case "agent", "cluster", "pod", "disabled":
	default:
		return fmt.Errorf("invalid egress-selector-mode %s", found.EgressSelectorMode)
	}
	switch found.FlannelBackend {
	case "none", "vxlan", "host-gw", "wireguard-native", "tailscale":
		return nil
	}
	return fmt.Errorf("Cannot configure unknown flannel backend '%s'", found.FlannelBackend)
}

// indexedIP returns the nth address of a range.
func indexedIP(cidr string, n byte) string {
	_, parsed, _ := net.ParseCIDR(cidr)
	ip := slices.Clone(parsed.IP)
	ip[len(ip)-1] += n
	return ip.String()
}

// mismatches returns the names of the settings that differ.
func mismatches(own, other critical) []string {
	var found []string
	left, right := reflect.ValueOf(own), reflect.ValueOf(other)
	for i := range left.NumField() {
		if !reflect.DeepEqual(left.Field(i).Interface(), right.Field(i).Interface()) {
			found = append(found, left.Type().Field(i).Tag.Get("cli"))
		}
	}
	return found
}

// compareConfig fails if a critical setting differs from the cluster's: pkg/cluster/bootstrap.go (compareConfig). It
// connects with an agent's credentials.
func (s *server) compareConfig() error {
	value := s.token
	if s.agentToken != "" {
		value = s.agentToken
	}
	remote, err := newAccess(s.str("server"), value, "node")
	if err != nil {
		return err
	}
	data, err := remote.get("/v1-k3s/config")
	if err != nil {
		warnf("Skipping cluster configuration validation: %v", err)
		return nil
	}
	var other clusterConfig
	if err := json.Unmarshal(data, &other); err != nil {
		return err
	}
	found := mismatches(s.critical, other.critical)
	for _, name := range found {
		warnf("critical configuration mismatched: %s", name)
	}
	if len(found) > 0 {
		return errors.New("critical configuration value mismatch between servers")
	}
	return nil
}
