// Copyright: (c) 2026, kubewright contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// Certificates are valid for 365 days, CAs for ten years. A start renews what expires in less than 120 days:
// docs.k3s.io/cli/certificate.
const (
	certDays  = 365
	caDays    = 3650
	renewDays = 120
)

type certificateSpec struct {
	name   string
	groups []string
	sans   []string
	usage  []x509.ExtKeyUsage
}

func writeFile(path string, data []byte, mode os.FileMode) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	temporary := path + ".tmp"
	if err := os.WriteFile(temporary, data, mode); err != nil {
		return err
	}
	if err := os.Chmod(temporary, mode); err != nil {
		return err
	}
	return os.Rename(temporary, path)
}

func readCertificate(path string) *x509.Certificate {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	if found := parseCertificates(data); len(found) > 0 {
		return found[0]
	}
	return nil
}

func parseKey(data []byte) (crypto.Signer, error) {
	for {
		block, rest := pem.Decode(data)
		if block == nil {
			return nil, errors.New("data does not contain a valid RSA or ECDSA private key")
		}
		if key, err := x509.ParseECPrivateKey(block.Bytes); err == nil {
			return key, nil
		}
		if key, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
			return key, nil
		}
		if key, err := x509.ParsePKCS8PrivateKey(block.Bytes); err == nil {
			if signer, ok := key.(crypto.Signer); ok {
				return signer, nil
			}
		}
		data = rest
	}
}

// ensureKey reads a key, or creates it.
func ensureKey(path string) (crypto.Signer, error) {
	if data, err := os.ReadFile(path); err == nil {
		return parseKey(data)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	data, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, err
	}
	return key, writeFile(path, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: data}), 0o600)
}

// ensureRSA creates the key that signs service account tokens.
func ensureRSA(path string) error {
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return err
	}
	block := &pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}
	return writeFile(path, pem.EncodeToMemory(block), 0o600)
}

func keyID(public crypto.PublicKey) []byte {
	data, _ := x509.MarshalPKIXPublicKey(public)
	digest := sha1.Sum(data)
	return digest[:]
}

func serial() *big.Int {
	number, _ := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 62))
	return number
}

// ensureCA creates a CA if it does not exist. Its name contains the time, as in k3s-server-ca@1700000000.
func ensureCA(name, certFile, keyFile string) error {
	if readCertificate(certFile) != nil {
		return nil
	}
	key, err := ensureKey(keyFile)
	if err != nil {
		return err
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber:          serial(),
		Subject:               pkix.Name{CommonName: fmt.Sprintf("%s-ca@%d", name, now.Unix())},
		NotBefore:             now.Add(-time.Minute).UTC(),
		NotAfter:              now.AddDate(0, 0, caDays).UTC(),
		KeyUsage:              x509.KeyUsageKeyEncipherment | x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
		SubjectKeyId:          keyID(key.Public()),
	}
	data, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return err
	}
	return writeFile(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: data}), 0o644)
}

// sign creates a certificate for a public key and appends the CA's certificate.
func sign(spec certificateSpec, public crypto.PublicKey, caFile, caKeyFile string) ([]byte, error) {
	caData, err := os.ReadFile(caFile)
	if err != nil {
		return nil, err
	}
	keyData, err := os.ReadFile(caKeyFile)
	if err != nil {
		return nil, err
	}
	ca := parseCertificates(caData)
	key, err := parseKey(keyData)
	if err != nil || len(ca) == 0 {
		return nil, errors.Join(err, fmt.Errorf("no CA in %s", caFile))
	}
	template := &x509.Certificate{
		SerialNumber: serial(),
		Subject:      pkix.Name{CommonName: spec.name, Organization: spec.groups},
		NotBefore:    time.Now().Add(-time.Minute).UTC(),
		NotAfter:     time.Now().AddDate(0, 0, certDays).UTC(),
		KeyUsage:     x509.KeyUsageKeyEncipherment | x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  spec.usage,
	}
	for _, san := range spec.sans {
		if ip := net.ParseIP(san); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else if san != "" {
			template.DNSNames = append(template.DNSNames, san)
		}
	}
	data, err := x509.CreateCertificate(rand.Reader, template, ca[0], public, key)
	if err != nil {
		return nil, err
	}
	return append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: data}), caData...), nil
}

// ensureCertificate creates a certificate if it does not exist, expires soon, has another CA, or lacks a name.
func ensureCertificate(spec certificateSpec, certFile, keyFile, caFile, caKeyFile string) error {
	if current(readCertificate(certFile), spec, readCertificate(caFile)) {
		if _, err := os.Stat(keyFile); err == nil {
			return nil
		}
	}
	key, err := ensureKey(keyFile)
	if err != nil {
		return err
	}
	data, err := sign(spec, key.Public(), caFile, caKeyFile)
	if err != nil {
		return err
	}
	return writeFile(certFile, data, 0o644)
}

func current(certificate *x509.Certificate, spec certificateSpec, ca *x509.Certificate) bool {
	if certificate == nil || ca == nil || time.Until(certificate.NotAfter) < renewDays*24*time.Hour {
		return false
	}
	if certificate.CheckSignatureFrom(ca) != nil || certificate.Subject.CommonName != spec.name {
		return false
	}
	for _, san := range spec.sans {
		ip := net.ParseIP(san)
		has := slices.Contains(certificate.DNSNames, san)
		if ip != nil {
			has = slices.ContainsFunc(certificate.IPAddresses, func(other net.IP) bool { return bytes.Equal(ip.To16(), other.To16()) })
		}
		if san != "" && !has {
			return false
		}
	}
	return true
}
