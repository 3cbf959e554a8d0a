// Copyright: (c) 2026, kubewright contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func serverOf(t *testing.T, args ...string) *server {
	t.Helper()
	place := t.TempDir()
	s, err := parse("server", append([]string{"--config", place + "/none"}, args...))
	if err != nil {
		t.Fatal(err)
	}
	found, err := readCritical(s)
	if err != nil {
		t.Fatal(err)
	}
	return &server{settings: s, dataDir: place, dir: place + "/server", nodeName: "cp-1", nodeIPs: []string{"10.0.0.1"}, critical: found}
}

func TestTombstone(t *testing.T) {
	for _, each := range []struct {
		args []string
		want error
	}{{[]string{"--cluster-init"}, errTombstone}, {[]string{"--server", "https://cp-2:6443"}, nil}} {
		s := serverOf(t, each.args...)
		write(t, s.dir+"/db/etcd/tombstone", "")
		write(t, s.dir+"/db/etcd/member/wal/0", "")
		if _, err := s.newMember(); !errors.Is(err, each.want) {
			t.Errorf("%v: %v", each.args, err)
		}
		if _, err := os.Stat(s.dir + "/db/etcd/member"); (err == nil) != (each.want != nil) {
			t.Errorf("%v: the data of a server that joins again is set aside, that of another one stays", each.args)
		}
	}
}

func TestTokenFileIsWaitedFor(t *testing.T) {
	former := [2]time.Duration{fileInterval, fileTimeout}
	defer func() { fileInterval, fileTimeout = former[0], former[1] }()
	fileInterval, fileTimeout = 10*time.Millisecond, time.Second
	path := filepath.Join(t.TempDir(), "token")
	s := serverOf(t, "--token-file", path)
	go func() {
		time.Sleep(50 * time.Millisecond)
		_ = os.WriteFile(path, []byte("secret\n"), 0o600)
	}()
	if value, err := fileOr(s.settings, "token"); value != "secret" || err != nil {
		t.Error(value, err)
	}
	fileTimeout = 0
	if _, err := fileOr(serverOf(t, "--token-file", path+".none").settings, "token"); err == nil {
		t.Error("a file that never comes is an error")
	}
}

func TestOwnHost(t *testing.T) {
	for want, args := range map[string][]string{
		"127.0.0.1": nil, "192.0.2.1": {"--bind-address=192.0.2.1"},
		"::1": {"--service-cidr=fd00::/112", "--cluster-cidr=fd01::/56"},
	} {
		if got := serverOf(t, args...).ownHost(); got != want {
			t.Errorf("%v: %s", args, got)
		}
	}
}

func TestFinalizers(t *testing.T) {
	if got := withFinalizers([]string{"a"}, true); !slices.Equal(got, []string{"a", memberFinalizer, nodeFinalizer}) {
		t.Error(got)
	}
	if got := withFinalizers(nil, false); !slices.Equal(got, []string{nodeFinalizer}) {
		t.Error(got)
	}
}

// apiOf answers every request with {} and keeps what was patched and deleted.
func apiOf(t *testing.T) (*kube, *[]string) {
	t.Helper()
	var asked []string
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		asked = append(asked, r.Method+" "+r.URL.Path+" "+string(body))
		_, _ = w.Write([]byte("{}"))
	}))
	t.Cleanup(web.Close)
	return &kube{web.URL, web.Client()}, &asked
}

func TestDeletedNodeStaysUntilItsWorkIsDone(t *testing.T) {
	s := serverOf(t)
	api, asked := apiOf(t)
	s.kube = api
	n := &node{}
	_ = json.Unmarshal([]byte(`{"metadata": {"name": "w-1", "resourceVersion": "5", "finalizers": ["other"]}}`), n)
	s.finalize(context.Background(), n)
	if len(*asked) != 1 || !strings.Contains((*asked)[0], `"finalizers":["other","`+nodeFinalizer+`"],"resourceVersion":"5"`) {
		t.Error(*asked)
	}
	*asked = nil
	n.Metadata.DeletionTimestamp = "2026-11-29T00:00:00Z"
	n.Metadata.Finalizers = []string{"other", memberFinalizer, nodeFinalizer}
	s.finalize(context.Background(), n)
	if len(*asked) != 2 || !strings.HasPrefix((*asked)[0], "DELETE "+nodeSecret("w-1")) || !strings.Contains((*asked)[1], `"finalizers":["other"]`) {
		t.Error(*asked)
	}
}

func TestTokenIsMadeInTheClusterOfTheKubeconfig(t *testing.T) {
	t.Setenv("KUBECONFIG", filepath.Join(t.TempDir(), "missing"))
	if _, err := adminKube(simpleOptions(nil)); err == nil || !strings.Contains(err.Error(), "missing") {
		t.Error(err)
	}
	other := filepath.Join(t.TempDir(), "other")
	if _, err := adminKube(simpleOptions([]string{"--kubeconfig", other})); err == nil || !strings.Contains(err.Error(), "other") {
		t.Error(err)
	}
}
