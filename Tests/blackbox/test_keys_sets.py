"""Fetched key sets of the wild: HOSTILE row 14. A key that cannot be used is skipped and told; the
others live."""

import base64

import pytest
from harness.gateway import poll
from harness.issuer import Issuer
from harness.keyed import shared_keyed
from harness.tokens import DROP, SECRET, b64, ec_key, integer, keys, mint, rsa_key, unb64
from test_issuers import BAD_NEIGHBOURS, GOOD, KEY_SETS, K

WEAK = rsa_key("weak", bits=1024)
KEY = ec_key("good")


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    """One gateway; each test publishes its set."""
    issuer = Issuer(GOOD)
    with shared_keyed(tmp_path_factory.mktemp("sets"), issuer) as gateway:
        yield gateway, issuer


@pytest.fixture
def sets(running):
    gateway, issuer = running
    gateway.gateway.ensure()
    yield running
    gateway.gateway.assert_serves()


# A certificate is not looked at, so this key is as good as any.
UNUSABLE = [name for name in BAD_NEIGHBOURS if name != "bad-x5c"]


@pytest.mark.parametrize("neighbour", UNUSABLE)
def test_bad_key_is_skipped_and_told(sets, neighbour):
    gateway, issuer = sets
    issuer.publish(BAD_NEIGHBOURS[neighbour], GOOD)
    status = gateway.looks_again()
    assert gateway.answer(issuer.mint(K.es256, sub=neighbour)) == 200
    assert [one["index"] for one in status["skipped"]] == [0], status["skipped"]
    assert status["skipped"][0]["reason"]
    assert [key["kid"] for key in status["keys"]] == [K.es256.kid]


@pytest.mark.parametrize("case, key, alg, header", [
    ("no-alg", K.rsa, "PS512", {}), ("no-use", K.es256, "ES256", {}),
    ("padded", K.rsa, "RS256", {}), ("zero-led", K.rsa, "RS256", {}),
    ("odd-kid", K.rsa, "RS256", {"kid": "a+/b="}), ("encryption", K.rsa, "RS256", {}),
    ("verify-ops", K.rsa, "RS256", {}), ("no-kid", K.rsa, "RS256", {"kid": DROP}),
    ("same-kid-families", K.rsa, "RS256", {"kid": "one"}),
    ("same-kid-families", K.es256, "ES256", {"kid": "one"}),
    ("same-kid-twice", K.es256, "ES256", {}), ("same-key-twice", K.rsa, "RS256", {}),
    ("extra-members", K.rsa, "RS256", {}), ("curves", K.es512, "ES512", {"kid": DROP}),
])
def test_set_of_the_wild_serves(sets, case, key, alg, header):
    gateway, issuer = sets
    issuer.publish(*KEY_SETS[case])
    gateway.looks_again()
    assert gateway.answer(issuer.mint(key, alg=alg, header=header, sub=case)) == 200


def private_jwk(key):
    numbers = key.private.private_numbers()
    return key.jwk(d=integer(numbers.private_value))


@pytest.mark.parametrize("bad, key", [
    (lambda: WEAK.jwk(), WEAK), (lambda: private_jwk(KEY), KEY),
    (lambda: KEY.jwk(use="enc"), KEY), (lambda: KEY.jwk(key_ops=["sign"]), KEY),
    (lambda: KEY.jwk(alg="RS256"), KEY)])
def test_skipped_key_verifies_nothing(sets, bad, key):
    gateway, issuer = sets
    issuer.publish(bad(), GOOD)
    assert len(gateway.looks_again()["skipped"]) == 1
    assert gateway.answer(issuer.mint(key)) == 401


def test_symmetric_key_of_a_set_verifies_nothing(sets):
    gateway, issuer = sets
    issuer.publish({"kty": "oct", "kid": "oct", "k": b64(SECRET), "alg": "HS256"}, GOOD)
    assert gateway.looks_again()["skipped"][0]["reason"] == "symmetric"
    for header in ({"kid": "oct"}, {"kid": DROP}, {"kid": K.es256.kid}):
        assert gateway.answer(mint(iss=issuer.name, secret=SECRET, header=header)) == 401


def test_two_keys_of_one_name_are_both_refused(sets):
    gateway, issuer = sets
    issuer.publish(K.rsa.jwk(kid="same"), K.stranger.jwk(kid="same"), GOOD)
    status = gateway.looks_again()
    assert {one["index"] for one in status["skipped"]} == {0, 1}
    for key in (K.rsa, K.stranger):
        assert gateway.answer(issuer.mint(key, header={"kid": "same"})) == 401


def test_a_name_that_becomes_ambiguous_ends_its_tokens(sets):
    gateway, issuer = sets
    issuer.publish(K.rsa.jwk(kid="once"), GOOD)
    gateway.looks_again()
    token = issuer.mint(K.rsa, header={"kid": "once"})
    assert gateway.answer(token) == 200
    issuer.publish(K.rsa.jwk(kid="once"), K.stranger.jwk(kid="once"), GOOD)
    gateway.looks_again()
    poll(lambda: gateway.answer(token) == 401, 2, "the end of the ambiguous name")


def test_256_keys_are_taken(sets):
    gateway, issuer = sets
    issuer.publish(*[{**GOOD, "kid": f"copy-{n}"} for n in range(255)], GOOD)
    status = gateway.looks_again()
    assert len(status["keys"]) + len(status["skipped"]) == 256
    assert gateway.answer(issuer.mint(K.es256, sub="many")) == 200


def rsa(kid, key=K.rsa, **more):
    return key.jwk(kid=kid, **more)


# The shapes of the large providers' sets: members as they publish them, keys of our own.
PROVIDERS = {
    "Entra": [rsa("kWbrjH7oMh4n7zBR0F3rV5mRm2E", x5t="kWbrjH7oMh4n7zBR0F3rV5mRm2E",
                  x5c=["MIIC/TCCAeWgAwIBAgI="], issuer="https://login.microsoftonline.com/x/v2.0",
                  cloud_instance_name="microsoftonline.com")],
    "Google": [rsa("1dc0f172e8d6ef382d6d3a231f6c197dd68ce5ef", alg="RS256"),
               rsa("other", K.stranger, alg="RS256")],
    "Auth0": [rsa("NjVBRjY5MDlCMUIwNzU4RTA2QzZFMDQ4QzQ2MDAyQjVDNjk1RTM2Qg", alg="RS256",
                  x5c=["MIIC8jCCAdqgAwIBAgIJ"], x5t="NjVBRjY5MDlCMUIwNzU4RTA2QzZFMDQ4")],
    "Okta": [rsa("FJA0HGNtsuuda_Pl45J42kvQqcsu_0C4Fg7pbJLXTHY", alg="RS256")],
    "Keycloak": [K.encryption.jwk(kid="enc", use="enc", alg="RSA-OAEP", x5c=["MIIB"], x5t="e"),
                 rsa("sig", alg="RS256", x5c=["MIICmzCCAYMCBgF4"], **{"x5t#S256": "s"})],
    "Cognito": [rsa("abcdefghijklmnopqrsexample=", alg="RS256"),
                rsa("fgjhlkhjlkhexample=", K.stranger, alg="RS256")],
    "Kubernetes": [rsa("uV5XWJn-R2dHQw9qYgjZ", alg="RS256"), K.es256.jwk(alg="ES256")],
    "GitHub Actions": [rsa("cc413527-173f-5a05-976e-9c52b1d7b431", alg="RS256",
                           x5c=["MIIDKzCCAhOgAwIBAgI"], x5t="ykNa4lmJhnJ")],
    "tomorrow": [{"kty": "AKP", "kid": "pq", "alg": "ML-DSA-65", "pub": "AAAA", "use": "sig"},
                 rsa("today", alg="RS256")],
}


@pytest.mark.parametrize("provider", list(PROVIDERS))
def test_set_in_a_providers_shape_serves(sets, provider):
    gateway, issuer = sets
    issuer.publish(*PROVIDERS[provider])
    gateway.looks_again()
    modulus = K.rsa.jwk()["n"]
    kid = next(jwk["kid"] for jwk in PROVIDERS[provider] if jwk.get("n") == modulus)
    assert gateway.answer(issuer.mint(K.rsa, header={"kid": kid}, sub=provider)) == 200


def test_padded_standard_base64_of_an_elliptic_key(sets):
    gateway, issuer = sets

    def again(text):
        return base64.b64encode(unb64(text)).decode()

    jwk = keys().es256.jwk()
    issuer.publish({**jwk, "x": again(jwk["x"]), "y": again(jwk["y"])}, rsa("beside"))
    gateway.looks_again()
    assert gateway.answer(issuer.mint(K.rsa, header={"kid": "beside"})) == 200
    assert gateway.answer(issuer.mint(K.es256, sub="padded")) in (200, 401)
