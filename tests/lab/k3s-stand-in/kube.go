// Copyright: (c) 2026, kubewright contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"
)

const (
	strategic = "application/strategic-merge-patch+json"
	merge     = "application/merge-patch+json"
	apply     = "application/apply-patch+yaml"
)

// kube is a minimal client of the API.
type kube struct {
	base   string
	client *http.Client
}

type apiError struct {
	Code            int
	Reason, Message string
}

func (e *apiError) Error() string { return e.Message }

func notFound(err error) bool {
	status, ok := err.(*apiError)
	return ok && status.Code == http.StatusNotFound
}

// newKube creates a client that reads the certificate for each connection, so that rotated ones are used.
func newKube(base, caFile, certFile, keyFile string) *kube {
	ca, _ := os.ReadFile(caFile)
	config := &tls.Config{RootCAs: x509.NewCertPool(), GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		pair, err := tls.LoadX509KeyPair(certFile, keyFile)
		return &pair, err
	}}
	config.RootCAs.AppendCertsFromPEM(ca)
	return &kube{base, &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{TLSClientConfig: config, MaxIdleConnsPerHost: 8}}}
}

func (k *kube) do(ctx context.Context, method, path, content string, body, answer any) error {
	var data []byte
	if body != nil {
		var err error
		if data, err = json.Marshal(body); err != nil {
			return err
		}
	}
	request, err := http.NewRequestWithContext(ctx, method, k.base+path, bytes.NewReader(data))
	if err != nil {
		return err
	}
	if content != "" {
		request.Header.Set("Content-Type", content)
	}
	request.Header.Set("Accept", "application/json")
	response, err := k.client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	data, err = io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode > 299 {
		status := &apiError{Code: response.StatusCode}
		_ = json.Unmarshal(data, status)
		if status.Message == "" {
			status.Message = fmt.Sprintf("%s: %s", path, response.Status)
		}
		status.Code = response.StatusCode
		return status
	}
	if answer == nil {
		return nil
	}
	return json.Unmarshal(data, answer)
}

func (k *kube) raw(ctx context.Context, path string) error {
	return k.do(ctx, http.MethodGet, path, "", nil, nil)
}

func (k *kube) get(ctx context.Context, path string, answer any) error {
	return k.do(ctx, http.MethodGet, path, "", nil, answer)
}

func (k *kube) create(ctx context.Context, path string, body any) error {
	return k.do(ctx, http.MethodPost, path, "application/json", body, nil)
}

func (k *kube) patch(ctx context.Context, path, content string, body any) error {
	return k.do(ctx, http.MethodPatch, path, content, body, nil)
}

func (k *kube) delete(ctx context.Context, path string) error {
	return k.do(ctx, http.MethodDelete, path, "", nil, nil)
}

// apply performs a server-side apply.
func (k *kube) apply(ctx context.Context, path string, body any) error {
	return k.patch(ctx, path+"?fieldManager=k3s&force=true", apply, body)
}

// node has the fields of a Node that are used here.
type node struct {
	Metadata struct {
		Name                string
		ResourceVersion     string
		DeletionTimestamp   string
		Finalizers          []string
		Labels, Annotations map[string]string
	}
	Spec struct {
		PodCIDR    string
		PodCIDRs   []string
		ProviderID string
		Taints     []map[string]string
	}
	Status struct {
		Addresses  []map[string]string
		Conditions []map[string]string
		NodeInfo   map[string]any
	}
}

func (n *node) name() string                  { return n.Metadata.Name }
func (n *node) label(name string) string      { return n.Metadata.Labels[name] }
func (n *node) annotation(name string) string { return n.Metadata.Annotations[name] }
func (n *node) address(kind string) string    { return first(n.addresses(kind)) }
func (n *node) path() string                  { return "/api/v1/nodes/" + n.name() }
func first(values []string) string {
	if len(values) == 0 {
		return ""
	}
	return values[0]
}

func (n *node) addresses(kind string) []string {
	var found []string
	for _, address := range n.Status.Addresses {
		if address["type"] == kind {
			found = append(found, address["address"])
		}
	}
	return found
}

func (n *node) condition(kind string) map[string]string {
	for _, condition := range n.Status.Conditions {
		if condition["type"] == kind {
			return condition
		}
	}
	return nil
}

func (k *kube) nodes(ctx context.Context) ([]*node, error) {
	var list struct{ Items []*node }
	err := k.get(ctx, "/api/v1/nodes", &list)
	return list.Items, err
}
