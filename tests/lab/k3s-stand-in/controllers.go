// Copyright: (c) 2026, kubewright contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"context"
	"fmt"
	"slices"
	"sort"
	"strings"
	"time"
)

const uninitialized = "node.cloudprovider.kubernetes.io/uninitialized"

// controllers runs the small controllers of K3s: node roles, cloud controller, CoreDNS' hosts, deleted nodes,
// manifests.
func (s *server) controllers(ctx context.Context) {
	go s.deployManifests(ctx)
	s.afterReset(ctx)
	for {
		nodes, err := s.kube.nodes(ctx)
		if err != nil {
			debugf("controllers: %v", err)
			time.Sleep(2 * time.Second)
			continue
		}
		for _, n := range nodes {
			s.finalize(ctx, n)
			if n.name() == s.nodeName {
				s.setRoles(ctx, n)
			}
			if !s.critical.DisableCCM {
				s.initialize(ctx, n)
			}
		}
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

// K3s's handlers of deleted nodes put these on every Node, so that a Node stays until they have done their work.
const (
	nodeFinalizer   = "wrangler.cattle.io/node"
	memberFinalizer = "wrangler.cattle.io/managed-etcd-controller"
)

// finalize keeps a Node's finalizers. Of a deleted Node it removes those whose work is done: its password is deleted, so
// that the node can join again, and its etcd member is removed, which etcd refuses where that would cost the quorum
// (pkg/node/controller.go, pkg/etcd/member_controller.go).
func (s *server) finalize(ctx context.Context, n *node) {
	wanted := slices.Clone(n.Metadata.Finalizers)
	if n.Metadata.DeletionTimestamp == "" {
		wanted = withFinalizers(wanted, s.etcd != nil)
	} else {
		if err := s.kube.delete(ctx, nodeSecret(n.name())); err == nil || notFound(err) {
			wanted = without(wanted, nodeFinalizer)
		}
		if err := s.memberDeleted(ctx, n); err == nil {
			wanted = without(wanted, memberFinalizer)
		} else {
			errorf("error syncing '%s': handler managed-etcd-controller: %v, requeuing", n.name(), err)
		}
	}
	if slices.Equal(wanted, n.Metadata.Finalizers) {
		return
	}
	body := map[string]any{"metadata": map[string]any{"resourceVersion": n.Metadata.ResourceVersion, "finalizers": wanted}}
	if err := s.kube.patch(ctx, n.path(), merge, body); err != nil && !notFound(err) {
		debugf("finalizers of %s: %v", n.name(), err)
	}
}

func withFinalizers(known []string, etcd bool) []string {
	for name, wanted := range map[string]bool{nodeFinalizer: true, memberFinalizer: etcd} {
		if wanted && !slices.Contains(known, name) {
			known = append(known, name)
		}
	}
	slices.Sort(known)
	return known
}

func without(known []string, name string) []string {
	return slices.DeleteFunc(known, func(other string) bool { return other == name })
}

func (s *server) memberDeleted(ctx context.Context, n *node) error {
	member := n.annotation("etcd.k3s.cattle.io/node-name")
	if s.etcd == nil || member == "" {
		return nil
	}
	return s.etcd.forget(ctx, member, n.annotation("etcd.k3s.cattle.io/node-address"))
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
