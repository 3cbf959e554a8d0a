// Copyright: (c) 2026, kubewright contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// The lab's stand-in for K3s: one executable that supervises the real Kubernetes programs and follows K3s's rules.
package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
)

// Set by the linker: the version to report, and the images to deploy.
var (
	version      = "v0.0.0+k3s1"
	commit       = "stand-in"
	corednsImage = "registry.k8s.io/coredns/coredns:v1.14.2"
	pauseImage   = "registry.k8s.io/pause:3.10.2"
)

const defaultDataDir = "/var/lib/rancher/k3s"

// commandTable has K3s's commands, as docs.k3s.io/cli lists them.
func commandTable() map[string]func(args []string) error {
	return map[string]func(args []string) error{
		"server":          serverCommand,
		"agent":           agentCommand,
		"kubectl":         func(args []string) error { return runBundled("kubectl", args) },
		"crictl":          func(args []string) error { return runBundled("crictl", args) },
		"ctr":             func(args []string) error { return runBundled("ctr", args) },
		"token":           tokenCommand,
		"etcd-snapshot":   snapshotCommand,
		"secrets-encrypt": encryptCommand,
		"certificate":     certificateCommand,
		"check-config":    checkConfigCommand,
	}
}

func main() {
	// K3s also responds to the names of its symbolic links: cmd/k3s/main.go (externalCLIAction).
	args := os.Args[1:]
	if name := filepath.Base(os.Args[0]); name == "kubectl" || name == "crictl" || name == "ctr" {
		args = append([]string{name}, args...)
	}
	if err := run(args); err != nil {
		var usage usageError
		if errors.As(err, &usage) {
			fmt.Printf("Incorrect Usage: %s\n\n%s", usage, help(args))
		}
		fatalf("Error: %v", err)
	}
}

func run(args []string) error {
	if len(args) == 0 || args[0] == "--help" || args[0] == "-h" || args[0] == "help" {
		fmt.Print(help(nil))
		return nil
	}
	if args[0] == "--version" || args[0] == "-v" {
		fmt.Printf("k3s version %s (%s)\ngo version %s\n", version, commit, runtime.Version())
		return nil
	}
	command, found := commandTable()[args[0]]
	if !found {
		return fmt.Errorf("No help topic for '%s'", args[0])
	}
	if len(args) > 1 && (args[1] == "--help" || args[1] == "-h") && flagsOf(args[0]) != nil {
		fmt.Print(help(args))
		return nil
	}
	return command(args[1:])
}

// help says first that this is a stand-in, so that nobody takes it for K3s.
func help(args []string) string {
	text := "NAME:\n   k3s - a stand-in for K3s (kubewright's lab): Kubernetes' real programs, kine, etcd and containerd under K3s's own rules\n"
	if len(args) > 0 && flagsOf(args[0]) != nil {
		text += "USAGE:\n   k3s " + args[0] + " [OPTIONS]\nOPTIONS:\n"
		for _, r := range flagsOf(args[0]) {
			text += "   " + r.usage() + "\n"
		}
		return text
	}
	text += "USAGE:\n   k3s [global options] command [command options]\nVERSION:\n   " + version + " (" + commit + ")\nCOMMANDS:\n"
	for _, name := range sortedKeys(commandTable()) {
		text += "   " + name + "\n"
	}
	return text
}
