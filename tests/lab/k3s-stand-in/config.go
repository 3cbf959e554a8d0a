// Copyright: (c) 2026, kubewright contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// usageError is the error that urfave/cli prints as "Incorrect Usage".
type usageError string

func (e usageError) Error() string { return string(e) }

// settings are a command's options, merged from the config file, the environment and the arguments.
type settings struct {
	table  []row
	values map[string][]string
	rest   []string
	args   []string // the command with the arguments of file and command line
}

func (s *settings) list(name string) []string { return s.values[name] }

func (s *settings) set(name string) bool { return len(s.values[name]) > 0 }

// str returns an option's last value, which overrides earlier ones.
func (s *settings) str(name string) string {
	if values := s.values[name]; len(values) > 0 {
		return values[len(values)-1]
	}
	r, _ := findRow(s.table, name)
	return r.def
}

func (s *settings) boolean(name string) bool { return s.str(name) == "true" }

func (s *settings) number(name string) int {
	value, _ := strconv.Atoi(s.str(name))
	return value
}

// parse parses a command's arguments after those of the config file, so that arguments override the file or append to
// lists: docs.k3s.io/installation/configuration#configuration-file, pkg/configfilearg/parser.go.
func parse(command string, args []string) (*settings, error) {
	table := flagsOf(command)
	fromFile, err := readConfig(configFile(args))
	if err != nil {
		return nil, err
	}
	fromFile = stripUnknown(command, table, fromFile)
	every := append(fromFile, args...)
	found := &settings{table: table, values: map[string][]string{}, args: append([]string{command}, every...)}
	if err := found.read(every); err != nil {
		return nil, err
	}
	found.environment()
	return found, found.check()
}

// stripUnknown drops unknown keys of the file with a warning for `server` and `etcd-snapshot` (k3s-io/k3s#4464).
// `agent` fails on them (k3s-io/k3s#6565).
func stripUnknown(command string, table []row, args []string) []string {
	if command == "agent" {
		return args
	}
	var kept []string
	for _, arg := range args {
		dashed := strings.SplitN(arg, "=", 2)[0]
		if _, known := findRow(table, strings.TrimLeft(dashed, "-")); known {
			kept = append(kept, arg)
		} else {
			warnf("Unknown flag %s found in config.yaml, skipping\n", dashed)
		}
	}
	return kept
}

func configFile(args []string) string {
	if value := os.Getenv("K3S_CONFIG_FILE"); value != "" {
		return value
	}
	for i, arg := range args {
		for _, name := range []string{"--config", "-c"} {
			if arg == name && i+1 < len(args) {
				return args[i+1]
			}
			if strings.HasPrefix(arg, name+"=") {
				return arg[len(name)+1:]
			}
		}
	}
	return "/etc/rancher/k3s/config.yaml"
}

// readConfig converts the config file and the files in FILE.d, sorted by name, to arguments. A key of a later file
// replaces an earlier one, or appends to it if it is written as key+:
// docs.k3s.io/installation/configuration#value-merge-behavior.
func readConfig(file string) ([]string, error) {
	var order []string
	values := map[string][]string{}
	for _, path := range configFiles(file) {
		keys, err := readYAML(path)
		if err != nil {
			return nil, err
		}
		for _, key := range keys {
			name := strings.TrimSuffix(key.name, "+")
			if _, seen := values[name]; !seen {
				order = append(order, name)
			}
			if strings.HasSuffix(key.name, "+") {
				values[name] = append(values[name], key.values...)
			} else {
				values[name] = key.values
			}
		}
	}
	var args []string
	for _, name := range order {
		dashes := "--"
		if len(name) == 1 {
			dashes = "-"
		}
		for _, value := range values[name] {
			args = append(args, dashes+name+"="+value)
		}
	}
	return args, nil
}

func configFiles(file string) []string {
	var found []string
	if _, err := os.Stat(file); err == nil {
		found = append(found, file)
	}
	entries, _ := os.ReadDir(file + ".d")
	for _, entry := range entries {
		lower := strings.ToLower(entry.Name())
		if !entry.IsDir() && (strings.HasSuffix(lower, ".yaml") || strings.HasSuffix(lower, ".yml")) {
			found = append(found, filepath.Join(file+".d", entry.Name()))
		}
	}
	return found
}

type yamlKey struct {
	name   string
	values []string
}

// readYAML parses a file and keeps the order of its keys.
func readYAML(path string) ([]yamlKey, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var document yaml.Node
	if err := yaml.Unmarshal(data, &document); err != nil {
		return nil, err
	}
	if len(document.Content) == 0 {
		return nil, nil
	}
	mapping := document.Content[0]
	if mapping.Kind != yaml.MappingNode {
		return nil, fmt.Errorf("yaml: unmarshal errors:\n  line %d: cannot unmarshal %s into yaml.MapSlice", mapping.Line, mapping.Tag)
	}
	var keys []yamlKey
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		key := yamlKey{name: mapping.Content[i].Value}
		if value := mapping.Content[i+1]; value.Kind == yaml.SequenceNode {
			for _, item := range value.Content {
				key.values = append(key.values, scalar(item))
			}
		} else {
			key.values = []string{scalar(value)}
		}
		keys = append(keys, key)
	}
	return keys, nil
}

func scalar(node *yaml.Node) string {
	if node.Tag == "!!null" {
		return ""
	}
	if node.Tag == "!!bool" {
		return strings.ToLower(node.Value)
	}
	return node.Value
}

// read parses arguments in the forms that urfave/cli accepts: --name value, --name=value, -n value, --bool.
func (s *settings) read(args []string) error {
	for i := 0; i < len(args); i++ {
		arg := args[i]
		if !strings.HasPrefix(arg, "-") || arg == "-" {
			s.rest = append(s.rest, arg)
			continue
		}
		name, value, given := strings.Cut(strings.TrimLeft(arg, "-"), "=")
		r, known := findRow(s.table, name)
		if !known {
			return usageError("flag provided but not defined: -" + name)
		}
		if !given && r.kind == boolean {
			value, given = "true", true
		}
		if !given {
			if i++; i >= len(args) {
				return usageError("flag needs an argument: -" + name)
			}
			value = args[i]
		}
		s.values[r.name] = append(s.values[r.name], value)
	}
	return nil
}

// environment sets options that are neither in the file nor in the arguments: docs.k3s.io/cli/server, the variables
// in brackets.
func (s *settings) environment() {
	for _, r := range s.table {
		value := os.Getenv(r.env)
		if r.env == "" || value == "" || s.set(r.name) {
			continue
		}
		s.values[r.name] = []string{value}
		if r.kind == list {
			s.values[r.name] = strings.Split(value, ",")
		}
	}
}

// check rejects values of the wrong type, as urfave/cli does.
func (s *settings) check() error {
	for _, r := range s.table {
		for i, value := range s.values[r.name] {
			switch r.kind {
			case boolean:
				parsed, err := strconv.ParseBool(value)
				if err != nil {
					return usageError(fmt.Sprintf("invalid boolean value %q for -%s: parse error", value, r.name))
				}
				s.values[r.name][i] = strconv.FormatBool(parsed)
			case number:
				if _, err := strconv.Atoi(value); err != nil {
					return usageError(fmt.Sprintf("invalid value %q for flag -%s: parse error", value, r.name))
				}
			}
		}
	}
	return nil
}

// missing has options of K3s that the stand-in does not implement. Those marked silent are harmless.
var missing = []string{"rootless", "docker", "disable-etcd", "disable-apiserver", "etcd-s3", "vpn-auth", "vpn-auth-file"}
var silent = []string{"default-runtime", "supervisor-metrics", "enable-pprof", "airgap-extra-registry", "flannel-conf", "flannel-cni-conf"}

// refuseMissing rejects such options, so that no test passes without testing anything.
func refuseMissing(s *settings) error {
	for _, name := range missing {
		if s.set(name) && s.str(name) != "false" && s.str(name) != "" {
			return fmt.Errorf("%s: not supported by the lab's stand-in for K3s", name)
		}
	}
	for _, name := range silent {
		if s.set(name) && s.str(name) != "false" && s.str(name) != "" {
			warnf("%s: the lab's stand-in for K3s takes it and does nothing with it", name)
		}
	}
	return nil
}
