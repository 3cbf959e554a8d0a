// Copyright: (c) 2026, kubewright contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"strings"
	"testing"
)

// The combinations that pkg/cli/server/server.go and pkg/cluster/managed.go refuse.
func TestResetIsRefused(t *testing.T) {
	for _, each := range []struct {
		args  []string
		files []string
		want  string
	}{
		{[]string{"--cluster-reset-restore-path=s"}, nil, "--cluster-reset required"},
		{[]string{"--cluster-reset", "--server=https://cp-2:6443"}, nil, "server URL is set"},
		{[]string{"--cluster-reset", "--cluster-reset-restore-path=s"}, nil, "please pass --token"},
		{[]string{"--cluster-reset", "--cluster-reset-restore-path=none"}, []string{"token"}, "does not exist: none"},
		{[]string{"--cluster-reset"}, []string{"db/reset-flag"}, "was previously reset"},
		{[]string{"--cluster-reset"}, nil, ""},
	} {
		s := serverOf(t, each.args...)
		for _, name := range each.files {
			write(t, s.dir+"/"+name, "")
		}
		err := s.checkReset()
		if each.want == "" && err != nil || each.want != "" && (err == nil || !strings.Contains(err.Error(), each.want)) {
			t.Errorf("%v: %v", each.args, err)
		}
	}
}

// A second restore is not refused: the flag counts only without a snapshot.
func TestFlagDoesNotStopARestore(t *testing.T) {
	s := serverOf(t, "--cluster-reset")
	path := s.dir + "/snapshot"
	s.values["cluster-reset-restore-path"] = []string{path}
	for _, name := range []string{"token", "db/reset-flag", "snapshot"} {
		write(t, s.dir+"/"+name, "")
	}
	if err := s.checkReset(); err != nil {
		t.Error(err)
	}
}
