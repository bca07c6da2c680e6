"""HTTP/2 upstreams that die, fall silent or break the protocol: 502, never half an answer."""

import time

import pytest
from harness.client import Closed, request_bytes
from harness.frames import (
    ACK, END_HEADERS, Code, Setting, Type, data, frame, goaway, head, headers, literal, ping,
    settings, window_update)
from harness.gateway import poll
from harness.h2c import TIMEOUTS, shared_h2c, start
from harness.http2 import dial, exchange
from harness.http2_server import Http2Upstream
from harness.standard import small
from harness.upstream import answer

__all__ = ["start"]
bad_peers_running, proxy = shared_h2c("bad_peers")


# Connections that die.
@pytest.mark.parametrize("times", [1, 20])
def test_connection_closed_while_idle_is_replaced_unseen(start, times):
    proxy = start()
    for _ in range(times):
        assert proxy.get("/public/x").status == 200
        proxy.upstream.drop_connections()
        assert proxy.get("/public/x").status == 200


@pytest.mark.parametrize("method, statuses", [
    ("GET", (200, 502)), ("POST", (502,)), ("PATCH", (502,))])
def test_connection_that_dies_with_streams(start, method, statuses):
    """Without GOAWAY nobody knows what was processed: POST is not repeated."""
    proxy = start()

    def script(request, peer):
        if "dies" in request.target and peer.number == 1:
            peer.shutdown()
            return None
        return b"ok"

    proxy.upstream.script = script
    assert proxy.get("/public/warm").status == 200
    assert proxy.send(method, "/public/dies").status in statuses
    seen = [r for r in proxy.upstream.requests if "dies" in r.target]
    assert len(seen) <= (2 if method == "GET" else 1)
    assert proxy.get("/public/x").status == 200


def test_connection_that_dies_with_many_streams_fails_each_of_them(start):
    proxy = start(upstream={"retries": 0})
    proxy.upstream.script = lambda request, peer: None
    with dial(proxy) as client:
        streams = [client.request(path=f"/public/{n}") for n in range(20)]
        proxy.upstream.wait_for(lambda: len(proxy.upstream.requests) == 20)
        proxy.upstream.script = lambda request, peer: b"ok"
        proxy.upstream.sessions[0].shutdown()
        assert {client.outcome(one) for one in streams} <= {502, 200}
        assert client.get().status == 200


def test_idle_connection_is_closed(start):
    proxy = start(upstream={"timeouts": {**TIMEOUTS, "idle": "300ms"}})
    assert proxy.get("/public/x").status == 200
    poll(lambda: not proxy.upstream.peers, 5, "the idle connection's end")
    assert proxy.get("/public/x").status == 200


def test_silent_connection_is_found_dead_by_ping(start):
    """A peer that vanished without FIN: it takes octets and says nothing, not even to PING. That
    shows long before a response's own time is over."""
    proxy = start(upstream={"retries": 0, "timeouts": {"connect": "1s", "response": "60s"}})
    assert proxy.get("/public/warm").status == 200
    proxy.upstream.answers_pings = False
    proxy.upstream.script = lambda request, peer: None if peer.number == 1 else b"new"
    with proxy.connect(timeout=40) as connection:
        connection.send(request_bytes("GET", "/public/lost"))
        assert connection.response().status in (502, 504)
    assert any(one.kind == Type.PING for one in proxy.upstream.sessions[0].seen)
    assert proxy.get("/public/later").body == b"new"


def test_an_overdue_response_asks_whether_the_connection_lives(start):
    proxy = start(upstream={"retries": 0, "timeouts": {"connect": "1s", "response": "700ms"}})
    assert proxy.get("/public/warm").status == 200
    proxy.upstream.answers_pings = False
    proxy.upstream.script = lambda request, peer: None if peer.number == 1 else b"new"
    assert proxy.get("/public/lost").status == 504
    session = proxy.upstream.sessions[0]
    poll(lambda: any(one.kind == Type.PING for one in session.seen), 2, "a PING")
    poll(lambda: proxy.get("/public/later").body == b"new", 10, "a new connection")


def test_slow_but_living_connection_is_kept(start):
    """One slow stream is no dead connection: PING is answered."""
    proxy = start(upstream={"timeouts": {"connect": "1s", "response": "1s"}})
    proxy.upstream.script = lambda request, peer: None if "slow" in request.target else b"ok"
    assert proxy.get("/public/warm").status == 200
    assert proxy.get("/public/slow").status == 504
    time.sleep(0.2)
    assert proxy.get("/public/x").status == 200
    assert proxy.upstream.connections == 1


def test_slow_stream_is_504_and_reset(start):
    proxy = start(upstream={"timeouts": {"connect": "1s", "response": "300ms"}})
    proxy.upstream.script = lambda request, peer: None
    assert proxy.get("/public/slow").status == 504
    request = proxy.upstream.request()
    proxy.upstream.wait_for(lambda: request.reset is not None)


def test_body_that_falls_silent_is_cut(start):
    proxy = start(upstream={"timeouts": {"stream": "400ms"}})

    def script(request, peer):
        peer.head(request, 200)
        peer.body(request, b"half")

    proxy.upstream.script = script
    with proxy.connect() as connection:
        connection.send(request_bytes("GET", "/public/x"))
        with pytest.raises(Closed):
            connection.response()


# Bad peers: 502, never a response that a client could take for whole.
HEADS = [
    ("no :status", [("x", "y")]), ("empty", b""),
    (":status twice", [(":status", "200"), (":status", "200")]),
    (":status late", [("x", "y"), (":status", "200")]),
    (":status empty", [(":status", "")]), (":status of two digits", [(":status", "20")]),
    (":status of four digits", [(":status", "2000")]), (":status text", [(":status", "abc")]),
    (":status with a reason", [(":status", "200 OK")]), (":status 0", [(":status", "000")]),
    (":status 101", [(":status", "101")]),
    (":path in a response", [(":status", "200"), (":path", "/")]),
    ("unknown pseudo-header field", [(":status", "200"), (":x", "y")]),
    ("upper case", [(":status", "200"), ("X-Upper", "y")]),
    ("empty name", [(":status", "200"), ("", "y")]),
    ("space in a name", [(":status", "200"), ("x y", "z")]),
    ("LF in a value", [(":status", "200"), ("x", "a\nset-cookie: b")]),
    ("CR LF in a value", [(":status", "200"), ("x", "a\r\n\r\nHTTP/1.1 200 OK\r\n\r\n")]),
    ("NUL in a value", [(":status", "200"), ("x", "a\0b")]),
    ("connection", [(":status", "200"), ("connection", "close")]),
    ("transfer-encoding", [(":status", "200"), ("transfer-encoding", "chunked")]),
    ("upgrade", [(":status", "200"), ("upgrade", "websocket")]),
    ("content-length twice", [(":status", "200"), ("content-length", "0"),
                              ("content-length", "1")]),
    ("content-length junk", [(":status", "200"), ("content-length", "+1")]),
    ("content-length of more", [(":status", "200"), ("content-length", "5")]),
    ("interim response that ends", [(":status", "103")]),
    ("100 that ends", [(":status", "100")]),
    ("head too large", [(":status", "200"), *((f"x{n}", "y" * 15_000) for n in range(1)),
                        *(("y", "z" * 100) for _ in range(3000))]),
]


def respond_raw(request, peer, fields, *, end=True):
    payload = fields if isinstance(fields, bytes) else b"".join(literal(*one) for one in fields)
    parts = [payload[at:at + 16_000] for at in range(0, len(payload), 16_000)] or [b""]
    out = headers(request.stream, parts[0], end=end, flags=END_HEADERS if len(parts) == 1 else 0)
    for number, part in enumerate(parts[1:], 2):
        flags = END_HEADERS if number == len(parts) else 0
        out += frame(Type.CONTINUATION, flags, request.stream, part)
    request.answered = True
    peer.send(out)


@pytest.mark.parametrize("protocol", ["http/1.1", "h2"])
@pytest.mark.parametrize("fields", [case[1] for case in HEADS], ids=[case[0] for case in HEADS])
def test_malformed_response_head_is_502(proxy, fields, protocol):
    proxy.upstream.script = lambda request, peer: (
        respond_raw(request, peer, fields) if "bad" in request.target else b"ok")
    if protocol == "h2":
        response = exchange(proxy, path="/public/bad")
    else:
        response = proxy.get("/public/bad")
    assert response.status == 502 and "upstream_" in response.json()["type"]
    assert b"set-cookie" not in response.raw_head.lower()


def test_reason_in_the_log_of_a_malformed_response(proxy):
    proxy.upstream.script = lambda request, peer: respond_raw(request, peer, [("x", "y")])
    response, line = proxy.logged("GET", "/public/bad")
    assert response.status == 502 and line["reason"] == "upstream_invalid"
    proxy.upstream.reset()


@pytest.mark.parametrize("method, status", [("HEAD", 200), ("GET", 204), ("GET", 304)])
@pytest.mark.parametrize("fields", [{}, {"content-length": "90"}], ids=str)
def test_octets_where_no_body_may_be_never_reach_the_client(proxy, method, status, fields):
    """Behind a head without a body they would be the next answer of an HTTP/1.1 connection."""
    smuggled = b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nsmuggled"

    def script(request, peer):
        if "bad" not in request.target:
            return b"ok"
        peer.head(request, status, fields)
        peer.send(data(request.stream, smuggled, end=True))
        return None

    proxy.upstream.script = script
    with proxy.connect() as connection:
        connection.send(request_bytes(method, "/public/bad") + request_bytes("GET", "/no/where"))
        try:
            response = connection.response(method)
            assert response.status in (status, 502)
            if response.status == 502 and method == "HEAD":
                assert response.body == b""
            assert connection.response().status == 404
        except Closed as closed:
            assert b"smuggled" not in closed.received
    with dial(proxy) as client:
        stream = client.open(head(method, "/public/bad"))
        client.outcome(stream)
        assert b"smuggled" not in stream.body
        assert client.get().status == 200


@pytest.mark.parametrize("length, sent", [(10, b"half"), (2, b"too much"), (1, b"xx")])
def test_body_of_another_length_is_never_whole(proxy, length, sent):
    def script(request, peer):
        if "bad" not in request.target:
            return b"ok"
        peer.head(request, 200, {"content-length": str(length)})
        peer.send(data(request.stream, sent, end=True))
        return None

    proxy.upstream.script = script
    with proxy.connect() as connection:
        connection.send(request_bytes("GET", "/public/bad"))
        try:
            response = connection.response()
            assert response.status == 502
        except Closed:
            pass
    with dial(proxy) as client:
        stream = client.request(path="/public/bad")
        assert client.outcome(stream) in (502, ("reset", Code.PROTOCOL_ERROR),
                                          ("reset", Code.INTERNAL_ERROR),
                                          ("reset", Code.CANCEL))


@pytest.mark.parametrize("trailers", [[(":status", "200")], [("X-Upper", "1")],
                                      [("x", "a\r\nb: c")], [("connection", "close")]], ids=str)
def test_malformed_response_trailers_cut_the_response(proxy, trailers):
    def script(request, peer):
        if "bad" not in request.target:
            return b"ok"
        peer.respond(request, 200, b"abc", trailers=trailers, length=False)
        return None

    proxy.upstream.script = script
    with proxy.connect() as connection:
        connection.send(request_bytes("GET", "/public/bad"))
        try:
            response = connection.response()
            assert response.status == 502
        except Closed:
            pass


GARBAGE = {
    "HTTP/1.1": b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
    "zeros": bytes(100), "noise": bytes(range(256)) * 20,
    "frame too large": frame(Type.DATA, 0, 0, bytes(20_000)),
    "DATA on stream 0": settings() + data(0, b"x"),
    "DATA before HEADERS": settings() + data(1, b"x"),
    "HEADERS on an idle stream": settings() + headers(99, [(":status", "200")]),
    "push": settings() + settings(flags=ACK) + frame(Type.PUSH_PROMISE, END_HEADERS, 1, b"\0\0\0\2"
                               + literal(":method", "GET")),
    "bad HPACK": settings() + headers(1, b"\xff\xff\xff\xff\xff\xff\xff"),
    "window overflow": settings() + window_update(0, 0x7FFFFFFF) * 2,
    "bad SETTINGS": settings({Setting.INITIAL_WINDOW_SIZE: 0xFFFFFFFF}),
    "PING too short": settings() + ping(b"x"),
}


@pytest.mark.parametrize("octets", GARBAGE.values(), ids=GARBAGE)
def test_upstream_that_does_not_speak_http_2_is_502(start, octets):
    proxy = start(upstream={"retries": 0})
    proxy.upstream.opening = octets
    started = time.monotonic()
    assert proxy.get("/public/x").status == 502
    assert time.monotonic() - started < 5
    assert proxy.gateway.running and proxy.upstream.connections <= 2


@pytest.mark.parametrize("octets", [
    settings() + goaway(0), settings() + goaway(0x7FFFFFFF), goaway(0),
    settings() + goaway(0, Code.ENHANCE_YOUR_CALM),
    settings({Setting.MAX_CONCURRENT_STREAMS: 0})],
    ids=["GOAWAY 0", "GOAWAY 2^31-1", "GOAWAY alone", "GOAWAY with an error", "no streams"])
def test_upstream_that_takes_no_streams_is_not_stormed(start, octets):
    """A server that is going away, or allows nothing: refused in time, after few connections."""
    proxy = start()
    proxy.upstream.opening = octets
    started = time.monotonic()
    assert proxy.get("/public/x").status in (502, 503, 504)
    assert time.monotonic() - started < 6
    assert proxy.upstream.connections <= 5, proxy.upstream.connections
    proxy.upstream.opening = None
    poll(lambda: proxy.get("/public/x").status == 200, 8, "service by an upstream that is back")


@pytest.mark.parametrize("octets", GARBAGE.values(), ids=GARBAGE)
def test_upstream_that_forgets_http_2_is_502(start, octets):
    proxy = start(upstream={"retries": 0})
    proxy.upstream.script = lambda request, peer: peer.send(octets)
    assert proxy.get("/public/x").status == 502
    proxy.upstream.script = lambda request, peer: b"ok"
    assert proxy.get("/public/x").status == 200


def test_upstream_that_never_says_anything_is_504(start):
    proxy = start(silent=True, upstream={"retries": 0})
    proxy.upstream.script = lambda request, peer: None
    started = time.monotonic()
    assert proxy.get("/public/x").status == 504
    assert time.monotonic() - started < 6


def test_http_1_server_behind_h2c_is_502(launch, upstream):
    endpoint = upstream.endpoint.replace("http:", "h2c:")
    gateway = launch(small(endpoint, upstream={"timeouts": TIMEOUTS, "retries": 0}))
    upstream.answers(answer("400 Bad Request"))
    assert gateway.get("/public/x").status in (502, 504)
    assert gateway.running


@pytest.mark.parametrize("octets", [
    settings() * 30, ping() * 30, frame(0x42, 0, 0, b"x") * 30,
    frame(Type.PRIORITY, 0, 1, b"\0\0\0\0\x10") * 5], ids=["SETTINGS", "PING", "unknown",
                                                          "PRIORITY"])
def test_chatty_upstream_is_fine(proxy, octets):
    def script(request, peer):
        peer.send(octets)
        return b"ok"

    proxy.upstream.script = script
    assert proxy.get("/public/x").status == 200


@pytest.mark.parametrize("octets", [settings(), ping(), frame(0x42), data(1)],
                         ids=["SETTINGS", "PING", "unknown", "empty DATA"])
def test_flood_of_an_upstream_ends_or_stays_flat(start, octets):
    proxy = start(upstream={"retries": 0})

    def script(request, peer):
        if peer.number > 1:
            return b"ok"
        peer.head(request, 200)
        for _ in range(2000):
            peer.send(octets * 50)
        peer.shutdown()
        return None

    proxy.upstream.script = script
    with proxy.connect() as connection:
        connection.send(request_bytes("GET", "/public/x"))
        try:
            assert connection.response().status == 502
        except Closed:
            pass
    assert proxy.get("/public/x").status == 200


def test_several_endpoints_take_turns_and_a_dead_one_is_left_out(launch):
    one, two = Http2Upstream(), Http2Upstream()
    gateway = launch(small([one.endpoint, two.endpoint], upstream={"timeouts": TIMEOUTS}))
    for _ in range(20):
        assert gateway.get("/public/x").status == 200
    assert len(one.requests) == len(two.requests) == 10
    one.close()
    statuses = [gateway.get("/public/x").status for _ in range(20)]
    assert statuses == [200] * 20
    two.close()


def test_unreachable_upstream_is_502(launch):
    server = Http2Upstream()
    server.close()
    gateway = launch(small(server.endpoint, upstream={"timeouts": TIMEOUTS}))
    response = gateway.get("/public/x")
    assert response.status in (502, 503) and response.json()["type"]
