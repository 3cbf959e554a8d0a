# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import base64
import hashlib
import json
import platform
import types

import pytest
from ansible_collections.kubewright.cluster.plugins.module_utils.base import commands
from ansible_collections.kubewright.cluster.plugins.module_utils.node import containerd_hosts
from ansible_collections.kubewright.cluster.plugins.module_utils.verify import registry as probe_registry
from ansible_collections.kubewright.cluster.plugins.plugin_utils.machine import containerd as containerd_config

CONFIG = b'{"architecture": "any"}'
DIGEST = "sha256:" + hashlib.sha256(CONFIG).hexdigest()
MANIFEST = {"schemaVersion": 2, "config": {"digest": DIGEST}, "layers": []}
HERE = probe_registry.ARCHITECTURES.get(platform.machine(), platform.machine())
IMAGE = "registry.k8s.io/pause:3.10"


class Registry:
    """What a registry answers. wants: an Authorization header without which it refuses."""

    def __init__(self, wants=None, config=CONFIG, images=("pause",), index=True):
        self.wants, self.config, self.images, self.index, self.realm = wants, config, images, index, None

    def __call__(self, request):
        path = request.path.partition("?")[0]
        if path == "/token":
            return 200, {}, json.dumps({"token": "t0"}).encode()
        if self.wants and request.headers.get("Authorization") != self.wants:
            challenge = (
                {"WWW-Authenticate": 'Bearer realm="%s",service="s",scope="pull"' % self.realm} if self.realm else {}
            )
            return 401, challenge, b"{}"
        if path in ("/v2/", "/mirror/"):
            return 200, {}, b"{}"
        for image in self.images:
            if path.endswith("/%s/manifests/3.10" % image) and self.index:
                return self.json(
                    {
                        "manifests": [
                            {"digest": "sha256:x", "platform": {"architecture": "z80"}},
                            {"digest": "sha256:m", "platform": {"architecture": HERE, "os": "linux"}},
                        ]
                    }
                )
            if path.endswith(("/%s/manifests/sha256:m" % image, "/%s/manifests/3.10" % image)):
                return self.json(MANIFEST)
            if path.endswith("/%s/blobs/%s" % (image, DIGEST)):
                return 200, {}, self.config
        return 404, {}, b"{}"

    @staticmethod
    def json(body):
        return 200, {}, json.dumps(body).encode()


BASIC = "Basic " + base64.b64encode(b"u:p").decode()
LOGIN = """
version = 3
[plugins.'io.containerd.cri.v1.images'.registry.configs."%s".auth]
  username = "u"
  password = "p"
"""


@pytest.fixture
def probe(tmp_path, monkeypatch):
    """checks() of files under certs.d and of images on the node.

    pulls: what a pull by containerd returns. None: the images came by an archive, so there is nothing to pull.
    """
    pulled = []

    def run(files, images=(IMAGE,), pulls=None, login=""):
        for registry, text in files.items():
            (tmp_path / registry).mkdir(exist_ok=True)
            (tmp_path / registry / "hosts.toml").write_text(text)
        (tmp_path / "logins.toml").write_text(LOGIN % login if login else "")
        here = [
            probe_registry.Image(tag, "" if pulls is None else tag.rpartition(":")[0] + "@sha256:1") for tag in images
        ]
        monkeypatch.setattr(probe_registry, "images_here", lambda _place: here)
        monkeypatch.setattr(
            probe_registry.commands, "run", lambda argv, **_more: pulled.append(argv) or commands.Result(*pulls)
        )
        place = types.SimpleNamespace(
            registries=str(tmp_path),
            containerd=(str(tmp_path / "*.toml"),),
            crictl=("crictl",),
            socket="/run/containerd/containerd.sock",
        )
        return probe_registry.checks("a", place)

    run.pulled = pulled
    return run


def toml(*urls, more=""):
    return 'server = "https://registry.k8s.io"\n' + "".join(
        '\n[host."%s"]\n  capabilities = ["pull", "resolve"]\n%s' % (url, more) for url in urls
    )


def url(server):
    return "http://127.0.0.1:%d" % server.port


@pytest.mark.parametrize("index", [True, False])
def test_a_mirror_gives_out_an_image(probe, serve, index):
    server = serve.http(Registry(index=index))
    found = probe({"registry.k8s.io": toml(url(server))})
    assert [(item["status"], item["text"]) for item in found] == [
        ("ok", "%s for registry.k8s.io serves %s" % (url(server), IMAGE))
    ]
    assert server.requests[0][1] == "/v2/pause/manifests/3.10?ns=registry.k8s.io"
    assert server.requests[-1][1].startswith("/v2/pause/blobs/sha256:")


def test_another_content_than_the_digest_says_fails(probe, serve):
    found = probe({"registry.k8s.io": toml(url(serve.http(Registry(config=b"{}"))))})
    assert found[0]["status"] == "fail" and "another digest" in found[0]["text"]


def test_a_dead_mirror_fails_though_the_next_one_works(probe, serve):
    found = probe({"registry.k8s.io": toml("http://127.0.0.1:1", url(serve.http(Registry())))})
    assert [item["status"] for item in found] == ["fail", "ok"]
    assert "refused" in found[0]["text"]


def test_an_image_that_one_of_two_mirrors_lacks_is_a_warning(probe, serve):
    found = probe({"registry.k8s.io": toml(url(serve.http(Registry(images=()))), url(serve.http(Registry())))})
    assert [item["status"] for item in found] == ["warn", "ok"]


MISSING = (1, "", 'failed to resolve reference "registry.k8s.io/pause@sha256:1": not found')


def test_an_image_that_containerd_cannot_pull_again_fails(probe, serve):
    found = probe({"registry.k8s.io": toml(url(serve.http(Registry(images=()))))}, pulls=MISSING)
    assert [item["status"] for item in found] == ["fail", "fail"]
    assert "containerd does not pull %s" % IMAGE in found[0]["text"] and "not found" in found[0]["text"]
    assert "/v2/pause/manifests/3.10" in found[1]["text"]


def test_containerd_pulls_by_digest_with_its_own_configuration(probe, serve):
    found = probe({"registry.k8s.io": toml(url(serve.http(Registry())))}, pulls=(0,))
    assert [(item["status"], item["text"]) for item in found][0] == ("ok", "containerd pulls " + IMAGE)
    (argv,) = probe.pulled
    assert argv[-2:] == ["pull", "registry.k8s.io/pause@sha256:1"]
    assert "unix:///run/containerd/containerd.sock" in argv


def test_a_failed_pull_fails_though_the_mirror_answers(probe, serve):
    refused = (1, "", "pull access denied, repository does not exist or may require authorization")
    found = probe({"registry.k8s.io": toml(url(serve.http(Registry())))}, pulls=refused)
    assert [item["status"] for item in found] == ["fail", "ok"]


@pytest.mark.parametrize("pulls", [None, (0,)])
def test_a_mirror_without_an_image_that_the_cluster_does_not_need_from_it_is_a_warning(probe, serve, pulls):
    """The image came by an archive, or containerd pulls it from the next host."""
    found = probe({"registry.k8s.io": toml(url(serve.http(Registry(images=()))))}, pulls=pulls)
    assert [item["status"] for item in found] == (["ok"] if pulls else []) + ["warn"]


@pytest.mark.parametrize("urls", [2 * ["http://127.0.0.1:1"]])
def test_a_file_that_containerd_ignores_fails(probe, urls):
    (found,) = probe({"registry.k8s.io": toml(*urls)})
    assert found["status"] == "fail" and "line 6 declares" in found["text"] and "twice" in found["text"]


def test_further_images_are_tried(probe, serve):
    found = probe(
        {"registry.k8s.io": toml(url(serve.http(Registry(images=("b/c",)))))}, [IMAGE, "registry.k8s.io/b/c:3.10"]
    )
    assert found[0]["status"] == "ok" and "b/c:3.10" in found[0]["text"]


def test_a_registry_of_which_no_image_is_here_has_to_answer(probe, serve):
    server = serve.http(Registry())
    found = probe({"docker.io": toml(url(server)), "quay.io": toml("http://127.0.0.1:1")})
    assert [(item["status"], "no image from it" in item["text"]) for item in found] == [
        ("ok", True),
        ("fail", False),
    ]


@pytest.mark.parametrize("header", ['Authorization = "Basic eDp5"', "Authorization = ['Basic eDp5']"])
def test_a_login_is_used(probe, serve, header):
    server = serve.http(Registry(wants="Basic eDp5"))
    more = '  [host."%s".header]\n    %s\n' % (url(server), header)
    assert probe({"registry.k8s.io": toml(url(server), more=more)})[0]["status"] == "ok"


def test_a_missing_login_fails(probe, serve):
    found = probe({"registry.k8s.io": toml(url(serve.http(Registry(wants="Basic eDp5"))))})
    assert found[0]["status"] == "fail" and "401" in found[0]["text"]


def test_containerds_own_login_is_used(probe, serve):
    server = serve.http(Registry(wants=BASIC))
    host = "127.0.0.1:%d" % server.port
    assert probe({"registry.k8s.io": toml(url(server))}, login=host)[0]["status"] == "ok"
    assert probe({"registry.k8s.io": toml(url(server))}, login="other:5000")[0]["status"] == "fail"


def test_a_wrong_login_fails_though_no_image_is_here(probe, serve):
    server = serve.http(Registry(wants="Basic other"))
    host = "127.0.0.1:%d" % server.port
    assert probe({"registry.k8s.io": toml(url(server))}, images=(), login=host)[0]["status"] == "fail"
    assert probe({"registry.k8s.io": toml(url(server))}, images=())[0]["status"] == "ok"


@pytest.mark.parametrize("login", [True, False])
def test_a_token_is_fetched_where_it_is_asked_for(probe, serve, login):
    registry = Registry(wants="Bearer t0")
    server = serve.http(registry)
    registry.realm = url(server) + "/token"
    host = "127.0.0.1:%d" % server.port
    assert probe({"registry.k8s.io": toml(url(server))}, login=host if login else "")[0]["status"] == "ok"
    assert [
        (path, headers.get("Authorization"))
        for _method, path, headers, _body in server.requests
        if path.startswith("/token")
    ] == [("/token?service=s&scope=pull", BASIC if login else None)]


@pytest.mark.parametrize("header", [True, False])
def test_a_login_is_never_sent_to_the_host_that_a_registry_names(probe, serve, header):
    elsewhere = serve.http(lambda _request: (200, {}, json.dumps({"token": "t0"}).encode()))
    registry = Registry(wants="Bearer t0")
    registry.realm = url(elsewhere) + "/token"
    server = serve.http(registry)
    more = '  [host."%s".header]\n    Authorization = "%s"\n' % (url(server), BASIC) if header else ""
    (found,) = probe(
        {"registry.k8s.io": toml(url(server), more=more)}, login="" if header else "127.0.0.1:%d" % server.port
    )
    assert found["status"] == "ok"
    assert not [headers for _method, _path, headers, _body in elsewhere.requests if "Authorization" in headers]
    if not header:
        assert "which only containerd's pull can test" in found["text"] and not elsewhere.requests


def test_a_mirror_of_everything_is_asked_for_what_no_other_file_names(probe, serve):
    server = serve.http(Registry())
    images = ["docker.io/library/x:3.10", IMAGE]
    found = probe({"_default": toml(url(server)), "docker.io": ""}, images)
    assert [(item["status"], item["text"]) for item in found] == [
        ("ok", "%s for all registries serves %s" % (url(server), IMAGE))
    ]


def test_a_path_of_its_own_is_kept(probe, serve):
    server = serve.http(Registry())
    found = probe({"registry.k8s.io": toml(url(server) + "/mirror", more="  override_path = true\n")})
    assert found[0]["status"] == "ok"
    assert server.requests[0][1].startswith("/mirror/pause/manifests/3.10")


def test_a_login_does_not_follow_a_redirection(probe, serve):
    store = serve.http(lambda _request: (200, {}, CONFIG))

    class Redirecting(Registry):
        def __call__(self, request):
            if "/blobs/" in request.path:
                return 307, {"Location": url(store) + "/blob"}, b""
            return super().__call__(request)

    server = serve.http(Redirecting(wants="Basic eDp5"))
    more = '  [host."%s".header]\n    Authorization = "Basic eDp5"\n' % url(server)
    assert probe({"registry.k8s.io": toml(url(server), more=more)})[0]["status"] == "ok"
    assert "Authorization" not in store.requests[0][2]


def test_a_mirror_with_an_authority_of_its_own(probe, authority, other_authority, serve):
    server = serve(authority.serve(Registry(), client=False))
    address = "https://127.0.0.1:%d" % server.port
    assert probe({"registry.k8s.io": toml(address, more='  ca = "%s"\n' % authority.path)})[0]["status"] == "ok"
    assert (
        probe({"registry.k8s.io": toml(address, more="  ca = ['%s']\n" % other_authority.path)})[0]["status"] == "fail"
    )
    assert probe({"registry.k8s.io": toml(address, more="  skip_verify = true\n")})[0]["status"] == "ok"
    assert "certificate" in probe({"registry.k8s.io": toml(address)})[0]["text"].lower()


def test_a_client_certificate_is_a_pair_of_files(probe, authority, serve, tmp_path):
    """What K3s writes for its embedded registry, and what kube_registries gives with kubeadm."""
    server = serve(authority.serve(Registry()))
    certificate, key = authority.issue("client")
    (tmp_path / "c.crt").write_bytes(certificate)
    (tmp_path / "c.key").write_bytes(key)
    (tmp_path / "both.pem").write_bytes(certificate + key)
    more = "  ca = ['%s']\n" % authority.path
    for client in ('[["%s/c.crt", "%s/c.key"]]' % (tmp_path, tmp_path), '["%s/both.pem"]' % tmp_path):
        text = toml("https://127.0.0.1:%d" % server.port, more=more + "  client = %s\n" % client)
        assert probe({"registry.k8s.io": text})[0]["status"] == "ok"
    assert probe({"registry.k8s.io": toml("https://127.0.0.1:%d" % server.port, more=more)})[0]["status"] == "fail"


@pytest.mark.parametrize(
    ("rewrites", "path"),
    [
        ('"^(.*)$" = "library/$1"', "library/pause"),
        ('"^nothing$" = "x"\n    "^pa(.*)" = "k8s/${1}"\n    "k8s" = "y"', "k8s/use"),
        ('"^nothing$" = "x"', "pause"),
    ],
)
def test_k3s_rewrites_names(probe, serve, rewrites, path):
    server = serve.http(Registry(images=(path,)))
    text = toml(url(server), more='  [host."%s".rewrite]\n    %s\n' % (url(server), rewrites))
    assert probe({"registry.k8s.io": text})[0]["status"] == "ok"
    assert server.requests[0][1].startswith("/v2/%s/manifests/" % path)


def test_images_here_by_digest(monkeypatch):
    listed = {
        "images": [
            {"size": "9", "repoTags": ["r.lan/b:2"], "repoDigests": []},
            {"size": "1", "repoTags": ["r.lan:5000/a:1"], "repoDigests": ["x/a@sha256:0", "r.lan:5000/a@sha256:1"]},
            # As K3s imports one from an archive.
            {"size": "10", "repoTags": ["r.lan/c:3"], "repoDigests": ["r.lan/c@sha256:3"], "pinned": True},
        ]
    }
    place = types.SimpleNamespace(crictl=("crictl",), socket="/s")
    monkeypatch.setattr(probe_registry.commands, "run", lambda *_args, **_more: commands.Result(0, json.dumps(listed)))
    by_archive = [("r.lan/b:2", ""), ("r.lan/c:3", "")]
    assert probe_registry.images_here(place) == [("r.lan:5000/a:1", "r.lan:5000/a@sha256:1"), *by_archive]
    monkeypatch.setattr(probe_registry.commands, "run", lambda *_args, **_more: commands.Result(127))
    assert probe_registry.images_here(place) == []


def test_no_mirror_no_check(probe):
    assert probe({}) == []
    assert probe({"registry.k8s.io": 'server = "https://registry.k8s.io"\n'}) == []


def test_what_the_collection_writes_is_read_back(tmp_path):
    registries = {
        "mirrors": {
            "registry.k8s.io": {
                "endpoints": ["https://mirror.example:5000", "http://10.0.0.2:5000/k8s"],
                "override_path": True,
            },
            "*": {"endpoints": ["https://all.example"]},
        },
        "configs": {
            "mirror.example:5000": {
                "username": 'us"er',
                "password": "pa\\ss",
                "ca": "PEM",
                "insecure_skip_verify": True,
            }
        },
    }
    for entry in containerd_config.hosts(registries):
        path = tmp_path / entry["path"].replace(containerd_config.CERTS + "/", "")
        path.parent.mkdir(exist_ok=True)
        path.write_text(entry["content"])
    found, broken = containerd_hosts.load(str(tmp_path))
    assert broken == {}
    assert containerd_hosts.login(containerd_config.logins(registries), "mirror.example:5000") == ('us"er', "pa\\ss")
    assert [host["url"] for host in found["registry.k8s.io"]] == [
        "https://mirror.example:5000",
        "http://10.0.0.2:5000/k8s",
    ]
    first = found["registry.k8s.io"][0]
    assert (
        first["skip_verify"] is True
        and first["override_path"] is True
        and first["ca"].endswith("mirror.example_5000.crt")
    )
    assert first["header"] == {}
    assert [host["url"] for host in found["_default"]] == ["https://all.example"]


def test_other_forms_of_toml_are_read():
    text = """
    # a comment
    server = 'https://x'
    [host.'https://a.example']  # first
      capabilities = [
        "pull",  # both
        "resolve",
      ]
      ca = ["/a.crt", "/b.crt"]
      client = ["/a.pem"]
      [host.'https://a.example'.header]
        x-a = ["1", '2']
        Authorization = "a\\"b"
    [host."http://b.example:5000"]
    skip_verify = false # no
    """
    first, second = containerd_hosts.hosts(text)
    assert (
        first["url"] == "https://a.example"
        and first["capabilities"] == ["pull", "resolve"]
        and first["ca"] == ["/a.crt", "/b.crt"]
    )
    assert first["header"] == {"x-a": ["1", "2"], "Authorization": 'a"b'}
    assert second["url"] == "http://b.example:5000" and second["skip_verify"] is False


def test_the_proxy_is_used_but_for_what_is_excepted(tmp_path):
    path = tmp_path / "containerd.env"
    path.write_text(
        "# made\nHTTP_PROXY=http://p:1\nHTTPS_PROXY=http://p:2\nNO_PROXY=localhost,10.0.0.0/8, .svc,example.com\n"
    )
    settings = probe_registry.proxy_settings(str(path))
    assert settings.proxies("registry.k8s.io") == {"http": "http://p:1", "https": "http://p:2"}
    for name in ("10.1.2.3", "localhost", "x.svc", "example.com", "a.example.com"):
        assert settings.proxies(name) == {}, name
    assert settings.proxies("11.0.0.1") != {} and settings.proxies("notexample.com") != {}
    assert probe_registry.proxy_settings("/nowhere").proxies("x") == {}
