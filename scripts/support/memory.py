"""Resident memory of the proxy: after the first verified request, per idle connection, and while
a large upload and a slow reader stream through it. What an idle TLS connection takes is compared
with HAProxy."""

import argparse
import pathlib
import resource
import socket
import sys
import tempfile
import threading
import time

import contenders
import memory_tls
from demo_issuer import Issuer

KIB, MIB = 1024, 1024 * 1024
BAR_FIRST_REQUEST = 8 * MIB
BAR_IDLE_CONNECTION = 1 * KIB
# Growth while bodies stream: buffers of both directions and the allocator's slack, not the body.
BAR_STREAMING = 4 * MIB
WARM_CONNECTIONS = 64
SPARE_DESCRIPTORS = 500


class StreamingUpstream:
    """Swallows uploads of any size, and sends a body of the size that the path names."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.listener.getsockname()[1]
        self.endpoint = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            connection, _ = self.listener.accept()
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        try:
            while head := read_head(connection):
                self._answer(connection, *head)
        except OSError:
            pass
        finally:
            connection.close()

    def _answer(self, connection, head, rest):
        left = content_length(head) - len(rest)
        scratch = bytearray(256 * KIB)
        while left > 0:
            count = connection.recv_into(scratch, min(left, len(scratch)))
            if count == 0:
                raise ConnectionError("the upload was cut short")
            left -= count
        size = int(head.split(b" ")[1].rpartition(b"/")[2])
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        block = bytes(256 * KIB)
        while size > 0:
            connection.sendall(block[:size])
            size -= len(block)


def read_head(connection):
    received = b""
    while b"\r\n\r\n" not in received:
        more = connection.recv(64 * KIB)
        if not more:
            return None
        received += more
    head, _, rest = received.partition(b"\r\n\r\n")
    return head, rest


def content_length(head):
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.partition(b":")[2])
    return 0


def get(port, path, token=None):
    """One request on its own connection; returns the status."""
    field = f"Authorization: Bearer {token}\r\n" if token else ""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n{field}\r\n".encode())
        return int(connection.recv(4096).split(b" ")[1])


class Peak:
    """Samples anonymous memory beside a running action and keeps the highest."""

    def __init__(self, proxy):
        self.proxy = proxy
        self.highest = 0
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self._sample, daemon=True)

    def _sample(self):
        while not self.stopping.wait(0.02):
            self.highest = max(self.highest, self.proxy.anonymous_bytes())

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        self.thread.join()


def affordable_connections(wanted):
    """As many as this process and the proxy, which inherits the limit, have descriptors for."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return min(wanted, hard - SPARE_DESCRIPTORS)


def idle_connections(proxy, count):
    """Opens connections that each did one request and then rest; returns bytes for each."""
    # The first connections grow shared buffers once; they are not what an idle one costs.
    warm = [settled_connection(proxy.port) for _ in range(WARM_CONNECTIONS)]
    before = proxy.anonymous_bytes()
    held = [settled_connection(proxy.port) for _ in range(count)]
    grown = proxy.anonymous_bytes() - before
    status = get(proxy.port, "/public/0")
    for connection in warm + held:
        connection.close()
    if status != 200:
        sys.exit(f"beside {count} idle connections a request was answered {status}")
    return grown / count


def settled_connection(port):
    connection = socket.create_connection(("127.0.0.1", port), timeout=10)
    connection.sendall(b"GET /public/0 HTTP/1.1\r\nHost: x\r\n\r\n")
    connection.recv(4096)
    return connection


def upload(port, token, size):
    with socket.create_connection(("127.0.0.1", port), timeout=120) as connection:
        head = (f"POST /orders/0 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n"
                f"Content-Length: {size}\r\n\r\n")
        connection.sendall(head.encode())
        block = bytes(256 * KIB)
        sent = 0
        while sent < size:
            connection.sendall(block[: size - sent])
            sent += len(block)
        return int(connection.recv(4096).split(b" ")[1])


def slow_reader(port, token, size, pauses):
    """Takes small sips at first, so that the proxy must hold back, and then the rest; returns the
    bytes received, head and body."""
    with socket.create_connection(("127.0.0.1", port), timeout=120) as connection:
        head = (f"GET /orders/{size} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n"
                "Connection: close\r\n\r\n")
        connection.sendall(head.encode())
        received = 0
        for _ in range(pauses):
            time.sleep(0.05)
            received += len(connection.recv(4 * KIB))
        while more := connection.recv(256 * KIB):
            received += len(more)
        return received


class Table:
    """Prints one row a measurement and remembers whether a bar was missed."""

    def __init__(self):
        self.missed = False

    def row(self, title, value, unit, bar=None):
        word = "reported"
        if bar is not None:
            word = f"{'meets' if value < bar else 'misses'} {bar / unit[1]:g} {unit[0]}"
            self.missed |= value >= bar
        print(f"{title:<44}{value / unit[1]:>10.2f} {unit[0]}  {word}", flush=True)


def run(options, folder):
    upstream, issuer, table = StreamingUpstream(), Issuer(), Table()
    if not options.only_tls:
        measure_plain(options, folder, upstream, issuer, table)
    if options.tls_connections == 0:
        return table.missed
    count = affordable_connections(options.tls_connections)
    memory_tls.measure(options.binary, folder, upstream, issuer, table, count)
    return table.missed


def measure_plain(options, folder, upstream, issuer, table):
    token = issuer.token("RS256", scope="orders:read")
    count = affordable_connections(options.connections)
    # By default the proxy admits half of its descriptors, one in and one out for each client.
    limits = {"connections": count + 2 * WARM_CONNECTIONS}
    proxy = contenders.bearward(options.binary, folder, upstream.endpoint, issuer, limits=limits)
    try:
        status = get(proxy.port, "/orders/0", token)
        if status != 200:
            sys.exit(f"the first request was answered {status}")
        first = proxy.anonymous_bytes()
        mib, byte = ("MiB", MIB), ("B", 1)
        table.row("anonymous, after the first verified request", first, mib, BAR_FIRST_REQUEST)
        table.row("resident in total, code included", proxy.resident_bytes(), mib)
        each = idle_connections(proxy, count)
        table.row(f"per idle connection, of {count}", each, byte, BAR_IDLE_CONNECTION)
        before = proxy.anonymous_bytes()
        size = options.body * MIB
        with Peak(proxy) as peak:
            status = upload(proxy.port, token, size)
        if status != 200:
            sys.exit(f"the upload was answered {status}")
        grown = max(0, peak.highest - before)
        table.row(f"growth during a {options.body} MiB upload", grown, mib, BAR_STREAMING)
        with Peak(proxy) as peak:
            received = slow_reader(proxy.port, token, size, options.pauses)
        if received < size:
            sys.exit(f"the slow reader received {received} of {size} bytes")
        grown = max(0, peak.highest - before)
        table.row(f"growth while a slow reader takes {options.body} MiB", grown, mib, BAR_STREAMING)
    finally:
        proxy.end()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binary", required=True, help="the bearward executable")
    parser.add_argument("--connections", type=int, default=10000)
    parser.add_argument("--tls-connections", type=int, default=2000, help="0 leaves them out")
    parser.add_argument("--only-tls", action="store_true", help="only the TLS connections")
    parser.add_argument("--body", type=int, default=2048, help="MiB to stream each way")
    parser.add_argument("--pauses", type=int, default=40, help="sips of the slow reader")
    parser.add_argument("--enforce", action="store_true", help="exit 1 when a bar is not met")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bearward-memory-") as folder:
        pathlib.Path(folder).chmod(0o755)
        missed = run(options, folder)
    return 1 if missed and options.enforce else 0


if __name__ == "__main__":
    sys.exit(main())
