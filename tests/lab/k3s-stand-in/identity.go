// Copyright: (c) 2026, kubewright contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
)

const nodeIDFile = "/etc/rancher/node/id"

// nodeIdentity returns the node's name and addresses. The name is node-name or the host's name in lower case, with an
// ID if requested. The address is node-ip, otherwise that of flannel-iface, otherwise that of the default route:
// docs.k3s.io/cli/agent, pkg/util/net.go (GetHostnameAndIPs).
func nodeIdentity(s *settings) (string, []string, error) {
	name := s.str("node-name")
	if name == "" {
		var err error
		if name, err = os.Hostname(); err != nil {
			return "", nil, err
		}
	}
	name = strings.ToLower(name)
	if s.boolean("with-node-id") {
		id, err := nodeID()
		if err != nil {
			return "", nil, err
		}
		name += "-" + id
	}
	ips := splitList(s.list("node-ip"))
	if len(ips) == 0 {
		ip, err := defaultAddress(s.str("flannel-iface"))
		if err != nil {
			return "", nil, err
		}
		ips = []string{ip}
	}
	for _, ip := range ips {
		if net.ParseIP(ip) == nil {
			return "", nil, fmt.Errorf("invalid ip format '%s'", ip)
		}
	}
	return name, ips, nil
}

func nodeID() (string, error) {
	if data, err := os.ReadFile(nodeIDFile); err == nil {
		return strings.TrimSpace(string(data)), nil
	}
	id := randomHex(4)
	if err := os.MkdirAll(filepath.Dir(nodeIDFile), 0o755); err != nil {
		return "", err
	}
	return id, os.WriteFile(nodeIDFile, []byte(id+"\n"), 0o644)
}

func defaultAddress(iface string) (string, error) {
	if iface != "" {
		found, err := net.InterfaceByName(iface)
		if err != nil {
			return "", fmt.Errorf("unable to find interface %s: %w", iface, err)
		}
		addresses, err := found.Addrs()
		if err != nil {
			return "", err
		}
		for _, address := range addresses {
			if network, ok := address.(*net.IPNet); ok && network.IP.IsGlobalUnicast() {
				return network.IP.String(), nil
			}
		}
		return "", fmt.Errorf("can't find ip for interface %s", iface)
	}
	// Nothing is sent: the kernel only selects the route and its source address.
	connection, err := net.Dial("udp", "192.0.2.1:9")
	if err != nil {
		return "", errors.New("unable to select an IP from default routes.")
	}
	defer connection.Close()
	return connection.LocalAddr().(*net.UDPAddr).IP.String(), nil
}
