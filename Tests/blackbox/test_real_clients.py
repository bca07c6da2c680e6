"""Clients and servers that people use: curl, nghttp, h2load, httpx, websockets, hypercorn."""

import asyncio
import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
import types

import httpx
import pytest
from harness import standard
from harness.gateway import Gateway, free_port, poll
from harness.protocol_upstream import ProtocolUpstream
from harness.secured import Secured, secure_address
from harness.tokens import mint
from harness.upstream import Upstream
from harness.wire import connect
from websockets.sync.client import connect as open_websocket

BIG = random.Random(3).randbytes(3_000_000)
needs_nghttp2 = pytest.mark.skipif(shutil.which("h2load") is None,
                                   reason="nghttp2-client is not installed; see scripts/install")

# Says what it saw, echoes bodies and WebSocket messages, streams.
APPLICATION = '''
import asyncio
import json


async def body_of(receive):
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            return body


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": message.get("text"),
                        "bytes": message.get("bytes")})
        return
    body = await body_of(receive)
    path = scope["path"].rpartition("/")[2]
    if path == "echo":
        answer = [body]
    elif path == "stream":
        answer = [b"%d\\n" % number for number in range(1000)]
    else:
        answer = [json.dumps({
            "http_version": scope["http_version"], "method": scope["method"],
            "path": scope["raw_path"].decode(), "query": scope["query_string"].decode(),
            "length": len(body),
            "headers": [[name.decode(), value.decode()] for name, value in scope["headers"]],
        }).encode()]
    await send({"type": "http.response.start", "status": 200,
                "headers": [(b"content-type", b"application/json")]})
    for piece in answer:
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b""})
'''


class Hypercorn:
    """Serves APPLICATION in clear, where it takes HTTP/1.1 and h2c, or over TLS by ALPN.

    It keeps unused connections longer than the gateway does. Left to itself it closes them after
    5 s, without GOAWAY, and a POST that is on its way by then is a 502: nobody may repeat it. To an
    answer before the end of an upload Debian's curl says 92 and no status.
    """

    def __init__(self, folder, secured=None):
        port = free_port()
        (folder / "application.py").write_text(APPLICATION)
        command = [sys.executable, "-m", "hypercorn", "--bind", f"127.0.0.1:{port}",
                   "--keep-alive", "600", "--log-level", "error", "application:app"]
        if secured:
            command += ["--certfile", secured.files["certificate"],
                        "--keyfile", secured.files["privateKey"]]
        self.process = subprocess.Popen(command, cwd=folder,
                                        env={**os.environ, "PYTHONPATH": str(folder)})
        self.endpoint = f"{'https' if secured else 'h2c'}://127.0.0.1:{port}"
        self.port = port

        def listens():
            assert self.process.poll() is None, "hypercorn ended"
            try:
                connect(("127.0.0.1", port), 1).close()
                return True
            except OSError:
                return False

        poll(listens, 20, "hypercorn")

    def stop(self):
        self.process.terminate()
        self.process.wait(20)


@pytest.fixture(scope="module")
def stage(tmp_path_factory):
    folder = tmp_path_factory.mktemp("real")
    standard.write_keys(folder)
    secured = Secured(folder)
    clear, secure = Hypercorn(folder), Hypercorn(folder, secured)
    plain, h2c = Upstream(), ProtocolUpstream("h2c")
    routes = {"h2c": "/h2c/**", "https": "/https/**", "http": "/http/**"}
    gateway = Gateway(folder, {
        "listeners": secured.listeners(
            clientCA=secured.trust, clientCertificate="optional",
            clientCertificateHeaders={"subject": "X-Client-Subject",
                                      "thumbprint": "X-Client-Thumbprint"}),
        "issuers": {"main": standard.issuer()},
        "upstreams": {
            "h2c": secured.upstream(clear.endpoint),
            "https": secured.upstream(secure.endpoint),
            "http": secured.upstream(f"http://127.0.0.1:{clear.port}"),
            "plain": secured.upstream(plain.endpoint),
            "quick": secured.upstream(h2c.endpoint),
        },
        "routes": [
            *({"path": path, "upstream": name, "claimHeaders": {"X-Sub": "sub"}}
              for name, path in routes.items()),
            {"path": "/plain/**", "upstream": "plain"},
            {"path": "/quick/**", "upstream": "quick"},
        ],
        "workers": 2,
    })
    yield types.SimpleNamespace(gateway=gateway, secured=secured, folder=folder, plain=plain,
                                token=mint())
    assert gateway.stop() == 0, gateway.output
    for server in (clear, secure):
        server.stop()
    plain.close()
    h2c.close()


def url(stage, scheme, path):
    secure = scheme in ("https", "wss")
    host, port = secure_address(stage.gateway) if secure else stage.gateway.address
    return f"{scheme}://{host}:{port}{path}"


def run(command, **more):
    done = subprocess.run([str(part) for part in command], capture_output=True, timeout=60, **more)
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    return done.stdout


UPSTREAMS = ["http", "h2c", "https"]


# curl.
class Curl:
    def __init__(self, stage, protocol):
        self.stage = stage
        self.scheme = "http" if protocol.startswith("clear") else "https"
        self.flags = {"clear 1.1": ["--http1.1"], "clear 2": ["--http2-prior-knowledge"],
                      "tls 1.1": ["--http1.1"], "tls 2": ["--http2"]}[protocol]
        self.version = "2" if protocol.endswith(" 2") else "1.1"

    def __call__(self, path, *flags, token=True, **more):
        """Status and body; the protocol is checked on the way."""
        command = ["curl", "-sS", "--max-time", "30", *self.flags, "--cacert",
                   self.stage.folder / self.stage.secured.trust,
                   "-w", "\n%{http_version} %{http_code}", *flags]
        if token:
            command += ["-H", f"Authorization: Bearer {self.stage.token}"]
        output = run([*command, url(self.stage, self.scheme, path)], **more)
        body, _, said = output.rpartition(b"\n")
        version, status = said.decode().split()
        assert version == self.version
        return int(status), body


@pytest.fixture(params=["clear 1.1", "clear 2", "tls 1.1", "tls 2"])
def curl(request, stage):
    stage.gateway.ensure()
    return Curl(stage, request.param)


@pytest.mark.parametrize("upstream", UPSTREAMS)
def test_curl_get(curl, upstream):
    status, body = curl(f"/{upstream}/a%20b?x=1&y=%2F", "-H", "X-Sub: root", "-H", "Remote-User: r")
    seen = json.loads(body)
    assert status == 200 and seen["method"] == "GET"
    assert (seen["path"], seen["query"]) == (f"/{upstream}/a%20b", "x=1&y=%2F")
    assert seen["http_version"] == ("1.1" if upstream == "http" else "2")
    headers = dict(seen["headers"])
    assert headers["x-sub"] == "alice" and "authorization" not in headers
    assert "remote-user" not in headers and headers["x-forwarded-proto"] == curl.scheme


@pytest.mark.parametrize("upstream", UPSTREAMS)
@pytest.mark.parametrize("flags", [[], ["-H", "Transfer-Encoding: chunked"], ["-T", "-"]])
def test_curl_upload_and_download(curl, upstream, flags):
    if curl.version == "2" and "Transfer-Encoding: chunked" in flags:
        flags = []
    body = flags if "-T" in flags else [*flags, "--data-binary", "@-"]
    status, answer = curl(f"/{upstream}/echo", *body, input=BIG)
    assert status == 200
    assert hashlib.sha256(answer).digest() == hashlib.sha256(BIG).digest()


@pytest.mark.parametrize("upstream", UPSTREAMS)
def test_curl_head(curl, upstream):
    status, head = curl(f"/{upstream}/x", "--head")
    assert status == 200 and b"content-type: application/json" in head.lower()


def test_curl_refused(curl):
    status, body = curl("/h2c/x", "-D", "-", token=False)
    assert status == 401 and b'www-authenticate: bearer realm="api"' in body.lower()


def test_curl_reads_why_its_upload_is_refused(curl):
    """A reset right behind the answer would make curl 7.88 end with 92, and say no status."""
    status, body = curl("/h2c/x", "--data-binary", "@-", token=False, input=BIG)
    assert status == 401 and json.loads(body)["status"] == 401


@pytest.mark.parametrize("flag, version", [("--http1.1", "1.1"), ("--http2", "2")])
@pytest.mark.parametrize("upstream", UPSTREAMS)
def test_curl_many_requests_on_one_connection(stage, flag, version, upstream):
    """Over TLS only: Debian's curl 7.88 cannot reuse a connection of prior knowledge."""
    targets = [url(stage, "https", f"/{upstream}/{number}") for number in range(20)]
    output = run(["curl", "-sS", flag, "--cacert", stage.folder / stage.secured.trust, "-H",
                  f"Authorization: Bearer {stage.token}",
                  "-w", "\n%{num_connects} %{http_version} %{http_code}\n", *targets]).decode()
    lines = output.splitlines()
    assert [json.loads(line)["path"] for line in lines[::2]] == [
        f"/{upstream}/{number}" for number in range(20)]
    assert lines[1::2] == [f"1 {version} 200"] + [f"0 {version} 200"] * 19


def test_curl_http2_in_clear_stays_with_http_1(stage):
    """`Upgrade: h2c` was withdrawn (RFC 9113 appendix B): the request is served as HTTP/1.1."""
    output = run(["curl", "-sS", "--http2", "-w", "\n%{http_version} %{http_code}", "-H",
                  f"Authorization: Bearer {stage.token}", url(stage, "http", "/h2c/x")])
    body, _, said = output.rpartition(b"\n")
    assert said == b"1.1 200" and "upgrade" not in dict(json.loads(body)["headers"])


@pytest.mark.parametrize("version", ["--http1.1", "--http2"])
@pytest.mark.parametrize("with_certificate", [True, False])
def test_curl_client_certificate(stage, version, with_certificate):
    leaf = stage.secured.authority.issue(cn="curl user", usages=("client",))
    files = leaf.files(stage.folder, "client")
    flags = []
    if with_certificate:
        flags = ["--cert", stage.folder / files["certificate"],
                 "--key", stage.folder / files["privateKey"]]
    output = run(["curl", "-sS", version, *flags, "--cacert", stage.folder / stage.secured.trust,
                  "-H", f"Authorization: Bearer {stage.token}", "-H", "X-Client-Subject: CN=root",
                  url(stage, "https", "/h2c/x")])
    headers = dict(json.loads(output)["headers"])
    assert headers.get("x-client-subject") == ("CN=curl user" if with_certificate else None)
    expected = leaf.thumbprint if with_certificate else None
    assert headers.get("x-client-thumbprint") == expected


# nghttp2's own tools.
@needs_nghttp2
@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("upstream", UPSTREAMS)
def test_nghttp_get(stage, scheme, upstream):
    output = run(["nghttp", "--no-verify-peer", "-H", f"authorization: Bearer {stage.token}",
                  url(stage, scheme, f"/{upstream}/x")])
    assert dict(json.loads(output)["headers"])["x-sub"] == "alice"


@needs_nghttp2
def test_nghttp_upload_with_trailers_and_padding(stage):
    (stage.folder / "upload").write_bytes(BIG)
    output = run(["nghttp", "--no-verify-peer", "-b", "100", "-d", stage.folder / "upload",
                  "--trailer", "x-sum: 42", "-H", f"authorization: Bearer {stage.token}",
                  url(stage, "https", "/h2c/echo")])
    assert hashlib.sha256(output).digest() == hashlib.sha256(BIG).digest()


@needs_nghttp2
def test_nghttp_small_windows(stage):
    """A window of 1 KiB for the stream and 64 KiB for the connection."""
    output = run(["nghttp", "--no-verify-peer", "-w", "10", "-W", "16", "-H",
                  f"authorization: Bearer {stage.token}", url(stage, "https", "/h2c/stream")])
    assert output == b"".join(b"%d\n" % number for number in range(1000))


@needs_nghttp2
@pytest.mark.parametrize("scheme, flags", [
    ("http", ["-m", "1"]), ("http", ["-m", "50"]), ("https", ["-m", "1"]), ("https", ["-m", "50"]),
    ("https", ["--h1"]), ("http", ["-p", "http/1.1"])], ids=str)
@pytest.mark.parametrize("path", ["/plain/x", "/quick/x"])
def test_h2load(stage, scheme, flags, path):
    """2,000 requests on 5 connections: none fails, all are 200."""
    output = run(["h2load", "-n", "2000", "-c", "5", *flags, "-H",
                  f"authorization: Bearer {stage.token}", url(stage, scheme, path)]).decode()
    assert "2000 succeeded, 0 failed, 0 errored, 0 timeout" in output, output
    assert "2000 2xx, 0 3xx, 0 4xx, 0 5xx" in output, output


@needs_nghttp2
def test_h2load_upload(stage):
    (stage.folder / "upload").write_bytes(BIG[:100_000])
    output = run(["h2load", "-n", "300", "-c", "3", "-m", "20", "-d", stage.folder / "upload",
                  "-H", f"authorization: Bearer {stage.token}",
                  url(stage, "https", "/quick/x")]).decode()
    assert "300 succeeded, 0 failed, 0 errored, 0 timeout" in output, output


# httpx.
@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("http2", [True, False])
@pytest.mark.parametrize("upstream", UPSTREAMS)
def test_httpx(stage, scheme, http2, upstream):
    # In clear httpx speaks HTTP/2 only when HTTP/1.1 is off.
    with httpx.Client(verify=stage.secured.client_context(), http2=http2,
                      http1=not (http2 and scheme == "http"), trust_env=False,
                      headers={"Authorization": f"Bearer {stage.token}"}) as client:
        for _ in range(3):
            answer = client.get(url(stage, scheme, f"/{upstream}/x?a=b"))
            assert answer.status_code == 200
            assert answer.http_version == ("HTTP/2" if http2 else "HTTP/1.1")
            assert dict(answer.json()["headers"])["x-sub"] == "alice"
        answer = client.post(url(stage, scheme, f"/{upstream}/echo"), content=BIG)
        assert answer.content == BIG
        pieces = (BIG[start:start + 10_000] for start in range(0, len(BIG), 10_000))
        assert client.put(url(stage, scheme, f"/{upstream}/echo"), content=pieces).content == BIG
        with client.stream("GET", url(stage, scheme, f"/{upstream}/stream")) as streamed:
            assert list(streamed.iter_lines()) == [str(number) for number in range(1000)]
        refused = client.get(url(stage, scheme, f"/{upstream}/x"), headers={"Authorization": "x"})
        assert refused.status_code in (400, 401)


@pytest.mark.parametrize("upstream", UPSTREAMS)
def test_httpx_many_at_once(stage, upstream):
    """100 requests multiplexed on one connection, each with its own answer."""
    async def run_all():
        async with httpx.AsyncClient(verify=stage.secured.client_context(), http2=True,
                                     trust_env=False, timeout=30,
                                     headers={"Authorization": f"Bearer {stage.token}"}) as client:
            bodies = [b"%d" % number * 1000 for number in range(100)]
            answers = await asyncio.gather(*(
                client.post(url(stage, "https", f"/{upstream}/echo"), content=body)
                for body in bodies))
            assert [answer.content for answer in answers] == bodies
            assert {answer.http_version for answer in answers} == {"HTTP/2"}

    asyncio.run(run_all())


# websockets.
@pytest.mark.parametrize("scheme", ["ws", "wss"])
def test_websocket_echo(stage, scheme):
    context = stage.secured.client_context() if scheme == "wss" else None
    with open_websocket(url(stage, scheme, "/http/ws"), ssl=context, max_size=None, proxy=None,
                        additional_headers={"Authorization": f"Bearer {stage.token}"}) as socket:
        for message in ["hello", "é漢😀", b"\0\1\2", "x" * 200_000, bytes(1_000_000)]:
            socket.send(message)
            assert socket.recv(timeout=10) == message
