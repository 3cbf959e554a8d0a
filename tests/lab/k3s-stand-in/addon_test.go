// Copyright: (c) 2026, kubewright contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"reflect"
	"testing"
)

func TestObjectsOfAManifest(t *testing.T) {
	documents, err := marked([]byte("apiVersion: v1\nkind: Namespace\nmetadata: {name: a, labels: {mine: x}}\n---\n# nothing\n---\n"+
		"apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: b, namespace: a}\n"), "web")
	if err != nil || len(documents) != 2 {
		t.Fatal(documents, err)
	}
	var keys, kinds []string
	for _, document := range documents {
		keys, kinds = append(keys, identify(document).key()), append(kinds, resource(identify(document).gvk()))
	}
	if want := []string{"/v1, Kind=Namespace//a", "apps/v1, Kind=Deployment/a/b"}; !reflect.DeepEqual(keys, want) {
		t.Error(keys)
	}
	if want := []string{"Namespace", "Deployment.v1.apps"}; !reflect.DeepEqual(kinds, want) {
		t.Error(kinds)
	}
	labels := identify(documents[0]).Metadata.Labels
	// SHA-1 of the values that GetLabelsAndAnnotations and objectSetHash combine.
	if labels["mine"] != "x" || labels[objectSet+"hash"] != "a0262655c6d7c4c3e232e6574734d2e6c0e415d4" {
		t.Error(labels)
	}
}

// The label that CoreDNS has in every K3s cluster.
func TestLabelMatchesARealCluster(t *testing.T) {
	if labels, _ := marks("coredns"); labels[objectSet+"hash"] != "bce283298811743a0386ab510f2f67ef74240c57" {
		t.Error(labels)
	}
}

func TestInvalidManifests(t *testing.T) {
	for _, text := range []string{"a: [", "metadata: {name: a}", "- a"} {
		if _, err := marked([]byte(text), "web"); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}
