"""Good tokens pass: every algorithm, minted by joserfc, and the liberties that RFC 7519 allows."""

import pytest
from harness import tokens
from harness.tokens import AUDIENCE, DROP, OTHER_ISSUER, SECRET, SECRET_ISSUER, keys, mint
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

FOREIGN = [*((alg, None) for alg in tokens.ASYMMETRIC), ("EdDSA", "Ed448")]


def joserfc_key(key):
    kind = {"R": RSAKey, "P": RSAKey, "ES": ECKey, "Ed": OKPKey}
    chosen = kind.get(key.alg[:2]) or kind[key.alg[0]]
    return chosen.import_key(key.private_pem())


@pytest.mark.parametrize("alg, curve", FOREIGN)
def test_joserfc_token_of_every_algorithm_passes(proxy, alg, curve):
    key = keys().ed448 if curve == "Ed448" else keys().for_alg(alg)
    header = {"alg": alg, "kid": key.kid, "typ": "JWT"}
    token = jwt.encode(header, tokens.claims(), joserfc_key(key), algorithms=[alg])
    response = proxy.get("/token/x", token)
    assert response.status == 200, str(response)


@pytest.mark.parametrize("alg", ["HS256", "HS384", "HS512"])
def test_joserfc_hmac_token_passes_with_a_local_secret(proxy, alg):
    payload = tokens.claims(iss=SECRET_ISSUER)
    token = jwt.encode({"alg": alg}, payload, OctKey.import_key(SECRET), algorithms=[alg])
    assert proxy.get("/token/x", token).status == 200


@pytest.mark.parametrize("alg", [*tokens.ASYMMETRIC])
def test_token_without_kid_finds_a_fitting_key(proxy, alg):
    """The set holds at most three keys of one family, under the limit of four."""
    token = mint(key=keys().for_alg(alg), alg=alg, header={"kid": DROP})
    assert proxy.get("/token/x", token).status == 200


HEADERS = [
    pytest.param({"typ": DROP}, id="no typ"),
    pytest.param({"typ": "JWT"}, id="typ JWT"),
    pytest.param({"typ": "jwt"}, id="typ lower"),
    pytest.param({"typ": "AT+JWT"}, id="typ upper"),
    pytest.param({"typ": "application/at+jwt"}, id="typ long form"),
    pytest.param({"typ": "application/jwt"}, id="typ long JWT"),
    pytest.param({"unknown": {"nested": [1, None, True]}}, id="unknown member"),
    pytest.param({"cty": "JWT-like"}, id="cty"),
    pytest.param({"x5t": "AAAA", "x5t#S256": "AAAA"}, id="thumbprints are ignored"),
    pytest.param({"jku": "http://127.0.0.1:1/x"}, id="jku is ignored"),
    pytest.param({"x5u": "http://127.0.0.1:1/x"}, id="x5u is ignored"),
    pytest.param({"x5c": ["MIIB"]}, id="x5c is ignored"),
    pytest.param({"jwk": keys().stranger.jwk()}, id="jwk is ignored"),
    pytest.param({"jwk": "not an object"}, id="jwk of another type is ignored"),
]


@pytest.mark.parametrize("header", HEADERS)
def test_header_liberty_passes(proxy, header):
    response = proxy.get("/token/x", mint(header=header))
    assert response.status == 200, str(response)


# Times are offsets from the moment of the test, since collection may be minutes earlier.
CLAIMS = [
    pytest.param({"aud": [AUDIENCE]}, id="aud array of one"),
    pytest.param({"aud": ["https://elsewhere.test", AUDIENCE]}, id="aud among others"),
    pytest.param({"aud": "https://second.test"}, id="any configured audience"),
    pytest.param({"exp": lambda now: now + 3600.75}, id="exp with a fraction"),
    pytest.param({"iat": lambda now: now + 0.5}, id="iat with a fraction"),
    pytest.param({"exp": 4e9}, id="exp with an exponent"),
    pytest.param({"exp": lambda now: now - 30}, id="exp within the leeway"),
    pytest.param({"nbf": lambda now: now + 30}, id="nbf within the leeway"),
    pytest.param({"iat": lambda now: now + 30}, id="iat within the leeway"),
    pytest.param({"nbf": lambda now: now - 10}, id="nbf past"),
    pytest.param({"iat": DROP}, id="no iat"),
    pytest.param({"sub": DROP}, id="no sub"),
    pytest.param({"sub": "é漢😀"}, id="sub beyond ASCII"),
    pytest.param({"jti": "x" * 500, "deep": [[[[{"a": [None]}]]]]}, id="other claims"),
    pytest.param({"scope": 7}, id="scope of another type where none is needed"),
    pytest.param({"filler": "x" * 6000}, id="a token of 8 KiB"),
]


@pytest.mark.parametrize("changes", CLAIMS)
def test_claim_liberty_passes(proxy, changes):
    response = proxy.get("/token/x", mint(**changes))
    assert response.status == 200, str(response)


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "bEaReR"])
def test_scheme_is_read_without_case(proxy, scheme):
    fields = {"Authorization": f"{scheme} {mint()}"}
    assert proxy.get("/token/x", fields=fields).status == 200


def test_a_token_of_nearly_16_kib_passes(proxy):
    """limits.token is 16 KiB by default: Keycloak and Entra send such tokens."""
    token = mint(filler="x" * 11_500)
    assert 15_000 < len(token) <= 16_384
    assert proxy.get("/token/x", token).status == 200


def test_high_s_ecdsa_signature_passes(proxy):
    order = tokens.CURVES["ES256"][3]

    def flipped(signature):
        r, s = signature[:32], int.from_bytes(signature[32:], "big")
        return r + (order - s).to_bytes(32, "big")

    key = keys().es256
    assert proxy.get("/token/x", mint(key=key)).status == 200
    assert proxy.get("/token/x", mint(key=key, signature=flipped)).status == 200


def test_second_issuer_with_the_same_kid_uses_its_own_key(proxy):
    token = mint(key=keys().other, iss=OTHER_ISSUER)
    assert proxy.get("/token/x", token).status == 200
    assert proxy.get("/only-other/x", token).status == 200


def test_the_same_token_passes_again_and_again(proxy):
    token = mint()
    assert [proxy.get("/token/x", token).status for _ in range(20)] == [200] * 20
    assert len(proxy.upstream.requests) == 20


def test_members_in_another_order_and_with_white_space_pass(proxy):
    claims = tokens.claims()
    text = "{ " + " ,\n\t".join(
        f'"{name}" : {value!r}'.replace("'", '"') for name,
        value in reversed(claims.items())) + " }"
    header = '{ "kid" : "rsa-1" ,\n "typ":"JWT", "alg":\t"RS256" }'
    assert proxy.get("/token/x", mint(text, header=header)).status == 200


def test_escaped_json_names_mean_the_same(proxy):
    """"\\u0061lg" is alg: names are compared after JSON decoding."""
    header = '{"\\u0061lg":"RS256","kid":"rsa\\u002d1"}'
    assert proxy.get("/token/x", mint(header=header)).status == 200
