"""examples/django: a real legacy API under gunicorn on a unix socket, behind its own proxy.json."""

import hashlib
import json
import os
import random
import subprocess
import sys
import time

import pytest
from harness.client import request_bytes
from harness.gateway import Gateway, ROOT, poll
from harness.tokens import keys, mint
from harness.wire import connect

EXAMPLE = ROOT / "examples/django"


class Site:
    def __init__(self, gateway, folder):
        self.gateway = gateway
        self.folder = folder

    def token(self, sub="alice", scope="notes:read notes:write", **more):
        return mint(iss="https://login.notes.example/", aud="https://notes.example", sub=sub,
                    scope=scope, key=more.pop("key", keys().es256), **more)

    def call(self, method, target, sub="alice", token=None, fields=(), body=None, kind=None):
        pairs = list(fields)
        if kind:
            pairs.append(("Content-Type", kind))
        token = self.token(sub) if token is None else token
        return self.gateway.send(method, target, token=token or None, fields=pairs, body=body)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("django")
    (folder / "run").mkdir()
    environment = {**os.environ, "NOTES_RUN": str(folder / "run")}
    subprocess.run([sys.executable, "manage.py", "migrate", "--run-syncdb", "-v", "0"], cwd=EXAMPLE,
                   env=environment, check=True, timeout=60)
    socket = folder / "run/django.sock"
    # gunicorn drops fields with an underscore unless told so; many servers in the wild keep them.
    command = [sys.executable, "-m", "gunicorn", "--bind", f"unix:{socket}", "--workers", "2",
               "--no-control-socket", "--header-map", "dangerous", "--log-level", "error",
               "notes.wsgi"]
    server = subprocess.Popen(command, cwd=EXAMPLE, env=environment)
    config = json.loads((EXAMPLE / "proxy.json").read_text())
    del config["$schema"], config["listeners"]
    key_set = {"keys": [keys().es256.jwk()]}
    (folder / "run/jwks.json").write_text(json.dumps(key_set))

    def listens():
        try:
            connect(socket, 1).close()
            return True
        except OSError:
            return False

    poll(listens, 20, "gunicorn")
    gateway = Gateway(folder, config)
    yield Site(gateway, folder)
    assert gateway.stop() == 0
    server.terminate()
    server.wait(20)


def test_create_and_list(site):
    created = site.call("POST", "/notes/", body=b'{"text": "tea"}', kind="application/json")
    assert created.status == 201 and created.json()["text"] == "tea"
    listed = site.call("GET", "/notes/")
    assert listed.status == 200 and created.json() in listed.json()
    one = site.call("GET", f"/notes/{created.json()['id']}/")
    assert one.json() == created.json()


def test_each_user_sees_their_own(site):
    created = site.call("POST", "/notes/", "carol", body=b"text=mine",
                        kind="application/x-www-form-urlencoded")
    assert created.status == 201
    assert created.json() in site.call("GET", "/notes/", "carol").json()
    assert site.call("GET", "/notes/", "dave").json() == []
    assert site.call("GET", f"/notes/{created.json()['id']}/", "dave").status == 404


def multipart(data):
    mark = b"----black-box-boundary"
    body = (b"--" + mark + b'\r\nContent-Disposition: form-data; name="file"; filename="a.bin"\r\n'
            b"Content-Type: application/octet-stream\r\n\r\n" + data + b"\r\n--" + mark + b"--\r\n")
    return body, "multipart/form-data; boundary=" + mark.decode()


@pytest.mark.parametrize("size", [1, 5_000, 8_000_000])
def test_upload_and_streaming_download(site, size):
    data = random.Random(size).randbytes(size)
    body, kind = multipart(data)
    created = site.call("POST", "/files/", body=body, kind=kind)
    assert created.status == 201 and created.json()["bytes"] == size
    response = site.call("GET", f"/files/{created.json()['id']}/")
    assert response.status == 200 and response.get("Transfer-Encoding") == "chunked"
    assert hashlib.sha256(response.body).digest() == hashlib.sha256(data).digest()


def test_upload_without_a_file_is_djangos_own_400(site):
    assert site.call("POST", "/files/", body=b"").status in (400, 415)


def test_upload_above_the_limit_is_413(site):
    with site.gateway.connect() as connection:
        connection.send(request_bytes("POST", "/files/", token=site.token(),
                                      fields={"Content-Length": str(65 * 1024 * 1024)}))
        assert connection.response("POST").status == 413


@pytest.mark.parametrize("method, target", [
    ("GET", "/notes/"), ("POST", "/notes/"), ("GET", "/notes/1/"), ("POST", "/files/"),
    ("GET", "/files/1/"),
    ("GET", "/whoami/")])
def test_no_token_is_401(site, method, target):
    response = site.call(method, target, token="")
    assert response.status == 401 and response.get("WWW-Authenticate") == 'Bearer realm="notes"'


@pytest.mark.parametrize("changes", [{"exp": 1}, {"key": keys().stranger_ec}, {"aud": "x"},
                                     {"iss": "x"}])
def test_bad_token_is_401(site, changes):
    made = mint(**{"iss": "https://login.notes.example/", "aud": "https://notes.example",
                   "key": keys().es256, "scope": "notes:read", **changes})
    assert site.call("GET", "/notes/", token=made).status == 401


@pytest.mark.parametrize("method, target, scope", [
    ("GET", "/notes/", "notes:write"), ("POST", "/notes/", "notes:read"),
    ("POST", "/files/", "notes:read"),
    ("GET", "/files/1/", "")])
def test_missing_scope_is_403(site, method, target, scope):
    assert site.call(method, target, token=site.token(scope=scope)).status == 403


@pytest.mark.parametrize("target", ["/internal/", "/admin/", "/", "/notes", "/files/1", "/whoami"])
def test_what_no_route_names_is_404(site, target):
    """/notes matches /notes/** and is Django's own business: it redirects or says 404."""
    response = site.call("GET", target)
    assert response.status == 404 or (target == "/notes" and response.status in (301, 404))
    if target == "/internal/":
        assert response.get("Content-Type") == "application/problem+json"


def test_django_says_404_itself(site):
    response = site.call("GET", "/notes/999999/")
    assert response.status == 404 and response.get("Content-Type") == "application/json"


@pytest.mark.parametrize("name", [
    "Remote-User", "remote-user", "REMOTE-USER", "Remote_User", "remote_user", "REMOTE_USER",
    "Remote.User",
    "ReMoTe_uSeR", "X-Remote-User", "X_Remote_User", "X-Forwarded-User", "X_Forwarded_User",
    "X-User",
    "X-Auth-User", "X-JWT-Sub", "X-SSL-User", "X-Original-User", "X-Real-IP"])
@pytest.mark.parametrize("times", [1, 2])
def test_spoofed_identity_never_wins(site, name, times):
    response = site.call("GET", "/whoami/", "erin", fields=[(name, "root")] * times)
    assert response.status == 200 and response.json()["user"] == "erin"
    assert "root" not in json.dumps(response.json()["fields"])
    assert "HTTP_AUTHORIZATION" not in response.json()["fields"]


def test_spoofed_identity_beside_our_own_in_connection(site):
    fields = [("Connection", "Remote-User"), ("Remote-User", "root")]
    assert site.call("GET", "/whoami/", "erin", fields=fields).json()["user"] == "erin"


def test_session_cookie_is_no_way_around(site):
    """Django's session of one user with the token of another: the token decides."""
    first = site.call("GET", "/whoami/", "alice")
    cookies = [value.partition(";")[0] for value in first.fields.all("Set-Cookie")]
    fields = [("Cookie", "; ".join(cookies))] if cookies else []
    assert site.call("GET", "/whoami/", "mallory", fields=fields).json()["user"] == "mallory"
    assert site.call("GET", "/whoami/", token="", fields=fields).status == 401


@pytest.mark.parametrize("sub", ["alice@example.com", "o'brien", "a b"])
def test_subjects_of_all_kinds_arrive(site, sub):
    assert site.call("GET", "/whoami/", sub).json()["user"] == sub


def test_gunicorn_closing_idle_connections_is_unseen(site):
    """Its sync workers close after each answer; every request still succeeds."""
    start = time.monotonic()
    for _ in range(30):
        assert site.call("GET", "/whoami/").status == 200
    assert time.monotonic() - start < 20
