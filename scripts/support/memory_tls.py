"""Resident memory for each idle TLS connection, HTTP/1.1 and HTTP/2, beside HAProxy."""

import socket
import ssl

import contenders
from certificates import Certificate

WARM_CONNECTIONS = 64

H2_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SETTINGS, HEADERS, DATA = 4, 1, 0
END_STREAM, END_HEADERS, ACK = 1, 4, 1


def frame(kind, flags, stream, payload=b""):
    return len(payload).to_bytes(3) + bytes([kind, flags]) + stream.to_bytes(4) + payload


def h2_request(path):
    """The preface and one GET, its fields as indices and plain literals (RFC 7541, appendix A)."""
    def literal(index, value):
        return bytes([index, len(value)]) + value

    fields = b"\x82\x87" + literal(4, path) + literal(1, b"localhost")
    return (H2_PREFACE + frame(SETTINGS, 0, 0)
            + frame(HEADERS, END_STREAM | END_HEADERS, 1, fields) + frame(SETTINGS, ACK, 0))


def exactly(connection, count):
    received = b""
    while len(received) < count:
        more = connection.recv(count - len(received))
        if not more:
            raise ConnectionError("closed")
        received += more
    return received


def h1_exchange(connection):
    connection.sendall(b"GET /public/0 HTTP/1.1\r\nHost: localhost\r\n\r\n")
    received = b""
    while not received.endswith(b"\r\n\r\n"):
        more = connection.recv(4096)
        if not more:
            raise ConnectionError("closed")
        received += more


def h2_exchange(connection):
    connection.sendall(h2_request(b"/public/0"))
    while True:
        head = exactly(connection, 9)
        exactly(connection, int.from_bytes(head[:3]))
        kind, flags, stream = head[3], head[4], int.from_bytes(head[5:])
        if stream == 1 and kind in (HEADERS, DATA) and flags & END_STREAM:
            return


EXCHANGES = {"http/1.1": h1_exchange, "h2": h2_exchange}


def settled_connection(port, context, protocol):
    plain = socket.create_connection(("127.0.0.1", port), timeout=10)
    connection = context.wrap_socket(plain, server_hostname="localhost")
    if connection.selected_alpn_protocol() != protocol:
        raise ConnectionError(f"no {protocol}")
    EXCHANGES[protocol](connection)
    return connection


def idle_connections(proxy, certificate, protocol, count):
    """Bytes for each."""
    context = ssl.create_default_context(cafile=certificate.certificate)
    context.set_alpn_protocols([protocol])
    held = [settled_connection(proxy.port, context, protocol) for _ in range(WARM_CONNECTIONS)]
    before = proxy.anonymous_bytes()
    held += [settled_connection(proxy.port, context, protocol) for _ in range(count)]
    grown = proxy.anonymous_bytes() - before
    for connection in held:
        connection.close()
    return grown / count


def measure(binary, folder, upstream, issuer, table, count):
    """A fresh process of each for each protocol, since memory given back stays with a process."""
    certificate = Certificate(folder)
    limits = {"connections": count + 2 * WARM_CONNECTIONS}
    for protocol in EXCHANGES:
        peer = contenders.haproxy(
            folder, upstream, certificate, connections=count + 2 * WARM_CONNECTIONS)
        bar = _measured(peer, certificate, protocol, count)
        own = _measured(
            contenders.bearward(
                binary, folder, upstream.endpoint, issuer, certificate=certificate, limits=limits),
            certificate, protocol, count)
        table.row(f"HAProxy, per idle TLS connection, {protocol}", bar, ("B", 1))
        table.row(f"per idle TLS connection of {count}, {protocol}", own, ("B", 1), bar)


def _measured(proxy, certificate, protocol, count):
    try:
        return idle_connections(proxy, certificate, protocol, count)
    finally:
        proxy.end()
