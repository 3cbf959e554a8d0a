// Copyright: (c) 2026, kubewright contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// migrateSQLite copies the objects of a server with SQLite to the new etcd and moves the file aside:
// docs.k3s.io/datastore/ha-embedded ("existing single-node clusters"), pkg/etcd/etcd.go (migrateFromSQLite).
func (m *member) migrateSQLite(ctx context.Context) error {
	file := filepath.Join(m.s.dir, "db/state.db")
	if _, err := os.Stat(file); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	infof("Migrating content from sqlite to etcd")
	m.wait(ctx)
	kine := m.s.startKine("", "kine-migrate.sock", mayEnd())
	source, err := storage{endpoints: []string{"unix://" + filepath.Join(m.s.dir, "kine-migrate.sock")}}.client(ctx)
	if err != nil {
		return err
	}
	defer source.Close()
	answer, err := retried(ctx, func(ctx context.Context) (*clientv3.GetResponse, error) {
		return source.Get(ctx, "/registry/", clientv3.WithPrefix())
	})
	if err != nil {
		return fmt.Errorf("failed to migrate content from sqlite to etcd: %w", err)
	}
	for _, pair := range answer.Kvs {
		if _, err := m.client.Put(ctx, string(pair.Key), string(pair.Value)); err != nil {
			return fmt.Errorf("failed to migrate content from sqlite to etcd: %w", err)
		}
	}
	infof("Migrated %d keys from sqlite to etcd", len(answer.Kvs))
	kine.end(5 * time.Second)
	return os.Rename(file, file+".migrated")
}
