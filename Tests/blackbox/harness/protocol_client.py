"""One client for HTTP/1.1 and HTTP/2, in clear or over TLS, that a test drives step by step."""

import select
import socket
import ssl
import struct
import time

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import h2.settings
import h11

from .wire import Fields

PROTOCOLS = ["http/1.1", "http/1.1+tls", "h2c", "h2+tls"]
WINDOW = 1 << 20
SLICE = 16384


class Cut(Exception):
    """The peer ended the message before it was whole."""


class Link:
    """A socket whose sends never wait for a peer that is itself waiting to be read."""

    def __init__(self, address, context, alpn, seconds):
        self.seconds = seconds
        self.unsent = b""
        self.sock = socket.create_connection(address, timeout=seconds)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if context is not None:
            self.sock = context.wrap_socket(self.sock, server_hostname="localhost",
                                            suppress_ragged_eofs=False)
            assert self.sock.selected_alpn_protocol() == alpn

    def send(self, data, on_input):
        """`on_input` takes what arrives meanwhile; what it sends in turn goes after `data`."""
        is_outermost = not self.unsent
        self.unsent += data
        if is_outermost:
            try:
                self._send_all(on_input)
            finally:
                self.unsent = b""

    def _send_all(self, on_input):
        deadline = time.monotonic() + self.seconds
        while self.unsent:
            self.sock.settimeout(0.05)
            try:
                self.unsent = self.unsent[self.sock.send(self.unsent[:SLICE]):]
            except (TimeoutError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                assert time.monotonic() < deadline, "the peer takes no more"
            except OSError as closed:
                # What the peer said before it closed is still there to read.
                while self.readable() and (more := self.receive(0.05)):
                    on_input(more)
                raise Cut(f"closed while sending: {closed}") from closed
            # Once a slice: a peer may send without end.
            if self.readable() and (more := self.receive(0.05)) is not None:
                on_input(more)
                if not more:
                    return

    def readable(self):
        if isinstance(self.sock, ssl.SSLSocket) and self.sock.pending():
            return True
        return bool(select.select([self.sock], [], [], 0)[0])

    def receive(self, seconds):
        """Bytes, b"" at the end, None when nothing comes in time."""
        self.sock.settimeout(seconds)
        try:
            return self.sock.recv(1 << 18)
        except (TimeoutError, ssl.SSLWantReadError):
            return None
        except ssl.SSLEOFError as error:
            raise Cut("TLS without close_notify") from error
        except ConnectionResetError as error:
            raise Cut("reset") from error

    def reset(self):
        """Closes with RST instead of FIN."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


class Call:
    """One request and its response; what both protocols share."""

    def __init__(self, link):
        self.link = link
        self.interim = []
        self.status = None
        self.fields = Fields()
        self.trailers = Fields()
        self.chunks = []
        self.ended = False

    def head(self):
        """The final status; interim responses are kept in `interim`."""
        self._until(lambda: self.status is not None)
        return self.status

    def read(self):
        """Some bytes of the body as they came, b"" at its end."""
        self._until(lambda: self.chunks or self.ended)
        return self.chunks.pop(0) if self.chunks else b""

    def write(self, data, regardless=False):
        """False when the final head came first; then the rest is not sent unless `regardless`."""
        for start in range(0, len(data), SLICE):
            if self.status is not None and not regardless:
                return False
            try:
                self._write(data[start:start + SLICE])
            except Cut:
                if self.status is None:
                    raise
                return False
        return True

    def body(self):
        self.head()
        self._until(lambda: self.ended)
        whole, self.chunks = b"".join(self.chunks), []
        return whole

    def get(self, name, default=None):
        return self.fields.get(name, default)

    def _until(self, condition):
        deadline = time.monotonic() + self.link.seconds
        while not condition():
            left = deadline - time.monotonic()
            assert left > 0, f"nothing came: {self.status} {self.fields}"
            if (data := self.link.receive(left)) is not None:
                self._take(data)

    def _answer(self, status, fields):
        if status < 200:
            self.interim.append((status, fields))
        else:
            assert self.status is None, f"two final heads: {self.status}, {status}"
            self.status, self.fields = status, fields


def text_fields(pairs):
    def text(value):
        return value if isinstance(value, str) else value.decode("latin-1")

    return Fields((text(name), text(value)) for name, value in pairs)


class H1Call(Call):
    def __init__(self, link, connection, method, target, fields, length, end):
        super().__init__(link)
        self.connection = connection
        framing = []
        if length is not None:
            framing = [("Content-Length", str(length))]
        elif not end:
            framing = [("Transfer-Encoding", "chunked")]
        self._send(h11.Request(method=method, target=target,
                               headers=[("Host", "api.test"), *fields, *framing]))
        if end:
            self.finish()

    def _send(self, event):
        self.link.send(self.connection.send(event) or b"", self._take)

    def _write(self, data):
        self._send(h11.Data(data=data))

    def finish(self, trailers=()):
        self._send(h11.EndOfMessage(headers=list(trailers)))

    def abort(self):
        self.link.reset()

    def _take(self, data):
        try:
            self.connection.receive_data(data)
            while True:
                event = self.connection.next_event()
                if event in (h11.NEED_DATA, h11.PAUSED):
                    return
                if isinstance(event, (h11.InformationalResponse, h11.Response)):
                    self._answer(event.status_code, text_fields(event.headers))
                elif isinstance(event, h11.Data):
                    self.chunks.append(bytes(event.data))
                elif isinstance(event, h11.EndOfMessage):
                    self.trailers = text_fields(event.headers)
                    self.ended = True
                elif isinstance(event, h11.ConnectionClosed):
                    if self.ended:
                        return
                    raise Cut("closed")
        except h11.RemoteProtocolError as error:
            raise Cut(str(error)) from error


class H2Call(Call):
    def __init__(self, link, connection, method, target, fields, length, end, scheme):
        super().__init__(link)
        self.connection = connection
        self.number = connection.get_next_available_stream_id()
        self.refused = None
        framing = [] if length is None else [("content-length", str(length))]
        pseudo = [(":method", method), (":scheme", scheme), (":authority", "api.test"),
                  (":path", target)]
        plain = [(name.lower(), value) for name, value in fields]
        connection.send_headers(self.number, [*pseudo, *plain, *framing], end_stream=end)
        self._flush()

    def _flush(self):
        self.link.send(self.connection.data_to_send(), self._take)

    def _write(self, data):
        deadline = time.monotonic() + self.link.seconds
        while data:
            if self.refused is not None:
                raise Cut(f"RST_STREAM {self.refused}")
            size = min(self.connection.local_flow_control_window(self.number), len(data))
            if size > 0:
                self.connection.send_data(self.number, data[:size])
                data = data[size:]
                self._flush()
            else:
                assert time.monotonic() < deadline, "the window stays shut"
                if (more := self.link.receive(0.05)) is not None:
                    self._take(more)
                if self.status is not None:
                    raise Cut("answered before the window opened")

    def finish(self, trailers=()):
        # The answer may be whole before the request is, and the stream over with it.
        if self.ended or self.refused is not None:
            return
        if trailers:
            self.connection.send_headers(self.number, list(trailers), end_stream=True)
        else:
            self.connection.end_stream(self.number)
        self._flush()

    def abort(self):
        self.connection.reset_stream(self.number, error_code=8)
        self._flush()

    def _take(self, data):
        if not data:
            raise Cut("closed")
        try:
            events = self.connection.receive_data(data)
        except h2.exceptions.InvalidBodyLengthError as error:
            raise Cut(str(error)) from error
        except h2.exceptions.ProtocolError as error:
            raise AssertionError(f"the gateway broke HTTP/2: {error!r}") from error
        for event in events:
            if isinstance(event, h2.events.ConnectionTerminated):
                raise Cut(f"GOAWAY {event.error_code}")
            if getattr(event, "stream_id", None) == self.number:
                self._event(event)
        if self.refused is not None and not self.ended:
            raise Cut(f"RST_STREAM {self.refused}")
        if pending := self.connection.data_to_send():
            self.link.send(pending, self._take)

    def _event(self, event):
        if isinstance(event, (h2.events.ResponseReceived, h2.events.InformationalResponseReceived)):
            fields = text_fields(event.headers)
            self._answer(int(fields.get(":status")),
                         Fields(pair for pair in fields if pair[0] != ":status"))
        elif isinstance(event, h2.events.DataReceived):
            if event.data:
                self.chunks.append(bytes(event.data))
            if event.flow_controlled_length:
                self.connection.acknowledge_received_data(event.flow_controlled_length,
                                                          self.number)
        elif isinstance(event, h2.events.TrailersReceived):
            self.trailers = text_fields(event.headers)
        elif isinstance(event, h2.events.StreamEnded):
            self.ended = True
        elif isinstance(event, h2.events.StreamReset):
            self.refused = event.error_code


class Client:
    """A connection that speaks one of PROTOCOLS; calls follow one another on it."""

    def __init__(self, protocol, address, context=None, seconds=10):
        self.protocol = protocol
        self.is_h2 = protocol.startswith("h2")
        self.scheme = "https" if protocol.endswith("+tls") else "http"
        alpn = "h2" if self.is_h2 else "http/1.1"
        if self.scheme == "http":
            context = None
        else:
            context.set_alpn_protocols([alpn])
        self.link = Link(address, context, alpn, seconds)
        if self.is_h2:
            self.connection = self._open_h2()
        else:
            self.connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=1 << 20)

    def _open_h2(self):
        config = h2.config.H2Configuration(client_side=True, header_encoding="latin-1")
        connection = h2.connection.H2Connection(config)
        connection.local_settings = h2.settings.Settings(client=True, initial_values={
            h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: WINDOW,
            h2.settings.SettingCodes.ENABLE_PUSH: 0})
        connection.initiate_connection()
        connection.increment_flow_control_window(WINDOW)
        self.link.send(connection.data_to_send(), lambda data: connection.receive_data(data))
        return connection

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.link.sock.close()

    def start(self, method, target, *, token=None, fields=(), length=None, end=True):
        """Sends a head; with `end` it is the whole request. `length` announces a body's length,
        without it the body is of unknown length."""
        if token is not None:
            fields = [("Authorization", f"Bearer {token}"), *fields]
        if self.is_h2:
            return H2Call(self.link, self.connection, method, target, fields, length, end,
                          self.scheme)
        if self.connection.our_state is not h11.IDLE:
            self.connection.start_next_cycle()
        return H1Call(self.link, self.connection, method, target, fields, length, end)

    def request(self, method, target, body=None, **more):
        """A whole exchange; the call with its body in `whole`."""
        if body is None:
            call = self.start(method, target, **more)
        else:
            call = self.start(method, target, length=len(body), end=False, **more)
            if call.write(body):
                call.finish()
        call.whole = call.body()
        return call
