// Copyright: (c) 2026, kubewright contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestTokensOfEachKind(t *testing.T) {
	hash := strings.Repeat("ab", 32)
	for value, want := range map[string]token{
		"secret":                                   {password: "secret"},
		"K10" + hash + "::server:secret":           {caHash: hash, user: "server", password: "secret"},
		"abcdef.0123456789abcdef":                  {bootstrap: "abcdef.0123456789abcdef"},
		"K10" + hash + "::abcdef.0123456789abcdef": {caHash: hash, bootstrap: "abcdef.0123456789abcdef"},
	} {
		got, err := parseToken(value)
		if err != nil || got != want {
			t.Errorf("%s: %+v %v", value, got, err)
		}
	}
	for value, message := range map[string]string{
		"": "token must not be empty", "K10abc::server:x": "invalid token CA hash length", "K10" + hash + "::server:": "invalid token format",
	} {
		if _, err := parseToken(value); err == nil || err.Error() != message {
			t.Errorf("%s: %v", value, err)
		}
	}
}

func TestNormalizedToken(t *testing.T) {
	hash := strings.Repeat("ab", 32)
	for _, value := range []string{"secret", "K10" + hash + "::server:secret"} {
		if got, err := normalizeToken(value); err != nil || got != "secret" {
			t.Errorf("%s: %s %v", value, got, err)
		}
	}
	if _, err := normalizeToken("abcdef.0123456789abcdef"); err == nil {
		t.Error("a bootstrap token is no server's")
	}
}

func TestFormattedTokenContainsTheCA(t *testing.T) {
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "ca.crt"), filepath.Join(dir, "ca.key")
	if err := ensureCA("k3s-server", cert, key); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(cert)
	if err != nil {
		t.Fatal(err)
	}
	digest := sha256.Sum256(data)
	got, err := formatToken("server:x", cert)
	if err != nil || got != "K10"+hex.EncodeToString(digest[:])+"::server:x" {
		t.Errorf("%s %v", got, err)
	}
}

func TestCertificatesAreKeptUnlessANameIsMissing(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	if err := ensureCA("k3s-server", in("ca.crt"), in("ca.key")); err != nil {
		t.Fatal(err)
	}
	make := func(sans ...string) string {
		spec := certificateSpec{"kube-apiserver", nil, sans, serverUse}
		if err := ensureCertificate(spec, in("a.crt"), in("a.key"), in("ca.crt"), in("ca.key")); err != nil {
			t.Fatal(err)
		}
		return readCertificate(in("a.crt")).SerialNumber.String()
	}
	first := make("localhost", "127.0.0.1")
	if make("localhost", "127.0.0.1") != first {
		t.Error("created again without a reason")
	}
	if make("localhost", "127.0.0.1", "10.0.0.1") == first {
		t.Error("a new name is missing")
	}
}

func TestBootstrapDataNeedsItsToken(t *testing.T) {
	sealed, err := encrypt("one", []byte("data"))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := decrypt("one", sealed); err != nil || string(got) != "data" {
		t.Errorf("%s %v", got, err)
	}
	if _, err := decrypt("two", sealed); err == nil {
		t.Error("another token opens it")
	}
	if storageKey("one") == storageKey("two") {
		t.Error("one key for two tokens")
	}
}

func TestNodePasswords(t *testing.T) {
	hash, err := hashPassword("secret")
	if err != nil {
		t.Fatal(err)
	}
	if err := verifyPassword(hash, "secret"); err != nil {
		t.Error(err)
	}
	if verifyPassword(hash, "other") == nil {
		t.Error("another password fits")
	}
}
