// Copyright: (c) 2026, kubewright contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os/exec"
	"strings"
	"time"
)

// keepNetwork replaces flannel, which is not available here, for every backend: a bridge for the node's pods, a route
// to the pods of each other node by the node's address (like flannel's host-gw, so all nodes must share a network),
// and masquerading for traffic that leaves the cluster. With flannel-backend none it does nothing. Network policies
// are not enforced.
func (a *agent) keepNetwork(ctx context.Context) {
	if a.balancer != nil {
		go a.balancer.watch(a.knownServers, a.serverReady)
	}
	if a.cluster.FlannelBackend == "none" {
		select {}
	}
	api := newKube(a.apiURL(), a.path("server-ca.crt"), a.path("client-k3s-controller.crt"), a.path("client-k3s-controller.key"))
	known, configured := map[string]string{}, false
	for {
		nodes, err := api.nodes(ctx)
		if err != nil {
			debugf("flannel stand-in: %v", err)
		}
		for _, n := range nodes {
			if n.name() == a.nodeName && len(n.Spec.PodCIDRs) > 0 && !configured {
				configured = a.configureCNI(n.Spec.PodCIDRs)
			}
		}
		if err == nil {
			a.routes(nodes, known)
		}
		pause := 3 * time.Second
		if !configured {
			pause = 500 * time.Millisecond
		}
		time.Sleep(pause)
	}
}

func (a *agent) knownServers() []string {
	data, err := a.supervisor.get("/v1-k3s/apiservers")
	var found []string
	if err == nil {
		_ = json.Unmarshal(data, &found)
	}
	return found
}

// configureCNI writes the CNI configuration with flannel's name and path.
func (a *agent) configureCNI(ranges []string) bool {
	var pools, routes []any
	for _, cidr := range ranges {
		pools = append(pools, []any{map[string]string{"subnet": cidr}})
		destination := "0.0.0.0/0"
		if strings.Contains(cidr, ":") {
			destination = "::/0"
		}
		routes = append(routes, map[string]string{"dst": destination})
	}
	bridge := map[string]any{"type": "bridge", "bridge": "cni0", "isGateway": true, "hairpinMode": true, "forceAddress": true,
		"ipam": map[string]any{"type": "host-local", "ranges": pools, "routes": routes}}
	list := map[string]any{"name": "cbr0", "cniVersion": "1.0.0", "plugins": []any{bridge,
		map[string]any{"type": "portmap", "capabilities": map[string]bool{"portMappings": true}},
		map[string]any{"type": "bandwidth", "capabilities": map[string]bool{"bandwidth": true}}}}
	data, err := json.MarshalIndent(list, "", "  ")
	if err != nil {
		return false
	}
	for _, cidr := range a.cluster.ClusterIPRanges {
		masquerade(cidr)
	}
	if err := writeFile("/run/flannel/subnet.env", []byte(subnetFile(a.cluster.ClusterIPRanges, ranges)), 0o644); err != nil {
		warnf("flannel stand-in: %v", err)
	}
	if err := writeFile(a.path("etc/cni/net.d/10-flannel.conflist"), data, 0o600); err != nil {
		errorf("flannel stand-in: %v", err)
		return false
	}
	infof("The stand-in for flannel serves the pods of %s", strings.Join(ranges, ", "))
	return true
}

// subnetFile returns the pod networks in the format of the file that flannel writes for its CNI plugin:
// pkg/agent/flannel/flannel.go, WriteSubnetFile.
func subnetFile(networks, ranges []string) string {
	text := ""
	for _, row := range []struct {
		name  string
		cidrs []string
	}{{"NETWORK", networks}, {"SUBNET", ranges}} {
		for _, cidr := range row.cidrs {
			prefix := "FLANNEL_"
			if strings.Contains(cidr, ":") {
				prefix = "FLANNEL_IPV6_"
			}
			text += prefix + row.name + "=" + cidr + "\n"
		}
	}
	return text + "FLANNEL_MTU=1450\nFLANNEL_IPMASQ=true\n"
}

// masquerade also accepts forwarded traffic of pods, as flannel's chains do.
func masquerade(cidr string) {
	program := "iptables"
	if strings.Contains(cidr, ":") {
		program = "ip6tables"
	}
	rules := [][]string{
		{"-t", "nat", "POSTROUTING", "-s", cidr, "!", "-d", cidr, "-m", "comment", "--comment", "flanneld masq", "-j", "MASQUERADE"},
		{"-t", "filter", "FORWARD", "-s", cidr, "-m", "comment", "--comment", "flanneld forward", "-j", "ACCEPT"},
		{"-t", "filter", "FORWARD", "-d", cidr, "-m", "comment", "--comment", "flanneld forward", "-j", "ACCEPT"},
	}
	for _, rule := range rules {
		with := func(action string) []string {
			return append([]string{"-w", "5", rule[0], rule[1], action}, rule[2:]...)
		}
		if exec.Command(program, with("-C")...).Run() == nil {
			continue
		}
		if out, err := exec.Command(program, with("-A")...).CombinedOutput(); err != nil {
			errorf("flannel stand-in: %s: %v: %s", program, err, out)
		}
	}
}

// routes adds routes to the pods of all other nodes and removes those of deleted nodes.
func (a *agent) routes(nodes []*node, known map[string]string) {
	wanted := map[string]string{}
	for _, n := range nodes {
		if n.name() == a.nodeName {
			continue
		}
		for _, cidr := range n.Spec.PodCIDRs {
			for _, address := range n.addresses("InternalIP") {
				if strings.Contains(cidr, ":") == strings.Contains(address, ":") {
					wanted[cidr] = address
				}
			}
		}
	}
	for cidr, address := range wanted {
		if known[cidr] != address && ip("route", "replace", cidr, "via", address) {
			known[cidr] = address
		}
	}
	for cidr := range known {
		if wanted[cidr] == "" && ip("route", "del", cidr) {
			delete(known, cidr)
		}
	}
}

func ip(args ...string) bool {
	if parsed, _, err := net.ParseCIDR(args[2]); err == nil && parsed.To4() == nil {
		args = append([]string{"-6"}, args...)
	}
	out, err := exec.Command("ip", args...).CombinedOutput()
	if err != nil {
		errorf("flannel stand-in: %s", fmt.Sprintf("ip %s: %v: %s", strings.Join(args, " "), err, out))
	}
	return err == nil
}
