"""HTTP/2 frames as bytes: RFC 9113 §4 and §6, and HPACK literals of RFC 7541 §6.2.

Header blocks are written as plain literals, which no encoder's good manners get in the way of;
what arrives is decoded by `hpack`.
"""

import dataclasses
import enum
import struct

import hpack

from .wire import Fields

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DEFAULT_WINDOW = 65535


class Type(enum.IntEnum):
    DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, \
        CONTINUATION = range(10)


class Code(enum.IntEnum):
    """Error codes: RFC 9113 §7."""

    NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR, FLOW_CONTROL_ERROR, SETTINGS_TIMEOUT, \
        STREAM_CLOSED, FRAME_SIZE_ERROR, REFUSED_STREAM, CANCEL, COMPRESSION_ERROR, \
        CONNECT_ERROR, ENHANCE_YOUR_CALM, INADEQUATE_SECURITY, HTTP_1_1_REQUIRED = range(14)


class Setting(enum.IntEnum):
    HEADER_TABLE_SIZE, ENABLE_PUSH, MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE, \
        MAX_HEADER_LIST_SIZE = range(1, 7)


END_STREAM = ACK = 0x1
END_HEADERS = 0x4
PADDED = 0x8
PRIORITY = 0x20


# Writing.
def frame(kind, flags=0, stream=0, payload=b"", length=None):
    """One frame; `length` lies about the payload's."""
    size = len(payload) if length is None else length
    return size.to_bytes(3, "big") + struct.pack(">BBI", kind, flags, stream) + payload


def integer(value, prefix, first=0):
    """RFC 7541 §5.1."""
    limit = (1 << prefix) - 1
    if value < limit:
        return bytes([first | value])
    out, value = [first | limit], value - limit
    while value >= 128:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def text(value):
    return value if isinstance(value, bytes) else value.encode("latin-1")


def literal(name, value, first=0x00):
    """A literal field with a new name: not indexed, or with 0x10 never, or with 0x40 kept."""
    name, value = text(name), text(value)
    return (bytes([first]) + integer(len(name), 7) + name + integer(len(value), 7) + value)


def block(fields):
    pairs = fields.items() if isinstance(fields, dict) else fields
    return b"".join(literal(name, value) for name, value in pairs)


def headers(stream, fields, *, end=True, flags=END_HEADERS):
    payload = fields if isinstance(fields, bytes) else block(fields)
    return frame(Type.HEADERS, flags | (END_STREAM if end else 0), stream, payload)


def data(stream, payload=b"", *, end=False, flags=0):
    return frame(Type.DATA, flags | (END_STREAM if end else 0), stream, payload)


def padded(payload, padding):
    return bytes([padding]) + payload + bytes(padding)


def settings(values=(), flags=0):
    pairs = values.items() if isinstance(values, dict) else values
    return frame(Type.SETTINGS, flags, 0, b"".join(struct.pack(">HI", *pair) for pair in pairs))


def window_update(stream, increment):
    return frame(Type.WINDOW_UPDATE, 0, stream, struct.pack(">I", increment))


def rst(stream, code=Code.CANCEL):
    return frame(Type.RST_STREAM, 0, stream, struct.pack(">I", code))


def goaway(last=0, code=Code.NO_ERROR, debug=b""):
    return frame(Type.GOAWAY, 0, 0, struct.pack(">II", last, code) + debug)


def ping(payload=b"\0" * 8, flags=0):
    return frame(Type.PING, flags, 0, payload)


def head(method="GET", path="/public/x", *, authority="api.test", scheme="http", token=None,
         fields=()):
    """A request's fields; None leaves a pseudo-header field out."""
    pseudo = [(":method", method), (":scheme", scheme), (":authority", authority),
              (":path", path)]
    more = fields.items() if isinstance(fields, dict) else fields
    bearer = [("authorization", f"Bearer {token}")] if token else []
    return [*((name, value) for name, value in pseudo if value is not None), *bearer, *more]


# Reading.
@dataclasses.dataclass
class Frame:
    kind: int
    flags: int
    stream: int
    payload: bytes

    def content(self):
        """The payload without padding and priority."""
        body = self.payload
        if self.flags & PADDED and self.kind in (Type.DATA, Type.HEADERS):
            body = body[1:len(body) - body[0]]
        return body[5:] if self.kind == Type.HEADERS and self.flags & PRIORITY else body

    def number(self, offset=0):
        return struct.unpack_from(">I", self.payload, offset)[0]


class Frames:
    """Cuts received bytes into frames and gathers header blocks."""

    def __init__(self):
        self.buffer = bytearray()
        self.decoder = hpack.Decoder(max_header_list_size=1 << 24)
        self.gathered = None

    def feed(self, received):
        self.buffer += received
        while len(self.buffer) >= 9:
            size = int.from_bytes(self.buffer[:3], "big")
            if len(self.buffer) < 9 + size:
                return
            kind, flags, stream = struct.unpack(">BBI", self.buffer[3:9])
            payload = bytes(self.buffer[9:9 + size])
            del self.buffer[:9 + size]
            yield Frame(kind, flags, stream & 0x7FFFFFFF, payload)

    def gather(self, got):
        """A whole block's fields, the HEADERS frame's flags; None while more is to come."""
        if got.kind == Type.HEADERS:
            self.gathered = (got.flags, got.content())
        else:
            self.gathered = (self.gathered[0], self.gathered[1] + got.content())
        if not got.flags & END_HEADERS:
            return None
        flags, whole = self.gathered
        decoded = self.decoder.decode(whole, raw=True)
        return Fields((n.decode("latin-1"), v.decode("latin-1")) for n, v in decoded), flags
