// Copyright: (c) 2026, kubewright contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"errors"
	"net"
	"slices"
	"testing"
)

func TestAServerThatIsNotReadyIsTriedLastAndLosesItsClients(t *testing.T) {
	client, other := net.Pipe()
	b := &balancer{Servers: []string{"a", "b", "c"}, open: map[string]map[net.Conn]bool{}, unwell: map[string]bool{}}
	b.track("a", client, true)
	b.judge("a", errors.New("runtime core not ready"))
	if got := b.servers(); !slices.Equal(got, []string{"b", "c", "a"}) {
		t.Errorf("tried in the order %v", got)
	}
	if _, err := other.Read(make([]byte, 1)); err == nil {
		t.Error("its client is still connected")
	}
	for _, address := range []string{"b", "c"} {
		b.judge(address, errors.New("connection refused"))
	}
	if got := b.servers(); len(got) != 3 {
		t.Errorf("where none is ready all are tried, not %v", got)
	}
	b.judge("c", nil)
	if got := b.servers(); got[0] != "c" {
		t.Errorf("one that is ready again is not the first of %v", got)
	}
}
