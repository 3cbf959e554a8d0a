// Copyright: (c) 2026, kubewright contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"net/http"
	"os"
	"time"

	"go.yaml.in/yaml/v3"
)

type kubeconfigFile struct {
	Clusters []struct {
		Cluster struct {
			Server string `yaml:"server"`
			CA     string `yaml:"certificate-authority-data"`
		} `yaml:"cluster"`
	} `yaml:"clusters"`
	Users []struct {
		User struct {
			Cert string `yaml:"client-certificate-data"`
			Key  string `yaml:"client-key-data"`
		} `yaml:"user"`
	} `yaml:"users"`
}

// readKubeconfig returns a client of a kubeconfig's first cluster and user, with the authority that it names.
func readKubeconfig(path string) (*kube, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var file kubeconfigFile
	if err := yaml.Unmarshal(data, &file); err != nil {
		return nil, err
	}
	if len(file.Clusters) == 0 || len(file.Users) == 0 {
		return nil, fmt.Errorf("%s names no cluster or no user", path)
	}
	cluster, user := file.Clusters[0].Cluster, file.Users[0].User
	var parts [3][]byte
	for i, text := range []string{cluster.CA, user.Cert, user.Key} {
		if parts[i], err = base64.StdEncoding.DecodeString(text); err != nil {
			return nil, err
		}
	}
	pair, err := tls.X509KeyPair(parts[1], parts[2])
	if err != nil {
		return nil, err
	}
	config := &tls.Config{RootCAs: x509.NewCertPool(), Certificates: []tls.Certificate{pair}}
	config.RootCAs.AppendCertsFromPEM(parts[0])
	client := &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{TLSClientConfig: config}}
	return &kube{base: cluster.Server, client: client}, nil
}
