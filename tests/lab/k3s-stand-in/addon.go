// Copyright: (c) 2026, kubewright contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"bytes"
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// Deploy a file of the manifests directory: it becomes an Addon, and its objects refer to the Addon by a label and
// annotations. pkg/deploy/controller.go, and pkg/apply/desiredset_apply.go of github.com/rancher/wrangler.
const (
	addonPath  = "/apis/k3s.cattle.io/v1/namespaces/kube-system/addons/"
	addonKind  = "k3s.cattle.io/v1, Kind=Addon"
	gvks       = "addon.k3s.cattle.io/gvks"
	objectSet  = "objectset.rio.cattle.io/"
	neverPrune = objectSet + "prune"
)

type addon struct {
	Metadata struct{ Annotations map[string]string }
	Spec     struct{ Source, Checksum string }
}

// object has the fields that identify an object. The rest of the manifest stays as it was written.
type object struct {
	APIVersion string
	Kind       string
	Metadata   struct {
		Name, Namespace string
		Labels          map[string]string
	}
}

func (o *object) gvk() string {
	if strings.Contains(o.APIVersion, "/") {
		return o.APIVersion + ", Kind=" + o.Kind
	}
	return "/" + o.APIVersion + ", Kind=" + o.Kind
}

func (o *object) key() string { return o.gvk() + "/" + o.Metadata.Namespace + "/" + o.Metadata.Name }

func addonName(path string) string { return strings.SplitN(filepath.Base(path), ".", 2)[0] }

// resource is a kind in the form that kubectl accepts.
func resource(gvk string) string {
	group, kind, _ := strings.Cut(gvk, ", Kind=")
	name, version, _ := strings.Cut(group, "/")
	if name == "" {
		return kind
	}
	return kind + "." + version + "." + name
}

func marks(name string) (labels, annotations map[string]string) {
	annotations = map[string]string{objectSet + "id": "", objectSet + "owner-gvk": addonKind, objectSet + "owner-name": name,
		objectSet + "owner-namespace": "kube-system"}
	digest := sha1.Sum([]byte(addonKind + name + "kube-system"))
	return map[string]string{objectSet + "hash": hex.EncodeToString(digest[:])}, annotations
}

// deploy applies a file and deletes objects that an earlier version of the file had. It creates the Addon before its
// objects.
func (s *server) deploy(ctx context.Context, path string, force bool) error {
	name := addonName(path)
	var known addon
	if err := s.kube.get(ctx, addonPath+name, &known); err != nil && !notFound(err) {
		return err
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	digest := sha256.Sum256(content)
	checksum := hex.EncodeToString(digest[:])
	if !force && known.Spec.Checksum == checksum {
		return nil
	}
	record := func(annotations map[string]string, checksum string) error {
		return s.kube.apply(ctx, addonPath+name, map[string]any{
			"apiVersion": "k3s.cattle.io/v1", "kind": "Addon",
			"metadata": map[string]any{"name": name, "namespace": "kube-system", "annotations": annotations},
			"spec":     map[string]string{"source": path, "checksum": checksum},
		})
	}
	if err := record(known.Metadata.Annotations, known.Spec.Checksum); err != nil {
		return err
	}
	wanted, err := marked(content, name)
	if err != nil {
		return s.failed(ctx, name, "ParseManifestFailed", fmt.Sprintf("Parse manifest at %q failed", path), err)
	}
	applied, err := s.applyObjects(wanted)
	if err != nil {
		return s.failed(ctx, name, "ApplyManifestFailed", fmt.Sprintf("Applying manifest at %q failed", path), err)
	}
	kinds := map[string]bool{}
	for _, item := range applied {
		kinds[item.gvk()] = true
	}
	now := slices.Sorted(maps.Keys(kinds))
	if err := s.prune(name, append(strings.Split(known.Metadata.Annotations[gvks], ";"), now...), applied); err != nil {
		return err
	}
	infof("Applied manifest at %q", path)
	return record(map[string]string{gvks: strings.Join(now, ";")}, checksum)
}

// failed also reports the error as an event, which `kubectl describe` shows.
func (s *server) failed(ctx context.Context, name, reason, what string, cause error) error {
	moment := time.Now().UTC()
	event := fmt.Sprintf("%s.%x", name, moment.UnixNano())
	_ = s.kube.apply(ctx, "/api/v1/namespaces/kube-system/events/"+event, map[string]any{
		"apiVersion": "v1", "kind": "Event", "metadata": map[string]string{"name": event, "namespace": "kube-system"},
		"involvedObject": map[string]string{"apiVersion": "k3s.cattle.io/v1", "kind": "Addon", "name": name, "namespace": "kube-system"},
		"reason":         reason, "message": what + ": " + cause.Error(), "type": "Warning", "source": map[string]string{"component": "deploy"},
		"firstTimestamp": moment.Format(time.RFC3339), "lastTimestamp": moment.Format(time.RFC3339), "count": 1,
	})
	return cause
}

// undeploy deletes a disabled file, its objects and its Addon.
func (s *server) undeploy(ctx context.Context, path string) error {
	name := addonName(path)
	var known addon
	if err := s.kube.get(ctx, addonPath+name, &known); err != nil && !notFound(err) {
		return err
	}
	kinds := strings.Split(known.Metadata.Annotations[gvks], ";")
	if content, err := os.ReadFile(path); err == nil {
		if documents, err := marked(content, name); err == nil {
			for _, document := range documents {
				kinds = append(kinds, identify(document).gvk())
			}
		}
	}
	if err := s.prune(name, kinds, nil); err != nil {
		return err
	}
	if err := os.Remove(path); err != nil {
		return err
	}
	if err := s.kube.delete(ctx, addonPath+name); err != nil && !notFound(err) {
		return err
	}
	return nil
}

// applyObjects returns the objects as the API returns them, with their namespaces.
func (s *server) applyObjects(documents []map[string]any) ([]*object, error) {
	if len(documents) == 0 {
		return nil, nil
	}
	text, err := json.Marshal(map[string]any{"apiVersion": "v1", "kind": "List", "items": documents})
	if err != nil {
		return nil, err
	}
	out, err := s.kubectl(text, "apply", "--server-side", "--force-conflicts", "--field-manager=deploy@"+s.nodeName, "-o", "json", "-f", "-")
	if err != nil {
		return nil, fmt.Errorf("%w: %s", err, bytes.TrimSpace(out))
	}
	return objectsOf(out)
}

// prune deletes an Addon's objects that are not in the list to keep. It skips kinds that the API does not know.
func (s *server) prune(name string, kinds []string, kept []*object) error {
	labels, _ := marks(name)
	keys := map[string]bool{}
	for _, item := range kept {
		keys[item.key()] = true
	}
	slices.Sort(kinds)
	for _, gvk := range slices.Compact(kinds) {
		if gvk == "" {
			continue
		}
		out, err := s.kubectl(nil, "get", resource(gvk), "--all-namespaces", "-l", objectSet+"hash="+labels[objectSet+"hash"], "-o", "json")
		if err != nil {
			if strings.Contains(string(out), "the server doesn't have a resource type") {
				continue
			}
			return fmt.Errorf("%w: %s", err, bytes.TrimSpace(out))
		}
		found, err := objectsOf(out)
		if err != nil {
			return err
		}
		for _, item := range found {
			if !keys[item.key()] && item.Metadata.Labels[neverPrune] != "false" {
				s.deleteObject(item)
			}
		}
	}
	return nil
}

func (s *server) deleteObject(item *object) {
	args := []string{"delete", "--ignore-not-found", "--wait=false", resource(item.gvk()), item.Metadata.Name}
	if item.Metadata.Namespace != "" {
		args = append(args, "--namespace", item.Metadata.Namespace)
	}
	if out, err := s.kubectl(nil, args...); err != nil {
		warnf("Failed to delete %s: %s", item.key(), bytes.TrimSpace(out))
	}
}

// objectsOf parses kubectl's output: one object or a List of them.
func objectsOf(out []byte) ([]*object, error) {
	var list struct {
		Kind  string
		Items []*object
	}
	if err := json.Unmarshal(out, &list); err != nil {
		return nil, fmt.Errorf("%w: %s", err, bytes.TrimSpace(out))
	}
	if list.Kind == "List" {
		return list.Items, nil
	}
	var one object
	err := json.Unmarshal(out, &one)
	return []*object{&one}, err
}

func identify(document map[string]any) *object {
	var found object
	if text, err := json.Marshal(document); err == nil {
		_ = json.Unmarshal(text, &found)
	}
	return &found
}

// marked parses the documents of a manifest and adds the label and annotations of the Addon to each.
func marked(content []byte, name string) ([]map[string]any, error) {
	labels, annotations := marks(name)
	var found []map[string]any
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	for {
		var document map[string]any
		if err := decoder.Decode(&document); errors.Is(err, io.EOF) {
			return found, nil
		} else if err != nil {
			return nil, err
		}
		items := []any{document}
		if document["kind"] == "List" {
			items, _ = document["items"].([]any)
		}
		for _, item := range items {
			entry, _ := item.(map[string]any)
			if len(entry) == 0 {
				continue
			}
			if kind, _ := entry["kind"].(string); kind == "" {
				return nil, errors.New("Object 'Kind' is missing")
			}
			meta, _ := entry["metadata"].(map[string]any)
			if meta == nil {
				meta = map[string]any{}
			}
			meta["labels"] = joined(meta["labels"], labels)
			meta["annotations"] = joined(meta["annotations"], annotations)
			entry["metadata"] = meta
			found = append(found, entry)
		}
	}
}

func joined(there any, more map[string]string) map[string]any {
	result, _ := there.(map[string]any)
	if result == nil {
		result = map[string]any{}
	}
	for key, value := range more {
		result[key] = value
	}
	return result
}
