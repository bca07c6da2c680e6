"""Deadlines and limits, each with a configuration that makes it short."""

import socket
import threading
import time

import pytest
from harness.client import Closed, request_bytes
from harness.gateway import free_port, poll
from harness.modules import shared_proxy
from harness.standard import small
from harness.tokens import DROP, mint
from harness.upstream import OK


def quick(endpoint):
    return {
        **small(endpoint, {"path": "/down/**", "access": "public", "upstream": "down"},
                {"path": "/own/**", "access": "public", "timeouts": {"response": "200ms"}},
                {"path": "/quiet/**", "access": "public", "timeouts": {"stream": "400ms"}},
                {"path": "/capped/**", "access": "public", "maxBody": "1KiB"},
                {"path": "/capped-token/**", "maxBody": "1KiB"},
                upstream={"timeouts": {"connect": "500ms", "response": "700ms", "idle": "30s"}}),
        "upstreams": {
            "api": {"endpoints": [endpoint],
                    "timeouts": {"connect": "500ms", "response": "700ms", "stream": "1s"}},
            "down": {"endpoints": [f"http://127.0.0.1:{free_port()}"],
                     "timeouts": {"connect": "500ms"}},
        },
        "timeouts": {"head": "600ms", "idle": "900ms", "body": "600ms"},
        "limits": {"requestHead": "8KiB", "requestFields": 20, "token": "4KiB"},
    }


quick_running, proxy = shared_proxy(quick, name="quick")


def timed(action):
    start = time.monotonic()
    return action(), time.monotonic() - start


# Deadlines.
@pytest.mark.parametrize("data", [b"G", b"GET /public/x HTTP/1.1\r\n",
                                  b"GET /public/x HTTP/1.1\r\nHost: api.test\r\n",
                                  b"GET /public/x HTTP/1.1\r\nHost: api.test\r\nX: " + b"y" * 3000])
def test_unfinished_head_is_408(proxy, data):
    with proxy.connect() as connection:
        connection.send(data)
        response, seconds = timed(connection.response)
        assert response.status == 408 and 0.3 < seconds < 4
        assert connection.is_closed()
    proxy.nothing_forwarded()


def test_silence_on_a_new_connection_is_closed(proxy):
    """From accept the head's deadline runs. Whether 408 is said to a client that said nothing is
    open; the close is not."""
    with proxy.connect() as connection:
        try:
            assert connection.response().status == 408
        except Closed as closed:
            assert closed.received == b""


def test_a_dripping_head_is_not_kept_alive_by_its_drops(proxy):
    """Each byte is progress, but the deadline runs from the first."""
    with proxy.connect() as connection:
        connection.send(b"GET /public/x HTTP/1.1\r\nHost: api.test\r\nX: ")
        start = time.monotonic()
        while time.monotonic() - start < 5:
            connection.send(b"y")
            connection.sock.settimeout(0.1)
            try:
                if connection.sock.recv(1000):
                    break
            except TimeoutError:
                continue
            except OSError:
                break
        assert time.monotonic() - start < 4


def test_idle_connection_is_closed_quietly(proxy):
    with proxy.connect() as connection:
        connection.send(request_bytes("GET", "/public/x"))
        assert connection.response().status == 200
        closed, seconds = timed(connection.is_closed)
        assert closed and 0.5 < seconds < 5


@pytest.mark.parametrize("target, token", [("/public/x", False), ("/token/x", True),
                                           ("/token/x", False)])
def test_stalled_body_is_ended(proxy, target, token):
    """408 where no response has begun; the upstream never sees a whole request."""
    with proxy.connect() as connection:
        head = request_bytes("POST", target, token=mint() if token else None,
                             fields={"Content-Length": "1000"})
        connection.send(head + b"some")
        try:
            response, seconds = timed(connection.response)
            assert response.status in ((408,) if token or target == "/public/x" else (401, 408))
            assert seconds < 5
        except Closed:
            pass
    assert all(not r.raw for r in proxy.upstream.requests)


def test_slow_but_steady_body_is_served(proxy):
    """The body's deadline is about silence, not about the whole."""
    with proxy.connect() as connection:
        connection.send(request_bytes("POST", "/public/x", fields={"Content-Length": "12"}))
        for byte in b"slow but ok!":
            connection.send(bytes([byte]))
            threading.Event().wait(0.15)
        assert connection.response().status == 200
    assert proxy.upstream.request().body == b"slow but ok!"


@pytest.mark.parametrize("target, limit", [("/public/x", 0.7), ("/own/x", 0.2)])
def test_upstream_that_does_not_answer_is_504(proxy, target, limit):
    done = threading.Event()
    proxy.upstream.script = lambda request, peer: done.wait(6) and None
    try:
        response, seconds = timed(lambda: proxy.get(target))
        assert response.status == 504 and limit * 0.8 < seconds < limit + 3
        assert "upstream_" in response.json()["type"]
    finally:
        done.set()


def test_response_body_that_falls_silent_is_cut(proxy):
    done = threading.Event()

    def script(request, peer):
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
        done.wait(8)

    proxy.upstream.script = script
    try:
        with proxy.connect() as connection:
            connection.send(request_bytes("GET", "/quiet/x"))
            with pytest.raises(Closed):
                connection.response()
    finally:
        done.set()


def test_upstream_that_refuses_connections_is_502(proxy):
    response, seconds = timed(lambda: proxy.get("/down/x"))
    assert response.status in (502, 503) and seconds < 4
    assert response.json()["type"]


def test_upstream_that_never_accepts_is_502_after_connect(own):
    """A full backlog swallows the SYN, as a dead host does."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(0)
    fillers = []
    for _ in range(3):
        filler = socket.socket()
        filler.setblocking(False)
        filler.connect_ex(listener.getsockname())
        fillers.append(filler)
    endpoint = f"http://127.0.0.1:{listener.getsockname()[1]}"
    proxy = own({"path": "/full/**", "access": "public", "upstream": "full"},
                upstreams={"api": {"endpoints": ["http://127.0.0.1:9"]},
                           "full": {"endpoints": [endpoint], "timeouts": {"connect": "300ms"}}})
    response, seconds = timed(lambda: proxy.get("/full/x"))
    assert response.status in (502, 503, 504) and seconds < 4
    for filler in [*fillers, listener]:
        filler.close()


# Limits.
def test_head_above_the_limit_is_431(proxy):
    assert proxy.get("/public/x", fields={"X": "y" * 7000}).status == 200
    proxy.upstream.reset()
    for fields in ({"X": "y" * 9000}, {f"X{n}": "y" * 1000 for n in range(12)},
                   {"X": "y" * 500_000}):
        proxy.refuses(request_bytes("GET", "/public/x", fields=fields), 431)
    for target in ("/public/x?" + "q" * 9000, "/" + "p" * 9000):
        proxy.refuses(request_bytes("GET", target), (414, 431))


def test_endless_head_is_cut(proxy):
    with proxy.connect() as connection:
        connection.send(b"GET /public/x HTTP/1.1\r\nHost: api.test\r\nX: ")
        connection.send(b"y" * 2_000_000)
        try:
            assert connection.response().status == 431
        except Closed:
            pass
    proxy.nothing_forwarded()


@pytest.mark.parametrize("count, status", [(10, 200), (19, 200), (20, 431), (100, 431), (700, 431)])
def test_field_count_above_the_limit_is_431(proxy, count, status):
    """The limit of 20 counts Host."""
    fields = [(f"X{n}", "y") for n in range(count)]
    data = request_bytes("GET", "/public/x", fields=fields)
    if status == 200:
        assert proxy.raw(data).status == 200
    else:
        proxy.refuses(data, status)


def test_token_above_the_limit_is_431(proxy):
    assert proxy.get("/token/x", mint(filler="x" * 2000)).status == 200
    proxy.upstream.reset()
    response = proxy.refuses(request_bytes("GET", "/token/x", token=mint(filler="x" * 3600)), 431)
    assert "WWW-Authenticate" not in response.fields
    proxy.refuses(request_bytes("GET", "/token/x", token="." * 5000), 431)


@pytest.mark.parametrize("size, status", [(0, 200), (1023, 200), (1024, 200), (1025, 413),
                                          (10_000_000_000, 413)])
def test_announced_body_above_max_body_is_413(proxy, size, status):
    head = request_bytes("POST", "/capped/x", fields={"Content-Length": str(size)})
    with proxy.connect() as connection:
        connection.send(head + b"x" * min(size, 5000))
        assert connection.response("POST").status == status
    if status == 413:
        proxy.nothing_forwarded()


@pytest.mark.parametrize("size, status", [(1000, 200), (1024, 200), (1025, 413), (100_000, 413)])
def test_chunked_body_above_max_body_is_413(proxy, size, status):
    """It shows only on the way; the upstream must not see a whole request."""
    body = b"".join(b"64\r\n" + b"x" * 100 + b"\r\n" for _ in range(size // 100))
    rest = size % 100
    body += (b"%x\r\n" % rest + b"x" * rest + b"\r\n" if rest else b"") + b"0\r\n\r\n"
    head = request_bytes("POST", "/capped/x", fields={"Transfer-Encoding": "chunked"})
    with proxy.connect() as connection:
        connection.send(head + body)
        try:
            assert connection.response("POST").status == status
        except Closed:
            assert status == 413
    assert any(r.raw for r in proxy.upstream.requests) == (status == 200)


def test_token_comes_before_max_body(proxy):
    """A stranger learns nothing about limits."""
    response = proxy.raw(request_bytes("POST", "/capped-token/x", body=b"x" * 3000), "POST")
    assert response.status in (401, 413)


def test_expect_of_a_body_above_max_body_gets_no_100(proxy):
    data = request_bytes("POST", "/capped/x", fields={"Content-Length": "5000",
                                                      "Expect": "100-continue"})
    with proxy.connect() as connection:
        connection.send(data)
        assert connection.head().status == 413


def test_connection_limit(own):
    proxy = own(limits={"connections": 20})
    held = [proxy.connect() for _ in range(20)]
    for connection in held[:5]:
        connection.send(request_bytes("GET", "/public/x"))
        assert connection.response().status == 200
    beyond = [proxy.connect() for _ in range(5)]
    for connection in beyond:
        connection.send(request_bytes("GET", "/public/x"))
    for connection in held + beyond:
        connection.close()

    def served():
        try:
            return proxy.get("/public/x").status == 200
        except (OSError, AssertionError):
            return False

    poll(served, 5, "service after the crowd")


# Pools that wait.
def test_max_connections_makes_a_request_wait_and_then_503(own):
    proxy = own(upstream={"maxConnections": 2, "timeouts": {"connect": "500ms"}})
    release = threading.Event()
    proxy.upstream.script = lambda request, peer: (release.wait(8), OK)[1]
    connections = [proxy.connect() for _ in range(2)]
    for connection in connections:
        connection.send(request_bytes("GET", "/public/held"))
    proxy.upstream.request(2)
    response, seconds = timed(lambda: proxy.get("/public/third"))
    assert response.status == 503 and int(response.get("Retry-After")) >= 0
    assert 0.3 < seconds < 4 and "overloaded" in response.json()["type"]
    release.set()
    assert [connection.response().status for connection in connections] == [200, 200]
    assert proxy.get("/public/after").status == 200


def test_a_waiting_request_takes_the_slot_that_comes_free(own):
    proxy = own(upstream={"maxConnections": 1, "timeouts": {"connect": "5s"}})
    release = threading.Event()
    proxy.upstream.script = lambda request, peer: (release.wait(8), OK)[1]
    first, second = proxy.connect(), proxy.connect()
    first.send(request_bytes("GET", "/public/1"))
    proxy.upstream.request(1)
    second.send(request_bytes("GET", "/public/2", token=mint(sub=DROP)))
    release.set()
    assert first.response().status == second.response().status == 200
    assert proxy.upstream.connections <= 2


def test_max_connections_counts_all_workers(own):
    proxy = own(upstream={"maxConnections": 2, "timeouts": {"connect": "300ms"}}, workers=3)
    release = threading.Event()
    proxy.upstream.script = lambda request, peer: (release.wait(8), OK)[1]
    connections = [proxy.connect() for _ in range(12)]
    for number, connection in enumerate(connections):
        connection.send(request_bytes("GET", f"/public/{number}"))
    statuses = []
    waiter = threading.Timer(2, release.set)
    waiter.start()
    for connection in connections:
        statuses.append(connection.response().status)
    waiter.join()
    assert statuses.count(200) >= 1 and set(statuses) <= {200, 503}
    assert proxy.upstream.connections <= 2
