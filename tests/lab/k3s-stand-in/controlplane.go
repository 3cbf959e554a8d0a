// Copyright: (c) 2026, kubewright contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"time"
)

// arguments merges user arguments into the computed ones. An argument with the same name replaces, `name+=` appends,
// `name-=` prepends: pkg/util/args.go (GetArgs).
func arguments(computed map[string]string, extra []string) []string {
	values := map[string][]string{}
	for name, value := range computed {
		values[name] = []string{value}
	}
	replaced := map[string]bool{}
	for _, arg := range extra {
		name, value, given := strings.Cut(strings.TrimPrefix(arg, "--"), "=")
		if !given {
			value = "true"
		}
		plain := strings.TrimRight(name, "+-")
		switch {
		case strings.HasSuffix(name, "+"):
			values[plain] = append(values[plain], value)
		case strings.HasSuffix(name, "-"):
			values[plain] = append([]string{value}, values[plain]...)
		case replaced[plain]:
			values[plain] = append(values[plain], value)
		default:
			values[plain] = []string{value}
		}
		replaced[plain] = true
	}
	var args []string
	for name, all := range values {
		for _, value := range all {
			args = append(args, "--"+name+"="+value)
		}
	}
	sort.Strings(args)
	return args
}

// controlPlane starts the API server, waits for it, and starts the components that need it:
// pkg/daemons/control/server.go.
func (s *server) controlPlane(ctx context.Context) error {
	start("kube-apiserver", arguments(s.apiArguments(), s.list("kube-apiserver-arg")))
	if err := s.forwardAPI(); err != nil {
		return err
	}
	s.waitAPI(ctx)
	infof("Kube API server is now running")
	s.apiReady.Store(true)
	if !s.boolean("disable-controller-manager") {
		extra := append(s.list("kube-controller-manager-arg"), s.list("kube-controller-arg")...)
		start("kube-controller-manager", arguments(s.controllerArguments(), extra))
	}
	if !s.boolean("disable-scheduler") {
		computed := map[string]string{
			"kubeconfig": s.cred("scheduler.kubeconfig"), "authentication-kubeconfig": s.cred("scheduler.kubeconfig"),
			"authorization-kubeconfig": s.cred("scheduler.kubeconfig"), "bind-address": "127.0.0.1", "secure-port": "10259",
			"profiling": "false", "leader-elect": strconv.FormatBool(!s.storage.noLeaderElected),
			"tls-cert-file": s.tls("serving-kube-apiserver.crt"), "tls-private-key-file": s.tls("serving-kube-apiserver.key"),
		}
		start("kube-scheduler", arguments(computed, s.list("kube-scheduler-arg")))
	}
	return nil
}

// apiHost returns the address of the API server. The service kubernetes always points to the API server's port, and
// only K3s's fork can advertise another one. So the API server uses the supervisor's port, on a loopback address of
// its own.
const apiHost = "127.0.0.2"

func (s *server) apiAddress() string { return net.JoinHostPort(apiHost, strconv.Itoa(s.port)) }

// forwardAPI forwards 127.0.0.1:6444, where K3s serves the API, to the API server's address here.
func (s *server) forwardAPI() error {
	listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", s.apiPort))
	if err != nil {
		return err
	}
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer client.Close()
				if api, err := net.DialTimeout("tcp", s.apiAddress(), 2*time.Second); err == nil {
					defer api.Close()
					exchange(client, api)
				}
			}()
		}
	}()
	return nil
}

func (s *server) apiArguments() map[string]string {
	issuer := "https://kubernetes.default.svc." + s.str("cluster-domain")
	args := map[string]string{
		"secure-port": strconv.Itoa(s.port), "bind-address": apiHost, "permit-port-sharing": "true",
		"allow-privileged": "true", "anonymous-auth": "false", "authorization-mode": "Node,RBAC",
		"api-audiences": issuer + ",k3s", "service-account-issuer": issuer,
		"service-account-key-file": s.tls("service.key"), "service-account-signing-key-file": s.tls("service.current.key"),
		"service-cluster-ip-range": strings.Join(s.critical.ServiceIPRanges, ","),
		"service-node-port-range":  s.str("service-node-port-range"),
		"cert-dir":                 s.tls("temporary-certs"), "client-ca-file": s.tls("client-ca.crt"),
		"tls-cert-file": s.tls("serving-kube-apiserver.crt"), "tls-private-key-file": s.tls("serving-kube-apiserver.key"),
		"kubelet-certificate-authority":      s.tls("server-ca.crt"),
		"kubelet-client-certificate":         s.tls("client-kube-apiserver.crt"),
		"kubelet-client-key":                 s.tls("client-kube-apiserver.key"),
		"kubelet-preferred-address-types":    "InternalIP,ExternalIP,Hostname",
		"requestheader-client-ca-file":       s.tls("request-header-ca.crt"),
		"requestheader-allowed-names":        "system:auth-proxy",
		"requestheader-username-headers":     "X-Remote-User",
		"requestheader-group-headers":        "X-Remote-Group",
		"requestheader-extra-headers-prefix": "X-Remote-Extra-",
		"proxy-client-cert-file":             s.tls("client-auth-proxy.crt"),
		"proxy-client-key-file":              s.tls("client-auth-proxy.key"),
		"enable-admission-plugins":           "NodeRestriction", "enable-bootstrap-token-auth": "true", "profiling": "false",
		"storage-backend": "etcd3", "etcd-servers": strings.Join(s.storage.endpoints, ","),
		"advertise-address": s.advertised(),
	}
	for name, value := range map[string]string{"etcd-cafile": s.storage.ca, "etcd-certfile": s.storage.cert, "etcd-keyfile": s.storage.key} {
		if value != "" {
			args[name] = value
		}
	}
	if s.encrypted() {
		args["encryption-provider-config"] = s.cred("encryption-config.json")
		args["encryption-provider-config-automatic-reload"] = "true"
	}
	return args
}

// advertised returns advertise-address, otherwise node-external-ip, otherwise node-ip (pkg/cli/server/server.go).
func (s *server) advertised() string {
	if address := s.str("advertise-address"); address != "" {
		return address
	}
	if external := splitList(s.list("node-external-ip")); len(external) > 0 {
		return external[0]
	}
	return s.nodeIPs[0]
}

func (s *server) controllerArguments() map[string]string {
	tls := s.tls
	return map[string]string{
		"kubeconfig": s.cred("controller.kubeconfig"), "authentication-kubeconfig": s.cred("controller.kubeconfig"),
		"authorization-kubeconfig": s.cred("controller.kubeconfig"), "bind-address": "127.0.0.1", "secure-port": "10257",
		"service-account-private-key-file": tls("service.current.key"), "root-ca-file": tls("server-ca.crt"),
		"allocate-node-cidrs": "true", "cluster-cidr": strings.Join(s.critical.ClusterIPRanges, ","),
		"service-cluster-ip-range":        strings.Join(s.critical.ServiceIPRanges, ","),
		"use-service-account-credentials": "true", "profiling": "false",
		"controllers":   "*,tokencleaner",
		"leader-elect":  strconv.FormatBool(!s.storage.noLeaderElected),
		"tls-cert-file": tls("serving-kube-apiserver.crt"), "tls-private-key-file": tls("serving-kube-apiserver.key"),
		"cluster-signing-kube-apiserver-client-cert-file": tls("client-ca.nochain.crt"),
		"cluster-signing-kube-apiserver-client-key-file":  tls("client-ca.key"),
		"cluster-signing-kubelet-client-cert-file":        tls("client-ca.nochain.crt"),
		"cluster-signing-kubelet-client-key-file":         tls("client-ca.key"),
		"cluster-signing-kubelet-serving-cert-file":       tls("server-ca.nochain.crt"),
		"cluster-signing-kubelet-serving-key-file":        tls("server-ca.key"),
		"cluster-signing-legacy-unknown-cert-file":        tls("server-ca.nochain.crt"),
		"cluster-signing-legacy-unknown-key-file":         tls("server-ca.key"),
	}
}

func (s *server) manifests() string { return filepath.Join(s.dir, "manifests") }
