// Copyright: (c) 2026, kubewright contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"encoding/csv"
	"errors"
	"os"
	"strings"
)

// account is a line of server/cred/passwd: password, user, user, group (pkg/passwd/passwd.go).
type account struct {
	password, group string
}

func readAccounts(path string) (map[string]account, error) {
	found := map[string]account{}
	file, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return found, nil
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()
	reader := csv.NewReader(file)
	reader.FieldsPerRecord = -1
	lines, err := reader.ReadAll()
	if err != nil {
		return nil, err
	}
	for _, line := range lines {
		if len(line) >= 4 {
			found[line[1]] = account{line[0], line[3]}
		}
	}
	return found, nil
}

// writeAccounts does not touch an unchanged file, because its time is compared with the datastore's.
func writeAccounts(path string, accounts map[string]account) error {
	var text strings.Builder
	writer := csv.NewWriter(&text)
	for _, user := range sortedKeys(accounts) {
		if err := writer.Write([]string{accounts[user].password, user, user, accounts[user].group}); err != nil {
			return err
		}
	}
	writer.Flush()
	if old, err := os.ReadFile(path); err == nil && string(old) == text.String() {
		return nil
	}
	return writeFile(path, []byte(text.String()), 0o600)
}

// ensureAccounts sets the passwords. The server's is the given token, otherwise the existing one, otherwise a random
// one. The agents' is the agent token, otherwise the server's (pkg/daemons/control/deps/deps.go, genUsers).
func (s *server) ensureAccounts() error {
	accounts, err := readAccounts(s.cred("passwd"))
	if err != nil {
		return err
	}
	password := accounts["server"].password
	if s.token != "" {
		if password, err = normalizeToken(s.token); err != nil {
			return err
		}
	}
	if password == "" {
		password = randomHex(16)
	}
	node := password
	if s.agentToken != "" {
		node = s.agentToken
	}
	accounts["node"] = account{node, "k3s:agent"}
	accounts["server"] = account{password, "k3s:server"}
	s.password, s.nodePassword = password, node
	return writeAccounts(s.cred("passwd"), accounts)
}

// writeTokens writes server/token, agent-token, and node-token as an alias of the old name, with mode 0600:
// docs.k3s.io/cli/token.
func (s *server) writeTokens() error {
	for file, credentials := range map[string]string{"token": "server:" + s.password, "agent-token": "node:" + s.nodePassword} {
		value, err := formatToken(credentials, s.tls("server-ca.crt"))
		if err != nil {
			return err
		}
		if err := writeFile(s.dir+"/"+file, []byte(value+"\n"), 0o600); err != nil {
			return err
		}
	}
	infof("Server node token is available at %s/token", s.dir)
	return relink(s.dir+"/token", s.dir+"/node-token")
}
