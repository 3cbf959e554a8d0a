// Copyright: (c) 2026, kubewright contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// storage is the datastore endpoint of the API server: kine's socket or etcd.
type storage struct {
	endpoints       []string
	ca, cert, key   string
	noLeaderElected bool
}

// chooseDatastore selects the datastore. An etcd database on disk comes first. Without an endpoint, cluster-init or a
// server to join select embedded etcd. http(s) endpoints are an external etcd. Everything else uses kine, with SQLite
// by default: pkg/cluster/managed.go, docs.k3s.io/datastore.
func (s *server) chooseDatastore() {
	endpoint := s.str("datastore-endpoint")
	if s.etcdInitialized() {
		s.managed = true
	} else if endpoint == "" && (s.boolean("cluster-init") || s.boolean("cluster-reset") || (s.token != "" && s.str("server") != "")) {
		s.managed = true
	}
}

func (s *server) etcdInitialized() bool {
	info, err := os.Stat(filepath.Join(s.dir, "db/etcd/member/wal"))
	return err == nil && info.IsDir()
}

// startStorage prepares a datastore other than embedded etcd.
func (s *server) startStorage() {
	endpoint := s.str("datastore-endpoint")
	s.storage = storage{ca: s.str("datastore-cafile"), cert: s.str("datastore-certfile"), key: s.str("datastore-keyfile")}
	if strings.HasPrefix(endpoint, "http://") || strings.HasPrefix(endpoint, "https://") {
		s.storage.endpoints = strings.Split(endpoint, ",")
		return
	}
	// Only a single server can use SQLite, so leader election is not needed.
	s.storage.noLeaderElected = endpoint == "" || strings.HasPrefix(endpoint, "sqlite")
	s.startKine(endpoint, "kine.sock")
	s.storage.endpoints = []string{"unix://" + filepath.Join(s.dir, "kine.sock")}
	s.storage.ca, s.storage.cert, s.storage.key = "", "", ""
}

// startKine passes the endpoint in the environment, because it can contain a password.
func (s *server) startKine(endpoint, socket string, options ...option) *process {
	_ = os.MkdirAll(filepath.Join(s.dir, "db"), 0o700)
	_ = os.Remove(filepath.Join(s.dir, socket))
	args := []string{"--listen-address", "unix://" + filepath.Join(s.dir, socket), "--metrics-bind-address", "0"}
	for name, value := range map[string]string{"ca": s.storage.ca, "cert": s.storage.cert, "key": s.storage.key} {
		if value != "" {
			args = append(args, "--"+name+"-file", value)
		}
	}
	return start("kine", args, append(options, inDirectory(s.dir), withEnv("KINE_ENDPOINT="+endpoint))...)
}

// client connects to the datastore of any kind.
func (st storage) client(ctx context.Context) (*clientv3.Client, error) {
	config := clientv3.Config{
		Endpoints: st.endpoints, Context: ctx, DialTimeout: 5 * time.Second,
		DialKeepAliveTime: 30 * time.Second, DialKeepAliveTimeout: 10 * time.Second, PermitWithoutStream: true,
	}
	if st.ca != "" || st.cert != "" {
		config.TLS = &tls.Config{}
		if data, err := os.ReadFile(st.ca); err == nil {
			config.TLS.RootCAs = x509.NewCertPool()
			config.TLS.RootCAs.AppendCertsFromPEM(data)
		}
		pair, err := tls.LoadX509KeyPair(st.cert, st.key)
		if err == nil {
			config.TLS.Certificates = []tls.Certificate{pair}
		}
	}
	return clientv3.New(config)
}

var errOtherToken = errors.New("bootstrap data already found and encrypted with different token")

// storedBootstrap reads the cluster's files from the datastore, or nil if it has none yet. It fails if they are
// encrypted with another token: pkg/cluster/storage.go (getBootstrapKeyFromStorage).
func (s *server) storedBootstrap(ctx context.Context, password string) ([]byte, error) {
	client, err := s.storage.client(ctx)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	answer, err := retried(ctx, func(ctx context.Context) (*clientv3.GetResponse, error) {
		return client.Get(ctx, "/bootstrap/", clientv3.WithPrefix())
	})
	if err != nil {
		return nil, err
	}
	for _, pair := range answer.Kvs {
		if string(pair.Key) == storageKey(password) {
			return decrypt(password, pair.Value)
		}
	}
	if len(answer.Kvs) > 0 {
		return nil, errOtherToken
	}
	return nil, nil
}

// saveBootstrap stores the files, unless the datastore already has them.
func (s *server) saveBootstrap(ctx context.Context) error {
	found, err := s.storedBootstrap(ctx, s.password)
	if err != nil || found != nil {
		return err
	}
	return s.putBootstrap(ctx, s.password)
}

// putBootstrap encrypts the files with a token and replaces those in the datastore. kine supports writes only as
// compare-and-put.
func (s *server) putBootstrap(ctx context.Context, password string) error {
	data, err := s.readBootstrap()
	if err != nil {
		return err
	}
	sealed, err := encrypt(password, data)
	if err != nil {
		return err
	}
	client, err := s.storage.client(ctx)
	if err != nil {
		return err
	}
	defer client.Close()
	key := storageKey(password)
	_, err = retried(ctx, func(ctx context.Context) (*clientv3.TxnResponse, error) {
		revision := int64(0)
		if answer, err := client.Get(ctx, key); err != nil {
			return nil, err
		} else if len(answer.Kvs) > 0 {
			revision = answer.Kvs[0].ModRevision
		}
		unchanged := clientv3.Compare(clientv3.ModRevision(key), "=", revision)
		return client.Txn(ctx).If(unchanged).Then(clientv3.OpPut(key, string(sealed))).Else(clientv3.OpGet(key)).Commit()
	})
	return err
}

// dropBootstrap deletes the files that are encrypted with an old token.
func (s *server) dropBootstrap(ctx context.Context, password string) error {
	client, err := s.storage.client(ctx)
	if err != nil {
		return err
	}
	defer client.Close()
	key := storageKey(password)
	answer, err := client.Get(ctx, key)
	if err != nil || len(answer.Kvs) == 0 {
		return err
	}
	unchanged := clientv3.Compare(clientv3.ModRevision(key), "=", answer.Kvs[0].ModRevision)
	_, err = client.Txn(ctx).If(unchanged).Then(clientv3.OpDelete(key)).Else(clientv3.OpGet(key)).Commit()
	return err
}

// retried retries while a database is starting.
func retried[T any](ctx context.Context, ask func(context.Context) (T, error)) (T, error) {
	var answer T
	var err error
	for range 30 {
		short, cancel := context.WithTimeout(ctx, 5*time.Second)
		answer, err = ask(short)
		cancel()
		if err == nil {
			return answer, nil
		}
		time.Sleep(time.Second)
	}
	return answer, fmt.Errorf("creating storage endpoint: %w", err)
}
