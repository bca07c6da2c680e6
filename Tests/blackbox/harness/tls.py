"""TLS on a socket of the test's own, every byte on the wire seen and under control.

`TLSSocket` runs OpenSSL over memory and moves the records itself, so that a test can send a
handshake byte by byte, cut a connection without `close_notify`, and see what a peer sent that was
not TLS at all.
"""

import dataclasses
import socket
import ssl
import warnings

from .wire import Closed, Truncated

# What OpenSSL wants before it speaks TLS 1.1, or takes a key that is too short for today.
WEAK = "ALL:@SECLEVEL=0"
VERSIONS = {"1.0": ssl.TLSVersion.TLSv1, "1.1": ssl.TLSVersion.TLSv1_1,
            "1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


@dataclasses.dataclass
class Handshake:
    """What a server learnt of a client, or what went wrong."""

    server_name: str = None
    protocol: str = None
    version: str = None
    cipher: str = None
    resumed: bool = False
    certificate: bytes = None
    error: str = None


def limit(context, versions, ciphers):
    if versions:
        with warnings.catch_warnings():
            # Old versions are deprecated, and here to be refused.
            warnings.simplefilter("ignore", DeprecationWarning)
            context.minimum_version = VERSIONS[versions[0]]
            context.maximum_version = VERSIONS[versions[-1]]
        if versions[0] in ("1.0", "1.1"):
            ciphers = ciphers or WEAK
    if ciphers:
        context.set_ciphers(ciphers)


def client_context(authority=None, *, protocols=(), versions=(), ciphers=None, certificate=None,
                   keylog=None):
    """A client that trusts one authority; without one it takes any certificate. `certificate` is
    the pair of paths that `Leaf.write` returns."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    limit(context, versions, ciphers)
    if authority is None:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    else:
        context.load_verify_locations(cadata=authority.pem.decode())
    if protocols:
        context.set_alpn_protocols(list(protocols))
    if certificate:
        context.load_cert_chain(*certificate)
    if keylog:
        context.keylog_filename = str(keylog)
    return context


def server_context(leaf, folder, *, protocols=("http/1.1",), versions=(), ciphers=None,
                   client_authority=None, tickets=True):
    """A server with one certificate, asking for a client's where an authority for those is named.
    The names that clients ask for are noted on the session's object."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    limit(context, versions, ciphers)
    context.load_cert_chain(*leaf.write(folder, f"server-{leaf.serial:x}"))
    if protocols:
        context.set_alpn_protocols(list(protocols))
    if client_authority:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(cadata=client_authority.pem.decode())
    if not tickets:
        context.num_tickets = 0
        context.options |= ssl.OP_NO_TICKET
    context.sni_callback = note_server_name
    return context


def note_server_name(connection, name, _context):
    connection.asked_name = name


class TLSSocket:
    """The socket interface that `wire.Reader` and `Connection` use, over records moved by hand."""

    def __init__(self, sock, context, *, server_side=False, server_name=None, session=None):
        self.sock = sock
        # As they came from the peer, before any decryption.
        self.received = bytearray()
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(
            self.incoming, self.outgoing, server_side=server_side, server_hostname=server_name,
            session=session)
        self.family = sock.family

    def _flush(self):
        if data := self.outgoing.read():
            self.sock.sendall(data)

    def _feed(self):
        """One receive; False at the end."""
        try:
            data = self.sock.recv(65536)
        except ConnectionResetError:
            data = b""
        if not data:
            self.incoming.write_eof()
            return False
        self.received += data
        self.incoming.write(data)
        return True

    def handshake(self):
        """Raises ssl.SSLError, or Closed where the peer just went."""
        while True:
            try:
                self.tls.do_handshake()
                self._flush()
                return self
            except ssl.SSLWantReadError:
                self._flush()
                if not self._feed():
                    raise Closed(bytes(self.received)) from None
            except ssl.SSLError:
                # The alert is on its way before the error is told.
                self._quietly_flush()
                raise

    def _quietly_flush(self):
        try:
            self._flush()
        except OSError:
            pass

    def client_hello(self):
        """The first flight's bytes, taken instead of sent."""
        try:
            self.tls.do_handshake()
        except ssl.SSLWantReadError:
            pass
        return self.outgoing.read()

    def recv(self, count):
        """b"" after an orderly end. A cut raises Truncated, an alert ssl.SSLError."""
        while True:
            try:
                return self.tls.read(count)
            except ssl.SSLWantReadError:
                self._quietly_flush()
                if not self._feed():
                    continue
            except ssl.SSLZeroReturnError:
                return b""
            except ssl.SSLEOFError:
                raise Truncated() from None

    def sendall(self, data):
        view = memoryview(data)
        while view:
            view = view[self.tls.write(view[:1 << 20]):]
            self._flush()

    def close_notify(self):
        """Ends our direction in the way TLS has for it."""
        try:
            self.tls.unwrap()
        except (ssl.SSLWantReadError, ssl.SSLError):
            pass
        self._quietly_flush()

    def state(self):
        """A server's view of the finished handshake."""
        return Handshake(
            server_name=getattr(self.tls, "asked_name", None),
            protocol=self.tls.selected_alpn_protocol(), version=self.tls.version(),
            cipher=self.tls.cipher()[0], resumed=bool(self.tls.session_reused),
            certificate=self.tls.getpeercert(True))

    def shutdown(self, how):
        """The end of what we send is told in TLS as well."""
        if how == socket.SHUT_WR:
            self.close_notify()
        self.sock.shutdown(how)

    def setsockopt(self, *arguments):
        self.sock.setsockopt(*arguments)

    def settimeout(self, seconds):
        self.sock.settimeout(seconds)

    def close(self):
        self.sock.close()

    def orderly_close(self):
        self.close_notify()
        try:
            self.sock.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        self.sock.close()


def records(data):
    """The TLS records in what was received, as (type, length); what is none is ("clear", bytes).
    A record that is cut short counts as one."""
    found, at = [], 0
    while at < len(data):
        head = data[at:at + 5]
        if head[0] not in (20, 21, 22, 23) or (len(head) > 1 and head[1] != 3):
            found.append(("clear", bytes(data[at:])))
            break
        length = int.from_bytes(head[3:5], "big")
        found.append((head[0], length))
        at += 5 + length
    return found


def clear_text(data):
    """What a peer sent that was not TLS."""
    return b"".join(value for kind, value in records(data) if kind == "clear")
