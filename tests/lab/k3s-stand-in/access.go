// Copyright: (c) 2026, kubewright contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
)

// access holds what a client needs to reach a server's supervisor: pkg/clientaccess/token.go.
type access struct {
	token
	base              string
	ca                []byte
	certFile, keyFile string
}

// newAccess fetches the server's CA and compares it with the hash in the token. It does not check the password.
func newAccess(server, value, user string) (*access, error) {
	parsed, err := parseToken(value)
	if err != nil {
		return nil, err
	}
	if parsed.bootstrap == "" && user != "" {
		parsed.user = user
	}
	address, err := url.Parse(server)
	if err != nil {
		return nil, fmt.Errorf("Invalid server url, failed to parse: %s: %w", server, err)
	}
	if address.Scheme != "https" {
		return nil, errors.New("only https:// URLs are supported, invalid scheme: " + server)
	}
	found := &access{token: parsed, base: strings.TrimRight(server, "/")}
	if found.ca, err = fetchCA(found.base); err != nil {
		return nil, err
	}
	if parsed.caHash == "" {
		warnf("Cluster CA certificate is not trusted by the host CA bundle, but the token does not include a CA hash. " +
			"Use the full token from the server's node-token file to enable Cluster CA validation.")
	} else if hash := hashCA(found.ca); hash != parsed.caHash {
		return nil, fmt.Errorf("token CA hash does not match the Cluster CA certificate hash: %s != %s", parsed.caHash, hash)
	}
	return found, nil
}

func fetchCA(base string) ([]byte, error) {
	ca, err := request(http.MethodGet, base+"/cacerts", nil, nil, nil, &access{})
	if err != nil {
		return nil, fmt.Errorf("failed to get CA certs: %w", err)
	}
	if _, err := request(http.MethodGet, base+"/cacerts", nil, nil, ca, &access{}); err != nil {
		return nil, fmt.Errorf("CA cert validation failed: %w", err)
	}
	return ca, nil
}

// statusError is an HTTP response with an error status.
type statusError struct {
	url, status, body string
	code              int
}

func (e *statusError) Error() string {
	return strings.TrimSpace(fmt.Sprintf("%s: %s", e.url, e.status))
}

func (a *access) get(path string) ([]byte, error) {
	return request(http.MethodGet, a.base+path, nil, nil, a.ca, a)
}

func (a *access) send(method, path string, body []byte, header http.Header) ([]byte, error) {
	return request(method, a.base+path, body, header, a.ca, a)
}

// request sends a request to a supervisor. Without a CA nothing is verified: use that only to fetch the CA.
func request(method, address string, body []byte, header http.Header, ca []byte, who *access) ([]byte, error) {
	config := &tls.Config{InsecureSkipVerify: ca == nil}
	if ca != nil {
		config.RootCAs = x509.NewCertPool()
		config.RootCAs.AppendCertsFromPEM(ca)
	}
	if pair, err := tls.LoadX509KeyPair(who.certFile, who.keyFile); err == nil {
		config.Certificates = []tls.Certificate{pair}
	}
	transport := &http.Transport{DisableKeepAlives: true, TLSClientConfig: config}
	client := &http.Client{Timeout: 20 * time.Second, Transport: transport}
	question, err := http.NewRequest(method, address, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	for name, values := range header {
		question.Header[name] = values
	}
	if who.bootstrap != "" {
		question.Header.Set("Authorization", "Bearer "+who.bootstrap)
	} else if who.user != "" {
		question.SetBasicAuth(who.user, who.password)
	}
	answer, err := client.Do(question)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	data, err := io.ReadAll(answer.Body)
	if answer.StatusCode < 200 || answer.StatusCode > 299 {
		return nil, &statusError{address, answer.Status, string(data), answer.StatusCode}
	}
	return data, err
}

// localAccess returns access for commands on the server itself, with the token that the server wrote.
func localAccess(dataDir, server, value string) (*access, error) {
	if value == "" {
		data, err := os.ReadFile(dataDir + "/server/token")
		if err != nil {
			return nil, err
		}
		value = strings.TrimSpace(string(data))
	}
	if server == "" {
		server = "https://127.0.0.1:6443"
	}
	return newAccess(server, value, "server")
}
