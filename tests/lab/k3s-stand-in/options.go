// Copyright: (c) 2026, kubewright contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import "strings"

// options are those of the small commands: --name value, --name=value, -n value.
type options struct {
	values map[string]string
	rest   []string
}

func simpleOptions(args []string) options {
	found := options{values: map[string]string{}}
	for i := 0; i < len(args); i++ {
		if !strings.HasPrefix(args[i], "-") {
			found.rest = append(found.rest, args[i])
			continue
		}
		name, value, given := strings.Cut(strings.TrimLeft(args[i], "-"), "=")
		if !given && i+1 < len(args) && !strings.HasPrefix(args[i+1], "-") && !switches[name] {
			i++
			value = args[i]
		}
		found.values[name] = value
	}
	return found
}

// switches are options without a value.
var switches = map[string]bool{"force": true, "f": true, "skip": true, "debug": true}

func (o options) get(names ...string) string {
	for _, name := range names {
		if value, ok := o.values[name]; ok {
			return value
		}
	}
	return ""
}

// dataDir returns the option's value, otherwise the config file's.
func (o options) dataDir() string {
	if value := o.get("data-dir", "d"); value != "" {
		return value
	}
	if value := configValue("data-dir"); value != "" {
		return value
	}
	return defaultDataDir
}
