// Copyright: (c) 2026, kubewright contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"slices"
	"sync"
	"time"
)

// balancer is an agent's load balancer to all servers at 127.0.0.1:6444. It stores the list of servers on disk, so
// that an agent can start while the server that it joined is down: docs.k3s.io/architecture, pkg/agent/loadbalancer.
type balancer struct {
	sync.Mutex
	port    int
	file    string
	Default string   `json:"ServerURL"`
	Servers []string `json:"ServerAddresses"`
	open    map[string]map[net.Conn]bool
	unwell  map[string]bool
}

func startBalancer(server string, port int, file string) (*balancer, error) {
	parsed, err := url.Parse(server)
	if err != nil {
		return nil, err
	}
	host := parsed.Host
	if parsed.Port() == "" {
		host = net.JoinHostPort(parsed.Hostname(), "443")
	}
	b := &balancer{port: port, file: file, Default: "https://" + host, open: map[string]map[net.Conn]bool{}, unwell: map[string]bool{}}
	b.recall()
	if !slices.Contains(b.Servers, host) {
		b.Servers = append(b.Servers, host)
	}
	listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return nil, err
	}
	infof("Running load balancer k3s-agent-load-balancer 127.0.0.1:%d -> %v [default: %s]", port, b.Servers, host)
	b.save()
	go b.serve(listener)
	return b, nil
}

// recall reads the list of the last start. The list is dropped if the configured server has changed: config.go
// (updateConfig).
func (b *balancer) recall() {
	var last struct {
		ServerURL       string
		ServerAddresses []string
	}
	if data, err := os.ReadFile(b.file); err == nil && json.Unmarshal(data, &last) == nil && last.ServerURL == b.Default {
		b.Servers = last.ServerAddresses
	}
}

func (b *balancer) url() string { return fmt.Sprintf("https://127.0.0.1:%d", b.port) }

func (b *balancer) serve(listener net.Listener) {
	for {
		connection, err := listener.Accept()
		if err != nil {
			fatalf("Error: load balancer: %v", err)
		}
		go b.pass(connection)
	}
}

// pass connects to the first server that answers. A server that does not answer moves to the end, and its connections
// are closed so that clients reconnect to another server.
func (b *balancer) pass(client net.Conn) {
	defer client.Close()
	for _, address := range b.servers() {
		server, err := net.DialTimeout("tcp", address, 2*time.Second)
		if err != nil {
			b.failed(address)
			continue
		}
		b.track(address, client, true)
		defer b.track(address, client, false)
		defer server.Close()
		exchange(client, server)
		return
	}
}

// servers returns the servers in the order in which they are tried. Unhealthy servers are last.
func (b *balancer) servers() []string {
	b.Lock()
	defer b.Unlock()
	var well, others []string
	for _, address := range b.Servers {
		if b.unwell[address] {
			others = append(others, address)
		} else {
			well = append(well, address)
		}
	}
	return append(well, others...)
}

func (b *balancer) track(address string, client net.Conn, opened bool) {
	b.Lock()
	defer b.Unlock()
	if b.open[address] == nil {
		b.open[address] = map[net.Conn]bool{}
	}
	if opened {
		b.open[address][client] = true
	} else {
		delete(b.open[address], client)
	}
}

func (b *balancer) failed(address string) {
	b.Lock()
	defer b.Unlock()
	if at := slices.Index(b.Servers, address); at >= 0 && len(b.Servers) > 1 {
		b.Servers = append(slices.Delete(b.Servers, at, at+1), address)
	}
	for client := range b.open[address] {
		client.Close()
	}
	b.open[address] = nil
}

// update replaces the list with the cluster's current servers.
func (b *balancer) update(addresses []string) {
	b.Lock()
	defer b.Unlock()
	if len(addresses) == 0 {
		return
	}
	var kept []string
	for _, address := range b.Servers {
		if slices.Contains(addresses, address) {
			kept = append(kept, address)
		}
	}
	changed := len(kept) != len(b.Servers)
	for _, address := range addresses {
		if !slices.Contains(kept, address) {
			kept, changed = append(kept, address), true
		}
	}
	b.Servers = kept
	if changed {
		infof("Updated load balancer k3s-agent-load-balancer server addresses -> %v", kept)
		b.save()
	}
}

func (b *balancer) save() {
	if data, err := json.MarshalIndent(b, "", "  "); err == nil {
		_ = writeFile(b.file, data, 0o600)
	}
}

// watch checks the servers every second. A server that is not ready loses its connections and is tried last. Upstream
// considers a server healthy while its tunnel is connected (pkg/agent/tunnel/tunnel.go; runHealthChecks in
// pkg/agent/loadbalancer/servers.go). There is no tunnel here, so the server is asked if it is ready.
func (b *balancer) watch(addresses func() []string, ready func(string) error) {
	for i := 0; ; i++ {
		if i%5 == 0 {
			b.update(addresses())
		}
		var all sync.WaitGroup
		for _, address := range b.servers() {
			all.Add(1)
			go func() { defer all.Done(); b.judge(address, ready(address)) }()
		}
		all.Wait()
		time.Sleep(time.Second)
	}
}

func (b *balancer) judge(address string, err error) {
	b.Lock()
	changed := b.unwell[address] != (err != nil)
	b.unwell[address] = err != nil
	b.Unlock()
	if changed && err == nil {
		infof("Server %s: health check succeeded", address)
	} else if changed {
		infof("Server %s: health check failed: %v", address, err)
	}
	if err != nil {
		b.failed(address)
	}
}

// exchange copies data in both directions until one side ends.
func exchange(one, other net.Conn) {
	done := make(chan struct{}, 2)
	for _, pair := range [][2]net.Conn{{one, other}, {other, one}} {
		go func() { _, _ = io.Copy(pair[0], pair[1]); done <- struct{}{} }()
	}
	<-done
}
