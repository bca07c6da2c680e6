"""HTTP/1.1 read from a socket without mercy or repair: what arrived is what a test sees."""

import socket


class Closed(Exception):
    """The peer closed, in an orderly way, before the message was whole; `received` is its part."""

    def __init__(self, received=b""):
        super().__init__(f"closed after {received[-200:]!r}")
        self.received = received


class Truncated(Closed):
    """The peer closed a TLS connection without `close_notify`."""


class Fields(list):
    """Field lines in order, as (name, value) text."""

    def all(self, name):
        return [value for found, value in self if found.lower() == name.lower()]

    def get(self, name, default=None):
        values = self.all(name)
        assert len(values) < 2, f"{name} appears {len(values)} times: {values}"
        return values[0] if values else default

    def __contains__(self, name):
        return any(found.lower() == name.lower() for found, _ in self)

    def names(self):
        return [name.lower() for name, _ in self]


def parse_fields(lines):
    fields = Fields()
    for line in lines:
        name, colon, value = line.partition(b":")
        assert colon and name and name == name.strip(), f"not a field line: {line!r}"
        fields.append((name.decode("latin-1"), value.strip(b" \t").decode("latin-1")))
    return fields


class Reader:
    """Buffered reading; every byte consumed is also kept in `taken`."""

    def __init__(self, sock):
        self.sock = sock
        self.buffer = b""
        self.taken = b""
        # How the peer ended, once `rest` has met it.
        self.was_truncated = False

    def fill(self):
        try:
            more = self.sock.recv(65536)
        except ConnectionResetError:
            more = b""
        if not more:
            raise Closed(self.buffer)
        self.buffer += more

    def take(self, count):
        while len(self.buffer) < count:
            self.fill()
        data, self.buffer = self.buffer[:count], self.buffer[count:]
        self.taken += data
        return data

    def until(self, mark):
        while mark not in self.buffer:
            self.fill()
        return self.take(self.buffer.index(mark) + len(mark))

    def head(self):
        """The start line, the fields and the raw bytes."""
        raw = self.until(b"\r\n\r\n")
        start, *lines = raw[:-4].split(b"\r\n")
        return start.decode("latin-1"), parse_fields(lines), raw

    def chunked(self):
        """The body, its trailers, and the list of chunks as they came."""
        chunks = []
        while True:
            size = int(self.until(b"\r\n")[:-2].partition(b";")[0].strip(), 16)
            if size == 0:
                break
            chunks.append(self.take(size))
            assert self.take(2) == b"\r\n"
        trailers = []
        while line := self.until(b"\r\n")[:-2]:
            trailers.append(line)
        return b"".join(chunks), parse_fields(trailers), chunks

    def rest(self):
        """Everything until the peer closes."""
        while True:
            try:
                self.fill()
            except Closed as closed:
                self.was_truncated = isinstance(closed, Truncated)
                return self.take(len(self.buffer))


def connect(address, timeout):
    if isinstance(address, tuple):
        sock = socket.create_connection(address, timeout=timeout)
        # What a test sends in two writes shall arrive at once, and in two pieces.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(timeout)
    sock.connect(str(address))
    return sock
