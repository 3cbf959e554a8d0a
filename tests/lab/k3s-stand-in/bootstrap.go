// Copyright: (c) 2026, kubewright contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// bootstrapPaths returns the files that all servers of a cluster share, by upstream's names
// (config.ControlRuntimeBootstrap).
var bootstrapPaths = map[string]string{
	"ETCDServerCA":       "tls/etcd/server-ca.crt",
	"ETCDServerCAKey":    "tls/etcd/server-ca.key",
	"ETCDPeerCA":         "tls/etcd/peer-ca.crt",
	"ETCDPeerCAKey":      "tls/etcd/peer-ca.key",
	"ServerCA":           "tls/server-ca.crt",
	"ServerCAKey":        "tls/server-ca.key",
	"ClientCA":           "tls/client-ca.crt",
	"ClientCAKey":        "tls/client-ca.key",
	"ServiceKey":         "tls/service.key",
	"PasswdFile":         "cred/passwd",
	"RequestHeaderCA":    "tls/request-header-ca.crt",
	"RequestHeaderCAKey": "tls/request-header-ca.key",
	"IPSECKey":           "cred/ipsec.psk",
	"EncryptionConfig":   "cred/encryption-config.json",
	"EncryptionHash":     "cred/encryption-state.json",
}

type bootstrapFile struct {
	Timestamp time.Time
	Content   []byte
}

// readBootstrap reads the files that exist.
func (s *server) readBootstrap() ([]byte, error) {
	found := map[string]bootstrapFile{}
	for name, path := range bootstrapPaths {
		full := filepath.Join(s.dir, path)
		info, err := os.Stat(full)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		content, err := os.ReadFile(full)
		if err != nil {
			return nil, err
		}
		found[name] = bootstrapFile{info.ModTime(), content}
	}
	return json.Marshal(found)
}

// reconcileBootstrap updates the files to those of the cluster. It fails if a different file is newer on this disk:
// pkg/cluster/bootstrap.go (ReconcileBootstrapData).
func (s *server) reconcileBootstrap(data []byte) error {
	infof("Reconciling bootstrap data between datastore and disk")
	var files map[string]bootstrapFile
	if err := json.Unmarshal(data, &files); err != nil {
		return err
	}
	_, missing := os.Stat(s.tls("server-ca.crt"))
	var newer []string
	for name, file := range files {
		path := filepath.Join(s.dir, bootstrapPaths[name])
		content, err := os.ReadFile(path)
		if err != nil || bytes.Equal(content, file.Content) {
			continue
		}
		if info, err := os.Stat(path); err == nil && info.ModTime().Unix()-file.Timestamp.Unix() >= 3 && missing == nil {
			newer = append(newer, path)
		}
	}
	if len(newer) > 0 && !s.boolean("cluster-reset") {
		fatalf("%s newer than datastore and could cause a cluster outage. Remove the file(s) from disk and restart to be recreated from datastore.",
			strings.Join(newer, ", "))
	}
	for name, file := range files {
		if bootstrapPaths[name] == "" {
			continue
		}
		path := filepath.Join(s.dir, bootstrapPaths[name])
		if content, err := os.ReadFile(path); err == nil && bytes.Equal(content, file.Content) {
			continue
		}
		mode := os.FileMode(0o600)
		if strings.HasSuffix(path, ".crt") {
			mode = 0o644
		}
		if err := writeFile(path, file.Content, mode); err != nil {
			return err
		}
		_ = os.Chtimes(path, file.Timestamp, file.Timestamp)
	}
	return nil
}

// storageKey returns the datastore key of the files, which contains a hash of the token: pkg/cluster/encrypt.go.
func storageKey(password string) string {
	digest := sha256.Sum256([]byte(password))
	return "/bootstrap/" + hex.EncodeToString(digest[:])[:12]
}

func gcm(password string, salt []byte) (cipher.AEAD, error) {
	key, err := pbkdf2.Key(sha1.New, password, salt, 4096, 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// encrypt encrypts data with the token, so that the datastore alone does not reveal it.
func encrypt(password string, data []byte) ([]byte, error) {
	salt := make([]byte, 8)
	_, _ = rand.Read(salt)
	box, err := gcm(password, salt)
	if err != nil {
		return nil, err
	}
	nonce := make([]byte, box.NonceSize())
	_, _ = rand.Read(nonce)
	sealed := box.Seal(nonce, nonce, data, nil)
	return []byte(hex.EncodeToString(salt) + ":" + base64.StdEncoding.EncodeToString(sealed)), nil
}

func decrypt(password string, data []byte) ([]byte, error) {
	head, tail, ok := strings.Cut(string(data), ":")
	if !ok {
		return nil, errors.New("invalid cipher text, not : delimited")
	}
	salt, err := hex.DecodeString(head)
	if err != nil {
		return nil, err
	}
	sealed, err := base64.StdEncoding.DecodeString(tail)
	if err != nil {
		return nil, err
	}
	box, err := gcm(password, salt)
	if err != nil {
		return nil, err
	}
	if len(sealed) < box.NonceSize() {
		return nil, errors.New("invalid cipher text, too short")
	}
	return box.Open(nil, sealed[:box.NonceSize()], sealed[box.NonceSize():], nil)
}
