"""The admin listener under hostile, slow and real clients; what it tells of keys is in
test_keys_admin.py."""

import json
import signal
import socket
import subprocess
import time

import pytest
from harness.client import Closed, Connection, request_bytes
from harness.gateway import free_port, poll
from harness.tokens import mint

PATHS = ["/healthz", "/readyz", "/status", "/metrics"]


@pytest.fixture
def admin(own):
    """A proxy with an admin listener whose keys are in a file."""
    return own(admin={"address": f"127.0.0.1:{free_port()}"})


def connect(proxy, timeout=8):
    return Connection(proxy.admin_address, timeout)


def ask(proxy, target="/healthz", method="GET", **more):
    """A well-formed request; the response, behind which the listener has to close."""
    return send(proxy, request_bytes(method, target, **{"host": "localhost", **more}), method)


def send(proxy, data, method="GET"):
    with connect(proxy) as connection:
        connection.send(data)
        response = connection.response(method)
        assert connection.is_closed()
        return response


def answers(proxy):
    """Whether a prober is served, who may be told to come again."""
    try:
        return ask(proxy).status == 200
    except (Closed, OSError):
        return False


def curl(proxy, *arguments, target="/healthz"):
    url = "http://{}:{}".format(*proxy.admin_address) + target
    return subprocess.run(["curl", "-sS", "--max-time", "8", *arguments, url],
                          capture_output=True, text=True, stdin=subprocess.DEVNULL)


# Real clients.
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("options", [[], ["--http1.0"], ["-H", "Host: localhost"],
                                     ["-H", "Connection: keep-alive"],
                                     ["-H", "Accept-Encoding: gzip", "-H", "Accept: text/html"]])
def test_curl_reads_each_path(admin, path, options):
    result = curl(admin, "--fail", *options, target=path)
    assert result.returncode == 0, result.stderr
    if path == "/metrics":
        assert "# TYPE bearward_keys_usable gauge" in result.stdout
    else:
        json.loads(result.stdout)


def test_curl_sees_lengths_without_bodies(admin):
    result = curl(admin, "--head", "--fail", target="/status")
    assert result.returncode == 0, result.stderr
    assert "content-length: " in result.stdout.lower() and "{" not in result.stdout


@pytest.mark.parametrize("options, status", [
    (["-X", "POST"], "202"), (["-d", ""], "202"), (["-d", "x=1"], "202"),
    (["-d", "x" * 4096], "202"), (["-d", "x" * 4097], "413"),
    (["-H", "Transfer-Encoding: chunked", "-d", "abc"], "202"),
    (["-H", "Expect: 100-continue", "-d", "abc"], "202"), (["-X", "PUT"], "405"), ([], "405")])
def test_curl_refreshes(admin, options, status):
    result = curl(admin, "-o", "/dev/null", "-w", "%{http_code}", *options,
                  target="/keys/refresh")
    assert (result.returncode, result.stdout) == (0, status), result.stderr


def test_http2_is_not_spoken(admin):
    assert curl(admin, "--http2-prior-knowledge").returncode != 0
    result = curl(admin, "--http2", "-o", "/dev/null", "-w", "%{http_code} %{http_version}")
    assert result.stdout == "200 1.1", "an offer to upgrade is ignored"


# Browsers.
@pytest.mark.parametrize("host", ["evil.test", "localhost.evil.test", "127.0.0.1.evil.test",
                                  "evil.test:80", "127.1", "0x7f000001", "017700000001"])
@pytest.mark.parametrize("path", PATHS)
def test_other_names_are_refused(admin, host, path):
    """DNS rebinding: the page's own name resolves to the loopback."""
    response = ask(admin, path, host=host)
    assert response.status == 403 and b"issuers" not in response.body


@pytest.mark.parametrize("name", ["Origin", "origin", "ORIGIN"])
@pytest.mark.parametrize("value", ["https://evil.test", "null", "http://localhost", ""])
def test_web_pages_are_refused(admin, name, value):
    for method, path in (("GET", "/status"), ("POST", "/keys/refresh"), ("OPTIONS", "/status")):
        body = b"" if method == "POST" else None
        response = ask(admin, path, method, fields=[(name, value)], body=body)
        assert response.status == 403
        assert response.get("Access-Control-Allow-Origin") is None


# Hostile requests.
@pytest.mark.parametrize("data, status", [
    (b"GET /healthz HTTP/1.1\r\n\r\n", 400),
    (b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n", 400),
    (b"GET /healthz HTTP/1.1\r\nHost: localhost, evil.test\r\n\r\n", 400),
    (b"GET /healthz HTTP/1.1\r\nHost: a@localhost\r\n\r\n", 400),
    (b"GET http://evil.test/healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    (b"GET http://evil.test/healthz HTTP/1.1\r\nHost: evil.test\r\n\r\n", 403),
    (b"GET /healthz HTTP/3.0\r\nHost: localhost\r\n\r\n", 400),
    (b"GET /healthz HTTP/1.1\nHost: localhost\n\n", 400),
    (b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n folded\r\n\r\n", 400),
    (b"GET /healthz HTTP/1.1\r\nHost : localhost\r\n\r\n", 400),
    (b"GET /healthz HTTP/1.1\r\nHost: local\0host\r\n\r\n", 400),
    (b"GET /healthz\0 HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
    (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    (b"CONNECT localhost:80 HTTP/1.1\r\nHost: localhost:80\r\n\r\n", 404),
    (b"TRACE /status HTTP/1.1\r\nHost: localhost\r\n\r\n", 405),
    (b"POST /keys/refresh HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n"
     b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    (b"POST /keys/refresh HTTP/1.1\r\nHost: localhost\r\nContent-Length: +1\r\n\r\na", 400),
    (b"POST /keys/refresh HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n"
     b"Content-Length: 1\r\n\r\na", 400),
    (b"POST /keys/refresh HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
     b"-1\r\n", 400),
    (b"POST /keys/refresh HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
    (b"POST /keys/refresh HTTP/1.1\r\nHost: localhost\r\n"
     b"Content-Length: 9223372036854775808\r\n\r\n", 400),
    (b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n" + b"A: b\r\n" * 64 + b"\r\n", 431),
    (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", 431),
    (b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nA: " + b"a" * 9000, 431),
    (b"GET /healthz/../status HTTP/1.1\r\nHost: localhost\r\n\r\n", 404),
    (b"GET /%2e/status HTTP/1.1\r\nHost: localhost\r\n\r\n", 404),
    (b"GET /token/x HTTP/1.1\r\nHost: localhost\r\n\r\n", 404),
])
def test_hostile_requests(admin, data, status):
    assert send(admin, data).status == status
    assert ask(admin).status == 200
    assert admin.upstream.requests == []


def test_only_the_first_request_counts(admin):
    """What is pipelined behind a request, or smuggled in its body, is no request."""
    inner = request_bytes("POST", "/keys/refresh", host="localhost", body=b"")
    with connect(admin) as connection:
        connection.send(request_bytes("GET", "/healthz", host="localhost") + inner * 3)
        assert connection.response().status == 200
        assert connection.is_closed()


def test_requests_byte_by_byte(admin):
    with connect(admin) as connection:
        for byte in request_bytes("GET", "/readyz", host="localhost"):
            connection.send(bytes([byte]))
        assert connection.response().status == 200


def test_secrets_of_requests_are_not_told(admin):
    token = mint(claims={"sub": "hidden"})
    response = ask(admin, "/status", token=token)
    assert response.status == 200 and token.encode() not in response.body
    assert token not in admin.output


# Slow and many.
def test_unfinished_requests_end_in_time(admin):
    start = time.monotonic()
    silent, half = connect(admin, 12), connect(admin, 12)
    half.send(b"GET /healthz HTTP/1.1\r\nHost:")
    body = connect(admin, 12)
    body.send(b"POST /keys/refresh HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\na")
    assert half.response().status == 408 and body.response().status == 408
    assert silent.is_closed()
    assert time.monotonic() - start < 9


def test_idle_connections_keep_no_prober_out(admin):
    """A hundred connections that say nothing; a prober is served within a moment."""
    idle = [connect(admin) for _ in range(100)]

    poll(lambda: answers(admin), 3, "an answer beside idle connections")
    for connection in idle:
        connection.close()
    assert all(ask(admin).status == 200 for _ in range(50))


def test_many_at_the_same_time_are_bounded(admin):
    connections = [connect(admin) for _ in range(16)]
    for connection in connections:
        connection.send(request_bytes("GET", "/status", host="localhost"))
    assert [connection.response().status for connection in connections] == [200] * 16


def test_slow_readers_hold_nothing_up(admin):
    slow = []
    for _ in range(16):
        connection = connect(admin)
        connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
        connection.send(request_bytes("GET", "/status", host="localhost"))
        slow.append(connection)
    poll(lambda: answers(admin), 3, "an answer beside slow readers")
    admin.assert_serves()


def test_floods_leave_the_data_plane_alone(admin):
    for _ in range(300):
        connection = connect(admin)
        connection.send(b"\xff" * 100)
        connection.reset()
    admin.assert_serves()
    poll(lambda: answers(admin), 3, "an answer behind the flood")


# Life and end.
def test_draining_is_told_until_the_last_request_has_ended(own, upstream):
    proxy = own(admin={"address": f"127.0.0.1:{free_port()}"})
    assert ask(proxy, "/readyz").json() == {
        "ready": True, "draining": False, "issuersWithoutKeys": []}
    with proxy.gateway.connect() as client:
        client.send(b"POST /public/x HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\na")
        poll(lambda: ask(proxy, "/status").json()["connections"] >= 1, 5, "a connection counted")
        proxy.process.send_signal(signal.SIGTERM)
        told = poll(lambda: (found := ask(proxy, "/readyz")).status == 503 and found, 5,
                    "readiness that tells of the drain")
        assert told.json()["draining"] is True
        assert ask(proxy, "/healthz").status == 200
        assert ask(proxy, "/status").json()["draining"] is True
        client.send(b"b")
        assert client.response().status == 200
    assert proxy.process.wait(10) == 0
    with pytest.raises(OSError):
        connect(proxy)


def test_missing_key_file_is_told_until_it_arrives(own, folder):
    keys = (folder / "jwks.json").read_text()
    (folder / "jwks.json").unlink()
    proxy = own(admin={"address": f"127.0.0.1:{free_port()}"})
    told = ask(proxy, "/readyz")
    assert told.status == 503
    assert [one["issuer"] for one in told.json()["issuersWithoutKeys"]] == ["main"]
    assert ask(proxy, "/healthz").status == 200
    (folder / "jwks.json").write_text(keys)
    poll(lambda: ask(proxy, "/readyz").status == 200, 5, "readiness with the key file")


def test_address_that_is_taken_is_an_error(own):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(AssertionError, match="ended with 71"):
            own(admin={"address": f"127.0.0.1:{port}"})


def test_unix_socket_is_for_its_group_alone_and_goes_with_the_process(own, folder):
    proxy = own(admin={"address": "unix:admin.sock"})
    path = folder / "admin.sock"
    assert path.stat().st_mode & 0o777 == 0o660
    result = subprocess.run(
        ["curl", "-sS", "--fail", "--unix-socket", str(path), "http://localhost/readyz"],
        capture_output=True, text=True)
    assert result.returncode == 0 and json.loads(result.stdout)["ready"] is True
    assert proxy.gateway.stop() == 0
    assert not path.exists()


def test_without_admin_nothing_listens(own):
    proxy = own()
    for path in PATHS:
        assert proxy.get(path).status == 404
