// Copyright: (c) 2026, kubewright contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// member is this server's member of the embedded etcd cluster: pkg/etcd/etcd.go.
type member struct {
	s             *server
	name, address string
	client        *clientv3.Client
}

var errTombstone = errors.New("tombstone file has been detected but --server is empty: backup and delete ${datadir}/server/db " +
	"to create a new cluster, or set --server to rejoin the cluster")

func (s *server) newMember() (*member, error) {
	m := &member{s: s, address: s.nodeIPs[0]}
	// The member was removed while it ran: its data is moved aside and it joins again, if it knows where
	// (pkg/etcd/etcd.go, Register).
	if _, err := os.Stat(m.dir("tombstone")); err == nil {
		if s.str("server") == "" {
			return nil, errTombstone
		}
		infof("tombstone file has been detected, removing ${datadir}/server/db to rejoin the cluster")
		if err := os.Rename(m.dir(""), fmt.Sprintf("%s-backup-%d", m.dir(""), time.Now().Unix())); err != nil {
			return nil, err
		}
	}
	return m, m.setName(false)
}

func (m *member) dir(name string) string { return filepath.Join(m.s.dir, "db/etcd", name) }

func (m *member) peerURL() string   { return "https://" + net.JoinHostPort(m.address, "2380") }
func (m *member) clientURL() string { return "https://" + net.JoinHostPort(m.address, "2379") }

// setName stores the member's name NODE-xxxxxxxx, so that it stays the same across starts.
func (m *member) setName(fresh bool) error {
	data, err := os.ReadFile(m.dir("name"))
	if err == nil && !fresh {
		m.name = strings.TrimSpace(string(data))
		return nil
	}
	m.name = m.s.nodeName + "-" + randomHex(4)
	if err := os.MkdirAll(m.dir(""), 0o700); err != nil {
		return err
	}
	return writeFile(m.dir("name"), []byte(m.name), 0o600)
}

func (m *member) connect(ctx context.Context, endpoints ...string) (*clientv3.Client, error) {
	tls := m.s.tls
	return storage{endpoints: endpoints, ca: tls("etcd/server-ca.crt"), cert: tls("etcd/client.crt"), key: tls("etcd/client.key")}.client(ctx)
}

const localEtcd = "https://127.0.0.1:2379"

// run starts etcd. `cluster` is "" if its data already has the list of members.
func (m *member) run(ctx context.Context, cluster, state string, reset bool) error {
	if err := os.Chmod(m.dir(""), 0o700); err != nil {
		return err
	}
	if err := writeFile(m.dir("config"), []byte(m.config(cluster, state, reset)), 0o600); err != nil {
		return err
	}
	var err error
	if m.client, err = m.connect(ctx, localEtcd); err != nil {
		return err
	}
	start("etcd", []string{"--config-file", m.dir("config")}, inDirectory(m.s.dir), watching(m.removed))
	return nil
}

// removed writes a mark for the next start if a line of etcd's log says that the cluster has removed this member.
func (m *member) removed(line string) {
	if strings.Contains(line, "permanently removed from the cluster") {
		_ = os.WriteFile(m.dir("tombstone"), nil, 0o600)
		infof("This node has been removed from the cluster - please restart k3s to rejoin the cluster")
	}
}

// config returns etcd's configuration. During a reset it listens only on loopback, so that no peer connects.
func (m *member) config(cluster, state string, reset bool) string {
	peers, clients, advertised := "https://127.0.0.1:2380", "https://127.0.0.1:2379", "https://127.0.0.1:2379"
	metrics := "http://127.0.0.1:2381"
	if !reset {
		peers, clients, advertised = peers+","+m.peerURL(), clients+","+m.clientURL(), m.clientURL()
		if m.s.boolean("etcd-expose-metrics") {
			metrics += ",http://" + net.JoinHostPort(m.address, "2381")
		}
	}
	tls := m.s.tls
	lines := []string{
		"name: " + m.name, "data-dir: " + m.dir(""), "logger: zap", "log-outputs: [stderr]", "log-level: warn",
		"listen-peer-urls: " + peers, "listen-client-urls: " + clients, "listen-metrics-urls: " + metrics,
		// The listeners above serve only gRPC. HTTP, including the JSON gateway, is here (listenClientHTTPURLs).
		"listen-client-http-urls: https://127.0.0.1:2382",
		"advertise-client-urls: " + advertised, "initial-advertise-peer-urls: " + m.peerURL(),
		"election-timeout: 5000", "heartbeat-interval: 500", "snapshot-count: 10000",
		"client-transport-security:", "  cert-file: " + tls("etcd/server-client.crt"), "  key-file: " + tls("etcd/server-client.key"),
		"  client-cert-auth: true", "  trusted-ca-file: " + tls("etcd/server-ca.crt"),
		"peer-transport-security:", "  cert-file: " + tls("etcd/peer-server-client.crt"),
		"  key-file: " + tls("etcd/peer-server-client.key"), "  client-cert-auth: true", "  trusted-ca-file: " + tls("etcd/peer-ca.crt"),
	}
	if reset {
		lines = append(lines, "force-new-cluster: true")
	}
	if cluster != "" {
		lines = append(lines, "initial-cluster: "+cluster, "initial-cluster-state: "+state)
	}
	for _, arg := range m.s.list("etcd-arg") {
		key, value, _ := strings.Cut(strings.TrimLeft(arg, "-"), "=")
		lines = append(lines, key+": "+value)
	}
	return strings.Join(lines, "\n") + "\n"
}

// begin starts, resumes or joins a cluster: pkg/etcd/etcd.go (Start).
func (m *member) begin(ctx context.Context) error {
	go m.manage(ctx)
	if m.s.etcdInitialized() {
		infof("Starting etcd for existing cluster member")
		return m.run(ctx, "", "", false)
	}
	if m.s.str("server") == "" {
		infof("Starting etcd for new cluster, cluster-reset=false")
		if err := m.run(ctx, m.name+"="+m.peerURL(), "new", false); err != nil {
			return err
		}
		return m.migrateSQLite(ctx)
	}
	for {
		err := m.join(ctx)
		if err == nil {
			return nil
		}
		var list *memberListError
		if errors.As(err, &list) {
			infof("Waiting to retrieve etcd cluster member list: %v", err)
		} else if errors.Is(err, rpctypes.ErrTooManyLearners) || errors.Is(err, rpctypes.ErrUnhealthy) {
			infof("Waiting for other members to finish joining etcd cluster: %v", err)
		} else {
			fatalf("etcd cluster join failed: %v", err)
		}
		time.Sleep(time.Second)
	}
}

type memberListError struct{ err error }

func (e *memberListError) Error() string {
	return fmt.Sprintf("failed to get MemberList from server: %v", e.err)
}

type memberList struct {
	Members []*etcdserverpb.Member `json:"members"`
}

// join adds this server as a learner. etcd accepts one learner at a time.
func (m *member) join(ctx context.Context) error {
	if m.s.remote == nil {
		var err error
		if m.s.remote, err = newAccess(m.s.str("server"), m.s.token, "server"); err != nil {
			return &memberListError{err}
		}
	}
	data, err := m.s.remote.get("/db/info")
	if err != nil {
		return &memberListError{err}
	}
	var known memberList
	if err := json.Unmarshal(data, &known); err != nil {
		return err
	}
	add, cluster, endpoints := true, []string{}, []string{}
	for _, other := range known.Members {
		host := hostOf(other.PeerURLs)
		if other.Name == "" && host == m.address {
			other.Name = m.name
		}
		if other.Name == m.name && host == m.address {
			add = false
		} else if !other.IsLearner {
			endpoints = append(endpoints, other.ClientURLs...)
		}
		if len(other.PeerURLs) > 0 {
			cluster = append(cluster, other.Name+"="+other.PeerURLs[0])
		}
		node := other.Name
		if at := strings.LastIndex(node, "-"); at > 1 {
			node = node[:at]
		}
		if other.Name != m.name && node == m.s.nodeName {
			_ = os.Remove(m.dir("name"))
			return errors.New("duplicate node name found, please use a unique name for this node")
		}
	}
	if add {
		if err := m.add(ctx, endpoints, cluster); err != nil {
			return err
		}
		cluster = append(cluster, m.name+"="+m.peerURL())
	}
	infof("Starting etcd to join cluster with members %v", cluster)
	return m.run(ctx, strings.Join(cluster, ","), "existing", false)
}

func (m *member) add(ctx context.Context, endpoints, cluster []string) error {
	client, err := m.connect(ctx, endpoints...)
	if err != nil {
		return err
	}
	defer client.Close()
	infof("Adding member %s=%s to etcd cluster %v", m.name, m.peerURL(), cluster)
	short, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	_, err = client.MemberAddAsLearner(short, []string{m.peerURL()})
	return err
}

func hostOf(addresses []string) string {
	if len(addresses) == 0 {
		return ""
	}
	parsed, err := url.Parse(addresses[0])
	if err != nil {
		return ""
	}
	return parsed.Hostname()
}

// test fails unless this server is a voter. A learner does not serve the API yet: pkg/etcd/etcd.go (Test).
func (m *member) test(ctx context.Context) error {
	short, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	status, err := m.client.Status(short, localEtcd)
	if err != nil {
		return err
	}
	if status.IsLearner {
		return errors.New("this server has not yet been promoted from learner to voting member")
	}
	list, err := m.client.MemberList(short)
	if err != nil {
		return err
	}
	var others []string
	for _, other := range list.Members {
		if other.Name == m.name && hostOf(other.PeerURLs) == m.address {
			return nil
		}
		if len(other.PeerURLs) > 0 {
			others = append(others, other.Name+"="+other.PeerURLs[0])
		}
	}
	return fmt.Errorf("this server is a not a member of the etcd cluster. Found %v, expect: %s=%s", others, m.name, m.peerURL())
}

// wait waits until etcd serves and this server is a voter.
func (m *member) wait(ctx context.Context) {
	for i := 0; ; i++ {
		err := errors.New("etcd datastore is not started")
		if m.client != nil {
			err = m.test(ctx)
		}
		if err == nil {
			return
		}
		if i%5 == 4 {
			infof("Failed to test etcd connection: %v", err)
		}
		time.Sleep(time.Second)
	}
}
