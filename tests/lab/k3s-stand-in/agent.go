// Copyright: (c) 2026, kubewright contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// agent is `k3s agent`, and the node part of a server: pkg/agent/run.go.
type agent struct {
	*settings
	dataDir, server, token string
	nodeName               string
	nodeIPs                []string
	local                  *server // only on servers
	supervisor             *access
	cluster                clusterConfig
	balancer               *balancer
}

func agentCommand(args []string) error {
	takeNotifySocket()
	parsed, err := parse("agent", args)
	if err != nil {
		return err
	}
	logDebug = parsed.boolean("debug")
	if err := refuseMissing(parsed); err != nil {
		return err
	}
	if os.Getuid() != 0 {
		return errors.New("agent requires additional privilege if not run with --rootless")
	}
	a := &agent{settings: parsed, dataDir: parsed.str("data-dir"), server: parsed.str("server")}
	if a.token, err = fileOr(parsed, "token"); err != nil {
		return err
	}
	_, err = tls.LoadX509KeyPair(a.path("client-kubelet.crt"), a.path("client-kubelet.key"))
	if err != nil && a.token == "" {
		return errors.New("--token is required")
	}
	if a.server == "" {
		return errors.New("--server is required")
	}
	if a.nodeName, a.nodeIPs, err = nodeIdentity(parsed); err != nil {
		return err
	}
	infof("Starting k3s agent %s (%s) - the lab's stand-in", version, commit)
	if binDir, err = extract(a.dataDir); err != nil {
		return err
	}
	extendPath()
	go waitForSignal()
	return a.run(context.Background())
}

func (a *agent) path(parts ...string) string {
	return filepath.Join(append([]string{a.dataDir, "agent"}, parts...)...)
}

// run performs upstream's start steps, then keeps the node's network up to date.
func (a *agent) run(ctx context.Context) error {
	if err := os.MkdirAll(a.path("etc"), 0o700); err != nil {
		return err
	}
	if err := a.connect(); err != nil {
		return err
	}
	a.configure()
	prepareKernel(a.nodeIPs)
	if err := a.serveRegistry(); err != nil {
		return err
	}
	if err := a.startContainerd(ctx); err != nil {
		return err
	}
	a.waitServer()
	if err := a.startKubelet(); err != nil {
		return err
	}
	if !a.cluster.DisableKubeProxy {
		a.startKubeProxy()
	}
	a.configureNode(ctx)
	if a.local == nil {
		infof("k3s agent is up and running")
		notifyReady()
	}
	a.keepNetwork(ctx)
	return nil
}

// connect finds the supervisor, on agents through the local balancer, and retries until its CA matches the token.
func (a *agent) connect() error {
	address := a.server
	if a.local == nil {
		var err error
		if a.balancer, err = startBalancer(a.server, a.number("lb-server-port"), a.path("etc/k3s-agent-load-balancer.json")); err != nil {
			return err
		}
		address = a.balancer.url()
	}
	for {
		var err error
		if a.supervisor, err = newAccess(address, a.tokenOrCA(), "node"); err == nil {
			a.supervisor.certFile, a.supervisor.keyFile = a.path("client-kubelet.crt"), a.path("client-kubelet.key")
			return nil
		}
		errorf("Failed to validate connection to cluster at %s: %v", a.server, err)
		time.Sleep(2 * time.Second)
	}
}

// tokenOrCA returns the token. With a client certificate of an earlier start, no token is needed.
func (a *agent) tokenOrCA() string {
	if a.token != "" {
		return a.token
	}
	return "-"
}

// apiURL returns the URL at which this node's components reach the API.
func (a *agent) apiURL() string {
	if a.balancer != nil {
		return a.balancer.url()
	}
	return a.server
}

// configure requests the cluster's settings and this node's certificates from the server, and retries until it
// succeeds: pkg/agent/config/config.go.
func (a *agent) configure() {
	for {
		err := a.fetch()
		if err == nil {
			return
		}
		infof("Waiting to retrieve agent configuration; server is not ready: %v", err)
		time.Sleep(5 * time.Second)
	}
}

func (a *agent) fetch() error {
	data, err := a.supervisor.get("/v1-k3s/config")
	if err != nil {
		return fmt.Errorf("failed to retrieve configuration from server: %w", err)
	}
	if err := json.Unmarshal(data, &a.cluster); err != nil {
		return err
	}
	for _, name := range []string{"client-ca.crt", "server-ca.crt"} {
		data, err := a.supervisor.get("/v1-k3s/" + name)
		if err != nil {
			return err
		}
		if err := writeFile(a.path(name), data, 0o600); err != nil {
			return err
		}
	}
	for _, name := range []string{"serving-kubelet", "client-kubelet", "client-kube-proxy", "client-k3s-controller"} {
		if err := a.fetchCertificate(name); err != nil {
			return err
		}
	}
	// The snapshotter is checked while the configuration is collected, and retried with it:
	// pkg/agent/config/config.go.
	if root := a.path("containerd"); a.str("snapshotter") == "overlayfs" && a.str("container-runtime-endpoint") == "" {
		if err := overlaySupported(root); err != nil {
			return fmt.Errorf("%q snapshotter cannot be enabled for %q, try using \"fuse-overlayfs\" or \"native\": %w", "overlayfs", root, err)
		}
	}
	for name, who := range map[string]string{"kubelet": "client-kubelet", "kubeproxy": "client-kube-proxy", "k3scontroller": "client-k3s-controller"} {
		text := kubeconfigFiles(a.apiURL(), a.path("server-ca.crt"), a.path(who+".crt"), a.path(who+".key"))
		if err := writeFile(a.path(name+".kubeconfig"), []byte(text), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// fetchCertificate lets the server sign a local key. The certificate of a deleted node is rejected with 401; then the
// token is used again (pkg/agent/config/config.go, getNodeNamedCrt).
func (a *agent) fetchCertificate(name string) error {
	password, err := ensureNodePasswordFile()
	if err != nil {
		return err
	}
	key, err := ensureKey(a.path(name + ".key"))
	if err != nil {
		return err
	}
	body, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		return err
	}
	header := http.Header{"K3s-Node-Name": {a.nodeName}, "K3s-Node-Password": {password}, "K3s-Node-Ip": {strings.Join(a.nodeIPs, ",")}}
	data, err := a.supervisor.send(http.MethodPost, "/v1-k3s/"+name+".crt", body, header)
	var status *statusError
	if errors.As(err, &status) && status.code == http.StatusUnauthorized {
		infof("Node authorization rejected, retrying without client certificate authentication")
		plain := *a.supervisor
		plain.certFile, plain.keyFile = "", ""
		data, err = plain.send(http.MethodPost, "/v1-k3s/"+name+".crt", body, header)
	}
	if errors.As(err, &status) && status.code == http.StatusForbidden {
		return fmt.Errorf("Node password rejected, duplicate hostname or contents of '%s' may not match server node-passwd entry, "+
			"try enabling a unique node name with the --with-node-id flag", nodePasswordFile)
	}
	if err != nil {
		return err
	}
	return writeFile(a.path(name+".crt"), certificatesOnly(data), 0o600)
}

func certificatesOnly(data []byte) []byte {
	var kept []byte
	for {
		block, rest := pem.Decode(data)
		if block == nil {
			return kept
		}
		if block.Type == "CERTIFICATE" {
			kept = append(kept, pem.EncodeToMemory(block)...)
		}
		data = rest
	}
}

func ensureNodePasswordFile() (string, error) {
	if data, err := os.ReadFile(nodePasswordFile); err == nil {
		return strings.TrimSpace(string(data)), nil
	}
	password := randomHex(16)
	if err := os.MkdirAll(filepath.Dir(nodePasswordFile), 0o755); err != nil {
		return "", err
	}
	return password, os.WriteFile(nodePasswordFile, []byte(password+"\n"), 0o600)
}

// serverReady asks one server directly, not through the balancer.
func (a *agent) serverReady(address string) error {
	server, err := net.DialTimeout("tcp", address, 2*time.Second)
	if err != nil {
		return err
	}
	server.Close()
	_, err = request(http.MethodGet, "https://"+address+"/v1-k3s/readyz", nil, nil, a.supervisor.ca, a.supervisor)
	return err
}

// waitServer waits until the server's API serves.
func (a *agent) waitServer() {
	for i := 0; ; i++ {
		_, err := a.supervisor.get("/v1-k3s/readyz")
		if err == nil {
			return
		}
		if i%30 == 29 {
			infof("Waiting for the server to be ready: %v", err)
		}
		time.Sleep(time.Second)
	}
}
