"""An open-loop load for `outage.py`: so many requests a second whatever the answers do, on
connections that are kept, from a process of its own. A request's time counts from when it was due.

Also the upstream behind the gateway, in a process of its own too."""

import asyncio
import collections
import multiprocessing
import os
import signal
import time

TICK = 0.002
MOST_CONNECTIONS = 512
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Upstream(asyncio.Protocol):
    """Answers each head; the load sends no bodies."""

    def connection_made(self, transport):
        self.transport = transport
        self.rest = b""

    def data_received(self, data):
        *heads, self.rest = (self.rest + data).split(b"\r\n\r\n")
        self.transport.write(OK * len(heads))


def serve_upstream(port):
    async def serve():
        server = await asyncio.get_running_loop().create_server(Upstream, "127.0.0.1", port,
                                                                backlog=1024)
        await server.serve_forever()
    asyncio.run(serve())


class Exchange(asyncio.Protocol):
    """One kept connection with one request at a time."""

    def __init__(self, generator):
        self.generator = generator
        self.due = None
        self.received = b""
        self.transport = None

    def connection_made(self, transport):
        self.transport = transport

    def send(self, head, due):
        self.due = due
        self.received = b""
        self.transport.write(head)

    def data_received(self, data):
        self.received += data
        head, end, body = self.received.partition(b"\r\n\r\n")
        if not end or self.due is None:
            return
        at = head.lower().find(b"\r\ncontent-length:")
        length = int(head[at + 17:].split(b"\r\n", 1)[0]) if at >= 0 else 0
        if len(body) < length:
            return
        due, self.due = self.due, None
        self.generator.answered(self, head[9:12].decode(), due)

    def connection_lost(self, error):
        due, self.due = self.due, None
        self.generator.closed(self, due)


class Generator:
    """Runs in the load's process and takes orders through a pipe."""

    def __init__(self, pipe, port, path):
        self.pipe = pipe
        self.port = port
        self.path = path
        self.idle = collections.deque()
        self.waiting = collections.deque()
        self.open = 0
        self.in_flight = 0
        self.rate = 0
        self.heads, self.turn = [], 0
        self.reset()

    def reset(self):
        self.sent = self.late = 0
        self.answers = collections.Counter()
        self.times = []
        self.began = time.monotonic()

    async def run(self):
        loop = asyncio.get_running_loop()
        loop.add_reader(self.pipe.fileno(), self.take_order)
        self.due = time.monotonic()
        while True:
            await asyncio.sleep(TICK)
            now = time.monotonic()
            while self.rate and self.due <= now:
                self.begin(self.due)
                self.due += 1 / self.rate

    def take_order(self):
        order, *values = self.pipe.recv()
        if order == "go":
            tokens, self.rate = values
            self.heads = [(f"GET {self.path} HTTP/1.1\r\nHost: api.test\r\n"
                           f"Authorization: Bearer {token}\r\n\r\n").encode() for token in tokens]
            self.due = max(self.due, time.monotonic())
        elif order == "pause":
            self.rate = 0
        elif order == "report":
            self.pipe.send(self.report())

    def report(self):
        times = sorted(self.times) or [0]
        seconds = time.monotonic() - self.began
        made = {"sent": self.sent, "answers": dict(self.answers), "late": self.late,
                "rate": self.sent / seconds, "in_flight": self.in_flight,
                "p50": times[len(times) // 2], "p99": times[int(len(times) * 0.99)],
                "max": times[-1]}
        self.reset()
        return made

    def begin(self, due):
        head = self.heads[self.turn % len(self.heads)]
        self.turn += 1
        self.sent += 1
        self.in_flight += 1
        if self.idle:
            self.idle.popleft().send(head, due)
        elif self.open < MOST_CONNECTIONS:
            self.open += 1
            asyncio.ensure_future(self.connect(head, due))
        else:
            self.late += 1
            self.waiting.append((head, due))

    async def connect(self, head, due):
        try:
            _, exchange = await asyncio.get_running_loop().create_connection(
                lambda: Exchange(self), "127.0.0.1", self.port)
            exchange.send(head, due)
        except OSError:
            self.open -= 1
            self.count("refused", due)

    def answered(self, exchange, status, due):
        self.count(status, due)
        if self.waiting:
            exchange.send(*self.waiting.popleft())
        else:
            self.idle.append(exchange)

    def closed(self, exchange, due):
        self.open -= 1
        if exchange in self.idle:
            self.idle.remove(exchange)
        if due is not None:
            self.count("closed", due)

    def count(self, what, due):
        self.in_flight -= 1
        self.answers[what] += 1
        self.times.append(time.monotonic() - due)


def generate(pipe, port, path, nice):
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.nice(nice)
    asyncio.run(Generator(pipe, port, path).run())


class Load:
    """The other end of the pipe."""

    def __init__(self, port, path="/token/x", nice=0):
        self.pipe, other = multiprocessing.Pipe()
        self.process = multiprocessing.Process(
            target=generate, args=(other, port, path, nice), daemon=True)
        self.process.start()

    def go(self, tokens, rate):
        """From now on these tokens in turn, at that rate."""
        self.pipe.send(("go", tokens, rate))

    def report(self):
        self.pipe.send(("report",))
        return self.pipe.recv()

    def pause(self):
        """Sends no more, waits for what is in flight, and tells what was since the last report."""
        self.pipe.send(("pause",))
        deadline, total = time.monotonic() + 5, self.report()
        while total["in_flight"] and time.monotonic() < deadline:
            time.sleep(0.02)
            more = self.report()
            total["answers"] = dict(collections.Counter(total["answers"])
                                    + collections.Counter(more["answers"]))
            total["in_flight"] = more["in_flight"]
            total["max"] = max(total["max"], more["max"])
        return total

    def end(self):
        self.process.kill()
        self.process.join()


def start_upstream(port):
    process = multiprocessing.Process(target=serve_upstream, args=(port,), daemon=True)
    process.start()
    return process
