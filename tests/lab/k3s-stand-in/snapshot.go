// Copyright: (c) 2026, kubewright contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"archive/zip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"time"
)

// Snapshots of embedded etcd: docs.k3s.io/cli/etcd-snapshot. The command sends requests to the running server.
type snapshotOrder struct {
	Operation string   `json:"operation"`
	Name      []string `json:"name"`
	Dir       string   `json:"dir,omitempty"`
	Compress  bool     `json:"compress,omitempty"`
	Retention int      `json:"retention,omitempty"`
}

type snapshotFile struct {
	Name     string    `json:"name"`
	Location string    `json:"location"`
	NodeName string    `json:"nodeName"`
	Created  time.Time `json:"createdAt"`
	Size     int64     `json:"size"`
}

func (s *server) snapshotDir(dir string) string {
	for _, choice := range []string{dir, s.str("etcd-snapshot-dir")} {
		if choice != "" {
			return choice
		}
	}
	return filepath.Join(s.dir, "db/snapshots")
}

func (s *server) snapshotRequest(w http.ResponseWriter, r *http.Request) {
	var order snapshotOrder
	if err := json.NewDecoder(r.Body).Decode(&order); err != nil {
		sendError(w, err, http.StatusBadRequest)
		return
	}
	if s.etcd == nil {
		sendError(w, errors.New("etcd datastore disabled"), http.StatusBadRequest)
		return
	}
	var found []snapshotFile
	var err error
	switch order.Operation {
	case "save":
		var one snapshotFile
		one, err = s.saveSnapshot(r.Context(), order.Name[0], s.snapshotDir(order.Dir), order.Compress || s.boolean("etcd-snapshot-compress"))
		found = []snapshotFile{one}
	case "list":
		found, err = s.listSnapshots(s.snapshotDir(order.Dir))
	case "delete":
		for _, name := range order.Name {
			path := filepath.Join(s.snapshotDir(order.Dir), filepath.Base(name))
			if err = os.Remove(path); err != nil {
				err = fmt.Errorf("snapshot %s not found", name)
				break
			}
			found = append(found, snapshotFile{Name: name})
		}
	case "prune":
		found, err = s.pruneSnapshots(s.snapshotDir(order.Dir), order.Name[0], order.Retention)
	default:
		err = fmt.Errorf("unknown operation %q", order.Operation)
	}
	if err != nil {
		sendError(w, err, http.StatusInternalServerError)
		return
	}
	sendJSON(w, found)
}

// saveSnapshot writes a snapshot named NAME-NODE-UNIXTIME.
func (s *server) saveSnapshot(ctx context.Context, base, dir string, compress bool) (snapshotFile, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return snapshotFile{}, err
	}
	now := time.Now()
	name := fmt.Sprintf("%s-%s-%d", base, s.nodeName, now.Unix())
	path := filepath.Join(dir, name)
	infof("Saving etcd snapshot to %s", path)
	stream, err := s.etcd.client.Snapshot(ctx)
	if err != nil {
		return snapshotFile{}, err
	}
	defer stream.Close()
	if compress {
		name, path = name+".zip", path+".zip"
	}
	if err := writeSnapshot(stream, path, compress); err != nil {
		_ = os.Remove(path)
		return snapshotFile{}, err
	}
	info, err := os.Stat(path)
	if err != nil {
		return snapshotFile{}, err
	}
	return snapshotFile{name, "file://" + path, s.nodeName, now, info.Size()}, nil
}

func writeSnapshot(stream io.Reader, path string, compress bool) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	var target io.Writer = file
	closeArchive := func() error { return nil }
	if compress {
		archive := zip.NewWriter(file)
		closeArchive = archive.Close
		if target, err = archive.Create(strings.TrimSuffix(filepath.Base(path), ".zip")); err != nil {
			return err
		}
	}
	_, err = io.Copy(target, stream)
	return errors.Join(err, closeArchive(), file.Close())
}

func (s *server) listSnapshots(dir string) ([]snapshotFile, error) {
	found := []snapshotFile{}
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return found, nil
	}
	if err != nil {
		return nil, err
	}
	for _, entry := range entries {
		info, err := entry.Info()
		if err != nil || entry.IsDir() {
			continue
		}
		found = append(found, snapshotFile{entry.Name(), "file://" + filepath.Join(dir, entry.Name()), s.nodeName, info.ModTime(), info.Size()})
	}
	return found, nil
}

// pruneSnapshots keeps the newest snapshots with a base name.
func (s *server) pruneSnapshots(dir, base string, keep int) ([]snapshotFile, error) {
	every, err := s.listSnapshots(dir)
	if err != nil {
		return nil, err
	}
	var own []snapshotFile
	for _, file := range every {
		if strings.HasPrefix(file.Name, base+"-"+s.nodeName) {
			own = append(own, file)
		}
	}
	sort.Slice(own, func(i, j int) bool { return own[i].Created.After(own[j].Created) })
	if keep < 0 || len(own) <= keep {
		return []snapshotFile{}, nil
	}
	for _, file := range own[keep:] {
		if err := os.Remove(filepath.Join(dir, file.Name)); err != nil {
			return nil, err
		}
	}
	return own[keep:], nil
}

// scheduleSnapshots takes a snapshot every twelve hours and keeps five, by default.
func (s *server) scheduleSnapshots(ctx context.Context) {
	if s.boolean("etcd-disable-snapshots") {
		infof("etcd snapshots are disabled")
		return
	}
	plan := s.str("etcd-snapshot-schedule-cron")
	for {
		now := time.Now()
		time.Sleep(now.Truncate(time.Minute).Add(time.Minute).Sub(now))
		if !due(plan, time.Now()) {
			continue
		}
		base, dir := s.str("etcd-snapshot-name"), s.snapshotDir("")
		if _, err := s.saveSnapshot(ctx, base, dir, s.boolean("etcd-snapshot-compress")); err != nil {
			errorf("Failed to take etcd snapshot: %v", err)
		} else if _, err := s.pruneSnapshots(dir, base, s.number("etcd-snapshot-retention")); err != nil {
			errorf("Failed to apply snapshot retention: %v", err)
		}
	}
}

// due returns true if a cron schedule with five fields matches this minute.
func due(plan string, now time.Time) bool {
	fields := strings.Fields(plan)
	if len(fields) != 5 {
		return false
	}
	for i, value := range []int{now.Minute(), now.Hour(), now.Day(), int(now.Month()), int(now.Weekday())} {
		if !matches(fields[i], value) {
			return false
		}
	}
	return true
}

func matches(field string, value int) bool {
	for _, part := range strings.Split(field, ",") {
		span, step, stepped := strings.Cut(part, "/")
		every := 1
		if stepped {
			every, _ = strconv.Atoi(step)
		}
		low, high, ranged := strings.Cut(span, "-")
		from, _ := strconv.Atoi(low)
		to, _ := strconv.Atoi(high)
		switch {
		case span == "*":
			from, to = 0, value
		case !ranged && !stepped:
			to = from
		case !ranged:
			to = value
		}
		if every > 0 && value >= from && value <= to && (value-from)%every == 0 {
			return true
		}
	}
	return false
}
