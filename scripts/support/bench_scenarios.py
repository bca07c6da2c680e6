"""What scripts/bench measures: each scenario starts its proxies and yields groups of loads to
compare with one another."""

import dataclasses
import os
import pathlib
import ssl
import subprocess
import sys
import urllib.request

import bench_rounds
import contenders
from bench_loads import CONNECTIONS, H2_CONNECTIONS, H2_STREAMS, DOWNLOADS
from bench_loads import Download, H2Load, Handshakes, Wrk
from bench_rounds import MIB_PER_CPU_SECOND, MICROSECONDS, PER_CPU_SECOND
from certificates import Certificate

MIB = 1 << 20
PUBLIC, SCOPED = "/public/orders/42", "/orders/42"
LARGE_FILE = 64 * MIB
# Worth a fifth of nginx's cost for large bodies, at half a megabyte a connection.
LARGE_BUFFERS = "proxy_buffer_size 64k; proxy_buffers 8 64k;"
CPUS = sorted(os.sched_getaffinity(0))


@dataclasses.dataclass
class Group:
    """Loads that are measured in the same rounds, and the table they make."""

    title: str
    unit: bench_rounds.Unit
    loads: list
    references: list
    bars: dict
    # The least work of one load in one round.
    least: int
    # What one load may cost beyond others together, in the group's unit.
    budgets: list = dataclasses.field(default_factory=list)


class Bench:
    """One scenario's folder and processes."""

    def __init__(self, options, issuer, folder):
        self.options = options
        self.issuer = issuer
        self.folder = folder
        self.owned = []
        self.certificate = Certificate(folder)

    def start(self, process):
        self.owned.append(process)
        return process

    def bearward(self, endpoint, **more):
        """None where only the peers are asked for."""
        if not self.options.peers:
            return self.start(contenders.bearward(
                self.options.binary, self.folder, endpoint, self.issuer, **more))
        return None

    def token(self):
        return self.issuer.token("RS256", scope="orders:read")

    def tokens(self, count, algorithm="RS256"):
        """A file of different ones."""
        path = pathlib.Path(self.folder, f"tokens-{algorithm}")
        path.write_text("".join(
            self.issuer.token(algorithm, scope="orders:read", expires_in=43200 + n) + "\n"
            for n in range(count)))
        return path

    def settle(self, proxies, upstreams):
        """The proxies on one processor, load and upstreams on another, so that no one's migrations
        count."""
        if len(CPUS) < 2:
            return
        for proxy in proxies:
            proxy.pin(CPUS[0])
        for upstream in upstreams:
            upstream.pin(CPUS[1])
        # Clients are started from here and stay here.
        os.sched_setaffinity(0, {CPUS[1]})

    def end(self):
        os.sched_setaffinity(0, CPUS)
        for process in reversed(self.owned):
            process.end()


def present(*proxies):
    return [proxy for proxy in proxies if proxy]


def verify_added_fields(proxy, certificate=None):
    """One request through each proxy must arrive with the fields that forwarding adds."""
    scheme, trust = "http", None
    if certificate:
        scheme, trust = "https", ssl.create_default_context(cafile=certificate.certificate)
    request = urllib.request.Request(
        f"{scheme}://127.0.0.1:{proxy.port}/echo", headers={"Authorization": "Basic eDp5"})
    with urllib.request.urlopen(request, timeout=5, context=trust) as answer:
        pairs = (line.partition("=") for line in answer.read().decode().splitlines())
        seen = {name: value for name, _, value in pairs}
    expected = {"x-forwarded-for": "127.0.0.1", "x-forwarded-proto": scheme}
    for name, value in expected.items():
        if seen.get(name) != value:
            sys.exit(f"{proxy.name} forwarded {name}={seen.get(name)!r}, not {value!r}")
    if not seen.get("via"):
        sys.exit(f"{proxy.name} forwarded no Via")
    if proxy.name.startswith("bearward") and seen.get("authorization"):
        sys.exit(f"{proxy.name} forwarded Authorization")


def http(bench):
    """HTTP/1.1 on both sides."""
    folder = bench.folder
    upstream = bench.start(contenders.nginx_upstream(folder))
    nginx = bench.start(contenders.nginx(folder, upstream))
    haproxy = bench.start(contenders.haproxy(folder, upstream))
    endpoint = f"http://127.0.0.1:{upstream.port}"
    quiet = bench.bearward(endpoint)
    logging = bench.bearward(
        endpoint, name="bearward-log", access=str(pathlib.Path(folder, "access.log")))
    proxies = present(nginx, haproxy, quiet, logging)
    for proxy in proxies:
        verify_added_fields(proxy)
    bench.settle(proxies, [upstream])

    loads = [Wrk("nginx", nginx, PUBLIC, folder), Wrk("HAProxy", haproxy, PUBLIC, folder)]
    if quiet:
        count = bench.options.tokens
        loads += [
            Wrk("Bearward, public route", quiet, PUBLIC, folder),
            Wrk("Bearward, token and scope", quiet, SCOPED, folder, token=bench.token()),
            Wrk(f"Bearward, {count:,} tokens, log to a file", logging, SCOPED, folder,
                tokens=bench.tokens(count)),
        ]
    yield Group(
        f"HTTP/1.1, {CONNECTIONS} connections", MICROSECONDS, loads, ["nginx"],
        {"Bearward, public route": 0.90, "Bearward, token and scope": 0.95}, 150_000)


def https(bench):
    """HTTP/1.1 over TLS to an HTTP/1.1 upstream."""
    folder, certificate = bench.folder, bench.certificate
    upstream = bench.start(contenders.nginx_upstream(folder))
    nginx = bench.start(contenders.nginx(folder, upstream, certificate))
    haproxy = bench.start(contenders.haproxy(folder, upstream, certificate))
    bearward = bench.bearward(f"http://127.0.0.1:{upstream.port}", certificate=certificate)
    proxies = present(nginx, haproxy, bearward)
    for proxy in proxies:
        verify_added_fields(proxy, certificate)
    bench.settle(proxies, [upstream])

    def load(name, proxy, path=PUBLIC, **more):
        return Wrk(name, proxy, path, folder, certificate=certificate, **more)

    loads = [load("nginx", nginx), load("HAProxy", haproxy)]
    if bearward:
        loads += [
            load("Bearward, public route", bearward),
            load("Bearward, token and scope", bearward, SCOPED, token=bench.token()),
        ]
    yield Group(
        f"HTTP/1.1 over TLS, {CONNECTIONS} connections", MICROSECONDS, loads,
        ["nginx", "HAProxy"],
        {"Bearward, public route": 0.90, "Bearward, token and scope": 0.90}, 75_000)


def h2(bench):
    """HTTP/2 over TLS to an HTTP/1.1 upstream."""
    folder, certificate = bench.folder, bench.certificate
    upstream = bench.start(contenders.nginx_upstream(folder))
    nginx = bench.start(contenders.nginx(folder, upstream, certificate))
    haproxy = bench.start(contenders.haproxy(folder, upstream, certificate))
    nghttpx = bench.start(contenders.nghttpx(folder, upstream, certificate))
    bearward = bench.bearward(f"http://127.0.0.1:{upstream.port}", certificate=certificate)
    proxies = present(nginx, haproxy, nghttpx, bearward)
    for proxy in proxies:
        verify_added_fields(proxy, certificate)
    bench.settle(proxies, [upstream])

    shape = f"HTTP/2 over TLS, {H2_CONNECTIONS} connections of {H2_STREAMS} streams"
    named = [("nginx", nginx), ("HAProxy", haproxy), ("nghttpx", nghttpx),
             ("Bearward, public route", bearward)]
    loads = [H2Load(name, proxy, PUBLIC, folder, certificate=certificate)
             for name, proxy in named if proxy]
    yield Group(shape, MICROSECONDS, loads, ["HAProxy", "nghttpx"],
                {"Bearward, public route": 0.90}, 70_000)

    # nghttp2's encoder does not index Authorization, so that h2load sends the token whole with each
    # request, and decoding it is a cost of its own: the peers carry it too here.
    token = bench.token()
    named = [("HAProxy", haproxy), ("nghttpx", nghttpx), ("Bearward, token and scope", bearward)]
    loads = [H2Load(name, proxy, SCOPED, folder, certificate=certificate, token=token)
             for name, proxy in named if proxy]
    yield Group(f"{shape}, each request with a token", MICROSECONDS, loads, ["HAProxy", "nghttpx"],
                {"Bearward, token and scope": 0.90}, 70_000)


def h2c(bench):
    """HTTP/2 on both sides without TLS, against Bearward's own HTTP/1.1 on both sides."""
    folder = bench.folder
    plain = bench.start(contenders.nginx_upstream(folder))
    upstream = bench.start(contenders.haproxy_upstream(folder))
    haproxy = bench.start(contenders.haproxy(folder, upstream, h2c=True))
    nghttpx = bench.start(contenders.nghttpx(folder, upstream, h2c=True))
    before = bench.bearward(f"http://127.0.0.1:{plain.port}")
    after = bench.bearward(f"h2c://127.0.0.1:{upstream.port}", name="bearward-h2c")
    proxies = present(haproxy, nghttpx, before, after)
    for proxy in proxies:
        verify_added_fields(proxy)
    bench.settle(proxies, [plain, upstream])

    loads = [H2Load("HAProxy", haproxy, PUBLIC, folder), H2Load("nghttpx", nghttpx, PUBLIC, folder)]
    reference = "Bearward, HTTP/1.1 to HTTP/1.1"
    if before:
        loads = [
            Wrk(reference, before, PUBLIC, folder),
            H2Load("Bearward, HTTP/2 to h2c", after, PUBLIC, folder),
            *loads,
        ]
    yield Group(
        f"HTTP/2 to an h2c upstream, {H2_CONNECTIONS} connections of {H2_STREAMS} streams",
        MICROSECONDS, loads, [loads[0].name], {"Bearward, HTTP/2 to h2c": 1.00}, 70_000)


def handshakes(bench):
    """TLS handshakes, fresh and resumed, with an ECDSA P-256 certificate."""
    folder, certificate = bench.folder, bench.certificate
    client = compiled("handshakes", folder)
    upstream = bench.start(contenders.nginx_upstream(folder))
    haproxy = bench.start(contenders.haproxy(folder, upstream, certificate, refuses=True))
    nginx = bench.start(contenders.nginx(folder, upstream, certificate))
    bearward = bench.bearward(f"http://127.0.0.1:{upstream.port}", certificate=certificate)
    bench.settle(present(haproxy, nginx, bearward), [upstream])
    for version, kind in (("1.3", "fresh"), ("1.3", "resumed"), ("1.2", "fresh"),
                          ("1.2", "resumed")):
        named = [("HAProxy", haproxy), ("nginx", nginx), ("Bearward", bearward)]
        loads = [Handshakes(name, proxy, client, version=version, kind=kind)
                 for name, proxy in named if proxy]
        bars = {"Bearward": 0.97} if version == "1.3" else {}
        yield Group(
            f"TLS {version} handshakes, {kind}", PER_CPU_SECOND, loads, ["HAProxy"], bars, 500)


def compiled(name, folder):
    """One of the C programs beside this file."""
    source = pathlib.Path(__file__).with_name(f"{name}.c")
    program = pathlib.Path(folder, name)
    subprocess.run(["gcc", "-O2", "-o", program, source, "-lssl", "-lcrypto"], check=True)
    return program


def bulk(bench):
    """Large downloads over TLS, from a file that nginx sends."""
    folder, certificate = bench.folder, bench.certificate
    files = pathlib.Path(folder, "files")
    files.mkdir()
    files.joinpath("large").write_bytes(os.urandom(MIB) * (LARGE_FILE // MIB))
    upstream = bench.start(contenders.nginx_upstream(folder))
    nginx = bench.start(contenders.nginx(folder, upstream, certificate))
    large = bench.start(contenders.nginx(
        folder, upstream, certificate, name="nginx-large", buffers=LARGE_BUFFERS))
    haproxy = bench.start(contenders.haproxy(folder, upstream, certificate))
    bearward = bench.bearward(f"http://127.0.0.1:{upstream.port}", certificate=certificate)
    bench.settle(present(nginx, large, haproxy, bearward), [upstream])
    for protocol, title in (("--http1.1", "HTTP/1.1"), ("--http2", "HTTP/2")):
        named = [("nginx, its own buffers", nginx), ("nginx, 8 buffers of 64 KiB", large),
                 ("HAProxy", haproxy), ("Bearward", bearward)]
        loads = [Download(name, proxy, "/files/large", certificate, size=LARGE_FILE,
                          protocol=protocol)
                 for name, proxy in named if proxy]
        bars = {"Bearward": 0.97} if protocol == "--http1.1" else {}
        yield Group(
            f"Downloads of {LARGE_FILE // MIB} MiB over TLS, {title}, {DOWNLOADS} connections",
            MIB_PER_CPU_SECOND, loads, [loads[0].name, loads[1].name], bars, 1)


ALL = {scenario.__name__: scenario for scenario in (http, https, h2, h2c, handshakes, bulk)}
