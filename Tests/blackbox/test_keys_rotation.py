"""Rotation: a new key works on its first request, a removed one ends at once, and tokens that name
keys which nobody has cost the issuer next to nothing."""

import threading
import time

import pytest
from harness.client import Connection, request_bytes
from harness.gateway import poll
from harness.h2c import concurrently
from harness.http2 import Client
from harness.issuer import KEYS, failing, hang, serve_keys, slow
from harness.tokens import ec_key, mint, rsa_key
from harness.upstream import OK

KEY = ec_key("old")
NEXT = ec_key("new")
THIRD = rsa_key("third")


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("discovery", [False, True])
def test_rotated_in_key_works_on_its_first_request(issuers, keyed, workers, discovery):
    issuer = issuers(KEY)
    gateway = keyed(main=issuer.block(discovery=discovery), options={"workers": workers})
    issuer.publish(KEY, NEXT)
    began = time.monotonic()
    assert gateway.answer(issuer.mint(NEXT)) == 200
    assert time.monotonic() - began < 1
    assert gateway.answer(issuer.mint(KEY)) == 200
    assert issuer.count() == 2 and gateway.status()["unknownKeyFetches"] == 1


def test_rotated_in_key_works_over_http2(issuers, keyed):
    issuer = issuers(KEY)
    gateway = keyed(main=issuer)
    issuer.publish(NEXT)
    with Client(gateway.address) as client:
        response = client.response(client.request("POST", "/token/x", token=issuer.mint(NEXT),
                                                  body=b"b" * 100_000))
    assert response.status == 200
    assert gateway.upstream.requests[-1].body == b"b" * 100_000


def test_body_of_a_waiting_request_arrives_whole(issuers, keyed):
    issuer = issuers(KEY)
    gateway = keyed(main=issuer)
    issuer.publish(NEXT)
    issuer.behaves(slow(0.4))
    body = bytes(range(256)) * 2000
    response = gateway.send("POST", "/token/x", token=issuer.mint(NEXT), body=body)
    assert response.status == 200 and gateway.upstream.requests[-1].body == body


def test_chunked_body_and_expectation_of_a_waiting_request(issuers, keyed):
    issuer = issuers(KEY)
    gateway = keyed(main=issuer)
    issuer.publish(NEXT)
    issuer.behaves(slow(0.3))

    def script(request, peer):
        """The upstream says that it takes the body."""
        peer.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        peer.read_body(request)
        return OK

    gateway.upstream.script, gateway.upstream.early = script, True
    with gateway.connect() as connection:
        connection.send(request_bytes("POST", "/token/x", token=issuer.mint(NEXT), fields={
            "Transfer-Encoding": "chunked", "Expect": "100-continue"}))
        assert connection.head().status == 100
        connection.send(b"5\r\nhello\r\n0\r\n\r\n")
        assert connection.response().status == 200
    assert gateway.upstream.requests[-1].body == b"hello"


def test_many_first_requests_cause_one_look(issuers, keyed):
    issuer = issuers(KEY)
    gateway = keyed(main=issuer)
    issuer.publish(KEY, NEXT)
    issuer.behaves(slow(0.4))
    assert gateway.at_once([issuer.mint(NEXT) for _ in range(60)]) == [200] * 60
    assert issuer.count() == 2


def test_known_tokens_go_on_while_others_wait(issuers, keyed):
    issuer = issuers(KEY)
    gateway = keyed(main=issuer, options={"workers": 1})
    known = issuer.mint(KEY)
    assert gateway.answer(known) == 200
    issuer.behaves(hang)
    waiting = threading.Thread(target=gateway.answer, args=(issuer.mint(NEXT),))
    waiting.start()
    issuer.wait(2)
    began = time.monotonic()
    assert [gateway.answer(known) for _ in range(20)] == [200] * 20
    # One that is not in the cache, too.
    assert gateway.answer(issuer.mint(KEY, sub="another")) == 200
    assert time.monotonic() - began < 0.8
    waiting.join()


def test_waiting_is_bounded_by_a_second(issuers, keyed):
    issuer = issuers(KEY)
    gateway = keyed(main=issuer)
    issuer.publish(KEY, NEXT)
    issuer.behaves(slow(2.5))
    began = time.monotonic()
    response, line = gateway.logged("GET", "/token/x", token=issuer.mint(NEXT))
    assert (response.status, line["reason"]) == (401, "unknown_key")
    assert 'error="invalid_token"' in response.get("WWW-Authenticate")
    assert 0.8 < time.monotonic() - began < 1.6
    # What came late serves the next one.
    poll(lambda: gateway.answer(issuer.mint(NEXT)) == 200, 5, "the late set")


def test_a_hundred_wait_for_an_issuer_and_no_more(issuers, keyed):
    issuer = issuers(KEY)
    gateway = keyed(main=issuer, options={"workers": 1})
    issuer.behaves(hang)
    tokens = [issuer.mint(KEY, header={"kid": f"none-{n}"}) for n in range(140)]
    taken = []

    def ask(token):
        began = time.monotonic()
        status = gateway.answer(token)
        taken.append(time.monotonic() - began)
        return status

    assert concurrently([lambda t=t: ask(t) for t in tokens]) == [401] * 140
    assert sum(seconds > 0.75 for seconds in taken) <= 100 and max(taken) < 2.5
    assert sum(seconds > 0.75 for seconds in taken) >= 60, "most of them did wait"


def test_the_hundred_are_counted_over_all_workers(issuers, keyed):
    issuer = issuers(KEY)
    gateway = keyed(main=issuer, options={"workers": 4})
    issuer.behaves(hang)
    tokens = [issuer.mint(KEY, header={"kid": f"none-{n}"}) for n in range(240)]

    def ask(token):
        began = time.monotonic()
        assert gateway.answer(token) == 401
        return time.monotonic() - began

    taken = concurrently([lambda t=t: ask(t) for t in tokens])
    waited = sum(seconds > 0.75 for seconds in taken)
    assert 60 <= waited <= 100, sorted(taken)


@pytest.mark.parametrize("workers", [1, 2])
def test_rotation_right_after_an_outage_works_on_its_first_request(issuers, keyed, workers):
    """Looks for first keys, which tokens caused meanwhile, spend no cool-down of the rotation's."""
    issuer = issuers(KEY)
    issuer.behaves(failing)
    gateway = keyed(main=issuer, wait=False, options={"workers": workers})
    gateway.until_fault()
    assert set(gateway.at_once([issuer.mint(KEY, sub=str(n)) for n in range(20)])) == {503}
    issuer.behaves()
    gateway.until_keys()
    poll(lambda: gateway.answer(issuer.mint(KEY)) == 200, 5, "the keys in force")
    issuer.publish(KEY, NEXT)
    assert [gateway.answer(issuer.mint(NEXT, sub=str(n))) for n in range(8)] == [200] * 8
    assert gateway.status()["unknownKeyFetches"] == 1


def test_withdrawn_keys_are_looked_for_although_a_cool_down_was_spent(issuers, keyed):
    issuer = issuers(KEY)
    gateway = keyed(main=issuer.block(keys={"maxStale": "2s", "timeout": "500ms"}))
    assert gateway.answer(issuer.mint(NEXT)) == 401
    issuer.behaves(failing)
    gateway.until(lambda status: status["state"] == "none", "withdrawal")
    issuer.behaves()
    assert gateway.answer(issuer.mint(KEY)) == 200


def test_pipelined_requests_behind_a_waiting_one_keep_their_order(issuers, keyed):
    issuer = issuers(KEY)
    gateway = keyed(main=issuer)
    issuer.publish(KEY, NEXT)
    issuer.behaves(slow(0.4))
    gateway.upstream.script = lambda request, peer: (
        b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b"
        % (len(request.target), request.target.encode()))
    tokens = [issuer.mint(NEXT), issuer.mint(KEY), None, issuer.mint(NEXT, sub="b")]
    targets = ["/token/1", "/token/2", "/public/3", "/token/4"]
    with gateway.connect() as connection:
        connection.send(b"".join(request_bytes("GET", target, token=token)
                                 for target, token in zip(targets, tokens)))
        seen = [connection.response() for _ in targets]
    assert [(one.status, one.body.decode()) for one in seen] == [(200, t) for t in targets]


def test_streams_beside_a_waiting_one_go_on(issuers, keyed):
    issuer = issuers(KEY)
    gateway = keyed(main=issuer, options={"workers": 1})
    issuer.publish(KEY, NEXT)
    issuer.behaves(slow(0.6))
    with Client(gateway.address) as client:
        late = client.request("GET", "/token/x", token=issuer.mint(NEXT))
        began = time.monotonic()
        for n in range(5):
            prompt = client.request("GET", "/token/x", token=issuer.mint(KEY, sub=str(n)))
            assert client.response(prompt).status == 200
        assert time.monotonic() - began < 0.5 and late.final is None
        assert client.response(late).status == 200


def test_clients_that_go_while_waiting_are_forgotten(issuers, keyed):
    issuer = issuers(KEY)
    gateway = keyed(main=issuer)
    issuer.publish(NEXT)
    issuer.behaves(slow(0.5))
    token = issuer.mint(NEXT)
    for end in ("close", "reset", "half_close"):
        connection = Connection(gateway.address)
        connection.send(request_bytes("GET", f"/token/{end}", token=token))
        getattr(connection, end)()
    with Client(gateway.address) as client:
        client.request("GET", "/token/stream", token=token)
    gateway.until(lambda status: NEXT.kid in [key["kid"] for key in status["keys"]], "the look")
    gateway.gateway.assert_serves()
    assert gateway.answer(token) == 200
    assert "/token/reset" not in [request.target for request in gateway.upstream.requests]


@pytest.mark.parametrize("route, expected", [
    ({"path": "/optional/**", "access": "optional"}, 200),
    ({"path": "/audit/**", "mode": "audit", "claimHeaders": {"X-Sub": "sub"}}, 200)])
def test_waiting_on_routes_of_other_kinds(issuers, keyed, route, expected):
    """A token is waited for wherever it is read; in audit mode the identity depends on it."""
    issuer = issuers(KEY)
    gateway = keyed(route, main=issuer)
    issuer.publish(NEXT)
    issuer.behaves(slow(0.3))
    target = route["path"].replace("**", "x")
    response, line = gateway.logged("GET", target, token=issuer.mint(NEXT))
    assert response.status == expected and line.get("decision") != "would_refuse"
    if "claimHeaders" in route:
        assert gateway.upstream.requests[-1].get("X-Sub") == "alice"


def test_key_published_while_a_look_was_under_way_works_on_its_first_request(issuers, keyed):
    """The look that is in flight may have been answered before the key was there: its end says
    nothing of a key that came later."""
    issuer = issuers(KEY)
    gateway = keyed(main=issuer)

    def late(issuer, look):
        answer = serve_keys(issuer, look)
        issuer.released.wait(0.4)
        return answer

    issuer.behaves(late, KEYS)
    gateway.look("main")
    issuer.wait(2)
    issuer.publish(KEY, NEXT)
    assert gateway.answer(issuer.mint(NEXT)) == 200
    assert issuer.count() == 3


# Removal.
def test_removed_key_ends_its_cached_tokens_at_once(issuers, keyed):
    issuer = issuers(KEY, NEXT)
    gateway = keyed(main=issuer)
    old, new = issuer.mint(KEY), issuer.mint(NEXT)
    with gateway.connect() as connection:
        def ask(token):
            connection.send(request_bytes("GET", "/token/x", token=token))
            return connection.response().status
        assert [ask(old), ask(new), ask(old)] == [200, 200, 200]
        issuer.publish(NEXT)
        gateway.looks_again()
        poll(lambda: ask(old) == 401, 2, "the end of the removed key")
        assert ask(new) == 200


def test_exchanged_key_under_the_same_kid_ends_its_tokens(issuers, keyed):
    other = ec_key(KEY.kid)
    issuer = issuers(KEY)
    gateway = keyed(main=issuer)
    assert [gateway.answer(issuer.mint(key)) for key in (KEY, other)] == [200, 401]
    issuer.publish(other)
    gateway.looks_again()
    poll(lambda: gateway.answer(issuer.mint(other)) == 200, 2, "the exchanged key")
    assert gateway.answer(issuer.mint(KEY)) == 401


def test_unchanged_key_keeps_what_is_known_of_it(issuers, keyed):
    issuer = issuers(KEY)
    gateway = keyed(main=issuer)
    before = gateway.status()["keys"][0]
    time.sleep(1.1)
    issuer.publish(THIRD, KEY)
    gateway.looks_again()
    after = {key["kid"]: key for key in gateway.status()["keys"]}
    assert after[KEY.kid]["firstSeen"] == before["firstSeen"]
    assert after[THIRD.kid]["firstSeen"] > before["firstSeen"]


def test_keys_of_one_issuer_do_not_serve_another(issuers, keyed):
    """Nor does an unknown key of one have the other looked at."""
    first, second = issuers(KEY), issuers(NEXT)
    gateway = keyed(first=first, second=second)
    assert gateway.answer(mint(iss=first.name, key=NEXT)) == 401
    assert gateway.answer(mint(iss=second.name, key=KEY)) == 401
    assert gateway.answer(mint(iss=second.name, key=NEXT)) == 200
    assert (first.count(), second.count()) == (2, 2)
