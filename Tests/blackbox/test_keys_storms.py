"""Storms of tokens that name keys nobody has: an issuer is asked as often as the rules allow,
whoever asks how often; what is not there is remembered, within bounds."""

import time

import pytest
from harness.client import request_bytes
from harness.gateway import poll
from harness.issuer import failing
from harness.tokens import DROP, ec_key, rsa_key

KEY = ec_key("published")
NEXT = ec_key("next")
RSA = rsa_key("published-rsa")


def ask_all(gateway, tokens, target="/token/x"):
    """One after the other on one connection; the statuses."""
    statuses = []
    with gateway.connect() as connection:
        for token in tokens:
            connection.send(request_bytes("GET", target, token=token))
            statuses.append(connection.response().status)
    return statuses


def unknown(issuer, names, key=KEY, **more):
    return [issuer.mint(key, header={"kid": name}, **more) for name in names]


def test_a_storm_causes_one_look(issuers, keyed):
    issuer = issuers(KEY)
    gateway = keyed(main=issuer)
    storm = unknown(issuer, [f"kid-{n}" for n in range(1500)])
    assert set(ask_all(gateway, storm)) == {401}
    assert issuer.count() == 2 and gateway.status()["unknownKeyFetches"] == 1
    assert gateway.answer(issuer.mint(KEY)) == 200


def test_a_storm_on_many_connections_causes_one_look(issuers, keyed):
    issuer = issuers(KEY)
    gateway = keyed(main=issuer, options={"workers": 2})
    assert set(gateway.at_once(unknown(issuer, [f"kid-{n}" for n in range(80)]))) == {401}
    assert issuer.count() == 2


def test_one_look_a_cool_down(issuers, keyed):
    """However many ask; the time counts from the start of one to the start of the next."""
    issuer = issuers(KEY)
    gateway = keyed(main=issuer.block(keys={"unknownKeyCooldown": "1s"}))
    end, n = time.monotonic() + 3.5, 0
    while time.monotonic() < end:
        ask_all(gateway, unknown(issuer, [f"kid-{n}-{m}" for m in range(50)]))
        n += 1
    caused = issuer.times()[1:]
    gaps = [later - earlier for earlier, later in zip(caused, caused[1:])]
    assert 3 <= len(caused) <= 4 and all(gap > 0.95 for gap in gaps), gaps


def test_answers_within_the_cool_down_come_at_once(issuers, keyed):
    issuer = issuers(KEY)
    gateway = keyed(main=issuer)
    assert ask_all(gateway, unknown(issuer, ["first"])) == [401]
    issuer.publish(KEY, NEXT)
    began = time.monotonic()
    # The price of the cool-down: a key published inside it waits for its end.
    assert gateway.answer(issuer.mint(NEXT)) == 401
    assert time.monotonic() - began < 0.5 and issuer.count() == 2


def test_cool_down_holds_up_neither_schedule_nor_hand(issuers, keyed):
    issuer = issuers(KEY)
    gateway = keyed(main=issuer.block(keys={"refresh": "1s", "unknownKeyCooldown": "1h"}))
    ask_all(gateway, unknown(issuer, ["first"]))
    looks = issuer.count()
    issuer.wait(looks + 2, seconds=5)
    assert gateway.status()["unknownKeyFetches"] == 1


def test_scheduled_looks_do_not_start_the_cool_down(issuers, keyed):
    issuer = issuers(KEY)
    gateway = keyed(main=issuer)
    gateway.looks_again()
    issuer.publish(KEY, NEXT)
    assert gateway.answer(issuer.mint(NEXT)) == 200
    assert issuer.count() == 3


def test_what_was_not_found_is_looked_for_once_a_cool_down(issuers, keyed):
    """One name again and again; and however often it was missed, it is found once it is there."""
    issuer = issuers(KEY)
    gateway = keyed(main=issuer.block(keys={"unknownKeyCooldown": "500ms"}),
                    options={"workers": 1})
    token = issuer.mint(NEXT)
    began = time.monotonic()
    while time.monotonic() < began + 3:
        assert set(ask_all(gateway, [token] * 5)) == {401}
    caused = issuer.times()[1:]
    gaps = [later - earlier for earlier, later in zip(caused, caused[1:])]
    assert 3 <= len(caused) <= 7 and all(gap > 0.45 for gap in gaps), gaps
    issuer.publish(KEY, NEXT)
    poll(lambda: gateway.answer(token) == 200, 1.5, "the key, within a cool-down")


def test_a_changed_set_ends_what_was_remembered(issuers, keyed):
    issuer = issuers(KEY)
    gateway = keyed(main=issuer)
    token = issuer.mint(NEXT)
    assert gateway.answer(token) == 401
    issuer.publish(KEY, NEXT)
    gateway.looks_again()
    poll(lambda: gateway.answer(token) == 200, 2, "the key that was not there before")
    assert gateway.status()["unknownKeyFetches"] == 1


def test_looks_that_fail_count_in_the_cool_down(issuers, keyed):
    issuer = issuers(KEY)
    gateway = keyed(main=issuer)
    issuer.behaves(failing)
    assert set(ask_all(gateway, unknown(issuer, [f"kid-{n}" for n in range(100)]))) == {401}
    assert gateway.status()["unknownKeyFetches"] == 1


SHAPES = {
    "path": "../../etc/passwd", "SQL": "' OR 1=1 --", "CRLF": "a\r\nX-Evil: 1", "NUL": "a\0b",
    "control": "\x1b[2J\x07", "emoji": "\U0001f5dd" * 50, "right to left": "\u202ekid",
    "URL": "http://127.0.0.1:9/",
    "format": "%s%n{0}", "8 KiB": "k" * 8192, "quotes": '"}{"', "space": "   ", "line": "a b",
    "empty": "",
}


def test_names_of_any_shape_are_unknown_and_nowhere_written(issuers, keyed):
    """HOSTILE row 3; in the log there is no raw kid."""
    issuer = issuers(KEY)
    gateway = keyed(main=issuer)
    marked = {name: f"MARK{n}x{shape}" for n, (name, shape) in enumerate(SHAPES.items())}
    assert set(ask_all(gateway, unknown(issuer, marked.values()))) == {401}
    assert set(ask_all(gateway, unknown(issuer, SHAPES.values()))) == {401}
    gateway.looks_again()
    gateway.gateway.assert_serves()
    written = gateway.written()
    assert issuer.count() == 3 and "MARK" not in written and "\x1b[2J" not in written


@pytest.mark.parametrize("kid", [5, None, True, ["published"], {"a": 1}, 1.5])
def test_names_that_are_no_strings_cause_no_look(issuers, keyed, kid):
    issuer = issuers(KEY)
    gateway = keyed(main=issuer)
    assert ask_all(gateway, [issuer.mint(KEY, header={"kid": kid})]) == [401]
    assert issuer.count() == 1


@pytest.mark.parametrize("changes", [
    {"iss": "https://unknown.test"}, {"aud": "https://other.test"}, {"exp": 1}, {"exp": DROP},
    {"nbf": lambda now: now + 3600}, {"iss": DROP}])
def test_tokens_that_are_wrong_anyway_cause_no_look(issuers, keyed, changes):
    """What no key can make right is refused before anyone is asked."""
    issuer = issuers(KEY)
    gateway = keyed(main=issuer)
    assert ask_all(gateway, unknown(issuer, ["a", "b"], **changes)) == [401, 401]
    assert issuer.count() == 1


@pytest.mark.parametrize("header", [
    {"alg": "none"}, {"alg": "HS256"}, {"crit": ["x"]}, {"typ": "dpop+jwt"}, {"alg": "RS999"}])
def test_headers_that_are_wrong_anyway_cause_no_look(issuers, keyed, header):
    issuer = issuers(KEY)
    gateway = keyed(main=issuer)
    tokens = [issuer.mint(KEY, header={"kid": "unknown", **header}, signature=b"x" * 64)]
    assert ask_all(gateway, tokens) == [401] and issuer.count() == 1


def test_forged_signatures_and_absent_names_cause_no_look(issuers, keyed):
    issuer = issuers(KEY)
    gateway = keyed(main=issuer)
    forged = issuer.mint(KEY, signature=bytes(64))
    nameless = issuer.mint(NEXT, header={"kid": DROP})
    assert ask_all(gateway, [forged, nameless]) == [401, 401]
    assert gateway.status()["unknownKeyFetches"] <= 1


def test_the_family_belongs_to_the_name(issuers, keyed):
    """The kid of an elliptic key is no RSA key's: unknown for that family, and once looked for."""
    issuer = issuers(KEY, RSA)
    gateway = keyed(main=issuer)
    assert ask_all(gateway, [issuer.mint(RSA, header={"kid": KEY.kid})]) == [401]
    assert issuer.count() <= 2
    assert ask_all(gateway, [issuer.mint(KEY), issuer.mint(RSA)]) == [200, 200]


def test_header_urls_are_never_fetched(issuers, keyed):
    """`jku` and `x5u`: HOSTILE row 4."""
    issuer, evil = issuers(KEY), issuers(NEXT)
    gateway = keyed(main=issuer)
    header = {"jku": evil.keys_url, "x5u": evil.keys_url, "jwk": NEXT.jwk()}
    assert ask_all(gateway, [issuer.mint(NEXT, header=header)] * 3) == [401] * 3
    assert evil.looks == []
