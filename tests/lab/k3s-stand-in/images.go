// Copyright: (c) 2026, kubewright contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"
)

// importImages imports the files in agent/images before the first pod: docs.k3s.io/installation/airgap. Archives may
// be compressed; text files list images to pull.
func (a *agent) importImages() error {
	entries, err := os.ReadDir(a.path("images"))
	if err != nil {
		return nil
	}
	for _, entry := range entries {
		begun := time.Now()
		file := a.path("images", entry.Name())
		var err error
		switch {
		case strings.HasSuffix(file, ".txt"):
			err = pullList(file)
		case strings.Contains(entry.Name(), ".tar"):
			err = importArchive(file)
		default:
			continue
		}
		if err != nil {
			errorf("Error encountered while importing %s: %v", file, err)
			continue
		}
		infof("Imported images from %s in %s", file, time.Since(begun))
	}
	return nil
}

func importArchive(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	var stream io.Reader = file
	switch filepath.Ext(path) {
	case ".zst":
		unpacked, err := zstd.NewReader(file)
		if err != nil {
			return err
		}
		defer unpacked.Close()
		stream = unpacked
	case ".gz":
		if stream, err = gzip.NewReader(file); err != nil {
			return err
		}
	}
	known, err := listImages()
	if err != nil {
		return err
	}
	if _, err := ctrImages(stream, "import", "-"); err != nil {
		return err
	}
	there, err := listImages()
	if err != nil {
		return err
	}
	for name, digest := range there {
		if _, before := known[name]; !before {
			if err := pin(name, digest); err != nil {
				return err
			}
		}
	}
	return nil
}

// pin gives an image that was imported a name by digest, and keeps it from being collected: pkg/agent/containerd
// (retagImages, labelImages).
func pin(name, digest string) error {
	repository, _, found := strings.Cut(name, "@")
	if place := strings.LastIndex(name, ":"); !found && place > strings.LastIndex(name, "/") {
		repository = name[:place]
	}
	byDigest := repository + "@" + digest
	if byDigest != name {
		if _, err := ctrImages(nil, "tag", "--force", name, byDigest); err != nil {
			return err
		}
	}
	_, err := ctrImages(nil, "label", name, "io.cattle.k3s.pinned=pinned", "io.cri-containerd.pinned=pinned")
	return err
}

// listImages returns {name: digest} of the images that have a name.
func listImages() (map[string]string, error) {
	out, err := ctrImages(nil, "ls")
	if err != nil {
		return nil, err
	}
	found := map[string]string{}
	for _, line := range strings.Split(out, "\n")[1:] {
		if fields := strings.Fields(line); len(fields) > 2 && strings.Contains(fields[0], "/") {
			found[fields[0]] = fields[2]
		}
	}
	return found, nil
}

func ctrImages(stdin io.Reader, arguments ...string) (string, error) {
	base := []string{"--address", containerdSocket, "--namespace", "k8s.io", "images"}
	cmd := exec.Command(filepath.Join(binDir, "ctr"), append(base, arguments...)...)
	cmd.Stdin = stdin
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return string(out), nil
}

func pullList(path string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	for _, image := range strings.Fields(string(data)) {
		if out, err := once("crictl", "--runtime-endpoint", "unix://"+containerdSocket, "pull", image); err != nil {
			return fmt.Errorf("%s: %w: %s", image, err, out)
		}
	}
	return nil
}
