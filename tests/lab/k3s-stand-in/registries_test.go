// Copyright: (c) 2026, kubewright contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const registriesYAML = `mirrors:
  registry.k8s.io: {endpoint: ["http://10.0.0.2:5000", "https://m/v2/proxy", "http://10.0.0.2:5000"], rewrite: {"^(.*)": "k8s/$1"}}
  docker.io: {endpoint: ["https://m", "https://registry-1.docker.io"]}
  quay.io: {}
  "*": {endpoint: ["https://any"]}
configs:
  m: {tls: {ca_file: /ca, cert_file: /crt, key_file: /key, insecure_skip_verify: true}, auth: {username: u, password: p}}
  "localhost:5000": {auth: {username: u, password: p}}
`

func agentOf(t *testing.T, text string) (*agent, registries) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "registries.yaml")
	write(t, file, text)
	s, err := parse("agent", []string{"--config", file + ".none", "--private-registry", file, "--server", "https://a:6443"})
	if err != nil {
		t.Fatal(err)
	}
	a := &agent{settings: s, dataDir: t.TempDir()}
	known, err := a.readRegistries()
	if err != nil {
		t.Fatal(err)
	}
	return a, known
}

func contains(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("%s is not in\n%s", part, text)
		}
	}
}

func TestHostsFiles(t *testing.T) {
	a, known := agentOf(t, registriesYAML)
	hosts := known.hosts(false)
	text := hosts["registry.k8s.io"].text()
	contains(t, text, `server = "https://registry.k8s.io/v2"`, `[host."http://10.0.0.2:5000/v2"]`, `[host."https://m/v2/proxy"]`,
		"override_path = true", `ca = ["/ca"]`, `client = [["/crt", "/key"]]`, "skip_verify = true",
		`[host."https://m/v2/proxy".rewrite]`, `"^(.*)" = "k8s/$1"`)
	if strings.Count(text, `[host."http://10.0.0.2:5000/v2"]`) != 1 {
		t.Error("an endpoint is there twice")
	}
	text = hosts["docker.io"].text()
	contains(t, text, `server = "https://registry-1.docker.io/v2"`, `[host."https://m/v2"]`)
	if strings.Count(text, "registry-1.docker.io") != 1 {
		t.Error("the last endpoint is the registry itself")
	}
	contains(t, hosts["_default"].text(), `server = ""`)
	for _, name := range []string{"_default", "docker.io"} {
		if strings.Contains(known.hosts(true)[name].text(), "server =") {
			t.Error("a registry that is not asked has no server: " + name)
		}
	}
	if _, found := hosts["quay.io"]; found {
		t.Error("a file is written that says nothing")
	}
	contains(t, hosts["localhost:5000"].text(), `server = "http://localhost:5000/v2"`)
	contains(t, strings.Join(a.registryLogins(), "\n"), `registry.configs."m".auth`)
}

func TestEmbeddedRegistryIsTheFirstEndpoint(t *testing.T) {
	_, known := agentOf(t, registriesYAML)
	known.embed("127.0.0.1:6443", registryTLS{"/server-ca.crt", "/client.crt", "/client.key", false})
	hosts := known.hosts(false)
	for _, name := range []string{"registry.k8s.io", "docker.io", "quay.io", "_default"} {
		_, after, _ := strings.Cut(hosts[name].text(), "[host]")
		first, _, _ := strings.Cut(strings.TrimSpace(after), "\n\n")
		contains(t, first, `[host."https://127.0.0.1:6443/v2"]`, `ca = ["/server-ca.crt"]`, `client = [["/client.crt", "/client.key"]]`)
		if strings.Contains(first, "rewrite") {
			t.Error("its names are not rewritten")
		}
	}
	contains(t, hosts["127.0.0.1:6443"].text(), `server = "https://127.0.0.1:6443/v2"`)
}

func TestSettingsOfAllRegistriesAreLostWithAMirrorOfAll(t *testing.T) {
	const configs = "configs: {\"*\": {tls: {ca_file: /ca}}}\n"
	_, known := agentOf(t, configs)
	text := known.hosts(false)["_default"].text()
	contains(t, text, `ca = ["/ca"]`)
	if strings.Contains(text, "server") {
		t.Error("settings alone name no server")
	}
	_, known = agentOf(t, configs+"mirrors: {\"*\": {endpoint: [\"https://m\"]}}\n")
	if text = known.hosts(false)["_default"].text(); strings.Contains(text, "/ca") {
		t.Error(text)
	}
	_, known = agentOf(t, configs+"mirrors: {\"*\": {}}\n")
	if _, found := known.hosts(false)["_default"]; found {
		t.Error("a file is written that says nothing")
	}
}

func TestHostsFilesOfOthersStay(t *testing.T) {
	_, known := agentOf(t, registriesYAML)
	place := t.TempDir()
	write(t, place+"/mine.example/hosts.toml", "server = \"https://mine\"\n")
	write(t, place+"/gone.example/hosts.toml", hostsHeader)
	write(t, place+"/docker.io/hosts.toml", "server = \"https://mine\"\n")
	if err := known.write(place, false); err != nil {
		t.Fatal(err)
	}
	data, _ := os.ReadFile(place + "/docker.io/hosts.toml")
	contains(t, string(data), hostsHeader)
	if _, err := os.Stat(place + "/mine.example/hosts.toml"); err != nil {
		t.Error("a file without K3s's header is removed")
	}
	if _, err := os.Stat(place + "/gone.example"); err == nil {
		t.Error("an earlier file of K3s stays")
	}
}

func TestEmbeddedRegistryAnswersCertificatesOfTheCluster(t *testing.T) {
	for _, each := range []struct {
		path  string
		known bool
		code  int
	}{{"/v2/", false, 401}, {"/v2/", true, 200}, {"/v2/pause/manifests/3.10", true, 404}} {
		answer := httptest.NewRecorder()
		answerRegistry(answer, httptest.NewRequest(http.MethodGet, each.path, nil), each.known)
		if answer.Code != each.code {
			t.Errorf("%+v: %d", each, answer.Code)
		}
	}
}
