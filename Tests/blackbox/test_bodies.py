"""Bodies in both directions: every framing, interim responses, HTTP/1.0, half-closed peers."""

import hashlib
import random
import socket
import threading

import pytest
from harness.client import Closed, request_bytes
from harness.gateway import poll
from harness.tokens import mint
from harness.upstream import OK, Close, answer

SIZES = [0, 1, 2, 1000, 16_383, 16_384, 16_385, 65_535, 65_536, 65_537, 300_000, 3_000_000]


def content(size):
    return random.Random(size).randbytes(size)


def chunked(data, size):
    pieces = [data[at:at + size] for at in range(0, len(data), size)]
    return b"".join(b"%x\r\n" % len(piece) + piece + b"\r\n" for piece in pieces) + b"0\r\n\r\n"


CHUNKED_POST = b"POST /public/x HTTP/1.1\r\nHost: api.test\r\nTransfer-Encoding: chunked\r\n"


@pytest.mark.parametrize("size", SIZES)
def test_content_length_upload(proxy, size):
    body = content(size)
    assert proxy.send("POST", "/token/x", token=mint(), body=body).status == 200
    request = proxy.upstream.request()
    assert request.body == body and request.get("Content-Length") == str(size)


@pytest.mark.parametrize("piece", [1, 7, 1000, 100_000])
@pytest.mark.parametrize("size", [0, 10, 5_000, 200_000])
def test_chunked_upload(proxy, size, piece):
    if size > 10_000 and piece < 1000:
        size = 3000
    body = content(size)
    assert proxy.raw(CHUNKED_POST + b"\r\n" + chunked(body, piece)).status == 200
    request = proxy.upstream.request()
    assert request.body == body and request.get("Transfer-Encoding") == "chunked"
    assert "Content-Length" not in request.fields


@pytest.mark.parametrize("size", SIZES)
def test_content_length_download(proxy, size):
    body = content(size)
    proxy.upstream.answers(answer(body=body))
    response = proxy.get("/public/x")
    assert response.body == body and response.get("Content-Length") == str(size)


@pytest.mark.parametrize("size, piece", [(0, 1), (10, 3), (5_000, 1), (200_000, 4096),
                                         (3_000_000, 70_000)])
def test_chunked_download(proxy, size, piece):
    body = content(size)
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    proxy.upstream.answers(head + chunked(body, piece))
    with proxy.connect() as connection:
        for _ in range(2):
            connection.send(request_bytes("GET", "/public/x"))
            assert connection.response().body == body


@pytest.mark.parametrize("size", [0, 10, 200_000, 3_000_000])
def test_download_until_close(proxy, size):
    """The client sees a framing that tells a whole body from a cut one: chunked."""
    body = content(size)
    proxy.upstream.answers(Close(b"HTTP/1.1 200 OK\r\nContent-Type: x/y\r\n\r\n" + body))
    response = proxy.get("/public/x")
    assert response.status == 200 and response.body == body


def test_until_close_body_for_an_http_1_0_client(proxy):
    proxy.upstream.answers(Close(b"HTTP/1.1 200 OK\r\n\r\nall of it"))
    with proxy.connect() as connection:
        connection.send(b"GET /public/x HTTP/1.0\r\nHost: api.test\r\n\r\n")
        response = connection.response()
        assert response.body == b"all of it" and "Transfer-Encoding" not in response.fields
        assert connection.is_closed()


def test_chunked_body_for_an_http_1_0_client_is_unframed(proxy):
    """RFC 9112 §6.1: chunked must not go to an HTTP/1.0 recipient."""
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    proxy.upstream.answers(head + chunked(b"x" * 5000, 999))
    with proxy.connect() as connection:
        connection.send(b"GET /public/x HTTP/1.0\r\nHost: api.test\r\n\r\n")
        response = connection.response()
        assert response.body == b"x" * 5000 and "Transfer-Encoding" not in response.fields
        assert connection.is_closed()


@pytest.mark.parametrize("connection_field, stays",
                         [(None, False), ("keep-alive", True), ("close", False)])
def test_http_1_0_client_keeps_its_connection_only_when_it_asks(proxy, connection_field, stays):
    line = f"Connection: {connection_field}\r\n" if connection_field else ""
    data = f"GET /public/x HTTP/1.0\r\nHost: api.test\r\n{line}\r\n".encode()
    with proxy.connect() as connection:
        connection.send(data)
        response = connection.response()
        assert response.status == 200
        if stays and response.get("Connection", "").lower() == "keep-alive":
            connection.send(data)
            assert connection.response().status == 200
        else:
            assert connection.is_closed()


def test_http_1_0_without_host(proxy):
    """Host is required of HTTP/1.1 only; without one the routes without host fit."""
    assert proxy.raw(b"GET /public/x HTTP/1.0\r\n\r\n").status == 200
    assert proxy.raw(b"GET /token/x HTTP/1.0\r\n\r\n").status == 401


def test_upstream_speaking_http_1_0(proxy):
    proxy.upstream.answers(Close(b"HTTP/1.0 200 OK\r\n\r\nold"))
    response = proxy.get("/public/x")
    assert (response.status, response.body, response.version) == (200, b"old", "HTTP/1.1")
    proxy.upstream.answers(Close(b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nold"))
    for _ in range(3):
        assert proxy.get("/public/x").body == b"old"


@pytest.mark.parametrize("connection_field", ["close", "Close", "keep-alive, close"])
def test_connection_close_is_honoured(proxy, connection_field):
    with proxy.connect() as connection:
        connection.send(request_bytes("GET", "/public/x", fields={"Connection": connection_field}))
        assert connection.response().status == 200
        assert connection.is_closed()


def test_keep_alive_serves_many(proxy):
    with proxy.connect() as connection:
        for number in range(100):
            connection.send(request_bytes("POST", "/public/x", body=b"x" * number))
            assert connection.response().status == 200


# No body.
@pytest.mark.parametrize("head", [b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n", b""])
def test_head_response_has_no_body(proxy, head):
    proxy.upstream.answers(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n")
    with proxy.connect() as connection:
        connection.send(request_bytes("HEAD", "/public/x"))
        response = connection.response("HEAD")
        assert response.status == 200
        if b"Length" in head:
            assert response.get("Content-Length") == "5"
        proxy.upstream.answers(OK)
        connection.send(request_bytes("GET", "/public/y"))
        assert connection.response().body == b"ok"


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
@pytest.mark.parametrize("head", [b"", b"ETag: \"x\"\r\n", b"Content-Length: 5\r\n"])
def test_status_without_a_body(proxy, status, head):
    if status.startswith("204") and b"Length" in head:
        pytest.skip("a 204 with Content-Length is the upstream's fault; its reading is open")
    proxy.upstream.answers(f"HTTP/1.1 {status}\r\n".encode() + head + b"\r\n")
    with proxy.connect() as connection:
        for _ in range(2):
            connection.send(request_bytes("GET", "/public/x"))
            assert connection.response().status == int(status[:3])
        proxy.upstream.answers(OK)
        connection.send(request_bytes("GET", "/public/y"))
        assert connection.response().body == b"ok"


# Interim responses.
@pytest.mark.parametrize("interim", ["103 Early Hints", "102 Processing", "199 Whatever",
                                     "103 Early Hints*3"])
def test_interim_responses_pass(proxy, interim):
    """RFC 9110 §15.2: a proxy forwards 1xx unless it asked for it itself."""
    line, _, times = interim.partition("*")
    count = int(times or 1)
    proxy.upstream.answers(f"HTTP/1.1 {line}\r\nLink: </a>\r\n\r\n".encode() * count + OK)
    response = proxy.get("/public/x")
    assert response.status == 200 and response.body == b"ok"
    assert [part.status for part in response.interim] == [int(line[:3])] * count


def test_interim_response_is_not_sent_to_http_1_0(proxy):
    proxy.upstream.answers(b"HTTP/1.1 103 Early Hints\r\n\r\n" + OK)
    response = proxy.raw(b"GET /public/x HTTP/1.0\r\nHost: api.test\r\n\r\n")
    assert response.status == 200 and response.interim == []


def test_a_flood_of_interim_responses_is_streamed_or_cut(proxy):
    def script(request, peer):
        peer.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 2000)
        return Close()

    proxy.upstream.script = script
    with proxy.connect() as connection:
        connection.send(request_bytes("GET", "/public/x"))
        try:
            assert connection.response().status == 502
        except Closed:
            pass


# Expect: 100-continue.
def expecting(size, target="/public/x", token=None):
    lines = f"Authorization: Bearer {token}\r\n" if token else ""
    return (f"POST {target} HTTP/1.1\r\nHost: api.test\r\n{lines}Content-Length: {size}\r\n"
            "Expect: 100-continue\r\n\r\n").encode()


def test_100_continue_comes_and_then_the_body_is_read(proxy):
    """Either the upstream's 100 is passed on or ours is sent; the client must get one."""
    def script(request, peer):
        if request.get("Expect", "").lower() == "100-continue":
            peer.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        peer.read_body(request)
        return OK

    proxy.upstream.early = True
    proxy.upstream.script = script
    with proxy.connect() as connection:
        connection.send(expecting(5))
        assert connection.head().status == 100
        connection.send(b"hello")
        response = connection.response()
        assert response.status == 200 and response.interim == []
    assert proxy.upstream.request().body == b"hello"


def test_100_continue_is_never_sent_for_a_refused_request(proxy):
    with proxy.connect() as connection:
        connection.send(expecting(5, "/token/x"))
        assert connection.head().status == 401
    proxy.nothing_forwarded()


def test_final_answer_instead_of_100(proxy):
    """An upstream that answers before the body spares it; the connection must not get confused."""
    proxy.upstream.early = True
    proxy.upstream.script = lambda request, peer: Close(answer("413 Too Large", b"no"))
    with proxy.connect() as connection:
        connection.send(expecting(1_000_000))
        response = connection.response()
        if response.interim:
            assert [part.status for part in response.interim] == [100]
        assert response.status == 413


def test_body_sent_without_waiting_for_100(proxy):
    def script(request, peer):
        peer.read_body(request)
        return OK

    proxy.upstream.early = True
    proxy.upstream.script = script
    with proxy.connect() as connection:
        connection.send(expecting(5) + b"hello")
        assert connection.response().status == 200
    assert proxy.upstream.request().body == b"hello"


def test_unknown_expectation_is_417(proxy):
    response = proxy.raw(request_bytes("POST", "/public/x", fields={"Expect": "200-ok"}, body=b"x"))
    assert response.status == 417
    proxy.nothing_forwarded()


def test_expect_without_a_body_gets_just_an_answer(proxy):
    response = proxy.get("/public/x", fields={"Expect": "100-continue"})
    assert response.status == 200


# Trailers.
def test_request_trailers_pass(proxy):
    data = CHUNKED_POST + b"Trailer: X-Sum\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: abc\r\nX-Two: 2\r\n\r\n"
    assert proxy.raw(data).status == 200
    request = proxy.upstream.request()
    assert request.body == b"hello"
    assert request.trailers.get("X-Sum") == "abc" and request.trailers.get("X-Two") == "2"


def test_response_trailers_pass(proxy):
    proxy.upstream.answers(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n"
                           b"\r\n"
                           b"5;x=y\r\nhello\r\n0\r\nX-Sum: abc\r\n\r\n")
    response = proxy.get("/public/x", fields={"TE": "trailers", "Connection": "TE"})
    assert response.body == b"hello" and response.trailers.get("X-Sum") == "abc"


# Streaming.
def test_response_is_streamed_as_it_comes(proxy):
    go = threading.Event()

    def script(request, peer):
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: "
                  b"chunked\r\n\r\n")
        peer.send(b"5\r\nfirst\r\n")
        go.wait(10)
        peer.send(b"6\r\nsecond\r\n0\r\n\r\n")

    proxy.upstream.script = script
    with proxy.connect() as connection:
        connection.send(request_bytes("GET", "/public/x"))
        assert connection.head().status == 200
        assert b"first" in connection.reader.until(b"first")
        go.set()
        assert b"second" in connection.reader.until(b"second")


def test_request_is_streamed_as_it_comes(proxy):
    seen = threading.Event()

    def script(request, peer):
        peer.reader.take(5)
        seen.set()
        peer.reader.take(5)
        return OK

    proxy.upstream.early = True
    proxy.upstream.script = script
    with proxy.connect() as connection:
        connection.send(b"POST /public/x HTTP/1.1\r\nHost: api.test\r\nContent-Length: 10\r\n\r\n"
                        b"first")
        assert seen.wait(5), "the first half waited for the second"
        connection.send(b"other")
        assert connection.response().status == 200


def test_early_response_while_the_body_is_still_sent(proxy):
    """The answer comes through at once; afterwards the connection is drained or closed."""
    proxy.upstream.early = True
    proxy.upstream.script = lambda request, peer: Close(answer("403 Forbidden", b"stop"))
    with proxy.connect() as connection:
        connection.send(b"POST /public/x HTTP/1.1\r\nHost: api.test\r\nContent-Length: 100000\r\n"
                        b"\r\n" + b"x" * 1000)
        response = connection.response()
        assert (response.status, response.body) == (403, b"stop")


def test_early_response_then_the_rest_then_another_request(proxy):
    def script(request, peer):
        peer.send(answer("403 Forbidden", b"stop"))
        peer.read_body(request)

    proxy.upstream.early = True
    proxy.upstream.script = script
    with proxy.connect() as connection:
        connection.send(request_bytes("POST", "/public/x", fields={"Content-Length": "2000"}))
        connection.send(b"x" * 1000)
        assert connection.response().status == 403
        connection.send(b"y" * 1000)
        connection.send(request_bytes("GET", "/public/next"))
        try:
            assert connection.response().status in (200, 403)
        except Closed as closed:
            assert closed.received == b""


@pytest.mark.parametrize("size", [0, 200_000])
def test_half_closed_client_gets_its_answer(proxy, size):
    body = content(size)
    with proxy.connect() as connection:
        connection.send(request_bytes("POST", "/public/x", body=body))
        connection.half_close()
        assert connection.response().status == 200
        assert connection.is_closed()
    assert proxy.upstream.request().body == body


def test_half_closed_client_gets_pipelined_answers(proxy):
    """Many times, since the end of sending may be seen at any point of the work."""
    for _ in range(300):
        with proxy.connect() as connection:
            connection.send(request_bytes("GET", "/public/x") * 10)
            connection.half_close()
            assert [connection.response().status for _ in range(10)] == [200] * 10


def test_half_closed_client_gets_a_slow_answer(proxy):
    release = threading.Event()

    def script(request, peer):
        release.wait(5)
        return OK

    proxy.upstream.script = script
    with proxy.connect() as connection:
        connection.send(request_bytes("GET", "/public/x"))
        connection.half_close()
        proxy.upstream.request()
        release.set()
        assert connection.response().status == 200


@pytest.mark.parametrize("data", [
    b"GET", b"GET /public/x HTTP/1.1\r\nHost: api",
    request_bytes("POST", "/public/x", body=b"12345")[:-2],
    CHUNKED_POST + b"\r\n5\r\nhel", CHUNKED_POST + b"\r\n5\r\nhello\r\n", CHUNKED_POST + b"\r\n"])
@pytest.mark.parametrize("reset", [False, True], ids=["fin", "rst"])
def test_client_that_leaves_mid_request_never_completes_it(proxy, data, reset):
    with proxy.connect() as connection:
        connection.send(data)
        proxy.gateway.assert_serves()
        connection.reset() if reset else connection.half_close()
        if not reset:
            try:
                assert connection.response().status in (400, 408)
            except Closed:
                pass
    proxy.gateway.assert_serves()
    assert all(r.target == "/public/alive" or not r.raw for r in proxy.upstream.requests)


def test_client_that_leaves_ends_the_upstream_request(proxy):
    """Nobody works on for a client that is gone."""
    left = threading.Event()

    def script(request, peer):
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
        block = bytes(65536)
        try:
            while True:
                peer.send(block)
        except OSError:
            left.set()
            raise

    proxy.upstream.script = script
    connection = proxy.connect()
    connection.send(request_bytes("GET", "/public/x"))
    assert connection.head().status == 200
    connection.reset()
    assert left.wait(10), "the upstream was still read from"


@pytest.mark.parametrize("reset", [False, True], ids=["fin", "rst"])
def test_client_that_stops_reading_and_leaves_ends_the_upstream_request(proxy, reset):
    """The proxy is not reading from the upstream then, since its client took nothing more; it must
    still notice that the client is gone."""
    held, left = threading.Event(), threading.Event()

    def script(request, peer):
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n")
        peer.sock.settimeout(0.5)
        try:
            while True:
                peer.sock.send(bytes(65536))
        except TimeoutError:
            held.set()
        peer.sock.settimeout(20)
        try:
            while True:
                peer.send(bytes(65536))
        except (BrokenPipeError, ConnectionResetError):
            left.set()
            raise

    proxy.upstream.script = script
    connection = proxy.connect()
    connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.send(request_bytes("GET", "/public/x"))
    assert held.wait(10)
    connection.reset() if reset else connection.close()
    assert left.wait(8), "the upstream connection is still held"


def test_upload_and_download_run_at_once(proxy):
    """Neither direction waits for the other to end: an echo of 4 MiB would else stall."""
    total = 4 * 1024 * 1024

    def script(request, peer):
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % total)
        passed = 0
        while passed < total:
            if not peer.reader.buffer:
                peer.reader.fill()
            data = peer.reader.take(len(peer.reader.buffer))
            peer.send(data)
            passed += len(data)

    proxy.upstream.early = True
    proxy.upstream.script = script
    body = content(total)
    with proxy.connect(timeout=30) as connection:
        head = request_bytes("POST", "/public/x", fields={"Content-Length": str(total)})
        sender = threading.Thread(target=connection.send, args=(head + body,), daemon=True)
        sender.start()
        response = connection.response()
        sender.join(10)
    assert hashlib.sha256(response.body).digest() == hashlib.sha256(body).digest()


def anonymous_kib(pid):
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("RssAnon"))


def test_memory_stays_flat_under_a_large_upload_and_a_slow_reader(proxy):
    """64 MiB each way; scripts/memory has the long form. Six MiB cover buffers and allocator."""
    size = 64 * 1024 * 1024
    block = bytes(1024 * 1024)
    assert proxy.get("/public/x").status == 200
    pid = proxy.gateway.process.pid
    before = anonymous_kib(pid)
    peak = [before]

    def upload_script(request, peer):
        left = size
        while left > 0:
            left -= len(peer.sock.recv(262_144)) if not peer.reader.buffer else len(
                peer.reader.take(len(peer.reader.buffer)))
            peak[0] = max(peak[0], anonymous_kib(pid)) if left % 97 == 0 else peak[0]
        return OK

    proxy.upstream.early = True
    proxy.upstream.script = upload_script
    with proxy.connect(timeout=60) as connection:
        connection.send(f"POST /public/x HTTP/1.1\r\nHost: api.test\r\nContent-Length: {size}\r\n"
                        f"\r\n")
        for _ in range(64):
            connection.send(block)
            peak[0] = max(peak[0], anonymous_kib(pid))
        assert connection.response().status == 200

    def download_script(request, peer):
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        for _ in range(64):
            peer.send(block)

    proxy.upstream.script = download_script
    with proxy.connect(timeout=60) as connection:
        connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
        connection.send(request_bytes("GET", "/public/x"))
        connection.head()
        received = len(connection.reader.buffer)
        while received < size:
            received += len(connection.sock.recv(65536 if received > 2_000_000 else 4096))
            if received % 13 == 0:
                peak[0] = max(peak[0], anonymous_kib(pid))
    assert peak[0] - before < 6 * 1024, f"grew by {peak[0] - before} KiB"


def test_a_reader_that_stops_holds_the_upstream_back(proxy):
    """Backpressure reaches the upstream: it cannot send a gigabyte to a client that reads
    none."""
    sent = [0]

    def script(request, peer):
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n")
        peer.sock.settimeout(1)
        try:
            while sent[0] < 1 << 30:
                sent[0] += peer.sock.send(bytes(65536))
        except TimeoutError:
            sent.append("held")
        return Close()

    proxy.upstream.script = script
    with proxy.connect() as connection:
        connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.send(request_bytes("GET", "/public/x"))
        poll(lambda: len(sent) > 1, 20, "the upstream held back")
    assert sent[0] < 64 * 1024 * 1024
