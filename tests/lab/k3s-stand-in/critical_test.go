// Copyright: (c) 2026, kubewright contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"path/filepath"
	"reflect"
	"slices"
	"testing"
	"time"
)

func criticalOf(t *testing.T, args ...string) critical {
	t.Helper()
	s, err := parse("server", append([]string{"--config", filepath.Join(t.TempDir(), "none")}, args...))
	if err != nil {
		t.Fatal(err)
	}
	found, err := readCritical(s)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestCriticalDefaults(t *testing.T) {
	found := criticalOf(t)
	if !reflect.DeepEqual(found.ClusterDNSs, []string{"10.43.0.10"}) || found.ClusterIPRanges[0] != "10.42.0.0/16" {
		t.Errorf("%+v", found)
	}
	if got := criticalOf(t, "--service-cidr=10.96.0.0/12").ClusterDNSs[0]; got != "10.96.0.10" {
		t.Error(got)
	}
}

func TestCriticalMismatches(t *testing.T) {
	own := criticalOf(t)
	other := criticalOf(t, "--cluster-cidr=10.50.0.0/16", "--disable=servicelb,traefik", "--flannel-backend=none", "--secrets-encryption",
		"--secrets-encryption-provider=secretbox")
	got := mismatches(own, other)
	for _, name := range []string{"cluster-cidr", "disable-service-lb", "flannel-backend", "secrets-encryption", "secrets-encryption-provider"} {
		if !slices.Contains(got, name) {
			t.Errorf("%s is not among %v", name, got)
		}
	}
	if len(got) != 5 || len(mismatches(own, criticalOf(t, "--tls-san=x", "--disable=traefik"))) != 0 {
		t.Errorf("%v", got)
	}
}

func TestCriticalRefusals(t *testing.T) {
	for _, arg := range []string{"--cluster-cidr=10.42.0.0", "--cluster-dns=x", "--flannel-backend=weave", "--egress-selector-mode=x"} {
		s, err := parse("server", []string{"--config", filepath.Join(t.TempDir(), "none"), arg})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := readCritical(s); err == nil {
			t.Errorf("%s is accepted", arg)
		}
	}
}

func TestSnapshotPlan(t *testing.T) {
	at := func(text string) time.Time {
		when, _ := time.Parse("15:04", text)
		return when
	}
	for plan, want := range map[string]bool{
		"0 */12 * * *": true, "*/5 * * * *": true, "0 12 * * *": true, "0 1-11 * * *": false, "30 * * * *": false, "x": false,
	} {
		if due(plan, at("12:00")) != want {
			t.Error(plan)
		}
	}
}
