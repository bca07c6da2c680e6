"""Every client protocol with every upstream protocol: the same exchange whatever is spoken."""

import hashlib
import random
import threading
import types

import pytest
from harness import standard
from harness.gateway import Gateway, poll
from harness.protocol_client import PROTOCOLS, Client, Cut
from harness.protocol_upstream import KINDS, Aborted, ProtocolUpstream
from harness.secured import Secured, secure_address
from harness.tokens import mint

MIB = 1 << 20
BIG = random.Random(8).randbytes(8 * MIB)


def digest(data):
    return hashlib.sha256(data).hexdigest()


@pytest.fixture(scope="module")
def stage(tmp_path_factory):
    """One gateway with both listeners before one upstream of each kind."""
    folder = tmp_path_factory.mktemp("combinations")
    standard.write_keys(folder)
    secured = Secured(folder)
    upstreams = {kind: ProtocolUpstream(kind, secured.server_context()) for kind in KINDS}
    gateway = Gateway(folder, {
        "listeners": secured.listeners(),
        "issuers": {"main": standard.issuer()},
        "upstreams": {kind: secured.upstream(upstream.endpoint)
                      for kind, upstream in upstreams.items()},
        "routes": [{"path": f"/{kind}/**", "upstream": kind, "scopes": ["orders:read"],
                    "claimHeaders": {"X-Sub": "sub"}} for kind in KINDS],
        "workers": 1,
    })
    yield types.SimpleNamespace(gateway=gateway, upstreams=upstreams, secured=secured,
                                token=mint())
    assert gateway.stop() == 0, gateway.output
    for upstream in upstreams.values():
        upstream.close()


class Pair:
    """One client protocol and one upstream kind."""

    def __init__(self, stage, protocol, kind):
        self.stage = stage
        self.protocol = protocol
        self.kind = kind
        self.upstream = stage.upstreams[kind]
        self.token = stage.token
        self.is_h2_to_h2 = protocol.startswith("h2") and self.upstream.is_h2

    def client(self, seconds=10):
        gateway = self.stage.gateway
        if self.protocol.endswith("+tls"):
            context = self.stage.secured.client_context()
            return Client(self.protocol, secure_address(gateway), context, seconds)
        return Client(self.protocol, gateway.address, None, seconds)

    def request(self, method="GET", path="/x", body=None, **more):
        with self.client() as client:
            return client.request(method, f"/{self.kind}{path}", body, token=self.token, **more)

    def start(self, client, method="GET", path="/x", **more):
        return client.start(method, f"/{self.kind}{path}", token=self.token, **more)


@pytest.fixture(params=PROTOCOLS)
def protocol(request):
    return request.param


@pytest.fixture(params=KINDS)
def pair(request, stage, protocol):
    """After each test the upstream must have seen nothing against its protocol, and serve."""
    stage.gateway.ensure()
    made = Pair(stage, protocol, request.param)
    made.upstream.reset()
    yield made
    violations = made.upstream.violations
    made.upstream.reset()
    assert made.request().whole == b"ok"
    assert violations == []


# Heads and small bodies.
def test_get(pair):
    call = pair.request(path="/a%20b?q=%7e&r=/..")
    assert (call.status, call.whole) == (200, b"ok")
    assert call.get("content-type") == "text/plain" and call.get("content-length") == "2"
    exchange = pair.upstream.exchange()
    assert (exchange.method, exchange.target) == ("GET", f"/{pair.kind}/a%20b?q=%7e&r=/..")
    assert exchange.protocol == ("h2" if pair.upstream.is_h2 else "http/1.1")
    assert exchange.complete.wait(5) and "content-length" not in exchange.fields
    assert exchange.authority == "api.test"


def test_added_fields_tell_of_the_client(pair):
    assert pair.request().status == 200
    exchange = pair.upstream.exchange()
    scheme = "https" if pair.protocol.endswith("+tls") else "http"
    assert exchange.get("x-forwarded-proto") == scheme
    assert f"proto={scheme}" in exchange.get("forwarded").lower()
    assert exchange.get("x-forwarded-for") == "127.0.0.1"
    assert exchange.get("x-forwarded-host") == "api.test"
    assert exchange.get("via").startswith("2" if pair.protocol.startswith("h2") else "1.1")
    assert exchange.get("x-request-id")
    if pair.upstream.is_h2:
        assert exchange.pseudo[":scheme"] == ("https" if pair.kind == "https2" else "http")


def test_identity_is_ours_and_the_token_stays_here(pair):
    spoofed = [("X-Sub", "root"), ("x_sub", "root"), ("Remote-User", "root"),
               ("X-Forwarded-User", "root")]
    assert pair.request(fields=spoofed).status == 200
    exchange = pair.upstream.exchange()
    assert exchange.get("x-sub") == "alice" and "authorization" not in exchange.fields
    assert "root" not in [value for _, value in exchange.fields]


@pytest.mark.parametrize("size", [0, 1, 70_000])
def test_post_with_length(pair, size):
    body = BIG[:size]

    async def script(exchange):
        await exchange.respond(200, (await exchange.whole())[::-1])

    pair.upstream.script = script
    call = pair.request("POST", body=body)
    assert (call.status, call.whole) == (200, body[::-1])
    assert pair.upstream.exchange().get("content-length") == str(size)


def test_post_of_unknown_length(pair):
    async def script(exchange):
        body = await exchange.whole()
        await exchange.start(200)
        await exchange.write(body[::-1])
        await exchange.end()

    pair.upstream.script = script
    with pair.client() as client:
        call = pair.start(client, "POST", end=False)
        for piece in (b"one ", b"two ", BIG[:50_000]):
            assert call.write(piece)
        call.finish()
        assert call.body() == (b"one two " + BIG[:50_000])[::-1]
    assert "content-length" not in pair.upstream.exchange().fields


def test_head_keeps_the_length_and_has_no_body(pair):
    async def script(exchange):
        await exchange.start(200, [("Content-Length", "1234"), ("ETag", '"e"')])
        await exchange.end()

    pair.upstream.script = script
    with pair.client() as client:
        for _ in range(2):
            call = pair.start(client, "HEAD")
            assert (call.head(), call.body()) == (200, b"")
            assert call.get("content-length") == "1234" and call.get("etag") == '"e"'
    assert pair.upstream.exchanges[0].method == "HEAD"


@pytest.mark.parametrize("status, fields", [(204, []), (304, [("ETag", '"e"')]),
                                            (304, [("Content-Length", "99")])])
def test_answers_without_a_body(pair, status, fields):
    async def script(exchange):
        await exchange.start(status, fields)
        await exchange.end()

    pair.upstream.script = script
    with pair.client() as client:
        for _ in range(2):
            call = pair.start(client)
            assert (call.head(), call.body()) == (status, b"")
            assert "transfer-encoding" not in call.fields


@pytest.mark.parametrize("status", [201, 301, 404, 418, 500, 503])
def test_status_passes(pair, status):
    async def script(exchange):
        await exchange.respond(status, b"body")

    pair.upstream.script = script
    call = pair.request()
    assert (call.status, call.whole) == (status, b"body")


def test_cookies(pair):
    async def script(exchange):
        await exchange.respond(200, b"", [("Set-Cookie", "a=1; Path=/"), ("Set-Cookie", "b=2")])

    pair.upstream.script = script
    call = pair.request(fields=[("Cookie", "a=1; b=2"), ("Cookie", "c=3")])
    assert call.fields.all("set-cookie") == ["a=1; Path=/", "b=2"]
    arrived = pair.upstream.exchange().fields.all("cookie")
    assert "; ".join(arrived) == "a=1; b=2; c=3"
    if pair.protocol.startswith("h2") and not pair.upstream.is_h2:
        assert len(arrived) == 1, "RFC 9113 section 8.2.3 joins crumbs for HTTP/1.1"


def test_large_fields_pass_both_ways(pair):
    """Larger than one HTTP/2 frame, so that CONTINUATION carries the rest."""
    value = "v" * 20_000

    async def script(exchange):
        await exchange.respond(200, b"ok", [("X-Back", exchange.get("x-there"))])

    pair.upstream.script = script
    assert pair.request(fields=[("X-There", value)]).get("x-back") == value


@pytest.mark.parametrize("te", ["trailers", "trailers, gzip;q=0.5"])
def test_te_says_trailers_or_nothing(pair, te):
    """HTTP/2 clients may not say more; gRPC servers want to see it."""
    if pair.protocol.startswith("h2"):
        te = "trailers"
    named = [] if pair.protocol.startswith("h2") else [("Connection", "TE")]
    assert pair.request(fields=[("TE", te), *named]).status == 200
    arrived = pair.upstream.exchange().get("te")
    assert arrived == "trailers" if pair.upstream.is_h2 else arrived in (None, "trailers")


# Bodies of size.
@pytest.mark.parametrize("announced", [True, False])
def test_large_download(pair, announced):
    async def script(exchange):
        length = [("Content-Length", str(len(BIG)))] if announced else []
        await exchange.start(200, length)
        await exchange.write(BIG)
        await exchange.end()

    pair.upstream.script = script
    call = pair.request()
    assert digest(call.whole) == digest(BIG)
    assert call.get("content-length") == (str(len(BIG)) if announced else None)


@pytest.mark.parametrize("announced", [True, False])
def test_large_upload(pair, announced):
    async def script(exchange):
        await exchange.respond(200, digest(await exchange.whole()).encode())

    pair.upstream.script = script
    with pair.client() as client:
        call = pair.start(client, "PUT", length=len(BIG) if announced else None, end=False)
        assert call.write(BIG)
        call.finish()
        assert call.body().decode() == digest(BIG)
    assert pair.upstream.exchange().get("content-length") == (str(len(BIG)) if announced else None)


def test_both_ways_at_once(pair):
    """Each piece comes back before the next one is sent."""
    async def script(exchange):
        await exchange.start(200)
        while piece := await exchange.read():
            await exchange.write(piece)
        await exchange.end()

    pair.upstream.script = script
    with pair.client() as client:
        call = pair.start(client, "POST", end=False)
        for number in range(100):
            piece = b"%05d" % number
            assert call.write(piece, regardless=True)
            back = b""
            while len(back) < len(piece):
                back += call.read()
            assert back == piece
        call.finish()
        assert call.read() == b""


def test_parallel_clients_do_not_mix(pair):
    async def script(exchange):
        body = await exchange.whole()
        await exchange.respond(200, exchange.get("x-number").encode() + body)

    pair.upstream.script = script
    wrong = []

    def once(client, name):
        body = random.Random(name).randbytes(30_000)
        call = client.request("POST", f"/{pair.kind}/{name}", body, token=pair.token,
                              fields=[("X-Number", name)])
        assert call.whole == name.encode() + body

    def run(number):
        try:
            with pair.client() as client:
                for turn in range(5):
                    once(client, f"{number}-{turn}")
        except (AssertionError, Cut) as error:
            wrong.append((number, error))

    threads = [threading.Thread(target=run, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert wrong == [] and len(pair.upstream.exchanges) == 30


# Trailers.
@pytest.mark.parametrize("body", [b"", b"body"])
def test_response_trailers(pair, body):
    async def script(exchange):
        await exchange.respond(200, body, [("Trailer", "x-sum")],
                               [("x-sum", "42"), ("x-more", "1")])

    pair.upstream.script = script
    named = [] if pair.protocol.startswith("h2") else [("Connection", "TE")]
    call = pair.request(fields=[("TE", "trailers"), *named])
    assert call.whole == body
    assert call.trailers.get("x-sum") == "42" and call.trailers.get("x-more") == "1"


@pytest.mark.parametrize("body", [b"", b"body"])
def test_request_trailers(pair, body):
    """What identifies or frames never passes as a trailer."""
    with pair.client() as client:
        call = pair.start(client, "POST", end=False, fields=[("Trailer", "x-sum")])
        if body:
            call.write(body)
        call.finish([("x-sum", "42"), ("x-sub", "root"), ("remote-user", "root")])
        assert call.body() == b"ok"
    exchange = pair.upstream.exchange()
    assert exchange.complete.wait(5)
    assert exchange.trailers == [("x-sum", "42")]


# Timing.
def test_server_sent_events_flow_at_once(pair):
    gates = [pair.upstream.gate() for _ in range(5)]

    async def script(exchange):
        await exchange.start(200, [("Content-Type", "text/event-stream")])
        for number, gate in enumerate(gates):
            await exchange.write(b"data: %d\n\n" % number)
            await gate.passed()
        await exchange.end()

    pair.upstream.script = script
    with pair.client() as client:
        call = pair.start(client)
        assert call.head() == 200
        for number, gate in enumerate(gates):
            assert call.read() == b"data: %d\n\n" % number
            gate.open()
        assert call.read() == b""


def test_head_comes_before_the_body_exists(pair):
    gate = pair.upstream.gate()

    async def script(exchange):
        await exchange.start(200, [("Content-Length", "4")])
        await gate.passed()
        await exchange.write(b"late")
        await exchange.end()

    pair.upstream.script = script
    with pair.client() as client:
        call = pair.start(client)
        assert call.head() == 200
        gate.open()
        assert call.body() == b"late"


def test_request_body_is_not_collected_first(pair):
    gate = pair.upstream.gate()

    async def script(exchange):
        first = await exchange.read()
        gate.open()
        await exchange.respond(200, first + await exchange.whole())

    pair.upstream.script = script
    with pair.client() as client:
        call = pair.start(client, "POST", length=8, end=False)
        call.write(b"half")
        poll(gate.event.is_set, what="the first half at the upstream")
        call.write(b"rest")
        call.finish()
        assert call.body() == b"halfrest"


def test_early_hints(pair):
    links = ["</style.css>; rel=preload", "</app.js>; rel=preload"]

    async def script(exchange):
        for link in links:
            await exchange.interim(103, [("Link", link)])
        await exchange.respond(200, b"done")

    pair.upstream.script = script
    call = pair.request()
    assert (call.status, call.whole) == (200, b"done")
    assert [(status, fields.get("link")) for status, fields in call.interim] == [
        (103, link) for link in links]


def test_expect_100_continue(pair):
    async def script(exchange):
        if exchange.get("expect"):
            await exchange.interim(100)
        await exchange.respond(200, await exchange.whole())

    pair.upstream.script = script
    with pair.client() as client:
        call = pair.start(client, "POST", length=4, end=False,
                          fields=[("Expect", "100-continue")])
        call._until(lambda: call.interim)
        assert call.interim[0][0] == 100
        call.write(b"body")
        call.finish()
        assert call.body() == b"body"


# Ends before the end.
@pytest.mark.parametrize("size", [10, 8 * MIB])
def test_early_answer_while_uploading(pair, size):
    """The upstream does not read the body; its answer arrives nevertheless, and whole."""
    async def script(exchange):
        await exchange.respond(413, b"too much for me")

    pair.upstream.script = script
    with pair.client() as client:
        call = pair.start(client, "POST", length=size + 10, end=False)
        call.write(BIG[:size])
        assert (call.head(), call.body()) == (413, b"too much for me")


def wait_until_gone(exchange):
    assert exchange.aborted.wait(5), "the upstream was not told"


def test_client_abort_while_waiting(pair):
    reached = threading.Event()

    async def waiting(exchange):
        reached.set()
        while not exchange.aborted.is_set():
            exchange.connection.changed.clear()
            await exchange.connection.changed.wait()

    pair.upstream.script = waiting
    with pair.client() as client:
        call = pair.start(client)
        assert reached.wait(5)
        call.abort()
        wait_until_gone(pair.upstream.exchange())


def test_client_abort_while_uploading(pair):
    reached = threading.Event()

    async def script(exchange):
        try:
            while await exchange.read():
                reached.set()
            await exchange.respond(200, b"whole")
        except Aborted:
            pass

    pair.upstream.script = script
    with pair.client() as client:
        call = pair.start(client, "POST", length=1000, end=False)
        call.write(b"x" * 500)
        assert reached.wait(5)
        call.abort()
        wait_until_gone(pair.upstream.exchange())
    assert not pair.upstream.exchange().complete.is_set()


def test_client_abort_while_downloading(pair):
    async def endless(exchange):
        await exchange.start(200)
        while not exchange.aborted.is_set():
            await exchange.write(BIG[:65536])

    pair.upstream.script = endless
    with pair.client() as client:
        call = pair.start(client)
        assert call.read()
        call.abort()
        wait_until_gone(pair.upstream.exchange())


@pytest.mark.parametrize("announced", [True, False])
def test_upstream_abort_in_a_response(pair, announced):
    """The client must not take the part for the whole."""
    async def script(exchange):
        await exchange.start(200, [("Content-Length", "100000")] if announced else [])
        await exchange.write(BIG[:50_000])
        await exchange.abort()

    pair.upstream.script = script
    with pair.client() as client:
        with pytest.raises(Cut):
            call = pair.start(client)
            call.body()


def test_upstream_abort_before_the_head_is_502(pair):
    async def script(exchange):
        await exchange.whole()
        await exchange.abort()

    pair.upstream.script = script
    call = pair.request("POST", body=b"not to be repeated")
    assert call.status == 502 and call.get("content-type") == "application/problem+json"
    assert len(pair.upstream.exchanges) == 1


def test_response_shorter_than_announced(pair):
    """HTTP/2 lets a stream end cleanly before its Content-Length; that is malformed too."""
    async def script(exchange):
        await exchange.start(200, [("Content-Length", "10")])
        await exchange.write(b"five!")
        await (exchange.end if pair.upstream.is_h2 else exchange.abort)()

    pair.upstream.script = script
    with pair.client() as client:
        with pytest.raises(Cut):
            call = pair.start(client)
            call.body()
            assert call.status == 502, "taken for whole"
            raise Cut("refused as a whole")


# Refusals.
@pytest.mark.parametrize("kind", ["http", "h2c"])
@pytest.mark.parametrize("case, status, challenge", [
    ("none", 401, 'Bearer realm="api"'),
    ("expired", 401, 'error="invalid_token"'),
    ("scope", 403, 'error="insufficient_scope"'),
    ("twice", 400, 'error="invalid_request"')])
def test_refusals_are_the_same_everywhere(stage, protocol, kind, case, status, challenge):
    pair = Pair(stage, protocol, kind)
    pair.upstream.reset()
    token = {"none": None, "expired": mint(exp=1), "scope": mint(scope="other"),
             "twice": stage.token}[case]
    fields = [("Authorization", f"Bearer {token}")] if case == "twice" else []
    with pair.client() as client:
        call = client.start("GET", f"/{kind}/x", token=token, fields=fields)
        assert call.head() == status
        assert challenge in call.get("www-authenticate")
        assert call.get("content-type") == "application/problem+json" and call.body()
    assert pair.upstream.exchanges == []
    assert pair.request().status == 200


@pytest.mark.parametrize("method, path, status", [
    ("GET", "/none", 404), ("GET", "/http/%2e%2e/h2c", 400), ("GET", "/http//x", 400),
    ("TRACE", "/http/x", 405)])
def test_targets_are_judged_the_same_everywhere(stage, protocol, method, path, status):
    with Pair(stage, protocol, "http").client() as client:
        assert client.request(method, path, token=stage.token).status == status
