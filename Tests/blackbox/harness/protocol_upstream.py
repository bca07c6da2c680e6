"""An upstream that speaks HTTP/1.1 or HTTP/2, in clear or over TLS, and does what a script says.

Scripts are coroutine functions `async def script(exchange)`; they run in the upstream's own thread.
Whatever the gateway sends against the protocol's rules is kept in `violations`.
"""

import asyncio
import ssl
import threading
import time

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import h2.settings
import h11

from .protocol_client import text_fields
from .wire import Fields

KINDS = ["http", "https1", "https2", "h2c"]
SLICE = 16384


class Aborted(Exception):
    """The gateway ended the exchange."""


async def answer_ok(exchange):
    await exchange.whole()
    await exchange.respond(200, b"ok", [("Content-Type", "text/plain")])


class Exchange:
    """One request at the upstream and the response to it."""

    def __init__(self, connection, method, target, fields, protocol):
        self.connection = connection
        self.method = method
        self.target = target
        self.fields = fields
        self.protocol = protocol
        self.pseudo = {}
        self.trailers = Fields()
        # An HTTP/1.1 sender is held back by what its socket takes, an HTTP/2 one by its windows.
        self.arriving = asyncio.Queue(8 if protocol == "http/1.1" else 0)
        # Seen by the test's thread.
        self.complete = threading.Event()
        self.aborted = threading.Event()
        self.done = False

    def get(self, name, default=None):
        return self.fields.get(name, default)

    @property
    def authority(self):
        """HTTP/2 may carry it in either form (RFC 9113 section 8.3.1)."""
        return self.pseudo.get(":authority") or self.get("host")

    async def read(self):
        """Some of the request's body, b"" at its end."""
        if self.complete.is_set() and self.arriving.empty():
            return b""
        data, credit = await self.arriving.get()
        if data is None:
            raise Aborted
        if credit:
            await self.connection.credit(self, credit)
        return data

    async def whole(self):
        pieces = []
        while piece := await self.read():
            pieces.append(piece)
        return b"".join(pieces)

    async def interim(self, status, fields=()):
        await self.connection.head(self, status, fields, end=False)

    async def start(self, status, fields=(), end=False):
        await self.connection.head(self, status, fields, end)
        self.done = end

    async def write(self, data):
        for start in range(0, len(data), SLICE):
            await self.connection.data(self, data[start:start + SLICE])

    async def end(self, trailers=()):
        await self.connection.end(self, trailers)
        self.done = True

    async def respond(self, status, body=b"", fields=(), trailers=()):
        length = [] if trailers else [("Content-Length", str(len(body)))]
        await self.start(status, [*fields, *length])
        if body and self.method != "HEAD":
            await self.write(body)
        await self.end(trailers)

    async def abort(self):
        """RST_STREAM, or the end of an HTTP/1.1 connection."""
        self.done = True
        await self.connection.abort(self)

    def gone(self):
        """Called when the gateway ends it; a script that waits for the body gets Aborted."""
        if self.done:
            return
        self.aborted.set()
        self.connection.changed.set()
        if self.arriving.full():
            self.arriving.get_nowait()
        self.arriving.put_nowait((None, 0))


class Connection:
    def __init__(self, upstream, reader, writer):
        self.upstream = upstream
        self.reader = reader
        self.writer = writer
        # Set whenever windows open or streams end; writers wait for it.
        self.changed = asyncio.Event()

    async def send_bytes(self, data):
        # asyncio takes what is written to a closed connection without a word.
        if self.writer.is_closing():
            raise ConnectionResetError
        if data:
            self.writer.write(data)
            await self.writer.drain()
            # Draining need not yield, and a script that only writes would keep the loop for itself.
            await asyncio.sleep(0)

    async def run_script(self, exchange):
        script = self.upstream.record(exchange)
        try:
            await script(exchange)
        except (Aborted, OSError, h2.exceptions.StreamClosedError, h11.LocalProtocolError):
            pass
        except Exception as error:
            self.upstream.violations.append(f"the script failed: {error!r}")
            raise


class H1Connection(Connection):
    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.state = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)

    async def serve(self):
        exchange, running = None, None
        try:
            while True:
                event = self.state.next_event()
                if event is h11.NEED_DATA or event is h11.PAUSED:
                    if event is h11.PAUSED and running is not None and await self.over(running):
                        self.state.start_next_cycle()
                        exchange = running = None
                        continue
                    self.state.receive_data(await self.reader.read(65536))
                elif isinstance(event, h11.Request):
                    exchange = Exchange(self, event.method.decode(), event.target.decode("latin-1"),
                                        text_fields(event.headers), "http/1.1")
                    running = asyncio.ensure_future(self.run_script(exchange))
                elif isinstance(event, h11.Data):
                    await exchange.arriving.put((bytes(event.data), 0))
                elif isinstance(event, h11.EndOfMessage):
                    exchange.trailers = text_fields(event.headers)
                    exchange.complete.set()
                    await exchange.arriving.put((b"", 0))
                else:
                    break
        except h11.RemoteProtocolError as error:
            # The end of a connection within a request is an abort and no fault.
            if "closed connection" not in str(error):
                self.upstream.violations.append(repr(error))
        except h11.LocalProtocolError:
            pass
        finally:
            if exchange is not None:
                exchange.gone()
            if running is not None:
                await asyncio.wait([running], timeout=5)

    async def over(self, running):
        """Until the script is done, or the gateway closes first."""
        more = asyncio.ensure_future(self.reader.read(65536))
        await asyncio.wait([running, more], return_when=asyncio.FIRST_COMPLETED)
        if more.done():
            self.state.receive_data(more.result())
            if not more.result():
                raise h11.RemoteProtocolError("closed connection while a response was due")
            await running
        else:
            more.cancel()
            await asyncio.wait([more])
        return self.state.our_state is h11.DONE

    async def send(self, event):
        await self.send_bytes(self.state.send(event))

    async def credit(self, exchange, count):
        pass

    async def head(self, exchange, status, fields, end):
        kind = h11.InformationalResponse if status < 200 else h11.Response
        await self.send(kind(status_code=status, headers=list(fields)))
        if end:
            await self.send(h11.EndOfMessage())

    async def data(self, exchange, data):
        await self.send(h11.Data(data=data))

    async def end(self, exchange, trailers):
        await self.send(h11.EndOfMessage(headers=list(trailers)))

    async def abort(self, exchange):
        self.writer.transport.abort()


class H2Connection(Connection):
    def __init__(self, *arguments):
        super().__init__(*arguments)
        config = h2.config.H2Configuration(client_side=False, header_encoding="latin-1")
        self.state = h2.connection.H2Connection(config)
        self.exchanges = {}

    async def serve(self):
        self.state.initiate_connection()
        await self.flush()
        scripts = []
        try:
            while data := await self.reader.read(65536):
                for event in self.state.receive_data(data):
                    if isinstance(event, h2.events.RequestReceived):
                        scripts.append(self.open(event))
                    else:
                        await self.event(event)
                await self.flush()
        except h2.exceptions.ProtocolError as error:
            self.upstream.violations.append(repr(error))
            await self.flush()
        finally:
            for exchange in self.exchanges.values():
                exchange.gone()
            if scripts:
                await asyncio.wait(scripts, timeout=5)

    def open(self, event):
        fields = text_fields(event.headers)
        plain = Fields(pair for pair in fields if not pair[0].startswith(":"))
        exchange = Exchange(self, fields.get(":method"), fields.get(":path"), plain, "h2")
        exchange.pseudo = dict(pair for pair in fields if pair[0].startswith(":"))
        exchange.number = event.stream_id
        self.exchanges[event.stream_id] = exchange
        return asyncio.ensure_future(self.run_script(exchange))

    async def event(self, event):
        exchange = self.exchanges.get(getattr(event, "stream_id", None))
        if isinstance(event, h2.events.DataReceived):
            if exchange.done or exchange.aborted.is_set():
                await self.credit(exchange, event.flow_controlled_length)
            # Unlike the end of the body, an empty piece of it says nothing.
            elif event.data:
                exchange.arriving.put_nowait((bytes(event.data), event.flow_controlled_length))
        elif isinstance(event, h2.events.TrailersReceived):
            exchange.trailers = text_fields(event.headers)
        elif isinstance(event, h2.events.StreamEnded):
            exchange.complete.set()
            exchange.arriving.put_nowait((b"", 0))
        elif isinstance(event, h2.events.StreamReset):
            await self.credit_unread(exchange)
            exchange.gone()
        self.changed.set()

    async def flush(self):
        await self.send_bytes(self.state.data_to_send())

    async def credit(self, exchange, count):
        if count:
            self.state.acknowledge_received_data(count, exchange.number)
            await self.flush()

    async def head(self, exchange, status, fields, end):
        plain = [(name.lower(), value) for name, value in fields]
        self.state.send_headers(exchange.number, [(":status", str(status)), *plain],
                                end_stream=end)
        await self.flush()
        if end:
            await self.credit_unread(exchange)

    async def data(self, exchange, data):
        while data:
            if exchange.aborted.is_set():
                raise Aborted
            window = self.state.local_flow_control_window(exchange.number)
            if window <= 0:
                self.changed.clear()
                await self.changed.wait()
                continue
            size = min(window, self.state.max_outbound_frame_size, len(data))
            self.state.send_data(exchange.number, data[:size])
            data = data[size:]
            await self.flush()

    async def end(self, exchange, trailers):
        if trailers:
            self.state.send_headers(exchange.number, list(trailers), end_stream=True)
        else:
            self.state.end_stream(exchange.number)
        await self.flush()
        await self.credit_unread(exchange)

    async def abort(self, exchange):
        self.state.reset_stream(exchange.number, error_code=2)
        await self.flush()
        await self.credit_unread(exchange)

    async def credit_unread(self, exchange):
        """The connection's window belongs to the other streams too."""
        while not exchange.arriving.empty():
            await self.credit(exchange, exchange.arriving.get_nowait()[1])


class ProtocolUpstream:
    """Listens from creation on; `kind` is one of KINDS. `context` is a server's SSLContext."""

    def __init__(self, kind, context=None):
        self.kind = kind
        self.is_h2 = kind in ("https2", "h2c")
        if not kind.startswith("https"):
            context = None
        else:
            context.set_alpn_protocols(["h2"] if self.is_h2 else ["http/1.1"])
        self.context = context
        self.changed = threading.Condition()
        self.serving = set()
        self.reset()
        self.loop = asyncio.new_event_loop()
        started = threading.Event()
        self.thread = threading.Thread(target=self._run, args=(started,), daemon=True)
        self.thread.start()
        assert started.wait(10)

    @property
    def endpoint(self):
        scheme = self.kind.rstrip("12") if self.context else self.kind
        return f"{scheme}://127.0.0.1:{self.port}"

    def reset(self):
        with self.changed:
            self.exchanges = []
            self.violations = []
            self.script = answer_ok

    def _run(self, started):
        asyncio.set_event_loop(self.loop)

        async def listen():
            server = await asyncio.start_server(self._accept, "127.0.0.1", 0, ssl=self.context)
            self.port = server.sockets[0].getsockname()[1]
            started.set()

        self.loop.create_task(listen())
        self.loop.run_forever()
        # Stopped by `close`: what still waits for a peer ends here.
        tasks = asyncio.all_tasks(self.loop)
        for task in tasks:
            task.cancel()
        self.loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self.loop.close()

    async def _accept(self, reader, writer):
        kind = H2Connection if self.is_h2 else H1Connection
        # The loop's own references to tasks are weak.
        task = asyncio.current_task()
        self.serving.add(task)
        try:
            await kind(self, reader, writer).serve()
        except (OSError, ssl.SSLError):
            pass
        finally:
            writer.close()
            self.serving.discard(task)

    def record(self, exchange):
        with self.changed:
            self.exchanges.append(exchange)
            self.changed.notify_all()
            return self.script

    def exchange(self, seconds=5):
        """The only exchange so far, waited for."""
        deadline = time.monotonic() + seconds
        with self.changed:
            while not self.exchanges:
                left = deadline - time.monotonic()
                assert left > 0, "nothing reached the upstream"
                self.changed.wait(left)
            assert len(self.exchanges) == 1, [one.target for one in self.exchanges]
            return self.exchanges[0]

    def gate(self):
        """An event that the test's thread opens and a script awaits."""
        return Gate(self.loop)

    def close(self):
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(5)


class Gate:
    """Opened by the test, awaited by a script."""

    def __init__(self, loop):
        self.loop = loop
        self.event = asyncio.Event()

    def open(self):
        self.loop.call_soon_threadsafe(self.event.set)

    async def passed(self):
        await asyncio.wait_for(self.event.wait(), 10)
