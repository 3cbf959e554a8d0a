// Copyright: (c) 2026, kubewright contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"text/tabwriter"
	"time"
)

// snapshotCommand is `k3s etcd-snapshot save|ls|delete|prune`. The default is save.
func snapshotCommand(args []string) error {
	operation := "save"
	if len(args) > 0 && args[0][0] != '-' {
		operation, args = args[0], args[1:]
	}
	s, err := parse("etcd-snapshot", args)
	if err != nil {
		return err
	}
	order := snapshotOrder{Operation: operation, Dir: s.str("dir"), Compress: s.boolean("snapshot-compress"), Name: []string{s.str("name")}}
	switch operation {
	case "save":
		if len(s.rest) > 0 {
			return errors.New("this command does not take any arguments")
		}
	case "ls", "list", "l":
		order.Operation = "list"
	case "delete":
		if order.Name = s.rest; len(s.rest) == 0 {
			return errors.New("no snapshots given for removal")
		}
	case "prune":
		order.Retention = s.number("snapshot-retention")
	default:
		return fmt.Errorf("No help topic for 'etcd-snapshot %s'", operation)
	}
	address, value := s.str("etcd-server"), s.str("etcd-token")
	server, err := localAccess(s.str("data-dir"), address, value)
	if err != nil {
		return err
	}
	body, err := json.Marshal(order)
	if err != nil {
		return err
	}
	data, err := server.send(http.MethodPost, "/db/snapshot", body, nil)
	if err != nil {
		return fmt.Errorf("see server log for details: %w%s", err, detail(err))
	}
	var found []snapshotFile
	if err := json.Unmarshal(data, &found); err != nil {
		return err
	}
	return printSnapshots(order.Operation, s.str("output"), found)
}

func printSnapshots(operation, output string, found []snapshotFile) error {
	if operation != "list" {
		word := map[string]string{"save": "saved", "delete": "deleted", "prune": "deleted"}[operation]
		for _, file := range found {
			infof("Snapshot %s %s.", file.Name, word)
		}
		return nil
	}
	if output == "json" {
		return json.NewEncoder(os.Stdout).Encode(found)
	}
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 1, ' ', 0)
	fmt.Fprintln(table, "Name\tLocation\tSize\tCreated")
	for _, file := range found {
		fmt.Fprintf(table, "%s\t%s\t%d\t%s\n", file.Name, file.Location, file.Size, file.Created.UTC().Format(time.RFC3339))
	}
	return table.Flush()
}
