// Copyright: (c) 2026, kubewright contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestConfigFileFoldersAndArguments(t *testing.T) {
	file := filepath.Join(t.TempDir(), "config.yaml")
	write(t, file, "node-label: [a=1]\ntls-san: x\nwrite-kubeconfig-mode: \"0644\"\ncluster-init: true\n")
	write(t, file+".d/10.yaml", "node-label+: [b=2]\ntls-san: [y, z]\n")
	write(t, file+".d/20.txt", "tls-san: ignored\n")
	s, err := parse("server", []string{"--config", file, "--tls-san=w", "--node-name", "n1"})
	if err != nil {
		t.Fatal(err)
	}
	if got := s.list("node-label"); !reflect.DeepEqual(got, []string{"a=1", "b=2"}) {
		t.Errorf("node-label: %v", got)
	}
	if got := s.list("tls-san"); !reflect.DeepEqual(got, []string{"y", "z", "w"}) {
		t.Errorf("tls-san: %v", got)
	}
	if s.str("write-kubeconfig-mode") != "0644" || !s.boolean("cluster-init") || s.str("node-name") != "n1" {
		t.Errorf("%v", s.values)
	}
	if s.str("flannel-backend") != "vxlan" {
		t.Error("a default is lost")
	}
}

func TestUnknownKeys(t *testing.T) {
	file := filepath.Join(t.TempDir(), "config.yaml")
	write(t, file, "notaflag: true\ntoken: abc\n")
	if s, err := parse("server", []string{"--config", file}); err != nil || s.str("token") != "abc" {
		t.Errorf("a server skips what it does not know: %v", err)
	}
	_, err := parse("agent", []string{"--config", file})
	if err == nil || err.Error() != "flag provided but not defined: -notaflag" {
		t.Errorf("an agent refuses what it does not know: %v", err)
	}
	if _, err := parse("server", []string{"--config", file, "--notaflag"}); err == nil {
		t.Error("an argument that is unknown is refused by both")
	}
}

func TestValuesOfTheWrongType(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "none")
	for _, args := range [][]string{{"--https-listen-port=x"}, {"--cluster-init=perhaps"}, {"--token"}} {
		if _, err := parse("server", append([]string{"--config", missing}, args...)); err == nil {
			t.Errorf("%v is accepted", args)
		}
	}
}

func TestEnvironmentComesLast(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "none")
	t.Setenv("K3S_TOKEN", "fromenv")
	t.Setenv("K3S_URL", "https://a:6443")
	s, err := parse("agent", []string{"-c", missing, "-t", "given"})
	if err != nil || s.str("token") != "given" || s.str("server") != "https://a:6443" {
		t.Errorf("%v %v", s.values, err)
	}
}

func TestBrokenConfig(t *testing.T) {
	file := filepath.Join(t.TempDir(), "config.yaml")
	write(t, file, "- a\n- b\n")
	if _, err := parse("server", []string{"--config", file}); err == nil || !strings.Contains(err.Error(), "unmarshal") {
		t.Errorf("%v", err)
	}
}

func TestArgumentsAreMerged(t *testing.T) {
	got := arguments(map[string]string{"a": "1", "b": "2", "c": "3"}, []string{"a=9", "b+=8", "c-=7", "d", "d=x"})
	want := []string{"--a=9", "--b=2", "--b=8", "--c=3", "--c=7", "--d=true", "--d=x"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%v", got)
	}
}

func TestSecretsAreHidden(t *testing.T) {
	got := publicArgs([]string{"server", "--token", "abc", "--datastore-endpoint=mysql://x", "--tls-san=a"})
	want := []string{"server", "--token", "********", "--datastore-endpoint", "********", "--tls-san", "a"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%v", got)
	}
}

func TestUnsupportedOptionsAreRejected(t *testing.T) {
	none := filepath.Join(t.TempDir(), "none")
	for args, refused := range map[string]bool{"--disable-etcd": true, "--rootless": true, "--disable-etcd=false": false, "--embedded-registry": false} {
		s, err := parse("server", []string{"--config", none, args})
		if err != nil {
			t.Fatal(err)
		}
		if err := refuseMissing(s); (err != nil) != refused {
			t.Errorf("%s: %v", args, err)
		}
	}
}
