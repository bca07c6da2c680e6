"""Outages: whatever an issuer does, the last good keys stay; it is asked no more than the rules
allow, and it disturbs no other issuer."""

import json
import time

import pytest
from harness import issuer as answers
from harness.client import request_bytes
from harness.gateway import poll
from harness.issuer import KEYS, MIB, Issuer, chain, redirect, says, slow
from harness.keyed import shared_keyed
from harness.tokens import b64, ec_key, rsa_key

KEY = ec_key("outage")
NEXT = ec_key("next")
WEAK = rsa_key("weak", bits=1024)
MANY = {"keys": [{"kty": "EC", "kid": str(n)} for n in range(257)]}


def padded(size):
    """A good set in so many octets."""
    def answer(issuer, look):
        body = json.dumps(issuer.key_set).encode()
        return answers.message(body[:-1] + b" " * (size - len(body)) + b"}")
    return answer


# What it does, and the word for it in the status.
WRONG = {
    "500": (answers.failing, "status"), "404": (answers.missing, "status"),
    "204": (says(b"", "204 No Content"), "status"),
    "206": (says(b'{"keys":[]}', "206 Partial Content"), "status"),
    "201": (says({"keys": []}, "201 Created"), "status"),
    "304 unasked": (lambda issuer, look: answers.message_304(), "status"),
    "429": (says(b"", "429 Too Many Requests", fields=[("Retry-After", "1")]), "status"),
    "HTML": (answers.html, "not_json"), "empty": (says(b""), "not_json"),
    "cut JSON": (says(b'{"keys":['), "not_json"), "two documents": (says(b"{}{}"), "not_json"),
    "BOM": (says(b'\xef\xbb\xbf{"keys":[]}'), "not_json"),
    "UTF-16": (says('{"keys":[]}'.encode("utf-16")), "not_json"),
    "bad UTF-8": (says(b'{"keys":[],"x":"\xff"}'), "not_json"),
    "twice keys": (says(b'{"keys":[],"keys":[]}'), "not_json"),
    "deep": (says(b'{"keys":' + b"[" * 20000 + b"]" * 20000 + b"}"), "not_json"),
    "array": (says([]), "not_a_key_set"), "no keys member": (says({"error": "x"}), "not_a_key_set"),
    "keys is null": (says({"keys": None}), "not_a_key_set"),
    "keys is an object": (says({"keys": {}}), "not_a_key_set"),
    "no keys": (says({"keys": []}), "no_usable_key"),
    "only weak": (says({"keys": [WEAK.jwk()]}), "no_usable_key"),
    "only symmetric": (says({"keys": [{"kty": "oct", "k": b64("x" * 64)}]}), "no_usable_key"),
    "257 keys": (says(MANY), "too_many_keys"),
    "hang": (answers.hang, "timeout"), "hang in the head": (answers.hang_in_the_head, "timeout"),
    "hang in the body": (answers.hang_in_the_body, "timeout"),
    "trickle": (answers.trickle, "timeout"), "trickled head": (answers.trickle_heads, None),
    "interim storm": (answers.interim_storm, None),
    "cut": (answers.cut, "cut_short"), "cut chunks": (answers.cut_chunked, "cut_short"),
    "reset": (answers.reset, None), "closed": (answers.silence, None),
    "not HTTP": (answers.not_http, "malformed"),
    "200 MB": (answers.huge, "too_large"), "200 MB chunked": (answers.huge_chunked, "too_large"),
    "200 MB to the end": (answers.huge_to_the_end, "too_large"),
    "200 MB head": (answers.huge_head, None),
    "just too large": (padded(512 * 1024 + 1), "too_large"),
    "gzip": (answers.gzipped, "encoded"), "gzip bomb": (answers.gzip_bomb, "encoded"),
    "gzip undeclared": (answers.gzipped_undeclared, "not_json"),
    "redirect away": (redirect("http://127.0.0.2:9/keys"), "redirect_elsewhere"),
    "redirect loop": (redirect(KEYS), "too_many_redirects"),
    "four redirects": (chain(4), "too_many_redirects"),
    "two lengths": (lambda issuer, look: answers.Close(
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}"), "malformed"),
    "length and chunks": (lambda issuer, look: answers.Close(
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}"),
        "malformed"),
}


@pytest.fixture(scope="module")
def outage(tmp_path_factory):
    """One gateway and one issuer that every row spoils and mends."""
    issuer = Issuer(KEY)
    with shared_keyed(tmp_path_factory.mktemp("outage"), issuer, timeout="400ms") as gateway:
        yield gateway, issuer


@pytest.fixture
def trouble(outage):
    """The same, in whatever trouble the last row left it: the keys are those of the first look."""
    gateway, issuer = outage
    gateway.gateway.ensure()
    yield gateway, issuer
    gateway.gateway.assert_serves()


def thumbprints(status):
    return [key["thumbprint"] for key in status["keys"]]


@pytest.mark.parametrize("case", list(WRONG))
def test_last_good_keys_stay(trouble, case):
    gateway, issuer = trouble
    answer, reason = WRONG[case]
    answers.bomb()
    before = gateway.status()
    issuer.sent = 0
    issuer.behaves(answer)
    after = gateway.looks_again()
    assert after["failures"] > before["failures"]
    assert reason in (None, after["lastFault"]["reason"]), after["lastFault"]
    assert thumbprints(after) == thumbprints(before) != []
    assert gateway.answer(issuer.mint(KEY)) == 200
    # What was in flight when it stopped: socket buffers of both sides.
    assert issuer.sent < 24 * MIB
    # The last good set is told to be as old as it is.
    assert after["fetchedAt"] == before["fetchedAt"]


def test_dead_issuer_leaves_the_last_good_keys(trouble):
    gateway, issuer = trouble
    issuer.behaves()
    issuer.stop()
    try:
        fault = gateway.looks_again()["lastFault"]
        assert fault["reason"] == "unreachable"
        assert gateway.answer(issuer.mint(KEY)) == 200
    finally:
        issuer.start()
    assert gateway.looks_again()["state"] == "fresh"


@pytest.mark.parametrize("size", [512 * 1024, 300_000])
def test_large_set_within_the_bound_is_taken(trouble, size):
    gateway, issuer = trouble
    issuer.publish(KEY, NEXT)
    issuer.behaves(padded(size))
    assert "main" == gateway.looks_again()["issuer"]
    assert set(gateway.kids()) == {KEY.kid, NEXT.kid}
    issuer.publish(KEY)


def test_failing_looks_back_off(issuers, keyed):
    """From a second, doubling, with full jitter and no less than a quarter second between two."""
    issuer = issuers(KEY)
    issuer.behaves(answers.failing)
    keyed(main=issuer, wait=False)
    began = time.monotonic()
    issuer.wait(3, seconds=15)
    seen = issuer.times()
    gaps = [later - earlier for earlier, later in zip(seen, seen[1:])]
    assert all(gap > 0.2 for gap in gaps), gaps
    # 1 s, 2 s, 4 s …: each pause is at most its bound and a little.
    assert all(gap < 2 ** n + 1 for n, gap in enumerate(gaps)), gaps
    time.sleep(max(0, began + 4 - time.monotonic()))
    # Four seconds hold at most: 0, .25, .5, .75, 1 … of luck; the mean is 4.
    assert issuer.count() <= 17


def test_keys_end_with_max_stale(issuers, keyed):
    issuer = issuers(KEY)
    gateway = keyed(main=issuer.block(keys={"maxStale": "2s", "refresh": "1s"}))
    token = issuer.mint(KEY)
    with gateway.connect() as connection:
        def ask():
            connection.send(request_bytes("GET", "/token/x", token=token))
            return connection.response()
        assert ask().status == 200
        issuer.stop()
        stopped = time.monotonic()
        poll(lambda: ask().status != 200, 6, "the end of stale keys")
        # The last look was at most a second before the death.
        assert time.monotonic() - stopped > 0.7
        refused = ask()
        assert refused.status == 503 and int(refused.get("Retry-After")) > 0
        assert "WWW-Authenticate" not in refused.fields
        status = gateway.status()
        assert (status["state"], status["keys"]) == ("none", [])
        assert gateway.admin("/readyz").status == 503
        issuer.start()
        gateway.until_keys()
        poll(lambda: ask().status == 200, 5, "the issuer's return")


def test_304_that_comes_too_late_confirms_nothing(issuers, keyed):
    """The keys it is about were withdrawn while it was on its way."""
    issuer = issuers(KEY)
    issuer.etag = True
    gateway = keyed(main=issuer.block(keys={"maxStale": "2s"}))
    issuer.behaves(slow(2.5), KEYS)
    gateway.looks_again()
    poll(lambda: gateway.answer(issuer.mint(KEY)) == 200, 8, "keys once more")
    status = gateway.status()
    assert (status["state"], len(status["keys"])) == ("fresh", 1)


def test_state_says_stale_while_looks_fail(issuers, keyed):
    issuer = issuers(KEY)
    gateway = keyed(main=issuer.block(keys={"refresh": "1s"}))
    assert gateway.status()["state"] == "fresh"
    issuer.behaves(answers.failing)
    status = gateway.until(lambda status: status["state"] == "stale", "stale keys")
    assert status["keys"] and gateway.answer(issuer.mint(KEY)) == 200
    assert gateway.admin("/readyz").status == 200, "stale keys are keys"
    metrics = gateway.admin("/metrics").body.decode()
    assert 'bearward_keys_stale{issuer="main"} 1' in metrics
    issuer.behaves()
    gateway.until(lambda status: status["state"] == "fresh", "fresh keys")


def test_issuers_are_independent(issuers, keyed):
    """One hangs, one trickles, one is dead, one pours: the good one rotates at once."""
    sick = {"hangs": answers.hang, "trickles": answers.trickle, "pours": answers.huge,
            "storms": answers.interim_storm, "fails": answers.failing, "late": slow(4)}
    made = {name: issuers(KEY) for name in [*sick, "dead", "good"]}
    gateway = keyed(**made)
    for name, answer in sick.items():
        made[name].behaves(answer)
    made["dead"].stop()
    gateway.look()
    good = made["good"]
    for generation in range(3):
        fresh = ec_key(f"generation-{generation}")
        good.publish(KEY, fresh)
        gateway.until(lambda status: "nextFetchAt" in status, "a look's end", name="good",
                      seconds=2)
        # A look by hand is taken once a second.
        poll(lambda: gateway.look("good")[0]["outcome"] == "started", 3, "a manual look")
        began = time.monotonic()
        gateway.until(lambda status, kid=fresh.kid: kid in [k["kid"] for k in status["keys"]],
                      "the rotated set", name="good", seconds=3)
        assert time.monotonic() - began < 2
        assert gateway.answer(good.mint(fresh)) == 200
    for name, each in made.items():
        assert gateway.answer(each.mint(KEY)) == 200, name


def test_issuers_that_never_answered_delay_no_other(issuers, keyed):
    sick = {f"sick{n}": issuers(KEY) for n in range(8)}
    for each in sick.values():
        each.behaves(answers.hang)
    good = issuers(KEY)
    began = time.monotonic()
    gateway = keyed(good=good, wait=False, **sick).until_keys("good")
    assert time.monotonic() - began < 5
    assert gateway.answer(good.mint(KEY)) == 200
