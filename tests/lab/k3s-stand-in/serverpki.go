// Copyright: (c) 2026, kubewright contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
)

var (
	clientUse = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	serverUse = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	bothUses  = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
)

// tls returns the path of a file below server/tls. The layout is upstream's: pkg/daemons/control/deps/deps.go.
func (s *server) tls(name string) string { return filepath.Join(s.dir, "tls", name) }

func (s *server) cred(name string) string { return filepath.Join(s.dir, "cred", name) }

// prepareCertificates creates missing CAs, certificates, keys, and the control plane's kubeconfigs.
func (s *server) prepareCertificates() error {
	for name, file := range map[string]string{
		"k3s-client": "client-ca", "k3s-server": "server-ca", "k3s-request-header": "request-header-ca",
		"etcd-server": "etcd/server-ca", "etcd-peer": "etcd/peer-ca",
	} {
		if err := ensureCA(name, s.tls(file+".crt"), s.tls(file+".key")); err != nil {
			return err
		}
	}
	for _, name := range []string{"client-ca", "server-ca"} {
		data, err := os.ReadFile(s.tls(name + ".crt"))
		if err != nil {
			return err
		}
		if err := writeFile(s.tls(name+".nochain.crt"), data, 0o600); err != nil {
			return err
		}
	}
	if err := ensureRSA(s.tls("service.key")); err != nil {
		return err
	}
	data, err := os.ReadFile(s.tls("service.key"))
	if err != nil {
		return err
	}
	if err := writeFile(s.tls("service.current.key"), data, 0o600); err != nil {
		return err
	}
	for _, name := range []string{"client-kubelet.key", "serving-kubelet.key"} {
		if _, err := ensureKey(s.tls(name)); err != nil {
			return err
		}
	}
	return s.leafCertificates()
}

type leaf struct {
	file, ca string
	spec     certificateSpec
}

// leaves returns all certificates of a server except those of its node.
func (s *server) leaves() []leaf {
	client := func(file, name string, groups ...string) leaf {
		return leaf{file, "client-ca", certificateSpec{name, groups, nil, clientUse}}
	}
	service := []string{"kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc." + s.str("cluster-domain")}
	return []leaf{
		client("client-admin", "system:admin", "system:masters"),
		client("client-supervisor", "system:k3s-supervisor", "system:masters"),
		client("client-controller", "system:kube-controller-manager"),
		client("client-scheduler", "system:kube-scheduler"),
		client("client-kube-apiserver", "system:apiserver", "system:masters"),
		client("client-kube-proxy", "system:kube-proxy"),
		client("client-k3s-controller", "system:k3s-controller"),
		client("client-k3s-cloud-controller", "k3s-cloud-controller-manager"),
		{"client-auth-proxy", "request-header-ca", certificateSpec{"system:auth-proxy", nil, nil, clientUse}},
		{"serving-kube-apiserver", "server-ca", certificateSpec{"kube-apiserver", nil, append(service, s.sans...), serverUse}},
		{"etcd/client", "etcd/server-ca", certificateSpec{"etcd-client", nil, nil, clientUse}},
		{"etcd/server-client", "etcd/server-ca", certificateSpec{"etcd-server", nil, append([]string{"kine.sock"}, s.sans...), bothUses}},
		{"etcd/peer-server-client", "etcd/peer-ca", certificateSpec{"etcd-peer", nil, s.sans, bothUses}},
	}
}

func (s *server) leafCertificates() error {
	for _, l := range s.leaves() {
		err := ensureCertificate(l.spec, s.tls(l.file+".crt"), s.tls(l.file+".key"), s.tls(l.ca+".crt"), s.tls(l.ca+".key"))
		if err != nil {
			return err
		}
	}
	address := fmt.Sprintf("https://127.0.0.1:%d", s.apiPort)
	for name, who := range map[string]string{
		"admin": "client-admin", "supervisor": "client-supervisor", "controller": "client-controller",
		"scheduler": "client-scheduler", "api-server": "client-kube-apiserver", "cloud-controller": "client-k3s-cloud-controller",
	} {
		text := kubeconfigFiles(address, s.tls("server-ca.crt"), s.tls(who+".crt"), s.tls(who+".key"))
		if err := writeFile(s.cred(name+".kubeconfig"), []byte(text), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// kubeconfigFiles returns a kubeconfig with paths of certificates; kubeconfigData embeds them.
func kubeconfigFiles(address, ca, cert, key string) string {
	return kubeconfig("local", "Default", "user", address,
		"certificate-authority: "+ca, "client-certificate: "+cert, "client-key: "+key)
}

func kubeconfigData(address, caFile, certFile, keyFile string) (string, error) {
	var found []string
	for _, file := range []string{caFile, certFile, keyFile} {
		data, err := os.ReadFile(file)
		if err != nil {
			return "", err
		}
		found = append(found, base64.StdEncoding.EncodeToString(bytes.TrimSpace(append(data, '\n'))))
	}
	return kubeconfig("default", "default", "default", address,
		"certificate-authority-data: "+found[0], "client-certificate-data: "+found[1], "client-key-data: "+found[2]), nil
}

func kubeconfig(cluster, context, user, address, ca, cert, key string) string {
	return fmt.Sprintf(`apiVersion: v1
clusters:
- cluster:
    %s
    server: %s
  name: %s
contexts:
- context:
    cluster: %s
    user: %s
  name: %s
current-context: %s
kind: Config
users:
- name: %s
  user:
    %s
    %s
`, ca, address, cluster, cluster, user, context, context, user, cert, key)
}
