"""A scripted HTTP/2 upstream: it records requests and every breach of RFC 9113 by the proxy, and
answers with whatever frames a test says."""

import dataclasses
import select
import ssl
import struct
import threading
import time

from .frames import (
    ACK, DEFAULT_WINDOW, END_STREAM, PREFACE, Code, Frames, Setting, Type, data, goaway, headers,
    ping, rst, settings, window_update)
from .upstream import Request, Upstream
from .wire import Fields

HOP_BY_HOP = {"connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade",
              "host"}


@dataclasses.dataclass
class StreamRequest(Request):
    """What arrived on one stream. `raw_head` is the decoded block as lines."""

    stream: int = 0
    pseudo: dict = dataclasses.field(default_factory=dict)
    body: bytearray = dataclasses.field(default_factory=bytearray)
    ended: bool = False
    answered: bool = False
    reset: int | None = None
    sizes: list = dataclasses.field(default_factory=list)
    window: int = DEFAULT_WINDOW

    @property
    def authority(self):
        return self.pseudo.get(":authority")


class Http2Peer:
    """One accepted connection. Scripts run in threads of their own, so one may wait while other
    streams go on."""

    def __init__(self, peer, server):
        self.sock, self.number, self.server = peer.sock, peer.number, server
        self.frames, self.streams = Frames(), {}
        self.window, self.initial, self.largest = DEFAULT_WINDOW, DEFAULT_WINDOW, 0
        # The last stream that is looked at, once a GOAWAY has said so.
        self.final = None
        self.seen, self.pongs, self.goaway = [], [], None
        self.taken = {}
        self.lock = threading.RLock()
        # What the proxy has acknowledged; before that it may open as many streams as it likes.
        self.announced = None
        self.unacknowledged = []

    # Sending.
    def send(self, octets):
        with self.lock:
            self.sock.sendall(octets)

    def change(self, values):
        with self.lock:
            self.unacknowledged.append(values)
            self.send(settings(values))

    def respond(self, request, status=200, body=b"ok", fields=(), trailers=None, length=True):
        pairs = list(fields.items() if isinstance(fields, dict) else fields)
        sized = [("content-length", str(len(body)))] if length else []
        self.head(request, status, [*pairs, *sized], end=not body and trailers is None)
        if body:
            self.body(request, body, end=trailers is None)
        if trailers is not None:
            self.trailers(request, trailers)

    def trailers(self, request, fields):
        request.answered = True
        self.send(headers(request.stream, fields))

    def head(self, request, status=200, fields=(), *, end=False):
        pairs = list(fields.items() if isinstance(fields, dict) else fields)
        request.answered = request.answered or end
        self.send(headers(request.stream, [(":status", str(status)), *pairs], end=end))

    def body(self, request, body, *, end=False, size=16384):
        """Within the proxy's windows; waits for them. False when the stream is gone."""
        sent = 0
        while sent < len(body):
            with self.server.changed:
                while min(self.window, request.window) <= 0 and request.reset is None:
                    assert self.server.changed.wait(30), "no window came"
                if request.reset is not None:
                    return False
                part = body[sent:sent + min(size, self.window, request.window)]
                self.window -= len(part)
                request.window -= len(part)
            sent += len(part)
            request.answered = request.answered or (end and sent == len(body))
            self.send(data(request.stream, part, end=end and sent == len(body)))
        return True

    def reset(self, request, code=Code.CANCEL):
        request.answered = True
        self.send(rst(request.stream, code))

    def go_away(self, last=None, code=Code.NO_ERROR):
        with self.lock:
            if last is None:
                last = self.final = self.largest
            self.send(goaway(last, code))

    def ping(self):
        self.send(ping(b"upstream"))

    def give(self, request, count):
        self.send(window_update(request.stream if request else 0, count))

    def shutdown(self):
        try:
            self.sock.shutdown(2)
        except OSError:
            pass

    # Receiving.
    def serve(self):
        preface = b""
        while len(preface) < len(PREFACE):
            more = self.sock.recv(len(PREFACE) - len(preface))
            if not more:
                return
            preface += more
        if preface != PREFACE:
            self.breach(f"not a preface: {preface!r}")
            return
        if self.server.opening is not None:
            self.send(self.server.opening)
        elif not self.server.silent:
            self.change(self.server.settings)
        while received := self.sock.recv(65536):
            for got in self.frames.feed(received):
                with self.server.changed:
                    self._take(got)
                    self.server.changed.notify_all()

    def breach(self, what):
        self.server.violations.append(f"connection {self.number}: {what}")

    def _take(self, got):
        if len(self.seen) < 100_000:
            self.seen.append(got)
        request = self.streams.get(got.stream)
        if got.kind in (Type.HEADERS, Type.CONTINUATION):
            whole = self.frames.gather(got)
            if whole is not None:
                self._take_block(got.stream, request, *whole)
        elif got.kind == Type.DATA:
            self._take_data(request, got)
        elif got.kind == Type.SETTINGS:
            self._take_settings(got)
        elif got.kind == Type.PING:
            if got.flags & ACK:
                self.pongs.append(got.payload)
            elif self.server.answers_pings:
                self.send(ping(got.payload, ACK))
        elif got.kind == Type.RST_STREAM:
            if request is not None:
                request.reset = got.number()
            elif not self._is_past(got.stream):
                self.breach("RST_STREAM on an idle stream")
        elif got.kind == Type.GOAWAY:
            self.goaway = (got.number(), got.number(4))
        elif got.kind == Type.WINDOW_UPDATE and got.stream == 0:
            self.window += got.number()
        elif got.kind == Type.WINDOW_UPDATE and request is not None:
            request.window += got.number()

    def _take_settings(self, got):
        if got.flags & ACK:
            acknowledged = self.unacknowledged.pop(0) if self.unacknowledged else {}
            self.announced = acknowledged.get(Setting.MAX_CONCURRENT_STREAMS, self.announced)
            return
        for offset in range(0, len(got.payload), 6):
            identifier, value = struct.unpack_from(">HI", got.payload, offset)
            if identifier == Setting.INITIAL_WINDOW_SIZE:
                for request in self.streams.values():
                    request.window += value - self.initial
                self.initial = value
            if identifier == Setting.ENABLE_PUSH and value:
                self.breach("a proxy has no use for pushes")
        if not self.server.silent and self.server.opening is None:
            self.send(settings(flags=ACK))

    def open_streams(self):
        return [one for one in self.streams.values() if one.reset is None and not one.answered]

    def _take_block(self, stream, request, fields, flags):
        end = bool(flags & END_STREAM)
        if self._is_past(stream):
            return
        if request is not None:
            if not end:
                self.breach("trailers without END_STREAM")
            request.trailers = fields
            self._end(request)
            return
        if stream <= self.largest or stream % 2 == 0:
            self.breach(f"stream {stream} after {self.largest}")
        with self.lock:
            if self._is_past(stream):
                return
            self.largest = max(self.largest, stream)
        if self.announced is not None and len(self.open_streams()) >= self.announced:
            self.breach(f"more than {self.announced} streams at once")
        pseudo = {name: value for name, value in fields if name.startswith(":")}
        plain = Fields(pair for pair in fields if not pair[0].startswith(":"))
        self._judge(fields, pseudo, plain)
        raw = "".join(f"{name}: {value}\r\n" for name, value in fields).encode("latin-1")
        request = StreamRequest(
            pseudo.get(":method"), pseudo.get(":path"), "HTTP/2", plain, raw, self.number,
            stream=stream, pseudo=pseudo, window=self.initial)
        refused = len(self.open_streams()) >= (self.server.refuses_beyond or 1 << 31)
        self.streams[stream] = request
        if refused:
            return self.reset(request, Code.REFUSED_STREAM)
        self.server.heads.append(request)
        if self.server.early:
            self._start(request)
        if end:
            self._end(request)

    def _is_past(self, stream):
        """Whether a GOAWAY said that this stream is not looked at."""
        return self.final is not None and stream > self.final

    def _judge(self, fields, pseudo, plain):
        names = [name for name, _ in fields]
        if any(name != name.lower() for name in names):
            self.breach(f"upper case in {names}")
        if any(name.startswith(":") for name in names[len(pseudo):]):
            self.breach(f"pseudo-header fields late or twice: {names}")
        if set(pseudo) != {":method", ":scheme", ":authority", ":path"}:
            self.breach(f"pseudo-header fields {sorted(pseudo)}")
        if HOP_BY_HOP & set(names):
            self.breach(f"hop-by-hop fields {sorted(HOP_BY_HOP & set(names))}")
        if plain.all("te") not in ([], ["trailers"]):
            self.breach(f"te: {plain.all('te')}")

    def _take_data(self, request, got):
        size, is_past = len(got.payload), self._is_past(got.stream)
        if not is_past:
            if request is None or request.ended:
                self.breach(f"DATA on stream {got.stream}, which is not open")
                return
            request.body += got.content()
            request.sizes.append(size)
        # What is not looked at takes its part of the connection's window (RFC 9113, section 6.8),
        # and would keep it from the streams that are.
        for key in (0,) if is_past else (0, got.stream):
            self.taken[key] = self.taken.get(key, 0) + size
            window = self.server.settings.get(Setting.INITIAL_WINDOW_SIZE, DEFAULT_WINDOW)
            limit = window if key else DEFAULT_WINDOW
            if self.server.credit and self.taken[key] > limit // 2:
                if not (key and got.flags & END_STREAM):
                    self.send(window_update(key, self.taken[key]))
                self.taken[key] = 0
            elif self.server.credit is not None and self.taken[key] > limit:
                self.breach(f"{self.taken[key]} octets beyond the window of {limit} on {key}")
        if got.flags & END_STREAM and not is_past:
            self._end(request)

    def _end(self, request):
        request.ended = True
        request.raw = request.raw_head + request.body
        length = request.get("content-length")
        if length is not None and int(length) != len(request.body):
            self.breach(f"content-length {length}, body of {len(request.body)}")
        if not self.server.early:
            self._start(request)

    def _start(self, request):
        self.server.requests.append(request)
        threading.Thread(target=self._run, args=(self.server.script, request), daemon=True).start()

    def _run(self, script, request):
        try:
            answer = script(request, self)
            if isinstance(answer, bytes):
                self.respond(request, body=answer)
        except (OSError, AssertionError):
            pass


class SharedTLS:
    """A TLS socket that one thread reads while others write; OpenSSL allows one at a time."""

    def __init__(self, sock, context):
        self.sock, self.lock = sock, threading.Lock()
        self.tls = context.wrap_socket(sock, server_side=True)
        self.tls.setblocking(False)

    def _retry(self, action):
        while True:
            try:
                with self.lock:
                    return action()
            except ssl.SSLWantReadError:
                select.select([self.tls], [], [], 1)
            except ssl.SSLWantWriteError:
                select.select([], [self.tls], [], 1)

    def recv(self, count):
        return self._retry(lambda: self.tls.recv(count))

    def sendall(self, octets):
        while octets:
            octets = octets[self._retry(lambda: self.tls.send(octets)):]

    def shutdown(self, how):
        self.tls.shutdown(how)

    def close(self):
        self.tls.close()


class Http2Upstream(Upstream):
    """`script(request, peer)` returns a body for 200, or None when it sent what it wanted itself.
    `credit` True gives windows back, False not (tests do), None also does not check.
    `refuses_beyond` is how many streams at once are served, `opening` what is said to a client's
    preface instead of SETTINGS."""

    def __init__(self, settings=None, *, silent=False, scheme="h2c", context=None):
        self.settings = settings or {}
        self.silent, self.context = silent, context
        self.violations, self.sessions = [], []
        super().__init__()
        self.endpoint = f"{scheme}://127.0.0.1:{self.port}"

    def reset(self):
        super().reset()
        with self.changed:
            self.script = lambda request, peer: b"ok"
            self.heads = []
            self.credit, self.answers_pings, self.refuses_beyond = True, True, None
            self.opening = None

    def answers(self, status=200, body=b"ok", **more):
        self.script = lambda request, peer: peer.respond(request, status, body, **more)

    def _serve(self, peer):
        session = None
        try:
            if self.context is not None:
                peer.sock = SharedTLS(peer.sock, self.context)
            session = Http2Peer(peer, self)
            with self.changed:
                self.sessions.append(session)
            session.serve()
        except OSError:
            pass
        finally:
            peer.sock.close()
            with self.changed:
                for request in session.streams.values() if session else ():
                    if request.reset is None and not request.ended:
                        request.reset = -1
                self.peers.remove(peer)
                self.changed.notify_all()

    def settle(self, seconds=0.3):
        """Time in which nothing more shall come."""
        time.sleep(seconds)

    def close(self):
        super().close()
        assert not self.violations, self.violations
