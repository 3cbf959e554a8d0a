// Copyright: (c) 2026, kubewright contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"time"
)

const reusePort = 15 // SO_REUSEPORT, missing in package syscall; see apiHost

// listen serves the supervisor and the API on one port: pkg/cluster/https.go, pkg/server/handlers/router.go.
func (s *server) listen() error {
	certificate, err := s.listenerCertificate()
	if err != nil {
		return err
	}
	config := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		var failed error
		err := raw.Control(func(fd uintptr) { failed = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, reusePort, 1) })
		return errors.Join(err, failed)
	}}
	listener, err := config.Listen(context.Background(), "tcp", net.JoinHostPort(s.str("bind-address"), fmt.Sprint(s.port)))
	if err != nil {
		return err
	}
	web := &http.Server{
		Handler:  s.routes(),
		ErrorLog: nil,
		TLSConfig: &tls.Config{
			Certificates: []tls.Certificate{certificate}, ClientAuth: tls.RequestClientCert, MinVersion: tls.VersionTLS12,
		},
	}
	atStop = web.Close
	go func() {
		if err := web.ServeTLS(notAPI{listener}, "", ""); !stopping.Load() {
			fatalf("Error: supervisor listener: %v", err)
		}
	}()
	return nil
}

// notAPI closes connections to the API server's address while the API server does not run yet.
type notAPI struct{ net.Listener }

func (l notAPI) Accept() (net.Conn, error) {
	for {
		connection, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if local, ok := connection.LocalAddr().(*net.TCPAddr); !ok || local.IP.String() != apiHost {
			return connection, nil
		}
		connection.Close()
	}
}

// listenerCertificate creates a certificate at each start, with all names of tls-san and of the node.
func (s *server) listenerCertificate() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	names := append([]string{"kubernetes", "kubernetes.default", "kubernetes.default.svc",
		"kubernetes.default.svc." + s.str("cluster-domain")}, s.sans...)
	data, err := sign(certificateSpec{"k3s", []string{"k3s"}, names, serverUse}, key.Public(), s.tls("server-ca.crt"), s.tls("server-ca.key"))
	if err != nil {
		return tls.Certificate{}, err
	}
	raw, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.X509KeyPair(data, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: raw}))
}

const (
	roleAgent     = "k3s:agent"
	roleServer    = "k3s:server"
	roleNodes     = "system:nodes"
	roleBootstrap = "system:bootstrappers:k3s:default-node-token"
)

func (s *server) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/cacerts", s.sendFile("server-ca.crt"))
	mux.HandleFunc("/ping", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("pong")) })
	agents := []string{roleAgent, roleNodes, roleBootstrap}
	for path, handler := range map[string]http.HandlerFunc{
		"serving-kubelet.crt": s.servingKubelet, "client-kubelet.crt": s.clientKubelet,
		"client-kube-proxy.crt":     s.clientCertificate("system:kube-proxy", "client-kube-proxy.key"),
		"client-k3s-controller.crt": s.clientCertificate("system:k3s-controller", "client-k3s-controller.key"),
		"client-ca.crt":             s.sendFile("client-ca.crt"), "server-ca.crt": s.sendFile("server-ca.crt"),
		"apiservers": s.apiservers, "config": s.sendConfig, "readyz": s.readyz,
	} {
		mux.HandleFunc("/v1-k3s/"+path, s.only(agents, handler))
	}
	servers := []string{roleServer}
	mux.HandleFunc("/v1-k3s/server-bootstrap", s.only(servers, s.sendBootstrap))
	mux.HandleFunc("/v1-k3s/token", s.only(servers, s.rotateToken))
	mux.HandleFunc("/v1-k3s/encrypt/status", s.only(servers, s.encryptStatus))
	mux.HandleFunc("/v1-k3s/encrypt/config", s.only(servers, s.encryptConfig))
	mux.HandleFunc("/db/info", s.only(servers, s.memberInfo))
	mux.HandleFunc("/db/snapshot", s.only(servers, s.snapshotRequest))
	if s.boolean("embedded-registry") {
		mux.HandleFunc("/v2/", func(w http.ResponseWriter, r *http.Request) { answerRegistry(w, r, s.byCertificate(r) != nil) })
	}
	mux.Handle("/", s.apiProxy())
	return mux
}

// sendError sends an error in the API's format: pkg/util/apierrors.go (SendError).
func sendError(w http.ResponseWriter, err error, code int) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(map[string]any{"kind": "Status", "apiVersion": "v1", "metadata": map[string]any{},
		"status": "Failure", "message": err.Error(), "reason": strings.ReplaceAll(http.StatusText(code), " ", ""), "code": code})
}

func sendJSON(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(value)
}

func (s *server) sendFile(name string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		data, err := os.ReadFile(s.tls(name))
		if err != nil {
			sendError(w, err, http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "text/plain")
		_, _ = w.Write(data)
	}
}

func (s *server) sendConfig(w http.ResponseWriter, _ *http.Request) { sendJSON(w, s.clusterConfig()) }

var errCoreNotReady = errors.New("runtime core not ready")

func (s *server) readyz(w http.ResponseWriter, _ *http.Request) {
	if !s.coreReady.Load() {
		sendError(w, errCoreNotReady, http.StatusServiceUnavailable)
		return
	}
	_, _ = w.Write([]byte("ok"))
}

// sendBootstrap sends the cluster's keys to a joining server. Only servers with embedded etcd do that.
func (s *server) sendBootstrap(w http.ResponseWriter, r *http.Request) {
	if !s.managed {
		warnf("Received HTTP bootstrap request from %s, but embedded etcd is not enabled.", r.RemoteAddr)
		sendError(w, errors.New("etcd disabled"), http.StatusBadRequest)
		return
	}
	data, err := s.readBootstrap()
	if err != nil {
		sendError(w, err, http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(data)
}

// apiservers returns the endpoints of the service kubernetes, for the agents' balancers.
func (s *server) apiservers(w http.ResponseWriter, r *http.Request) {
	var slices struct {
		Items []struct {
			Endpoints []struct{ Addresses []string }
			Ports     []struct{ Port int }
		}
	}
	found := []string{}
	if s.coreReady.Load() {
		path := "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices?labelSelector=kubernetes.io%2Fservice-name%3Dkubernetes"
		if err := s.kube.get(r.Context(), path, &slices); err != nil {
			debugf("Failed to get apiserver addresses from kubernetes: %v", err)
		}
		for _, slice := range slices.Items {
			if len(slice.Ports) == 0 {
				continue
			}
			for _, endpoint := range slice.Endpoints {
				for _, address := range endpoint.Addresses {
					found = append(found, net.JoinHostPort(address, fmt.Sprint(slice.Ports[0].Port)))
				}
			}
		}
	}
	sendJSON(w, found)
}

func (s *server) memberInfo(w http.ResponseWriter, r *http.Request) {
	if s.etcd == nil || s.etcd.client == nil {
		sendError(w, errors.New("failed to get etcd MemberList: etcd datastore is not started"), http.StatusInternalServerError)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
	defer cancel()
	list, err := s.etcd.client.MemberList(ctx)
	if err != nil {
		sendError(w, fmt.Errorf("failed to get etcd MemberList: %w", err), http.StatusInternalServerError)
		return
	}
	sendJSON(w, memberList{list.Members})
}

func (s *server) servingKubelet(w http.ResponseWriter, r *http.Request) {
	name, code, err := s.checkNode(r)
	if err != nil {
		sendError(w, err, code)
		return
	}
	names := append([]string{name, "localhost", "127.0.0.1", "::1"}, splitList(r.Header.Values("k3s-Node-IP"))...)
	s.signAndSend(w, r, certificateSpec{name, nil, names, serverUse}, "server-ca", "serving-kubelet.key")
}

func (s *server) clientKubelet(w http.ResponseWriter, r *http.Request) {
	name, code, err := s.checkNode(r)
	if err != nil {
		sendError(w, err, code)
		return
	}
	s.signAndSend(w, r, certificateSpec{"system:node:" + name, []string{"system:nodes"}, nil, clientUse}, "client-ca", "client-kubelet.key")
}

func (s *server) clientCertificate(name, key string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		s.signAndSend(w, r, certificateSpec{name, nil, nil, clientUse}, "client-ca", key)
	}
}

// signAndSend signs a client's key, or sends the shared key and certificate to clients without one:
// pkg/server/handlers/handlers.go.
func (s *server) signAndSend(w http.ResponseWriter, r *http.Request, spec certificateSpec, ca, keyFile string) {
	var key []byte
	body, _ := io.ReadAll(r.Body)
	request, err := x509.ParseCertificateRequest(body)
	var public any
	if err == nil && r.Method == http.MethodPost {
		public = request.PublicKey
	} else {
		if key, err = os.ReadFile(s.tls(keyFile)); err != nil {
			sendError(w, err, http.StatusInternalServerError)
			return
		}
		signer, err := parseKey(key)
		if err != nil {
			sendError(w, err, http.StatusInternalServerError)
			return
		}
		public = signer.Public()
	}
	data, err := sign(spec, public, s.tls(ca+".crt"), s.tls(ca+".key"))
	if err != nil {
		sendError(w, err, http.StatusInternalServerError)
		return
	}
	_, _ = w.Write(append(data, key...))
}
