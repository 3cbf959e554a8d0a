// Copyright: (c) 2026, kubewright contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"net"
	"os"
	"os/signal"
	"syscall"
)

var notifySocket string

// takeNotifySocket hides the socket from child processes, as K3s does (pkg/cli/server/server.go).
func takeNotifySocket() {
	notifySocket = os.Getenv("NOTIFY_SOCKET")
	os.Unsetenv("NOTIFY_SOCKET")
}

// notifyReady notifies systemd, for units with Type=notify.
func notifyReady() {
	if notifySocket == "" {
		return
	}
	connection, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: notifySocket, Net: "unixgram"})
	if err != nil {
		warnf("Failed to notify systemd: %v", err)
		return
	}
	defer connection.Close()
	_, _ = connection.Write([]byte("READY=1\n"))
}

// waitForSignal stops everything in order when this process is asked to stop.
func waitForSignal() {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	got := <-signals
	infof("Shutdown request received: %v", got)
	stopAll()
	os.Exit(0)
}
