// Copyright: (c) 2026, kubewright contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"text/tabwriter"
	"time"
)

// tokenCommand is `k3s token`: docs.k3s.io/cli/token.
func tokenCommand(args []string) error {
	if len(args) == 0 {
		fmt.Println("USAGE:\n   k3s token create|delete|generate|list|rotate")
		return nil
	}
	options := simpleOptions(args[1:])
	ctx := context.Background()
	switch args[0] {
	case "generate":
		fmt.Println(randomBootstrap())
		return nil
	case "create":
		return createToken(ctx, options)
	case "list":
		return listTokens(ctx, options)
	case "delete":
		return deleteTokens(ctx, options)
	case "rotate":
		return rotateCommand(options)
	}
	return fmt.Errorf("No help topic for 'token %s'", args[0])
}

// adminKube returns the cluster of --kubeconfig, else of the environment's KUBECONFIG, else of this server:
// pkg/cli/cmds/token.go, pkg/util/client.go (GetKubeConfigPath).
func adminKube(o options) (*kube, error) {
	path := o.get("kubeconfig")
	for _, other := range []string{os.Getenv("KUBECONFIG"), adminKubeconfig} {
		if path == "" {
			path = other
		}
	}
	return readKubeconfig(path)
}

const secretsPath = "/api/v1/namespaces/kube-system/secrets"

// createToken creates a bootstrap token. It expires after a day by default; 0 means never.
func createToken(ctx context.Context, o options) error {
	value := randomBootstrap()
	if len(o.rest) > 0 {
		value = o.rest[0]
	}
	if !bootstrapPattern.MatchString(value) {
		return fmt.Errorf("the bootstrap token %q was not of the form %q", value, bootstrapPattern)
	}
	ttl := 24 * time.Hour
	if text := o.get("ttl"); text != "" {
		var err error
		if ttl, err = time.ParseDuration(text); err != nil && text != "0" {
			return usageError(fmt.Sprintf("invalid value %q for flag -ttl: %v", text, err))
		}
	}
	id, secret, _ := strings.Cut(value, ".")
	groups := o.get("groups")
	if groups == "" {
		groups = roleBootstrap
	}
	data := map[string]string{"token-id": id, "token-secret": secret, "auth-extra-groups": groups,
		"usage-bootstrap-authentication": "true", "usage-bootstrap-signing": "true"}
	if description := o.get("description"); description != "" {
		data["description"] = description
	}
	if ttl > 0 {
		data["expiration"] = time.Now().Add(ttl).UTC().Format(time.RFC3339)
	}
	admin, err := adminKube(o)
	if err != nil {
		return err
	}
	err = admin.create(ctx, secretsPath, map[string]any{"apiVersion": "v1", "kind": "Secret",
		"metadata": map[string]string{"name": "bootstrap-token-" + id, "namespace": "kube-system"},
		"type":     "bootstrap.kubernetes.io/token", "stringData": data})
	var status *apiError
	if errors.As(err, &status) && status.Code == http.StatusConflict {
		return fmt.Errorf("a token with id %q already exists", id)
	}
	if err != nil {
		return err
	}
	full, err := formatToken(value, o.dataDir()+"/server/tls/server-ca.crt")
	if err == nil {
		fmt.Println(full)
	}
	return err
}

func listTokens(ctx context.Context, o options) error {
	var list struct {
		Items []struct{ Data map[string]string }
	}
	admin, err := adminKube(o)
	if err != nil {
		return err
	}
	if err := admin.get(ctx, secretsPath+"?fieldSelector=type%3Dbootstrap.kubernetes.io%2Ftoken", &list); err != nil {
		return err
	}
	var found []map[string]string
	for _, item := range list.Items {
		read := map[string]string{}
		for name, value := range item.Data {
			data, _ := base64.StdEncoding.DecodeString(value)
			read[name] = string(data)
		}
		delete(read, "token-secret")
		found = append(found, read)
	}
	if o.get("output", "o") == "json" {
		return json.NewEncoder(os.Stdout).Encode(found)
	}
	table := tabwriter.NewWriter(os.Stdout, 10, 4, 3, ' ', 0)
	fmt.Fprintln(table, "TOKEN\tTTL\tEXPIRES\tUSAGES\tDESCRIPTION\tEXTRA GROUPS")
	for _, read := range found {
		ttl, until := "<forever>", "<never>"
		if when, err := time.Parse(time.RFC3339, read["expiration"]); err == nil {
			ttl, until = time.Until(when).Round(time.Minute).String(), read["expiration"]
		}
		description := read["description"]
		if description == "" {
			description = "<none>"
		}
		fmt.Fprintf(table, "%s\t%s\t%s\tauthentication,signing\t%s\t%s\n", read["token-id"], ttl, until, description, read["auth-extra-groups"])
	}
	return table.Flush()
}

func deleteTokens(ctx context.Context, o options) error {
	if len(o.rest) == 0 {
		return errors.New("missing argument; 'token delete' is missing token")
	}
	admin, err := adminKube(o)
	if err != nil {
		return err
	}
	for _, value := range o.rest {
		id, _, _ := strings.Cut(value, ".")
		if err := admin.delete(ctx, secretsPath+"/bootstrap-token-"+id); err != nil {
			return fmt.Errorf("failed to delete bootstrap token %q: %w", id, err)
		}
		fmt.Printf("bootstrap token %q deleted\n", id)
	}
	return nil
}

type rotateRequest struct {
	NewToken string `json:"newToken"`
}

func rotateCommand(o options) error {
	fmt.Println("WARNING: Recommended to keep a record of the old token. If restoring from a snapshot, you must use the token associated with that snapshot.")
	server, err := localAccess(o.dataDir(), o.get("server", "s"), o.get("token", "t"))
	if err != nil {
		return err
	}
	body, err := json.Marshal(rotateRequest{o.get("new-token")})
	if err != nil {
		return err
	}
	if _, err := server.send(http.MethodPut, "/v1-k3s/token", body, nil); err != nil {
		return fmt.Errorf("%w%s", err, detail(err))
	}
	fmt.Println("Token rotated, restart k3s nodes with new token")
	return nil
}

// rotateToken changes the servers' password, and the agents' if it was the same, and stores the cluster's files
// encrypted with it. Until it restarts, this server still accepts the old password: pkg/server/handlers/token.go.
func (s *server) rotateToken(w http.ResponseWriter, r *http.Request) {
	var request rotateRequest
	if err := json.NewDecoder(r.Body).Decode(&request); err != nil {
		sendError(w, err, http.StatusBadRequest)
		return
	}
	if request.NewToken == "" {
		request.NewToken = randomHex(16)
	}
	old := s.password
	s.token = request.NewToken
	err := s.ensureAccounts()
	if err == nil {
		err = s.putBootstrap(r.Context(), s.password)
	}
	if err == nil && old != s.password {
		err = s.dropBootstrap(r.Context(), old)
	}
	if err == nil {
		err = s.writeTokens()
	}
	if err != nil {
		sendError(w, err, http.StatusInternalServerError)
	}
}
