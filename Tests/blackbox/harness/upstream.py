"""A scripted upstream: records every request byte for byte and answers what the test says."""

import dataclasses
import pathlib
import socket
import ssl
import struct
import threading
import time

from .tls import Handshake, TLSSocket
from .wire import Closed, Fields, Reader

OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok"


def answer(status="200 OK", body=b"ok", fields=()):
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields)
    head = f"HTTP/1.1 {status}\r\n{lines}Content-Length: {len(body)}\r\n\r\n"
    return head.encode("latin-1") + body


@dataclasses.dataclass
class Request:
    """What arrived. `raw` is head and body as they were on the wire."""

    method: str
    target: str
    version: str
    fields: Fields
    raw_head: bytes
    connection: int
    body: bytes = b""
    raw: bytes = b""
    trailers: Fields = dataclasses.field(default_factory=Fields)

    def get(self, name, default=None):
        return self.fields.get(name, default)


class Peer:
    """One accepted connection, as a script sees it."""

    def __init__(self, sock, number):
        self.sock = sock
        # What a script sends is on its way at once: Nagle would hold a second message back until
        # the first one's acknowledgement, and that comes with the next request.
        if sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.number = number
        self.is_cut = False
        self.reader = Reader(sock)

    def send(self, data):
        self.sock.sendall(data)

    def close(self):
        """In TLS with `close_notify`, unless the script said otherwise."""
        if isinstance(self.sock, TLSSocket) and not self.is_cut:
            self.sock.orderly_close()
        else:
            self.sock.close()

    def reset(self):
        self.is_cut = True
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def read_head(self):
        start, fields, raw = self.reader.head()
        method, target, version = start.split(" ")
        return Request(method, target, version, fields, raw, self.number)

    def read_body(self, request):
        mark = len(self.reader.taken)
        if "Transfer-Encoding" in request.fields:
            request.body, request.trailers, _ = self.reader.chunked()
        elif length := int(request.get("Content-Length", "0")):
            request.body = self.reader.take(length)
        request.raw = request.raw_head + self.reader.taken[mark:]


class Close:
    """A script's answer after which the upstream closes."""

    def __init__(self, data=b"", *, reset=False, cut=False):
        self.data = data
        self.reset = reset
        # TLS: the connection ends without `close_notify`.
        self.cut = cut


class Upstream:
    """Listens from creation on. `script(request, peer)` returns bytes, a Close, or None when it
    sent what it wanted itself. `early` scripts are called before the body is read."""

    def __init__(self, path=None, port=0, *, tls=None):
        # A server context; every handshake is noted, the ones that fail too.
        self.tls = tls
        self.handshakes = []
        self.wires = []
        if path is None:
            self.listener = socket.create_server(("127.0.0.1", port), backlog=256)
            self.port = self.listener.getsockname()[1]
            scheme = "http" if tls is None else "https"
            self.endpoint = f"{scheme}://127.0.0.1:{self.port}"
        else:
            pathlib.Path(path).unlink(missing_ok=True)
            self.listener = socket.socket(socket.AF_UNIX)
            self.listener.bind(str(path))
            self.listener.listen(256)
            self.endpoint = f"unix:{path}"
        self.changed = threading.Condition()
        self.peers = []
        self.connections = 0
        self.reset()
        threading.Thread(target=self._accept, daemon=True).start()

    def reset(self):
        with self.changed:
            self.requests = []
            self.script = lambda request, peer: OK
            self.early = False

    def answers(self, data):
        self.script = lambda request, peer: data

    def _accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            sock.settimeout(60)
            with self.changed:
                self.connections += 1
                peer = Peer(sock, self.connections)
                self.peers.append(peer)
                self.changed.notify_all()
            threading.Thread(target=self._serve, args=(peer,), daemon=True).start()

    def _serve(self, peer):
        try:
            if self.tls is not None:
                self._handshake(peer)
            while self._exchange(peer):
                peer.reader.taken = b""
        except (Closed, OSError, ValueError, AssertionError):
            pass
        finally:
            peer.close()
            with self.changed:
                self.peers.remove(peer)
                self.changed.notify_all()

    def _handshake(self, peer):
        secured = TLSSocket(peer.sock, self.tls, server_side=True)
        with self.changed:
            self.wires.append(secured.received)
        outcome = Handshake(error="closed")
        try:
            secured.handshake()
            peer.sock, peer.reader = secured, Reader(secured)
            outcome = secured.state()
        except ssl.SSLError as error:
            outcome = Handshake(error=error.reason or str(error))
            raise
        finally:
            with self.changed:
                self.handshakes.append(outcome)
                self.changed.notify_all()

    def _exchange(self, peer):
        request = peer.read_head()
        if not self.early:
            try:
                peer.read_body(request)
            except (Closed, OSError):
                self._record(request)
                raise
        script = self._record(request)
        result = script(request, peer)
        if isinstance(result, Close):
            peer.send(result.data)
            if result.reset:
                peer.reset()
            peer.is_cut |= result.cut
            return False
        if result is not None:
            peer.send(result)
        return True

    def _record(self, request):
        with self.changed:
            self.requests.append(request)
            self.changed.notify_all()
            return self.script

    def wait_for(self, condition, seconds=5):
        """Until `condition()` holds, judged on every change."""
        deadline = time.monotonic() + seconds
        with self.changed:
            while not condition():
                left = deadline - time.monotonic()
                assert left > 0, "the upstream did not see what the test waits for"
                self.changed.wait(left)

    def request(self, count=1):
        """The only request so far (or all `count` of them), waited for."""
        self.wait_for(lambda: len(self.requests) >= count)
        with self.changed:
            assert len(self.requests) == count, [r.raw_head for r in self.requests]
            return self.requests[0] if count == 1 else list(self.requests)

    def drop_connections(self):
        """Closes what the proxy may hold in its pool, and waits until that is done."""
        with self.changed:
            peers = list(self.peers)
        for peer in peers:
            try:
                peer.sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        self.wait_for(lambda: not any(peer in self.peers for peer in peers))

    def close(self):
        """Stops listening; a blocked accept is woken by the shutdown."""
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()
        self.drop_connections()
