// Copyright: (c) 2026, kubewright contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/crypto/scrypt"
)

const nodePasswordFile = "/etc/rancher/node/password"

var errVerify = errors.New("hash does not match")

// hashPassword returns $1:SALT:N:R:P:HASH, where N is a power of two: pkg/authenticator/hash/scrypt.go.
func hashPassword(password string) (string, error) {
	salt := make([]byte, 8)
	_, _ = rand.Read(salt)
	hash, err := scrypt.Key([]byte(password), salt, 1<<15, 8, 1, 64)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("$1:%s:15:8:1:%s", hex.EncodeToString(salt), base64.RawStdEncoding.EncodeToString(hash)), nil
}

func verifyPassword(hash, password string) error {
	parts := strings.Split(hash, ":")
	if len(parts) != 6 {
		return errors.New("hash is not in the expected format")
	}
	salt, err := hex.DecodeString(parts[1])
	if err != nil {
		return err
	}
	power, _ := strconv.Atoi(parts[2])
	want, err := base64.RawStdEncoding.DecodeString(parts[5])
	if err != nil {
		return err
	}
	found, err := scrypt.Key([]byte(password), salt, 1<<power, 8, 1, len(want))
	if err != nil {
		return err
	}
	if subtle.ConstantTimeCompare(found, want) != 1 {
		return errVerify
	}
	return nil
}

func nodeSecret(name string) string {
	return "/api/v1/namespaces/kube-system/secrets/" + strings.ToLower(name) + ".node-password.k3s"
}

// ensureNodePassword compares a node's password with its Secret, or creates the Secret:
// pkg/nodepassword/nodepassword.go. A node that returns with the same name and another password is rejected until the
// Secret or the node is deleted.
func (s *server) ensureNodePassword(ctx context.Context, name, password string) error {
	var secret struct{ Data map[string]string }
	err := s.kube.get(ctx, nodeSecret(name), &secret)
	if err == nil {
		hash, err := base64.StdEncoding.DecodeString(secret.Data["hash"])
		if err != nil {
			return err
		}
		if err := verifyPassword(string(hash), password); err != nil {
			return fmt.Errorf("unable to verify password for node %s: %w", name, errors.Join(errVerify, err))
		}
		return nil
	}
	if !notFound(err) {
		return err
	}
	hash, err := hashPassword(password)
	if err != nil {
		return err
	}
	err = s.kube.create(ctx, "/api/v1/namespaces/kube-system/secrets", map[string]any{
		"apiVersion": "v1", "kind": "Secret", "immutable": true, "type": "k3s.cattle.io/node-password",
		"metadata": map[string]any{"name": strings.ToLower(name) + ".node-password.k3s", "namespace": "kube-system"},
		"data":     map[string]string{"hash": base64.StdEncoding.EncodeToString([]byte(hash))},
	})
	// A kubelet requests its two certificates at the same time: the first request has created the Secret.
	var status *apiError
	if errors.As(err, &status) && status.Code == http.StatusConflict {
		return s.ensureNodePassword(ctx, name, password)
	}
	return err
}

// checkNode runs before a kubelet's certificates are signed: pkg/nodepassword/validate.go.
func (s *server) checkNode(r *http.Request) (string, int, error) {
	name, password := strings.ToLower(r.Header.Get("k3s-Node-Name")), r.Header.Get("k3s-Node-Password")
	if name == "" {
		return "", http.StatusBadRequest, errors.New("node name not set")
	}
	if password == "" {
		return "", http.StatusBadRequest, errors.New("node password not set")
	}
	if who := s.byCertificate(r); who != nil {
		if strings.TrimPrefix(who.user, "system:node:") != name {
			return "", http.StatusBadRequest, errors.New("header node name does not match auth node name")
		}
		if s.coreReady.Load() {
			if err := s.kube.raw(r.Context(), "/api/v1/nodes/"+name); notFound(err) {
				return "", http.StatusUnauthorized, errors.New("unable to verify node identity: node not found")
			}
		}
	}
	if !s.coreReady.Load() {
		if name != s.nodeName {
			return "", http.StatusServiceUnavailable, errCoreNotReady
		}
		return s.checkLocally(name, password)
	}
	if err := s.ensureNodePassword(r.Context(), name, password); errors.Is(err, errVerify) {
		errorf("Sending HTTP/1.1 403 response to %s: %v", r.RemoteAddr, err)
		return "", http.StatusForbidden, err
	} else if err != nil {
		// If Secrets cannot be created, nodes that could fix that must still be admitted (verifyRemotePassword).
		infof("Password verification deferred for node %s", name)
		go s.ensureLater(name, password)
	}
	return name, http.StatusOK, nil
}

// ensureLater retries every five seconds until the Secret exists or the password turns out to be different.
func (s *server) ensureLater(name, password string) {
	for {
		if s.coreReady.Load() {
			err := s.ensureNodePassword(context.Background(), name, password)
			if err == nil {
				return
			}
			warnf("Deferred node password secret validation failed: %v", err)
			if errors.Is(err, errVerify) {
				return
			}
		}
		time.Sleep(5 * time.Second)
	}
}

// checkLocally checks the server's own node before the API serves. The Secret is created when it does.
func (s *server) checkLocally(name, password string) (string, int, error) {
	data, err := os.ReadFile(nodePasswordFile)
	if err != nil {
		return "", http.StatusInternalServerError, fmt.Errorf("unable to read node password file: %w", err)
	}
	if strings.TrimSpace(string(data)) != password {
		return "", http.StatusForbidden, fmt.Errorf("unable to verify local node password: %w", errVerify)
	}
	infof("Password verified locally for node %s", name)
	go s.ensureLater(name, password)
	return name, http.StatusOK, nil
}
