"""Many clients at once, and octets that nobody meant: answers never mix, nothing dies or leaks."""

import hashlib
import os
import random
import threading
import time

import pytest
from harness.client import Closed, request_bytes
from harness.frames import (
    END_HEADERS, PREFACE, Setting, Type, data, frame, goaway, head, headers, ping, rst,
    settings, window_update)
from harness.gateway import poll
from harness.h2c import concurrently, shared_h2c, start
from harness.http2 import Client, dial
from harness.modules import shared_proxy
from harness.standard import small
from harness.upstream import answer

__all__ = ["start"]
SECONDS = 2
plain_running, plain = shared_proxy(lambda endpoint: small(endpoint), name="plain")
fuzzed_running, proxy = shared_h2c("fuzzed")


def mark(target, body):
    return hashlib.sha256(target.encode() + bytes(body)).hexdigest().encode()


def echo_of_http_2(request, peer):
    """What belongs to this request alone, in bodies short and long."""
    own = mark(request.target, request.body)
    peer.respond(request, body=own * (1 + len(request.target) * 37 % 900),
                 length=request.stream % 3 > 0)


def echo_of_http_1(request, peer):
    return answer(body=mark(request.target, request.body) * (1 + len(request.target) * 37 % 900))


class Crowd:
    """Clients of both protocols that ask, upload, cancel and leave at random."""

    def __init__(self, proxy, seed, *, loses_bodies=False):
        self.proxy, self.seed, self.loses_bodies = proxy, seed, loses_bodies
        self.until = time.monotonic() + SECONDS
        self.served, self.faults = 0, []

    def run(self, clients):
        concurrently([lambda n=n: self._guarded(n) for n in range(clients)])
        assert not self.faults, self.faults[:3]
        assert self.served > clients * 5, self.served

    def _guarded(self, number):
        chance = random.Random(self.seed * 1000 + number)
        try:
            while time.monotonic() < self.until:
                (self._http_1 if number % 3 == 0 else self._http_2)(chance, number)
        except (AssertionError, OSError, Closed, ValueError) as fault:
            self.faults.append(f"client {number}: {fault!r}"[:500])

    def _check(self, target, body, response):
        if self.loses_bodies and body and response.status in (502, 503):
            return
        assert response.status == 200, str(response)
        own = mark(target, body)
        assert response.body == own * (1 + len(target) * 37 % 900), f"not the answer of {target}"
        self.served += 1

    def _target(self, chance, number):
        return f"/public/{number}/{chance.getrandbits(32)}/" + "x" * chance.randrange(40)

    def _http_1(self, chance, number):
        with self.proxy.connect() as connection:
            for _ in range(chance.randrange(1, 20)):
                target, body = self._target(chance, number), os.urandom(chance.randrange(3) * 9000)
                connection.send(request_bytes("POST", target, body=body))
                if chance.random() < 0.05:
                    return connection.reset()
                self._check(target, body, connection.response("POST"))

    def _http_2(self, chance, number):
        small_windows = {Setting.INITIAL_WINDOW_SIZE: chance.choice([2000, 65535, 1 << 20])}
        with dial(self.proxy, settings=small_windows, timeout=20) as client:
            for _ in range(chance.randrange(1, 6)):
                asked = []
                for _ in range(chance.randrange(1, 20)):
                    target = self._target(chance, number)
                    body = os.urandom(chance.randrange(3) * 9000)
                    stream = client.request("POST", target, end=not body)
                    if not body or client.upload(stream, body) == len(body):
                        asked.append((stream, target, body))
                    if chance.random() < 0.1:
                        client.send(rst(stream.id))
                        asked = [one for one in asked if one[0] is not stream]
                if chance.random() < 0.1:
                    return
                for stream, target, body in asked:
                    self._check(target, body, client.response(stream))


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("limit", [None, 5])
def test_a_crowd_before_an_http_2_upstream_gets_its_own_answers(start, limit, workers):
    proxy = start(settings={Setting.MAX_CONCURRENT_STREAMS: limit} if limit else None,
                  upstream={"timeouts": {"connect": "10s"}}, workers=workers)
    proxy.upstream.script = echo_of_http_2
    assert proxy.get("/public/warm").status == 200
    Crowd(proxy, seed=workers).run(12)
    proxy.gateway.assert_serves()


@pytest.mark.parametrize("workers", [1, 2])
def test_a_crowd_before_an_http_1_upstream_gets_its_own_answers(own, workers):
    proxy = own(workers=workers, upstream={"timeouts": {"connect": "10s"}})
    proxy.upstream.script = echo_of_http_1
    Crowd(proxy, seed=10 + workers).run(12)
    proxy.upstream.reset()
    proxy.gateway.assert_serves()


def test_a_crowd_before_an_upstream_that_comes_and_goes(start):
    """Connections end by GOAWAY all the while. Only what had begun to send a body may be lost to a
    GOAWAY that crosses it."""
    proxy = start(upstream={"timeouts": {"connect": "10s"}, "retries": 3})
    proxy.upstream.script = echo_of_http_2
    crowd, stop = Crowd(proxy, seed=30, loses_bodies=True), threading.Event()

    def rotate():
        while not stop.wait(0.2):
            for session in list(proxy.upstream.sessions)[-3:]:
                # A last stream that was named is never raised again (RFC 9113, section 6.8).
                if session.final is not None:
                    continue
                try:
                    session.go_away(0x7FFFFFFF)
                    time.sleep(0.05)
                    session.go_away()
                except OSError:
                    pass

    thread = threading.Thread(target=rotate)
    thread.start()
    try:
        crowd.run(8)
    finally:
        stop.set()
        thread.join()
    assert proxy.upstream.connections > 5


def test_what_clients_left_is_given_back(start):
    """After a crowd that cancels, neither memory nor descriptors nor upstream streams stay."""
    proxy = start(upstream={"timeouts": {"connect": "10s"}})
    process = f"/proc/{proxy.gateway.process.pid}"

    def cycle(seed):
        proxy.upstream.script = echo_of_http_2
        crowd = Crowd(proxy, seed)
        crowd.until = time.monotonic() + 2
        crowd.run(8)
        with open(f"{process}/status") as status:
            line = next(line for line in status if line.startswith("VmRSS"))
        return int(line.split()[1]) // 1024

    first = cycle(40)
    grown = cycle(41) - first, cycle(42) - first
    assert max(grown) < 40, f"grew by {grown} MiB"
    poll(lambda: len(os.listdir(f"{process}/fd")) < 40, 5, "the descriptors' end")
    poll(lambda: not any(session.open_streams() for session in proxy.upstream.sessions), 5,
         "the streams' end")


# Octets that nobody meant.
def some_frames(chance):
    """A plausible session of a client, one frame a piece."""
    stream = 1 + 2 * chance.randrange(3)
    return chance.choice([
        settings({chance.randrange(8): chance.choice([0, 1, 100, 16384, 65535, 1 << 31])}),
        headers(stream, head(chance.choice(["GET", "POST"]), "/public/x"),
                end=chance.random() < 0.5),
        headers(stream, head("POST", "/token/x", token="x.y.z"), end=False),
        headers(stream, [("x-trailer", "1")]),
        headers(stream, head(), flags=0), frame(Type.CONTINUATION, END_HEADERS, stream, b"\x82"),
        data(stream, os.urandom(chance.randrange(200)), end=chance.random() < 0.3),
        data(stream, b"\x05abc", flags=0x8), window_update(stream, chance.getrandbits(31)),
        window_update(0, 1), rst(stream, chance.randrange(15)), ping(), goaway(stream),
        frame(Type.PRIORITY, 0, stream, b"\0\0\0\0\x10"),
        frame(chance.randrange(256), chance.randrange(256), stream, os.urandom(9)),
    ])


def mutated(chance, octets):
    octets = bytearray(octets)
    for _ in range(chance.choice([0, 0, 1, 2, 5])):
        at = chance.randrange(len(octets))
        what = chance.randrange(4)
        if what == 0:
            octets[at] ^= 1 << chance.randrange(8)
        elif what == 1:
            octets[at] = chance.choice([0, 1, 0x7F, 0x80, 0xFF])
        elif what == 2:
            del octets[at:at + chance.randrange(1, 10)]
        else:
            octets[at:at] = octets[at:at + chance.randrange(1, 20)]
        octets = octets or bytearray(1)
    return bytes(octets)


@pytest.mark.parametrize("seed", range(6))
def test_mutated_sessions_of_clients_never_kill(plain, seed):
    chance = random.Random(seed)
    for _ in range(60):
        octets = PREFACE + settings() + b"".join(
            some_frames(chance) for _ in range(chance.randrange(1, 12)))
        with Client(plain.gateway.address, start=False, polite=False) as client:
            sent = mutated(chance, octets)
            half = chance.randrange(len(sent))
            client.send(sent[:half])
            client.pump(0.002)
            client.send(sent[half:])
            client.pump(0.005)
            client.violations.clear()
        assert plain.gateway.running, plain.gateway.output
    # Nothing that lacks a token passes, however it was torn.
    assert not any(r.target.startswith("/token") for r in plain.upstream.requests)


@pytest.mark.parametrize("seed", range(6))
def test_mutated_sessions_of_upstreams_never_kill(proxy, seed):
    chance = random.Random(100 + seed)

    def script(request, peer):
        stream = request.stream
        parts = [chance.choice([
            headers(stream, [(":status", "200"), ("x", "y" * chance.randrange(50))],
                    end=chance.random() < 0.3),
            headers(stream, [(":status", "103")], end=False), headers(stream, [("x-sum", "1")]),
            data(stream, os.urandom(chance.randrange(300)), end=chance.random() < 0.3),
            rst(stream, chance.randrange(15)), goaway(chance.randrange(5)), ping(),
            settings({chance.randrange(8): chance.choice([0, 1, 100, 16384, 1 << 31])}),
            window_update(chance.choice([0, stream]), chance.getrandbits(31)),
            frame(Type.PUSH_PROMISE, END_HEADERS, stream, b"\0\0\0\2\x82"),
            frame(chance.randrange(256), chance.randrange(256), stream, os.urandom(9)),
        ]) for _ in range(chance.randrange(1, 8))]
        peer.send(mutated(chance, b"".join(parts)))
        if chance.random() < 0.7:
            peer.shutdown()

    proxy.upstream.script = script
    for _ in range(40):
        with proxy.connect(timeout=15) as connection:
            connection.send(request_bytes("GET", "/public/x"))
            try:
                assert connection.response().status in (200, 502, 503, 504)
            except Closed:
                pass
        assert proxy.gateway.running, proxy.gateway.output
    proxy.upstream.reset()
    proxy.upstream.drop_connections()
    proxy.upstream.violations.clear()
