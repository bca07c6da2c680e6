"""Issuers as configured, and key sets as they are met in the wild: HOSTILE row 14.

One proxy with one issuer a case; the issuer's name is in its `iss`."""

import base64
import copy
import json
import time

import pytest
from harness import tokens
from harness.client import request_bytes
from harness.gateway import poll
from harness.modules import shared_proxy
from harness.standard import issuer, small
from harness.tokens import AUDIENCE, DROP, SECRET, b64, integer, keys, mint, rsa_key

FIVE = [rsa_key(f"five-{n}") for n in range(5)]
WEAK = rsa_key("weak", bits=1024)
BIG = rsa_key("big", bits=4096)
K = keys()


def iss(name):
    return f"https://{name}.test/"


def private_jwk():
    numbers = K.stranger.private.private_numbers()
    return K.stranger.jwk(d=integer(numbers.d), p=integer(numbers.p), q=integer(numbers.q))


def padded(jwk):
    """Standard base64 with padding, as some issuers write it."""
    def again(text):
        return base64.b64encode(tokens.unb64(text)).decode()
    return {**jwk, "n": again(jwk["n"])}


def zero_led(jwk):
    return {**jwk, "n": b64(b"\0" + tokens.unb64(jwk["n"]))}


OCT = {"kty": "oct", "kid": "oct", "k": b64(SECRET), "alg": "HS256"}
GOOD = K.es256.jwk()
BAD_NEIGHBOURS = {
    "weak": WEAK.jwk(), "private": private_jwk(), "oct": OCT,
    "akp": {"kty": "AKP", "kid": "ml", "alg": "ML-DSA-44", "pub": "AAAA"},
    "unknown-kty": {"kty": "quantum", "kid": "q"}, "no-kty": {"kid": "none", "n": "AQAB"},
    "kty-number": {"kty": 1, "kid": "n"}, "no-n": {"kty": "RSA", "kid": "x", "e": "AQAB"},
    "empty-n": {"kty": "RSA", "kid": "x", "e": "AQAB", "n": ""},
    "e-one": K.stranger.jwk(e="AQ"), "e-even": K.stranger.jwk(e="Ag"),
    "e-zero": K.stranger.jwk(e="AA"),
    "bad-base64": K.stranger.jwk(n="***"), "n-number": K.stranger.jwk(n=5),
    "unknown-curve": K.stranger_ec.jwk(crv="P-192"),
    "secp256k1": K.stranger_ec.jwk(crv="secp256k1"),
    "off-curve": K.stranger_ec.jwk(y=b64(bytes(32))), "short-x": K.stranger_ec.jwk(x="AQ"),
    "no-y": K.stranger_ec.jwk(y=None), "x25519": {"kty": "OKP", "crv": "X25519", "kid": "x",
                                                  "x": b64(bytes(32))},
    "short-ed25519": {"kty": "OKP", "crv": "Ed25519", "kid": "x", "x": "AQ"},
    "kid-number": K.stranger.jwk(kid=5), "use-number": K.stranger.jwk(use=5),
    "bad-x5c": K.stranger_ec.jwk(x5c=["***"]), "empty-object": {}, "null": None, "string": "key",
    "number": 5, "array": [],
}
KEY_SETS = {
    **{f"beside-{name}": [bad, GOOD] for name, bad in BAD_NEIGHBOURS.items()},
    **{f"before-{name}": [GOOD, bad] for name, bad in BAD_NEIGHBOURS.items()},
    "only-oct-beside": [OCT, GOOD], "no-alg": [K.rsa.jwk(use=None)],
    "no-use": [K.es256.jwk(use=None)],
    "padded": [padded(K.rsa.jwk())], "zero-led": [zero_led(K.rsa.jwk())],
    "odd-kid": [K.rsa.jwk(kid="a+/b=")], "encryption": [K.encryption.jwk(use="enc"), K.rsa.jwk()],
    "verify-ops": [K.rsa.jwk(use=None, key_ops=["verify"])],
    "sign-ops": [K.rsa.jwk(use=None, key_ops=["sign"]), GOOD],
    "encrypt-ops": [K.rsa.jwk(use=None, key_ops=["encrypt", "wrapKey"]), GOOD],
    "enc-alg": [K.rsa.jwk(use=None, alg="RSA-OAEP"), GOOD],
    "no-kid": [K.rsa.jwk(kid=None), GOOD],
    "same-kid-families": [K.rsa.jwk(kid="one"), K.es256.jwk(kid="one")],
    "same-kid-twice": [K.rsa.jwk(kid="dup"), K.stranger.jwk(kid="dup"), GOOD],
    "same-key-twice": [K.rsa.jwk(), K.rsa.jwk()],
    "four": [key.jwk() for key in FIVE[:4]], "five": [key.jwk() for key in FIVE],
    "four-and-others": [*(key.jwk() for key in FIVE[:4]),
                        *(key.jwk() for key in (K.es256, K.ed25519))],
    "big": [BIG.jwk()], "extra-members": [K.rsa.jwk(x5t="AA", x5c=[], custom={"a": [1]})],
    "curves": [K.es256.jwk(), K.es384.jwk(), K.es512.jwk()],
}
SETTINGS = {
    "max-lifetime": {"maxLifetime": "1h"}, "required": {"requiredClaims": ["sub", "tenant"]},
    "types": {"types": ["dpop+jwt"]}, "types-null": {"types": [None]},
    "no-leeway": {"leeway": "0s"}, "long-leeway": {"leeway": "300s"},
    "only-es256": {"algorithms": ["ES256"]}, "only-rs512": {"algorithms": ["RS512", "PS384"]},
    "no-expiry": {"unsafeNoExpiry": True}, "scope-claims": {"scopeClaims": ["/r/roles", "perms"]},
    "no-scope-claim-string": {"scopeClaims": ["scp"]},
}


def make(endpoint):
    config = small(endpoint, {"path": "/read/**", "scopes": ["orders:read"]})
    config["issuers"] = {}
    for name, listed in KEY_SETS.items():
        config["issuers"][name] = {"issuer": iss(name), "audiences": [AUDIENCE],
                                   "keys": {"jwks": {"keys": listed}}}
    inline = {"jwks": keys().key_set()}
    for name, settings in SETTINGS.items():
        config["issuers"][name] = {"issuer": iss(name), "audiences": [AUDIENCE], "keys": inline,
                                   **copy.deepcopy(settings)}
    config["issuers"]["no-audience"] = {"issuer": iss("no-audience"), "unsafeNoAudience": True,
                                        "keys": inline}
    return config


make_running, proxy = shared_proxy(make, name="make")


def status(proxy, issuer, *, target="/token/x", **more):
    return proxy.get(target, mint(iss=iss(issuer), **more)).status


@pytest.mark.parametrize("position", ["beside", "before"])
@pytest.mark.parametrize("neighbour", list(BAD_NEIGHBOURS))
def test_bad_key_does_not_poison_the_set(proxy, position, neighbour):
    assert status(proxy, f"{position}-{neighbour}", key=K.es256) == 200
    assert status(proxy, f"{position}-{neighbour}", key=K.es256, header={"kid": DROP}) == 200


@pytest.mark.parametrize("neighbour, key, alg", [
    ("weak", WEAK, "RS256"), ("private", K.stranger, "RS256"), ("e-one", K.stranger, "RS256"),
    ("kid-number", K.stranger, "RS256")])
def test_skipped_key_verifies_nothing(proxy, neighbour, key, alg):
    assert status(proxy, f"beside-{neighbour}", key=key, alg=alg) == 401


def test_symmetric_key_in_a_set_verifies_nothing(proxy):
    for header in ({"kid": "oct"}, {"kid": DROP}):
        token = mint(iss=iss("beside-oct"), secret=SECRET, header=header)
        proxy.refuses(request_bytes("GET", "/token/x", token=token), 401)


@pytest.mark.parametrize("case, key, alg, header", [
    ("no-alg", K.rsa, "RS256", {}), ("no-alg", K.rsa, "PS512", {}),
    ("no-use", K.es256, "ES256", {}),
    ("padded", K.rsa, "RS256", {}), ("zero-led", K.rsa, "RS256", {}),
    ("odd-kid", K.rsa, "RS256", {"kid": "a+/b="}), ("encryption", K.rsa, "RS256", {}),
    ("verify-ops", K.rsa, "RS256", {}), ("no-kid", K.rsa, "RS256", {"kid": DROP}),
    ("same-kid-families", K.rsa, "RS256", {"kid": "one"}),
    ("same-kid-families", K.es256, "ES256", {"kid": "one"}),
    ("same-kid-twice", K.es256, "ES256", {}), ("same-key-twice", K.rsa, "RS256", {}),
    ("four", FIVE[3], "RS256", {"kid": DROP}), ("four", FIVE[0], "PS256", {"kid": DROP}),
    ("four-and-others", FIVE[3], "RS256", {"kid": DROP}),
    ("four-and-others", K.es256, "ES256", {"kid": DROP}),
    ("five", FIVE[4], "RS256", {}), ("big", BIG, "RS256", {}),
    ("extra-members", K.rsa, "RS256", {}),
    ("curves", K.es512, "ES512", {"kid": DROP}), ("sign-ops", K.es256, "ES256", {}),
    ("enc-alg", K.es256, "ES256", {}), ("encrypt-ops", K.es256, "ES256", {}),
])
def test_key_set_of_the_wild_serves(proxy, case, key, alg, header):
    assert status(proxy, case, key=key, alg=alg, header=header) == 200


@pytest.mark.parametrize("case, key, alg, header", [
    ("odd-kid", K.rsa, "RS256", {"kid": "a b="}), ("encryption", K.encryption, "RS256", {}),
    ("encryption", K.encryption, "RS256", {"kid": DROP}), ("sign-ops", K.rsa, "RS256", {}),
    ("encrypt-ops", K.rsa, "RS256", {}), ("encrypt-ops", K.rsa, "RS256", {"kid": DROP}),
    ("enc-alg", K.rsa, "RS256", {}), ("no-kid", K.rsa, "RS256", {}),
    ("no-kid", K.rsa, "RS256", {"kid": ""}), ("no-kid", K.rsa, "RS256", {"kid": "unknown"}),
    ("same-kid-families", K.rsa, "RS256", {"kid": "two"}),
    ("same-kid-twice", K.rsa, "RS256", {"kid": "dup"}),
    ("same-kid-twice", K.stranger, "RS256", {"kid": "dup"}),
    ("five", FIVE[0], "RS256", {"kid": DROP}), ("five", FIVE[4], "RS256", {"kid": DROP}),
])
def test_key_set_of_the_wild_refuses(proxy, case, key, alg, header):
    token = mint(iss=iss(case), key=key, alg=alg, header=header)
    proxy.refuses(request_bytes("GET", "/token/x", token=token), 401)


def test_keys_of_one_issuer_do_not_serve_another(proxy):
    assert status(proxy, "big", key=BIG) == 200
    for other in ("four", "no-alg", "max-lifetime", "beside-weak"):
        assert status(proxy, other, key=BIG) == 401


def at(seconds):
    """A time relative to the moment of the test, not of its collection."""
    return lambda now: now + seconds


@pytest.mark.parametrize("case, changes, expected", [
    ("max-lifetime", {}, 200), ("max-lifetime", {"iat": at(0), "exp": at(3600)}, 200),
    ("max-lifetime", {"iat": at(0), "exp": at(7200)}, 401),
    ("max-lifetime", {"iat": at(-3000), "exp": at(3000)}, 401),
    ("required", {"tenant": "acme"}, 200), ("required", {}, 401),
    ("required", {"tenant": "acme", "sub": DROP}, 401),
    ("no-leeway", {"exp": at(-2)}, 401), ("no-leeway", {"nbf": at(60)}, 401),
    ("no-leeway", {}, 200),
    ("long-leeway", {"exp": at(-200)}, 200), ("long-leeway", {"exp": at(-400)}, 401),
    ("long-leeway", {"nbf": at(200)}, 200), ("long-leeway", {"nbf": at(600)}, 401),
    ("no-expiry", {"exp": DROP}, 200), ("no-expiry", {"exp": at(-3600)}, 401),
    ("no-expiry", {"exp": "tomorrow"}, 401), ("no-audience", {"aud": DROP}, 200),
    ("no-audience", {"aud": "https://anything.test"}, 200),
])
def test_issuer_setting_decides(proxy, case, changes, expected):
    """The limit itself is within maxLifetime; requiredClaims that are missing are 401."""
    assert status(proxy, case, **changes) == expected


@pytest.mark.parametrize("case, typ, expected", [
    ("types", "dpop+jwt", 200), ("types", "DPoP+JWT", 200), ("types", "application/dpop+jwt", 200),
    ("types", "JWT", 401), ("types", "at+jwt", 401), ("types", DROP, 401),
    ("types-null", DROP, 200), ("types-null", "JWT", 401),
])
def test_configured_types_decide(proxy, case, typ, expected):
    assert status(proxy, case, header={"typ": typ}) == expected


@pytest.mark.parametrize("case, alg, expected", [
    ("only-es256", "ES256", 200), ("only-es256", "RS256", 401), ("only-es256", "ES384", 401),
    ("only-es256", "EdDSA", 401), ("only-rs512", "RS512", 200), ("only-rs512", "PS384", 200),
    ("only-rs512", "RS256", 401), ("only-rs512", "PS512", 401),
])
def test_configured_algorithms_decide(proxy, case, alg, expected):
    assert status(proxy, case, key=K.for_alg(alg), alg=alg) == expected


@pytest.mark.parametrize("case, changes, expected", [
    ("scope-claims", {"scope": DROP, "perms": "orders:read"}, 200),
    ("scope-claims", {"scope": DROP, "r": {"roles": ["orders:read"]}}, 200),
    ("scope-claims", {"scope": "orders:read"}, 403),
    ("no-scope-claim-string", {"scope": "orders:read"}, 403),
    ("no-scope-claim-string", {"scp": ["orders:read"]}, 200),
])
def test_configured_scope_claims_decide(proxy, case, changes, expected):
    assert status(proxy, case, target="/read/x", **changes) == expected


# Key files on disk.
def replace(path, value):
    """As a careful tool does it: a new file moved over the old one."""
    fresh = path.with_name("fresh")
    fresh.write_text(value if isinstance(value, str) else json.dumps(value))
    fresh.replace(path)


def overwrite(path, value):
    path.write_text(value if isinstance(value, str) else json.dumps(value))


@pytest.mark.parametrize("write", [replace, overwrite])
def test_changed_key_file_is_taken_up_without_a_reload(own, folder, write):
    proxy = own()
    old, new = mint(), mint(key=K.stranger)
    assert [proxy.get("/token/x", token).status for token in (old, new)] == [200, 401]
    write(folder / "jwks.json", {"keys": [K.rsa.jwk(), K.stranger.jwk()]})
    poll(lambda: proxy.get("/token/x", new).status == 200, 15, "the added key")
    assert proxy.get("/token/x", old).status == 200
    write(folder / "jwks.json", {"keys": [K.stranger.jwk()]})
    poll(lambda: proxy.get("/token/x", old).status == 401, 15, "the removed key's end")
    assert proxy.get("/token/x", new).status == 200


@pytest.mark.parametrize("broken", ["", "{", "<html>", "[]", "null", '{"keys":5}', '{"keys":[]}x'])
def test_broken_key_file_leaves_the_last_good_set(own, folder, broken):
    """The last good set stays; the next good file is taken up again."""
    proxy = own()
    assert proxy.get("/token/x", mint()).status == 200
    replace(folder / "jwks.json", broken)
    # Long enough for the broken file to be looked at; nothing outside shows when that happens.
    time.sleep(1.5)
    assert proxy.get("/token/x", mint()).status == 200
    replace(folder / "jwks.json", {"keys": [K.stranger.jwk()]})
    poll(lambda: proxy.get("/token/x", mint(key=K.stranger)).status == 200, 15, "the next good set")


def test_removed_key_file_leaves_the_last_good_set(own, folder):
    proxy = own()
    path = folder / "jwks.json"
    path.rename(folder / "away")
    time.sleep(1.5)
    assert proxy.get("/token/x", mint()).status == 200
    replace(path, {"keys": [K.stranger.jwk()]})
    poll(lambda: proxy.get("/token/x", mint(key=K.stranger)).status == 200, 15, "the new file")


def test_secret_file_loses_one_final_newline_only(own, folder):
    folder.joinpath("two").write_bytes(SECRET + b"\n\n")
    folder.joinpath("none").write_bytes(SECRET)
    issuers = {name: {"issuer": iss(name), "audiences": [AUDIENCE], "algorithms": ["HS256"],
                      "keys": {"secretFile": name}} for name in ("two", "none", "secret")}
    proxy = own(issuers=issuers)
    for name, secret, expected in [("secret", SECRET, 200), ("none", SECRET, 200),
                                   ("two", SECRET, 401),
                                   ("two", SECRET + b"\n", 200)]:
        assert proxy.get("/token/x", mint(iss=iss(name), secret=secret)).status == expected, name


def test_token_that_expired_while_its_connection_rested_is_refused(own):
    """Time is asked for when a request comes, however long the worker had nothing to do before."""
    proxy = own(issuers={"main": issuer(leeway="0s")})
    expiry = int(time.time()) + 2
    token = mint(exp=expiry)
    with proxy.connect() as connection:
        connection.send(request_bytes("GET", "/token/x", token=token))
        assert connection.response().status == 200
        time.sleep(max(0, expiry + 0.2 - time.time()))
        connection.send(request_bytes("GET", "/token/x", token=token))
        assert connection.response().status == 401
