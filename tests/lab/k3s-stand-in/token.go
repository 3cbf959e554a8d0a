// Copyright: (c) 2026, kubewright contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"os"
	"regexp"
	"strings"
)

const tokenPrefix = "K10"

var bootstrapPattern = regexp.MustCompile(`^([a-z0-9]{6})\.([a-z0-9]{16})$`)

// token is a token to join with: docs.k3s.io/cli/token. A secure one is K10<hash of the CA>::<user>:<password>; a
// short one is only the password; a bootstrap token is <id>.<secret>, with or without the hash.
type token struct {
	caHash, user, password, bootstrap string
}

// parseToken: pkg/clientaccess/token.go.
func parseToken(value string) (token, error) {
	var found token
	if value == "" {
		return found, errors.New("token must not be empty")
	}
	if !strings.HasPrefix(value, tokenPrefix) {
		if bootstrapPattern.MatchString(value) {
			return token{bootstrap: value}, nil
		}
		return token{password: value}, nil
	}
	rest := strings.TrimPrefix(value, tokenPrefix)
	if hash, creds, ok := strings.Cut(rest, "::"); ok {
		if len(hash) > 0 && len(hash) != sha256.Size*2 {
			return found, errors.New("invalid token CA hash length")
		}
		found.caHash, rest = hash, creds
	}
	if bootstrapPattern.MatchString(rest) {
		found.bootstrap = rest
		return found, nil
	}
	user, password, ok := strings.Cut(rest, ":")
	if !ok || password == "" {
		return found, errors.New("invalid token format")
	}
	found.user, found.password = user, password
	return found, nil
}

// normalizeToken returns only the password, which encrypts bootstrap data (pkg/util/token.go).
func normalizeToken(value string) (string, error) {
	parsed, err := parseToken(value)
	if err != nil || parsed.bootstrap != "" {
		return "", errors.New("failed to normalize server token; must be in format K10<CA-HASH>::<USERNAME>:<PASSWORD> or <PASSWORD>")
	}
	return parsed.password, nil
}

// formatToken adds the hash of the cluster's CA to credentials.
func formatToken(credentials, caFile string) (string, error) {
	ca, err := os.ReadFile(caFile)
	if err != nil {
		return "", err
	}
	return tokenPrefix + hashCA(ca) + "::" + credentials, nil
}

// hashCA returns the digest of a file with one certificate, or of the root certificate of a chain, so that CAs below
// the root can be renewed.
func hashCA(data []byte) string {
	certificates := parseCertificates(data)
	if len(certificates) > 1 {
		roots, between := x509.NewCertPool(), x509.NewCertPool()
		for _, certificate := range certificates[1:] {
			if len(certificate.AuthorityKeyId) == 0 || bytes.Equal(certificate.AuthorityKeyId, certificate.SubjectKeyId) {
				roots.AddCert(certificate)
			} else {
				between.AddCert(certificate)
			}
		}
		if chains, err := certificates[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: between}); err == nil {
			data = chains[0][len(chains[0])-1].Raw
		}
	}
	digest := sha256.Sum256(data)
	return hex.EncodeToString(digest[:])
}

func parseCertificates(data []byte) []*x509.Certificate {
	var found []*x509.Certificate
	for {
		block, rest := pem.Decode(data)
		if block == nil {
			return found
		}
		if certificate, err := x509.ParseCertificate(block.Bytes); block.Type == "CERTIFICATE" && err == nil {
			found = append(found, certificate)
		}
		data = rest
	}
}

// randomHex returns a random secret of n bytes.
func randomHex(n int) string {
	data := make([]byte, n)
	_, _ = rand.Read(data)
	return hex.EncodeToString(data)
}

// randomBootstrap returns a random <id>.<secret> that matches Kubernetes' pattern.
func randomBootstrap() string {
	const letters = "0123456789abcdefghijklmnopqrstuvwxyz"
	data := make([]byte, 22)
	_, _ = rand.Read(data)
	for i := range data {
		data[i] = letters[int(data[i])%len(letters)]
	}
	return string(data[:6]) + "." + string(data[6:])
}
