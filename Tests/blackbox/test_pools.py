"""Upstream connections: kept, retried, balanced, ejected, over TCP and unix sockets."""

import threading

import pytest
from harness.client import Closed, request_bytes
from harness.gateway import Proxy, free_port, poll
from harness.standard import small
from harness.tokens import mint
from harness.upstream import OK, Close, Upstream, answer


def test_connections_to_the_upstream_are_reused(own):
    proxy = own()
    for _ in range(50):
        assert proxy.get("/public/x").status == 200
    assert proxy.upstream.connections == 1


@pytest.mark.parametrize("data", [
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok",
    b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok"])
def test_connection_that_the_upstream_ends_is_not_reused(own, data):
    proxy = own()
    proxy.upstream.answers(data)
    for _ in range(5):
        assert proxy.get("/public/x").body == b"ok"
    assert proxy.upstream.connections == 5


def test_two_requests_never_share_a_connection_at_once(own):
    proxy = own()
    release = threading.Event()
    proxy.upstream.script = lambda request, peer: (release.wait(5), OK)[1]
    clients = [proxy.connect() for _ in range(5)]
    for number, client in enumerate(clients):
        client.send(request_bytes("GET", f"/public/{number}"))
    assert len({r.connection for r in proxy.upstream.request(5)}) == 5
    release.set()
    assert [client.response().status for client in clients] == [200] * 5


# Stale connections.
@pytest.mark.parametrize("times", [1, 20])
def test_connection_closed_while_idle_is_replaced_unseen(own, times):
    proxy = own()
    for _ in range(times):
        assert proxy.get("/public/x").status == 200
        proxy.upstream.drop_connections()
        assert proxy.get("/public/x").status == 200


def dying_once(reset):
    """Answers on a first request of each connection and dies on the second."""
    served = set()

    def script(request, peer):
        if peer.number in served:
            return Close(reset=reset)
        served.add(peer.number)
        return OK

    return script


@pytest.mark.parametrize("reset", [False, True], ids=["fin", "rst"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"])
def test_idempotent_request_is_retried_once_when_a_pooled_connection_dies(own, method, reset):
    proxy = own()
    proxy.upstream.script = dying_once(reset)
    assert proxy.get("/public/warm").status == 200
    assert proxy.send(method, "/public/again").status == 200
    assert len([r for r in proxy.upstream.requests if r.target == "/public/again"]) == 2


@pytest.mark.parametrize("reset", [False, True], ids=["fin", "rst"])
@pytest.mark.parametrize("method, body", [("POST", None), ("POST", b"x"), ("PATCH", b"x"),
                                          ("PUT", b"some body"),
                                          ("FOO", None)])
def test_request_that_cannot_be_repeated_is_not_retried(own, method, body, reset):
    proxy = own()
    proxy.upstream.script = dying_once(reset)
    assert proxy.get("/public/warm").status == 200
    assert proxy.send(method, "/public/once", body=body).status == 502
    assert len([r for r in proxy.upstream.requests if r.target == "/public/once"]) == 1


def test_a_fresh_connection_that_dies_is_not_retried(own):
    proxy = own()
    proxy.upstream.answers(Close())
    assert proxy.get("/public/x").status == 502
    assert len(proxy.upstream.requests) == 1


def test_no_retry_after_the_first_response_byte(own):
    proxy = own()
    assert proxy.get("/public/warm").status == 200
    proxy.upstream.answers(Close(b"HTTP/1.1 2"))
    assert proxy.get("/public/x").status == 502
    assert len([r for r in proxy.upstream.requests if r.target == "/public/x"]) == 1


def test_a_retry_repeats_the_same_bytes(own):
    proxy = own()
    proxy.upstream.script = dying_once(False)
    token = mint()
    assert proxy.get("/public/warm").status == 200
    assert proxy.get("/token/x?q", token, fields={"X-A": "1", "Cookie": "c"}).status == 200
    first, second = [r for r in proxy.upstream.requests if r.target == "/token/x?q"]
    assert first.raw_head == second.raw_head


def test_idle_upstream_connection_is_closed(own):
    proxy = own(upstream={"timeouts": {"idle": "300ms"}})
    assert proxy.get("/public/x").status == 200
    poll(lambda: not proxy.upstream.peers, 5, "the idle connection's end")
    assert proxy.get("/public/x").status == 200


# Several endpoints.
@pytest.fixture
def pair():
    made = [Upstream(), Upstream()]
    yield made
    for upstream in made:
        upstream.close()


def over(launch, endpoints, **upstream):
    return launch(small(endpoints, upstream=upstream))


def test_round_robin_takes_turns(launch, pair):
    gateway = over(launch, [one.endpoint for one in pair])
    for _ in range(20):
        assert gateway.get("/public/x").status == 200
    assert [len(one.requests) for one in pair] == [10, 10]


def test_least_connections_prefers_the_idle_endpoint(launch, pair):
    busy, idle = pair
    release = threading.Event()
    for one in pair:
        one.script = lambda request, peer: (
            (release.wait(8), OK)[1] if "slow" in request.target else OK)
    gateway = over(launch, [one.endpoint for one in pair], balance="least-connections")
    held = [gateway.connect() for _ in range(2)]
    for connection in held:
        connection.send(request_bytes("GET", "/public/slow"))
    poll(lambda: sum(len(one.requests) for one in pair) == 2, 5, "two held requests")
    assert [len(one.requests) for one in pair] == [1, 1], "the second went to the other endpoint"
    # Free one of them: everything that follows goes there while the other is held.
    third = gateway.connect()
    third.send(request_bytes("GET", "/public/slow"))
    poll(lambda: sum(len(one.requests) for one in pair) == 3, 5, "the third held request")
    freer = min(pair, key=lambda one: len(one.requests))
    before = len(freer.requests)
    for _ in range(5):
        assert gateway.get("/public/quick").status == 200
    assert len(freer.requests) == before + 5
    release.set()
    assert [c.response().status for c in [*held, third]] == [200] * 3


@pytest.mark.parametrize("balance", ["round-robin", "least-connections"])
def test_endpoint_that_refuses_connections_is_passed_over(launch, pair, balance):
    good = pair[0]
    gateway = over(launch, [f"http://127.0.0.1:{free_port()}", good.endpoint], balance=balance)
    for method in ["GET", "POST", "PATCH"] * 5:
        response = gateway.send(method, "/public/x", body=b"x" if method != "GET" else None)
        assert response.status == 200, "nothing was sent yet, so any method may go elsewhere"
    assert len(good.requests) == 15


def test_endpoint_comes_back_after_its_ejection(launch, pair):
    """An ejected endpoint is tried again within a bounded time."""
    good, port = pair[0], free_port()
    gateway = over(launch, [f"http://127.0.0.1:{port}", good.endpoint])
    for _ in range(6):
        assert gateway.get("/public/x").status == 200
    back = Upstream(port=port)

    def returned():
        assert gateway.get("/public/x").status == 200
        return back.requests

    poll(returned, 40, "the endpoint's return")
    back.close()


def test_all_endpoints_down_is_an_error_and_then_over(launch):
    port = free_port()
    gateway = over(launch, [f"http://127.0.0.1:{port}"])
    for _ in range(5):
        response = gateway.get("/public/x")
        assert response.status in (502, 503)
        assert (response.get("Retry-After") is not None) == (response.status == 503)
    back = Upstream(port=port)
    poll(lambda: gateway.get("/public/x").status == 200, 40, "service after the outage")
    back.close()


def test_retries_zero_means_none(launch, pair):
    gateway = over(launch, [f"http://127.0.0.1:{free_port()}", pair[0].endpoint], retries=0)
    statuses = {gateway.get("/public/x").status for _ in range(2)}
    assert 502 in statuses or 503 in statuses


def test_name_of_several_addresses(launch, upstream):
    """localhost may also mean ::1, where nothing listens: then the other address serves."""
    gateway = over(launch, [f"http://localhost:{upstream.port}"])
    for _ in range(10):
        assert gateway.get("/public/x").status == 200


def test_name_that_does_not_resolve_is_502_or_503(launch):
    gateway = over(launch, ["http://no-such-host.invalid:80"])
    assert gateway.get("/public/x").status in (502, 503)


# Unix sockets.
def test_unix_upstream(launch, folder):
    upstream = Upstream(folder / "api.sock")
    gateway = over(launch, [upstream.endpoint])
    for _ in range(10):
        assert gateway.get("/token/x", mint()).status == 200
    assert upstream.connections == 1
    upstream.drop_connections()
    assert gateway.get("/public/x").status == 200
    upstream.close()


def test_unix_upstream_that_is_missing_and_comes(launch, folder):
    gateway = over(launch, [f"unix:{folder}/late.sock"])
    assert gateway.get("/public/x").status in (502, 503)
    upstream = Upstream(folder / "late.sock")
    poll(lambda: gateway.get("/public/x").status == 200, 40, "the late socket")
    upstream.close()


def test_pool_is_not_poisoned_by_clients_that_leave(own):
    """A connection whose response was not read to its end never serves another request."""
    proxy = own()
    for number in range(20):
        release = threading.Event()
        proxy.upstream.reset()
        proxy.upstream.script = lambda request, peer: (
            release.wait(2), b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nstolen")[1]
        connection = proxy.connect()
        connection.send(request_bytes("GET", "/public/leaving"))
        proxy.upstream.request()
        connection.reset()
        release.set()
        proxy.upstream.answers(answer(body=b"mine"))
        assert proxy.get(f"/public/{number}").body == b"mine"


def test_upstreams_of_two_routes_are_kept_apart(launch, pair):
    config = small(pair[0].endpoint, {"path": "/second/**", "access": "public",
                                      "upstream": "second"})
    config["upstreams"]["second"] = {"endpoints": [pair[1].endpoint]}
    proxy = Proxy(launch(config), pair[0])
    for _ in range(5):
        assert proxy.get("/public/x").status == proxy.get("/second/x").status == 200
    assert {r.target for r in pair[0].requests} == {"/public/x"}
    assert {r.target for r in pair[1].requests} == {"/second/x"}


def test_five_hundred_clients_at_once_are_all_answered(own):
    proxy = own()
    clients = [proxy.connect(timeout=30) for _ in range(500)]
    token = mint()
    for client in clients:
        client.send(request_bytes("GET", "/token/x", token=token) * 2)
    for client in clients:
        try:
            assert [client.response().status for _ in range(2)] == [200, 200]
        except Closed as closed:
            raise AssertionError("a client was dropped") from closed
        client.close()
