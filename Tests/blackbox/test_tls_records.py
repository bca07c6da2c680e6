"""Records that no library would send, from clients and from upstreams, after a good handshake."""

import contextlib
import pathlib
import random
import socket
import threading
import time

import pytest
from harness.certificates import Authority
from harness.client import Closed, request_bytes
from harness.gateway import Gateway, poll
from harness.records import (ALERT, CHANGE_CIPHER, DATA, HANDSHAKE, KeyLog, client_sealer, message,
                             server_sealer)
from harness.secure import shared_secure
from harness.standard import small, write_keys
from harness.tls import Truncated, clear_text, server_context
from harness.upstream import OK, Upstream, answer

secure_running, secure = shared_secure("records", workers=1)
ASK = request_bytes(target="/public/x")
MEBIBYTE = 1 << 20


VERSIONS_OF_ASKING = pytest.mark.parametrize("asks", [False, True])


@contextlib.contextmanager
def sealed(secure):
    """A connection after its handshake, and what seals records for it."""
    context = secure.site.context(versions=["1.3"], protocols=["http/1.1"])
    log = KeyLog(context)
    try:
        with secure.open(tls=context) as connection:
            yield connection.sock.sock, client_sealer(connection, log), connection
    finally:
        log.close()


def push(sock, data):
    """Sends what the peer still takes; a peer that has closed is an answer as well."""
    with contextlib.suppress(OSError):
        sock.sendall(data)


def is_answered(connection):
    try:
        return connection.response().status == 200
    except (Closed, OSError):
        return False


# Good ones first: the hand-made records are right.
def test_records_by_hand_are_understood(secure):
    with sealed(secure) as (sock, seal, connection):
        sock.sendall(seal.record(DATA, ASK[:10]) + seal.record(DATA, ASK[10:], padding=1000))
        assert is_answered(connection)


@pytest.mark.parametrize("asks", [False, True])
@pytest.mark.parametrize("count", [1, 5])
def test_key_update_and_a_request_after_it(secure, asks, count):
    with sealed(secure) as (sock, seal, connection):
        for _ in range(count):
            sock.sendall(seal.key_update(asks=asks))
        sock.sendall(seal.record(DATA, ASK))
        assert is_answered(connection)
        sock.sendall(seal.key_update(asks=asks) + seal.record(DATA, ASK))
        assert is_answered(connection)


def test_key_update_in_the_middle_of_a_request(secure):
    with sealed(secure) as (sock, seal, connection):
        sock.sendall(seal.record(DATA, ASK[:10]) + seal.key_update(asks=True))
        sock.sendall(seal.record(DATA, ASK[10:]))
        assert is_answered(connection)


def test_early_change_cipher_record_harms_nobody(secure):
    """RFC 8446 appendix D.4: after the handshake it is an unexpected message."""
    with sealed(secure) as (sock, seal, connection):
        sock.sendall(bytes([CHANGE_CIPHER, 3, 3, 0, 1, 1]) + seal.record(DATA, ASK))
        assert not is_answered(connection)


@VERSIONS_OF_ASKING
def test_key_updates_while_the_answer_is_blocked(secure, asks):
    """The client reads nothing, so the gateway's reply to a KeyUpdate waits behind the answer."""
    data = random.Random(5).randbytes(8 * MEBIBYTE)
    secure.upstream.answers(answer(body=data))
    with sealed(secure) as (sock, seal, connection):
        sock.sendall(seal.record(DATA, ASK))
        assert connection.head().status == 200
        time.sleep(0.2)
        # OpenSSL 3.0 bears only one at a time here.
        sock.sendall(seal.key_update(asks=asks))
        sock.sendall(seal.record(DATA, request_bytes(target="/public/second")))
        assert connection.reader.take(len(data)) == data
        assert connection.response().body == data
    assert [r.target for r in secure.upstream.requests] == ["/public/x", "/public/second"]


REFUSED = {
    "spoiled tag": lambda seal: seal.record(DATA, ASK, spoil=True),
    "no content type": lambda seal: seal.record(0, inner=bytes(10)),
    "nothing inside": lambda seal: seal.record(0, inner=b""),
    "unknown content type": lambda seal: seal.record(99, ASK),
    "change of ciphers inside": lambda seal: seal.record(CHANGE_CIPHER, b"\1"),
    "client hello again": lambda seal: seal.record(HANDSHAKE, message(1, bytes(100))),
    "finished again": lambda seal: seal.record(HANDSHAKE, message(20, bytes(32))),
    "ticket from a client": lambda seal: seal.record(HANDSHAKE, message(4, bytes(40))),
    "certificate out of turn": lambda seal: seal.record(HANDSHAKE, message(11, bytes(10))),
    "end of early data": lambda seal: seal.record(HANDSHAKE, message(5, b"")),
    "hello request": lambda seal: seal.record(HANDSHAKE, message(0, b"")),
    "unknown handshake": lambda seal: seal.record(HANDSHAKE, message(77, bytes(10))),
    "key update of another kind": lambda seal: seal.record(HANDSHAKE, message(24, b"\2")),
    "key update without a kind": lambda seal: seal.record(HANDSHAKE, message(24, b"")),
    "key update too long": lambda seal: seal.record(HANDSHAKE, message(24, b"\0\0")),
    "empty handshake": lambda seal: seal.record(HANDSHAKE, b""),
    "handshake of 16 MiB": lambda seal: seal.record(HANDSHAKE, b"\x0b\xff\xff\xff" + bytes(1000)),
    "empty alert": lambda seal: seal.record(ALERT, b""),
    "two alerts in one": lambda seal: seal.record(ALERT, b"\1\0\1\0"),
    "fatal alert": lambda seal: seal.record(ALERT, b"\2\x28"),
    "clear data": lambda seal: b"\x17\3\3\0\5hello",
    "clear alert": lambda seal: b"\x15\3\3\0\2\1\0",
    "clear handshake": lambda seal: b"\x16\3\3\0\4\0\0\0\0",
    "clear request": lambda seal: ASK,
    "too long": lambda seal: b"\x17\3\3\x41\x01" + bytes(0x4101),
    "far too long": lambda seal: b"\x17\3\3\xff\xff" + bytes(0xffff),
    "of no length": lambda seal: b"\x17\3\3\0\0",
    "too short for a tag": lambda seal: b"\x17\3\3\0\x0f" + bytes(15),
    "long plaintext": lambda seal: seal.record(DATA, bytes(16385)),
    "version of its own": lambda seal: b"\x17\x09\x09\0\x20" + bytes(32),
    "half before another kind": lambda seal: seal.record(HANDSHAKE, b"\x18\0") + seal.record(DATA),
}


@pytest.mark.parametrize("case", list(REFUSED))
def test_bad_record_ends_the_connection_and_nothing_else(secure, case):
    """What stood behind it is never a request."""
    with secure.open() as other, sealed(secure) as (sock, seal, connection):
        push(sock, REFUSED[case](seal))
        push(sock, seal.record(DATA, ASK))
        assert not is_answered(connection), "a request behind a broken record"
        other.send(request_bytes(target="/public/other"))
        assert other.response().status == 200
        assert clear_text(connection.sock.received) == b""
    assert [r.target for r in secure.upstream.requests] == ["/public/other"]


def memory(gateway):
    text = pathlib.Path(f"/proc/{gateway.process.pid}/status").read_text()
    line = next(line for line in text.splitlines() if line.startswith("RssAnon"))
    return int(line.split()[1]) * 1024


FLOODS = {
    "empty data": lambda seal: seal.record(DATA, b""),
    "padding alone": lambda seal: seal.record(DATA, b"", padding=1000),
    "key updates": lambda seal: seal.key_update(),
    "key updates that ask": lambda seal: seal.key_update(asks=True),
    "warnings": lambda seal: seal.record(ALERT, b"\1\x5a"),
    "single octets of a head": lambda seal: seal.record(DATA, b"x"),
}


@pytest.mark.parametrize("case", list(FLOODS))
def test_flood_is_bounded_and_others_are_served(secure, case):
    """30,000 records whose answers nobody reads. Whether the connection is ended or goes on is the
    gateway's choice; that another client is served meanwhile and memory is flat is not."""
    count = 30_000
    before = memory(secure.gateway)
    with secure.open() as other, sealed(secure) as (sock, seal, _):
        flood = b"".join(FLOODS[case](seal) for _ in range(count))
        sock.settimeout(5)
        sender = threading.Thread(target=push, args=(sock, flood))
        sender.start()
        slowest, deadline = 0, time.monotonic() + 10
        while sender.is_alive() and time.monotonic() < deadline:
            begin = time.monotonic()
            other.send(request_bytes(target="/public/other"))
            assert other.response().status == 200
            slowest = max(slowest, time.monotonic() - begin)
        sender.join(10)
        assert slowest < 3, f"{slowest} s"
        assert memory(secure.gateway) - before < 16 * MEBIBYTE
    assert {r.target for r in secure.upstream.requests} <= {"/public/other"}


def test_many_small_records_of_one_body(secure):
    """Every octet in its record with as much padding as fits: dear for the sender, allowed."""
    body = bytes(range(256)) * 8
    head = request_bytes("POST", "/public/x", body=body)[:-len(body)]
    with sealed(secure) as (sock, seal, connection):
        sock.sendall(seal.record(DATA, head))
        for at in range(0, len(body), 8):
            sock.sendall(seal.record(DATA, body[at:at + 8], padding=4000))
        assert is_answered(connection)
    assert secure.upstream.request().body == body


@pytest.mark.parametrize("end", [b"\1\0", b"\2\0"], ids=["warning", "fatal"])
def test_nothing_counts_after_close_notify(secure, end):
    """RFC 8446 §6.1: data after it is ignored."""
    with sealed(secure) as (sock, seal, connection):
        sock.sendall(seal.record(ALERT, end) + seal.record(DATA, ASK))
        assert not is_answered(connection)
    secure.nothing_forwarded()


# The same from an upstream.
class Evil(Upstream):
    """Answers by hand-made records: `say(sealer, socket)`, once a request has come."""

    def __init__(self, context):
        self.log = KeyLog(context)
        self.say = None
        super().__init__(tls=context)

    def _exchange(self, peer):
        request = peer.read_head()
        self._record(request)
        # It is a server without tickets, so that nothing was sent under these keys yet.
        self.say(server_sealer(peer.sock, self.log), peer.sock.sock)
        with contextlib.suppress(OSError, Truncated):
            while peer.sock.sock.recv(65536):
                pass
        return False


@pytest.fixture(scope="module")
def evil_running(tmp_path_factory):
    folder = tmp_path_factory.mktemp("evil")
    write_keys(folder)
    authority = Authority("Upstream Root")
    authority.trust(folder, "up-ca")
    evil = Evil(server_context(authority.issue("127.0.0.1"), folder, versions=["1.3"],
                               tickets=False))
    plain = Upstream()
    config = small(evil.endpoint, {"path": "/plain/**", "access": "public", "upstream": "plain"},
                   upstream={"tls": {"ca": "up-ca.pem"}, "timeouts": {"response": "3s"}})
    config["upstreams"]["plain"] = {"endpoints": [plain.endpoint]}
    gateway = Gateway(folder, config)
    yield gateway, evil
    assert gateway.stop() == 0, gateway.output
    evil.close()
    plain.close()


@pytest.fixture
def evil(evil_running):
    gateway, server = evil_running
    server.drop_connections()
    server.reset()
    yield gateway, server
    gateway.assert_serves("/plain/alive")


def test_answer_by_hand_is_understood(evil):
    gateway, server = evil
    server.say = lambda seal, sock: sock.sendall(
        seal.key_update() + seal.record(DATA, OK[:20]) + seal.record(DATA, OK[20:], padding=500))
    assert gateway.get("/public/x").status == 200


@VERSIONS_OF_ASKING
def test_key_updates_all_through_an_answer(evil, asks):
    gateway, server = evil
    data = random.Random(6).randbytes(4 * MEBIBYTE)

    def say(seal, sock):
        sock.sendall(seal.record(DATA, b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(data)))
        for at in range(0, len(data), 16000):
            sock.sendall(seal.record(DATA, data[at:at + 16000]))
            if at % 160_000 == 0:
                sock.sendall(seal.key_update(asks=asks))

    server.say = say
    assert gateway.get("/public/x").body == data


BROKEN_ANSWERS = {name: case for name, case in REFUSED.items() if name not in (
    "ticket from a client", "two alerts in one")}


@pytest.mark.parametrize("case", list(BROKEN_ANSWERS))
@pytest.mark.parametrize("when", ["before the head", "in the body"])
def test_bad_record_from_an_upstream_is_never_part_of_an_answer(evil, case, when):
    """A 502, or, where the head has gone, an end that no client takes for the answer's."""
    gateway, server = evil
    start = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf" if when == "in the body" else b""

    def say(seal, sock):
        if start:
            sock.sendall(seal.record(DATA, start))
        bad = BROKEN_ANSWERS[case](seal)
        push(sock, bad + seal.record(DATA, OK if not start else bytes(96)))
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_WR)

    server.say = say
    with gateway.connect() as connection:
        connection.send(request_bytes(target="/public/x"))
        try:
            response = connection.response()
        except Closed:
            assert when == "in the body"
            return
        assert response.status == 502, str(response)


@pytest.mark.parametrize("case", [*FLOODS, "tickets"])
def test_flood_from_an_upstream_is_bounded(evil, case):
    gateway, server = evil
    before = memory(gateway)
    ticket = message(4, (7200).to_bytes(4, "big") + bytes(4) + b"\1\0" + b"\0\xc8" + bytes(200)
                     + b"\0\0")
    make = FLOODS.get(case) or (lambda seal: seal.record(HANDSHAKE, ticket))
    done = threading.Event()

    def say(seal, sock):
        flood = b"".join(make(seal) for _ in range(30_000))
        sock.settimeout(5)
        push(sock, flood + seal.record(DATA, OK))
        done.set()

    server.say = say
    with gateway.connect(20) as waiting, gateway.connect() as other:
        waiting.send(request_bytes(target="/public/x"))
        server.request()
        slowest, deadline = 0, time.monotonic() + 10
        while not done.is_set() and time.monotonic() < deadline:
            begin = time.monotonic()
            other.send(request_bytes(target="/plain/x"))
            assert other.response().status == 200
            slowest = max(slowest, time.monotonic() - begin)
        assert slowest < 3, f"{slowest} s"
        assert memory(gateway) - before < 16 * MEBIBYTE
        try:
            assert waiting.response().status in (200, 502, 504)
        except Closed:
            pass
    poll(lambda: gateway.running, 1)
