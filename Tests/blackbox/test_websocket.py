"""WebSocket through the proxy with Python's `websockets` at both ends, and tunnels by hand."""

import contextlib
import socket
import threading

import pytest
from harness.client import Closed, request_bytes
from harness.gateway import poll
from harness.standard import small
from harness.tokens import keys, mint
from harness.upstream import Close
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect
from websockets.sync.server import serve

UPGRADE = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
           "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"


class EchoServer:
    def __init__(self):
        self.headers = []

        def echo(connection):
            self.headers.append(connection.request.headers)
            for message in connection:
                if message == "bye":
                    break
                connection.send(message)

        self.server = serve(echo, "127.0.0.1", 0, max_size=None)
        self.port = self.server.socket.getsockname()[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture(scope="module")
def echo():
    made = EchoServer()
    yield made
    made.server.shutdown()


@pytest.fixture
def gateway(launch, echo):
    return launch(small(f"http://127.0.0.1:{echo.port}",
                        {"path": "/ws/**", "scopes": ["orders:read"],
                         "claimHeaders": {"X-Sub": "sub"}}))


def dial(gateway, path="/ws/echo", token=None, **more):
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    uri = f"ws://{gateway.address[0]}:{gateway.address[1]}{path}"
    return connect(uri, additional_headers={**headers, **more}, max_size=None, proxy=None)


def test_echo_with_a_token(gateway, echo):
    with dial(gateway, token=mint(), **{"X-Sub": "root"}) as socket_:
        for message in ["hello", "é漢😀", "", b"\0\1\2", "x" * 200_000, bytes(1_000_000)]:
            socket_.send(message)
            assert socket_.recv(timeout=10) == message
    headers = echo.headers[-1]
    assert headers.get_all("X-Sub") == ["alice"] and "Authorization" not in headers


def test_echo_without_a_token_on_a_public_route(gateway):
    with dial(gateway, "/public/echo") as socket_:
        socket_.send("hello")
        assert socket_.recv(timeout=5) == "hello"


@pytest.mark.parametrize("case, status", [("none", 401), ("expired", 401), ("forged", 401),
                                          ("scope", 403)])
def test_refused_handshake(gateway, echo, case, status):
    before = len(echo.headers)
    token = {"none": lambda: None, "expired": lambda: mint(exp=1), "scope": lambda: mint(scope="x"),
             "forged": lambda: mint(key=keys().stranger)}[case]()
    with pytest.raises(InvalidStatus) as refusal:
        dial(gateway, token=token)
    assert refusal.value.response.status_code == status
    assert len(echo.headers) == before


def test_server_close_reaches_the_client(gateway):
    with dial(gateway, token=mint()) as socket_:
        socket_.send("bye")
        with pytest.raises(ConnectionClosed) as closed:
            socket_.recv(timeout=5)
        assert closed.value.rcvd.code == 1000


def test_many_sockets_at_once(gateway):
    token = mint()
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(dial(gateway, token=token)) for _ in range(30)]
        for number, socket_ in enumerate(sockets):
            socket_.send(str(number))
        assert [socket_.recv(timeout=5) for socket_ in sockets] == [str(n) for n in range(30)]


def tunnel(script):
    def run(request, peer):
        peer.send(SWITCH)
        script(peer)
        return Close()
    return run


def opened(proxy):
    connection = proxy.connect()
    connection.send(request_bytes("GET", "/ws/x", token=mint(), fields=UPGRADE))
    response = connection.response()
    assert response.status == 101
    return connection, response


def test_the_101_passes_with_its_fields(proxy):
    proxy.upstream.script = lambda request, peer: Close(
        SWITCH[:-2] + b"Sec-WebSocket-Accept: abc\r\nX-Extra: 1\r\n\r\nhello")
    connection, response = opened(proxy)
    assert response.get("Upgrade") == "websocket"
    assert response.get("Connection").lower() == "upgrade"
    assert response.get("Sec-WebSocket-Accept") == "abc" and response.get("X-Extra") == "1"
    assert connection.reader.rest() == b"hello"
    request = proxy.upstream.request()
    assert request.get("Upgrade") == "websocket" and request.get("Connection").lower() == "upgrade"
    assert request.get("Sec-WebSocket-Key") == UPGRADE["Sec-WebSocket-Key"]


def test_bytes_right_behind_the_101_arrive(proxy):
    proxy.upstream.script = lambda request, peer: Close(SWITCH + b"x" * 100_000)
    connection, _ = opened(proxy)
    assert connection.reader.rest() == b"x" * 100_000


def test_tunnel_is_full_duplex_and_half_closes(proxy):
    """The client's end of sending reaches the upstream, whose answer still comes back."""
    got = []

    def script(peer):
        got.append(peer.reader.rest())
        peer.send(b"after your end")

    proxy.upstream.script = tunnel(script)
    connection, _ = opened(proxy)
    connection.send(b"all I have to say")
    connection.half_close()
    assert connection.reader.rest() == b"after your end"
    assert got == [b"all I have to say"]


def test_upstreams_end_closes_the_tunnel(proxy):
    proxy.upstream.script = tunnel(lambda peer: peer.send(b"bye"))
    connection, _ = opened(proxy)
    assert connection.reader.rest() == b"bye"


def test_clients_reset_closes_the_upstream(proxy):
    ended = threading.Event()

    def script(peer):
        try:
            peer.reader.rest()
        finally:
            ended.set()

    proxy.upstream.script = tunnel(script)
    connection, _ = opened(proxy)
    connection.reset()
    assert ended.wait(10)


def test_tunnel_bytes_are_never_read_as_requests(proxy):
    got = []
    smuggled = request_bytes("GET", "/public/smuggled")

    def script(peer):
        got.append(peer.reader.take(len(smuggled)))
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfalse")

    proxy.upstream.script = tunnel(script)
    connection, _ = opened(proxy)
    connection.send(smuggled)
    assert connection.reader.rest().endswith(b"false")
    assert got == [smuggled] and len(proxy.upstream.requests) == 1


def test_tunnelled_connection_is_never_pooled(proxy):
    proxy.upstream.script = tunnel(lambda peer: peer.reader.rest())
    connection, _ = opened(proxy)
    tunnelled = proxy.upstream.requests[0].connection
    connection.close()
    proxy.upstream.reset()
    for _ in range(5):
        assert proxy.get("/public/x").status == 200
    assert all(r.connection != tunnelled for r in proxy.upstream.requests)


def test_quiet_tunnel_is_closed_after_stream(own):
    proxy = own(upstream={"timeouts": {"stream": "400ms"}})
    proxy.upstream.script = tunnel(lambda peer: peer.reader.rest())
    with proxy.connect() as connection:
        connection.send(request_bytes("GET", "/public/x", fields=UPGRADE))
        assert connection.response().status == 101
        assert connection.reader.rest() == b""


@pytest.mark.parametrize("fields", [
    {"Upgrade": "websocket"}, {"Connection": "keep-alive", "Upgrade": "websocket"}])
def test_upgrade_not_named_by_connection_is_no_upgrade(proxy, fields):
    """RFC 9110 §7.8: a sender of Upgrade must name it in Connection."""
    assert proxy.get("/public/x", fields=fields).status == 200
    assert "Upgrade" not in proxy.upstream.request().fields


def test_upgrade_on_http_1_0_is_ignored(proxy):
    data = request_bytes("GET", "/public/x", fields=UPGRADE, version="HTTP/1.0")
    assert proxy.raw(data).status == 200
    assert "Upgrade" not in proxy.upstream.request().fields


def test_upgrade_with_a_body_opens_no_tunnel_over_it(proxy):
    """The body is the request's; only what follows it could be the tunnel's."""
    proxy.upstream.script = lambda request, peer: Close(SWITCH + b"got " + request.body)
    with proxy.connect() as connection:
        connection.send(request_bytes("POST", "/ws-public/x", fields=UPGRADE, body=b"body"))
        try:
            response = connection.response()
            assert response.status in (101, 200, 400, 501, 502)
            if response.status == 101:
                assert connection.reader.rest() == b"got body"
        except Closed:
            pass


def test_drain_ends_tunnels(launch, upstream):
    """A tunnel may live as long as `drain`, not longer."""
    gateway = launch({**small(upstream.endpoint), "timeouts": {"drain": "500ms"}})
    upstream.script = tunnel(lambda peer: peer.reader.rest())
    connection = gateway.connect()
    connection.send(request_bytes("GET", "/public/x", fields=UPGRADE))
    assert connection.response().status == 101
    assert gateway.stop() == 0
    assert connection.reader.rest() == b""


def test_tunnel_backpressure_holds_the_sender(proxy):
    release, sent = threading.Event(), [0]

    def script(peer):
        release.wait(20)

    proxy.upstream.script = tunnel(script)
    connection, _ = opened(proxy)
    connection.sock.settimeout(1)
    try:
        while sent[0] < 256 * 1024 * 1024:
            sent[0] += connection.sock.send(bytes(65536))
    except (TimeoutError, socket.timeout):
        pass
    release.set()
    assert sent[0] < 64 * 1024 * 1024
    connection.close()
    poll(lambda: proxy.gateway.running, 1)
