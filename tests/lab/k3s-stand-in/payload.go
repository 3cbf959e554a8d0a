// Copyright: (c) 2026, kubewright contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"archive/tar"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/klauspost/compress/zstd"
)

// The payload is appended to this executable: a .tar.zst, its length, its digest and this mark (written by
// pack/main.go).
const (
	payloadMagic   = "kubewright-k3s-1"
	payloadTrailer = 8 + 32 + len(payloadMagic)
)

// kubernetesPrograms are links to one program (_kubernetes/main.go).
var kubernetesPrograms = []string{"kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy", "kubectl"}

var errNoPayload = errors.New("this executable has no payload: build it with `lab build --k3s` (tests/lab/README.md)")

// payload returns the offset, length and digest of the archive in a file.
func payload(file *os.File) (offset, length int64, digest string, err error) {
	end, err := file.Seek(-int64(payloadTrailer), io.SeekEnd)
	if err != nil {
		return 0, 0, "", errNoPayload
	}
	trailer := make([]byte, payloadTrailer)
	if _, err := io.ReadFull(file, trailer); err != nil {
		return 0, 0, "", err
	}
	if string(trailer[40:]) != payloadMagic {
		return 0, 0, "", errNoPayload
	}
	length = int64(binary.BigEndian.Uint64(trailer[:8]))
	return end - length, length, hex.EncodeToString(trailer[8:40]), nil
}

// extract extracts the programs to DATA-DIR/data/HASH/bin, with the links `current` and `previous` beside HASH, as
// K3s does: cmd/k3s/main.go (extract). It returns the directory of the programs.
func extract(dataDir string) (string, error) {
	file, err := os.Open("/proc/self/exe")
	if err != nil {
		return "", err
	}
	defer file.Close()
	offset, length, digest, err := payload(file)
	if err != nil {
		return "", err
	}
	base := filepath.Join(dataDir, "data")
	target := filepath.Join(base, digest)
	if err := os.MkdirAll(base, 0o755); err != nil {
		return "", err
	}
	unlock, err := lockFile(filepath.Join(base, ".lock"))
	if err != nil {
		return "", err
	}
	defer unlock()
	bin := filepath.Join(target, "bin")
	if _, err := os.Stat(filepath.Join(bin, ".complete")); err == nil {
		return bin, linkCurrent(base, digest)
	}
	infof("Preparing data dir %s", target)
	_ = os.RemoveAll(target + "-tmp")
	if err := unpack(io.NewSectionReader(file, offset, length), target+"-tmp"); err != nil {
		return "", fmt.Errorf("extracting data: %w", err)
	}
	for _, name := range kubernetesPrograms {
		if err := os.Symlink("kubernetes", filepath.Join(target+"-tmp", "bin", name)); err != nil {
			return "", err
		}
	}
	if err := os.WriteFile(filepath.Join(target+"-tmp", "bin", ".complete"), nil, 0o644); err != nil {
		return "", err
	}
	_ = os.RemoveAll(target)
	if err := os.Rename(target+"-tmp", target); err != nil {
		return "", err
	}
	return bin, linkCurrent(base, digest)
}

func unpack(source io.Reader, target string) error {
	stream, err := zstd.NewReader(source)
	if err != nil {
		return err
	}
	defer stream.Close()
	archive := tar.NewReader(stream)
	for {
		entry, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		path := filepath.Join(target, "bin", filepath.Base(entry.Name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		out, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o755)
		if err != nil {
			return err
		}
		_, err = io.Copy(out, archive)
		if err := errors.Join(err, out.Close()); err != nil {
			return err
		}
	}
}

// linkCurrent links `current` to this version and `previous` to the one before. data/cni has a link to each plugin,
// so that its path does not change with upgrades: docs.k3s.io/networking (since v1.30), pkg/agent/config (CNIBinDir).
func linkCurrent(base, digest string) error {
	current := filepath.Join(base, "current")
	if old, err := os.Readlink(current); err == nil && filepath.Base(old) != digest {
		if err := relink(old, filepath.Join(base, "previous")); err != nil {
			return err
		}
	}
	if err := relink(filepath.Join(base, digest), current); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(base, "cni"), 0o755); err != nil {
		return err
	}
	for _, name := range cniPlugins {
		if err := relink(filepath.Join(base, digest, "bin", name), filepath.Join(base, "cni", name)); err != nil {
			return err
		}
	}
	return nil
}

var cniPlugins = []string{"bridge", "host-local", "loopback", "portmap", "firewall", "bandwidth"}

func relink(target, link string) error {
	if old, err := os.Readlink(link); err == nil && old == target {
		return nil
	}
	temporary := link + ".tmp"
	_ = os.Remove(temporary)
	if err := os.Symlink(target, temporary); err != nil {
		return err
	}
	return os.Rename(temporary, link)
}

func lockFile(path string) (func(), error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX); err != nil {
		return nil, err
	}
	return func() { file.Close() }, nil
}

// runBundled replaces this process with a program of the payload: pkg/cli/{kubectl,crictl,ctr}.
func runBundled(name string, args []string) error {
	dataDir := defaultDataDir
	if value := configValue("data-dir"); value != "" {
		dataDir = value
	}
	bin, err := extractAnywhere(dataDir)
	if err != nil {
		return err
	}
	env := os.Environ()
	switch name {
	case "kubectl":
		if os.Getenv("KUBECONFIG") == "" {
			if _, err := os.Stat(adminKubeconfig); err == nil {
				env = append(env, "KUBECONFIG="+adminKubeconfig)
			}
		}
	case "crictl":
		if config := filepath.Join(dataDir, "agent/etc/crictl.yaml"); os.Getenv("CRI_CONFIG_FILE") == "" {
			env = append(env, "CRI_CONFIG_FILE="+config)
		}
	case "ctr":
		env = append([]string{"CONTAINERD_ADDRESS=" + containerdSocket, "CONTAINERD_NAMESPACE=k8s.io"}, env...)
	}
	return syscall.Exec(filepath.Join(bin, name), append([]string{name}, args...), env)
}

// extractAnywhere uses a directory of the user's own if the data directory is not writable (datadir.LocalHome).
func extractAnywhere(dataDir string) (string, error) {
	if os.Getuid() == 0 {
		return extract(dataDir)
	}
	current := filepath.Join(dataDir, "data/current/bin")
	if _, err := os.Stat(current); err == nil {
		return current, nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", err
	}
	return extract(filepath.Join(home, ".rancher/k3s"))
}

// configValue reads one key of the config file, for commands with few options (MustFindString).
func configValue(name string) string {
	args, err := readConfig(configFile(nil))
	if err != nil {
		return ""
	}
	value := ""
	for _, arg := range args {
		if found, ok := strings.CutPrefix(arg, "--"+name+"="); ok {
			value = found
		}
	}
	return value
}
