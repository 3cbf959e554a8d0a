// Copyright: (c) 2026, kubewright contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// certificateCommand is `k3s certificate check|rotate`: docs.k3s.io/cli/certificate.
func certificateCommand(args []string) error {
	if len(args) == 0 {
		fmt.Println("USAGE:\n   k3s certificate check|rotate [--service NAME]")
		return nil
	}
	options := simpleOptions(args[1:])
	switch args[0] {
	case "check":
		return checkCertificates(options.dataDir())
	case "rotate":
		return rotateCertificates(options.dataDir(), splitList([]string{options.get("service", "s")}))
	}
	return errors.New("certificate " + args[0] + ": not supported by this stand-in")
}

// leafFiles returns the certificates below server/tls and agent that are not CAs.
func leafFiles(dataDir string) []string {
	var found []string
	for _, base := range []string{"server/tls", "agent"} {
		_ = filepath.WalkDir(filepath.Join(dataDir, base), func(path string, entry fs.DirEntry, err error) error {
			if err == nil && entry.IsDir() && (entry.Name() == "containerd" || entry.Name() == "temporary-certs") {
				return filepath.SkipDir
			}
			if err == nil && strings.HasSuffix(path, ".crt") && !strings.Contains(entry.Name(), "-ca.") {
				found = append(found, path)
			}
			return nil
		})
	}
	return found
}

func checkCertificates(dataDir string) error {
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 3, ' ', 0)
	fmt.Fprintln(table, "FILENAME\tSUBJECT\tEXPIRES\tRESIDUAL TIME\tSTATUS")
	for _, path := range leafFiles(dataDir) {
		certificate := readCertificate(path)
		if certificate == nil {
			continue
		}
		left, status := time.Until(certificate.NotAfter), "OK"
		if left <= 0 {
			status = "EXPIRED"
		} else if left < renewDays*24*time.Hour {
			status = "WARNING"
		}
		fmt.Fprintf(table, "%s\tCN=%s\t%s\t%d days\t%s\n", filepath.Base(path), certificate.Subject.CommonName,
			certificate.NotAfter.UTC().Format(time.RFC3339), int(left.Hours()/24), status)
	}
	return table.Flush()
}

// certificateServices maps each name of `--service` to its certificates.
var certificateServices = map[string][]string{
	"admin": {"client-admin"}, "api-server": {"client-kube-apiserver", "serving-kube-apiserver"},
	"controller-manager": {"client-controller"}, "scheduler": {"client-scheduler"}, "supervisor": {"client-supervisor"},
	"k3s-controller": {"client-k3s-controller"}, "k3s-server": {}, "cloud-controller": {"client-k3s-cloud-controller"},
	"etcd": {"client", "server-client", "peer-server-client"}, "auth-proxy": {"client-auth-proxy"},
	"kubelet": {"client-kubelet", "serving-kubelet"}, "kube-proxy": {"client-kube-proxy"},
}

// rotateCertificates moves certificates and their keys to a backup. The next start creates new ones.
func rotateCertificates(dataDir string, services []string) error {
	var wanted []string
	for _, name := range services {
		files, known := certificateServices[name]
		if !known {
			return fmt.Errorf("%s is not a recognized service", name)
		}
		wanted = append(wanted, files...)
	}
	backup := filepath.Join(dataDir, fmt.Sprintf("server/tls-%d", time.Now().Unix()))
	if exists(filepath.Join(dataDir, "server/tls")) {
		infof("Backing up certificates to %s", backup)
		if err := backupTo(backup, filepath.Join(dataDir, "server/tls")); err != nil {
			return err
		}
	}
	for _, path := range leafFiles(dataDir) {
		base := strings.TrimSuffix(filepath.Base(path), ".crt")
		if len(services) > 0 && !slices.Contains(wanted, base) {
			continue
		}
		for _, file := range []string{path, strings.TrimSuffix(path, ".crt") + ".key"} {
			if err := os.Remove(file); err != nil && !errors.Is(err, os.ErrNotExist) {
				return err
			}
		}
	}
	infof("Successfully backed up certificates to %s, please restart k3s server or agent to rotate certificates", backup)
	return nil
}

// backupTo copies a directory of keys to one that only root can enter.
func backupTo(target, source string) error {
	if err := os.MkdirAll(target, 0o700); err != nil {
		return err
	}
	return os.CopyFS(target, os.DirFS(source))
}
