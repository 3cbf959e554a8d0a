// Copyright: (c) 2026, kubewright contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"
)

// identity is the user of a request.
type identity struct {
	user   string
	groups []string
}

var errNotAuthorized = errors.New("not authorized")

// identify accepts client certificates of the cluster, the two passwords, and bootstrap tokens:
// pkg/server/auth/auth.go.
func (s *server) identify(r *http.Request) (*identity, error) {
	if who := s.byCertificate(r); who != nil {
		return who, nil
	}
	if user, password, ok := r.BasicAuth(); ok {
		known, found := s.accounts[user]
		if !found || subtle.ConstantTimeCompare([]byte(known.password), []byte(password)) != 1 {
			return nil, errNotAuthorized
		}
		return &identity{user, []string{known.group}}, nil
	}
	if value, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok && bootstrapPattern.MatchString(value) {
		return s.byBootstrapToken(r, value)
	}
	return nil, nil
}

func (s *server) byCertificate(r *http.Request) *identity {
	if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 {
		return nil
	}
	data, err := os.ReadFile(s.tls("client-ca.crt"))
	if err != nil {
		return nil
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(data)
	certificate := r.TLS.PeerCertificates[0]
	if _, err := certificate.Verify(x509.VerifyOptions{Roots: roots, KeyUsages: clientUse}); err != nil {
		return nil
	}
	return &identity{certificate.Subject.CommonName, certificate.Subject.Organization}
}

// byBootstrapToken checks a token against Kubernetes' Secrets for bootstrap tokens with K3s's group:
// docs.k3s.io/cli/token#bootstrap.
func (s *server) byBootstrapToken(r *http.Request, value string) (*identity, error) {
	if !s.coreReady.Load() {
		return nil, errNotAuthorized
	}
	id, secret, _ := strings.Cut(value, ".")
	var found struct{ Data map[string]string }
	if err := s.kube.get(r.Context(), "/api/v1/namespaces/kube-system/secrets/bootstrap-token-"+id, &found); err != nil {
		return nil, errNotAuthorized
	}
	read := func(name string) string {
		data, _ := base64.StdEncoding.DecodeString(found.Data[name])
		return string(data)
	}
	if until := read("expiration"); until != "" {
		when, err := time.Parse(time.RFC3339, until)
		if err != nil || time.Now().After(when) {
			return nil, errNotAuthorized
		}
	}
	if subtle.ConstantTimeCompare([]byte(read("token-secret")), []byte(secret)) != 1 || read("usage-bootstrap-authentication") != "true" {
		return nil, errNotAuthorized
	}
	groups := append([]string{"system:bootstrappers"}, splitList([]string{read("auth-extra-groups")})...)
	return &identity{"system:bootstrap:" + id, groups}, nil
}

// only admits users with one of these roles.
func (s *server) only(roles []string, next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		who, err := s.identify(r)
		if err != nil {
			errorf("Failed to authenticate request from %s: %v", r.RemoteAddr, err)
			sendError(w, errNotAuthorized, http.StatusUnauthorized)
			return
		}
		if who == nil || !slices.ContainsFunc(who.groups, func(group string) bool { return slices.Contains(roles, group) }) {
			sendError(w, errors.New("forbidden"), http.StatusForbidden)
			return
		}
		next(w, r)
	}
}

// apiProxy forwards all other requests to the API server, which is a separate process here. It passes on the identity
// of client certificates in headers (kubernetes.io/docs/reference/access-authn-authz/authentication, authenticating
// proxy).
func (s *server) apiProxy() http.Handler {
	target := &url.URL{Scheme: "https", Host: s.apiAddress()}
	named, plain := s.apiTransport(true), s.apiTransport(false)
	forward := func(transport http.RoundTripper) *httputil.ReverseProxy {
		return &httputil.ReverseProxy{Transport: transport, FlushInterval: -1, Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Host = r.In.Host
		}, ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			debugf("proxy to the API server: %v", err)
			sendError(w, errors.New("apiserver not ready"), http.StatusServiceUnavailable)
		}}
	}
	asNamed, asPlain := forward(named), forward(plain)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !s.apiReady.Load() {
			sendError(w, errors.New("apiserver not ready"), http.StatusServiceUnavailable)
			return
		}
		for name := range r.Header {
			if strings.HasPrefix(name, "X-Remote-") {
				r.Header.Del(name)
			}
		}
		who := s.byCertificate(r)
		if who == nil {
			asPlain.ServeHTTP(w, r)
			return
		}
		r.Header.Set("X-Remote-User", who.user)
		for _, group := range who.groups {
			r.Header.Add("X-Remote-Group", group)
		}
		asNamed.ServeHTTP(w, r)
	})
}

func (s *server) apiTransport(named bool) http.RoundTripper {
	data, _ := os.ReadFile(s.tls("server-ca.crt"))
	config := &tls.Config{RootCAs: x509.NewCertPool(), ServerName: "localhost"}
	config.RootCAs.AppendCertsFromPEM(data)
	if named {
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			pair, err := tls.LoadX509KeyPair(s.tls("client-auth-proxy.crt"), s.tls("client-auth-proxy.key"))
			return &pair, err
		}
	}
	dialer := &net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second}
	return &http.Transport{TLSClientConfig: config, DialContext: dialer.DialContext, MaxIdleConnsPerHost: 100, IdleConnTimeout: 90 * time.Second}
}
