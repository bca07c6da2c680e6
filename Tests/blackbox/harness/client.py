"""A raw HTTP/1.1 client."""

import dataclasses
import json
import socket
import struct

from .tls import TLSSocket
from .wire import Closed, Fields, Reader, connect

TIMEOUT = 8


@dataclasses.dataclass
class Response:
    status: int
    reason: str
    version: str
    fields: Fields
    body: bytes = b""
    raw_head: bytes = b""
    trailers: Fields = dataclasses.field(default_factory=Fields)
    chunks: list = dataclasses.field(default_factory=list)
    interim: list = dataclasses.field(default_factory=list)

    def get(self, name, default=None):
        return self.fields.get(name, default)

    def json(self):
        return json.loads(self.body)

    def __str__(self):
        return f"{self.status} {self.fields} {self.body[:300]!r}"


class Connection:
    """`tls` is a client context; the handshake is done when the connection is there."""

    def __init__(self, address, timeout=TIMEOUT, *, tls=None, server_name="api.test",
                 session=None):
        self.sock = connect(address, timeout)
        if tls is not None:
            self.sock = TLSSocket(self.sock, tls, server_name=server_name, session=session)
            try:
                self.sock.handshake()
            except BaseException:
                self.sock.close()
                raise
        self.reader = Reader(self.sock)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def send(self, data):
        """A peer may have answered and closed already; what it said is still there to read."""
        if isinstance(data, str):
            data = data.encode("latin-1")
        try:
            self.sock.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass

    @property
    def tls(self):
        """The `ssl.SSLObject`: what was negotiated, and the session."""
        return self.sock.tls

    def half_close(self):
        self.sock.shutdown(socket.SHUT_WR)

    def close(self):
        self.sock.close()

    def reset(self):
        """Closes with RST instead of FIN."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def head(self):
        start, fields, raw = self.reader.head()
        version, _, rest = start.partition(" ")
        status, _, reason = rest.partition(" ")
        assert version in ("HTTP/1.1", "HTTP/1.0") and len(status) == 3, start
        return Response(int(status), reason, version, fields, raw_head=raw)

    def response(self, method="GET"):
        """The next final response; Closed when it is cut short."""
        interim = []
        while True:
            response = self.head()
            if response.status >= 200 or response.status == 101:
                break
            interim.append(response)
        response.interim = interim
        if response.status != 101:
            self._read_body(response, method)
        return response

    def _read_body(self, response, method):
        if method == "HEAD" or response.status in (204, 304):
            return
        coding, length = response.get("Transfer-Encoding"), response.get("Content-Length")
        assert coding is None or length is None, f"both framings: {response}"
        if coding is not None:
            assert coding.lower() == "chunked"
            response.body, response.trailers, response.chunks = self.reader.chunked()
        elif length is not None:
            response.body = self.reader.take(int(length))
        else:
            response.body = self.reader.rest()

    def is_closed(self):
        """Waits for the peer's close; extra bytes are a fault of the test's peer."""
        rest = self.reader.rest()
        assert rest == b"", f"bytes after the last response: {rest[:300]!r}"
        return True


def field_lines(fields):
    pairs = fields.items() if isinstance(fields, dict) else fields
    return "".join(f"{name}: {value}\r\n" for name, value in pairs)


def request_bytes(method="GET", target="/", *, host="api.test", token=None, fields=(), body=None,
                  version="HTTP/1.1"):
    """A well-formed request; a body given gets its Content-Length."""
    lines = f"{method} {target} {version}\r\n"
    if host is not None:
        lines += f"Host: {host}\r\n"
    if token is not None:
        lines += f"Authorization: Bearer {token}\r\n"
    lines += field_lines(fields)
    if body is not None:
        lines += f"Content-Length: {len(body)}\r\n"
    return (lines + "\r\n").encode("latin-1") + (body or b"")


__all__ = ["Closed", "Connection", "Response", "request_bytes", "field_lines", "TIMEOUT"]
