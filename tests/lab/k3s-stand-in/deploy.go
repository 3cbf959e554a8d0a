// Copyright: (c) 2026, kubewright contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"time"
)

//go:embed manifests/*.yaml.in
var bundled embed.FS

// packaged has the names that `disable` accepts. Components without a manifest here are not deployed, because the lab
// does not have their images: docs.k3s.io/installation/packaged-components.
var packaged = []string{"coredns", "servicelb", "traefik", "local-storage", "metrics-server", "runtimes", "ccm", "rolebindings"}

// baseObjects are the custom resource definitions that K3s creates itself.
func (s *server) baseObjects(ctx context.Context) error {
	data, err := bundled.ReadFile("manifests/crds.yaml.in")
	if err != nil {
		return err
	}
	for {
		if out, err := s.kubectl(data, "apply", "--server-side", "--force-conflicts", "-f", "-"); err == nil {
			break
		} else {
			infof("Waiting for the API to take K3s's own definitions: %v: %s", err, out)
		}
		time.Sleep(time.Second)
	}
	_, err = s.kubectl(nil, "wait", "--for=condition=Established", "--timeout=60s", "crd/addons.k3s.cattle.io")
	return err
}

func (s *server) kubectl(input []byte, args ...string) ([]byte, error) {
	common := []string{"--kubeconfig", s.cred("supervisor.kubeconfig"), "--cache-dir", "/run/k3s/kubectl"}
	cmd := exec.Command(filepath.Join(binDir, "kubectl"), append(common, args...)...)
	cmd.Stdin = bytes.NewReader(input)
	return cmd.CombinedOutput()
}

// stageManifests writes the packaged components again at each start, except for disabled or skipped ones.
func (s *server) stageManifests(disabled []string) error {
	for _, name := range []string{"coredns", "rolebindings"} {
		path := filepath.Join(s.manifests(), name+".yaml")
		if slices.Contains(disabled, name) {
			continue
		}
		if _, err := os.Stat(path + ".skip"); err == nil {
			continue
		}
		data, err := bundled.ReadFile("manifests/" + name + ".yaml.in")
		if err != nil {
			return err
		}
		// See stageFiles in pkg/server/server.go.
		servers, policy := s.critical.ClusterDNSs, "SingleStack"
		if len(servers) > 1 {
			policy = "RequireDualStack"
		}
		text := strings.NewReplacer("%{CLUSTER_DOMAIN}%", s.str("cluster-domain"), "%{CLUSTER_DNS}%", servers[0],
			"%{CLUSTER_DNS_LIST}%", `["`+strings.Join(servers, `", "`)+`"]`, "%{CLUSTER_DNS_IPFAMILYPOLICY}%", policy,
			"%{COREDNS_IMAGE}%", fromRegistry(s.str("system-default-registry"), corednsImage)).Replace(string(data))
		if old, err := os.ReadFile(path); err == nil && string(old) == text {
			continue
		}
		if err := writeFile(path, []byte(text), 0o600); err != nil {
			return err
		}
		infof("Writing manifest: %s", path)
	}
	return nil
}

// deployManifests checks server/manifests every 15 seconds: pkg/deploy/controller.go.
func (s *server) deployManifests(ctx context.Context) {
	disabled := splitList(s.list("disable"))
	for _, name := range disabled {
		if !slices.Contains(packaged, name) {
			warnf("disable: %s is none of the packaged components", name)
		}
	}
	if err := s.stageManifests(disabled); err != nil {
		errorf("Failed to stage manifests: %v", err)
	}
	times := map[string]time.Time{}
	for force := true; ; {
		if err := s.deployAll(ctx, disabled, times, force); err != nil {
			errorf("Failed to process config: %v", err)
		} else {
			force = false
		}
		time.Sleep(15 * time.Second)
	}
}

// deployAll deploys all files. The file of a disabled component is deleted with its objects. A file with NAME.skip is
// ignored. Objects of a removed file are kept
// (docs.k3s.io/installation/packaged-components#auto-deploying-manifests-addons).
func (s *server) deployAll(ctx context.Context, disabled []string, times map[string]time.Time, force bool) error {
	var files []string
	skipped := map[string]bool{}
	_ = filepath.WalkDir(s.manifests(), func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return nil
		}
		if name, found := strings.CutSuffix(entry.Name(), ".skip"); found {
			skipped[name] = true
		} else if slices.Contains([]string{".yaml", ".yml", ".json"}, strings.ToLower(filepath.Ext(path))) && entry.Name()[0] != '.' {
			files = append(files, path)
		}
		return nil
	})
	sort.Strings(files)
	var problems []error
	for _, path := range files {
		if s.isDisabled(path, disabled) {
			if err := s.undeploy(ctx, path); err != nil {
				problems = append(problems, fmt.Errorf("failed to delete %s: %w", path, err))
			}
			continue
		}
		info, err := os.Stat(path)
		if err != nil || skipped[filepath.Base(path)] || (!force && info.ModTime().Equal(times[path])) {
			continue
		}
		if err := s.deploy(ctx, path, force); err != nil {
			problems = append(problems, fmt.Errorf("failed to process %s: %w", path, err))
			continue
		}
		times[path] = info.ModTime()
	}
	return errors.Join(problems...)
}

// isDisabled checks the file's name and its directory below manifests.
func (s *server) isDisabled(path string, disabled []string) bool {
	relative, _ := filepath.Rel(s.manifests(), path)
	for part := relative; part != "."; part = filepath.Dir(part) {
		if slices.Contains(disabled, strings.SplitN(filepath.Base(part), ".", 2)[0]) {
			return true
		}
	}
	return false
}
