// Copyright: (c) 2026, kubewright contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
)

// Every 15 seconds (upstream's manageTickerTime), etcd's leader promotes learners that have caught up, removes
// learners that made no progress for five minutes, and sets the nodes' condition EtcdIsVoter: pkg/etcd/etcd.go
// (manageLearners).
const (
	manageEvery = 15 * time.Second
	stallTime   = 5 * time.Minute
)

type progress struct {
	id    uint64
	index uint64
	since time.Time
}

func (m *member) manage(ctx context.Context) {
	var learner progress
	for range time.Tick(manageEvery) {
		if m.client == nil {
			continue
		}
		short, cancel := context.WithTimeout(ctx, manageEvery)
		m.manageOnce(short, &learner)
		cancel()
	}
}

func (m *member) manageOnce(ctx context.Context, learner *progress) {
	status, err := m.client.Status(ctx, localEtcd)
	if err != nil {
		errorf("Failed to check local etcd status for learner management: %v", err)
		return
	}
	if status.Header.MemberId != status.Leader {
		return
	}
	list, err := m.client.MemberList(ctx)
	if err != nil {
		errorf("Failed to get etcd members for learner management: %v", err)
		return
	}
	for _, other := range list.Members {
		if other.IsLearner {
			m.promote(ctx, other, learner)
		}
	}
	m.conditions(ctx, list.Members)
}

func (m *member) promote(ctx context.Context, other *etcdserverpb.Member, learner *progress) {
	if _, err := m.client.MemberPromote(ctx, other.ID); err == nil {
		infof("Promoted learner %s", other.Name)
		return
	}
	if learner.id != other.ID {
		*learner = progress{id: other.ID, since: time.Now()}
	}
	for _, address := range other.ClientURLs {
		if status, err := m.client.Status(ctx, address); err == nil && status.RaftAppliedIndex > learner.index {
			learner.index, learner.since = status.RaftAppliedIndex, time.Now()
		}
	}
	if time.Since(learner.since) > stallTime {
		if _, err := m.client.MemberRemove(ctx, other.ID); err == nil {
			warnf("Removed learner %s from etcd cluster", other.Name)
		}
	}
}

// conditions sets the condition EtcdIsVoter of each etcd node.
func (m *member) conditions(ctx context.Context, members []*etcdserverpb.Member) {
	if !m.s.coreReady.Load() {
		return
	}
	nodes, err := m.s.kube.nodes(ctx)
	if err != nil {
		warnf("Failed to list nodes with etcd role: %v", err)
		return
	}
	for _, node := range nodes {
		if node.label("node-role.kubernetes.io/etcd") != "true" {
			continue
		}
		status, reason, message := "False", "NotAMember", "Node is not a member of the etcd cluster"
		for _, other := range members {
			if other.Name == node.annotation("etcd.k3s.cattle.io/node-name") {
				status, reason, message = m.judge(ctx, other)
			}
		}
		m.setCondition(ctx, node, status, reason, message)
	}
}

func (m *member) judge(ctx context.Context, other *etcdserverpb.Member) (status, reason, message string) {
	short, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	if len(other.ClientURLs) == 0 {
		return "False", "Unhealthy", "Node is unhealthy"
	}
	answer, err := m.client.Status(short, other.ClientURLs[0])
	switch {
	case err != nil:
		return "False", "Unhealthy", "failed to check etcd member status: " + err.Error()
	case len(answer.Errors) > 0:
		return "False", "Unhealthy", "etcd member has status errors: " + strings.Join(answer.Errors, ",")
	case other.IsLearner:
		return "False", "MemberIsLearner", "Node has not been promoted to voting member of the etcd cluster"
	}
	return "True", "MemberNotLearner", "Node is a voting member of the etcd cluster"
}

func (m *member) setCondition(ctx context.Context, node *node, status, reason, message string) {
	now := time.Now().UTC().Format(time.RFC3339)
	old := node.condition("EtcdIsVoter")
	if old != nil && old["status"] == status && old["reason"] == reason && old["message"] == message {
		if beat, err := time.Parse(time.RFC3339, old["lastHeartbeatTime"]); err == nil && time.Since(beat) < 5*time.Minute {
			return
		}
	}
	changed := now
	if old != nil && old["status"] == status {
		changed = old["lastTransitionTime"]
	}
	condition := map[string]string{"type": "EtcdIsVoter", "status": status, "reason": reason, "message": message,
		"lastHeartbeatTime": now, "lastTransitionTime": changed}
	body := map[string]any{"status": map[string]any{"conditions": []any{condition}}}
	if err := m.s.kube.patch(ctx, "/api/v1/nodes/"+node.name()+"/status", strategic, body); err != nil {
		errorf("Unable to set etcd status condition %s: %v", node.name(), err)
	}
}

// forget removes the member of a deleted node. The other servers remove this one's: pkg/etcd/member_controller.go.
func (m *member) forget(ctx context.Context, name, address string) error {
	list, err := m.client.MemberList(ctx)
	if err != nil {
		return err
	}
	for _, other := range list.Members {
		if other.Name != name || hostOf(other.PeerURLs) != address {
			continue
		}
		if address == m.address {
			return errors.New("a server does not remove its own member")
		}
		infof("Removing name=%s id=%d address=%s from etcd", other.Name, other.ID, address)
		if _, err := m.client.MemberRemove(ctx, other.ID); err != nil {
			return fmt.Errorf("failed to remove etcd member %s: %w", name, err)
		}
	}
	return nil
}
