"""HTTP/2 from clients: requests, policy as with HTTP/1.1, bodies, limits, deadlines, drain."""

import hashlib
import os
import signal
import threading
import time

import pytest
from harness import tls
from harness.certificates import Authority
from harness.client import Connection, request_bytes
from harness.frames import (
    PADDED, PREFACE, Code, Type, data, head, headers, padded, rst, settings)
from harness.gateway import Gateway, Proxy, free_port, poll
from harness.http2 import Client, dial, exchange, refuses
from harness.modules import shared_proxy
from harness.standard import small, write_keys
from harness.tokens import mint
from harness.upstream import OK, Close, Upstream, answer

# Requests and their forwarding.
def test_get(proxy):
    response = exchange(proxy, path="/public/x?a=b&c")
    assert response.status == 200 and response.body == b"ok"
    assert response.get("content-length") == "2" and response.get("content-type") == "text/plain"
    request = proxy.upstream.request()
    assert (request.method, request.target, request.version) == (
        "GET", "/public/x?a=b&c", "HTTP/1.1")
    assert request.get("Host") == "api.test"
    assert request.get("Via").startswith(("2.0 ", "2 "))
    assert request.get("X-Forwarded-Proto") == "http"
    assert request.get("X-Forwarded-Host") == "api.test"
    assert "Content-Length" not in request.fields and "Transfer-Encoding" not in request.fields
    assert not any(name.startswith(":") for name in request.fields.names())


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND",
                                    "M-SEARCH"])
def test_methods_pass(proxy, method):
    assert exchange(proxy, method).status == 200
    request = proxy.upstream.request()
    assert request.method == method and request.body == b""


@pytest.mark.parametrize("length", ["0", "5"])
def test_head_has_no_body(proxy, length):
    proxy.upstream.answers(
        f"HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nETag: \"1\"\r\n\r\n".encode())
    response = exchange(proxy, "HEAD")
    assert (response.status, response.body) == (200, b"")
    assert response.get("content-length") == length and response.get("etag") == '"1"'


@pytest.mark.parametrize("status", [204, 205, 304])
def test_status_without_a_body(proxy, status):
    length = "Content-Length: 0\r\n" if status == 205 else ""
    proxy.upstream.answers(f"HTTP/1.1 {status} X\r\n{length}ETag: x\r\n\r\n".encode())
    response = exchange(proxy)
    assert (response.status, response.body, response.get("etag")) == (status, b"", "x")


@pytest.mark.parametrize("status", [200, 201, 301, 400, 404, 418, 500, 503, 599])
def test_status_and_fields_pass(proxy, status):
    fields = [("X-Mixed-Case", "Value"), ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"),
              ("Connection", "X-Hop"), ("X-Hop", "1"), ("Keep-Alive", "timeout=9")]
    proxy.upstream.answers(answer(f"{status} Reason", b"body", fields))
    response = exchange(proxy)
    assert (response.status, response.body) == (status, b"body")
    assert response.get("x-mixed-case") == "Value"
    assert response.fields.all("set-cookie") == ["a=1", "b=2"]
    names = [name for name, _ in response.fields]
    assert names == [name.lower() for name in names]
    assert not {"connection", "keep-alive", "x-hop", "transfer-encoding"} & set(names)


def test_forwarded_fields_keep_names_values_and_order(proxy):
    fields = [("x-one", "1"), ("x-two", "a  b"), ("x-one", "3"), ("accept", "a"), ("x-empty", ""),
              ("x-high", "\xe9\xff"), ("te", "trailers")]
    assert exchange(proxy, fields=fields).status == 200
    request = proxy.upstream.request()
    passed = [(name.lower(), value) for name, value in request.fields
              if (name.lower(), value) in fields]
    assert passed == fields or passed == fields[:-1]


@pytest.mark.parametrize("crumbs", [["a=1"], ["a=1", "b=2"], ["a=1", "b=2", "c=3"],
                                    [f"c{n}={n}" for n in range(40)]], ids=len)
def test_cookie_crumbs_are_joined(proxy, crumbs):
    """RFC 9113 §8.2.3."""
    fields = [("x-before", "1"), *(("cookie", crumb) for crumb in crumbs), ("x-after", "1")]
    assert exchange(proxy, fields=fields).status == 200
    assert proxy.upstream.request().get("Cookie") == "; ".join(crumbs)


@pytest.mark.parametrize("fields, host", [
    (head(authority="api.test"), "api.test"), (head(authority="api.test:81"), "api.test:81"),
    ([*head(authority="api.test"), ("host", "api.test")], "api.test"),
    ([*head(authority="API.test"), ("host", "api.test")], "api.test"),
    ([*head(authority=None), ("host", "only.test")], "only.test"),
])
def test_authority_becomes_host(proxy, fields, host):
    with dial(proxy) as client:
        assert client.response(client.open(fields)).status == 200
    assert proxy.upstream.request().get("Host").lower() == host


@pytest.mark.parametrize("number", [1, 100, 1000])
def test_one_connection_serves_many_requests(proxy, number):
    with dial(proxy) as client:
        for count in range(number):
            assert client.get(f"/public/{count}").status == 200
    assert [r.target for r in proxy.upstream.requests] == [f"/public/{n}" for n in range(number)]


def test_a_hundred_streams_at_once_get_their_own_answers(proxy):
    proxy.upstream.script = lambda request, peer: answer(body=request.target.encode() * 100)
    with dial(proxy) as client:
        streams = [client.request(path=f"/public/{n}") for n in range(100)]
        for number, stream in enumerate(streams):
            assert client.response(stream).body == f"/public/{number}".encode() * 100


def test_streams_are_answered_in_any_order(proxy):
    """A slow answer holds nobody up."""
    release = threading.Event()
    proxy.upstream.script = lambda request, peer: (
        (release.wait(8), OK)[1] if "slow" in request.target else OK)
    with dial(proxy) as client:
        slow = client.request(path="/public/slow")
        for _ in range(20):
            assert client.get().status == 200
        assert not slow.ended
        release.set()
        assert client.response(slow).status == 200


# Bodies.
SIZES = [0, 1, 100, 16383, 16384, 16385, 65535, 65536, 1_000_000, 5_000_000]


@pytest.mark.parametrize("known", [True, False], ids=["content-length", "unknown length"])
@pytest.mark.parametrize("size", SIZES)
def test_upload(proxy, size, known):
    body = os.urandom(size)
    fields = [("content-length", str(size))] if known else []
    assert exchange(proxy, "POST", body=body, fields=fields).status == 200
    request = proxy.upstream.request()
    assert hashlib.sha256(request.body).digest() == hashlib.sha256(body).digest()
    assert ("Content-Length" in request.fields) != ("Transfer-Encoding" in request.fields)
    if known:
        assert request.get("Content-Length") == str(size)
    elif size:
        assert request.get("Transfer-Encoding") == "chunked"


@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
@pytest.mark.parametrize("size", SIZES)
def test_download(proxy, size, framing):
    body = os.urandom(size)
    if framing == "length":
        sent = answer(body=body)
    elif framing == "chunked":
        chunk = f"{size:x}\r\n".encode() + body + b"\r\n" if size else b""
        sent = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk + b"0\r\n\r\n"
    else:
        sent = Close(b"HTTP/1.1 200 OK\r\n\r\n" + body)
    proxy.upstream.answers(sent)
    response = exchange(proxy)
    assert hashlib.sha256(response.body).digest() == hashlib.sha256(body).digest()
    assert "transfer-encoding" not in response.fields
    assert response.get("content-length") == (str(size) if framing == "length" else None)


def test_upload_and_download_of_many_streams_at_once(proxy):
    proxy.upstream.script = lambda request, peer: answer(body=request.body[::-1])
    bodies = [os.urandom(200_000 + number) for number in range(8)]
    with dial(proxy) as client:
        streams = [client.request("POST", f"/public/{n}", end=False) for n in range(8)]
        for stream, body in zip(streams, bodies, strict=True):
            client.upload(stream, body)
        for stream, body in zip(streams, bodies, strict=True):
            assert client.response(stream, 20).body == body[::-1]


def test_padding_is_no_part_of_the_body(proxy):
    with dial(proxy) as client:
        stream = client.open(head("POST", fields=[("content-length", "6")]), end=False)
        for part, padding, end in ((b"abc", 255, False), (b"", 100, False), (b"def", 0, True)):
            client.send(data(stream.id, padded(part, padding), end=end, flags=PADDED))
        assert client.response(stream).status == 200
    assert proxy.upstream.request().body == b"abcdef"


def test_padding_is_counted_and_given_back(proxy):
    """More padding than any window: credit must return for it too."""
    with dial(proxy) as client:
        client.await_settings()
        stream = client.open(head("POST"), end=False)
        for _ in range(2000):
            client.wait(lambda: min(stream.window, client.window) >= 257, what="a window")
            stream.window -= 257
            client.window -= 257
            client.send(data(stream.id, padded(b"x", 255), flags=PADDED))
        client.send(data(stream.id, end=True))
        assert client.response(stream).status == 200
    assert proxy.upstream.request().body == b"x" * 2000


def test_request_trailers_pass(proxy):
    trailers = [("x-checksum", "abc"), ("x-second", "1")]
    assert exchange(proxy, "POST", body=b"some", trailers=trailers).status == 200
    request = proxy.upstream.request()
    assert request.body == b"some" and request.get("Transfer-Encoding") == "chunked"
    assert [(n.lower(), v) for n, v in request.trailers] == trailers


def test_trailers_without_a_body_pass_or_are_dropped(proxy):
    assert exchange(proxy, "POST", trailers=[("x-checksum", "abc")]).status == 200
    request = proxy.upstream.request()
    assert request.body == b"" and request.trailers in ([], [("x-checksum", "abc")])


@pytest.mark.parametrize("name", ["authorization", "remote-user", "x-forwarded-user", "x-sub",
                                  "x_forwarded_user", "content-length", "host", "te",
                                  "x-jwt-sub", "forwarded"])
def test_trailers_that_may_not_pass_do_not(proxy, name):
    token = mint()
    value = f"Bearer {token}" if name == "authorization" else "trailers" if name == "te" else "7"
    with dial(proxy) as client:
        stream = client.request("POST", body=b"x", trailers=[(name, value), ("x-fine", "1")])
        result = client.outcome(stream)
        assert result in (200, 400, ("reset", Code.PROTOCOL_ERROR)), result
    for request in proxy.upstream.requests:
        assert name not in request.trailers, request.trailers
        assert request.raw == b"" or result == 200


def test_authorization_in_trailers_authorises_nothing(proxy):
    with dial(proxy) as client:
        stream = client.open(head("POST", "/token/x"), end=False)
        client.send(headers(stream.id, [("authorization", f"Bearer {mint()}")]))
        assert client.outcome(stream) in (400, 401, ("reset", Code.PROTOCOL_ERROR))
    proxy.nothing_forwarded()


def test_response_trailers_pass(proxy):
    proxy.upstream.answers(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n"
                           b"\r\n3\r\nabc\r\n0\r\nX-Sum: 42\r\nX-More: 1\r\n\r\n")
    response = exchange(proxy, fields={"te": "trailers"})
    assert response.body == b"abc"
    assert response.trailers == [("x-sum", "42"), ("x-more", "1")]


def test_interim_responses_pass(proxy):
    proxy.upstream.answers(
        b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n"
        b"HTTP/1.1 103 Early Hints\r\nLink: </b.css>\r\n\r\n" + OK)
    response = exchange(proxy)
    assert response.status == 200 and response.body == b"ok"
    assert [(one.status, one.get("link")) for one in response.interim] == [
        (103, "</a.css>; rel=preload"), (103, "</b.css>")]


def test_expect_100_continue(proxy):
    """Either the upstream's 100 is passed on or ours is sent; the client must get one."""
    def script(request, peer):
        if request.get("Expect", "").lower() == "100-continue":
            peer.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        peer.read_body(request)
        return OK

    proxy.upstream.early = True
    proxy.upstream.script = script
    with dial(proxy) as client:
        stream = client.open(head("POST", fields={"expect": "100-continue"}), end=False)
        client.wait(lambda: stream.heads, what="100 (Continue)")
        assert stream.heads[0].get(":status") == "100"
        client.upload(stream, b"now the body")
        assert client.response(stream).status == 200
    assert proxy.upstream.request().body == b"now the body"


def test_expect_of_a_refused_request_gets_no_100(proxy):
    with dial(proxy) as client:
        stream = client.open(head("POST", "/token/x", fields={"expect": "100-continue"}),
                             end=False)
        assert client.response(stream).status == 401 and len(stream.heads) == 1


def test_unknown_expectation_is_417(proxy):
    refuses(proxy, head("POST", fields={"expect": "miracle"}), 417)


def test_early_answer_while_the_body_is_sent(proxy):
    """§8.1: the whole response, then possibly RST_STREAM NO_ERROR; other streams go on."""
    proxy.upstream.early = True
    proxy.upstream.script = lambda request, peer: Close(answer("403 No", b"enough"))
    with dial(proxy) as client:
        stream = client.open(head("POST"), end=False)
        client.raw_data(stream, b"x" * 1000)
        response = client.response(stream)
        assert (response.status, response.body) == (403, b"enough")
        client.quiet(0.1)
        assert stream.reset in (None, Code.NO_ERROR, Code.CANCEL)
        proxy.upstream.early = False
        proxy.upstream.answers(OK)
        assert client.get().status == 200


def test_response_is_streamed_as_it_comes(proxy):
    go = threading.Event()

    def script(request, peer):
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
                  b"Transfer-Encoding: chunked\r\n\r\n")
        for number in range(3):
            assert go.wait(5)
            go.clear()
            peer.send(f"8\r\ndata: {number}\n\r\n".encode())
        peer.send(b"0\r\n\r\n")

    proxy.upstream.script = script
    with dial(proxy) as client:
        stream = client.request()
        client.wait(lambda: stream.final)
        for number in range(3):
            go.set()
            client.wait(lambda: f"data: {number}\n".encode() in stream.body, what="an event")
        assert client.response(stream).status == 200


def test_request_is_streamed_as_it_comes(proxy):
    arrived = threading.Event()

    def script(request, peer):
        size = int(peer.reader.until(b"\r\n")[:-2], 16)
        assert peer.reader.take(size) == b"first"
        arrived.set()
        return Close(OK)

    proxy.upstream.early = True
    proxy.upstream.script = script
    with dial(proxy) as client:
        stream = client.open(head("POST"), end=False)
        client.raw_data(stream, b"first")
        assert arrived.wait(5)
        assert client.response(stream).status == 200


@pytest.mark.parametrize("sent", [
    Close(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"),
    Close(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", reset=True),
    Close(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"),
    Close(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\nzz\r\n"),
])
def test_response_cut_short_resets_the_stream_alone(proxy, sent):
    proxy.upstream.script = lambda request, peer: sent if "cut" in request.target else OK
    with dial(proxy) as client:
        stream = client.request(path="/public/cut")
        client.wait(lambda: stream.reset is not None or stream.ended)
        assert not stream.ended and stream.reset not in (None, Code.NO_ERROR)
        assert client.get().status == 200


@pytest.mark.parametrize("sent", [
    Close(), Close(b"HTTP/1.1 2"), b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n"
    b"\r\nx", b"HTTP/1.1 200 OK\r\nNa me: x\r\nContent-Length: 0\r\n\r\n", b"junk\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n"])
def test_bad_response_is_502(proxy, sent):
    proxy.upstream.answers(sent)
    assert exchange(proxy).status == 502


def test_client_that_resets_ends_the_upstream_request(proxy):
    gone = threading.Event()

    def script(request, peer):
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nx")
        try:
            peer.reader.rest()
        finally:
            gone.set()

    proxy.upstream.script = script
    with dial(proxy) as client:
        stream = client.request()
        client.wait(lambda: stream.body)
        client.send(rst(stream.id))
        assert gone.wait(5), "the upstream's connection stays"
        proxy.upstream.answers(OK)
        assert client.get().status == 200


@pytest.mark.parametrize("end", ["reset", "close"])
def test_upload_cut_short_never_arrives_as_whole(proxy, end):
    with dial(proxy) as client:
        stream = client.open(head("POST"), end=False)
        client.raw_data(stream, b"half")
        client.alive()
        if end == "reset":
            client.send(rst(stream.id))
            client.alive()
    proxy.upstream.wait_for(lambda: proxy.upstream.requests or not proxy.upstream.peers)
    assert all(request.raw == b"" for request in proxy.upstream.requests)


# Flow control between streams.
def test_slow_reader_of_one_stream_does_not_hold_others(proxy):
    large = os.urandom(20_000_000)
    proxy.upstream.script = lambda request, peer: (
        answer(body=large) if "large" in request.target else OK)
    with dial(proxy, credit=False) as client:
        client.give(None, 1 << 30)
        slow = client.request(path="/public/large")
        client.wait(lambda: len(slow.body) == 65535)
        for _ in range(50):
            assert client.get().status == 200
        assert len(slow.body) == 65535 and not slow.ended
        client.give(slow, 1 << 30)
        assert client.response(slow, 20).body == large


def test_stalled_upload_does_not_hold_others(proxy):
    """The upstream takes nothing of one body: the connection's window must not be spent on it."""
    release = threading.Event()

    def script(request, peer):
        if "stalled" in request.target:
            release.wait(10)
        peer.read_body(request)
        return OK

    proxy.upstream.early = True
    proxy.upstream.script = script
    with dial(proxy) as client:
        client.await_settings()
        stalled = [client.open(head("POST", "/public/stalled"), end=False) for _ in range(1)]
        for stream in stalled:
            client.fill(stream)
        for _ in range(10):
            other = client.request("POST", "/public/other", body=b"y" * 30_000)
            assert client.response(other).status == 200
        release.set()
        for stream in stalled:
            client.raw_data(stream, b"", end=True)
            assert client.response(stream, 20).status == 200


def test_a_download_is_shared_fairly(proxy):
    """Of two large downloads on one connection neither waits for the other's end."""
    body = bytes(4_000_000)
    proxy.upstream.answers(answer(body=body))
    with dial(proxy) as client:
        one, two = client.request(), client.request()
        client.wait(lambda: one.ended or two.ended, 20)
        assert min(len(one.body), len(two.body)) > 200_000
        assert len(client.response(one, 20).body) == len(client.response(two, 20).body)


# Deadlines.
def quick(endpoint):
    return {**small(endpoint, {"path": "/quiet/**", "access": "public",
                               "timeouts": {"stream": "400ms"}},
                    upstream={"timeouts": {"connect": "500ms", "response": "700ms"}}),
            "timeouts": {"head": "600ms", "idle": "900ms", "body": "600ms"}}


quick_running, hasty = shared_proxy(quick, name="hasty")


@pytest.mark.parametrize("octets", [
    PREFACE[:1], PREFACE[:10], PREFACE[:18], PREFACE[:23], PREFACE, PREFACE + b"\0\0",
    PREFACE + settings()[:5], PREFACE + settings() + headers(1, head(), flags=0),
    PREFACE + settings() + headers(1, head())[:20]], ids=len)
def test_what_stays_unfinished_is_closed_at_the_heads_deadline(hasty, octets):
    with Client(hasty.gateway.address, start=False, polite=False) as client:
        started = time.monotonic()
        client.send(octets)
        assert client.is_closed(6), "still open"
        assert time.monotonic() - started > 0.3


def test_drips_of_an_unfinished_head_do_not_extend_it(hasty):
    with dial(hasty) as client:
        client.await_settings()
        whole = headers(1, head(fields=[("x", "y" * 1000)]))
        started = time.monotonic()
        for octet in whole:
            if client.closed or time.monotonic() - started > 5:
                break
            client.send(bytes([octet]))
            client.pump(0.05)
        assert client.is_closed(1) and time.monotonic() - started < 5


@pytest.mark.parametrize("used", [False, True])
def test_idle_connection_is_closed_with_goaway(hasty, used):
    with dial(hasty) as client:
        client.await_settings()
        if used:
            assert client.get().status == 200
        started = time.monotonic()
        assert client.is_closed(6), "still open"
        assert 0.4 < time.monotonic() - started
        if used:
            assert client.goaway == (1, Code.NO_ERROR)


def test_pings_do_not_keep_an_idle_connection_for_ever_nor_end_it_early(hasty):
    """They may count or not; with or without them the process stays well."""
    with dial(hasty) as client:
        client.await_settings()
        for _ in range(4):
            client.alive()
            client.quiet(0.1)


def test_stalled_upload_ends_its_stream_alone(hasty):
    with dial(hasty) as client:
        stream = client.open(head("POST"), end=False)
        client.raw_data(stream, b"some")
        started = time.monotonic()
        while client.outcome_so_far(stream) is None and time.monotonic() - started < 5:
            assert client.get().status == 200
            client.quiet(0.1)
        assert client.outcome(stream) in (408, ("reset", Code.CANCEL),
                                          ("reset", Code.INTERNAL_ERROR),
                                          ("reset", Code.NO_ERROR))
    assert all(not r.raw for r in hasty.upstream.requests if r.method == "POST")


def test_slow_upstream_is_504(hasty):
    done = threading.Event()
    hasty.upstream.script = lambda request, peer: (
        (done.wait(5), None)[1] if "slow" in request.target else OK)
    with dial(hasty) as client:
        slow = client.request(path="/public/slow")
        assert client.get().status == 200
        response = client.response(slow)
        assert response.status == 504 and "upstream_" in response.json()["type"]
    done.set()


def test_response_that_falls_silent_resets_its_stream(hasty):
    done = threading.Event()

    def script(request, peer):
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
        done.wait(8)

    hasty.upstream.script = script
    with dial(hasty) as client:
        stream = client.request(path="/quiet/x")
        client.wait(lambda: stream.reset is not None, 6)
        assert not stream.ended
        hasty.upstream.answers(OK)
        assert client.get().status == 200
    done.set()


def test_client_that_takes_nothing_is_given_up(hasty):
    """Zero window for longer than `body`: the stream ends, and the upstream's request with it."""
    hasty.upstream.answers(answer(body=bytes(8_000_000)))
    with dial(hasty, credit=False) as client:
        stream = client.request()
        client.wait(lambda: len(stream.body) == 65535)
        try:
            client.wait(lambda: stream.reset is not None, 8, "the stream's end")
        except AssertionError:
            assert client.closed


# Protocols and TLS.
def test_http_1_only_listener_refuses_the_preface(launch, upstream):
    gateway = launch({**small(upstream.endpoint), "listeners": [{"protocols": ["http/1.1"]}]})
    for octets in (PREFACE, PREFACE + settings(), PREFACE + settings() + headers(1, head())):
        with Connection(gateway.address) as connection:
            connection.send(octets)
            rest = connection.reader.rest()
            assert rest == b"" or rest.startswith((b"HTTP/1.1 400", b"HTTP/1.1 505")), rest
    assert gateway.get("/public/x").status == 200
    assert len(upstream.requests) == 1


def test_h2_only_listener_refuses_http_1(launch, upstream):
    port = free_port()
    config = {**small(upstream.endpoint), "listeners": [
        {"address": f"127.0.0.1:{port}", "protocols": ["h2"]}]}
    gateway = launch(config)
    with Client(gateway.address) as client:
        assert client.get().status == 200
    with Connection(gateway.address) as connection:
        connection.send(request_bytes("GET", "/public/http1"))
        assert b" 200 " not in connection.reader.rest()
    assert not any("http1" in request.target for request in upstream.requests)


@pytest.mark.parametrize("fields", [
    {"Connection": "Upgrade, HTTP2-Settings", "Upgrade": "h2c", "HTTP2-Settings": "AAMAAABk"},
    {"Connection": "Upgrade", "Upgrade": "h2c"},
    {"Connection": "upgrade", "Upgrade": "h2c, websocket", "HTTP2-Settings": ""},
])
def test_upgrade_to_h2c_is_ignored(proxy, fields):
    """RFC 9113 §3.1 took it away; as a tunnel it would pass by every rule."""
    with proxy.connect() as connection:
        connection.send(request_bytes("GET", "/public/x", fields=fields))
        assert connection.response().status in (200, 400)
        connection.send(request_bytes("GET", "/token/x"))
        assert connection.response().status == 401
    for request in proxy.upstream.requests:
        assert "HTTP2-Settings" not in request.get("Connection", "")
        assert "h2c" not in request.get("Upgrade", "")


def test_http_1_and_http_2_share_a_listener(proxy):
    for _ in range(5):
        assert proxy.get("/public/x").status == 200
        assert exchange(proxy).status == 200


def test_a_preface_after_a_request_is_no_preface(proxy):
    """A connection speaks one protocol: what follows a request of HTTP/1.1 is HTTP/1.1."""
    with proxy.connect() as connection:
        connection.send(request_bytes("GET", "/public/x") + PREFACE + settings()
                        + headers(1, head()))
        assert connection.response().status == 200
        rest = connection.reader.rest()
        assert rest == b"" or rest.startswith((b"HTTP/1.1 400", b"HTTP/1.1 505")), rest
    assert len(proxy.upstream.requests) == 1


def test_the_connection_limit_counts_http_2(own):
    proxy = own(limits={"connections": 20})
    held = [dial(proxy) for _ in range(10)]
    for client in held:
        assert client.get().status == 200
    crowd = [dial(proxy) for _ in range(20)]
    for client in [*held, *crowd]:
        client.close()

    def served():
        try:
            return proxy.get("/public/x").status == 200
        except (OSError, AssertionError):
            return False

    poll(served, 5, "service after the crowd")


def test_a_preface_in_pieces_is_taken(proxy):
    with Client(proxy.gateway.address, start=False) as client:
        for octet in PREFACE + settings():
            client.send(bytes([octet]))
        assert client.get().status == 200


@pytest.mark.parametrize("octets", [PREFACE + settings() + headers(1, head())])
def test_everything_in_single_octets(proxy, octets):
    with Client(proxy.gateway.address, start=False) as client:
        stream = client.expect(1)
        for octet in octets:
            client.send(bytes([octet]))
        assert client.response(stream).status == 200


@pytest.fixture(scope="module")
def secure_running(tmp_path_factory):
    folder = tmp_path_factory.mktemp("secure")
    write_keys(folder)
    authority = Authority()
    certificate = authority.issue("api.test").files(folder, "server")
    upstream = Upstream()
    clear = f"127.0.0.1:{free_port()}"
    gateway = Gateway(folder, {**small(upstream.endpoint), "listeners": [
        {"address": clear},
        {"address": f"127.0.0.1:{free_port()}", "tls": {"certificates": [certificate]}}]})
    host, _, port = gateway.config["listeners"][1]["address"].rpartition(":")
    yield Proxy(gateway, upstream), (host, int(port)), authority
    assert gateway.stop() == 0, gateway.output
    upstream.close()


@pytest.fixture
def secure(secure_running):
    proxy, address, authority = secure_running
    proxy.upstream.reset()
    return proxy, lambda protocols=("h2",), **more: Client(
        address, tls=tls.client_context(authority, protocols=protocols), **more)


@pytest.mark.parametrize("protocols", [("h2",), ("h2", "http/1.1"), ("http/1.1", "h2")])
def test_alpn_over_tls(secure, protocols):
    proxy, dial = secure
    with dial(protocols) as client:
        assert client.sock.selected_alpn_protocol() == "h2"
        streams = [client.request(path=f"/public/{n}", scheme="https") for n in range(30)]
        assert [client.response(one).status for one in streams] == [200] * 30
    assert proxy.upstream.requests[0].get("X-Forwarded-Proto") == "https"


def test_large_bodies_over_tls(secure):
    proxy, dial = secure
    body = os.urandom(3_000_000)
    proxy.upstream.script = lambda request, peer: answer(body=request.body)
    with dial() as client:
        streams = [client.request("POST", body=body, scheme="https") for _ in range(3)]
        for stream in streams:
            assert client.response(stream, 20).body == body


def test_policy_over_tls(secure):
    proxy, dial = secure
    with dial() as client:
        assert client.get("/token/x", scheme="https").status == 401
        assert client.get("/token/x", scheme="https", token=mint()).status == 200
        assert client.get("/public/../x", scheme="https").status == 400


@pytest.mark.parametrize("protocols", [("http/1.1",), ()])
def test_preface_on_tls_without_alpn_h2_serves_nothing_unchecked(secure, protocols):
    """RFC 9113 §3.3 asks for ALPN; whether prior knowledge is taken as well is open."""
    proxy, dial = secure
    with dial(protocols) as client:
        client.send(headers(1, head(path="/token/x")))
        client.quiet(0.5)
        assert not any(one.kind == Type.HEADERS and b"200" in one.payload for one in client.seen)
    proxy.nothing_forwarded()


# Drain.
def test_drain_sends_goaway_and_lets_streams_finish(launch, upstream):
    gateway = launch(small(upstream.endpoint))
    release = threading.Event()
    upstream.script = lambda request, peer: (release.wait(8), OK)[1]
    with Client(gateway.address) as client:
        held = [client.request(path=f"/public/{n}") for n in range(5)]
        upstream.request(5)
        gateway.process.send_signal(signal.SIGTERM)
        client.wait(lambda: client.goaway, what="GOAWAY")
        assert client.goaway[1] == Code.NO_ERROR
        client.quiet(0.3)
        release.set()
        assert [client.response(one).status for one in held] == [200] * 5
        assert client.is_closed()
        assert client.goaway == (held[-1].id, Code.NO_ERROR)
    assert gateway.process.wait(10) == 0


def test_streams_after_the_last_goaway_are_not_served(launch, upstream):
    gateway = launch(small(upstream.endpoint))
    release = threading.Event()
    upstream.script = lambda request, peer: (release.wait(8), OK)[1]
    with Client(gateway.address) as client:
        held = client.request(path="/public/held")
        upstream.request(1)
        gateway.process.send_signal(signal.SIGTERM)
        client.wait(lambda: client.goaway and client.goaway[0] == held.id, what="the last GOAWAY")
        late = client.request(path="/public/late")
        client.quiet(0.3)
        release.set()
        assert client.response(held).status == 200
        client.is_closed()
        assert not late.ended
    assert gateway.process.wait(10) == 0
    assert not any("late" in request.target for request in upstream.requests)


def test_drain_closes_idle_connections_with_goaway(launch, upstream):
    gateway = launch(small(upstream.endpoint))
    idle = [Client(gateway.address) for _ in range(10)]
    for client in idle:
        assert client.get().status == 200
    started = time.monotonic()
    assert gateway.stop() == 0
    assert time.monotonic() - started < 5
    for client in idle:
        assert client.is_closed() and client.goaway == (1, Code.NO_ERROR)


def test_drain_has_an_end(launch, upstream):
    gateway = launch({**small(upstream.endpoint), "timeouts": {"drain": "500ms"}})
    hold = threading.Event()
    upstream.script = lambda request, peer: (hold.wait(15), OK)[1]
    with Client(gateway.address) as client:
        client.request(path="/public/stuck")
        client.open(head("POST"), end=False)
        upstream.wait_for(lambda: upstream.requests)
        started = time.monotonic()
        assert gateway.stop() == 0
        assert time.monotonic() - started < 6
    hold.set()
