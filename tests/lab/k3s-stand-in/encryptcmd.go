// Copyright: (c) 2026, kubewright contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
)

// encryptCommand is `k3s secrets-encrypt`: docs.k3s.io/cli/secrets-encrypt.
func encryptCommand(args []string) error {
	if len(args) == 0 {
		fmt.Println("USAGE:\n   k3s secrets-encrypt status|enable|disable|rotate-keys [--output json]")
		return nil
	}
	options := simpleOptions(args[1:])
	server, err := localAccess(options.dataDir(), options.get("server", "s"), options.get("token", "t"))
	if err != nil {
		return err
	}
	request, message := encryptionRequest{}, ""
	switch args[0] {
	case "status":
		return printEncryption(server, options.get("output", "o"))
	case "enable", "disable":
		on := args[0] == "enable"
		request.Enable, message = &on, "secrets-encryption "+args[0]+"d"
	case "rotate-keys":
		stage := "rotate_keys"
		request.Stage, message = &stage, "keys rotated, reencryption started"
	default:
		return errors.New("secrets-encrypt " + args[0] + ": not supported by this stand-in; use rotate-keys (since v1.30)")
	}
	body, err := json.Marshal(request)
	if err != nil {
		return err
	}
	if _, err := server.send(http.MethodPut, "/v1-k3s/encrypt/config", body, nil); err != nil {
		return fmt.Errorf("see server log for details: %w%s", err, detail(err))
	}
	fmt.Println(message)
	return nil
}

// detail returns the server's message in addition to the status.
func detail(err error) string {
	var status *statusError
	if !errors.As(err, &status) {
		return ""
	}
	var answer struct{ Message string }
	if json.Unmarshal([]byte(status.body), &answer) != nil || answer.Message == "" {
		return ""
	}
	return ": " + answer.Message
}

func printEncryption(server *access, output string) error {
	data, err := server.get("/v1-k3s/encrypt/status")
	if err != nil {
		return fmt.Errorf("see server log for details: %w", err)
	}
	var state encryptionState
	if err := json.Unmarshal(data, &state); err != nil {
		return err
	}
	if output == "json" {
		text, err := json.MarshalIndent(state, "", "\t")
		fmt.Println(string(text))
		return err
	}
	if state.Enable == nil {
		fmt.Println("Encryption Status: Disabled, no configuration file found")
		return nil
	}
	word := map[bool]string{true: "Enabled", false: "Disabled"}[*state.Enable]
	fmt.Printf("Encryption Status: %s\nCurrent Rotation Stage: %s\n", word, state.Stage)
	if state.HashMatch {
		fmt.Println("Server Encryption Hashes: All hashes match")
	} else {
		fmt.Println("Server Encryption Hashes:", state.HashError)
	}
	fmt.Println("\nActive  Key Type  Name\n------  --------  ----")
	if state.ActiveKey != "" {
		fmt.Println(" *      AES-CBC   " + state.ActiveKey)
	}
	for _, name := range state.InactiveKeys {
		fmt.Println("        AES-CBC   " + name)
	}
	return nil
}
