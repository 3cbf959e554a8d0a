// Copyright: (c) 2026, kubewright contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"archive/zip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
)

func (s *server) resetFlag() string { return filepath.Join(s.dir, "db/reset-flag") }

// checkReset rejects invalid combinations: pkg/cli/server/server.go,
// docs.k3s.io/cli/etcd-snapshot#restoring-snapshots.
func (s *server) checkReset() error {
	restore := s.str("cluster-reset-restore-path")
	if !s.boolean("cluster-reset") {
		if restore != "" {
			return errors.New("invalid flag use; --cluster-reset required with --cluster-reset-restore-path")
		}
		return nil
	}
	if s.str("server") != "" {
		return errors.New("cannot perform cluster-reset while server URL is set - remove server from configuration before resetting")
	}
	if restore != "" {
		if _, err := os.Stat(filepath.Join(s.dir, "token")); err != nil && s.token == "" {
			return errors.New(filepath.Join(s.dir, "token") + " does not exist, please pass --token to complete the restoration")
		}
		info, err := os.Stat(restore)
		if err != nil {
			return fmt.Errorf("etcd: snapshot path does not exist: %s", restore)
		}
		if info.IsDir() {
			return fmt.Errorf("etcd: snapshot path must be a file, not a directory: %s", restore)
		}
		return nil
	}
	if _, err := os.Stat(s.resetFlag()); err == nil {
		return fmt.Errorf("Managed etcd cluster membership was previously reset, please remove the cluster-reset flag "+
			"and start k3s normally. If you need to perform another cluster reset, you must first manually delete the file at %s", s.resetFlag())
	}
	return nil
}

// reset makes this server the only member, from its data or a snapshot, restores the cluster's files from it, and
// exits.
func (s *server) reset(ctx context.Context) error {
	var err error
	if s.etcd, err = s.newMember(); err != nil {
		return err
	}
	if path := s.str("cluster-reset-restore-path"); path != "" {
		if err := s.etcd.restore(path); err != nil {
			return err
		}
	}
	if err := s.etcd.setName(true); err != nil {
		return err
	}
	if err := writeFile(s.resetFlag(), nil, 0o600); err != nil {
		return err
	}
	infof("Starting etcd for new cluster, cluster-reset=true")
	if err := s.etcd.run(ctx, "", "", true); err != nil {
		return err
	}
	if err := s.etcd.onlyMember(ctx); err != nil {
		return err
	}
	// The flag stays if this fails: pkg/etcd/etcd.go (Reset) writes it before etcd starts, for both ways.
	if err := s.resetFiles(ctx); err != nil {
		return err
	}
	stopAll()
	infof("Managed etcd cluster membership has been reset, restart without --cluster-reset flag now. " +
		"Backup and delete ${datadir}/server/db on each peer etcd server and rejoin the nodes")
	return nil
}

// onlyMember waits until this is the only member, and updates its address to this node's.
func (m *member) onlyMember(ctx context.Context) error {
	for range 60 {
		short, cancel := context.WithTimeout(ctx, 5*time.Second)
		list, err := m.client.MemberList(short)
		if err == nil && len(list.Members) == 1 {
			_, err = m.client.MemberUpdate(short, list.Members[0].ID, []string{m.peerURL()})
			cancel()
			if err == nil {
				return nil
			}
			continue
		}
		cancel()
		time.Sleep(time.Second)
	}
	return errors.New("etcd cluster did not come up as a single member")
}

func (s *server) resetFiles(ctx context.Context) error {
	tls := s.tls
	s.storage = storage{endpoints: []string{localEtcd}, ca: tls("etcd/server-ca.crt"), cert: tls("etcd/client.crt"), key: tls("etcd/client.key")}
	data, err := s.storedBootstrap(ctx, s.password)
	if err != nil || data == nil {
		return err
	}
	backup := filepath.Join(s.dir, fmt.Sprintf("tls-%d", time.Now().Unix()))
	infof("Cluster reset: backing up certificates directory to %s", backup)
	if err := backupTo(backup, filepath.Join(s.dir, "tls")); err != nil {
		return err
	}
	if err := s.reconcileBootstrap(data); err != nil {
		return err
	}
	// Certificates of the authorities that were restored: pkg/daemons/control/deps/deps.go (GenServerDeps).
	return s.prepareCertificates()
}

// afterReset runs at the first start after a reset. The password of this node may be another one in the restored data
// (pkg/cluster/managed.go, deleteNodePasswdSecret); then the flag is removed (pkg/etcd/metadata_controller.go,
// checkReset).
func (s *server) afterReset(ctx context.Context) {
	if !exists(s.resetFlag()) {
		return
	}
	if err := s.kube.delete(ctx, nodeSecret(s.nodeName)); err != nil && !notFound(err) {
		warnf("failed to delete old node password secret: %v", err)
	}
	_ = os.Remove(s.resetFlag())
}

// restore replaces the database with that of a snapshot. The old database is kept.
func (m *member) restore(path string) error {
	if strings.HasSuffix(path, ".zip") {
		unpacked, err := unzip(path, filepath.Join(m.s.dir, "db"))
		if err != nil {
			return err
		}
		defer os.Remove(unpacked)
		path = unpacked
	}
	if s := m.dir(""); exists(s) {
		old := fmt.Sprintf("%s-old-%d", strings.TrimSuffix(s, "/"), time.Now().Unix())
		if err := os.Rename(s, old); err != nil {
			return err
		}
		infof("Pre-restore etcd database moved to %s", old)
	}
	out, err := once("etcdutl", "snapshot", "restore", path, "--name", m.name, "--data-dir", m.dir(""),
		"--initial-cluster", m.name+"="+m.peerURL(), "--initial-advertise-peer-urls", m.peerURL())
	if err != nil {
		return fmt.Errorf("failed to restore %s: %w: %s", path, err, out)
	}
	return nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func unzip(path, dir string) (string, error) {
	archive, err := zip.OpenReader(path)
	if err != nil {
		return "", err
	}
	defer archive.Close()
	if len(archive.File) == 0 {
		return "", fmt.Errorf("%s is empty", path)
	}
	source, err := archive.File[0].Open()
	if err != nil {
		return "", err
	}
	defer source.Close()
	target := filepath.Join(dir, "restore.db")
	file, err := os.OpenFile(target, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return "", err
	}
	_, err = io.Copy(file, source)
	return target, errors.Join(err, file.Close())
}
