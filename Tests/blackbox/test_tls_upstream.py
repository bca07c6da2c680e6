"""TLS towards upstreams: who is trusted and who is not, and never a word in clear text after a
failure (HOSTILE row 29)."""

import hashlib
import os
import random
import re
import socket
import subprocess
import sys
import threading
import time
import uuid

import h2.config
import h2.connection
import h2.events
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from harness.certificates import DAY, Authority, now, self_signed
from harness.client import Closed, request_bytes
from harness.gateway import Gateway, ROOT, free_port, poll
from harness.standard import issuer, write_keys
from harness.tls import clear_text, client_context, server_context
from harness.tokens import keys, mint
from harness.upstream import OK, Close, Upstream, answer
from harness.wire import connect
from websockets.sync.client import connect as dial_websocket
from websockets.sync.server import serve as serve_websocket

MEBIBYTE = 1 << 20
NAME = "api.internal"


class Raw:
    """A server without TLS that records what it is sent; `act(sock, first bytes)` is its answer."""

    def __init__(self, act, *, reads=True):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.endpoint = f"https://127.0.0.1:{self.listener.getsockname()[1]}"
        self.wires, self.requests = [], []
        self.act, self.reads = act, reads
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock):
        wire = bytearray()
        self.wires.append(wire)
        sock.settimeout(20)
        try:
            if self.reads:
                wire += sock.recv(65536)
            self.act(sock)
            while more := sock.recv(65536):
                wire += more
        except OSError:
            pass
        finally:
            sock.close()

    def reset(self):
        self.requests = []

    def close(self):
        self.listener.close()


class Backends:
    """Who serves what to the gateway: an upstream `NAME` for every case, behind `/NAME/**`."""

    def __init__(self, folder):
        self.folder = folder
        self.root = Authority("Upstream Root")
        self.root.trust(folder, "up-ca")
        self.servers, self.blocks = {}, {}
        self.clients = Authority("Gateway Clients")
        self.identity = self.clients.issue(cn="gateway", usages=("client",))

    def add(self, case, leaf=None, *, server_name=None, server=None, block=None, host=None,
            **context):
        """One case: a TLS server with a leaf, or a server of its own."""
        if server is None:
            server = Upstream(tls=server_context(leaf, self.folder, **context))
        if host:
            server.endpoint = server.endpoint.replace("127.0.0.1", host)
        tls = {"ca": "up-ca.pem", **(block or {})}
        if server_name:
            tls["serverName"] = server_name
        self.servers[case] = server
        self.blocks[case] = {name: value for name, value in tls.items() if value is not None}

    def config(self, **more):
        return {
            "issuers": {"main": issuer()},
            "upstreams": {
                case: {"endpoints": [server.endpoint], "tls": self.blocks[case],
                       "timeouts": {"connect": "1s"}, **more.get(case, {})}
                for case, server in self.servers.items()},
            "routes": [{"path": f"/{case}/**", "access": "public", "upstream": case}
                       for case in self.servers],
            "workers": 1,
        }


def start(folder, backends, **more):
    write_keys(folder)
    return Gateway(folder, {**backends.config(), **more})


# Those that are trusted.
def trusted(folder):
    made = Backends(folder)
    root = made.root
    middle = Authority("Middle", parent=root)
    made.add("address", root.issue("127.0.0.1"))
    made.add("host", root.issue("localhost"), host="localhost")
    made.add("named", root.issue(NAME), server_name=NAME)
    made.add("named-case", root.issue("API.Internal"), server_name=NAME)
    made.add("second-name", root.issue("x.test", NAME), server_name=NAME)
    made.add("wildcard", root.issue("*.wild.test"), server_name="a.wild.test")
    made.add("chain", Authority("Lowest", parent=middle).issue(NAME), server_name=NAME)
    made.add("rsa", root.issue(NAME, kind="rsa2048"), server_name=NAME)
    made.add("p384", root.issue(NAME, kind="p384"), server_name=NAME)
    made.add("ed25519", root.issue(NAME, kind="ed25519"), server_name=NAME)
    made.add("both-purposes", root.issue(NAME, usages=("server", "client")), server_name=NAME)
    made.add("no-purpose", root.issue(NAME, usages=None), server_name=NAME)
    made.add("tls12", root.issue(NAME), server_name=NAME, versions=["1.2"])
    made.add("tls13", root.issue(NAME), server_name=NAME, versions=["1.3"])
    made.add("no-alpn", root.issue(NAME), server_name=NAME, protocols=())
    made.add("no-tickets", root.issue(NAME), server_name=NAME, tickets=False)
    made.identity.files(folder, "gateway")
    certificate = {"certificate": "gateway.pem", "privateKey": "gateway.key"}
    for version in ("1.2", "1.3"):
        made.add(f"mutual-{version}", root.issue(NAME), server_name=NAME, block=certificate,
                 client_authority=made.clients, versions=[version])
    made.add("unverified", self_signed("whoever.test"), block={
        "unsafeNoVerification": True, "ca": None})
    made.add("unverified-expired", root.issue(NAME, **EXPIRED), block={
        "unsafeNoVerification": True})
    return made


EXPIRED = {"not_before": now() - 3 * DAY, "not_after": now() - DAY}
TRUSTED = ["address", "host", "named", "named-case", "second-name", "wildcard", "chain", "rsa",
           "p384", "ed25519", "both-purposes", "no-purpose", "tls12", "tls13", "no-alpn",
           "no-tickets", "mutual-1.2", "mutual-1.3", "unverified", "unverified-expired"]


@pytest.fixture(scope="module")
def good_running(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trusted")
    backends = trusted(folder)
    gateway = start(folder, backends)
    gateway.backends = backends
    yield gateway
    assert gateway.stop() == 0, gateway.output
    for server in backends.servers.values():
        server.close()


@pytest.fixture
def good(good_running):
    good_running.ensure()
    for server in good_running.backends.servers.values():
        server.reset()
        server.drop_connections()
        server.handshakes.clear()
    yield good_running
    good_running.assert_serves("/named/alive")


def test_the_table_of_the_trusted_is_whole(good):
    assert sorted(good.backends.servers) == sorted(TRUSTED)


@pytest.mark.parametrize("case", TRUSTED)
def test_trusted_upstream_is_reached(good, case):
    server = good.backends.servers[case]
    server.script = lambda request, peer: answer(body=request.body or b"none")
    for turn in range(3):
        response = good.send("POST", f"/{case}/x", body=b"sent %d" % turn)
        assert response.status == 200 and response.body == b"sent %d" % turn
    assert len(server.handshakes) == 1, "one connection is kept"
    assert all(clear_text(wire) == b"" for wire in server.wires)


@pytest.mark.parametrize("case, name", [
    ("address", None), ("host", "localhost"), ("named", NAME), ("wildcard", "a.wild.test"),
    ("unverified", None)])
def test_server_name_is_sent_for_names_only(good, case, name):
    """RFC 6066 §3: literal addresses are not permitted in server_name."""
    assert good.get(f"/{case}/x").status == 200
    assert good.backends.servers[case].handshakes[0].server_name == name


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_own_certificate_is_shown_to_the_upstream(good, version):
    assert good.get(f"/mutual-{version}/x").status == 200
    seen = good.backends.servers[f"mutual-{version}"].handshakes[0]
    assert seen.certificate == good.backends.identity.der


def test_upstream_is_offered_h2_and_http_1_1(good):
    assert good.get("/named/x").status == 200
    assert good.backends.servers["named"].handshakes[0].protocol == "http/1.1"


@pytest.mark.parametrize("case", ["tls12", "tls13", "mutual-1.2", "mutual-1.3"])
def test_session_is_resumed(good, case):
    server = good.backends.servers[case]
    server.answers(Close(answer(fields=[("Connection", "close")])))
    for _ in range(4):
        assert good.get(f"/{case}/x").status == 200
    server.wait_for(lambda: len(server.handshakes) == 4)
    assert [seen.resumed for seen in server.handshakes[1:]] == [True] * 3


def test_upstream_without_tickets_is_shaken_hands_with_each_time(good):
    server = good.backends.servers["no-tickets"]
    server.answers(Close(answer(fields=[("Connection", "close")])))
    for _ in range(3):
        assert good.get("/no-tickets/x").status == 200
    assert len(server.handshakes) == 3


@pytest.mark.parametrize("case", ["tls12", "tls13"])
@pytest.mark.parametrize("cut", [True, False])
def test_pooled_connection_that_ended_is_unseen(good, case, cut):
    server = good.backends.servers[case]
    server.answers(Close(OK, cut=cut))
    for _ in range(10):
        assert good.get(f"/{case}/x").status == 200


@pytest.mark.parametrize("case", ["tls12", "tls13"])
def test_large_bodies_both_ways(good, case):
    data = random.Random(case).randbytes(8 * MEBIBYTE)
    server = good.backends.servers[case]
    server.script = lambda request, peer: answer(
        body=data if request.method == "GET" else hashlib.sha256(request.body).digest())
    assert good.get(f"/{case}/x").body == data
    sent = data[:MEBIBYTE]
    response = good.send("POST", f"/{case}/x", body=sent)
    assert response.body == hashlib.sha256(sent).digest()


@pytest.mark.parametrize("version", ["HTTP/1.0", "HTTP/1.1"])
@pytest.mark.parametrize("case", ["tls12", "tls13"])
def test_answer_without_length_is_whole_with_close_notify(good, case, version):
    good.backends.servers[case].answers(Close(b"HTTP/1.1 200 OK\r\n\r\nwhole"))
    response = good.get(f"/{case}/x", version=version)
    assert response.status == 200 and response.body == b"whole"


@pytest.mark.parametrize("case", ["tls12", "tls13"])
@pytest.mark.parametrize("version", ["HTTP/1.0", "HTTP/1.1"])
@pytest.mark.parametrize("size", [4, 300_000])
def test_answer_without_length_that_is_cut_is_not_whole(good, case, version, size):
    """An attacker on the way can end a TCP connection; only `close_notify` is the upstream's."""
    good.backends.servers[case].answers(Close(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * size, cut=True))
    with good.connect() as connection:
        connection.send(request_bytes(target=f"/{case}/x", version=version))
        with pytest.raises((Closed, ConnectionError)):
            response = connection.head()
            assert response.status in (200, 502)
            if response.status == 502:
                raise Closed()
            if version == "HTTP/1.1":
                connection._read_body(response, "GET")
            else:
                while connection.sock.recv(65536):
                    pass
                assert False, "an orderly end"


def test_client_is_told_its_own_scheme(good):
    assert good.get("/named/x").status == 200
    assert good.backends.servers["named"].request().get("X-Forwarded-Proto") == "http"


# Those that are not.
def below_a_leaf(made):
    forger = made.root.issue("forger.test", usages=("server", "client"))
    fake = Authority.__new__(Authority)
    fake.certificate, fake.key, fake.below = forger.certificate, forger.key, [forger.certificate]
    return Authority.issue(fake, NAME)


def missing_intermediate(made):
    leaf = Authority("Left Out", parent=made.root).issue(NAME)
    leaf.chain = []
    return leaf


# Name of the case: the leaf, the name it is asked for (None: 127.0.0.1), OpenSSL's words.
UNTRUSTED = {
    "expired": (lambda m: m.root.issue(NAME, **EXPIRED), NAME, "certificate has expired"),
    "early": (lambda m: m.root.issue(NAME, not_before=now() + DAY, not_after=now() + 2 * DAY),
              NAME, "not yet valid"),
    "other-name": (lambda m: m.root.issue("other.internal"), NAME, "ostname mismatch"),
    "longer-name": (lambda m: m.root.issue("xapi.internal", "api.internal.evil.test"), NAME,
                    "ostname mismatch"),
    "parent-name": (lambda m: m.root.issue("internal"), NAME, "ostname mismatch"),
    "other-address": (lambda m: m.root.issue("127.0.0.2", "localhost"), None,
                      "IP address mismatch"),
    "address-as-name": (lambda m: m.root.issue(x509.DNSName("127.0.0.1")), None,
                        "IP address mismatch"),
    "address-in-cn": (lambda m: m.root.issue(cn="127.0.0.1"), None, "IP address mismatch"),
    "cn-only": (lambda m: m.root.issue(cn=NAME), NAME, "ostname mismatch"),
    "cn-beside-san": (lambda m: m.root.issue("other.test", cn=NAME), NAME, "ostname mismatch"),
    "partial-wildcard-end": (lambda m: m.root.issue("w*.wild.test"), "www.wild.test",
                             "ostname mismatch"),
    "partial-wildcard-start": (lambda m: m.root.issue("*w.wild.test"), "www.wild.test",
                               "ostname mismatch"),
    "partial-wildcard-middle": (lambda m: m.root.issue("w*w.wild.test"), "www.wild.test",
                                "ostname mismatch"),
    "wildcard-two-labels": (lambda m: m.root.issue("*.wild.test"), "a.b.wild.test",
                            "ostname mismatch"),
    "wildcard-no-label": (lambda m: m.root.issue("*.wild.test"), "wild.test", "ostname mismatch"),
    "wildcard-inside": (lambda m: m.root.issue("a.*.test"), "a.wild.test", "ostname mismatch"),
    "wildcard-of-all": (lambda m: m.root.issue("*"), "wild", "ostname mismatch"),
    "wildcard-of-a-top": (lambda m: m.root.issue("*.test"), "wild.test", "ostname mismatch"),
    "client-purpose": (lambda m: m.root.issue(NAME, usages=("client",)), NAME, "purpose"),
    "code-purpose": (lambda m: m.root.issue(NAME, usages=("code",)), NAME, "purpose"),
    "nul-in-san": (lambda m: m.root.issue(f"{NAME}\0.evil.test", cn="x"), NAME,
                   "ostname mismatch"),
    "nul-in-cn": (lambda m: m.root.issue(cn=f"{NAME}\0.evil.test"), NAME, "ostname mismatch"),
    "untrusted-root": (lambda m: Authority("Stranger").issue(NAME), NAME,
                       "unable to get local issuer certificate"),
    "root-of-the-same-name": (lambda m: Authority("Upstream Root", kind="p384").issue(NAME), NAME,
                              "unable to get local issuer certificate|signature failure"),
    "self-signed": (lambda m: self_signed(NAME), NAME, "self.signed certificate"),
    "missing-intermediate": (missing_intermediate, NAME, "unable to get local issuer certificate"),
    "below-a-leaf": (below_a_leaf, NAME, "invalid CA certificate|unable to get"),
    "weak-key": (lambda m: m.root.issue(NAME, kind="rsa1024"), NAME, "key too weak|too small"),
}
# Name of the case: what the server does once it has the first bytes (or at once), the words.
MISBEHAVING = {
    "plain-http": (lambda sock: sock.sendall(OK), True, "wrong version number"),
    "plain-http-at-once": (lambda sock: sock.sendall(b"220 mail ESMTP\r\n" * 3), False,
                           "wrong version number"),
    "garbage": (lambda sock: sock.sendall(b"\0" * 1000), True, "."),
    "alert": (lambda sock: sock.sendall(b"\x15\x03\x03\0\x02\x02\x28"), True,
              "alert.*handshake failure"),
    "alert-access-denied": (lambda sock: sock.sendall(b"\x15\x03\x03\0\x02\x02\x31"), True,
                            "alert.*access denied"),
    "closes-after-hello": (lambda sock: sock.shutdown(socket.SHUT_RDWR), True, "."),
    "closes-at-once": (lambda sock: sock.shutdown(socket.SHUT_RDWR), False, "."),
    "resets-after-hello": (lambda sock: reset(sock), True, "."),
    "half-a-server-hello": (lambda sock: (sock.sendall(b"\x16\x03\x03\0\x7a\x02\0\0\x76\x03\x03"),
                                          sock.shutdown(socket.SHUT_WR)), True, "."),
}


def reset(sock):
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    sock.close()


def untrusted(folder):
    made = Backends(folder)
    for case, (make, name, _) in UNTRUSTED.items():
        ciphers = {"ciphers": "ALL:@SECLEVEL=0"} if case == "weak-key" else {}
        made.add(case, make(made), server_name=name, **ciphers)
    for case, (act, reads, _) in MISBEHAVING.items():
        made.add(case, server=Raw(act, reads=reads))
    made.add("tls11", made.root.issue(NAME), server_name=NAME, versions=["1.0", "1.1"])
    made.add("static-rsa", made.root.issue(NAME, kind="rsa2048"), server_name=NAME,
             versions=["1.2"], ciphers="AES128-SHA:AES128-GCM-SHA256:@SECLEVEL=0")
    for version in ("1.2", "1.3"):
        made.add(f"wants-a-certificate-{version}", made.root.issue(NAME), server_name=NAME,
                 client_authority=made.clients, versions=[version])
    made.add("not-in-the-system", made.root.issue(NAME), server_name=NAME, block={"ca": None})
    made.add("hangs", server=Raw(lambda sock: None))
    return made


WORDS = {
    **{case: words for case, (_, _, words) in UNTRUSTED.items()},
    **{case: words for case, (_, _, words) in MISBEHAVING.items()},
    "tls11": "unsupported protocol|alert protocol version|version",
    "static-rsa": "handshake failure|no shared cipher|no ciphers",
    "wants-a-certificate-1.2": "alert", "wants-a-certificate-1.3": "alert",
    "not-in-the-system": "unable to get local issuer certificate",
}


@pytest.fixture(scope="module")
def bad_running(tmp_path_factory):
    folder = tmp_path_factory.mktemp("untrusted")
    backends = untrusted(folder)
    gateway = start(folder, backends)
    gateway.backends = backends
    yield gateway
    assert gateway.stop() == 0, gateway.output
    for server in backends.servers.values():
        server.close()


@pytest.fixture
def bad(bad_running):
    bad_running.ensure()
    yield bad_running
    assert bad_running.running, bad_running.output


def refused(gateway, case, **more):
    response, line = gateway.logged("POST", f"/{case}/secret-path", body=b"secret body",
                                    fields={"X-Secret": "secret field"}, **more)
    server = gateway.backends.servers[case]
    assert server.requests == [], "a request arrived"
    for wire in server.wires:
        assert clear_text(bytes(wire)) == b"", bytes(wire)
        assert b"secret" not in wire
    return response, line


@pytest.mark.parametrize("case", list(WORDS))
def test_untrusted_upstream_is_502_and_the_log_says_why(bad, case):
    for _ in range(2):
        response, line = refused(bad, case)
        assert response.status == 502
        assert response.get("Content-Type") == "application/problem+json"
        assert line["reason"] == "upstream_tls", line
        detail = line["detail"]
        assert re.search(WORDS[case], detail), detail
        assert detail not in response.body.decode(), "the operator's business"


def test_handshake_that_hangs_ends_after_connect(bad):
    start = time.monotonic()
    response, line = refused(bad, "hangs")
    assert 0.8 < time.monotonic() - start < 4
    assert response.status in (502, 504) and line["reason"] in ("upstream_tls", "upstream_timeout")


def test_failures_do_not_hold_others_up(bad):
    """While handshakes hang, other upstreams answer (with their own refusal here)."""
    with bad.connect() as waiting:
        waiting.send(request_bytes(target="/hangs/x"))
        for _ in range(5):
            start = time.monotonic()
            assert bad.get("/expired/x").status == 502
            assert time.monotonic() - start < 0.8
        assert waiting.response().status in (502, 504)


def test_many_failures_leave_nothing_behind(bad):
    """Descriptors above all."""
    count = lambda: len(os.listdir(f"/proc/{bad.process.pid}/fd"))  # noqa: E731
    bad.get("/expired/x")
    before = count()
    for _ in range(50):
        assert bad.get("/expired/x").status == 502
        assert bad.get("/plain-http/x").status == 502
    poll(lambda: count() <= before + 3, what="the descriptors' return")


def test_clear_upstream_is_no_way_round_a_failed_one(tmp_path):
    """Both endpoints of an upstream are asked in TLS or not at all."""
    made = Backends(tmp_path)
    made.add("pair", made.root.issue(NAME, **EXPIRED), server_name=NAME)
    plain = Raw(lambda sock: sock.sendall(OK))
    config = made.config()
    config["upstreams"]["pair"]["endpoints"].append(plain.endpoint)
    write_keys(tmp_path)
    gateway = Gateway(tmp_path, config)
    for _ in range(6):
        assert gateway.get("/pair/x").status == 502
    assert plain.wires and all(clear_text(bytes(wire)) == b"" for wire in plain.wires)
    assert gateway.stop() == 0


# The system's trust store, which OpenSSL lets the environment name.
@pytest.mark.parametrize("block, expected", [({}, 200), ({"ca": "up-ca.pem"}, 502)], ids=str)
def test_system_store_counts_only_where_no_ca_is_named(tmp_path, block, expected):
    made = Backends(tmp_path)
    system = Authority("System Root")
    made.add("api", system.issue(NAME), server_name=NAME, block={"ca": None, **block})
    write_keys(tmp_path)
    environment = {"SSL_CERT_FILE": str(tmp_path / system.trust(tmp_path, "system"))}
    gateway = Gateway(tmp_path, made.config(), environment=environment)
    assert gateway.get("/api/x").status == expected
    assert gateway.stop() == 0


@pytest.mark.parametrize("digest", [hashes.SHA384, hashes.SHA512])
def test_strong_signatures_are_taken(tmp_path, digest):
    made = Backends(tmp_path)
    made.add("api", made.root.issue(NAME, digest=digest), server_name=NAME)
    gateway = start(tmp_path, made)
    assert gateway.get("/api/x").status == 200
    assert gateway.stop() == 0


# HTTP/2 by ALPN.
class H2Upstream(Upstream):
    """Speaks HTTP/2 where ALPN chose it, and notes requests as (method, path)."""

    def _exchange(self, peer):
        if peer.sock.tls.selected_alpn_protocol() != "h2":
            return super()._exchange(peer)
        session = h2.connection.H2Connection(
            h2.config.H2Configuration(client_side=False, header_encoding="utf-8"))
        session.initiate_connection()
        bodies = {}
        peer.send(session.data_to_send())
        while data := peer.sock.recv(65536):
            for event in session.receive_data(data):
                self._answer(session, event, bodies)
            peer.send(session.data_to_send())
        return False

    def _answer(self, session, event, bodies):
        if isinstance(event, h2.events.RequestReceived):
            with self.changed:
                self.requests.append(dict(event.headers))
            bodies[event.stream_id] = b""
        elif isinstance(event, h2.events.DataReceived):
            bodies[event.stream_id] += event.data
            session.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        if isinstance(event, h2.events.StreamEnded):
            session.send_headers(event.stream_id, [(":status", "200"), ("x-protocol", "h2")])
            session.send_data(event.stream_id, bodies[event.stream_id] or b"ok", end_stream=True)


def h2_backends(folder):
    made = Backends(folder)
    for case, protocols in {"both": ("h2", "http/1.1"), "h2-only": ("h2",),
                            "h1-first": ("http/1.1", "h2"), "h1-only": ("http/1.1",)}.items():
        context = server_context(made.root.issue(NAME), folder, protocols=protocols)
        made.add(case, server=H2Upstream(tls=context), server_name=NAME)
    return made


@pytest.fixture(scope="module")
def either(tmp_path_factory):
    folder = tmp_path_factory.mktemp("either")
    backends = h2_backends(folder)
    gateway = start(folder, backends)
    gateway.backends = backends
    yield gateway
    assert gateway.stop() == 0, gateway.output
    for server in backends.servers.values():
        server.close()


@pytest.mark.parametrize("case, protocol", [
    ("both", "h2"), ("h2-only", "h2"), ("h1-first", "http/1.1"), ("h1-only", "http/1.1")])
def test_upstream_chooses_its_protocol(either, case, protocol):
    server = either.backends.servers[case]
    for turn in range(5):
        response = either.send("POST", f"/{case}/{turn}", body=b"sent")
        assert response.status == 200
        assert response.get("X-Protocol") == ("h2" if protocol == "h2" else None)
    assert {seen.protocol for seen in server.handshakes} == {protocol}
    assert len(server.handshakes) == 1


@pytest.mark.parametrize("case", ["both", "h1-only"])
def test_many_clients_at_once_through_tls(either, case):
    def one(number, outcomes):
        for turn in range(5):
            outcomes.append(either.get(f"/{case}/{number}-{turn}").status)

    outcomes = []
    threads = [threading.Thread(target=one, args=(n, outcomes)) for n in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert outcomes == [200] * 80


def test_slow_handshakes_of_many_at_once(tmp_path):
    """Forty requests wait for forty handshakes; none is lost, and another upstream answers."""
    class Slow(Upstream):
        def _handshake(self, peer):
            time.sleep(0.4)
            super()._handshake(peer)

    made = Backends(tmp_path)
    made.add("slow", server=Slow(tls=server_context(made.root.issue(NAME), tmp_path)),
             server_name=NAME)
    made.add("quick", made.root.issue(NAME), server_name=NAME)
    gateway = start(tmp_path, made)
    outcomes = []
    threads = [threading.Thread(target=lambda: outcomes.append(gateway.get("/slow/x").status))
               for _ in range(40)]
    for thread in threads:
        thread.start()
    begin = time.monotonic()
    assert gateway.get("/quick/x").status == 200
    assert time.monotonic() - begin < 0.4
    for thread in threads:
        thread.join(20)
    assert outcomes == [200] * 40
    assert gateway.stop() == 0


# Real servers.
def test_websocket_to_a_tls_upstream(tmp_path):
    def echo(connection):
        for message in connection:
            connection.send(message)

    made = Backends(tmp_path)
    context = server_context(made.root.issue(NAME), tmp_path)
    server = serve_websocket(echo, "127.0.0.1", 0, max_size=None, ssl=context)
    threading.Thread(target=server.serve_forever, daemon=True).start()

    class Echo:
        endpoint = f"https://127.0.0.1:{server.socket.getsockname()[1]}"

    made.add("echo", server=Echo, server_name=NAME)
    gateway = start(tmp_path, made)
    with dial_websocket(f"ws://127.0.0.1:{gateway.address[1]}/echo/x", proxy=None,
                        max_size=None) as connection:
        for message in ["hello", "x" * 300_000, os.urandom(2_000_000)]:
            connection.send(message)
            assert connection.recv(timeout=10) == message
    assert gateway.stop() == 0
    server.shutdown()


@pytest.fixture(scope="module")
def django(tmp_path_factory):
    """The example site under gunicorn with a certificate, TLS on both sides of the gateway."""
    folder = tmp_path_factory.mktemp("django-tls")
    (folder / "run").mkdir()
    example, port = ROOT / "examples/django", free_port()
    environment = {**os.environ, "NOTES_RUN": str(folder / "run")}
    subprocess.run([sys.executable, "manage.py", "migrate", "--run-syncdb", "-v", "0"],
                   cwd=example, env=environment, check=True, timeout=60)
    made = Backends(folder)
    certificate, key = made.root.issue(NAME).write(folder, "gunicorn")
    command = [sys.executable, "-m", "gunicorn", "--bind", f"127.0.0.1:{port}", "--workers", "2",
               "--certfile", str(certificate), "--keyfile", str(key), "--no-control-socket",
               "--log-level", "error", "notes.wsgi"]
    server = subprocess.Popen(command, cwd=example, env=environment)
    poll(lambda: listens(port), 20, "gunicorn")

    class Gunicorn:
        endpoint = f"https://127.0.0.1:{port}"

    made.add("notes", server=Gunicorn, server_name=NAME)
    config = made.config()
    config["routes"] = [
        {"path": "/notes/**", "upstream": "notes", "claimHeaders": {"Remote-User": "sub"}},
        {"path": "/files/**", "upstream": "notes", "claimHeaders": {"Remote-User": "sub"}},
        {"path": "/whoami/", "upstream": "notes", "claimHeaders": {"Remote-User": "sub"}}]
    made.root.issue("api.test").files(folder, "front")
    config["listeners"] = [{"tls": {"certificates": [
        {"certificate": "front.pem", "privateKey": "front.key"}]}}]
    write_keys(folder)
    gateway = Gateway(folder, config, tls=client_context(made.root, protocols=["http/1.1"]))
    yield gateway
    assert gateway.stop() == 0, gateway.output
    server.terminate()
    server.wait(20)


def listens(port):
    try:
        connect(("127.0.0.1", port), 1).close()
        return True
    except OSError:
        return False


def test_django_behind_tls_on_both_sides(django):
    created = django.send("POST", "/notes/", token=mint(), body=b'{"text": "tea"}',
                          fields={"Content-Type": "application/json"})
    assert created.status == 201, str(created)
    assert created.json() in django.get("/notes/", mint()).json()
    who = django.get("/whoami/", mint(), fields={"Remote-User": "root"}).json()
    assert who["user"] == "alice" and "root" not in str(who["fields"])
    assert django.get("/whoami/").status == 401
    assert django.get("/whoami/", mint(key=keys().stranger)).status == 401


def test_django_upload_and_download_through_tls(django):
    data, mark = random.Random(7).randbytes(2_000_000), uuid.uuid4().hex
    body = (f'--{mark}\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
            .encode() + data + f"\r\n--{mark}--\r\n".encode())
    created = django.send("POST", "/files/", token=mint(), body=body, fields={
        "Content-Type": f"multipart/form-data; boundary={mark}"})
    assert created.status == 201, str(created)
    assert django.get(f"/files/{created.json()['id']}/", mint()).body == data


def test_django_closing_after_each_answer_is_unseen(django):
    for _ in range(20):
        assert django.get("/whoami/", mint()).status == 200
