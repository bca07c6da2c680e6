"""An HTTP/2 client that sends any frame and keeps what comes back, held against the windows that
it gave."""

import dataclasses
import select
import struct
import time

from .client import TIMEOUT, Response
from .frames import (
    ACK, DEFAULT_WINDOW, END_HEADERS, END_STREAM, PREFACE, Code, Frames, Setting, Type, data, head,
    headers, ping, settings, window_update)
from .wire import Fields, connect


@dataclasses.dataclass
class Stream:
    """A request's stream as the client sees it."""

    id: int
    credit: int  # what the server may still send
    window: int  # what we may still send
    heads: list = dataclasses.field(default_factory=list)
    body: bytearray = dataclasses.field(default_factory=bytearray)
    sizes: list = dataclasses.field(default_factory=list)
    trailers: Fields = dataclasses.field(default_factory=Fields)
    ended: bool = False
    reset: int | None = None

    @property
    def final(self):
        last = self.heads[-1] if self.heads else None
        return last if last is not None and not last.get(":status").startswith("1") else None

    @property
    def status(self):
        return int(self.final.get(":status")) if self.final is not None else None

    def response(self):
        plain = Fields(pair for pair in self.final if not pair[0].startswith(":"))
        interim = [Response(int(one.get(":status")), "", "HTTP/2",
                            Fields(pair for pair in one if not pair[0].startswith(":")))
                   for one in self.heads[:-1]]
        return Response(self.status, "", "HTTP/2", plain, bytes(self.body),
                        trailers=self.trailers, interim=interim)


class Client:
    """Sends what it is told and reads only while a test waits. `credit` gives windows back by
    itself, `polite` acknowledges SETTINGS and PING."""

    def __init__(self, address, *, settings=None, start=True, credit=True, polite=True, tls=None,
                 timeout=TIMEOUT, server_name="api.test"):
        self.sock = connect(address, timeout)
        self.timeout = timeout
        if tls is not None:
            self.sock = tls.wrap_socket(self.sock, server_hostname=server_name)
        self.frames = Frames()
        self.streams, self.seen, self.violations = {}, [], []
        self.next_id, self.window, self.connection_credit = 1, DEFAULT_WINDOW, DEFAULT_WINDOW
        self.peer_settings, self.acks, self.pongs = {}, 0, []
        self.goaway, self.closed = None, False
        self.credit, self.polite = credit, polite
        self.initial = DEFAULT_WINDOW
        if start:
            self.send(PREFACE)
            self.change(settings or {})

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        self.close()
        assert kind or not self.violations, self.violations

    def close(self):
        self.sock.close()

    # Sending.
    def send(self, octets):
        try:
            self.sock.sendall(octets)
        except (BrokenPipeError, ConnectionResetError):
            pass

    def change(self, values):
        """Sends SETTINGS. A larger window holds at once, a smaller one once the peer has it."""
        if Setting.INITIAL_WINDOW_SIZE in values:
            delta = values[Setting.INITIAL_WINDOW_SIZE] - self.initial
            self.initial += delta
            for stream in self.streams.values():
                stream.credit += delta
        self.send(settings(values))

    def expect(self, number):
        """Keeps what comes on a stream; also for one that a test opens by its own octets."""
        stream = self.streams[number] = Stream(
            number, self.initial,
            self.peer_settings.get(Setting.INITIAL_WINDOW_SIZE, DEFAULT_WINDOW))
        return stream

    def open(self, fields, *, end=True, flags=END_HEADERS, identifier=None):
        """HEADERS on a new stream."""
        number = identifier or self.next_id
        self.next_id = max(self.next_id, number + 2)
        stream = self.expect(number)
        self.send(headers(number, fields, end=end, flags=flags))
        return stream

    def request(self, method="GET", path="/public/x", *, body=None, trailers=None, end=None,
                **more):
        """A well-formed request; a body is sent as windows allow."""
        done = body is None and trailers is None if end is None else end
        stream = self.open(head(method, path, **more), end=done)
        if body is not None:
            self.upload(stream, body, end=trailers is None and end is not False)
        if trailers is not None:
            self.send(headers(stream.id, trailers))
        return stream

    def upload(self, stream, body, *, end=True):
        """Within the server's windows; what it says meanwhile is read."""
        sent, size = 0, self.peer_settings.get(Setting.MAX_FRAME_SIZE, 16384)
        while sent < len(body):
            self.wait(lambda: min(stream.window, self.window) > 0 or stream.ended
                      or stream.reset is not None, what="window to send in")
            if stream.ended or stream.reset is not None:
                return sent
            part = body[sent:sent + min(size, stream.window, self.window)]
            self.raw_data(stream, part, end=end and sent + len(part) == len(body))
            sent += len(part)
        if end and not body:
            self.raw_data(stream, b"", end=True)
        return sent

    def fill(self, stream, limit=32 << 20):
        """Sends until no window comes any more; how much that was."""
        sent = 0
        while sent < limit:
            deadline = time.monotonic() + 0.4
            while (room := min(stream.window, self.window, 16384)) <= 0 and not self.closed:
                if (left := deadline - time.monotonic()) <= 0:
                    return sent
                self.pump(left)
            self.raw_data(stream, bytes(room))
            self.pump(0)
            sent += room
        raise AssertionError(f"{sent} octets were taken: the upload is held nowhere")

    def raw_data(self, stream, part, *, end=False):
        stream.window -= len(part)
        self.window -= len(part)
        self.send(data(stream.id, part, end=end))

    def give(self, stream, count):
        """WINDOW_UPDATE, for a stream or with None for the connection."""
        if stream is None:
            self.connection_credit += count
        else:
            stream.credit += count
        self.send(window_update(stream.id if stream else 0, count))

    # Receiving.
    def pump(self, seconds):
        """Reads once, if anything comes within the time."""
        pending = getattr(self.sock, "pending", lambda: 0)()
        if not pending and not select.select([self.sock], [], [], max(0, seconds))[0]:
            return
        try:
            received = self.sock.recv(65536)
        except (ConnectionResetError, BrokenPipeError):
            received = b""
        if not received:
            self.closed = True
            return
        for got in self.frames.feed(received):
            self._take(got)

    def wait(self, ready, seconds=None, what="what the test waits for"):
        deadline = time.monotonic() + (seconds or self.timeout)
        while not ready():
            left = deadline - time.monotonic()
            assert left > 0, f"{what} did not come; last frames {self.seen[-5:]}"
            assert not self.closed, f"{what} did not come, the connection was closed " \
                f"(GOAWAY {self.goaway})"
            self.pump(left)

    def quiet(self, seconds=0.3):
        """Reads for a while, for tests of what must not come."""
        deadline = time.monotonic() + seconds
        while not self.closed and (left := deadline - time.monotonic()) > 0:
            self.pump(left)

    def response(self, stream, seconds=None):
        self.wait(lambda: stream.ended or stream.reset is not None or self.goaway_excludes(stream),
                  seconds, f"the response on stream {stream.id}")
        assert stream.ended and stream.final is not None, \
            f"no whole response: reset {stream.reset}, heads {stream.heads}, GOAWAY {self.goaway}"
        return stream.response()

    def outcome(self, stream, seconds=None):
        """What became of a stream: its status, or `reset`, `goaway` or `closed` with a code."""
        try:
            self.wait(lambda: stream.ended or stream.reset is not None
                      or (self.goaway and self.goaway[1]), seconds)
        except AssertionError:
            if not self.closed:
                raise
        if (result := self.outcome_so_far(stream)) is not None:
            return result
        return ("goaway", self.goaway[1]) if self.goaway else ("closed", None)

    def outcome_so_far(self, stream):
        if stream.ended and stream.final is not None:
            return stream.status
        return None if stream.reset is None else ("reset", stream.reset)

    def goaway_excludes(self, stream):
        return self.goaway is not None and self.goaway[0] < stream.id

    def get(self, path="/public/x", **more):
        return self.response(self.request("GET", path, **more))

    def await_settings(self):
        """The server's first SETTINGS and its acknowledgement of ours."""
        self.wait(lambda: self.acks and any(
            one.kind == Type.SETTINGS and not one.flags & ACK for one in self.seen),
            what="SETTINGS")
        return self

    def alive(self):
        """A PING is answered: everything sent before has been dealt with."""
        mark = struct.pack(">Q", len(self.pongs) + 0x6265617277617264)
        self.send(ping(mark))
        self.wait(lambda: mark in self.pongs, what="the answer to PING")
        return True

    def is_closed(self, seconds=None):
        deadline = time.monotonic() + (seconds or self.timeout)
        while not self.closed and (left := deadline - time.monotonic()) > 0:
            self.pump(left)
        return self.closed

    def _take(self, got):
        self.seen.append(got)
        stream = self.streams.get(got.stream)
        if got.kind in (Type.HEADERS, Type.CONTINUATION):
            self._take_block(stream, self.frames.gather(got))
        elif got.kind == Type.DATA:
            self._take_data(stream, got)
        elif got.kind == Type.SETTINGS:
            self._take_settings(got)
        elif got.kind == Type.RST_STREAM and stream:
            stream.reset = got.number()
        elif got.kind == Type.GOAWAY:
            self.goaway = (got.number() & 0x7FFFFFFF, got.number(4))
        elif got.kind == Type.WINDOW_UPDATE:
            if stream:
                stream.window += got.number()
            elif got.stream == 0:
                self.window += got.number()
        elif got.kind == Type.PING:
            if got.flags & ACK:
                self.pongs.append(got.payload)
            elif self.polite:
                self.send(ping(got.payload, ACK))

    def _take_block(self, stream, whole):
        if whole is None or stream is None:
            return
        fields, flags = whole
        if stream.final is not None:
            stream.trailers = fields
        else:
            stream.heads.append(fields)
        stream.ended = stream.ended or bool(flags & END_STREAM)

    def _take_data(self, stream, got):
        size = len(got.payload)
        self.connection_credit -= size
        if self.connection_credit < 0 and size:
            self.violations.append(f"DATA of {size} beyond the connection's window")
        if stream is None:
            return
        stream.credit -= size
        if stream.credit < 0 and size:
            self.violations.append(f"DATA of {size} beyond the window of stream {stream.id}")
        stream.body += got.content()
        stream.sizes.append(len(got.content()))
        stream.ended = bool(got.flags & END_STREAM)
        if self.credit and self.connection_credit < DEFAULT_WINDOW // 2:
            self.give(None, DEFAULT_WINDOW - self.connection_credit)
        if self.credit and not stream.ended and stream.credit < self.initial // 2:
            self.give(stream, self.initial - stream.credit)

    def _take_settings(self, got):
        if got.flags & ACK:
            self.acks += 1
            return
        before = self.peer_settings.get(Setting.INITIAL_WINDOW_SIZE, DEFAULT_WINDOW)
        for offset in range(0, len(got.payload), 6):
            identifier, value = struct.unpack_from(">HI", got.payload, offset)
            self.peer_settings[identifier] = value
        after = self.peer_settings.get(Setting.INITIAL_WINDOW_SIZE, DEFAULT_WINDOW)
        for stream in self.streams.values():
            stream.window += after - before
        if self.polite:
            self.send(settings(flags=ACK))


def flood(client, chunk, count, *, seconds=20):
    """Sends a chunk up to `count` times while reading; how many were sent before the end."""
    client.sock.setblocking(False)
    sent, rest, deadline = 0, b"", time.monotonic() + seconds
    while not client.closed and not client.goaway and time.monotonic() < deadline:
        if not rest:
            if sent == count:
                break
            rest = chunk(sent) if callable(chunk) else chunk
            sent += 1
        readable, writable, _ = select.select([client.sock], [client.sock], [], 1)
        if writable:
            try:
                rest = rest[client.sock.send(rest):]
            except BlockingIOError:
                pass
            except OSError:
                client.closed = True
        if readable:
            client.pump(0)
    client.sock.settimeout(client.timeout)
    return sent


def dial(proxy, **more):
    return Client(proxy.gateway.address, **more)


def exchange(proxy, method="GET", path="/public/x", **more):
    """One request on its own connection, wholly answered."""
    with dial(proxy) as client:
        return client.response(client.request(method, path, **more))


def refuses(proxy, fields, statuses, *, body=None):
    """Refused by a status, or as malformed by a stream error; nothing reaches the upstream."""
    expected = statuses if isinstance(statuses, tuple) else (statuses,)
    since = len(proxy.upstream.requests)
    with dial(proxy) as client:
        stream = client.open(fields, end=body is None)
        if body is not None:
            client.raw_data(stream, body, end=True)
        result = client.outcome(stream)
        assert result in expected or result == ("reset", Code.PROTOCOL_ERROR), result
        if isinstance(result, int):
            assert client.alive(), "a refusal ends its stream alone"
    proxy.nothing_forwarded(since)
    return result
