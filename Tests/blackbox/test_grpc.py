"""gRPC through the gateway with Python's grpcio at both ends, and refusals in gRPC's own form."""

import json
import threading
import time
import types
import uuid

import grpc
import pytest
from harness import standard
from harness.gateway import Gateway, free_port, poll
from harness.grpc_server import UNLIMITED, GrpcServer, sum_of
from harness.protocol_client import Client
from harness.protocol_upstream import ProtocolUpstream
from harness.secured import Secured, secure_address
from harness.tap import Tap
from harness.tokens import mint

MIB = 1 << 20
Code = grpc.StatusCode
# The client's listener and the service's name, which says what the upstream speaks.
STACKS = {"h2c to h2c": ("clear", "clear.Echo"), "tls to h2c": ("tls", "clear.Echo"),
          "tls to https": ("tls", "secure.Echo"), "h2c to https": ("clear", "secure.Echo")}


def routes():
    return [
        {"path": "/clear.Echo/**", "upstream": "clear", "claimHeaders": {"X-Sub": "sub"}},
        {"path": "/secure.Echo/**", "upstream": "secure", "claimHeaders": {"X-Sub": "sub"}},
        {"path": "/public.Echo/**", "upstream": "clear", "access": "public"},
        {"path": "/scoped.Echo/**", "upstream": "clear", "scopes": ["admin", "root"]},
        {"path": "/claimed.Echo/**", "upstream": "clear", "claims": {"tenant": "acme"}},
        {"path": "/limited.Echo/**", "upstream": "clear", "access": "public", "maxBody": "1KiB"},
        {"path": "/down.Echo/**", "upstream": "down"},
        {"path": "/slow.Echo/**", "upstream": "clear", "timeouts": {"response": "300ms"}},
        {"path": "/raw.Echo/**", "upstream": "raw", "access": "public"},
    ]


@pytest.fixture(scope="module")
def stage(tmp_path_factory):
    folder = tmp_path_factory.mktemp("grpc")
    standard.write_keys(folder)
    secured = Secured(folder)
    key = (folder / secured.files["privateKey"]).read_bytes()
    chain = (folder / secured.files["certificate"]).read_bytes()
    servers = {"clear": GrpcServer(),
               "secure": GrpcServer(grpc.ssl_server_credentials([(key, chain)]))}
    raw = ProtocolUpstream("h2c")
    gateway = Gateway(folder, {
        "listeners": secured.listeners(),
        "issuers": {"main": standard.issuer()},
        "upstreams": {
            **{name: secured.upstream(server.endpoint) for name, server in servers.items()},
            "raw": {"endpoints": [raw.endpoint]},
            "down": {"endpoints": [f"h2c://127.0.0.1:{free_port()}"]},
        },
        "routes": routes(),
        "workers": 1,
    })
    yield types.SimpleNamespace(gateway=gateway, servers=servers, raw=raw, folder=folder,
                                secured=secured, token=mint())
    status = gateway.stop()
    for server in servers.values():
        server.stop()
    raw.close()
    assert status == 0, gateway.output


@pytest.fixture(scope="module", autouse=True)
def silent(tmp_path_factory):
    """A stream that rests while the module's other tests run."""
    server = GrpcServer(options=[("grpc.http2.max_ping_strikes", 1)])
    go_on = threading.Event()

    def messages():
        yield b"first"
        go_on.wait(300)
        yield b"second"

    with Front(tmp_path_factory.mktemp("silent"), server) as caller:
        answers = caller.call("stream_stream", "Chat", messages(), timeout=300)
        assert next(answers) == b"first"
        yield answers, time.monotonic(), go_on
        go_on.set()
        answers.cancel()


class Caller:
    """A channel through the gateway, with a token unless told otherwise."""

    def __init__(self, stage, listener, service, options=()):
        self.stage = stage
        self.service = service
        self.server = stage.servers[service.partition(".")[0].replace("public", "clear")]
        options = [*UNLIMITED, ("grpc.use_local_subchannel_pool", 1),
                   ("grpc.enable_http_proxy", 0), *options]
        if listener == "tls":
            trust = (stage.folder / stage.secured.trust).read_bytes()
            host, port = secure_address(stage.gateway)
            self.channel = grpc.secure_channel(
                f"{host}:{port}", grpc.ssl_channel_credentials(trust), options)
        else:
            host, port = stage.gateway.address
            self.channel = grpc.insecure_channel(f"{host}:{port}", options)

    def call(self, kind, method, request, *, token=..., metadata=(), service=None, timeout=20,
             **more):
        """`kind` is grpcio's name for the shape, such as `unary_stream`."""
        token = self.stage.token if token is ... else token
        if token is not None:
            metadata = [("authorization", f"Bearer {token}"), *metadata]
        caller = getattr(self.channel, kind)(f"/{service or self.service}/{method}")
        return caller(request, metadata=list(metadata), timeout=timeout, **more)

    def unary(self, method, request=b"", **more):
        return self.call("unary_unary", method, request, **more)

    def finished(self, method, request=b"", *, token=..., metadata=(), service=None, **more):
        """The answer and the finished call, which has the metadata and the status."""
        token = self.stage.token if token is ... else token
        if token is not None:
            metadata = [("authorization", f"Bearer {token}"), *metadata]
        caller = self.channel.unary_unary(f"/{service or self.service}/{method}")
        return caller.with_call(request, metadata=list(metadata), timeout=20, **more)

    def refused(self, method="Unary", request=b"", kind="unary_unary", **more):
        """The error of a call that must fail."""
        with pytest.raises(grpc.RpcError) as caught:
            answer = self.call(kind, method, request, **more)
            if kind.endswith("stream"):
                list(answer)
        return caught.value


class Front:
    """A gateway of a test's own before servers of its own."""

    def __init__(self, folder, *servers, **upstream):
        standard.write_keys(folder)
        self.folder = folder
        self.servers = {"clear": servers[0]}
        self.token = mint()
        self.gateway = Gateway(folder, standard.small(
            [server.endpoint for server in servers], {"path": "/clear.Echo/**"},
            upstream=upstream))

    def __enter__(self):
        self.caller = Caller(self, "clear", "clear.Echo")
        return self.caller

    def __exit__(self, *_):
        self.caller.channel.close()
        status = self.gateway.stop()
        for server in self.servers.values():
            server.stop()
        assert status == 0, self.gateway.output


@pytest.fixture(params=STACKS)
def caller(request, stage):
    """A channel of the test's own on each stack; afterwards the same channel still serves."""
    stage.gateway.ensure()
    made = Caller(stage, *STACKS[request.param])
    made.server.reset()
    yield made
    made.server.released.set()
    assert made.unary("Unary", b"still here") == b"still here"
    made.channel.close()


@pytest.fixture
def clear(stage):
    stage.gateway.ensure()
    made = Caller(stage, "clear", "clear.Echo")
    made.server.reset()
    yield made
    assert made.unary("Unary", b"still here") == b"still here"
    made.channel.close()


def metadata_of(error):
    """gRPC shows a trailers-only answer's fields as either, depending on the library's version."""
    return [*(error.initial_metadata() or ()), *(error.trailing_metadata() or ())]


def value_of(error, name):
    values = [value for found, value in metadata_of(error) if found == name]
    assert len(values) == 1, metadata_of(error)
    return values[0]


# The four shapes.
@pytest.mark.parametrize("size", [0, 1, 5, 16_383, 16_384, 70_000])
def test_unary(caller, size):
    assert caller.unary("Unary", b"u" * size) == b"u" * size


def test_many_unary_calls_one_after_another(caller):
    for number in range(200):
        assert caller.unary("Unary", b"%d" % number) == b"%d" % number
    assert len(caller.server.calls) == 200
    assert len({seen.peer for seen in caller.server.calls}) == 1, "connections are reused"


@pytest.mark.parametrize("count, size", [(0, 0), (1, 1), (1000, 10), (50, 100_000)])
def test_client_streaming(caller, count, size):
    messages = [number.to_bytes(4, "big") + b"c" * size for number in range(count)]
    assert caller.call("stream_unary", "Collect", iter(messages)) == sum_of(messages)


@pytest.mark.parametrize("count, size", [(0, 0), (1, 1), (1000, 10), (50, 100_000)])
def test_server_streaming(caller, count, size):
    answers = list(caller.call("unary_stream", "Generate", json.dumps([count, size]).encode()))
    assert answers == [number.to_bytes(4, "big") + b"g" * size for number in range(count)]


def test_bidirectional_streaming_in_turns(caller):
    """Each message is answered before the next one is written."""
    turn = threading.Semaphore(1)

    def messages():
        for number in range(1000):
            assert turn.acquire(timeout=10)
            yield b"%d" % number

    answers = []
    for answer in caller.call("stream_stream", "Chat", messages()):
        answers.append(answer)
        turn.release()
    assert answers == [b"%d" % number for number in range(1000)]


def test_bidirectional_streaming_without_turns(caller):
    messages = [b"%d" % number * 200 for number in range(1000)]
    assert list(caller.call("stream_stream", "Chat", iter(messages))) == messages


@pytest.mark.parametrize("size", [4 * MIB, 16 * MIB])
def test_large_messages(caller, size):
    message = bytes(range(256)) * (size // 256)
    assert caller.unary("Unary", message, timeout=60) == message


@pytest.mark.parametrize("compression", [grpc.Compression.Gzip, grpc.Compression.Deflate])
def test_compressed_messages(caller, compression):
    message = b"compressible " * 20_000
    answer, call = caller.finished("Unary", message, compression=compression)
    assert answer == message and call.code() == Code.OK


def test_two_hundred_calls_at_once_on_one_channel(caller):
    """More than the listener's concurrent streams: the rest wait in the client."""
    method = caller.channel.unary_unary(f"/{caller.service}/Unary")
    metadata = [("authorization", f"Bearer {caller.stage.token}")]
    waiting = [method.future(b"%d" % number * 100, metadata=metadata, timeout=30)
               for number in range(200)]
    assert [future.result() for future in waiting] == [b"%d" % n * 100 for n in range(200)]


def test_a_hundred_streams_interleaved(caller):
    """All are open at the same time, and each gets its own messages back."""
    barrier = threading.Barrier(90, timeout=20)
    wrong = []

    def run(name):
        def messages():
            barrier.wait()
            for number in range(20):
                yield b"%d:%d" % (name, number)

        try:
            got = list(caller.call("stream_stream", "Chat", messages(), timeout=40))
        except grpc.RpcError as error:
            got = error.details()
        if got != [b"%d:%d" % (name, number) for number in range(20)]:
            wrong.append((name, got))

    threads = [threading.Thread(target=run, args=(name,)) for name in range(90)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(40)
    assert wrong == [] and not barrier.broken and len(caller.server.calls) == 90


# Metadata.
def test_metadata_to_the_server(caller):
    sent = [("x-text", "a b,c"), ("x-twice", "1"), ("x-twice", "2"), ("x-data-bin", b"\x00\xff"),
            ("x-data-bin", b""), ("x-long", "l" * 4000)]
    caller.unary("Unary", metadata=sent)
    seen = caller.server.call()
    for name in ("x-text", "x-long"):
        assert seen.values(name) == [value for found, value in sent if found == name]
    # Repeated values may be joined by commas (gRPC over HTTP/2, Custom-Metadata).
    assert ",".join(seen.values("x-twice")).replace(" ", "") == "1,2"
    assert seen.values("x-data-bin") == [b"\x00\xff", b""]
    assert "authorization" not in dict(seen.metadata)
    assert seen.values("user-agent")[0].startswith("grpc-python")


def test_claims_arrive_as_metadata_and_spoofed_ones_do_not(caller):
    spoofed = [("x-sub", "root"), ("x_sub", "root"), ("remote-user", "root"), ("x-user", "root"),
               ("x-forwarded-user", "root"), ("x-jwt-sub", "root"), ("x-forwarded-for", "6.6.6.6")]
    caller.unary("Unary", metadata=spoofed)
    seen = caller.server.call()
    assert seen.values("x-sub") == ["alice"]
    assert not {"root", "6.6.6.6"} & {value for _, value in seen.metadata}
    assert seen.values("x-forwarded-for") == ["127.0.0.1"] and seen.values("x-request-id")


def test_metadata_to_the_client(caller):
    _, call = caller.finished("Metadata", b"\x01\xfe")
    initial, trailing = call.initial_metadata(), call.trailing_metadata()
    assert [v for n, v in initial if n == "x-initial"] in (["one", "two"], ["one, two"])
    assert ("x-initial-bin", b"\x00\xff\x80") in initial
    assert ("x-trailing", "last") in trailing and ("x-trailing-bin", b"\x01\xfe") in trailing


def test_initial_metadata_comes_before_the_first_message(caller):
    answers = caller.call("unary_stream", "Early", b"late")
    assert ("x-early", "yes") in answers.initial_metadata()
    caller.server.released.set()
    assert list(answers) == [b"late"]


# Status.
@pytest.mark.parametrize("number", [code.value[0] for code in Code if code is not Code.OK])
def test_status_and_details_of_the_server(caller, number):
    details = f"No {number}: naïve, 100 %, 日本"
    error = caller.refused("Abort", json.dumps([number, details]).encode())
    assert (error.code().value[0], error.details()) == (number, details)
    assert value_of(error, "x-why") == "test" and value_of(error, "x-why-bin") == b"\xff\x00"


def test_status_after_messages(caller):
    answers = caller.call("unary_stream", "AbortLate", b"m")
    got = []
    with pytest.raises(grpc.RpcError) as caught:
        for answer in answers:
            got.append(answer)
    assert got == [b"m"] * 3
    assert (caught.value.code(), caught.value.details()) == (Code.DATA_LOSS, "after three")


def endless(stop):
    while not stop.is_set():
        yield b"m" * 1000
        stop.wait(0.001)


def test_status_while_the_client_still_writes(caller):
    stop = threading.Event()
    error = caller.refused("AbortWhileReading", endless(stop), kind="stream_unary")
    stop.set()
    assert (error.code(), error.details()) == (Code.RESOURCE_EXHAUSTED, "enough")


def test_unknown_method_is_the_servers_answer(caller):
    assert caller.refused("Nothing").code() == Code.UNIMPLEMENTED


# Deadlines and cancellation.
def test_deadline_reaches_the_server(caller):
    caller.unary("Unary", timeout=15)
    assert 5 < caller.server.call().remaining <= 15.1


def test_deadline_exceeded_cancels_at_the_server(caller):
    error = caller.refused("Hang", timeout=0.3)
    assert error.code() == Code.DEADLINE_EXCEEDED
    seen = caller.server.call()
    assert seen.ended.wait(5) and seen.was_cancelled


def test_cancelled_unary_call(caller):
    method = caller.channel.unary_unary(f"/{caller.service}/Hang")
    future = method.future(b"", metadata=[("authorization", f"Bearer {caller.stage.token}")])
    seen = caller.server.call()
    future.cancel()
    assert seen.ended.wait(5) and seen.was_cancelled


def test_cancelled_stream(caller):
    stop = threading.Event()
    answers = caller.call("stream_stream", "HangStream", endless(stop))
    assert next(answers)
    seen = caller.server.call()
    answers.cancel()
    assert seen.ended.wait(5) and seen.was_cancelled
    stop.set()
    with pytest.raises(grpc.RpcError) as caught:
        next(answers)
    assert caught.value.code() == Code.CANCELLED


def test_cancelling_one_stream_leaves_the_others(caller):
    turn = threading.Semaphore(0)

    def messages():
        yield b"first"
        assert turn.acquire(timeout=10)
        yield b"second"

    kept = caller.call("stream_stream", "Chat", messages())
    assert next(kept) == b"first"
    for _ in range(20):
        dropped = caller.call("stream_stream", "HangStream", iter([b"x"]))
        assert next(dropped) == b"x"
        dropped.cancel()
    turn.release()
    assert list(kept) == [b"second"]
    assert len({seen.peer for seen in caller.server.calls}) == 1


def test_a_client_that_goes_away_is_seen(stage):
    caller = Caller(stage, "clear", "clear.Echo")
    caller.server.reset()
    answers = caller.call("stream_stream", "HangStream", iter([b"x"]))
    assert next(answers) == b"x"
    caller.channel.close()
    seen = caller.server.call()
    assert seen.ended.wait(5) and seen.was_cancelled


# Connections.
@pytest.mark.parametrize("listener", ["clear", "tls"])
def test_keepalive_pings_are_answered(stage, listener):
    """A client that pings every 100 ms, in a call and without one, keeps its connection."""
    options = [("grpc.keepalive_time_ms", 100), ("grpc.keepalive_timeout_ms", 3000),
               ("grpc.keepalive_permit_without_calls", 1), ("grpc.http2.max_pings_without_data", 0)]
    caller = Caller(stage, listener, "clear.Echo", options)
    caller.server.reset()
    states = []
    answers = caller.call("unary_stream", "Early", b"done")
    assert ("x-early", "yes") in answers.initial_metadata()
    caller.channel.subscribe(states.append)
    time.sleep(1.5)
    caller.server.released.set()
    assert list(answers) == [b"done"]
    time.sleep(0.5)
    assert caller.unary("Unary", b"x") == b"x"
    caller.channel.close()
    assert set(states) <= {grpc.ChannelConnectivity.READY, grpc.ChannelConnectivity.IDLE}


def test_keepalive_pings_of_a_server_are_answered(tmp_path):
    """The gateway's side of the same: a server that pings must not be taken for a flood."""
    server = GrpcServer(options=[("grpc.keepalive_time_ms", 100),
                                 ("grpc.keepalive_timeout_ms", 2000),
                                 ("grpc.http2.max_pings_without_data", 0)])
    with Front(tmp_path, server) as caller:
        answers = caller.call("unary_stream", "Early", b"done")
        assert ("x-early", "yes") in answers.initial_metadata()
        time.sleep(1.5)
        server.released.set()
        assert list(answers) == [b"done"]


@pytest.mark.parametrize("case", ["before", "after"])
def test_a_server_that_dies_is_never_ok(case, tmp_path):
    """`before` the first message and `after` one."""
    server = GrpcServer()
    stop = threading.Event()
    with Front(tmp_path, server) as caller:
        if case == "before":
            answers = caller.call("unary_stream", "Hang", b"")
        else:
            answers = caller.call("stream_stream", "HangStream", endless(stop))
            assert next(answers)
        server.call()
        server.stop()
        stop.set()
        with pytest.raises(grpc.RpcError) as caught:
            next(answers)
        assert caught.value.code() in (Code.UNAVAILABLE, Code.CANCELLED, Code.INTERNAL,
                                       Code.UNKNOWN)
        assert caller.refused().code() == Code.UNAVAILABLE


def test_drain_lets_calls_finish(tmp_path):
    """SIGTERM: a call under way goes on to its end, and the process ends after it."""
    server = GrpcServer()
    with Front(tmp_path, server) as caller:
        gateway = caller.stage.gateway
        answers = caller.call("unary_stream", "Early", b"done")
        assert ("x-early", "yes") in answers.initial_metadata()
        gateway.process.terminate()
        time.sleep(0.3)
        assert gateway.running
        server.released.set()
        assert list(answers) == [b"done"]
        assert gateway.process.wait(10) == 0, gateway.output


def calls_during(caller, seconds):
    """Unary calls and short streams from some threads; what failed."""
    end, failed, done = time.monotonic() + seconds, [], []

    def run(name):
        number = 0
        while time.monotonic() < end:
            number += 1
            message = b"%d:%d" % (name, number)
            try:
                assert caller.unary("Unary", message) == message
                assert list(caller.call("stream_stream", "Chat", iter([message] * 3))) == [
                    message] * 3
                done.append(message)
            except (grpc.RpcError, AssertionError) as error:
                failed.append(error)

    threads = [threading.Thread(target=run, args=(name,)) for name in range(8)]
    for thread in threads:
        thread.start()
    return threads, failed, done


def test_servers_that_limit_the_age_of_connections_fail_no_call(tmp_path):
    """They say GOAWAY each 300 ms, as servers behind load balancers are told to."""
    server = GrpcServer(options=[("grpc.max_connection_age_ms", 300),
                                 ("grpc.max_connection_age_grace_ms", 5000)])
    with Front(tmp_path, server) as caller:
        threads, failed, done = calls_during(caller, 3)
        for thread in threads:
            thread.join(20)
        assert failed == [] and len(done) > 50
        assert len({seen.peer for seen in server.calls}) > 3, "no connection was ever replaced"


def test_a_server_that_stops_with_grace_fails_no_call(tmp_path):
    """One of two leaves; its calls finish and new ones go to the other. A call that arrives while
    grpcio stops may be cancelled by grpcio itself, without a proxy too: the tap knows which."""
    leaving, staying = GrpcServer(), GrpcServer()
    tap = Tap(leaving.port)
    with Front(tmp_path, leaving, staying, endpoints=[tap.endpoint, staying.endpoint]) as caller:
        threads, failed, done = calls_during(caller, 2.5)
        poll(lambda: len(leaving.calls) > 20 and len(staying.calls) > 20, what="calls on both")
        # As grpcio does it: first no new connections, then GOAWAY.
        tap.hang_up()
        assert leaving.server.stop(10).wait(10)
        before = len(staying.calls)
        for thread in threads:
            thread.join(20)
        assert set(tap.refused) <= {Code.CANCELLED.value[0]}
        assert [error.code() for error in failed] == [Code.CANCELLED] * len(tap.refused), failed
        assert len(done) > 50 and len(staying.calls) > before
    staying.stop()


@pytest.mark.parametrize("streams", [1, 3])
def test_a_server_that_takes_few_streams_gets_no_more(tmp_path, streams):
    """The rest of 60 calls waits or goes over other connections; none fails."""
    server = GrpcServer(options=[("grpc.max_concurrent_streams", streams)])
    with Front(tmp_path, server) as caller:
        method = caller.channel.unary_unary("/clear.Echo/Unary")
        metadata = [("authorization", f"Bearer {caller.stage.token}")]
        waiting = [method.future(b"%d" % number, metadata=metadata, timeout=20)
                   for number in range(60)]
        assert [future.result() for future in waiting] == [b"%d" % n for n in range(60)]


def resident(gateway):
    with open(f"/proc/{gateway.process.pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS")) * 1024


def test_a_client_that_does_not_read_holds_the_server_back(tmp_path):
    """400 MB are offered; the gateway keeps no more of them than windows allow."""
    server = GrpcServer()
    with Front(tmp_path, server) as caller:
        caller.unary("Unary")
        before = resident(caller.stage.gateway)
        answers = caller.call("unary_stream", "Generate", json.dumps([400, 1_000_000]).encode())
        assert len(next(answers)) == 1_000_004
        time.sleep(0.7)
        assert resident(caller.stage.gateway) - before < 24 * MIB
        assert caller.unary("Unary", b"other") == b"other", "other calls go on"
        answers.cancel()
        assert server.calls[1].ended.wait(5)


# Refusals.
REFUSALS = [
    ("no token", {"token": None}, Code.UNAUTHENTICATED, 'Bearer realm="api"'),
    ("another scheme", {"token": None, "metadata": [("authorization", "Basic YTpi")]},
     Code.UNAUTHENTICATED, 'Bearer realm="api"'),
    ("garbage", {"token": "garbage"}, Code.UNAUTHENTICATED, 'error="invalid_token"'),
    ("expired", {"token": mint(exp=1)}, Code.UNAUTHENTICATED, 'error="invalid_token"'),
    ("wrong audience", {"token": mint(aud="x")}, Code.UNAUTHENTICATED, 'error="invalid_token"'),
    ("wrong issuer", {"token": mint(iss="x")}, Code.UNAUTHENTICATED, 'error="invalid_token"'),
    ("forged", {"token": mint(signature=lambda made: bytes(len(made)))}, Code.UNAUTHENTICATED,
     'error="invalid_token"'),
    ("scope", {"service": "scoped.Echo"}, Code.PERMISSION_DENIED, 'scope="admin root"'),
    ("claim", {"service": "claimed.Echo"}, Code.PERMISSION_DENIED, 'error="insufficient_scope"'),
    ("no route", {"service": "none.Echo"}, Code.UNIMPLEMENTED, None),
    ("unreachable", {"service": "down.Echo"}, Code.UNAVAILABLE, None),
    ("too slow", {"service": "slow.Echo", "method": "Hang"}, Code.UNAVAILABLE, None),
]


@pytest.mark.parametrize("case, how, code, challenge", REFUSALS, ids=[r[0] for r in REFUSALS])
@pytest.mark.parametrize("kind", ["unary_unary", "unary_stream"])
def test_refusals(caller, case, how, code, challenge, kind):
    error = caller.refused(**{"kind": kind, **how})
    assert error.code() == code and error.details()
    if challenge is None:
        assert "www-authenticate" not in dict(metadata_of(error))
    else:
        assert challenge in value_of(error, "www-authenticate")
    if case != "too slow":
        assert caller.server.calls == []


@pytest.mark.parametrize("kind", ["stream_unary", "stream_stream"])
@pytest.mark.parametrize("token, service, code", [
    (None, None, Code.UNAUTHENTICATED), (mint(exp=1), None, Code.UNAUTHENTICATED),
    (..., "scoped.Echo", Code.PERMISSION_DENIED), (..., "none.Echo", Code.UNIMPLEMENTED)])
def test_refusals_while_the_client_streams(caller, kind, token, service, code):
    """The status must arrive although the client has not stopped writing."""
    stop = threading.Event()
    method = "Collect" if kind == "stream_unary" else "Chat"
    error = caller.refused(method, endless(stop), kind, token=token, service=service)
    stop.set()
    assert error.code() == code
    assert caller.server.calls == []


def test_a_body_above_the_limit_is_resource_exhausted(clear):
    error = clear.refused("Unary", b"x" * 5000, service="limited.Echo")
    assert error.code() == Code.RESOURCE_EXHAUSTED


def test_public_routes_need_no_token(clear):
    assert clear.unary("Unary", b"x", token=None, service="public.Echo") == b"x"


def test_token_of_call_credentials(stage):
    """What grpcio's own helper sends is taken."""
    stage.servers["clear"].reset()
    trust = (stage.folder / stage.secured.trust).read_bytes()
    credentials = grpc.composite_channel_credentials(
        grpc.ssl_channel_credentials(trust), grpc.access_token_call_credentials(stage.token))
    host, port = secure_address(stage.gateway)
    with grpc.secure_channel(f"{host}:{port}", credentials) as channel:
        assert channel.unary_unary("/clear.Echo/Unary")(b"x", timeout=10) == b"x"
    assert "authorization" not in dict(stage.servers["clear"].call().metadata)


def test_refused_calls_do_not_disturb_others_on_the_channel(clear):
    """Good and bad calls at once."""
    method = clear.channel.unary_unary("/clear.Echo/Unary")
    good = [("authorization", f"Bearer {clear.stage.token}")]
    waiting = [method.future(b"%d" % number, metadata=good if number % 2 else [], timeout=20)
               for number in range(150)]
    for number, future in enumerate(waiting):
        if number % 2:
            assert future.result() == b"%d" % number
        else:
            assert future.exception().code() == Code.UNAUTHENTICATED
    assert len(clear.server.calls) == 75


# The form of refusals on the wire.
@pytest.mark.parametrize("listener", ["clear", "tls"])
@pytest.mark.parametrize("kind", ["application/grpc", "application/grpc+proto"])
@pytest.mark.parametrize("path, token, number", [
    ("/clear.Echo/Unary", False, "16"), ("/scoped.Echo/Unary", True, "7"),
    ("/none.Echo/Unary", True, "12"), ("/down.Echo/Unary", True, "14")])
def test_refusals_are_trailers_only(stage, listener, kind, path, token, number):
    """One HEADERS frame that ends the stream: status 200, and everything in it."""
    protocol, context, address = "h2c", None, stage.gateway.address
    if listener == "tls":
        protocol, context = "h2+tls", stage.secured.client_context()
        address = secure_address(stage.gateway)
    with Client(protocol, address, context) as client:
        call = client.start("POST", path, token=stage.token if token else None, end=False,
                            fields=[("Content-Type", kind), ("TE", "trailers")])
        assert (call.head(), call.body()) == (200, b"") and call.trailers == []
        assert call.get("grpc-status") == number and call.get("grpc-message")
        assert call.get("content-type") == "application/grpc"
        assert ("www-authenticate" in call.fields) == (number in ("16", "7"))
        assert call.get("content-length") in (None, "0")


# Upstreams that are no gRPC servers.
@pytest.mark.parametrize("status, code", [
    (400, Code.INTERNAL), (401, Code.UNAUTHENTICATED), (403, Code.PERMISSION_DENIED),
    (404, Code.UNIMPLEMENTED), (503, Code.UNAVAILABLE), (500, Code.UNKNOWN)])
def test_other_answers_of_an_upstream_pass_as_they_are(stage, clear, status, code):
    async def script(exchange):
        await exchange.respond(status, b"<html>", [("Content-Type", "text/html")])

    stage.raw.reset()
    stage.raw.script = script
    error = clear.refused(service="raw.Echo", token=None)
    # Which of its statuses gRPC makes of an HTTP status is the client's business.
    assert error.code() in (code, Code.UNKNOWN)
    assert stage.raw.exchange().get("te") == "trailers"


@pytest.mark.parametrize("part", ["head", "message"])
def test_a_stream_that_the_upstream_resets_is_never_ok(stage, clear, part):
    async def script(exchange):
        await exchange.start(200, [("Content-Type", "application/grpc")])
        if part == "message":
            await exchange.write(b"\0\0\0\0\1x")
        await exchange.abort()

    stage.raw.reset()
    stage.raw.script = script
    error = clear.refused(service="raw.Echo", token=None)
    assert error.code() in (Code.INTERNAL, Code.UNAVAILABLE, Code.UNKNOWN, Code.CANCELLED)


def test_the_access_log_has_a_line_for_each_call(clear):
    names = [uuid.uuid4().hex for _ in range(4)]
    for name in names[:3]:
        clear.unary("Unary", metadata=[("x-request-id", name)])
    clear.refused(token=None, metadata=[("x-request-id", names[3])])
    lines = [clear.stage.gateway.log.find(name) for name in names]
    assert {line["path"] for line in lines} == {"/clear.Echo/Unary"}
    assert [line["status"] for line in lines[:3]] == [200] * 3
    assert lines[3]["reason"] == "no_token"


# Last, since it began with the first.
def test_a_stream_may_be_silent(silent):
    """gRPC servers close connections of peers that ask too often whether they are there: one
    PING in five minutes is fine while nothing is sent, and two strikes are forgiven. This server
    forgives one."""
    answers, started, go_on = silent
    time.sleep(max(0, started + 45 - time.monotonic()))
    go_on.set()
    assert next(answers) == b"second"
