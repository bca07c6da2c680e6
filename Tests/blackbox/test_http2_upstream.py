"""HTTP/2 to upstreams: what is sent and answered, multiplexing, limits, GOAWAY, flow control."""

import asyncio
import hashlib
import os
import socket
import threading
import time

import pytest
from harness import tls
from harness.certificates import Authority
from harness.client import Closed, request_bytes
from harness.frames import Code, Setting, data, head, rst
from harness.gateway import Proxy, poll
from harness.h2c import TIMEOUTS, concurrently, shared_h2c, start
from harness.http2 import Client, dial, exchange
from harness.http2_server import Http2Upstream
from harness.standard import small
from harness.tokens import mint
from harness.upstream import Upstream

__all__ = ["start"]
h2c_running, proxy = shared_h2c("h2c")


# What is sent.
def test_request_of_an_http_1_client(proxy):
    response = proxy.get("/public/x?a=b", fields={"X-Mixed-Case": "Value", "Cookie": "a=1; b=2",
                                                  "Connection": "keep-alive, X-Hop", "X-Hop": "1",
                                                  "Keep-Alive": "timeout=5"})
    assert response.status == 200 and response.body == b"ok"
    request = proxy.upstream.request()
    assert request.pseudo == {":method": "GET", ":scheme": "http", ":authority": "api.test",
                              ":path": "/public/x?a=b"}
    assert request.get("x-mixed-case") == "Value" and "x-hop" not in request.fields
    assert "; ".join(request.fields.all("cookie")) == "a=1; b=2"
    assert request.get("via").startswith("1.1 ") and request.get("x-forwarded-host") == "api.test"
    assert request.body == b"" and "content-length" not in request.fields


def test_request_of_an_http_2_client(proxy):
    assert exchange(proxy, fields={"x-one": "1", "te": "trailers"}).status == 200
    request = proxy.upstream.request()
    assert request.authority == "api.test" and request.get("x-one") == "1"
    assert request.get("via").startswith(("2.0 ", "2 "))


def test_authority_is_the_endpoint_where_the_route_says_so(proxy):
    assert proxy.get("/endpoint/x").status == 200
    assert proxy.upstream.request().authority == proxy.upstream.endpoint.removeprefix("h2c://")


def test_token_is_removed_and_claims_arrive(proxy):
    token = mint(sub="h2-user")
    assert proxy.get("/identity/x", token, fields={"X-Sub": "spoofed"}).status == 200
    request = proxy.upstream.request()
    assert request.get("x-sub") == "h2-user" and "authorization" not in request.fields
    assert proxy.get("/identity/x").status == 401 and len(proxy.upstream.requests) == 1


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PROPFIND"])
def test_methods_pass(proxy, method):
    assert proxy.send(method, "/public/x").status == 200
    assert proxy.upstream.request().method == method


@pytest.mark.parametrize("lines", [
    ["Transfer-Encoding: chunked", "TE: trailers"], ["Transfer-Encoding: chunked"]])
def test_chunked_upload_becomes_data(proxy, lines):
    head_lines = "\r\n".join(["POST /public/x HTTP/1.1", "Host: api.test", *lines, "", ""])
    body = b"5\r\nfirst\r\n6\r\nsecond\r\n0\r\nX-Sum: 1\r\n\r\n"
    assert proxy.raw(head_lines.encode() + body, "POST").status == 200
    request = proxy.upstream.request()
    assert request.body == b"firstsecond" and request.ended
    assert "content-length" not in request.fields
    assert request.trailers in ([("x-sum", "1")], [])


def test_request_trailers_pass_between_http_2(proxy):
    assert exchange(proxy, "POST", body=b"x", trailers=[("x-sum", "1")]).status == 200
    assert proxy.upstream.request().trailers == [("x-sum", "1")]


@pytest.mark.parametrize("name", ["authorization", "x-sub", "x-forwarded-user", "remote_user"])
def test_trailers_that_may_not_pass_do_not(proxy, name):
    with dial(proxy) as client:
        stream = client.request("POST", body=b"x", trailers=[(name, "7"), ("x-fine", "1")])
        assert client.outcome(stream) in (200, 400, ("reset", Code.PROTOCOL_ERROR))
    assert all(name not in request.trailers for request in proxy.upstream.requests)


SIZES = [0, 1, 16384, 16385, 65535, 65536, 1_000_000, 5_000_000]


@pytest.mark.parametrize("protocol", ["http/1.1", "h2"])
@pytest.mark.parametrize("size", SIZES)
def test_bodies_both_ways(proxy, size, protocol):
    body = os.urandom(size)
    proxy.upstream.script = lambda request, peer: peer.respond(request, body=bytes(request.body))
    if protocol == "h2":
        response = exchange(proxy, "POST", body=body)
    else:
        response = proxy.send("POST", "/public/x", body=body)
    assert response.status == 200
    assert hashlib.sha256(response.body).digest() == hashlib.sha256(body).digest()
    request = proxy.upstream.request()
    assert protocol == "h2" or request.get("content-length") == str(size)


# What is answered.
def test_response_without_length_is_chunked_for_http_1(proxy):
    proxy.upstream.answers(body=b"x" * 50_000, length=False)
    response = proxy.get("/public/x")
    assert response.body == b"x" * 50_000 and response.get("Transfer-Encoding") == "chunked"


def test_empty_response_that_ends_with_its_head(proxy):
    proxy.upstream.answers(200, b"", length=False)
    response = proxy.get("/public/x")
    assert response.status == 200 and response.body == b""
    assert response.get("Content-Length") == "0" or response.get("Transfer-Encoding") == "chunked"


def test_response_trailers_pass(proxy):
    proxy.upstream.answers(200, b"abc", trailers=[("x-sum", "42")], length=False)
    response = proxy.get("/public/x", fields={"TE": "trailers"})
    assert response.body == b"abc" and [(n.lower(), v) for n, v in response.trailers] == [
        ("x-sum", "42")]
    response = exchange(proxy, fields={"te": "trailers"})
    assert response.body == b"abc" and response.trailers == [("x-sum", "42")]


@pytest.mark.parametrize("protocol", ["http/1.1", "h2"])
def test_interim_responses_pass(proxy, protocol):
    def script(request, peer):
        peer.head(request, 103, {"link": "</a.css>"})
        peer.head(request, 103, {"link": "</b.css>"})
        peer.respond(request)

    proxy.upstream.script = script
    response = exchange(proxy) if protocol == "h2" else proxy.get("/public/x")
    assert response.status == 200 and response.body == b"ok"
    assert [(one.status, one.get("link")) for one in response.interim] == [
        (103, "</a.css>"), (103, "</b.css>")]


@pytest.mark.parametrize("fields", [{"content-length": "1234"}, {}, {"etag": "x"}], ids=str)
@pytest.mark.parametrize("protocol", ["http/1.1", "h2"])
@pytest.mark.parametrize("method, status", [("HEAD", 200), ("GET", 204), ("GET", 304),
                                            ("HEAD", 404)])
def test_responses_without_a_body(proxy, method, status, fields, protocol):
    if status == 204:
        fields = {}
    proxy.upstream.script = lambda request, peer: peer.head(request, status, fields, end=True)
    if protocol == "h2":
        response = exchange(proxy, method)
    else:
        with proxy.connect() as connection:
            connection.send(request_bytes(method, "/public/x") + request_bytes("GET", "/no/where"))
            response = connection.response(method)
            assert connection.response().status == 404, "the next answer starts where it should"
    assert (response.status, response.body) == (status, b"")
    if "content-length" in fields:
        assert response.get("content-length") == "1234"


def test_repeated_fields_and_cookies_pass(proxy):
    proxy.upstream.answers(fields=[("set-cookie", "a=1"), ("set-cookie", "b=2"), ("x", "\xe9")])
    response = proxy.get("/public/x")
    assert response.fields.all("set-cookie") == ["a=1", "b=2"] and response.get("x") == "\xe9"


@pytest.mark.parametrize("protocol", ["http/1.1", "h2"])
def test_response_is_streamed_as_it_comes(proxy, protocol):
    go = [threading.Event() for _ in range(3)]

    def script(request, peer):
        peer.head(request, 200, {"content-type": "text/event-stream"})
        for number, event in enumerate(go):
            assert event.wait(5)
            peer.body(request, f"data: {number}\n\n".encode())
        peer.send(data(request.stream, end=True))

    proxy.upstream.script = script
    if protocol == "h2":
        with dial(proxy) as client:
            stream = client.request()
            for number, event in enumerate(go):
                event.set()
                client.wait(lambda: f"data: {number}".encode() in stream.body)
            client.response(stream)
    else:
        with proxy.connect() as connection:
            connection.send(request_bytes("GET", "/public/x"))
            connection.head()
            for number, event in enumerate(go):
                event.set()
                assert b"data" in connection.reader.until(f"data: {number}\n\n".encode())


def test_early_answer_while_the_body_is_sent(proxy):
    """RST_STREAM NO_ERROR after a whole response: the response counts (§8.1)."""
    proxy.upstream.early = True

    def script(request, peer):
        if request.method == "POST":
            peer.respond(request, 403, b"enough")
            peer.reset(request, Code.NO_ERROR)
        else:
            peer.respond(request)

    proxy.upstream.script = script
    with dial(proxy) as client:
        stream = client.open(head("POST"), end=False)
        client.raw_data(stream, b"x" * 1000)
        response = client.response(stream)
        assert (response.status, response.body) == (403, b"enough")
    with proxy.connect() as connection:
        connection.send(request_bytes("POST", "/public/x", fields={"Content-Length": "100000"})
                        + b"x" * 1000)
        assert connection.response("POST").body == b"enough"


# Few connections.
def test_requests_share_a_connection(start):
    proxy = start()
    for _ in range(50):
        assert proxy.get("/public/x").status == 200
    assert proxy.upstream.connections == 1
    assert {request.connection for request in proxy.upstream.requests} == {1}


@pytest.mark.parametrize("workers, most", [(1, 2), (2, 4)])
def test_many_clients_are_multiplexed_on_few_connections(start, workers, most):
    proxy = start(workers=workers)
    release = threading.Event()
    proxy.upstream.script = lambda request, peer: (release.wait(8), b"ok")[1]
    clients = [proxy.connect() for _ in range(60)]
    for number, client in enumerate(clients):
        client.send(request_bytes("GET", f"/public/{number}"))
    proxy.upstream.request(60)
    assert proxy.upstream.connections <= most
    release.set()
    assert [client.response().status for client in clients] == [200] * 60


def test_streams_of_http_2_clients_are_multiplexed(start):
    proxy = start()
    proxy.upstream.script = lambda request, peer: request.target.encode()
    with dial(proxy) as one, dial(proxy) as two:
        for _ in range(5):
            streams = [(client, client.request(path=f"/public/{n}"), n)
                       for n in range(40) for client in (one, two)]
            for client, stream, number in streams:
                assert client.response(stream).body == f"/public/{number}".encode()
    assert proxy.upstream.connections <= 2


@pytest.mark.parametrize("warm", [True, False])
@pytest.mark.parametrize("limit", [1, 3])
def test_max_concurrent_streams_is_respected(start, limit, warm):
    """The server counts what comes after the acknowledgement, and refuses what comes before."""
    proxy = start(settings={Setting.MAX_CONCURRENT_STREAMS: limit},
                  upstream={"timeouts": {**TIMEOUTS, "connect": "5s"}})
    proxy.upstream.refuses_beyond = limit
    if warm:
        assert proxy.get("/public/warm").status == 200

    def script(request, peer):
        time.sleep(0.02)
        return b"ok"

    proxy.upstream.script = script
    statuses = concurrently([lambda: proxy.get("/public/x").status] * 20)
    assert statuses == [200] * 20


def test_max_concurrent_streams_within_max_connections(start):
    """With one connection of two streams the others wait for a place."""
    proxy = start(settings={Setting.MAX_CONCURRENT_STREAMS: 2},
                  upstream={"maxConnections": 1, "timeouts": {"connect": "5s"}})
    assert proxy.get("/public/warm").status == 200

    def script(request, peer):
        time.sleep(0.05)
        return b"ok"

    proxy.upstream.script = script
    assert concurrently([lambda: proxy.get("/public/x").status] * 10) == [200] * 10
    assert proxy.upstream.connections == 1


def test_max_concurrent_streams_changed_later(start):
    proxy = start()
    assert proxy.get("/public/warm").status == 200
    session = proxy.upstream.sessions[0]
    session.change({Setting.MAX_CONCURRENT_STREAMS: 1})
    poll(lambda: not session.unacknowledged, what="the acknowledgement")
    assert concurrently([lambda: proxy.get("/public/x").status] * 10) == [200] * 10
    session.change({Setting.MAX_CONCURRENT_STREAMS: 0})
    poll(lambda: not session.unacknowledged, what="the acknowledgement")
    result = proxy.get("/public/none")
    assert result.status in (200, 503), result
    session.change({Setting.MAX_CONCURRENT_STREAMS: 100})
    poll(lambda: not session.unacknowledged, what="the acknowledgement")
    assert proxy.get("/public/again").status == 200


def test_max_connections_makes_streams_wait_and_then_503(start):
    proxy = start(settings={Setting.MAX_CONCURRENT_STREAMS: 2},
                  upstream={"maxConnections": 1, "timeouts": {"connect": "500ms"}})
    assert proxy.get("/public/warm").status == 200
    release = threading.Event()
    proxy.upstream.script = lambda request, peer: (release.wait(8), b"ok")[1]
    held = [proxy.connect() for _ in range(2)]
    for connection in held:
        connection.send(request_bytes("GET", "/public/held"))
    proxy.upstream.wait_for(lambda: len(proxy.upstream.heads) == 3)
    response = proxy.get("/public/third")
    assert response.status == 503 and response.get("Retry-After")
    release.set()
    assert [connection.response().status for connection in held] == [200] * 2


# GOAWAY.
def going_away(processed, *, close=False, code=Code.NO_ERROR):
    """On the first connection: GOAWAY that names `processed` as the last stream."""
    def script(request, peer):
        if peer.number == 1 and request.stream > processed:
            peer.go_away(processed, code)
            if close:
                peer.shutdown()
            return None
        return f"connection {peer.number}".encode()
    return script


@pytest.mark.parametrize("close", [False, True])
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "POST", "PATCH"])
def test_unprocessed_request_is_retried_on_a_new_connection(start, method, close):
    """§6.8: streams above the last one were not processed, whatever their method."""
    proxy = start()
    proxy.upstream.script = going_away(1, close=close)
    assert proxy.get("/public/warm").body == b"connection 1"
    response = proxy.send(method, "/public/again")
    assert response.status == 200
    assert method == "HEAD" or response.body == b"connection 2"


def test_goaway_on_a_first_request_is_retried(start):
    proxy = start()
    proxy.upstream.script = going_away(0)
    assert proxy.get("/public/x").body == b"connection 2"


def test_a_body_that_turned_out_empty_is_no_reason_not_to_retry(start):
    proxy = start()
    proxy.upstream.script = going_away(1)
    assert proxy.get("/public/warm").body == b"connection 1"
    with dial(proxy) as client:
        stream = client.open(head("POST"), end=False)
        proxy.upstream.wait_for(lambda: len(proxy.upstream.heads) == 2)
        client.raw_data(stream, b"", end=True)
        assert client.response(stream).body == b"connection 2"


def test_upload_that_a_goaway_left_out_is_not_repeated_by_halves(start):
    """Of a body that is on its way some octets are gone: 503 or 502, and the client may retry."""
    proxy = start()
    proxy.upstream.early = True

    def script(request, peer):
        poll(lambda: request.body)
        peer.go_away(0)

    proxy.upstream.script = script
    with proxy.connect() as connection:
        connection.send(request_bytes("POST", "/public/x", fields={"Content-Length": "100000"})
                        + b"x" * 50_000)
        assert connection.response("POST").status in (502, 503)
    assert not any(request.ended for request in proxy.upstream.heads)


def test_goaway_again_and_again_is_not_retried_for_ever(start):
    proxy = start()

    def script(request, peer):
        peer.go_away(0)

    proxy.upstream.script = script
    response = proxy.get("/public/x")
    assert response.status in (502, 503)
    assert len(proxy.upstream.requests) <= 3


def test_processed_streams_finish_after_goaway(start):
    proxy = start()
    release = threading.Event()

    def script(request, peer):
        release.wait(8)
        return f"connection {peer.number}".encode()

    proxy.upstream.script = script
    held = [proxy.connect() for _ in range(3)]
    for connection in held:
        connection.send(request_bytes("GET", "/public/held"))
    proxy.upstream.request(3)
    session = proxy.upstream.sessions[0]
    session.go_away()
    proxy.upstream.script = lambda request, peer: f"connection {peer.number}".encode()
    time.sleep(0.2)
    assert proxy.get("/public/new").body == b"connection 2"
    release.set()
    assert [connection.response().body for connection in held] == [b"connection 1"] * 3
    poll(lambda: len(proxy.upstream.peers) == 1, what="the end of the first connection")


def test_graceful_shutdown_of_the_upstream_loses_nothing(start):
    """GOAWAY 2^31-1 first, as servers do that wait for requests under way."""
    proxy = start()
    stop = threading.Event()

    def cycle():
        while not stop.wait(0.15):
            for session in list(proxy.upstream.sessions):
                try:
                    session.go_away(0x7FFFFFFF)
                    time.sleep(0.02)
                    session.go_away()
                except OSError:
                    pass

    thread = threading.Thread(target=cycle)
    thread.start()
    statuses, deadline = [], time.monotonic() + 1.5
    while time.monotonic() < deadline:
        statuses.append(proxy.get("/public/x").status)
    stop.set()
    thread.join()
    assert set(statuses) == {200} and proxy.upstream.connections > 2


def test_goaway_with_an_error_while_streams_run(start):
    """Streams that were processed may still end; the others are retried."""
    proxy = start()

    def script(request, peer):
        if peer.number == 1:
            peer.go_away(0, Code.ENHANCE_YOUR_CALM)
            peer.shutdown()
            return None
        return b"ok"

    proxy.upstream.script = script
    assert set(concurrently([lambda: proxy.get("/public/x").status] * 8)) <= {200, 502, 503}
    assert proxy.get("/public/x").status == 200


# REFUSED_STREAM and RST_STREAM.
@pytest.mark.parametrize("method", ["GET", "POST", "PATCH"])
def test_refused_stream_is_retried(start, method):
    """§8.7: it was not processed."""
    proxy = start()

    def script(request, peer):
        if len(proxy.upstream.requests) == 1:
            return peer.reset(request, Code.REFUSED_STREAM)
        return b"ok"

    proxy.upstream.script = script
    assert proxy.send(method, "/public/x").status == 200
    first, second = proxy.upstream.requests
    assert first.raw_head == second.raw_head, "a retry repeats what was allowed"


@pytest.mark.parametrize("retries", [0, 1, 3])
def test_refused_stream_is_retried_at_most_retries_times(start, retries):
    proxy = start(upstream={"retries": retries})
    proxy.upstream.script = lambda request, peer: peer.reset(request, Code.REFUSED_STREAM)
    assert proxy.get("/public/x").status in (502, 503)
    assert len(proxy.upstream.requests) == retries + 1


def test_refused_upload_whose_body_went_is_not_repeated(start):
    """The body's octets are gone; half a body must never look like a whole one."""
    proxy = start()
    proxy.upstream.early = True

    def script(request, peer):
        poll(lambda: request.body)
        peer.reset(request, Code.REFUSED_STREAM)

    proxy.upstream.script = script
    with proxy.connect() as connection:
        connection.send(request_bytes("POST", "/public/x", fields={"Content-Length": "100000"})
                        + b"x" * 50_000)
        response = connection.response("POST")
        assert response.status in (502, 503)
    assert not any(request.ended for request in proxy.upstream.heads)


@pytest.mark.parametrize("code", [Code.CANCEL, Code.INTERNAL_ERROR, Code.PROTOCOL_ERROR,
                                  Code.NO_ERROR, Code.ENHANCE_YOUR_CALM, 0xFF])
@pytest.mark.parametrize("protocol", ["http/1.1", "h2"])
def test_reset_before_the_head_is_502(proxy, code, protocol):
    proxy.upstream.script = lambda request, peer: (
        peer.reset(request, code) if "reset" in request.target else peer.respond(request))
    if protocol == "h2":
        assert exchange(proxy, path="/public/reset").status == 502
    else:
        assert proxy.get("/public/reset").status == 502
    assert len([r for r in proxy.upstream.requests if "reset" in r.target]) == 1
    assert proxy.get("/public/x").status == 200


@pytest.mark.parametrize("fields", [{}, {"content-length": "100"}], ids=str)
@pytest.mark.parametrize("code", [Code.CANCEL, Code.NO_ERROR, Code.REFUSED_STREAM])
def test_reset_after_the_head_is_never_a_whole_response(proxy, fields, code):
    def script(request, peer):
        peer.head(request, 200, fields)
        peer.body(request, b"half")
        time.sleep(0.05)
        peer.reset(request, code)

    proxy.upstream.script = script
    with proxy.connect() as connection:
        connection.send(request_bytes("GET", "/public/x"))
        with pytest.raises(Closed):
            connection.response()
    with dial(proxy) as client:
        stream = client.request()
        result = client.outcome(stream)
        assert result[0] == "reset" and result[1] != Code.NO_ERROR and not stream.ended
        proxy.upstream.answers()
        assert client.get().status == 200


@pytest.mark.parametrize("protocol", ["http/1.1", "h2"])
def test_client_that_leaves_resets_its_stream_alone(proxy, protocol):
    started = threading.Event()

    def script(request, peer):
        if "left" not in request.target:
            return b"ok"
        peer.head(request, 200)
        peer.body(request, b"some")
        started.set()

    proxy.upstream.script = script
    if protocol == "h2":
        with dial(proxy) as client:
            stream = client.request(path="/public/left")
            client.wait(lambda: stream.body)
            client.send(rst(stream.id))
            assert client.get().status == 200
    else:
        with proxy.connect() as connection:
            connection.send(request_bytes("GET", "/public/left"))
            connection.head()
    assert started.wait(5)
    left = next(r for r in proxy.upstream.requests if "left" in r.target)
    proxy.upstream.wait_for(lambda: left.reset is not None)
    assert left.reset in (Code.CANCEL, Code.NO_ERROR)
    connection = left.connection
    assert proxy.get("/public/x").status == 200
    assert proxy.upstream.requests[-1].connection == connection


# Flow control.
@pytest.mark.parametrize("window", [0, 1, 100, 65535, 1 << 20])
def test_upload_keeps_to_the_upstreams_windows(start, window):
    """The server counts and calls more a breach."""
    proxy = start(settings={Setting.INITIAL_WINDOW_SIZE: window})
    proxy.upstream.credit = False
    release = threading.Event()

    def script(request, peer):
        if request.method == "GET":
            return b"ok"
        time.sleep(0.3)
        held = len(request.body)
        assert held <= window, held
        release.set()
        proxy.upstream.credit = None
        peer.give(request, 1 << 24)
        peer.give(None, 1 << 24)
        poll(lambda: request.ended, 5)
        peer.respond(request, body=str(len(request.body)).encode())

    assert proxy.get("/public/warm").status == 200
    proxy.upstream.early, proxy.upstream.script = True, script
    response = proxy.send("POST", "/public/x", body=bytes(300_000))
    assert release.is_set() and response.body == b"300000"


def test_window_changed_by_settings_while_uploading(start):
    proxy = start()
    proxy.upstream.early, proxy.upstream.credit = True, None

    def script(request, peer):
        if request.method == "GET":
            return b"ok"
        poll(lambda: len(request.body) == 65535)
        peer.give(None, 1 << 24)
        peer.change({Setting.INITIAL_WINDOW_SIZE: 100_000})
        poll(lambda: len(request.body) == 100_000)
        peer.change({Setting.INITIAL_WINDOW_SIZE: 10})
        peer.give(request, 99_990 + 7)
        poll(lambda: len(request.body) == 100_007)
        time.sleep(0.1)
        assert len(request.body) == 100_007
        peer.give(request, 1 << 24)
        poll(lambda: request.ended)
        peer.respond(request, body=b"all")

    proxy.upstream.script = script
    assert proxy.get("/public/warm").status == 200
    assert proxy.send("POST", "/public/x", body=bytes(200_000)).body == b"all"


def test_upload_to_a_slow_upstream_is_bounded(start):
    proxy = start()
    proxy.upstream.early, proxy.upstream.credit = True, False
    proxy.upstream.script = lambda request, peer: (
        b"ok" if request.method == "GET" else None)
    assert proxy.get("/public/warm").status == 200
    with dial(proxy) as client:
        client.await_settings()
        stream = client.open(head("POST"), end=False)
        assert client.fill(stream) < 4 << 20
        client.send(rst(stream.id))
        assert client.get().status == 200


def test_slow_client_does_not_hold_others_on_the_same_connection(start):
    body = os.urandom(8_000_000)
    proxy = start()
    proxy.upstream.script = lambda request, peer: (
        peer.respond(request, body=body) if "large" in request.target else b"ok")
    assert proxy.get("/public/warm").status == 200
    slow = [proxy.connect() for _ in range(3)]
    for connection in slow:
        connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.send(request_bytes("GET", "/public/large"))
    proxy.upstream.wait_for(lambda: len(proxy.upstream.requests) == 4)
    with dial(proxy) as client:
        for _ in range(30):
            assert proxy.get("/public/x").status == 200
            assert client.get().status == 200
        assert len(client.response(client.request(path="/public/large"), 20).body) == len(body)
    assert proxy.upstream.connections <= 2
    for connection in slow:
        connection.close()


def test_large_download_to_many_clients(proxy):
    body = os.urandom(3_000_000)
    proxy.upstream.script = lambda request, peer: peer.respond(request, body=body)
    bodies = concurrently([lambda: proxy.get("/public/x").body == body] * 6)
    assert bodies == [True] * 6


# By ALPN over https.
@pytest.fixture
def secure(launch, folder):
    authority = Authority()
    leaf = authority.issue("api.internal", "127.0.0.1")
    made = []

    def make(protocols):
        context = tls.server_context(leaf, folder, protocols=protocols)
        server = Http2Upstream(scheme="https", context=context)
        made.append(server)
        config = small(server.endpoint, upstream={
            "timeouts": TIMEOUTS, "tls": {"ca": authority.trust(folder)}})
        return Proxy(launch(config), server)

    yield make
    for server in made:
        server.close()


@pytest.mark.parametrize("protocols", [("h2",), ("h2", "http/1.1"), ("http/1.1", "h2")])
def test_h2_by_alpn(secure, protocols):
    proxy = secure(protocols if protocols[0] == "h2" else ("h2",))
    body = os.urandom(400_000)
    proxy.upstream.script = lambda request, peer: peer.respond(request, body=bytes(request.body))
    assert proxy.send("POST", "/public/x", body=body).body == body
    assert exchange(proxy, "POST", body=body).body == body
    assert proxy.upstream.requests[0].pseudo[":scheme"] == "https"
    statuses = concurrently([lambda: proxy.get("/public/x").status] * 20)
    assert statuses == [200] * 20 and proxy.upstream.connections <= 2


# A well-behaved server that is not ours.
@pytest.fixture(scope="module")
def hypercorn():
    from hypercorn.asyncio import serve
    from hypercorn.config import Config

    async def application(scope, receive, send):
        if scope["type"] != "http":
            return
        received = b""
        while True:
            message = await receive()
            received += message.get("body", b"")
            if not message.get("more_body"):
                break
        fields = [(b"x-version", scope["http_version"].encode()),
                  (b"x-path", scope["path"].encode())]
        await send({"type": "http.response.start", "status": 200, "headers": fields})
        for at in range(0, len(received), 10_000):
            await send({"type": "http.response.body", "body": received[at:at + 10_000],
                        "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    listener = socket.create_server(("127.0.0.1", 0))
    config = Config()
    config.bind = [f"fd://{listener.fileno()}"]
    config.errorlog = None
    loop, stop = asyncio.new_event_loop(), asyncio.Event()
    task = loop.create_task(serve(application, config, shutdown_trigger=stop.wait))
    thread = threading.Thread(target=lambda: loop.run_until_complete(task), daemon=True)
    thread.start()
    yield f"h2c://127.0.0.1:{listener.getsockname()[1]}"
    loop.call_soon_threadsafe(stop.set)
    thread.join(10)


def test_hypercorn_as_upstream(launch, hypercorn):
    gateway = launch(small(hypercorn, upstream={"timeouts": {"connect": "2s"}}))
    body = os.urandom(500_000)
    response = gateway.send("POST", "/public/x", body=body)
    assert response.status == 200 and response.get("x-version") == "2"
    assert response.body == body
    statuses = concurrently([lambda: gateway.get("/public/y").status] * 30)
    assert statuses == [200] * 30
    with Client(gateway.address) as client:
        streams = [client.request("POST", f"/public/{n}", body=body[:50_000 + n])
                   for n in range(10)]
        for number, stream in enumerate(streams):
            response = client.response(stream, 20)
            assert response.body == body[:50_000 + number]
            assert response.get("x-path") == f"/public/{number}"


def test_http_1_upstreams_still_speak_http_1(launch):
    plain = Upstream()
    gateway = launch(small(plain.endpoint))
    with Client(gateway.address) as client:
        assert client.get().status == 200
    assert plain.request().version == "HTTP/1.1"
    plain.close()
