// Copyright: (c) 2026, kubewright contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

const adminKubeconfig = "/etc/rancher/k3s/k3s.yaml"

// server is `k3s server`: pkg/cli/server/server.go and pkg/daemons/control/server.go.
type server struct {
	*settings
	dataDir, dir           string
	token, agentToken      string
	password, nodePassword string
	accounts               map[string]account
	nodeName               string
	nodeIPs, sans          []string
	port, apiPort          int
	critical               critical
	managed                bool
	remote                 *access
	storage                storage
	etcd                   *member
	kube                   *kube
	apiReady, coreReady    atomic.Bool
}

func serverCommand(args []string) error {
	takeNotifySocket()
	s, err := newServer(args)
	if err != nil {
		return err
	}
	if err := s.checkReset(); err != nil {
		return err
	}
	infof("Starting k3s %s (%s) - the lab's stand-in", version, commit)
	if binDir, err = extract(s.dataDir); err != nil {
		return err
	}
	extendPath()
	go waitForSignal()
	if err := os.Chdir(s.dir); err != nil {
		return err
	}
	ctx := context.Background()
	if err := s.prepare(ctx); err != nil {
		return fmt.Errorf("preparing server: %w", err)
	}
	if s.boolean("cluster-reset") {
		return s.reset(ctx)
	}
	return s.start(ctx)
}

func newServer(args []string) (*server, error) {
	parsed, err := parse("server", args)
	if err != nil {
		return nil, err
	}
	logDebug = parsed.boolean("debug")
	s := &server{settings: parsed, dataDir: parsed.str("data-dir")}
	s.dir = filepath.Join(s.dataDir, "server")
	if err := refuseMissing(parsed); err != nil {
		return nil, err
	}
	if os.Getuid() != 0 {
		return nil, errors.New("server must run as root, or with --rootless and/or --disable-agent")
	}
	if s.token, err = fileOr(parsed, "token"); err != nil {
		return nil, err
	}
	if s.agentToken, err = fileOr(parsed, "agent-token"); err != nil {
		return nil, err
	}
	if s.critical, err = readCritical(parsed); err != nil {
		return nil, err
	}
	s.port = parsed.number("https-listen-port")
	s.apiPort = s.port + 1
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return nil, err
	}
	return s, s.identity()
}

// A missing token file is waited for: pkg/util/file.go (ReadFile).
var fileInterval, fileTimeout = 2 * time.Second, 4 * time.Minute

// fileOr returns an option's value, or the content of the file in its -file counterpart, which takes precedence.
func fileOr(s *settings, name string) (string, error) {
	path := s.str(name + "-file")
	if path == "" {
		return s.str(name), nil
	}
	for end := time.Now().Add(fileTimeout); ; time.Sleep(fileInterval) {
		data, err := os.ReadFile(path)
		if err == nil || !os.IsNotExist(err) {
			return strings.TrimSpace(string(data)), err
		}
		if time.Now().After(end) {
			return "", context.DeadlineExceeded
		}
		infof("Waiting for file %q to be created", path)
	}
}

// identity determines the node's name and addresses, and all names of the server's certificates.
func (s *server) identity() error {
	var err error
	if s.nodeName, s.nodeIPs, err = nodeIdentity(s.settings); err != nil {
		return err
	}
	s.sans = append(splitList(s.list("tls-san")), "127.0.0.1", apiHost, "::1", "localhost", s.nodeName)
	s.sans = append(s.sans, s.nodeIPs...)
	s.sans = append(s.sans, splitList(s.list("node-external-ip"))...)
	if address := s.str("advertise-address"); address != "" {
		s.sans = append(s.sans, address)
	}
	s.sans = append(s.sans, indexedIP(s.critical.ServiceIPRanges[0], 1))
	return nil
}

// prepare gets the cluster's files from the server to join or from the datastore, and creates missing ones.
func (s *server) prepare(ctx context.Context) error {
	s.chooseDatastore()
	if err := s.bootstrap(ctx); err != nil {
		return fmt.Errorf("failed to bootstrap cluster data: %w", err)
	}
	if err := s.prepareCertificates(); err != nil {
		return err
	}
	if err := s.ensureAccounts(); err != nil {
		return err
	}
	// Read only once: after `token rotate`, the new token is used from the next start on
	// (pkg/authenticator/passwordfile).
	var err error
	if s.accounts, err = readAccounts(s.cred("passwd")); err != nil {
		return err
	}
	if _, err := os.Stat(s.cred("ipsec.psk")); err != nil {
		if err := writeFile(s.cred("ipsec.psk"), []byte(randomHex(48)+"\n"), 0o600); err != nil {
			return err
		}
	}
	return s.ensureEncryption()
}

// bootstrap: pkg/cluster/bootstrap.go.
func (s *server) bootstrap(ctx context.Context) error {
	if !s.managed {
		s.startStorage()
		return s.storageBootstrap(ctx)
	}
	var err error
	if s.etcdInitialized() {
		infof("Managed etcd cluster bootstrap already complete and initialized")
		if s.str("server") != "" && s.token != "" && !s.boolean("cluster-reset") {
			if s.remote, err = newAccess(s.str("server"), s.token, "server"); err == nil {
				err = s.httpBootstrap()
			}
			if err != nil {
				warnf("Unable to reconcile with remote datastore: %v", err)
			}
		}
		return nil
	}
	if s.str("server") == "" {
		infof("Managed etcd cluster initializing")
		return nil
	}
	if s.token == "" {
		return errors.New("failed to check if bootstrap data has been initialized: token is required to join a cluster")
	}
	if s.remote, err = newAccess(s.str("server"), s.token, "server"); err != nil {
		return fmt.Errorf("failed to check if bootstrap data has been initialized: failed to validate token: %w", err)
	}
	infof("Managed etcd cluster not yet initialized")
	if err := s.compareConfig(); err != nil {
		return fmt.Errorf("failed to validate server configuration: %w", err)
	}
	return s.httpBootstrap()
}

func (s *server) httpBootstrap() error {
	data, err := s.remote.get("/v1-k3s/server-bootstrap")
	if err != nil {
		return err
	}
	return s.reconcileBootstrap(data)
}

// storageBootstrap uses the given token, otherwise the one on disk. A first start has none.
func (s *server) storageBootstrap(ctx context.Context) error {
	value := s.token
	if value == "" {
		data, err := os.ReadFile(filepath.Join(s.dir, "token"))
		if err != nil {
			return nil
		}
		value = strings.TrimSpace(string(data))
	}
	password, err := normalizeToken(value)
	if err != nil {
		return err
	}
	data, err := s.storedBootstrap(ctx, password)
	if err != nil || data == nil {
		return err
	}
	return s.reconcileBootstrap(data)
}

// start starts the components in upstream's order (listener, container runtime, datastore, API, everything else),
// then notifies systemd.
func (s *server) start(ctx context.Context) error {
	s.kube = newKube("https://"+s.apiAddress(), s.tls("server-ca.crt"), s.tls("client-supervisor.crt"), s.tls("client-supervisor.key"))
	if s.managed {
		var err error
		if s.etcd, err = s.newMember(); err != nil {
			return err
		}
	}
	if err := s.listen(); err != nil {
		return err
	}
	if err := s.writeTokens(); err != nil {
		return err
	}
	if err := s.writeKubeconfig(); err != nil {
		return err
	}
	go s.runAgent(ctx)
	if s.managed {
		if err := s.etcd.begin(ctx); err != nil {
			return err
		}
		s.etcd.wait(ctx)
		infof("ETCD server is now running")
		tls := s.tls
		s.storage = storage{endpoints: []string{localEtcd}, ca: tls("etcd/server-ca.crt"), cert: tls("etcd/client.crt"), key: tls("etcd/client.key")}
	}
	if err := s.saveBootstrap(ctx); err != nil {
		return err
	}
	if err := s.controlPlane(ctx); err != nil {
		return err
	}
	if s.etcd != nil {
		go s.scheduleSnapshots(ctx)
	}
	infof("k3s is up and running")
	notifyReady()
	if err := s.baseObjects(ctx); err != nil {
		return err
	}
	s.coreReady.Store(true)
	s.controllers(ctx)
	return nil
}

// ownHost returns the address in the administrator's kubeconfig: pkg/daemons/config/types.go (BindAddressOrLoopback).
func (s *server) ownHost() string {
	if host := s.str("bind-address"); host != "" {
		return host
	}
	if strings.Contains(s.critical.ServiceIPRanges[0], ":") {
		return "::1"
	}
	return "127.0.0.1"
}

// writeKubeconfig writes the kubeconfig, with mode 0600 by default: docs.k3s.io/cluster-access.
func (s *server) writeKubeconfig() error {
	address := "https://" + net.JoinHostPort(s.ownHost(), fmt.Sprint(s.port))
	content, err := kubeconfigData(address, s.tls("server-ca.crt"), s.tls("client-admin.crt"), s.tls("client-admin.key"))
	if err != nil {
		return err
	}
	path, mode := adminKubeconfig, os.FileMode(0o600)
	if output := s.str("write-kubeconfig"); output != "" {
		path = output
	}
	if value := s.str("write-kubeconfig-mode"); value != "" {
		parsed, err := strconv.ParseUint(value, 8, 32)
		if err != nil {
			errorf("failed to set %s to mode %s: %v", path, value, err)
		} else {
			mode = os.FileMode(parsed)
		}
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	if err := writeFile(path, []byte(content), mode); err != nil {
		return err
	}
	infof("Wrote kubeconfig %s", path)
	if path != adminKubeconfig {
		_ = os.MkdirAll(filepath.Dir(adminKubeconfig), 0o755)
		return relink(path, adminKubeconfig)
	}
	return nil
}

// runAgent runs the node part of this server. It uses its own supervisor like any agent.
func (s *server) runAgent(ctx context.Context) {
	if s.boolean("disable-agent") {
		return
	}
	value, err := formatToken("node:"+s.nodePassword, s.tls("server-ca.crt"))
	if err != nil {
		fatalf("Error: %v", err)
	}
	a := &agent{settings: s.settings, dataDir: s.dataDir, server: fmt.Sprintf("https://127.0.0.1:%d", s.port), token: value,
		nodeName: s.nodeName, nodeIPs: s.nodeIPs, local: s}
	if err := a.run(ctx); err != nil {
		fatalf("Error: %v", err)
	}
}

// waitAPI waits until the API server is ready.
func (s *server) waitAPI(ctx context.Context) {
	for i := 0; ; i++ {
		if err := s.kube.raw(ctx, "/readyz"); err == nil {
			return
		} else if i%60 == 59 {
			infof("Waiting for API server to become available: %v", err)
		}
		time.Sleep(500 * time.Millisecond)
	}
}

// extendPath adds the directory of the bundled programs to PATH.
func extendPath() {
	os.Setenv("PATH", binDir+":"+os.Getenv("PATH"))
}
