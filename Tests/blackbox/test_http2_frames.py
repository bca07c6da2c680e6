"""Frames and header blocks of RFC 9113 and RFC 7541, good and bad, one connection each."""

import struct
import threading

import pytest
from harness.frames import (
    ACK, END_HEADERS, END_STREAM, PADDED, PREFACE, PRIORITY, Code, Setting, Type, block, data,
    frame, goaway, head, headers, integer, literal, padded, ping, rst, settings, window_update)
from harness.http2 import Client
from harness.modules import shared_proxy
from harness.standard import small
from harness.upstream import OK, answer

PROTOCOL, FLOW, SIZE = Code.PROTOCOL_ERROR, Code.FLOW_CONTROL_ERROR, Code.FRAME_SIZE_ERROR
CLOSED, COMPRESSION, REFUSED = Code.STREAM_CLOSED, Code.COMPRESSION_ERROR, Code.REFUSED_STREAM
CALM = Code.ENHANCE_YOUR_CALM

frames_running, proxy = shared_proxy(lambda endpoint: small(endpoint), name="frames")


@pytest.fixture
def held(proxy):
    """Requests below /public/held are answered only once the test is over."""
    release = threading.Event()
    proxy.upstream.script = lambda request, peer: (
        (release.wait(8), OK)[1] if "held" in request.target else OK)
    yield proxy
    release.set()


# What is expected.
def served(stream=1):
    def check(client):
        assert client.response(client.streams[stream]).status == 200
    return check


def alive(client):
    """Without effect: the connection still serves."""
    assert client.alive()
    assert client.get().status == 200


def ended(*codes):
    """A connection error: GOAWAY with the code and a close, or a close alone (§5.4.1)."""
    def check(client):
        assert client.is_closed(5), f"still open; last frames {client.seen[-3:]}"
        assert client.goaway is None or client.goaway[1] in codes, client.goaway
    return check


def refused(*codes, stream=1, statuses=()):
    """A stream error: RST_STREAM, or what is stricter, a connection error (§5.4.2). `statuses`:
    an answer that a server may give first (§8.1.1)."""
    def check(client):
        result = client.outcome(client.streams[stream], 5)
        if isinstance(result, int):
            assert result in statuses, result
        else:
            kind, code = result
            assert kind == "closed" or code in codes, result
    return check


def ignored_or(check):
    """§5.1: frames on a stream closed a while ago may be ignored as well."""
    def either(client):
        mark = len(client.seen)
        client.send(ping(b"ignored?"))
        try:
            client.wait(lambda: client.goaway or b"ignored?" in client.pongs, 5)
        except AssertionError:
            assert client.closed
        resets = [one for one in client.seen[mark:] if one.kind == Type.RST_STREAM]
        if b"ignored?" not in client.pongs or client.goaway or resets:
            check(client)
    return either


def get(stream=1, path="/public/x", **more):
    return headers(stream, head("GET", path, **more))


def post(stream=1, path="/public/x", fields=(), **more):
    return headers(stream, head("POST", path, fields=fields, **more), end=False)


def held_get(stream=1):
    return get(stream, "/public/held")


def split(stream, *parts, end=True, path="/public/x", flags=0):
    """A request whose block goes on in CONTINUATION frames, one for each part."""
    blocks = [block(head(path=path)), *parts]
    out = headers(stream, blocks[0], end=end, flags=flags)
    for number, part in enumerate(blocks[1:], 1):
        last = number == len(blocks) - 1
        out += frame(Type.CONTINUATION, END_HEADERS if last else 0, stream, part)
    return out


def run(proxy, octets, check):
    with Client(proxy.gateway.address) as client:
        client.await_settings()
        for number in (0, 1, 2, 3, 5, 0x7FFFFFFF):
            client.expect(number)
        client.next_id = 1001
        client.send(octets)
        check(client)


X = literal("x-more", "1")
PRIORITY_OF_1 = struct.pack(">IB", 1, 15)

CONNECTION = [
    # §4.1, §4.2, §4.3
    ("4.1 unknown type", frame(0x16, 0, 0, b"\0" * 8) + get(), served()),
    ("4.1 unknown type on a stream", frame(0x16, 0xFF, 1, b"x") + get(), served()),
    ("4.1 undefined flags of PING", ping(b"12345678", 0x16) + get(), served()),
    ("4.1 undefined flags of HEADERS", headers(1, head(), flags=END_HEADERS | 0x40 | 0x80),
     served()),
    ("4.1 reserved bit", frame(Type.PING, 0, 0x80000000, b"\0" * 8) + get(), served()),
    ("4.1 reserved bit of a stream",
     frame(Type.HEADERS, END_HEADERS | END_STREAM, 0x80000001, block(head())), served()),
    ("4.2 DATA of 2^14", post() + data(1, b"x" * 16384, end=True), served()),
    ("4.2 DATA above MAX_FRAME_SIZE", post() + data(1, b"x" * 16385, end=True), ended(SIZE)),
    ("4.2 HEADERS above MAX_FRAME_SIZE",
     headers(1, block([*head(), ("x-large", "y" * 16500)])), ended(SIZE)),
    ("4.2 PING above MAX_FRAME_SIZE", ping(b"x" * 16385), ended(SIZE)),
    ("4.2 CONTINUATION above MAX_FRAME_SIZE", split(1, literal("x-l", "y" * 16500)), ended(SIZE)),
    ("4.2 unknown type above MAX_FRAME_SIZE", frame(0x16, 0, 0, b"x" * 16385), ended(SIZE)),
    ("4.3 block that is not HPACK", headers(1, b"\x40\x0a"), ended(COMPRESSION)),
    ("4.3 PRIORITY within a block", headers(1, head(), flags=0)
     + frame(Type.PRIORITY, 0, 1, b"\0" * 5), ended(PROTOCOL)),
    ("4.3 HEADERS of another stream within a block", headers(1, head(), flags=0) + get(3),
     ended(PROTOCOL)),
    # §5.1
    ("5.1 idle: DATA", data(1, b"x", end=True), ended(PROTOCOL)),
    ("5.1 idle: RST_STREAM", rst(1), ended(PROTOCOL)),
    ("5.1 idle: WINDOW_UPDATE", window_update(1, 100), ended(PROTOCOL)),
    ("5.1 idle: CONTINUATION", frame(Type.CONTINUATION, END_HEADERS, 1, block(head())),
     ended(PROTOCOL)),
    ("5.1 idle: PRIORITY", frame(Type.PRIORITY, 0, 1, b"\0\0\0\0\x10") + get(), served()),
    ("5.1 idle: PRIORITY, then a lower stream",
     frame(Type.PRIORITY, 0, 7, b"\0\0\0\0\x10") + get(5), served(5)),
    ("5.1 half closed: DATA", held_get() + data(1, b"x", end=True), refused(CLOSED)),
    ("5.1 half closed: HEADERS", held_get() + get(), refused(CLOSED)),
    ("5.1 half closed: CONTINUATION",
     held_get() + frame(Type.CONTINUATION, END_HEADERS, 1, X), ended(PROTOCOL, CLOSED)),
    ("5.1 half closed: WINDOW_UPDATE", get() + window_update(1, 1), served()),
    ("5.1 half closed: PRIORITY", get() + frame(Type.PRIORITY, 0, 1, b"\0\0\0\0\x10"), served()),
    ("5.1 half closed: RST_STREAM", held_get() + rst(1), alive),
    ("5.1 reset: DATA", post() + rst(1) + data(1, b"x", end=True), ignored_or(refused(CLOSED))),
    ("5.1 reset: HEADERS", post() + rst(1) + headers(1, [("x", "y")]),
     ignored_or(refused(CLOSED))),
    ("5.1 reset: HEADERS of a request", post() + rst(1) + get(), ignored_or(refused(CLOSED))),
    ("5.1 reset: CONTINUATION", post() + rst(1) + frame(Type.CONTINUATION, END_HEADERS, 1, X),
     ended(PROTOCOL, CLOSED)),
    ("5.1 reset: RST_STREAM", held_get() + rst(1) + rst(1), alive),
    ("5.1 reset: WINDOW_UPDATE", held_get() + rst(1) + window_update(1, 9), alive),
    ("5.1 reset: PRIORITY", held_get() + rst(1) + frame(Type.PRIORITY, 0, 1, b"\0\0\0\0\x10"),
     alive),
    # §5.1.1
    ("5.1.1 even stream", get(2), ended(PROTOCOL)),
    ("5.1.1 smaller stream", held_get(5) + get(3),
     ignored_or(refused(PROTOCOL, CLOSED, stream=3))),
    ("5.1.1 stream 0", get(0), ended(PROTOCOL)),
    ("5.1.1 last stream", get(0x7FFFFFFF), served(0x7FFFFFFF)),
    # §5.3: deprecated, but what may not harm is either ignored or an error.
    ("5.3 HEADERS that depend on themselves",
     frame(Type.HEADERS, END_HEADERS | END_STREAM | PRIORITY, 1, PRIORITY_OF_1 + block(head())),
     refused(PROTOCOL, statuses=(200,))),
    ("5.3 PRIORITY that depends on itself",
     held_get() + frame(Type.PRIORITY, 0, 1, PRIORITY_OF_1), ignored_or(refused(PROTOCOL))),
    # §5.4, §5.5
    ("5.4.1 GOAWAY, then closed", ping(b"short"), ended(SIZE)),
    ("5.5 unknown within a block", headers(1, head(), flags=0) + frame(0x16, 0, 0, b"x"),
     ended(PROTOCOL)),
    ("5.5 unknown between DATA", post() + data(1, b"x") + frame(0xEE, 1, 1, b"y" * 99)
     + data(1, end=True), served()),
    # §6.1
    ("6.1 DATA on stream 0", data(0, b"x"), ended(PROTOCOL)),
    ("6.1 padding", post() + data(1, padded(b"x", 200), end=True, flags=PADDED), served()),
    ("6.1 only padding", post() + data(1, padded(b"", 9), end=True, flags=PADDED), served()),
    ("6.1 padding as long as the payload", post() + data(1, b"\x04xxx", flags=PADDED),
     ended(PROTOCOL)),
    ("6.1 padding longer than the payload", post() + data(1, b"\xffxxx", flags=PADDED),
     ended(PROTOCOL)),
    ("6.1 padded and empty", post() + data(1, b"", flags=PADDED), ended(PROTOCOL, SIZE)),
    ("6.1 several DATA", post() + data(1, b"a") + data(1, b"b") + data(1, b"c", end=True),
     served()),
    ("6.1 empty last DATA", post() + data(1, b"a") + data(1, end=True), served()),
    # §6.2
    ("6.2 HEADERS with padding",
     headers(1, padded(block(head()), 77), flags=END_HEADERS | PADDED), served()),
    ("6.2 HEADERS with priority", headers(1, b"\0\0\0\0\xff" + block(head()),
                                          flags=END_HEADERS | PRIORITY), served()),
    ("6.2 HEADERS with both", headers(
        1, padded(b"\x80\0\0\0\x01" + block(head()), 5), flags=END_HEADERS | PRIORITY | PADDED),
     served()),
    ("6.2 padding longer than the payload",
     headers(1, b"\xff" + block(head()), flags=END_HEADERS | PADDED), ended(PROTOCOL)),
    ("6.2 priority cut short", headers(1, b"\0\0\0", flags=END_HEADERS | PRIORITY),
     ended(PROTOCOL, SIZE)),
    ("6.2 empty HEADERS", headers(1, b""), refused(PROTOCOL, statuses=(400,))),
    ("6.2 CONTINUATION missing: DATA", headers(1, head(), end=False, flags=0) + data(1, b"x"),
     ended(PROTOCOL)),
    ("6.2 CONTINUATION missing: PING", headers(1, head(), flags=0) + ping(), ended(PROTOCOL)),
    ("6.2 CONTINUATION missing: SETTINGS", headers(1, head(), flags=0) + settings(),
     ended(PROTOCOL)),
    ("6.2 CONTINUATION missing: WINDOW_UPDATE", headers(1, head(), flags=0) + window_update(0, 1),
     ended(PROTOCOL)),
    # §6.3
    ("6.3 PRIORITY on stream 0", frame(Type.PRIORITY, 0, 0, b"\0\0\0\0\x10"), ended(PROTOCOL)),
    ("6.3 PRIORITY of 4", held_get() + frame(Type.PRIORITY, 0, 1, b"\0" * 4), refused(SIZE)),
    ("6.3 PRIORITY of 6", held_get() + frame(Type.PRIORITY, 0, 1, b"\0" * 6), refused(SIZE)),
    ("6.3 exclusive PRIORITY", frame(Type.PRIORITY, 0, 3, b"\x80\0\0\x01\xff") + get(), served()),
    # §6.4
    ("6.4 RST_STREAM on stream 0", rst(0), ended(PROTOCOL)),
    ("6.4 RST_STREAM of 3", held_get() + frame(Type.RST_STREAM, 0, 1, b"\0" * 3), ended(SIZE)),
    ("6.4 RST_STREAM of 5", held_get() + frame(Type.RST_STREAM, 0, 1, b"\0" * 5), ended(SIZE)),
    # §6.5
    ("6.5 ACK with payload", settings({Setting.ENABLE_PUSH: 0}, ACK), ended(SIZE)),
    ("6.5 SETTINGS on a stream", frame(Type.SETTINGS, 0, 1), ended(PROTOCOL)),
    ("6.5 SETTINGS of 3", frame(Type.SETTINGS, 0, 0, b"\0\3\0"), ended(SIZE)),
    ("6.5 SETTINGS of 7", frame(Type.SETTINGS, 0, 0, b"\0\3\0\0\0\1\0"), ended(SIZE)),
    ("6.5 ACK of nothing", settings(flags=ACK) + get(), refused(PROTOCOL, statuses=(200,))),
    ("6.5 empty SETTINGS", settings() + get(), served()),
    ("6.5.2 ENABLE_PUSH 2", settings({Setting.ENABLE_PUSH: 2}), ended(PROTOCOL)),
    ("6.5.2 INITIAL_WINDOW_SIZE 2^31", settings({Setting.INITIAL_WINDOW_SIZE: 1 << 31}),
     ended(FLOW)),
    ("6.5.2 INITIAL_WINDOW_SIZE 2^32-1", settings({Setting.INITIAL_WINDOW_SIZE: 0xFFFFFFFF}),
     ended(FLOW)),
    ("6.5.2 MAX_FRAME_SIZE 2^14-1", settings({Setting.MAX_FRAME_SIZE: 16383}), ended(PROTOCOL)),
    ("6.5.2 MAX_FRAME_SIZE 0", settings({Setting.MAX_FRAME_SIZE: 0}), ended(PROTOCOL)),
    ("6.5.2 MAX_FRAME_SIZE 2^24", settings({Setting.MAX_FRAME_SIZE: 1 << 24}), ended(PROTOCOL)),
    ("6.5.2 MAX_FRAME_SIZE 2^24-1", settings({Setting.MAX_FRAME_SIZE: (1 << 24) - 1}) + get(),
     served()),
    ("6.5.2 unknown setting", settings({0xFF: 1, 0xABCD: 0xFFFFFFFF}) + get(), served()),
    ("6.5.2 HEADER_TABLE_SIZE 0", settings({Setting.HEADER_TABLE_SIZE: 0}) + get() + get(3),
     served(3)),
    ("6.5.2 HEADER_TABLE_SIZE 2^32-1",
     settings({Setting.HEADER_TABLE_SIZE: 0xFFFFFFFF}) + get(), served()),
    ("6.5.2 MAX_CONCURRENT_STREAMS 0", settings({Setting.MAX_CONCURRENT_STREAMS: 0}) + get(),
     served()),
    # §6.6
    ("6.6 PUSH_PROMISE", held_get() + frame(
        Type.PUSH_PROMISE, END_HEADERS, 1, struct.pack(">I", 2) + block(head())), ended(PROTOCOL)),
    # §6.7
    ("6.7 unexpected ACK", ping(b"nobody's", ACK) + get(), served()),
    ("6.7 PING on a stream", frame(Type.PING, 0, 1, b"\0" * 8), ended(PROTOCOL)),
    ("6.7 PING of 7", ping(b"\0" * 7), ended(SIZE)),
    ("6.7 PING of 9", ping(b"\0" * 9), ended(SIZE)),
    ("6.7 PING of 0", ping(b""), ended(SIZE)),
    # §6.8
    ("6.8 GOAWAY on a stream", frame(Type.GOAWAY, 0, 1, b"\0" * 8), ended(PROTOCOL)),
    ("6.8 GOAWAY of 7", frame(Type.GOAWAY, 0, 0, b"\0" * 7), ended(SIZE)),
    ("6.8 GOAWAY while a stream is open", get() + goaway(0), served()),
    ("6.8 GOAWAY with debug data", get() + goaway(0, 0, b"bye" * 99), served()),
    # §6.9
    ("6.9 increment 0", window_update(0, 0), ended(PROTOCOL)),
    ("6.9 increment 0 on a stream", held_get() + window_update(1, 0), refused(PROTOCOL)),
    ("6.9 WINDOW_UPDATE of 3", frame(Type.WINDOW_UPDATE, 0, 0, b"\0\0\1"), ended(SIZE)),
    ("6.9 WINDOW_UPDATE of 5", frame(Type.WINDOW_UPDATE, 0, 0, b"\0\0\0\1\0"), ended(SIZE)),
    ("6.9 WINDOW_UPDATE of 3 on a stream",
     held_get() + frame(Type.WINDOW_UPDATE, 0, 1, b"\0\0\1"), ended(SIZE)),
    ("6.9 reserved bit", window_update(0, 0x80000001) + get(), served()),
    ("6.9.1 connection's window above 2^31-1", window_update(0, 0x7FFFFFFF) * 2, ended(FLOW)),
    ("6.9.1 stream's window above 2^31-1", held_get() + window_update(1, 0x7FFFFFFF) * 2,
     refused(FLOW)),
    ("6.9.2 window above 2^31-1 by SETTINGS", held_get() + window_update(1, 0x7FFF0000)
     + settings({Setting.INITIAL_WINDOW_SIZE: 0x7FFFFFFF}), refused(FLOW)),
    # §6.10
    ("6.10 CONTINUATION", split(1, X), served()),
    ("6.10 several CONTINUATION", split(1, X, literal("x-b", "2"), literal("x-c", "3")), served()),
    ("6.10 empty CONTINUATION", split(1, b"", X), served()),
    ("6.10 CONTINUATION in the middle of a field",
     headers(1, block(head())[:-3], flags=0)
     + frame(Type.CONTINUATION, END_HEADERS, 1, block(head())[-3:]), served()),
    ("6.10 another frame than CONTINUATION", headers(1, head(), end=False, flags=0)
     + frame(Type.CONTINUATION, 0, 1, X) + data(1, b"x"), ended(PROTOCOL)),
    ("6.10 CONTINUATION on stream 0",
     headers(1, head(), flags=0) + frame(Type.CONTINUATION, END_HEADERS, 0, X), ended(PROTOCOL)),
    ("6.10 CONTINUATION on another stream",
     headers(1, head(), flags=0) + frame(Type.CONTINUATION, END_HEADERS, 3, X), ended(PROTOCOL)),
    ("6.10 CONTINUATION after END_HEADERS", headers(1, head(path="/public/held"), end=False)
     + frame(Type.CONTINUATION, END_HEADERS, 1, X), ended(PROTOCOL)),
    ("6.10 CONTINUATION after the last CONTINUATION",
     split(1, X, end=False) + frame(Type.CONTINUATION, END_HEADERS, 1, X), ended(PROTOCOL)),
    ("6.10 CONTINUATION after DATA",
     post() + data(1, b"x") + frame(Type.CONTINUATION, END_HEADERS, 1, X), ended(PROTOCOL)),
    # §7
    ("7 GOAWAY with an unknown code", get() + goaway(0, 0xFF), served()),
    ("7 RST_STREAM with an unknown code", held_get() + rst(1, 0xFF), alive),
    # RFC 7541
    ("HPACK 2.3.3 index beyond the tables", headers(1, block(head()) + integer(70, 7, 0x80)),
     ended(COMPRESSION)),
    ("HPACK 2.3.3 name index beyond the tables",
     headers(1, block(head()) + integer(70, 6, 0x40) + b"\x01x"), ended(COMPRESSION)),
    ("HPACK 4.2 table size update at the end", headers(1, block(head()) + b"\x20"),
     ended(COMPRESSION)),
    ("HPACK 4.2 table size update first", headers(1, b"\x20" + block(head())), served()),
    ("HPACK 4.2 two table size updates",
     headers(1, b"\x20" + integer(4096, 5, 0x20) + block(head())), served()),
    ("HPACK 5.1 integer without end", headers(1, block(head()) + b"\xff" + b"\xff" * 40),
     ended(COMPRESSION)),
    ("HPACK 5.1 integer above 2^32", headers(1, block(head()) + b"\xff" + b"\x80" * 9 + b"\x01"),
     ended(COMPRESSION)),
    ("HPACK 5.2 Huffman padding of 8 bits",
     headers(1, block(head()) + b"\x00\x85\xf2\xb2\x4a\x84\xff\x84\x49\x50\x9f\xff"),
     ended(COMPRESSION)),
    ("HPACK 5.2 Huffman padding of zeros",
     headers(1, block(head()) + b"\x00\x85\xf2\xb2\x4a\x84\xff\x83\x49\x50\x90"),
     ended(COMPRESSION)),
    ("HPACK 5.2 Huffman with EOS",
     headers(1, block(head()) + b"\x00\x85\xf2\xb2\x4a\x84\xff\x87\x49\x51\xff\xff\xff\xfa\x7f"),
     ended(COMPRESSION)),
    ("HPACK 5.2 string beyond the block", headers(1, block(head()) + b"\x00\x7f\x00x"),
     ended(COMPRESSION)),
    ("HPACK 6.1 index 0", headers(1, block(head()) + b"\x80"), ended(COMPRESSION)),
    ("HPACK 6.1 static index", headers(1, b"\x82\x86" + block([(":path", "/public/x"),
                                                               (":authority", "api.test")])),
     served()),
    ("HPACK 6.2.1 kept, then by index", headers(
        1, b"\x82\x86" + literal(":path", "/public/x", 0x40)
        + literal(":authority", "api.test", 0x40)) + headers(3, b"\x82\x86\xbf\xbe"), served(3)),
    ("HPACK 6.2.1 kept by a block that is refused", headers(
        1, literal("x-kept", "1", 0x40) + block(head())) + headers(3, block(head()) + b"\xbe"),
     served(3)),
    ("HPACK 6.2.3 never indexed", headers(1, block(head()) + literal("x", "y", 0x10)), served()),
    ("HPACK 6.3 table size above SETTINGS",
     headers(1, integer(4097, 5, 0x20) + block(head())), ended(COMPRESSION)),
    ("HPACK 6.3 table size far above SETTINGS",
     headers(1, integer(0x7FFFFFFF, 5, 0x20) + block(head())), ended(COMPRESSION)),
]


@pytest.mark.parametrize("octets, check", [case[1:] for case in CONNECTION],
                         ids=[case[0] for case in CONNECTION])
def test_frames(held, octets, check):
    run(held, octets, check)


def changed(name, value=None, *, add=None):
    """A request's fields with one pseudo-header field replaced, left out or followed."""
    fields = [pair for pair in head() if pair[0] != name or value is not None]
    fields = [(name, value) if pair[0] == name else pair for pair in fields]
    return fields if add is None else [*fields, add]


GOOD = head()
MALFORMED = [
    ("8.2 upper case", [*GOOD, ("X-Upper", "1")]),
    ("8.2 one upper-case letter", [*GOOD, ("x-uppEr", "1")]),
    ("8.2 empty name", [*GOOD, ("", "1")]),
    ("8.2.1 space in a name", [*GOOD, ("x y", "1")]),
    ("8.2.1 colon in a name", [*GOOD, ("x:y", "1")]),
    ("8.2.1 NUL in a name", [*GOOD, ("x\0", "1")]),
    ("8.2.1 CR LF in a name", [*GOOD, ("x: y\r\nz", "1")]),
    ("8.2.1 DEL in a name", [*GOOD, ("x\x7f", "1")]),
    ("8.2.1 high octet in a name", [*GOOD, ("x\xe9", "1")]),
    ("8.2.1 NUL in a value", [*GOOD, ("x", "a\0b")]),
    ("8.2.1 LF in a value", [*GOOD, ("x", "a\nb")]),
    ("8.2.1 CR in a value", [*GOOD, ("x", "a\rb")]),
    ("8.2.1 a second field in a value", [*GOOD, ("x", "a\r\nremote-user: admin")]),
    ("8.2.1 a second request in a value",
     [*GOOD, ("x", "a\r\n\r\nGET /token/smuggled HTTP/1.1\r\nhost: api.test\r\n\r\n")]),
    ("8.2.2 connection", [*GOOD, ("connection", "keep-alive")]),
    ("8.2.2 connection: close", [*GOOD, ("connection", "close")]),
    ("8.2.2 keep-alive", [*GOOD, ("keep-alive", "timeout=5")]),
    ("8.2.2 proxy-connection", [*GOOD, ("proxy-connection", "keep-alive")]),
    ("8.2.2 transfer-encoding", [*GOOD, ("transfer-encoding", "chunked")]),
    ("8.2.2 upgrade", [*GOOD, ("upgrade", "websocket")]),
    ("8.2.2 te: gzip", [*GOOD, ("te", "gzip")]),
    ("8.2.2 te: trailers, deflate", [*GOOD, ("te", "trailers, deflate")]),
    ("8.3 unknown pseudo-header field", [*GOOD, (":test", "ok")]),
    ("8.3 empty pseudo-header field", [*GOOD, (":", "ok")]),
    ("8.3 :status in a request", [*GOOD, (":status", "200")]),
    ("8.3 :status first", [(":status", "200"), *GOOD]),
    ("8.3 pseudo-header field late", [*GOOD[:3], ("x-test", "ok"), GOOD[3]]),
    ("8.3 pseudo-header field twice, late", [*GOOD, ("x", "y"), (":path", "/public/x")]),
    ("8.3.1 no :method", changed(":method")),
    ("8.3.1 no :scheme", changed(":scheme")),
    ("8.3.1 no :path", changed(":path")),
    ("8.3.1 no :authority and no host", changed(":authority")),
    ("8.3.1 empty :path", changed(":path", "")),
    ("8.3.1 empty :method", changed(":method", "")),
    ("8.3.1 empty :scheme", changed(":scheme", "")),
    ("8.3.1 empty :authority", changed(":authority", "")),
    ("8.3.1 :method twice", [GOOD[0], *GOOD]),
    ("8.3.1 :scheme twice", [GOOD[1], *GOOD]),
    ("8.3.1 :path twice", [*GOOD, GOOD[3]]),
    ("8.3.1 :authority twice", [GOOD[2], *GOOD]),
    ("8.3.1 :path other, twice", [GOOD[0], (":path", "/token/x"), *GOOD[1:]]),
    ("8.3.1 space in :method", changed(":method", "GE T")),
    ("8.3.1 request line in :method", changed(":method", "GET /token/x HTTP/1.1\r\nx: y")),
    ("8.3.1 space in :path", changed(":path", "/public/x y")),
    ("8.3.1 request line in :path", changed(":path", "/public/x HTTP/1.1\r\nremote-user: x")),
    ("8.3.1 NUL in :path", changed(":path", "/public/\0x")),
    ("8.3.1 high octet in :path", changed(":path", "/public/\xe9")),
    ("8.3.1 space in :authority", changed(":authority", "api test")),
    ("8.3.1 line end in :authority", changed(":authority", "api.test\r\nx: y")),
    ("8.3.1 path in :authority", changed(":authority", "api.test/x")),
    ("8.3.1 :path without a slash", changed(":path", "public/x")),
    ("8.3.1 :path with scheme", changed(":path", "http://api.test/public/x")),
    ("8.3.1 OPTIONS with an empty path",
     [(":method", "OPTIONS"), *changed(":path", "")[1:]]),
    ("RFC 8441 extended CONNECT", [
        (":method", "CONNECT"), (":protocol", "websocket"), *GOOD[1:3], (":path", "/public/x"),
        ("sec-websocket-version", "13")]),
    ("RFC 8441 :protocol on GET", [*GOOD, (":protocol", "websocket")]),
    ("9110 8.6 content-length empty", [*GOOD, ("content-length", "")]),
    ("9110 8.6 content-length +1", [*GOOD, ("content-length", "+1")]),
    ("9110 8.6 content-length -1", [*GOOD, ("content-length", "-1")]),
    ("9110 8.6 content-length 0x1", [*GOOD, ("content-length", "0x1")]),
    ("9110 8.6 content-length 2^64", [*GOOD, ("content-length", str(1 << 64))]),
    ("9110 8.6 content-length list", [*GOOD, ("content-length", "0, 0")]),
    ("9110 8.6 content-length twice, other",
     [*GOOD, ("content-length", "0"), ("content-length", "1")]),
    ("9113 8.1.1 content-length without a body", [*GOOD, ("content-length", "5")]),
]


@pytest.mark.parametrize("fields", [case[1] for case in MALFORMED],
                         ids=[case[0] for case in MALFORMED])
def test_malformed_request_is_refused(proxy, fields):
    """§8.1.1: a stream error PROTOCOL_ERROR; a 400 before it, or instead, is as good."""
    run(proxy, headers(1, fields), refused(PROTOCOL, REFUSED, statuses=(400, 405, 501)))
    proxy.nothing_forwarded()


@pytest.mark.parametrize("length, parts", [
    (1, [b""]), (1, [b"xx"]), (5, [b"xx", b"xx"]), (3, [b"xx", b"xx"]),
    (1000, [b"x"]), (1, [b"x" * 1000]), (1 << 40, [b"x"]),
], ids=str)
def test_body_of_another_length_never_arrives_as_whole(proxy, length, parts):
    octets = post(fields=[("content-length", str(length))])
    for number, part in enumerate(parts):
        octets += data(1, part, end=number == len(parts) - 1)
    run(proxy, octets, refused(PROTOCOL, statuses=(400,)))
    assert all(request.raw == b"" for request in proxy.upstream.requests)


TRAILERS = [
    ("pseudo-header field", [(":method", "GET")]),
    ("pseudo-header field late", [("x", "y"), (":path", "/token/x")]),
    (":status", [(":status", "200")]),
    ("upper case", [("X-Upper", "1")]),
    ("line end", [("x", "a\r\nb: c")]),
    ("connection", [("connection", "close")]),
    ("transfer-encoding", [("transfer-encoding", "chunked")]),
]


@pytest.mark.parametrize("fields", [case[1] for case in TRAILERS],
                         ids=[case[0] for case in TRAILERS])
def test_malformed_trailers_are_refused(proxy, fields):
    octets = post() + data(1, b"x") + headers(1, fields)
    run(proxy, octets, refused(PROTOCOL, statuses=(400,)))
    assert all(request.raw == b"" for request in proxy.upstream.requests)


def test_second_headers_without_end_are_refused(proxy):
    """§8.1: a header block after the first ends the stream."""
    octets = post() + data(1, b"x") + headers(1, [("x", "y")], end=False)
    run(proxy, octets, refused(PROTOCOL, statuses=(400,)))
    assert all(request.raw == b"" for request in proxy.upstream.requests)


def test_body_beyond_a_length_of_zero_is_refused_and_not_forwarded(proxy):
    """The request was whole with its head; what follows belongs to nothing."""
    octets = post(fields=[("content-length", "0")]) + data(1, b"smuggled", end=True)
    run(proxy, octets, refused(PROTOCOL, statuses=(200, 400)))
    assert all(b"smuggled" not in request.raw for request in proxy.upstream.requests)
    assert proxy.get("/public/next").status == 200


# §3.4: the preface.
@pytest.mark.parametrize("octets", [
    PREFACE[:-1] + b"X" + settings(), PREFACE.replace(b"SM", b"XX") + settings(),
    b"PRI * HTTP/2.0\r\n\r\nGET /public/x HTTP/1.1\r\nhost: api.test\r\n\r\n",
    PREFACE.lower() + settings(), PREFACE.replace(b"2.0", b"2.1") + settings(),
    PREFACE.replace(b"\r\n", b"\n") + settings(),
], ids=ascii)
def test_bad_preface_is_closed(proxy, octets):
    """What is no preface may be answered as the bad HTTP/1.1 that it is; then it is closed."""
    with proxy.connect() as connection:
        connection.send(octets)
        rest = connection.reader.rest()
        assert b" 200 " not in rest
    proxy.nothing_forwarded()


@pytest.mark.parametrize("first", [get(), ping(), window_update(0, 1), data(1, b"x"), goaway()],
                         ids=["HEADERS", "PING", "WINDOW_UPDATE", "DATA", "GOAWAY"])
def test_preface_without_settings_is_a_connection_error(proxy, first):
    with Client(proxy.gateway.address, start=False) as client:
        client.send(PREFACE + first)
        ended(PROTOCOL)(client)
    proxy.nothing_forwarded()


def test_the_first_frame_of_the_server_is_settings(proxy):
    with Client(proxy.gateway.address) as client:
        client.await_settings()
        assert client.seen[0].kind == Type.SETTINGS and not client.seen[0].flags & ACK
        assert client.peer_settings.get(Setting.ENABLE_PUSH, 0) == 0
        assert client.peer_settings[Setting.MAX_CONCURRENT_STREAMS] == 100


def test_every_settings_frame_is_acknowledged(proxy):
    with Client(proxy.gateway.address) as client:
        client.await_settings()
        for values in ({}, {Setting.MAX_FRAME_SIZE: 20000}, {Setting.HEADER_TABLE_SIZE: 100}):
            client.change(values)
        client.wait(lambda: client.acks == 4, what="four acknowledgements")


def test_ping_is_answered_with_its_payload(proxy):
    with Client(proxy.gateway.address) as client:
        client.send(ping(b"h2spec!!"))
        client.wait(lambda: b"h2spec!!" in client.pongs, what="the answer to PING")


def test_goaway_names_the_last_stream(proxy):
    with Client(proxy.gateway.address) as client:
        for _ in range(3):
            assert client.get().status == 200
        client.send(ping(b"short"))
        client.is_closed(5)
        assert client.goaway is None or client.goaway == (5, SIZE)


# §6.9: the server keeps to our windows. Client asserts that it never sends beyond them.
@pytest.fixture
def large(proxy):
    body = bytes(range(256)) * 400
    proxy.upstream.answers(answer(body=body))
    return proxy, body


def test_one_octet_window(large):
    proxy, body = large
    with Client(proxy.gateway.address, settings={Setting.INITIAL_WINDOW_SIZE: 1},
                credit=False) as client:
        stream = client.request()
        client.wait(lambda: stream.body)
        for number in range(2, 50):
            client.give(stream, 1)
            client.wait(lambda: len(stream.body) == number)
        client.quiet(0.1)
        assert stream.body == body[:49] and set(stream.sizes) == {1}
        client.give(stream, len(body))
        client.give(None, len(body))
        assert client.response(stream).body == body


def test_no_window_at_all_still_brings_the_head(large):
    proxy, body = large
    with Client(proxy.gateway.address, settings={Setting.INITIAL_WINDOW_SIZE: 0},
                credit=False) as client:
        stream = client.request()
        client.wait(lambda: stream.final is not None)
        client.quiet(0.2)
        assert not stream.body and not stream.ended
        client.change({Setting.INITIAL_WINDOW_SIZE: 200_000})
        client.give(None, 200_000)
        assert client.response(stream).body == body


def test_the_last_of_several_settings_counts(large):
    proxy, body = large
    with Client(proxy.gateway.address, credit=False) as client:
        values = [(Setting.INITIAL_WINDOW_SIZE, 100), (Setting.INITIAL_WINDOW_SIZE, 3)]
        client.initial = 3
        client.send(settings(values))
        stream = client.request()
        client.wait(lambda: len(stream.body) == 3)
        client.quiet(0.1)
        assert stream.body == body[:3]


def test_window_made_negative_by_settings(large):
    proxy, body = large
    with Client(proxy.gateway.address, settings={Setting.INITIAL_WINDOW_SIZE: 10},
                credit=False) as client:
        stream = client.request()
        client.wait(lambda: len(stream.body) == 10)
        client.change({Setting.INITIAL_WINDOW_SIZE: 2})  # now at -8
        client.give(stream, 8)
        client.quiet(0.1)
        assert len(stream.body) == 10
        client.give(stream, 1)
        client.wait(lambda: len(stream.body) == 11)


def test_the_connection_window_holds_for_all_streams(large):
    proxy, body = large
    with Client(proxy.gateway.address, settings={Setting.INITIAL_WINDOW_SIZE: 1 << 20},
                credit=False) as client:
        streams = [client.request() for _ in range(3)]
        client.wait(lambda: sum(len(one.body) for one in streams) == 65535)
        client.quiet(0.1)
        assert sum(len(one.body) for one in streams) == 65535
        client.give(None, 3 * len(body))
        assert [client.response(one).body for one in streams] == [body] * 3


def test_frames_keep_to_max_frame_size(large):
    proxy, body = large
    for size in (16384, 40000):
        with Client(proxy.gateway.address, settings={Setting.MAX_FRAME_SIZE: size}) as client:
            stream = client.request()
            assert client.response(stream).body == body
            assert max(stream.sizes) <= size


def test_upload_beyond_the_window_is_a_flow_control_error(proxy):
    """An upstream that takes nothing ends the credit; sockets' buffers take some before that."""
    release = threading.Event()
    proxy.upstream.early = True
    proxy.upstream.script = lambda request, peer: (release.wait(8), None)[1]
    with Client(proxy.gateway.address) as client:
        client.await_settings()
        stream = client.open(head("POST", "/public/held"), end=False)
        client.fill(stream)
        for _ in range(2 + max(stream.window, client.window) // 16384):
            client.send(data(1, b"x" * 16384))
        refused(FLOW)(client)
    release.set()
