// Copyright: (c) 2026, kubewright contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"
)

// Secrets encryption: docs.k3s.io/security/secrets-encryption, pkg/secretsencrypt. The order of the providers decides
// if new secrets are encrypted.
type encryptionConfig struct {
	Kind       string               `json:"kind"`
	APIVersion string               `json:"apiVersion"`
	Resources  []encryptionResource `json:"resources"`
}

type encryptionResource struct {
	Resources []string         `json:"resources"`
	Providers []map[string]any `json:"providers"`
}

type encryptionKey struct {
	Name   string `json:"name"`
	Secret string `json:"secret"`
}

type encryptionState struct {
	Stage        string
	ActiveKey    string
	Enable       *bool
	HashMatch    bool
	HashError    string
	InactiveKeys []string
}

func newEncryptionKey() encryptionKey {
	secret := make([]byte, 32)
	_, _ = rand.Read(secret)
	name := "aescbckey-" + time.Now().UTC().Format(time.RFC3339)
	return encryptionKey{name, base64.StdEncoding.EncodeToString(secret)}
}

func (s *server) writeEncryption(keys []encryptionKey, enabled bool, stage string) error {
	box := map[string]any{"aescbc": map[string]any{"keys": keys}}
	plain := map[string]any{"identity": map[string]any{}}
	providers := []map[string]any{box, plain}
	if !enabled {
		providers = []map[string]any{plain, box}
	}
	data, err := json.Marshal(encryptionConfig{"EncryptionConfiguration", "apiserver.config.k8s.io/v1",
		[]encryptionResource{{[]string{"secrets"}, providers}}})
	if err != nil {
		return err
	}
	if err := writeFile(s.cred("encryption-config.json"), data, 0o600); err != nil {
		return err
	}
	digest := sha256.Sum256(data)
	return writeFile(s.cred("encryption-state.json"), []byte(stage+"-"+hex.EncodeToString(digest[:])), 0o600)
}

// readEncryption returns the keys, the active one first, and whether encryption is enabled.
func (s *server) readEncryption() (keys []encryptionKey, enabled bool, err error) {
	data, err := os.ReadFile(s.cred("encryption-config.json"))
	if err != nil {
		return nil, false, err
	}
	var config struct {
		Resources []struct {
			Providers []struct {
				AESCBC   *struct{ Keys []encryptionKey }
				Identity *struct{}
			}
		}
	}
	if err := json.Unmarshal(data, &config); err != nil {
		return nil, false, err
	}
	for i, provider := range config.Resources[0].Providers {
		if provider.AESCBC != nil {
			keys, enabled = provider.AESCBC.Keys, i == 0
		}
	}
	return keys, enabled, nil
}

// ensureEncryption creates a key at the first start with secrets-encryption. To enable encryption later, use
// `secrets-encrypt enable` on a cluster that was started with the option.
func (s *server) ensureEncryption() error {
	if !s.critical.EncryptSecrets {
		return nil
	}
	if _, err := os.Stat(s.cred("encryption-config.json")); err == nil {
		return nil
	}
	key := newEncryptionKey()
	key.Name = "aescbckey"
	return s.writeEncryption([]encryptionKey{key}, true, "start")
}

func (s *server) encrypted() bool { return s.critical.EncryptSecrets }

// encryptionHash returns STAGE-DIGEST, which is compared across the nodes' annotations.
func (s *server) encryptionHash() string {
	data, err := os.ReadFile(s.cred("encryption-state.json"))
	if err != nil {
		return ""
	}
	return string(data)
}

func (s *server) encryptStatus(w http.ResponseWriter, r *http.Request) {
	keys, enabled, err := s.readEncryption()
	if errors.Is(err, os.ErrNotExist) || !s.encrypted() {
		sendJSON(w, encryptionState{})
		return
	}
	if err != nil {
		sendError(w, err, http.StatusInternalServerError)
		return
	}
	state := encryptionState{Enable: &enabled, HashMatch: true}
	hash := s.encryptionHash()
	if len(hash) > 65 {
		state.Stage = hash[:len(hash)-65]
	}
	for i, key := range keys {
		if i == 0 && enabled {
			state.ActiveKey = key.Name
		} else {
			state.InactiveKeys = append(state.InactiveKeys, key.Name)
		}
	}
	nodes, err := s.kube.nodes(r.Context())
	if err != nil {
		sendError(w, err, http.StatusInternalServerError)
		return
	}
	for _, n := range nodes {
		if n.name() == s.nodeName {
			continue
		}
		if other := n.annotation("k3s.io/encryption-config-hash"); n.label("node-role.kubernetes.io/control-plane") == "true" && other != hash {
			state.HashMatch, state.HashError = false, fmt.Sprintf("hash does not match between %s and %s", s.nodeName, n.name())
		}
	}
	sendJSON(w, state)
}

type encryptionRequest struct {
	Stage  *string `json:"stage,omitempty"`
	Enable *bool   `json:"enable,omitempty"`
}

// encryptConfig enables or disables encryption, or adds a key. The API server reloads its file within a minute; other
// servers apply the change at their next start.
func (s *server) encryptConfig(w http.ResponseWriter, r *http.Request) {
	var request encryptionRequest
	if err := json.NewDecoder(r.Body).Decode(&request); err != nil {
		sendError(w, err, http.StatusBadRequest)
		return
	}
	keys, enabled, err := s.readEncryption()
	if err != nil || !s.encrypted() {
		sendError(w, errors.New("secrets encryption is not enabled: start the servers with secrets-encryption"), http.StatusBadRequest)
		return
	}
	switch {
	case request.Enable != nil:
		err = s.writeEncryption(keys, *request.Enable, "start")
	case request.Stage != nil && *request.Stage == "rotate_keys":
		if !enabled {
			err = errors.New("secrets encryption is disabled")
			break
		}
		if err = s.writeEncryption(append([]encryptionKey{newEncryptionKey()}, keys...), true, "reencrypt_active"); err == nil {
			go s.reencrypt()
		}
	default:
		err = errors.New("this stand-in supports enable, disable and rotate-keys")
	}
	if err == nil {
		err = s.putBootstrap(r.Context(), s.password)
	}
	if err != nil {
		sendError(w, err, http.StatusBadRequest)
	}
}

// reencrypt waits until the new key is in use, rewrites all secrets, and removes the old keys.
func (s *server) reencrypt() {
	time.Sleep(65 * time.Second)
	data, err := s.kubectl(nil, "get", "secrets", "--all-namespaces", "-o", "json")
	if err == nil {
		data, err = s.kubectl(data, "replace", "-f", "-")
	}
	if err != nil {
		errorf("Failed to reencrypt secrets: %v: %.200s", err, data)
		return
	}
	keys, _, err := s.readEncryption()
	if err == nil {
		err = s.writeEncryption(keys[:1], true, "reencrypt_finished")
	}
	if err == nil {
		err = s.putBootstrap(context.Background(), s.password)
	}
	if err != nil {
		errorf("Failed to finish the reencryption of secrets: %v", err)
		return
	}
	infof("Secrets are reencrypted")
}
