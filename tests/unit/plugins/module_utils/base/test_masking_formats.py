# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Many forms of secrets, forms that a property test makes, and the time that masking takes."""

from __future__ import annotations

import base64
import json
import time

import pytest
from ansible_collections.kubewright.cluster.plugins.module_utils.base.masking import masked, masked_message
from hypothesis import given, settings, strategies as st

KEY = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj"
# {K}, {K40}: the key, and its beginning. {X}: a long hexadecimal word. {L}: what
# begins a line of a log.
FORMATS = {
    "DSN mysql, / in the password": ("mysql://k3s:pa/hunter2Zq9@tcp(db:3306)/k3s", "hunter2Zq9"),
    "DSN mysql, @ in the password": ("mysql://k3s:p@hunter2Zq9@tcp(db:3306)/k3s", "hunter2Zq9"),
    "URL, / in the password": ("proxy http://user:a/hunter2Zq9@proxy:3128", "hunter2Zq9"),
    "URL, @ in the password": ("http://user:a@hunter2Zq9@proxy:3128", "hunter2Zq9"),
    "URL, quote in the password": ("http://user:a'hunter2Zq9@proxy:3128", "hunter2Zq9"),
    "go-sql DSN without scheme": ("k3s:hunter2Zq9@tcp(db:3306)/kine", "hunter2Zq9"),
    "libpq": ("host=db user=k3s password=hunter2Zq9 dbname=k", "hunter2Zq9"),
    "libpq quoted": ("host=db password='hunter2Zq9 x' dbname=k", "hunter2Zq9"),
    "pwd=": ("Server=db;Uid=k3s;Pwd=hunter2Zq9;", "hunter2Zq9"),
    "PGPASSWORD": ("PGPASSWORD=hunter2Zq9 psql", "hunter2Zq9"),
    "MYSQL_PWD": ("MYSQL_PWD=hunter2Zq9 mysql", "hunter2Zq9"),
    "-p": ("mysql -uroot -phunter2Zq9", "hunter2Zq9"),
    "sshpass": ("sshpass -p hunter2Zq9 ssh x", "hunter2Zq9"),
    "curl -u": ("curl -u admin:hunter2Zq9 https://x", "hunter2Zq9"),
    "wget": ("wget --http-password hunter2Zq9", "hunter2Zq9"),
    "docker config": ('{"auths":{"reg":{"auth":"dTpodW50ZXIyWnE5"}}}', "dTpodW50ZXIyWnE5"),
    "docker config, identitytoken": ('{"auths":{"reg":{"identitytoken":"hunter2Zq9"}}}', "hunter2Zq9"),
    "docker config in base64": (
        "eyJhdXRocyI6eyJyZWciOnsiYXV0aCI6IngiLCJwYXNzd29yZCI6Imh1bnRlcjJacTkifX19",
        "eyJhdXRocyI6eyJyZWciOnsiYXV0aCI6IngiLCJwYXNzd29yZCI6Imh1bnRlcjJacTkifX19",
    ),
    "kubeconfig in base64": (
        "YXBpVmVyc2lvbjogdjEKdXNlcnM6IFt7dXNlcjoge3Rva2VuOiBodW50ZXIyWnE5fX1d",
        "YXBpVmVyc2lvbjogdjEKdXNlcnM6IFt7dXNlcjoge3Rva2VuOiBodW50ZXIyWnE5fX1d",
    ),
    "PEM, its head cut off by the limit": (
        "{K}\n{K}\n-----END PRIVATE KEY-----\n",
        "{K}",
    ),
    "PEM in JSON": (
        '{"k": "-----BEGIN RSA PRIVATE KEY-----\\n{K}\\n-----END RSA PRIVATE KEY-----\\n"}',
        "{K}",
    ),
    "PEM, each line with a log's prefix": (
        "{L}-----BEGIN EC PRIVATE KEY-----\n{L}{K}\n{L}-----END EC PRIVATE KEY-----\n",
        "{K}",
    ),
    "JSON web key": ('{"kty":"RSA","d":"hunter2Zq9","p":"hunter2Zq9"}', "hunter2Zq9"),
    "ssh private, putty": (
        "PuTTY-User-Key-File-3: ssh-ed25519\nPrivate-Lines: 1\n{K}\n",
        "{K40}",
    ),
    "age": ("AGE-SECRET-KEY-1QQQHUNTER2ZQ9", "HUNTER2ZQ9"),
    "wireguard": (
        "PrivateKey = {K40}AgE=",
        "{K40}",
    ),
    "wireguard dump": ("wg set wg0 private-key /dev/stdin peer x preshared-key hunter2Zq9", "hunter2Zq9"),
    "keepalived": ("  authentication {\n auth_type PASS\n auth_pass hunter2Zq9\n }", "hunter2Zq9"),
    "haproxy": ("  stats auth admin:hunter2Zq9\n", "hunter2Zq9"),
    "netrc": ("machine x login u password hunter2Zq9", "hunter2Zq9"),
    "snmp": ("rocommunity hunter2Zq9", "hunter2Zq9"),
    "cifs": ("//srv/x on /mnt type cifs (rw,username=u,password=hunter2Zq9)", "hunter2Zq9"),
    "ceph": ("mon:/ on /mnt type ceph (rw,name=admin,secret=hunter2Zq9)", "hunter2Zq9"),
    "iscsi": ("node.session.auth.password = hunter2Zq9", "hunter2Zq9"),
    "chap": ("chapAuthDiscovery: {discovery.sendtargets.auth.password: hunter2Zq9}", "hunter2Zq9"),
    "Cookie": ("Cookie: session=hunter2Zq9", "hunter2Zq9"),
    "Set-Cookie": ("Set-Cookie: sid=hunter2Zq9; Path=/", "hunter2Zq9"),
    "X-Api-Key": ("X-Api-Key: hunter2Zq9", "hunter2Zq9"),
    "AWS": ("aws_secret_access_key = hunter2Zq9", "hunter2Zq9"),
    "AWS sig": ("Authorization: AWS4-HMAC-SHA256 Credential=x, Signature=hunter2Zq9", "hunter2Zq9"),
    "GCP": (
        '{"private_key_id": "x", "private_key": "-----BEGIN PRIVATE KEY-----\\n{K}\\n"}',
        "{K40}",
    ),
    "Azure": ("AccountKey=hunter2Zq9;EndpointSuffix=core", "hunter2Zq9"),
    "SAS": ("https://x.blob/?sv=1&sig=hunter2Zq9", "hunter2Zq9"),
    "presigned": ("https://s3/x?X-Amz-Signature=hunter2Zq9&X-Amz-Credential=a", "hunter2Zq9"),
    "token in query": ("GET /x?access_token=hunter2Zq9&y", "hunter2Zq9"),
    "bearer": ("Authorization: Bearer hunter2Zq9", "hunter2Zq9"),
    "bearer json": ('{"Authorization":["Bearer hunter2Zq9"]}', "hunter2Zq9"),
    "sentence": ("the password is hunter2Zq9", "hunter2Zq9"),
    "sentence 2": ("Password for user root: hunter2Zq9", "hunter2Zq9"),
    "login failed": ("login failed for root/hunter2Zq9", "hunter2Zq9"),
    "env list": ('["DB_PASSWORD=hunter2Zq9","X=1"]', "hunter2Zq9"),
    "yaml env": ("- name: DB_PASSWORD\n  value: hunter2Zq9\n", "hunter2Zq9"),
    "yaml env reversed": ("- value: hunter2Zq9\n  name: DB_PASSWORD\n", "hunter2Zq9"),
    "yaml args": ("args:\n- --password\n- hunter2Zq9\n", "hunter2Zq9"),
    "yaml args 2": ("args:\n- --password=hunter2Zq9\n", "hunter2Zq9"),
    "yaml multi": ("password: >-\n  hunter2Zq9\n", "hunter2Zq9"),
    "yaml plain multi": ("password:\n  hunter2Zq9\n", "hunter2Zq9"),
    "toml": ('password = "hunter2Zq9"', "hunter2Zq9"),
    "toml array": ('X-Registry-Auth = ["hunter2Zq9"]', "hunter2Zq9"),
    "xml": ("<password>hunter2Zq9</password>", "hunter2Zq9"),
    "php": ("define('DB_PASSWORD', 'hunter2Zq9');", "hunter2Zq9"),
    "ruby": (":password => 'hunter2Zq9'", "hunter2Zq9"),
    "go map": ("map[password:hunter2Zq9 user:x]", "hunter2Zq9"),
    "go struct": ("{Username:u Password:hunter2Zq9 Auth:}", "hunter2Zq9"),
    "go %q": ('&Auth{Password:"hunter2Zq9"}', "hunter2Zq9"),
    "escaped json in json": ('{"m": "{\\"password\\": \\"hunter2Zq9\\"}"}', "hunter2Zq9"),
    "twice escaped": ('"{\\"m\\": \\"{\\\\\\"password\\\\\\": \\\\\\"hunter2Zq9\\\\\\"}\\"}"', "hunter2Zq9"),
    "key in another case": ("passWord: hunter2Zq9", "hunter2Zq9"),
    "spaces": ("password  :   hunter2Zq9", "hunter2Zq9"),
    "key with blank": ("DB password: hunter2Zq9", "hunter2Zq9"),
    "passwort": ("Passwort: hunter2Zq9", "hunter2Zq9"),
    "vault": ("VAULT_TOKEN=hunter2Zq9", "hunter2Zq9"),
    "slack": ("https://hooks.slack.com/services/T0/B0/hunter2Zq9", "hunter2Zq9"),
    "stripe": ("sk_live_hunter2Zq9", "hunter2Zq9"),
    "npm": ("//r/:_authToken=hunter2Zq9", "hunter2Zq9"),
    "pypi": ("pypi-hunter2Zq9hunter2Zq9hunter2Zq9", "hunter2Zq9"),
    "gitlab ci": ("glcbt-hunter2Zq9hunter2Zq9", "hunter2Zq9"),
    "k3s token old": (
        "K10aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa::server:hunter2Zq9",
        "hunter2Zq9",
    ),
    "k3s server token in log": ("token=hunter2Zq9", "hunter2Zq9"),
    "encryption": ("secretbox: {keys: [{name: k, secret: hunter2Zq9}]}", "hunter2Zq9"),
    "encryption aescbc": ("keys:\n- name: key1\n  secret: hunter2Zq9\n", "hunter2Zq9"),
    "certificate key": (
        "--certificate-key {X}",
        "{X}",
    ),
    "bare hex": (
        "uploaded with {X}",
        "{X}",
    ),
    "jwt": ("eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJrOHMifQ.hunter2Zq9", "hunter2Zq9"),
    "CRLF": ("password: hunter2Zq9\r\nx: 1\r\n", "hunter2Zq9"),
    "unicode colon": ("password\uff1a hunter2Zq9", "hunter2Zq9"),
    "tab": ("password\thunter2Zq9", "hunter2Zq9"),
}


@pytest.mark.parametrize(("text", "secret"), FORMATS.values(), ids=FORMATS)
def test_formats(text, secret):
    for name, value in (("{K}", KEY), ("{K40}", KEY[:40]), ("{X}", "ab" * 32), ("{L}", "2026-01-01T00:00:00Z F ")):
        text, secret = text.replace(name, value), secret.replace(name, value)
    assert secret in text and secret not in masked(text)
    assert secret not in masked("before: 1\n%s\nafter: 2\n" % text)


KEYS = st.sampled_from(
    "password DB_PASSWORD db-password dbPassword MYSQL_ROOT_PASSWORD passwd passphrase secret clientSecret token "
    "ACCESS_TOKEN api_key apiKey X-Api-Key secretAccessKey client-key-data credentials authorization auth_pass "
    "encryptionKey AccountKey registry-auth".split()
)
SECRETS = st.text(
    alphabet="abcdefghijkmnopqrstuvwxyzABCDEFGHIJKLMNPQRSTUVWXYZ23456789_+/=-.!$%*~^", min_size=8, max_size=40
)
SHAPES = st.sampled_from(
    [
        "%(key)s: %(value)s",
        "  - %(key)s: %(value)s",
        "%(key)s=%(value)s",
        "export %(key)s=%(value)s",
        "%(key)s = '%(value)s'",
        '%(key)s = "%(value)s"',
        '%(key)s = ["%(value)s"]',
        '{"%(key)s": "%(value)s", "other": 1}',
        "{%(key)s: %(value)s, other: 1}",
        "<%(key)s>%(value)s</%(key)s>",
        "prog --%(key)s=%(value)s --other",
        "prog --%(key)s '%(value)s' --other",
        '["prog", "--%(key)s", "%(value)s"]',
        "args:\n- --%(key)s\n- %(value)s\n",
        "- name: %(key)s\n  value: %(value)s\n",
        "- value: %(value)s\n  name: %(key)s\n",
        '{"name":"%(key)s","value":"%(value)s"}',
        "%(key)s: |\n  %(value)s\nother: 1\n",
        "%(key)s:\n  %(value)s\nother: 1\n",
        "%(key)s => '%(value)s'",
        'I1125 08:14:36 1 run.go:72] "Observed" %(key)s="%(value)s" pod="x"',
        "map[%(key)s:%(value)s user:x]",
    ]
)
AROUND = st.sampled_from(["%s", "a: 1\n%s\nb: 2\n", "node: {name: x}\n---\n%s", "2026-01-01T00:00:00Z stderr F %s"])


@settings(max_examples=600, deadline=None)
@given(
    KEYS, SECRETS.filter(lambda text: text.strip("-.") and not text.startswith("-")), SHAPES, AROUND, st.integers(0, 2)
)
def test_any_secret_in_any_form(key, secret, shape, around, depth):
    secret = "q7" + secret + "Zz"
    text = around % (shape % {"key": key, "value": secret})
    for _number in range(depth):
        text = json.dumps({"message": text})
    assert secret in text and secret not in masked(text)


LOGINS = st.text(alphabet="abcdefghkmABCDEFGHKM23456789/@'!$%:;=+._-", min_size=1, max_size=30)


@settings(max_examples=300, deadline=None)
@given(LOGINS, st.sampled_from(["http://u:%s@proxy:3128/", "mysql://k3s:%s@tcp(db:3306)/k3s", "postgres://k:%s@db/x"]))
def test_any_login_in_a_url(password, url):
    password = "q7" + password + "Zz"
    assert password not in masked("x " + url % password) and password not in masked('"%s"' % (url % password))


@given(
    st.sampled_from(["apiVersion: v1\nusers: [{user: {token: %s}}]", '{"auths":{"r":{"auth":"x","password":"%s"}}}']),
    SECRETS,
)
def test_any_configuration_in_base64(text, secret):
    word = base64.b64encode((text % ("q7" + secret)).encode()).decode()
    assert word not in masked("config: x\ndata: " + word)


def test_identifiers_keep_their_beginning_and_digests_stay():
    assert masked("container abcdef0123456789" + "0" * 48).startswith("container abcdef01********")
    assert masked("sha256:" + "0a" * 32) == "sha256:" + "0a" * 32
    assert "abcdef01" not in masked_message("key abcdef01" + "0" * 56)


@pytest.mark.parametrize(
    "text",
    [
        "-",
        "-a",
        "_",
        "a_",
        "--",
        "token=[",
        'token="',
        "token='",
        "token={",
        "token:\n",
        "token: |\n",
        "name: ",
        "value: ",
        "eyJ",
        "a:",
        "://",
        "a://b:",
        "mysql ",
        "password for ",
        "user x ",
        "-u ",
        "[",
        '\\"',
        "LS0t",
        "-----BEGIN PRIVATE KEY-----",
        "-----END PRIVATE KEY-----\n",
        "0a",
        "abcdefgh01234567\n",
        " ",
        "\n",
        "\t\n",
        "kind: Secret\n",
        "Private-Lines: 1\n",
    ],
)
def test_the_time_grows_linearly(text):
    """8000 dashes once took 19 seconds."""
    times = []
    for number in (8000, 32000):
        began = time.process_time()
        masked(text * number)
        times.append(time.process_time() - began)
    assert times[0] < 2 and times[1] < max(1.0, 10 * times[0]), times
