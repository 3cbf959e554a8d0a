// Copyright: (c) 2026, kubewright contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
)

// checkConfigCommand performs a few of upstream's checks (contrib/util/check-config.sh).
func checkConfigCommand([]string) error {
	failed := 0
	check := func(name string, good bool) {
		word := "pass"
		if !good {
			word, failed = "missing (fail)", failed+1
		}
		fmt.Printf("- %s: %s\n", name, word)
	}
	fmt.Println("Checked by a stand-in for K3s:")
	for _, name := range []string{"iptables", "ip", "mount"} {
		_, err := exec.LookPath(name)
		check(name, err == nil)
	}
	for name, path := range map[string]string{"cgroups": "/sys/fs/cgroup", "bridge": "/proc/sys/net", "overlay": "/proc/filesystems"} {
		_, err := os.Stat(path)
		check(name, err == nil)
	}
	if failed > 0 {
		fmt.Printf("\nSTATUS: %d (fail)\n", failed)
		return errors.New("the kernel configuration is not sufficient")
	}
	fmt.Println("\nSTATUS: pass")
	return nil
}
