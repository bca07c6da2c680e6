"""Before the first keys: the proxy starts whatever issuers do, says that it lacks keys, and serves
from the moment they come."""

import json
import time

import grpc
import pytest
from harness import issuer as answers
from harness.client import request_bytes
from harness.gateway import Gateway, free_port, poll
from harness.grpc_server import GrpcServer
from harness.h2c import concurrently
from harness.http2 import exchange
from harness.issuer import slow
from harness.keyed import Keyed
from harness.standard import small
from harness.tokens import ec_key, mint

KEY = ec_key("first")


def assert_keys_unavailable(response, line):
    assert response.status == 503 and int(response.get("Retry-After")) > 0, str(response)
    assert "WWW-Authenticate" not in response.fields, "it is not the caller's fault"
    assert response.get("Content-Type") == "application/problem+json"
    assert "keys_unavailable" in response.json()["type"]
    assert line["reason"] == "keys_unavailable"


WAYS = {"dead": None, "500": answers.failing, "HTML": answers.html, "hang": answers.hang,
        "trickle": answers.trickle, "gzip": answers.gzipped, "200 MB": answers.huge,
        "no keys": answers.says({"keys": []}), "reset": answers.reset}


@pytest.mark.parametrize("way", list(WAYS))
def test_start_without_keys_and_their_arrival(issuers, keyed, way):
    issuer = issuers(KEY, start=way != "dead")
    issuer.behaves(WAYS[way])
    gateway = keyed(main=issuer.block(keys={"timeout": "500ms"}), wait=False)
    gateway.gateway.assert_serves()
    token = issuer.mint(KEY)
    gateway.until_fault()
    assert_keys_unavailable(*gateway.logged("GET", "/token/x", token=token))
    readiness = gateway.admin("/readyz")
    assert readiness.status == 503 and gateway.admin("/healthz").status == 200
    assert [one["issuer"] for one in readiness.json()["issuersWithoutKeys"]] == ["main"]
    gateway.nothing_forwarded(since=1)
    issuer.behaves()
    if way == "dead":
        issuer.start()
    poll(lambda: gateway.answer(token) == 200, 15, "the first keys")
    assert gateway.admin("/readyz").status == 200


def test_name_that_does_not_resolve_is_no_reason_not_to_start(issuers, keyed):
    issuer = issuers(KEY, start=False)
    block = issuer.block(keys={"url": "https://no-such-host.invalid/keys", "timeout": "2s"})
    gateway = keyed(main=block, wait=False)
    assert gateway.until_fault()["reason"] in ("unresolved", "timeout")
    assert gateway.answer(issuer.mint(KEY)) == 503


def test_requests_wait_for_first_keys(issuers, keyed):
    """A request that comes while the first look is in flight has its answer from it."""
    issuer = issuers(KEY)
    issuer.behaves(slow(0.6))
    gateway = keyed(main=issuer, wait=False)
    assert gateway.at_once([issuer.mint(KEY, sub=str(n)) for n in range(20)]) == [200] * 20
    assert issuer.count() == 1


def test_waiting_for_first_keys_is_bounded(issuers, keyed):
    issuer = issuers(KEY)
    issuer.behaves(answers.hang)
    gateway = keyed(main=issuer, wait=False)
    began = time.monotonic()
    assert gateway.answer(issuer.mint(KEY)) == 503
    assert time.monotonic() - began < 1.6


def test_a_storm_before_first_keys_stays_within_the_rules(issuers, keyed):
    """Requests may cause one look a cool-down; the rest is the back-off's."""
    issuer = issuers(KEY)
    issuer.behaves(answers.failing)
    gateway = keyed(main=issuer, wait=False)
    gateway.until_fault()
    end = time.monotonic() + 3
    tokens = [issuer.mint(KEY, sub=str(n)) for n in range(40)]
    while time.monotonic() < end:
        assert set(gateway.at_once(tokens)) == {503}
    assert issuer.count() <= 14 and gateway.status()["unknownKeyFetches"] <= 1


def test_other_issuers_and_routes_serve_meanwhile(issuers, keyed):
    dead, good = issuers(KEY, start=False), issuers(KEY)
    gateway = keyed({"path": "/optional/**", "access": "optional"},
                    {"path": "/audit/**", "mode": "audit"},
                    dead=dead, good=good, wait=False).until_keys("good")
    assert gateway.answer(good.mint(KEY)) == 200
    assert gateway.answer(dead.mint(KEY)) == 503
    assert gateway.answer(dead.mint(KEY), "/optional/x") == 503
    assert gateway.get("/optional/x").status == 200
    response, line = gateway.logged("GET", "/audit/x", token=dead.mint(KEY))
    assert (response.status, line["decision"]) == (200, "would_refuse")
    assert gateway.answer(mint(iss="https://unknown.test")) == 401
    missing = gateway.admin("/readyz").json()["issuersWithoutKeys"]
    assert [one["issuer"] for one in missing] == ["dead"]


def test_issuer_that_no_route_needs_does_not_count(issuers, keyed):
    """Readiness is about what routes need."""
    dead, good = issuers(KEY, start=False), issuers(KEY)
    options = {"workers": 1, "admin": {"address": f"127.0.0.1:{free_port()}"}, "routes": [
        {"path": "/public/**", "access": "public", "upstream": "api"},
        {"path": "/token/**", "issuers": ["good"], "upstream": "api"}]}
    gateway = keyed(dead=dead, good=good, wait=False, options=options).until_keys("good")
    assert gateway.admin("/readyz").status == 200


def test_over_http2_the_same(issuers, keyed):
    issuer = issuers(KEY, start=False)
    gateway = keyed(main=issuer, wait=False)
    gateway.until_fault()
    response = exchange(gateway, "GET", "/token/x", token=issuer.mint(KEY))
    assert response.status == 503 and response.get("retry-after")
    assert "www-authenticate" not in response.fields
    issuer.start()
    gateway.until_keys()
    poll(lambda: exchange(gateway, "GET", "/token/x", token=issuer.mint(KEY)).status == 200, 5,
         "the keys in force")


@pytest.fixture
def grpc_gateway(issuers, tmp_path):
    """A gateway before a gRPC service; the client's call."""
    issuer, server = issuers(KEY), GrpcServer()
    started = []

    def start():
        config = small(server.endpoint, {"path": "/echo.Echo/**"},
                       issuers={"main": issuer.block()},
                       admin={"address": f"127.0.0.1:{free_port()}"})
        started.append(Gateway(tmp_path, config))
        return Keyed(started[0], server)

    def call(token, timeout=8):
        with grpc.insecure_channel("{}:{}".format(*started[0].address)) as channel:
            method = channel.unary_unary("/echo.Echo/Unary")
            try:
                return method(b"hello", timeout=timeout,
                              metadata=[("authorization", f"Bearer {token}")])
            except grpc.RpcError as error:
                return error.code()

    yield issuer, start, call
    for gateway in started:
        assert gateway.stop() == 0, gateway.output
    server.stop()


def test_grpc_is_told_unavailable(grpc_gateway):
    """Status 14 is what gRPC clients retry."""
    issuer, start, call = grpc_gateway
    issuer.stop()
    gateway = start()
    gateway.until_fault()
    assert call(issuer.mint(KEY)) == grpc.StatusCode.UNAVAILABLE
    headers = {"Content-Type": "application/grpc", "TE": "trailers"}
    raw = exchange(gateway, "POST", "/echo.Echo/Unary", token=issuer.mint(KEY),
                   fields=[(name.lower(), value) for name, value in headers.items()])
    assert (raw.status, raw.get("grpc-status")) == (200, "14")
    issuer.start()
    gateway.until_keys()
    poll(lambda: call(issuer.mint(KEY)) == b"hello", 5, "the service")


def test_grpc_calls_wait_for_a_rotated_key(grpc_gateway):
    issuer, start, call = grpc_gateway
    gateway = start().until_keys()
    fresh = ec_key("fresh")
    issuer.publish(KEY, fresh)
    issuer.behaves(slow(0.4))
    tokens = [issuer.mint(fresh, sub=str(n)) for n in range(5)]
    assert concurrently([lambda t=t: call(t) for t in tokens]) == [b"hello"] * 5
    assert call(issuer.mint(ec_key("nobody"))) == grpc.StatusCode.UNAUTHENTICATED
    assert gateway.status()["unknownKeyFetches"] == 1


def test_drain_ends_what_waits(issuers, keyed):
    """SIGTERM while requests wait for keys: they are answered, and the process ends in time."""
    issuer = issuers(KEY)
    issuer.behaves(answers.hang)
    gateway = keyed(main=issuer, wait=False)
    with gateway.connect() as connection:
        connection.send(request_bytes("GET", "/token/x", token=issuer.mint(KEY)))
        issuer.wait(1)
        began = time.monotonic()
        gateway.gateway.process.terminate()
        assert connection.response().status in (401, 503)
    assert gateway.gateway.stop(10) == 0 and time.monotonic() - began < 5


def test_a_reason_is_said_once_and_not_for_every_look(issuers, keyed):
    """A log that repeats itself is not read."""
    issuer = issuers(KEY, start=False)
    gateway = keyed(main=issuer, wait=False)
    gateway.until(lambda status: status["failures"] >= 4, "four looks", seconds=20)
    issuer.start()
    gateway.until_keys()
    own = gateway.written().splitlines()
    lines = [line for line in own if "no connection" in line or "unreachable" in line]
    assert 1 <= len(lines) <= 5, lines
    for line in gateway.log.raw_lines():
        json.loads(line)
