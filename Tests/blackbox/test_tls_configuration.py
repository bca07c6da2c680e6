"""`tls` blocks in `proxy.json`: every mistake is told with its place before anything listens."""

import copy
import json
import re
import subprocess

import pytest
from harness.certificates import DAY, now
from harness.gateway import BINARY
from harness.secure import HEADERS, Site
from harness.standard import small, write_keys


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("check-tls")
    made = Site(folder)
    write_keys(folder)
    leaf = made.leaves["api"]
    (folder / "encrypted.key").write_bytes(leaf.key_pem(b"secret"))
    (folder / "empty").write_bytes(b"")
    (folder / "garbage").write_bytes(b"garbage\n" * 20)
    (folder / "cut.pem").write_bytes(leaf.pem[:300])
    (folder / "leaf.der").write_bytes(leaf.der)
    (folder / "folder").mkdir()
    made.authority.issue("api.test", kind="rsa1024").files(folder, "weak")
    made.authority.issue("api.test", kind="p384").files(folder, "p384")
    made.authority.issue("api.test", kind="ed25519").files(folder, "ed25519")
    made.authority.issue("api.test", not_before=now() - 3 * DAY, not_after=now() - DAY).files(
        folder, "late")
    return made


def good(site):
    """One listener and one upstream with everything in them."""
    return small("https://127.0.0.1:9", listeners=[{
        "address": "127.0.0.1:0", "protocols": ["h2", "http/1.1"],
        "tls": site.tls("api", "api-rsa", clientCA="client-ca.pem", minimumVersion="1.2",
                        clientCertificate="optional", clientCertificateHeaders=HEADERS)}],
        upstream={"tls": {"ca": "server-ca.pem", "certificate": "api.pem", "privateKey": "api.key",
                          "serverName": "api.test"}}, limits={"concurrentStreams": 50})


def check(site, config):
    path = site.folder / "proxy.json"
    path.write_text(json.dumps(config, indent=2))
    return subprocess.run([BINARY, "check", "--config", path], capture_output=True, text=True,
                          timeout=20)


def changed(config, path, value):
    config = copy.deepcopy(config)
    at = config
    for step in path[:-1]:
        at = at[step]
    if value is None:
        del at[path[-1]]
    else:
        at[path[-1]] = value
    return config


LISTENER, UPSTREAM = ["listeners", 0], ["upstreams", "api"]
TLS, UP = [*LISTENER, "tls"], [*UPSTREAM, "tls"]
FIRST = [*TLS, "certificates", 0]
GOOD = [
    (LISTENER, {"address": "127.0.0.1:0"}), ([*LISTENER, "protocols"], None),
    ([*LISTENER, "protocols"], ["http/1.1"]), ([*LISTENER, "protocols"], ["h2"]),
    ([*LISTENER, "protocols"], ["http/1.1", "h2"]), ([*TLS, "minimumVersion"], "1.3"),
    ([*TLS, "minimumVersion"], None), ([*FIRST, "ocsp"], None),
    ([*TLS, "clientCertificate"], "required"), ([*TLS, "clientCertificateHeaders"], None),
    ([*TLS, "clientCertificateHeaders", "subject"], None),
    ([*TLS, "clientCertificateHeaders", "thumbprint"], None),
    (FIRST, {"certificate": "p384.pem", "privateKey": "p384.key"}),
    (FIRST, {"certificate": "ed25519.pem", "privateKey": "ed25519.key"}),
    (FIRST, {"certificate": "late.pem", "privateKey": "late.key"}),
    (UP, None), (UP, {}), ([*UP, "ca"], None), ([*UP, "serverName"], None),
    (UP, {"unsafeNoVerification": True}),
    ([*UPSTREAM, "endpoints"], ["https://api.test", "https://127.0.0.1:8443", "https://[::1]:9"]),
]
BAD = [
    # What stands where.
    ([*TLS, "certificates"], [], ""), ([*TLS, "certificates"], None, "certificates"),
    ([*TLS, "certificates"], "api.pem", ""), ([*TLS, "certificate"], [], ""),
    ([*FIRST, "privateKey"], None, "privateKey"), ([*FIRST, "certificate"], None, "certificate"),
    ([*FIRST, "key"], "api.key", ""), ([*TLS, "minimumVersion"], "1.1", ""),
    ([*TLS, "minimumVersion"], "1.0", ""), ([*TLS, "minimumVersion"], 1.2, ""),
    ([*TLS, "minimumVersion"], "TLSv1.2", ""),
    ([*TLS, "clientCertificate"], "maybe", ""), ([*TLS, "clientCertificate"], True, ""),
    ([*TLS, "clientCertificate"], "none", ""), ([*TLS, "clientCA"], None, "clientCA"),
    ([*TLS, "clientCertificateHeaders"], "X-Subject", ""),
    ([*TLS, "clientCertificateHeaders", "subject"], "bad name", ""),
    ([*TLS, "clientCertificateHeaders", "subject"], "", ""),
    ([*TLS, "clientCertificateHeaders", "subject"], "Authorization", ""),
    ([*TLS, "clientCertificateHeaders", "subject"], "Content-Length", ""),
    ([*TLS, "clientCertificateHeaders", "subject"], "Host", ""),
    ([*TLS, "clientCertificateHeaders", "issuer"], "X-Issuer", ""),
    ([*LISTENER, "protocols"], [], ""), ([*LISTENER, "protocols"], ["h3"], ""),
    ([*LISTENER, "protocols"], ["h2", "h2"], ""), ([*LISTENER, "protocols"], "h2", ""),
    ([*LISTENER, "protocols"], ["HTTP/1.1"], ""),
    (["limits", "concurrentStreams"], 0, ""), (["limits", "concurrentStreams"], -1, ""),
    (["limits", "concurrentStreams"], 1000000, ""), (["limits", "concurrentStreams"], "many", ""),
    # What the files hold.
    *[([*FIRST, "certificate"], name, "") for name in (
        "absent.pem", "empty", "garbage", "cut.pem", "leaf.der", "folder", "api.key", "exact.pem")],
    *[([*FIRST, "privateKey"], name, "") for name in (
        "absent.key", "empty", "garbage", "folder", "api.pem", "exact.key", "encrypted.key")],
    *[([*FIRST, "ocsp"], name, "") for name in ("absent", "empty", "garbage", "api.pem", "folder")],
    *[([*TLS, "clientCA"], name, "") for name in (
        "absent.pem", "empty", "garbage", "cut.pem", "api.key", "folder")],
    (FIRST, {"certificate": "weak.pem", "privateKey": "weak.key"}, ""),
    *[([*UP, "ca"], name, "") for name in ("absent.pem", "empty", "garbage", "api.key", "folder")],
    ([*UP, "certificate"], "absent.pem", ""), ([*UP, "certificate"], "exact.pem", ""),
    ([*UP, "certificate"], "garbage", ""), ([*UP, "privateKey"], "exact.key", ""),
    ([*UP, "privateKey"], "encrypted.key", ""),
    # Half a pair, and TLS where there is none.
    ([*UP, "certificate"], None, ""), ([*UP, "privateKey"], None, ""),
    ([*UP, "serverName"], "", ""), ([*UP, "serverName"], "a b", ""), ([*UP, "servername"], "x", ""),
    ([*UP, "unsafeNoVerification"], "yes", ""), ([*UP, "verify"], False, ""),
    ([*UPSTREAM, "endpoints"], ["http://127.0.0.1:9"], ""),
    ([*UPSTREAM, "endpoints"], ["https://127.0.0.1:9/path"], ""),
    ([*UPSTREAM, "endpoints"], ["https://user@127.0.0.1:9"], ""),
    ([*UPSTREAM, "endpoints"], ["https://"], ""), ([*UPSTREAM, "endpoints"], ["https://a:0"], ""),
    ([*UPSTREAM, "endpoints"], ["h2://127.0.0.1:9"], ""),
]


def named(row):
    return f"{'.'.join(map(str, row[0]))} {json.dumps(row[1])[:60]}"


def test_everything_at_once_is_good(site):
    result = check(site, good(site))
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("row", GOOD, ids=named)
def test_good_block_is_taken(site, row):
    result = check(site, changed(good(site), *row))
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("row", BAD, ids=named)
def test_bad_block_is_78_with_its_place(site, row):
    path, value, hint = row
    result = check(site, changed(good(site), path, value))
    text = result.stdout + result.stderr
    assert result.returncode == 78, text
    assert re.search(r"proxy\.json:\d+:\d+: error: ", text), text
    assert hint in text
    assert "PRIVATE" not in text, "a key's content"


def test_every_bad_file_is_reported(site):
    config = good(site)
    config["listeners"][0]["tls"]["certificates"][0]["certificate"] = "absent.pem"
    config["listeners"][0]["tls"]["clientCA"] = "absent-clients.pem"
    config["upstreams"]["api"]["tls"]["ca"] = "absent-ca.pem"
    result = check(site, config)
    assert result.returncode == 78
    text = result.stdout + result.stderr
    assert len(re.findall(r"proxy\.json:\d+:\d+: error: ", text)) >= 3, text


def test_serve_does_not_start_with_a_bad_file(site):
    config = changed(good(site), [*FIRST, "privateKey"], "exact.key")
    (site.folder / "proxy.json").write_text(json.dumps(config))
    result = subprocess.run([BINARY, "serve", "--config", site.folder / "proxy.json"],
                            capture_output=True, text=True, timeout=20)
    assert result.returncode == 78, result.stdout + result.stderr
