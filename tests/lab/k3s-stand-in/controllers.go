// Copyright: (c) 2026, kubewright contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"context"
	"fmt"
	"sort"
	"strings"
	"time"
)

const uninitialized = "node.cloudprovider.kubernetes.io/uninitialized"

// controllers runs the small controllers of K3s: node roles, cloud controller, CoreDNS' hosts, deleted nodes,
// manifests.
func (s *server) controllers(ctx context.Context) {
	go s.deployManifests(ctx)
	seen := map[string]*node{}
	for {
		nodes, err := s.kube.nodes(ctx)
		if err != nil {
			debugf("controllers: %v", err)
			time.Sleep(2 * time.Second)
			continue
		}
		present := map[string]*node{}
		for _, n := range nodes {
			present[n.name()] = n
			if n.name() == s.nodeName {
				s.setRoles(ctx, n)
			}
			if !s.critical.DisableCCM {
				s.initialize(ctx, n)
			}
		}
		for name, n := range seen {
			if present[name] == nil {
				s.nodeDeleted(ctx, n)
			}
		}
		seen = present
		s.nodeHosts(ctx, nodes)
		time.Sleep(2 * time.Second)
	}
}

// setRoles labels this server's node as control-plane, and as etcd if it is a member of the embedded cluster
// (pkg/server/server.go, pkg/etcd/metadata_controller.go).
func (s *server) setRoles(ctx context.Context, n *node) {
	labels, annotations := map[string]string{}, map[string]string{}
	if !s.boolean("disable-apiserver") {
		labels["node-role.kubernetes.io/control-plane"] = "true"
	}
	if s.etcd != nil {
		labels["node-role.kubernetes.io/etcd"] = "true"
		annotations["etcd.k3s.cattle.io/node-name"] = s.etcd.name
		annotations["etcd.k3s.cattle.io/node-address"] = s.etcd.address
	}
	if s.encrypted() {
		annotations["k3s.io/encryption-config-hash"] = s.encryptionHash()
	}
	changed := false
	for name, value := range labels {
		changed = changed || n.label(name) != value
	}
	for name, value := range annotations {
		changed = changed || n.annotation(name) != value
	}
	if !changed {
		return
	}
	body := map[string]any{"metadata": map[string]any{"labels": labels, "annotations": annotations}}
	if err := s.kube.patch(ctx, n.path(), merge, body); err != nil {
		warnf("Unable to set control-plane role label: %v", err)
		return
	}
	infof("Labels and annotations have been set successfully on node: %s", n.name())
}

// initialize does what the cloud controller does: it sets addresses and providerID and removes the taint
// (pkg/cloudprovider).
func (s *server) initialize(ctx context.Context, n *node) {
	internal := splitList([]string{n.annotation("k3s.io/internal-ip")})
	external := splitList([]string{n.annotation("k3s.io/external-ip")})
	if len(internal) == 0 {
		return
	}
	if strings.Join(n.addresses("InternalIP"), ",") != strings.Join(internal, ",") ||
		strings.Join(n.addresses("ExternalIP"), ",") != strings.Join(external, ",") || n.address("Hostname") == "" {
		addresses := []map[string]string{}
		for _, address := range internal {
			addresses = append(addresses, map[string]string{"type": "InternalIP", "address": address})
		}
		for _, address := range external {
			addresses = append(addresses, map[string]string{"type": "ExternalIP", "address": address})
		}
		addresses = append(addresses, map[string]string{"type": "Hostname", "address": n.annotation("k3s.io/hostname")})
		if err := s.kube.patch(ctx, n.path()+"/status", merge, map[string]any{"status": map[string]any{"addresses": addresses}}); err != nil {
			warnf("cloud controller: %s: %v", n.name(), err)
		}
	}
	tainted, kept := false, []map[string]any{}
	for _, taint := range n.Spec.Taints {
		if taint["key"] == uninitialized {
			tainted = true
			continue
		}
		entry := map[string]any{}
		for key, value := range taint {
			entry[key] = value
		}
		kept = append(kept, entry)
	}
	if !tainted && n.Spec.ProviderID != "" {
		return
	}
	// The resource version prevents losing a taint that was added meanwhile.
	body := map[string]any{
		"metadata": map[string]any{"resourceVersion": n.Metadata.ResourceVersion, "labels": map[string]string{
			"node.kubernetes.io/instance-type": "k3s", "beta.kubernetes.io/instance-type": "k3s"}},
		"spec": map[string]any{"taints": kept, "providerID": "k3s://" + n.name()},
	}
	if err := s.kube.patch(ctx, n.path(), merge, body); err != nil {
		debugf("cloud controller: %s: %v", n.name(), err)
	}
}

// nodeDeleted deletes a deleted node's password, so that it can join again, and its etcd member:
// pkg/node/controller.go, pkg/etcd/member_controller.go.
func (s *server) nodeDeleted(ctx context.Context, n *node) {
	if err := s.kube.delete(ctx, nodeSecret(n.name())); err != nil && !notFound(err) {
		warnf("Unable to remove node password for %s: %v", n.name(), err)
	}
	if s.etcd != nil && n.annotation("etcd.k3s.cattle.io/node-name") != "" {
		s.etcd.forget(ctx, n.annotation("etcd.k3s.cattle.io/node-name"), n.annotation("etcd.k3s.cattle.io/node-address"))
	}
}

// nodeHosts updates the nodes' names in CoreDNS' configuration: pkg/node/controller.go.
func (s *server) nodeHosts(ctx context.Context, nodes []*node) {
	var lines []string
	for _, n := range nodes {
		if address := n.address("InternalIP"); address != "" {
			lines = append(lines, fmt.Sprintf("%s %s", address, n.name()))
		}
	}
	sort.Strings(lines)
	text := strings.Join(lines, "\n") + "\n"
	var config struct{ Data map[string]string }
	path := "/api/v1/namespaces/kube-system/configmaps/coredns"
	if err := s.kube.get(ctx, path, &config); err != nil || config.Data["NodeHosts"] == text {
		return
	}
	if err := s.kube.patch(ctx, path, merge, map[string]any{"data": map[string]string{"NodeHosts": text}}); err == nil {
		infof("Updated coredns NodeHosts entry")
	}
}
