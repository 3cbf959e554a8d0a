// Copyright: (c) 2026, kubewright contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
)

// embeddedAddress is where containerd reaches the embedded registry on its own node: pkg/spegel/registry.go.
func (a *agent) embeddedAddress() string {
	return net.JoinHostPort("127.0.0.1", fmt.Sprint(a.cluster.HTTPSPort))
}

// serveRegistry opens the supervisor's port on an agent, where only the embedded registry answers, to clients with a
// certificate of the cluster: pkg/agent/https/https.go. A server has that port already.
func (a *agent) serveRegistry() error {
	if a.local != nil || !a.cluster.EmbeddedRegistry {
		return nil
	}
	certificate, err := tls.LoadX509KeyPair(a.path("serving-kubelet.crt"), a.path("serving-kubelet.key"))
	if err != nil {
		return err
	}
	authority, err := os.ReadFile(a.path("client-ca.crt"))
	if err != nil {
		return err
	}
	clients := x509.NewCertPool()
	if !clients.AppendCertsFromPEM(authority) {
		return errors.New("client-ca.crt has no certificate")
	}
	listener, err := net.Listen("tcp", net.JoinHostPort(a.str("bind-address"), fmt.Sprint(a.cluster.HTTPSPort)))
	if err != nil {
		return err
	}
	web := &http.Server{
		Handler:   http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { answerRegistry(w, r, len(r.TLS.PeerCertificates) > 0) }),
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{certificate}, ClientCAs: clients, ClientAuth: tls.VerifyClientCertIfGiven},
	}
	go func() {
		if err := web.ServeTLS(listener, "", ""); !stopping.Load() {
			fatalf("Error: embedded registry: %v", err)
		}
	}()
	return nil
}

// answerRegistry answers as an embedded registry that no other node has told of an image: containerd asks the next
// endpoint then. Only clients with a certificate of the cluster may ask.
func answerRegistry(w http.ResponseWriter, r *http.Request, known bool) {
	switch {
	case !known:
		sendError(w, errors.New("Unauthorized"), http.StatusUnauthorized)
	case r.URL.Path == "/v2/" || r.URL.Path == "/v2":
		w.WriteHeader(http.StatusOK)
	default:
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusNotFound)
		_, _ = w.Write([]byte(`{"errors":[{"code":"MANIFEST_UNKNOWN","message":"no node is known to have it"}]}`))
	}
}
