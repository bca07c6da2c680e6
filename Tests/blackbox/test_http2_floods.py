"""HOSTILE row 26: floods of HTTP/2 end within a budget, memory stays flat, others are served."""

import struct
import threading
import time

import pytest
from harness.frames import (
    ACK, PREFACE, Code, Setting, Type, block, data, frame, goaway, head,
    headers, literal, ping, rst, settings, window_update)
from harness.http2 import Client, flood
from harness.modules import shared_proxy
from harness.standard import small
from harness.client import request_bytes
from harness.upstream import OK, answer

# What a flood may cost: frames that reach the server before it ends the connection, the time
# until then, and what the process may have grown by. The frames sent but never read are the
# kernel's.
FRAMES, SECONDS, GROWTH = 100_000, 15, 48 << 20

floods_running, proxy = shared_proxy(
    lambda endpoint: {**small(endpoint), "timeouts": {"head": "2s", "idle": "20s"}}, name="floods")


def resident(proxy):
    with open(f"/proc/{proxy.gateway.process.pid}/status") as status:
        line = next(line for line in status if line.startswith("VmRSS"))
    return int(line.split()[1]) * 1024


class Witness(threading.Thread):
    """Another client on a connection of its own, all the while."""

    def __init__(self, proxy):
        super().__init__(daemon=True)
        self.proxy, self.done = proxy, threading.Event()
        self.served, self.slowest, self.fault = 0, 0, None

    def run(self):
        try:
            with self.proxy.connect() as one, Client(self.proxy.gateway.address) as two:
                while not self.done.wait(0.02):
                    started = time.monotonic()
                    one.send(request_bytes("GET", "/public/witness"))
                    assert one.response().status == 200
                    assert two.get("/public/witness").status == 200
                    self.slowest = max(self.slowest, time.monotonic() - started)
                    self.served += 1
        except (AssertionError, OSError) as fault:
            self.fault = fault

    def __enter__(self):
        self.start()
        while self.served == 0 and self.fault is None:
            time.sleep(0.01)
        return self

    def __exit__(self, kind, *_):
        self.done.set()
        self.join()
        if kind is None:
            assert self.fault is None, self.fault
            assert self.slowest < 4, f"another client waited {self.slowest} s"


@pytest.fixture
def watched(proxy):
    before = resident(proxy)
    with Witness(proxy):
        yield proxy
    grown = resident(proxy) - before
    assert grown < GROWTH, f"grew by {grown >> 20} MiB"


def reset_by(*frames):
    """A request that the server must answer with RST_STREAM: "made you reset"."""
    def chunk(number):
        stream = 2 * number + 1
        opened = headers(stream, head("POST", "/public/x", fields=[("content-length", "3")]),
                         end=False)
        return opened + b"".join(one(stream) for one in frames)
    return chunk


def opened(end=True, **more):
    return lambda number: headers(2 * number + 1, head(path="/public/x", **more), end=end)


def both(*chunks):
    return lambda number: b"".join(chunk(number) for chunk in chunks)


def on_first(payload):
    """An open upload, then the same octets again and again."""
    begin = headers(1, head("POST"), end=False)
    return lambda number: (begin if number == 0 else b"") + payload


FLOODS = {
    "rapid reset": both(opened(), lambda number: rst(2 * number + 1)),
    "rapid reset of uploads": both(opened(end=False), lambda number: rst(2 * number + 1)),
    "rapid reset with other codes":
        both(opened(), lambda number: rst(2 * number + 1, Code.NO_ERROR)),
    "made you reset by increment 0": reset_by(lambda stream: window_update(stream, 0)),
    "made you reset by a window overflow":
        reset_by(lambda stream: window_update(stream, 0x7FFFFFFF)),
    "made you reset by more than content-length": reset_by(lambda s: data(s, b"xxxx", end=True)),
    "made you reset by less than content-length": reset_by(lambda s: data(s, b"x", end=True)),
    "made you reset by PRIORITY of 4":
        reset_by(lambda stream: frame(Type.PRIORITY, 0, stream, b"\0" * 4)),
    "made you reset by trailers without end":
        reset_by(lambda stream: headers(stream, [("x", "y")], end=False)),
    "made you reset by DATA after the end":
        both(opened(), lambda number: data(2 * number + 1, b"x")),
    "made you reset by HEADERS after the end":
        both(opened(), lambda number: headers(2 * number + 1, [("x", "y")])),
    "malformed heads": opened(fields=[("X-Upper", "1")]),
    "empty field names": opened(fields=[("", "")] * 50),
    "streams beyond the cap": opened(end=False),
    "SETTINGS": lambda number: settings(),
    "SETTINGS with values": lambda number: settings([(3, 100)] * 50),
    "SETTINGS that change windows":
        lambda number: settings({Setting.INITIAL_WINDOW_SIZE: number % 2 * 1000}),
    "SETTINGS that change the table":
        lambda number: settings({Setting.HEADER_TABLE_SIZE: number % 2 * 4096}),
    "SETTINGS ACK": lambda number: settings(flags=ACK),
    "PING": lambda number: ping(),
    "PING ACK": lambda number: ping(flags=ACK),
    "empty DATA": on_first(data(1)),
    "empty DATA with padding": on_first(data(1, b"\0", flags=0x8)),
    "PRIORITY": lambda number: frame(Type.PRIORITY, 0, 2 * number + 1, b"\0\0\0\0\x10"),
    "PRIORITY of one stream": lambda number: frame(Type.PRIORITY, 0, 1, b"\0\0\0\0\x10"),
    "PRIORITY chain": lambda number: frame(
        Type.PRIORITY, 0, 2 * number + 3, struct.pack(">IB", 0x80000000 | 2 * number + 1, 9)),
    "PRIORITY_UPDATE": lambda number: frame(0x10, 0, 0, struct.pack(">I", 1) + b"u=1"),
    "WINDOW_UPDATE": lambda number: window_update(0, 1),
    "WINDOW_UPDATE of a stream": on_first(window_update(1, 1)),
    "unknown frames": lambda number: frame(0x42, 0, 0, b""),
    "unknown frames with payload": lambda number: frame(0x42, 0, 0, b"x" * 100),
    "unknown frames on a stream": on_first(frame(0x42, 0, 1, b"")),
    "GOAWAY": lambda number: goaway(0),
    "CONTINUATION, empty": lambda number: headers(1, head(), flags=0) if number == 0 else frame(
        Type.CONTINUATION, 0, 1),
    "CONTINUATION of one octet":
        lambda number: headers(1, head(), flags=0) if number == 0 else frame(
            Type.CONTINUATION, 0, 1, b"\x82" if number % 2 else b"\x86"),
    "CONTINUATION with fields":
        lambda number: headers(1, head(), flags=0) if number == 0 else frame(
            Type.CONTINUATION, 0, 1, literal(f"x-{number}", "y" * 100)),
    "CONTINUATION of 16 KiB":
        lambda number: headers(1, head(), flags=0) if number == 0 else frame(
            Type.CONTINUATION, 0, 1, literal("x", "y" * 16000)),
    "RST_STREAM of a closed stream": both(
        lambda number: headers(1, head()) + rst(1) if number == 0 else b"", lambda number: rst(1)),
}


@pytest.mark.parametrize("name", list(FLOODS))
def test_a_flood_ends_within_its_budget(watched, name):
    with Client(watched.gateway.address) as client:
        client.await_settings()
        started = time.monotonic()
        made = FLOODS[name]
        sent = flood(client, lambda n: b"".join(made(n * 50 + k) for k in range(50)), FRAMES // 50,
                     seconds=SECONDS)
        assert client.goaway or client.closed, f"goes on after {sent * 50} frames"
        assert client.is_closed(5), "GOAWAY, but not closed"
        assert time.monotonic() - started < SECONDS
        if client.goaway:
            assert client.goaway[1] != Code.NO_ERROR or name == "GOAWAY", client.goaway


@pytest.mark.parametrize("name", ["PING", "SETTINGS", "rapid reset", "malformed heads",
                                  "made you reset by increment 0"])
def test_a_flood_by_a_client_that_reads_nothing(watched, name):
    """Acknowledgements and resets must not pile up behind a full socket."""
    with Client(watched.gateway.address, polite=False) as client:
        client.await_settings()
        made, number = FLOODS[name], 0
        client.sock.settimeout(2)
        deadline = time.monotonic() + SECONDS
        while number < FRAMES and time.monotonic() < deadline:
            try:
                client.sock.sendall(b"".join(made(number + k) for k in range(200)))
            except OSError:
                break
            number += 200
        client.sock.settimeout(8)
        assert client.is_closed(5), "no end"


def test_ordinary_use_is_no_flood(proxy):
    """A busy browser: many requests, cancellations now and then, pings, window updates."""
    with Client(proxy.gateway.address) as client:
        for number in range(600):
            stream = client.request(path=f"/public/{number}")
            if number % 10 == 0:
                client.send(rst(stream.id))
            else:
                client.response(stream)
            if number % 20 == 0:
                client.alive()
        assert client.get().status == 200


def test_a_hundred_cancellations_at_once_are_no_flood(proxy):
    """A page that is left cancels what it asked for."""
    with Client(proxy.gateway.address) as client:
        streams = [client.request(path=f"/public/{n}") for n in range(100)]
        client.send(b"".join(rst(stream.id) for stream in streams))
        assert client.get().status == 200


def test_window_updates_of_a_long_download_are_no_flood(proxy):
    """Some clients give back every frame at once, for stream and connection."""
    body = bytes(20_000_000)
    proxy.upstream.answers(answer(body=body))
    with Client(proxy.gateway.address, credit=False) as client:
        stream, given = client.request(), 0
        while not stream.ended:
            client.pump(5)
            assert not client.closed and not client.goaway, client.goaway
            for size in stream.sizes[given:]:
                if size:
                    client.give(None, size)
                    client.give(stream, size)
            given = len(stream.sizes)
        assert len(stream.body) == len(body)


# Amplification.
def bomb(size=4000, references=15_000):
    """One kept field, then a block that names it again and again (index 62)."""
    first = block(head()) + literal("x-bomb", "y" * size, 0x40)
    return first, block(head()) + b"\xbe" * references


@pytest.mark.parametrize("path", ["/public/x", "/token/x"])
def test_hpack_bomb(watched, path):
    first, second = bomb()
    for _ in range(3):
        with Client(watched.gateway.address) as client:
            assert client.response(client.open(first)).status == 200
            result = None
            for _ in range(50):
                stream = client.open(second)
                result = client.outcome(stream)
                assert result != 200
                if not isinstance(result, int):
                    break
    assert not any("x-bomb" in r.fields and len(r.raw_head) > 70_000
                   for r in watched.upstream.requests)


def test_hpack_bomb_of_cookies(watched):
    """Crumbs of a few octets on the wire, joined to one large field."""
    with Client(watched.gateway.address) as client:
        assert client.response(client.open(
            block(head()) + literal("cookie", "c" * 3900, 0x40))).status == 200
        for _ in range(20):
            stream = client.open(block(head()) + b"\xbe" * 16_000)
            result = client.outcome(stream)
            assert result != 200
            if not isinstance(result, int):
                break


def test_hpack_bomb_that_just_fits_many_times(watched):
    """60 KiB of fields for a few octets, on every stream; each is allowed, all are freed."""
    with Client(watched.gateway.address) as client:
        assert client.response(client.open(
            block(head()) + literal("x-bomb", "y" * 4000, 0x40))).status == 200
        for _ in range(50):
            streams = [client.open(block(head()) + b"\xbe" * 14) for _ in range(10)]
            assert {client.outcome(one) for one in streams} == {200}


def test_table_size_updates_are_bounded(watched):
    with Client(watched.gateway.address) as client:
        stream = client.open(b"\x20" * 16_000 + block(head()))
        assert client.outcome(stream) != ("closed", "hang")
        watched.gateway.assert_serves()


def test_cookie_bomb_with_a_zero_window(proxy):
    """Large heads by reference on every stream of several connections, none of which takes its
    answer. What is held is streams times a bounded amount, and it is given back."""
    body = bytes(100_000)
    proxy.upstream.answers(answer(body=body))
    before = resident(proxy)
    grown = []
    with Witness(proxy):
        for _ in range(2):
            clients = [Client(proxy.gateway.address, credit=False,
                              settings={Setting.INITIAL_WINDOW_SIZE: 0}) for _ in range(5)]
            for client in clients:
                client.await_settings()
                client.open(block(head()) + literal("cookie", "c" * 3900, 0x40))
                for _ in range(99):
                    client.open(block(head()) + b"\xbe" * 14)
            for client in clients:
                client.wait(lambda: all(one.final for one in client.streams.values())
                            or client.goaway, 30)
            grown.append(resident(proxy) - before)
            for client in clients:
                client.close()
            assert proxy.get("/public/x").status == 200
    # 500 streams of 64 KiB of head and 64 KiB of body, and the allocator's share.
    assert grown[0] < 160 << 20, f"grew by {grown[0] >> 20} MiB"
    assert grown[1] < grown[0] + GROWTH, [one >> 20 for one in grown]


def test_a_thousand_unfinished_uploads(proxy):
    before = resident(proxy)
    with Witness(proxy):
        clients = [Client(proxy.gateway.address) for _ in range(10)]
        for client in clients:
            client.await_settings()
            for _ in range(100):
                client.open(head("POST"), end=False)
        for client in clients:
            assert client.goaway or client.alive()
        assert proxy.get("/public/x").status == 200
        grown = resident(proxy) - before
        assert grown < 100 << 20, f"grew by {grown >> 20} MiB"
        for client in clients:
            client.close()
    proxy.upstream.drop_connections()


def test_a_thousand_stalled_downloads(proxy):
    """CVE-2019-9517 and its like: answers that nobody takes, by windows or by the socket."""
    proxy.upstream.answers(answer(body=bytes(2_000_000)))
    before = resident(proxy)
    with Witness(proxy):
        clients = [Client(proxy.gateway.address, credit=False,
                          settings={Setting.INITIAL_WINDOW_SIZE: 0x7FFFFFFF}) for _ in range(5)]
        for client in clients:
            client.await_settings()
            client.give(None, 0x7FFF0000 - 65535)
            for _ in range(100):
                client.request()
        time.sleep(1)  # The clients read nothing: what can pile up does so now.
        grown = resident(proxy) - before
        for client in clients:
            client.close()
    assert grown < 160 << 20, f"grew by {grown >> 20} MiB"
    proxy.upstream.answers(OK)


def test_half_prefaces_are_closed_in_time(proxy):
    """500 connections that never get anywhere."""
    with Witness(proxy):
        idle = [Client(proxy.gateway.address, start=False) for _ in range(300)]
        for number, client in enumerate(idle):
            client.send(PREFACE[:number % 24 + 1])
        for client in idle:
            assert client.is_closed(8), "still open"
            client.close()


def test_connections_are_not_leaked_by_floods(proxy):
    """After all that, descriptors are back where they were."""
    import os

    def descriptors():
        return len(os.listdir(f"/proc/{proxy.gateway.process.pid}/fd"))

    proxy.gateway.assert_serves()
    before = descriptors()
    for _ in range(20):
        with Client(proxy.gateway.address) as client:
            for _ in range(20):
                client.open(head("POST"), end=False)
            client.alive()
    deadline = time.monotonic() + 5
    while descriptors() > before + 4 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert descriptors() <= before + 4
