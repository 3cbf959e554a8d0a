// Copyright: (c) 2026, kubewright contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

var (
	logTerminal = isTerminal(os.Stderr)
	logStart    = time.Now()
	logDebug    bool
)

// logf writes lines in the format of logrus, because other programs search for them in journals.
func logf(level, format string, values ...any) {
	if level == "debug" && !logDebug {
		return
	}
	text := fmt.Sprintf(format, values...)
	if logTerminal {
		short := strings.ToUpper((level + "    ")[:4])
		fmt.Fprintf(os.Stderr, "%s[%04d] %s\n", short, int(time.Since(logStart).Seconds()), text)
		return
	}
	when := time.Now().UTC().Format(time.RFC3339)
	fmt.Fprintf(os.Stderr, "time=%q level=%s msg=%s\n", when, level, strconv.Quote(text))
}

func infof(format string, values ...any)  { logf("info", format, values...) }
func warnf(format string, values ...any)  { logf("warning", format, values...) }
func errorf(format string, values ...any) { logf("error", format, values...) }
func debugf(format string, values ...any) { logf("debug", format, values...) }

// fatalf logs an error and exits. The kernel then stops the child processes (process.go).
func fatalf(format string, values ...any) {
	logf("fatal", format, values...)
	os.Exit(1)
}

func isTerminal(file *os.File) bool {
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
