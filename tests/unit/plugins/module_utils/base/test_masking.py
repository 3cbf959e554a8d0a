# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import base64
import json

import pytest
from ansible_collections.kubewright.cluster.plugins.module_utils.base.masking import MASK, masked

KEY = "-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEAhidden\nhidden+/2==\n-----END RSA PRIVATE KEY-----\n"
PLAIN_KEY = KEY.replace("RSA ", "")
HIDDEN = {
    "a private key": KEY,
    "an EC private key": KEY.replace("RSA", "EC"),
    "a PKCS 8 private key": PLAIN_KEY,
    "an encrypted private key": KEY.replace("RSA", "ENCRYPTED"),
    "an SSH key": KEY.replace("RSA", "OPENSSH"),
    "a private key that a log cut off": KEY[:60],
    "a private key on one line of JSON": json.dumps({"pem": KEY}),
    "a private key in a YAML block": "tls.key: |\n" + "".join("  %s\n" % line for line in KEY.splitlines()),
    "a bootstrap token": "kubeadm join 10.0.0.1:6443 --token abcdef.hidden6789abcdef --v=1",
    "a bootstrap token alone": "using abcdef.hidden6789abcdef now",
    "a bootstrap token in YAML": "bootstrapToken:\n  token: abcdef.hidden6789abcdef\n",
    "a certificate key": "--certificate-key " + "hidden" + "0a" * 29,
    "a certificate key in YAML": "certificateKey: hidden" + "0a" * 29,
    "a K3s token": "K10" + "ab" * 32 + "::server:hidden",
    "K3s's token file": "token: hidden\n",
    "a JSON web token": "got eyJhbGciOiJSUzI1NiIs.eyJpc3MiOiJoidden01.hidden-signature today",
    "a bearer header": "Authorization: Bearer hidden.hidden",
    "a bearer header in a log": "curl -H 'Authorization: bearer hidden12' https://x",
    "a basic header in TOML": '    Authorization = "Basic aGlkZGVuOmhpZGRlbg-hidden=="',
    "a header as a list": '  Authorization = ["Bearer hidden-hidden"]',
    "a header in single quotes": "  Authorization = 'Basic hidden=='",
    "a password in YAML": "password: hidden",
    "a password with blanks": "password: hidden and hidden",
    "a password in quotes": 'password: "hidden, and hidden"',
    "a password with a quotation mark": r'{"password": "a\"hidden", "user": "x"}',
    "a password in single quotes": "password: 'hidden''s hidden'",
    "a password below": "password: |\n  hidden\n  hidden\nuser: x\n",
    "a password folded": "  dbPassword: >-\n    hidden\n    hidden\n  user: x\n",
    "a password in JSON": '{"user":"x","password":"hidden","port":1}',
    "a password in JSON in JSON": json.dumps({"config": json.dumps({"password": "hidden"})}),
    "a password in TOML": 'password = "hidden"',
    "a password in an environment file": "DB_PASSWORD=hidden hidden\nUSER=x\n",
    "a password in an exported variable": "export DB_PASSWORD=hidden",
    "a password in a unit": 'Environment="DB_PASSWORD=hidden hidden"',
    "a number behind the word": "password2: hidden",
    "a numeric password": "password: 4711hidden",
    "a camel-case key": "clientSecret: hidden",
    "a key with dots": "spring.datasource.password=hidden",
    "a passphrase": "passphrase: hidden",
    "an API key": "api_key: hidden",
    "an API key, other spelling": "X-Api-Key: hidden",
    "a secret access key": "aws_secret_access_key = hidden",
    "an access key": "key id AKIAIOSFODNN7HIDDENX".replace("HIDDENX", "EXAMPLE") + " token=hidden",
    "an encryption configuration": "- aescbc:\n    keys:\n    - name: key1\n      secret: aGlkZGVu-hidden\n",
    "a variable of a pod": "env:\n- name: DB_PASSWORD\n  value: hidden\n",
    "a variable of a pod, quoted": 'env:\n- name: DB_PASSWORD\n  value: "hidden hidden"\n',
    "a variable in JSON": '{"name":"REGISTRY_TOKEN","value":"hidden"}',
    "a variable in JSON, indented": '{\n "name": "REGISTRY_TOKEN",\n "value": "hidden"\n}',
    "a flag": "prog --password=hidden --port=1",
    "a flag with a blank": "prog --password hidden --port 1",
    "a flag in quotes": "prog --password 'hidden hidden' --port 1",
    "a flag of one dash": "prog -password hidden",
    "a flag in a YAML list": "- --client-secret=hidden\n- --port=1\n",
    "a flag and its value in a YAML list": "- --client-secret\n- hidden\n",
    "a flag and its value in a JSON list": '["prog", "--client-secret", "hidden"]',
    "a log of key and value": 'I1125 connect user="x" password="hidden" port=1',
    "a log of bare values": "I1125 connect user=x token=hidden port=1",
    "a URL with a login": "proxy http://user:hidden@proxy.example:3128/",
    "a URL with a token": "clone https://hidden@git.example/x",
    "a proxy variable": "HTTPS_PROXY=http://user:hidden@proxy:3128",
    "a data source name": "postgres://kine:hidden@10.0.0.1:5432/kine",
    "docker's configuration": '{"auths":{"registry.example":{"auth":"aGlkZGVu-hidden"}}}',
    "npm's configuration": "_auth=hidden",
    "a kubeconfig's key": "    client-key-data: " + base64.b64encode(KEY.encode()).decode(),
    "a kubeconfig's key alone": base64.b64encode(KEY.encode()).decode(),
    "a kubeconfig's EC key alone": base64.b64encode(KEY.replace("RSA", "EC").encode()).decode(),
    "a kubeconfig's PKCS 8 key alone": base64.b64encode(PLAIN_KEY.encode()).decode(),
    "a kubeconfig's token": "users:\n- user:\n    token: hidden\n",
    "haproxy's statistics": "  stats auth admin:hidden",
    "haproxy's users": "  user admin insecure-password hidden",
    "keepalived": "        auth_pass hidden",
    "netrc": "machine registry.example login x password hidden",
    "WPA": 'psk="hidden"',
    "a GitHub token": "ghp_hidden0123456789abcdef0123",
    "a GitLab token": "remote: glpat-hidden0123456789abc",
    "a Secret": "apiVersion: v1\nkind: Secret\nmetadata: {name: x}\ndata:\n  whatever: aGlkZGVu-hidden\n",
    "a Secret among others": "kind: Pod\n---\nkind: Secret\nstringData:\n  x: hidden\n---\nkind: Node\n",
    "an authorization error": 'err="401" authorization="hidden"',
}
SHOWN = (
    "-----BEGIN CERTIFICATE-----\nMIIDBTCCAe2gAwIBAgIIU\n-----END CERTIFICATE-----\n",
    "certificate-authority-data: " + base64.b64encode(b"-----BEGIN CERTIFICATE-----\nMIID\n").decode(),
    "automountServiceAccountToken: false",
    "secretName: my-certificates",
    "tokenTTL: 24h0m0s",
    "image: registry.k8s.io/pause@sha256:" + "0a" * 32,
    "--discovery-token-ca-cert-hash sha256:" + "0a" * 32,
    "- --service-account-signing-key-file=/etc/kubernetes/pki/sa.key",
    "- --tls-private-key-file=/etc/kubernetes/pki/apiserver.key",
    "- --enable-bootstrap-token-auth=true",
    "Failed password for root from 10.0.0.7 port 22 ssh2",
    "author: kubewright contributors",
    "imagePullSecrets: []",
    "password: null",
    "server: https://127.0.0.1:7443",
    "  Normal  Pulled  2m  kubelet  Container image already present",
    'E1125 08:14:36.406784 1 run.go:72] "command failed" err="failed complete: too many open files"',
    "key: node-role.kubernetes.io/control-plane",
    "mount /var/lib/kubelet/pods/x/volumes/kubernetes.io~projected/kube-api-access-7dq2x",
)


@pytest.mark.parametrize("text", HIDDEN.values(), ids=HIDDEN)
def test_a_secret_is_masked(text):
    clear = masked(text)
    assert "hidden" not in clear.lower() and "aGlkZGVu" not in clear, clear
    assert "UFJJVkFURSBLRV" not in clear and "BSSVZBVEUgS0VZ" not in clear, clear
    assert MASK in clear or "left out" in clear


@pytest.mark.parametrize("text", SHOWN)
def test_what_is_no_secret_stays(text):
    assert masked(text) == text


@pytest.mark.parametrize("text", HIDDEN.values(), ids=HIDDEN)
def test_masking_again_changes_nothing_secret_back(text):
    once = masked(text)
    assert "hidden" not in masked(once)


def test_what_stands_around_a_secret_stays():
    text = (
        'a: 1\npassword: x1\nb: 2\n{"token": "y1", "c": 3} --secret=z1 --d=4\n'
        "- name: A_TOKEN\n  value: v1\n- name: E\n  value: 5\n"
    )
    clear = masked(text)
    for kept in ("a: 1", "b: 2", '"c": 3', "--d=4", "name: A_TOKEN", "name: E\n  value: 5"):
        assert kept in clear, clear


def test_a_key_in_a_yaml_block_ends_where_the_block_ends():
    clear = masked("password: |\n  hidden\n\n  hidden\nuser: x\n")
    assert clear == "password: %s\nuser: x\n" % MASK


def test_a_large_log_is_masked_in_time():
    line = (
        'I1125 08:14:36.406784 1 run.go:72] "Observed" pod="kube-system/x" token="hidden" authorization=hidden '
        "--a-b-c-d=e_f_g passx pass-y\n"
    )
    clear = masked(line * 8000)
    assert "hidden" not in clear
