"""HTTP over TLS: the same answers as in clear text, large bodies, upgrades, ends and the drain."""

import concurrent.futures
import contextlib
import hashlib
import os
import random
import select
import socket
import ssl
import struct
import threading
import time

import pytest
from harness.client import Closed, request_bytes
from harness.gateway import poll
from harness.secure import Secure, curl, shared_secure
from harness.tls import clear_text
from harness.tokens import keys, mint
from harness.upstream import Close, Upstream, answer
from harness.wire import Reader, connect
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect as dial_websocket
from websockets.sync.server import serve as serve_websocket

secure_running, secure = shared_secure("traffic")
VERSIONS = pytest.mark.parametrize("versions", [["1.2"], ["1.3"]], ids=str)
PROTOCOLS = pytest.mark.parametrize("protocol", ["--http1.1", "--http2"])
MEBIBYTE = 1 << 20


# What the upstream is told.
@pytest.mark.parametrize("listener, scheme", [
    ("main", "https"), ("http1", "https"), ("required", "https"), ("clear", "http"),
    ("unix", "https")])
@pytest.mark.parametrize("fields", [
    [], [("X-Forwarded-Proto", "ftp")], [("Forwarded", "proto=ftp;host=evil.test")],
    [("X-Forwarded-Proto", "http"), ("X_Forwarded_Proto", "http")]], ids=str)
def test_scheme_is_told_and_never_believed(secure, listener, scheme, fields):
    context = None
    if listener == "required":
        context = secure.site.context(certificate=secure.site.client()[1])
    assert secure.ask(listener, tls=context, fields=fields).status == 200
    request = secure.upstream.request()
    assert request.get("X-Forwarded-Proto") == scheme
    assert f"proto={scheme}" in request.get("Forwarded") and "evil" not in request.get("Forwarded")


# The same answers.
def answers_of(secure, listener, target, fields, token):
    response = secure.ask(listener, target, fields=fields, token=token)
    kept = {name.lower(): value for name, value in response.fields
            if name.lower() not in ("date", "x-request-id", "content-length")}
    body = response.json() if response.body.startswith(b"{") else response.body
    if isinstance(body, dict):
        body = {name: value for name, value in body.items() if name not in ("id", "instance")}
    return response.status, kept, str(body).replace(response.get("X-Request-Id", "-"), "ID")


@pytest.mark.parametrize("target, fields, token, status", [
    ("/token/x", [], None, 401), ("/token/x", [], "garbage", 401),
    ("/token/x", [], "expired", 401), ("/token/x", [], "stranger", 401),
    ("/token/x", [], "good", 200), ("/orders/1", [], "good", 200),
    ("/orders/1", [], "unscoped", 403), ("/nothing", [], None, 404),
    ("/public/../x", [], None, 400), ("/public//x", [], None, 400),
    ("/token/x", [("Authorization", "Bearer a b")], None, 400),
    ("/public/x", [("Host", "second.test")], None, 400),
    ("/public/x", [("Transfer_Encoding", "chunked")], None, 400),
    ("/public/x", [(f"X-{n}", "x") for n in range(120)], None, 431),
    ("/public/x", [("X-Long", "x" * 70000)], None, 431),
], ids=lambda value: ascii(value)[:40])
def test_every_answer_is_the_one_of_clear_text(secure, target, fields, token, status):
    made = {"expired": lambda: mint(exp=1), "stranger": lambda: mint(key=keys().stranger),
            "good": mint, "unscoped": lambda: mint(scope="x"), "garbage": lambda: "garbage",
            None: lambda: None}[token]()
    clear = answers_of(secure, "clear", target, fields, made)
    assert clear[0] == status
    for listener in ("main", "http1", "modern"):
        assert answers_of(secure, listener, target, fields, made) == clear


@PROTOCOLS
@pytest.mark.parametrize("target, token, status, challenge", [
    ("/token/x", None, "401", 'Bearer realm="api"'), ("/token/x", "x.y.z", "401", "invalid_token"),
    ("/orders/1", "unscoped", "403", "insufficient_scope"), ("/orders/1", "good", "200", None)])
def test_challenges_with_curl(secure, protocol, target, token, status, challenge):
    made = {"unscoped": lambda: mint(scope="x"), "good": mint}.get(token, lambda: token)()
    credentials = ["--oauth2-bearer", made] if made else []
    done = get_with_curl(secure, protocol, target, "--include", *credentials)
    head = done.stdout.decode()
    assert head.split("\n")[0].split()[1] == status, done.stdout + done.stderr
    assert challenge is None or challenge in head


def get_with_curl(secure, protocol, target, *more, listener="main"):
    port = secure.port(listener)
    ca = secure.site.folder / "server-ca.pem"
    return curl(protocol, "--cacert", ca, "--resolve", f"api.test:{port}:127.0.0.1", *more,
                f"https://api.test:{port}{target}")


@PROTOCOLS
def test_curl_with_a_client_certificate(secure, protocol):
    leaf, (certificate, key) = secure.site.client("curl")
    done = get_with_curl(secure, protocol, "/public/x", "--cert", certificate, "--key", key,
                         listener="required")
    assert done.stdout == b"ok", done.stderr
    request = secure.upstream.request()
    assert request.get("X-Client-Subject") == "CN=curl"
    assert request.get("X-Client-Thumbprint") == leaf.thumbprint
    assert get_with_curl(secure, protocol, "/public/x", listener="required").returncode != 0


@PROTOCOLS
def test_curl_says_which_protocol_it_spoke(secure, protocol):
    done = get_with_curl(secure, protocol, "/public/x", "--write-out", "%{http_version}")
    assert done.stdout == b"ok" + (b"2" if protocol == "--http2" else b"1.1"), done.stderr


# One connection, many requests.
@VERSIONS
def test_connection_is_kept(secure, versions):
    with secure.open(tls=secure.site.context(versions=versions)) as connection:
        for number in range(50):
            connection.send(request_bytes(target=f"/public/{number}"))
            assert connection.response().status == 200
    assert len(secure.upstream.requests) == 50
    assert len({r.connection for r in secure.upstream.requests}) == 1


@VERSIONS
def test_pipelined_requests_are_answered_in_order(secure, versions):
    secure.upstream.script = lambda request, peer: answer(body=request.target.encode())
    with secure.open(tls=secure.site.context(versions=versions)) as connection:
        connection.send(b"".join(request_bytes(target=f"/public/{n}") for n in range(200)))
        bodies = [connection.response().body.decode() for _ in range(200)]
    assert bodies == [f"/public/{n}" for n in range(200)]


def test_pipelined_request_without_a_token_gets_its_own_401(secure):
    good, bad = request_bytes(target="/token/a", token=mint()), request_bytes(target="/token/b")
    with secure.open() as connection:
        connection.send(good + bad + good + bad)
        assert [connection.response().status for _ in range(4)] == [200, 401, 200, 401]
    assert [r.target for r in secure.upstream.request(2)] == ["/token/a"] * 2


@VERSIONS
@pytest.mark.parametrize("size", [1, 2, 7, 100])
def test_request_cut_into_records(secure, versions, size):
    """A record each for every few bytes, head and body alike, all sent at once."""
    body = random.Random(size).randbytes(3000)
    data = request_bytes("POST", "/public/x", body=body)
    with secure.open(tls=secure.site.context(versions=versions)) as connection:
        for at in range(0, len(data), size):
            connection.sock.tls.write(data[at:at + size])
        connection.sock._flush()
        assert connection.response("POST").status == 200
    assert secure.upstream.request().body == body


def test_records_cut_into_packets(secure):
    """The wire's bytes come one by one; the head is in no packet whole."""
    with secure.open() as connection:
        connection.sock.tls.write(request_bytes(target="/public/x"))
        for byte in connection.sock.outgoing.read():
            connection.sock.sock.sendall(bytes([byte]))
        assert connection.response().status == 200


@pytest.mark.parametrize("count", [500])
def test_empty_records_end_in_an_answer_or_an_end(secure, count):
    """OpenSSL allows a few in a row; the process must not spin on them."""
    with secure.open() as connection:
        connection.send(request_bytes(target="/public/x"))
        assert connection.response().status == 200
        for _ in range(count):
            connection.sock.tls.write(b"")
        connection.sock._flush()
    secure.gateway.assert_serves()


# Large bodies.
@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """64 MiB in a file, and their hash."""
    data = random.Random(64).randbytes(64 * MEBIBYTE)
    path = tmp_path_factory.mktemp("large") / "body"
    path.write_bytes(data)
    return path, data, hashlib.sha256(data).hexdigest()


@PROTOCOLS
@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_large_download(secure, large, tmp_path, protocol, framing):
    _, data, expected = large
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(data)

    def script(request, peer):
        if framing == "length":
            peer.send(head + data)
            return
        peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for at in range(0, len(data), MEBIBYTE):
            peer.send(b"%x\r\n" % MEBIBYTE + data[at:at + MEBIBYTE] + b"\r\n")
        peer.send(b"0\r\n\r\n")

    secure.upstream.script = script
    done = get_with_curl(secure, protocol, "/public/x", "--output", tmp_path / "got")
    assert done.returncode == 0, done.stderr
    assert hashlib.sha256((tmp_path / "got").read_bytes()).hexdigest() == expected


class Digesting(Upstream):
    """Reads bodies as a stream and answers with their hash; `Upstream` would gather them slowly."""

    def _exchange(self, peer):
        request = peer.read_head()
        self._record(request)
        if request.get("Expect"):
            peer.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        digest = hashlib.sha256()
        if "Content-Length" in request.fields:
            self._digest(peer, int(request.get("Content-Length")), digest)
        else:
            while size := int(peer.reader.until(b"\r\n")[:-2].partition(b";")[0], 16):
                self._digest(peer, size, digest)
                peer.reader.take(2)
                peer.reader.taken = b""
            while peer.reader.until(b"\r\n") != b"\r\n":
                pass
        peer.reader.taken = b""
        peer.send(answer(body=digest.hexdigest().encode()))
        return True

    def _digest(self, peer, left, digest):
        buffered = peer.reader.take(min(left, len(peer.reader.buffer)))
        digest.update(buffered)
        left -= len(buffered)
        while left:
            data = peer.sock.recv(min(left, 262144))
            if not data:
                raise Closed()
            digest.update(data)
            left -= len(data)


@pytest.fixture(scope="module")
def digesting(tmp_path_factory):
    made = Secure(tmp_path_factory.mktemp("digesting"), upstream=Digesting())
    yield made
    made.close()


@PROTOCOLS
@pytest.mark.parametrize("framing", [[], ["--header", "Transfer-Encoding: chunked"]], ids=str)
def test_large_upload(digesting, large, protocol, framing):
    path, _, expected = large
    if protocol == "--http2":
        framing = []
    done = get_with_curl(digesting, protocol, "/public/x", "--request", "POST", "--upload-file",
                         path, *framing)
    assert done.stdout.decode() == expected, done.stderr


@VERSIONS
def test_reader_that_stops_holds_the_upstream_back(secure, versions):
    """Nothing is gathered in the gateway for a client that does not read."""
    sent, stop = [0], threading.Event()

    def script(request, peer):
        peer.sock.settimeout(1)
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (1 << 40))
        try:
            while sent[0] < 256 * MEBIBYTE:
                sent[0] += peer.sock.send(bytes(65536))
        except TimeoutError:
            pass
        stop.wait(20)
        return Close(reset=True)

    secure.upstream.script = script
    with secure.open(tls=secure.site.context(versions=versions)) as connection:
        connection.send(request_bytes(target="/public/x"))
        assert connection.head().status == 200
        last = -1
        while sent[0] != last:
            last = sent[0]
            time.sleep(0.3)
        assert sent[0] < 64 * MEBIBYTE
        stop.set()


def test_many_clients_at_once_get_their_own_bytes(secure):
    secure.upstream.script = lambda request, peer: answer(
        body=request.target.encode() * 5000)

    def one(number):
        with secure.open() as connection:
            for turn in range(5):
                target = f"/public/{number}-{turn}"
                connection.send(request_bytes(target=target))
                assert connection.response().body == target.encode() * 5000

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        list(pool.map(one, range(64)))


class Echoing(Upstream):
    """Sends each chunk back as it comes."""

    def _exchange(self, peer):
        self._record(peer.read_head())
        peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while size := int(peer.reader.until(b"\r\n")[:-2].partition(b";")[0], 16):
            data = peer.reader.take(size)
            peer.send(b"%x\r\n%b\r\n" % (size, data))
            peer.reader.take(2)
            peer.reader.taken = b""
        peer.send(b"0\r\n\r\n")
        peer.reader.until(b"\r\n")
        return True


@VERSIONS
def test_both_directions_at_once(tmp_path, versions):
    """An answer that begins before the request has ended, 4 MiB each way."""
    made = Secure(tmp_path, upstream=Echoing())
    data = random.Random(9).randbytes(4 * MEBIBYTE)
    with made.open(tls=made.site.context(versions=versions, protocols=["http/1.1"])) as connection:
        connection.send("POST /public/x HTTP/1.1\r\nHost: api.test\r\n"
                        "Transfer-Encoding: chunked\r\n\r\n")
        assert Interleaved(connection, data).run() == data
    made.close()


class Interleaved:
    """Sends a chunked body and reads the chunked answer by readiness, in one thread."""

    def __init__(self, connection, data):
        self.tls, self.sock = connection.sock, connection.sock.sock
        self.plain = [data[at:at + 65536] for at in range(0, len(data), 65536)]
        self.pending = b""

    def run(self):
        self.sock.setblocking(False)
        received, done = bytearray(), False
        while not done:
            self._offer()
            readable, _, _ = select.select([self.sock], [self.sock] if self.pending else [], [], 10)
            if readable:
                self.tls.incoming.write(self.sock.recv(262144))
            try:
                while data := self.tls.tls.read(262144):
                    received += data
            except ssl.SSLWantReadError:
                pass
            done = received.endswith(b"\r\n0\r\n\r\n")
        self.sock.setblocking(True)
        return unchunked(bytes(received))

    def _offer(self):
        if not self.pending and self.plain is not None:
            part = self.plain.pop(0) if self.plain else None
            self.tls.tls.write(b"%x\r\n%b\r\n" % (len(part), part) if part else b"0\r\n\r\n")
            self.pending = self.tls.outgoing.read()
            if part is None:
                self.plain = None
        if self.pending:
            with contextlib.suppress(BlockingIOError):
                self.pending = self.pending[self.sock.send(self.pending):]


def unchunked(answer_bytes):
    """The body of a whole chunked answer."""
    left, right = socket.socketpair()
    with left, right:
        thread = threading.Thread(target=lambda: (left.sendall(answer_bytes), left.close()))
        thread.start()
        reader = Reader(right)
        reader.head()
        body, _, _ = reader.chunked()
        thread.join()
    return body


# Ends: orderly ones and cuts.
CUT = {
    "half a head": b"GET /public/x HTTP/1.1\r\nHost: api.te",
    "head without its end": b"GET /public/x HTTP/1.1\r\nHost: api.test\r\n",
}


@pytest.mark.parametrize("case", list(CUT))
@pytest.mark.parametrize("end", ["close_notify", "fin", "reset"])
def test_head_that_is_cut_reaches_no_upstream(secure, case, end):
    with secure.open() as connection:
        connection.send(CUT[case])
        finish(connection, end)
    secure.gateway.assert_serves("/public/witness")
    assert [r.target for r in secure.upstream.requests] == ["/public/witness"]


def finish(connection, end):
    if end == "close_notify":
        connection.sock.orderly_close()
    elif end == "fin":
        connection.sock.sock.shutdown(socket.SHUT_WR)
        connection.close()
    else:
        connection.sock.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                        struct.pack("ii", 1, 0))
        connection.close()


@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("end", ["close_notify", "fin", "reset"])
def test_body_that_is_cut_is_never_whole_upstream(secure, framing, end):
    whole = []
    secure.upstream.early = True

    def script(request, peer):
        try:
            peer.read_body(request)
            whole.append(request.body)
        except (Closed, OSError):
            whole.append(None)
            raise
        return answer()

    secure.upstream.script = script
    fields = {"length": "Content-Length: 1000\r\n", "chunked": "Transfer-Encoding: chunked\r\n"}
    start = {"length": b"x" * 500, "chunked": b"1f4\r\n" + b"x" * 500 + b"\r\n"}
    head = f"POST /public/x HTTP/1.1\r\nHost: api.test\r\n{fields[framing]}\r\n".encode()
    with secure.open() as connection:
        connection.send(head + start[framing])
        secure.upstream.wait_for(lambda: secure.upstream.requests)
        finish(connection, end)
    poll(lambda: whole, what="the upstream's end")
    assert whole == [None]


@VERSIONS
def test_half_closed_client_gets_its_answer(secure, versions):
    """close_notify ends one direction only (RFC 8446 §6.1); what was asked is still answered."""
    release = threading.Event()

    def script(request, peer):
        release.wait(5)
        return answer(body=b"late")

    secure.upstream.script = script
    with secure.open(tls=secure.site.context(versions=versions)) as connection:
        connection.send(request_bytes(target="/public/x"))
        connection.half_close()
        release.set()
        response = connection.response()
        assert response.status == 200 and response.body == b"late"


@VERSIONS
def test_end_of_a_connection_is_told_in_tls(secure, versions):
    """Else the client of an answer without length could not tell it from a cut."""
    secure.upstream.script = lambda request, peer: Close(
        b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nuntil the end")
    with secure.open(tls=secure.site.context(versions=versions)) as connection:
        connection.send(b"GET /public/x HTTP/1.0\r\nHost: api.test\r\n\r\n")
        assert connection.response().body == b"until the end"
        assert not connection.reader.was_truncated


@VERSIONS
@pytest.mark.parametrize("version", ["HTTP/1.0", "HTTP/1.1"])
@pytest.mark.parametrize("answered", [
    b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhalf!\r\n"], ids=ascii)
def test_answer_that_is_cut_upstream_is_never_whole(secure, versions, version, answered):
    secure.upstream.script = lambda request, peer: Close(answered)
    with secure.open(tls=secure.site.context(versions=versions)) as connection:
        connection.send(request_bytes(target="/public/x", version=version))
        try:
            connection.response()
        except Closed:
            return
        assert connection.reader.was_truncated, "an orderly end after half an answer"


def test_client_that_goes_away_ends_the_upstreams_answer(secure):
    ended = threading.Event()

    def script(request, peer):
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (1 << 40))
        try:
            while True:
                peer.send(bytes(65536))
        finally:
            ended.set()

    secure.upstream.script = script
    with secure.open() as connection:
        connection.send(request_bytes(target="/public/x"))
        assert connection.head().status == 200
        finish(connection, "reset")
    assert ended.wait(5)


# WebSocket over TLS.
@pytest.fixture(scope="module")
def sockets(tmp_path_factory):
    def echo(connection):
        for message in connection:
            connection.send(message)

    server = serve_websocket(echo, "127.0.0.1", 0, max_size=None)
    threading.Thread(target=server.serve_forever, daemon=True).start()

    class Echo:
        endpoint = f"http://127.0.0.1:{server.socket.getsockname()[1]}"
        close = staticmethod(server.shutdown)

    made = Secure(tmp_path_factory.mktemp("sockets"), upstream=Echo)
    yield made
    made.close()


def dial(secure, path, token=None, **more):
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return dial_websocket(
        f"wss://127.0.0.1:{secure.port()}{path}", ssl=secure.site.context(protocols=["http/1.1"]),
        additional_headers=headers, max_size=None, proxy=None, **more)


def test_websocket_over_tls(sockets):
    with dial(sockets, "/orders/ws", mint()) as connection:
        for message in ["hello", "é漢😀", "", b"\0\1\2", "x" * 200_000, os.urandom(5_000_000)]:
            connection.send(message)
            assert connection.recv(timeout=10) == message


@pytest.mark.parametrize("token, status", [(None, 401), ("x", 401), ("unscoped", 403)])
def test_websocket_over_tls_needs_its_token(sockets, token, status):
    made = mint(scope="x") if token == "unscoped" else token
    with pytest.raises(InvalidStatus) as refused:
        with dial(sockets, "/orders/ws", made):
            pass
    assert refused.value.response.status_code == status


def test_many_websockets_at_once(sockets):
    with contextlib.ExitStack() as stack:
        connections = [stack.enter_context(dial(sockets, "/public/ws")) for _ in range(20)]
        for number, connection in enumerate(connections):
            connection.send(f"{number}" * 1000)
        for number, connection in enumerate(connections):
            assert connection.recv(timeout=5) == f"{number}" * 1000


# Drain.
@pytest.fixture
def own(tmp_path):
    made = Secure(tmp_path, timeouts={"drain": "3s"})
    yield made
    if made.gateway.running:
        made.gateway.stop()
    made.upstream.close()


def in_background(function):
    pool = concurrent.futures.ThreadPoolExecutor(1)
    return pool.submit(function)


def test_drain_finishes_what_runs_and_ends_what_is_idle(own):
    release = threading.Event()

    def script(request, peer):
        release.wait(5)
        return answer(body=b"x" * MEBIBYTE)

    own.upstream.script = script
    idle, busy = own.open(), own.open()
    busy.send(request_bytes(target="/public/x"))
    own.upstream.request()
    stopped = in_background(own.gateway.stop)
    assert idle.reader.rest() == b"" and not idle.reader.was_truncated
    release.set()
    response = busy.response()
    assert response.status == 200 and len(response.body) == MEBIBYTE
    assert busy.reader.rest() == b"" and not busy.reader.was_truncated
    assert stopped.result() == 0


def test_drain_does_not_wait_for_a_handshake_that_hangs(own):
    """Longer than `drain` it never takes."""
    sock = connect(own.address("main"), 8)
    sock.sendall(b"\x16\x03\x01\x02\0\x01")
    start = time.monotonic()
    assert own.gateway.stop() == 0
    assert time.monotonic() - start < 6
    sock.close()


def test_nothing_leaves_a_tls_listener_in_clear_text(secure):
    """What a client receives is records from the first byte to the last."""
    with secure.open() as connection:
        for target in ("/public/x", "/nothing", "/token/x"):
            connection.send(request_bytes(target=target))
            connection.response()
        connection.send(b"broken\r\n\r\n")
        connection.reader.rest()
        assert clear_text(connection.sock.received) == b""


def test_idle_connection_ends_in_order(tmp_path):
    made = Secure(tmp_path, timeouts={"idle": "400ms"})
    for versions in (["1.2"], ["1.3"]):
        with made.open(tls=made.site.context(versions=versions)) as connection:
            connection.send(request_bytes(target="/public/x"))
            assert connection.response().status == 200
            assert connection.reader.rest() == b"" and not connection.reader.was_truncated
    made.close()


def descriptors(secure):
    return len(os.listdir(f"/proc/{secure.gateway.process.pid}/fd"))


def test_connections_of_every_end_leave_nothing_behind(secure):
    """Half handshakes, refused ones, cuts and good ends."""
    secure.gateway.assert_serves()
    before = descriptors(secure)
    for number in range(60):
        sock = connect(secure.address("main"), 8)
        sock.sendall(b"\x16\x03\x01\x02\0\x01"[:number % 7])
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", number % 2, 0))
        sock.close()
        with secure.open() as connection:
            connection.send(request_bytes(target="/public/x"))
            if number % 3:
                connection.response()
            finish(connection, ("close_notify", "fin", "reset")[number % 3])
    poll(lambda: descriptors(secure) <= before + 2, 4, "the descriptors' return")
