"""Bad tokens are refused: HOSTILE rows 1 to 11. Each is 401 with invalid_token unless said."""

import base64
import json
import re
import time

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, utils
from harness import tokens
from harness.client import request_bytes
from harness.tokens import (AUDIENCE, DROP, ISSUER, OTHER_ISSUER, SECRET, SECRET_ISSUER, b64,
                            claims,
                            encode, keys, mint)


def refused(proxy, token, target="/token/x", statuses=(401,)):
    """A clean refusal with a challenge that names invalid_token and no secrets."""
    response = proxy.refuses(request_bytes("GET", target, token=token), statuses)
    if response.status == 401:
        challenge = response.get("WWW-Authenticate")
        assert challenge.startswith('Bearer realm="black box", error="invalid_token"'), challenge
        assert len(token) < 40 or token[-40:] not in challenge
    return response


def unsigned(header, payload=None, signature=""):
    return f"{encode(header)}.{encode(claims() if payload is None else payload)}.{signature}"


# Row 1: the algorithm's name.
ALGORITHMS = [
    "none", "None", "NONE", "nOnE", "none ", " none", "", " ", "rs256", "Rs256", "RS256 ", " RS256",
    "RS256\0", "RS-256", "RS2566", "RS25", "SHA256", "RSA", "ES256K", "HS256", "HS1", "EdDSA ",
    "eddsa", "Ed25519", "ML-DSA-44", "dir", "RSA-OAEP", "A128KW", "x" * 5000,
]


@pytest.mark.parametrize("alg", ALGORITHMS, ids=lambda alg: repr(alg[:12]))
def test_algorithm_name_that_is_not_exact_is_refused(proxy, alg):
    refused(proxy, mint(header={"alg": alg}, alg="RS256"))


@pytest.mark.parametrize("alg", ["none", "None", "NONE", "nOnE", "", " "])
@pytest.mark.parametrize("signature", ["", "AA"])
def test_unsigned_token_is_refused(proxy, alg, signature):
    """With an empty third part this is still a token in form, so 401; 400 would be as true."""
    token = unsigned({"alg": alg, "kid": "rsa-1"}, signature=signature)
    refused(proxy, token, statuses=(401,) if signature else (400, 401))


@pytest.mark.parametrize("alg", [None, 256, True, [], ["RS256"], {"RS256": 1}, 1e300],
                         ids=lambda alg: json.dumps(alg))
def test_algorithm_that_is_not_a_string_is_refused(proxy, alg):
    refused(proxy, mint(header={"alg": alg}, alg="RS256"))


def test_missing_algorithm_is_refused(proxy):
    refused(proxy, mint(header={"alg": DROP}, alg="RS256"))


@pytest.mark.parametrize("header", [
    '{"alg":"RS256","alg":"RS256","kid":"rsa-1"}',
    '{"alg":"none","kid":"rsa-1","alg":"RS256"}',
    '{"alg":"RS256","kid":"rsa-1","\\u0061lg":"RS256"}',
    '{"alg":"RS256","kid":"rsa-1","kid":"rsa-1"}',
])
def test_duplicated_header_name_is_refused(proxy, header):
    refused(proxy, mint(header=header, alg="RS256"))


def secrets_from_public_key():
    """Everything a confused verifier might use as an HMAC key."""
    key = keys().rsa
    jwk, pem = key.jwk(), key.pem()
    return {
        "pem": pem, "pem stripped": pem.strip(), "pem crlf": pem.replace(b"\n", b"\r\n"),
        "der": key.der(), "der base64": base64.b64encode(key.der()),
        "jwk json": json.dumps(jwk).encode(), "jwk compact": json.dumps(
            jwk, separators=(",", ":")).encode(),
        "n text": jwk["n"].encode(), "n bytes": tokens.unb64(jwk["n"]), "e text": b"AQAB",
        "set": json.dumps(keys().key_set()).encode(), "kid": b"rsa-1", "empty": b"",
    }


@pytest.mark.parametrize("encoding", list(secrets_from_public_key()))
@pytest.mark.parametrize("kid", ["rsa-1", DROP], ids=["kid", "no kid"])
def test_hmac_keyed_with_the_public_key_is_refused(proxy, encoding, kid):
    secret = secrets_from_public_key()[encoding]
    refused(proxy, mint(secret=secret, header={"kid": kid}))


@pytest.mark.parametrize("alg", ["HS256", "HS384", "HS512"])
def test_hmac_with_another_secret_is_refused(proxy, alg):
    refused(proxy, mint(secret=SECRET[:-1] + b"!", alg=alg, iss=SECRET_ISSUER))
    refused(proxy, mint(secret=SECRET + b"\n", alg=alg, iss=SECRET_ISSUER))


def test_hmac_with_the_secret_under_another_issuer_is_refused(proxy):
    refused(proxy, mint(secret=SECRET, iss=ISSUER))
    refused(proxy, mint(iss=SECRET_ISSUER))


def test_truncated_hmac_is_refused(proxy):
    for length in (0, 1, 16, 31):
        token = mint(secret=SECRET, iss=SECRET_ISSUER, signature=lambda made: made[:length])
        refused(proxy, token, statuses=(400, 401) if length == 0 else (401,))


# Row 2: the algorithm against the key.
def crossed():
    k = keys()
    return {
        "RS256 under an EC kid": mint(key=k.rsa, header={"kid": "ec-256"}),
        "ES256 under an RSA kid": mint(key=k.es256, header={"kid": "rsa-1"}),
        "EdDSA under an EC kid": mint(key=k.ed25519, header={"kid": "ec-256"}),
        "ES256 named for a P-384 key": mint(
            key=k.es384, header={"alg": "ES256"}, alg="ES384"),
        "ES384 named for a P-256 key": mint(key=k.es256, header={"alg": "ES384"}, alg="ES256"),
        "ES512 under the P-384 kid": mint(key=k.es512, header={"kid": "ec-384"}),
        "Ed25519 under the Ed448 kid": mint(key=k.ed25519, header={"kid": "ed-448"}),
        "RS256 with a key for RS512": mint(key=k.rs512_only, alg="RS256"),
        "PS512 with a key for RS512": mint(key=k.rs512_only, alg="PS512"),
        "RS384 with a key for RS512": mint(key=k.rs512_only, alg="RS384"),
        "a key for encryption": mint(key=k.encryption),
        "PS256 signed as RS256": mint(alg="RS256", header={"alg": "PS256"}),
        "RS256 signed as PS256": mint(alg="PS256", header={"alg": "RS256"}),
        "RS512 signed as RS256": mint(alg="RS256", header={"alg": "RS512"}),
        "the other issuer's key under our kid": mint(key=k.other),
        "our key under the other issuer": mint(iss=OTHER_ISSUER),
        "a stranger's key under our kid": mint(key=k.stranger, header={"kid": "rsa-1"}),
        "a stranger's key without kid": mint(key=k.stranger, header={"kid": DROP}),
        "a stranger's EC key without kid": mint(key=k.stranger_ec, header={"kid": DROP}),
        "the encryption key without kid": mint(key=k.encryption, header={"kid": DROP}),
        "RS256 with a key for RS512, without kid": mint(
            key=k.rs512_only, alg="RS256", header={"kid": DROP}),
    }


@pytest.mark.parametrize("case", list(crossed()))
def test_key_that_does_not_fit_the_algorithm_is_refused(proxy, case):
    refused(proxy, crossed()[case])


def test_key_for_one_algorithm_serves_that_one(proxy):
    assert proxy.get("/token/x", mint(key=keys().rs512_only, alg="RS512")).status == 200


# Row 3: kid.
KIDS = [
    "unknown", "", " ", "RSA-1", "rsa-1 ", " rsa-1", "rsa-1\0", "rsa-1\r\nX-Evil: 1",
    "../jwks.json",
    "../../../../etc/passwd", "/dev/null", "file:///dev/null", "' OR '1'='1", "1; DROP TABLE keys",
    "http://127.0.0.1:1/keys", "$(id)", "%00", "\u202ersa-1", "k" * 8192, "rsa-1,ec-256",
]


@pytest.mark.parametrize("kid", KIDS, ids=lambda kid: repr(kid[:16]))
def test_unknown_kid_is_refused(proxy, kid):
    refused(proxy, mint(header={"kid": kid}))


@pytest.mark.parametrize("kid", [None, 1, True, [], ["rsa-1"], {"kid": "rsa-1"}, 1.5],
                         ids=lambda kid: json.dumps(kid))
def test_kid_that_is_not_a_string_is_refused(proxy, kid):
    refused(proxy, mint(header={"kid": kid}))


@pytest.mark.parametrize("kid", ["secret-looking-kid-7f3a", "line\r\nbreak-7f3a", "k7f3a" * 1500],
                         ids=["plain", "crlf", "long"])
def test_raw_kid_is_not_logged(proxy, kid):
    response, line = proxy.logged("GET", "/token/x", token=mint(header={"kid": kid}))
    assert response.status == 401 and line["reason"] == "unknown_key"
    assert "7f3a" not in json.dumps(line)
    assert b"7f3a" not in response.body + response.raw_head


def test_a_storm_of_unknown_kids_is_refused_and_leaves_the_good_one_working(proxy):
    with proxy.connect() as connection:
        for number in range(200):
            token = mint(key=keys().es256, header={"kid": f"storm-{number}"})
            connection.send(request_bytes("GET", "/token/x", token=token))
            assert connection.response().status == 401
    assert proxy.get("/token/x", mint()).status == 200


# Row 4: keys that the token brings, and critical extensions.
def self_signed_headers():
    stranger = keys().stranger
    return {
        "jwk": {"jwk": stranger.jwk()},
        "jwk with our kid": {"jwk": stranger.jwk(kid="rsa-1"), "kid": "rsa-1"},
        "jwk without kid": {"jwk": stranger.jwk(), "kid": DROP},
        "x5c": {"x5c": [base64.b64encode(stranger.der()).decode()], "kid": DROP},
    }


@pytest.mark.parametrize("case", list(self_signed_headers()))
def test_key_in_the_header_is_not_trusted(proxy, case):
    refused(proxy, mint(key=keys().stranger, header=self_signed_headers()[case]))


@pytest.mark.parametrize("member", ["jku", "x5u"])
def test_nothing_is_fetched_for_a_token(proxy, member):
    url = f"{proxy.upstream.endpoint}/jwks.json"
    token = mint(key=keys().stranger, header={member: url, "kid": "fetch-me"})
    refused(proxy, token)


CRITICAL = [
    {"crit": ["exp"], "exp": 4_102_444_800}, {"crit": []}, {"crit": None}, {"crit": "b64"},
    {"crit": ["b64"], "b64": False}, {"crit": ["b64"], "b64": True}, {"b64": False},
    {"crit": ["alg"]}, {"crit": [1]}, {"crit": {}}, {"crit": True}, {"crit": ["unknown"]},
    {"crit": ["http://x.test/y"], "http://x.test/y": 1}, {"crit": ["b64", "b64"], "b64": True},
]


@pytest.mark.parametrize("header", CRITICAL, ids=lambda header: json.dumps(header)[:40])
def test_critical_extension_is_refused(proxy, header):
    refused(proxy, mint(header=header))


def test_zip_and_encryption_headers_are_refused(proxy):
    refused(proxy, mint(header={"alg": "dir", "enc": "A256GCM", "zip": "DEF"}, alg="RS256"))


# Row 5: typ.
@pytest.mark.parametrize("typ", [
    "dpop+jwt", "logout+jwt", "secevent+jwt", "application/dpop+jwt", "application/secevent+jwt",
    "entity-statement+jwt", "JOSE", "JWS", "JWE", "", " ", "JWT ", " at+jwt", "at+jwt;x=1",
    "text/at+jwt", "application/application/jwt", "at%2Bjwt", None, 1, True, [], ["JWT"], {}],
    ids=lambda typ: json.dumps(typ))
def test_type_of_another_kind_is_refused(proxy, typ):
    refused(proxy, mint(header={"typ": typ}))


# Row 6: JSON.
def payload_text():
    return json.dumps(claims(), separators=(",", ":"))


def bad_json():
    good = payload_text()
    return {
        "bom": b"\xef\xbb\xbf" + good.encode(), "utf-16": good.encode("utf-16"),
        "utf-16le": good.encode("utf-16-le"), "invalid utf-8": good.encode()[:-1] + b',"a":"\xff"}',
        "overlong utf-8": good.encode()[:-1] + b',"a":"\xc0\xaf"}',
        "surrogate in utf-8": good.encode()[:-1] + b',"a":"\xed\xa0\x80"}',
        "lone surrogate escape": good[:-1] + ',"a":"\\ud800"}',
        "nan": good[:-1] + ',"a":NaN}', "infinity": good[:-1] + ',"a":Infinity}',
        "minus infinity": good[:-1] + ',"a":-Infinity}', "hex": good[:-1] + ',"a":0x10}',
        "leading zero": good[:-1] + ',"a":01}', "plus": good[:-1] + ',"a":+1}',
        "bare point": good[:-1] + ',"a":1.}', "no digit": good[:-1] + ',"a":.5}',
        "duplicate sub": good[:-1] + ',"sub":"root"}',
        "duplicate exp": good[:-1] + ',"exp":9999999999}',
        "duplicate by escape": good[:-1] + ',"s\\u0075b":"root"}',
        "duplicate nested": good[:-1] + ',"a":{"b":1,"b":2}}',
        "trailing byte": good + "x", "trailing nul": good + "\0", "two documents": good + good,
        "trailing comma": good[:-1] + ",}", "comment": good[:-1] + "/*x*/}",
        "single quotes": good.replace('"', "'"), "unquoted name": good[:-1] + ",a:1}",
        "control in string": good[:-1] + ',"a":"\n"}', "bad escape": good[:-1] + ',"a":"\\x41"}',
        "cut short": good[:-1], "empty": "", "array": f"[{good}]", "string": '"claims"',
        "number": "1", "null": "null", "true": "true", "white space": "  ",
        "20,000 levels": good[:-1] + ',"a":' + "[" * 2000 + "]" * 2000 + "}",
        "unclosed levels": '{"a":' + "[" * 8000,
    }


@pytest.mark.parametrize("case", list(bad_json()))
def test_claims_that_are_not_strict_json_are_refused(proxy, case):
    refused(proxy, mint(bad_json()[case]))


def bad_headers():
    good = '{"alg":"RS256","kid":"rsa-1"'
    return {
        "bom": b"\xef\xbb\xbf" + good.encode() + b"}", "utf-16": (good + "}").encode("utf-16"),
        "invalid utf-8": good.encode() + b',"a":"\xff"}', "nan": good + ',"a":NaN}',
        "trailing": good + "}}", "array": f"[{good}}}]", "null": "null", "string": '"RS256"',
        "nested duplicate": good + ',"a":{"b":1,"b":1}}', "cut short": good,
        "deep": good + ',"a":' + "[" * 4000 + "]" * 4000 + "}", "empty object": "{}",
    }


@pytest.mark.parametrize("case", list(bad_headers()))
def test_jose_header_that_is_not_strict_json_is_refused(proxy, case):
    refused(proxy, mint(header=bad_headers()[case], alg="RS256"))


# Row 7: times. Raw JSON text, since no float holds some of these.
EXPIRED = ["1", "0", "-1", "now-66", "now-86400", "1e-400", "-0", "0.5"]
BAD_TIMES = [
    'null', '""', '"4102444800"', '"now+600"', "true", "[]", "{}", "[now+600]",
    "1e400", "-1e400", "-1e300", "1e99999999999", "9" * 400, "-" + "9" * 400,
]
# Far beyond any clock: whether they count as "valid for ever" or as nonsense, they must not trap.
HUGE = ["9223372036854775807", "9223372036854775808", "18446744073709551615",
        "18446744073709551616", "1e19", "1e300", "1.7976931348623157e308", "9.2233720368547758e18",
        "9223372036854775807.5", "253402300800"]


def with_raw_claim(name, text):
    """`now+600` within the text is the moment of the test and 600 s more."""
    text = re.sub(r"now([+-]\d+)", lambda found: str(int(time.time()) + int(found[1])), text)
    rest = json.dumps(claims(**{name: DROP}), separators=(",", ":"))
    return mint(f'{rest[:-1]},"{name}":{text}}}')


def short(text):
    return text[:24]


@pytest.mark.parametrize("text", EXPIRED, ids=short)
def test_past_exp_is_refused_as_expired(proxy, text):
    response, line = proxy.logged("GET", "/token/x", token=with_raw_claim("exp", text))
    assert (response.status, line["reason"]) == (401, "expired")


@pytest.mark.parametrize("name", ["exp", "nbf", "iat"])
@pytest.mark.parametrize("text", BAD_TIMES, ids=short)
def test_time_that_is_not_a_sensible_number_is_refused(proxy, name, text):
    """null is not absence for exp; for nbf and iat of null either reading is safe."""
    token = with_raw_claim(name, text)
    if text == "null" and name != "exp":
        assert proxy.get("/token/x", token).status in (200, 401)
        return
    refused(proxy, token)


def test_missing_exp_is_refused(proxy):
    response, line = proxy.logged("GET", "/token/x", token=mint(exp=DROP))
    assert response.status == 401 and line["reason"] == "missing_claim"


@pytest.mark.parametrize("text", HUGE, ids=short)
def test_exp_beyond_any_clock_does_not_trap(proxy, text):
    assert proxy.get("/token/x", with_raw_claim("exp", text)).status in (200, 401)


@pytest.mark.parametrize("name", ["nbf", "iat"])
@pytest.mark.parametrize("text", [*HUGE, "now+3600", "now+120"], ids=short)
def test_nbf_and_iat_in_the_future_are_refused(proxy, name, text):
    refused(proxy, with_raw_claim(name, text))


def test_negative_times_do_not_trap(proxy):
    for text in ("-1", "-9223372036854775808", "-9223372036854775809", "-1e19"):
        assert proxy.get("/token/x", with_raw_claim("iat", text)).status in (200, 401)
        assert proxy.get("/token/x", with_raw_claim("nbf", text)).status in (200, 401)


def test_a_cached_token_is_refused_once_it_has_expired(proxy):
    """exp lies 58 s back, so the default leeway of 60 s ends in under two seconds."""
    token = mint(exp=int(time.time()) - 58)
    statuses = []
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        statuses.append(proxy.get("/token/x", token).status)
        if statuses[-1] == 401:
            break
        time.sleep(0.05)
    assert statuses[0] == 200 and statuses[-1] == 401


# Row 8: iss and aud.
ISSUERS = [
    "https://issuer.test", "https://issuer.test//", "https://Issuer.test/", "HTTPS://issuer.test/",
    "https://issuer.test/ ", " https://issuer.test/", "https://issuer.test/x", "issuer.test",
    "https://issuer.test/\0", "https://evil.test/", "", None, 1, True, [ISSUER], {"iss": ISSUER},
    "https://issuer.test:443/", "https://issuer%2etest/", "https://issuer.test/?", "main",
]


@pytest.mark.parametrize("iss", [*ISSUERS, DROP], ids=lambda iss: "absent" if iss is DROP
                         else json.dumps(iss))
def test_issuer_that_is_not_exact_is_refused(proxy, iss):
    refused(proxy, mint(iss=iss))


AUDIENCES = [
    "https://api.test/", "https://api.tes", "https://API.test", "HTTPS://api.test", "api.test", "",
    "https://api.test ", " https://api.test", "https://api.test.evil", "https://api.test,x",
    f"{AUDIENCE} https://x.test", None, 1, True, {}, [], [[AUDIENCE]], {AUDIENCE: 1}, [None], [1],
    [AUDIENCE + "/", "x"], ["https://evil.test"], [{"aud": AUDIENCE}],
]


@pytest.mark.parametrize("aud", [*AUDIENCES, DROP], ids=lambda aud: "absent" if aud is DROP
                         else json.dumps(aud))
def test_audience_that_is_not_exact_is_refused(proxy, aud):
    refused(proxy, mint(aud=aud))


@pytest.mark.parametrize("aud", [[AUDIENCE, 1], [None, AUDIENCE], [AUDIENCE, {}]],
                         ids=lambda aud: json.dumps(aud))
def test_audience_array_with_a_member_of_another_type_never_traps(proxy, aud):
    """RFC 7519 asks for strings only; refusing and reading the strings are both safe."""
    assert proxy.get("/token/x", mint(aud=aud)).status in (200, 401)


# Row 10: base64url and the compact form.
def malformed():
    good = mint()
    header, payload, signature = good.split(".")
    while len(header) % 4 == 0:  # so that stray final bits exist
        good = mint(header={"x": "x" * (len(good) % 7)})
        header, payload, signature = good.split(".")
    plus = mint(key=keys().es256, extra="???>>>~~~")
    return {
        "padding": ".".join(part + "=" * (-len(part) % 4) for part in good.split(".")),
        "padded header": f"{header}=.{payload}.{signature}",
        "padded signature": f"{good}==", "one padding": f"{good}=",
        "standard alphabet": plus.replace("-", "+").replace("_", "/"),
        "percent": f"{header}.{payload}.%41{signature}", "star": f"{header}.{payload}.*{signature}",
        "tilde": f"{good}~", "two parts": f"{header}.{payload}", "one part": header,
        "four parts": f"{good}.x", "five parts": f"{good}.x.y",
        "empty header": f".{payload}.{signature}",
        "empty payload": f"{header}..{signature}", "empty signature": f"{header}.{payload}.",
        "dots": "...", "one dot": ".", "two dots": "..", "20,000 dots": "." * 14000,
        "leading dot": f".{good}", "trailing dot": f"{good}.",
        "doubled dot": f"{header}..{payload}.{signature}",
        "length 1 mod 4": f"{header}.{payload}.{signature[:341]}",
        "cut signature": f"{header}.{payload}.{signature[:-4]}",
        "longer signature": f"{header}.{payload}.{signature}AAAA",
        "x": "x", "garbage": "garbage", "a.b.c": "a.b.c", "slash": "a/b/c", "plus": "a+b+c",
    }


@pytest.mark.parametrize("case", list(malformed()))
def test_token_that_is_not_compact_base64url_is_refused(proxy, case):
    """Whether it is no token in form (400) or a bad one (401) depends on the fault."""
    refused(proxy, malformed()[case], statuses=(400, 401))


def stray(part):
    """The same bytes with other unused bits in the last character."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    last = alphabet.index(part[-1])
    return part[:-1] + alphabet[last ^ 1]


@pytest.mark.parametrize("index", [0, 1, 2], ids=["header", "payload", "signature"])
def test_stray_final_bits_are_refused(proxy, index):
    """The signature covers the text of the first two, so sign over the stray text itself."""
    for filler in range(4):
        header = encode({"alg": "RS256", "kid": "rsa-1", "x": "x" * filler})
        payload = encode(claims(x="x" * filler))
        if index == 0 and len(header) % 4:
            header = stray(header)
        if index == 1 and len(payload) % 4:
            payload = stray(payload)
        signature = b64(keys().rsa.sign("RS256", f"{header}.{payload}".encode()))
        if index == 2:
            signature = stray(signature)
        changed = index == 2 or len([header, payload][index]) % 4
        status = proxy.get("/token/x", f"{header}.{payload}.{signature}").status
        assert status == (401 if changed else 200), (filler, status)


@pytest.mark.parametrize("value", [
    "Bearer {t} ", "Bearer  {t}", "Bearer\t{t}", "Bearer {t} x", "Bearer {h} {r}", "Bearer",
    "Bearer ", "Bearer ,", "Bearer {t},{t}", "Bearer {t}, Bearer {t}", "Bearer {t};x",
    "Bearer \"{t}\"",
    "Bearer token={t}", "Bearer={t}", "Bearer:{t}", "Bearer{t}", "Bearer {t}, Basic eDp5",
])
def test_authorization_in_another_form_never_reads_as_no_check(proxy, value):
    """A trailing space is trimmed as part of the field (RFC 9110 §5.5), and RFC 9110 §11.4 allows
    several spaces after the scheme; the rest is malformed or another scheme."""
    token = mint()
    text = value.replace("{t}", token).replace("{h}", token[:50]).replace("{r}", token[50:])
    data = request_bytes("GET", "/token/x", fields={"Authorization": text})
    if value in ("Bearer {t} ", "Bearer  {t}"):
        assert proxy.raw(data).status in ((200,) if value == "Bearer {t} " else (200, 400))
    else:
        proxy.refuses(data, (400, 401))


JSON_FORMS = [
    '{{"protected":"{0}","payload":"{1}","signature":"{2}"}}',
    '{{"payload":"{1}","signatures":[{{"protected":"{0}","signature":"{2}"}}]}}',
]


@pytest.mark.parametrize("form", JSON_FORMS)
def test_json_serialisation_is_refused(proxy, form):
    text = form.format(*mint().split("."))
    fields = {"Authorization": f"Bearer {text}"}
    proxy.refuses(request_bytes("GET", "/token/x", fields=fields), (400, 401))


@pytest.mark.parametrize("bit", [0, 3, 7])
@pytest.mark.parametrize("part", [0, 1, 2])
def test_any_flipped_bit_is_refused(proxy, part, bit):
    parts = mint().split(".")
    raw = bytearray(tokens.unb64(parts[part]))
    raw[len(raw) // 2] ^= 1 << bit
    parts[part] = b64(bytes(raw))
    refused(proxy, ".".join(parts))


def test_parts_of_two_good_tokens_do_not_mix(proxy):
    one, two = mint(sub="alice").split("."), mint(sub="root").split(".")
    assert proxy.get("/token/x", ".".join(one)).status == 200
    refused(proxy, ".".join([one[0], two[1], one[2]]))
    refused(proxy, ".".join([one[0], one[1], two[2]]))


# Row 11: signatures that mean nothing or mean something else.
def ecdsa_signatures(key):
    length, order = tokens.CURVES[key.alg][2:]
    good = key.sign(key.alg, b"something else")

    def pair(r, s):
        return r.to_bytes(length, "big") + s.to_bytes(length, "big")

    return {
        "zeros": pair(0, 0), "r zero": bytes(length) + good[length:],
        "s zero": good[:length] + bytes(length),
        "ones": pair(1, 1), "r one": pair(1, 2), "n": pair(order, order), "r n": pair(order, 1),
        "s n": pair(1, order), "n minus one": pair(order - 1, order - 1),
        "all ones": b"\xff" * (2 * length), "empty": b"", "one byte": b"\0", "half": good[:length],
        "one short": good[:-1], "one long": good + b"\0", "leading zero": b"\0" + good,
        "der": utils.encode_dss_signature(1, 1), "another message": good,
    }


@pytest.mark.parametrize("alg", ["ES256", "ES384", "ES512"])
@pytest.mark.parametrize("case", list(ecdsa_signatures(keys().es256)))
def test_ecdsa_signature_out_of_range_or_form_is_refused(proxy, alg, case):
    key = keys().for_alg(alg)
    signature = ecdsa_signatures(key)[case]
    refused(proxy, mint(key=key, signature=signature),
            statuses=(400, 401) if not signature else (401,))


@pytest.mark.parametrize("alg", ["ES256", "ES384", "ES512"])
def test_ecdsa_changes_to_a_good_signature_are_refused(proxy, alg):
    key = keys().for_alg(alg)
    length, order = tokens.CURVES[alg][2:]

    def der(made):
        return utils.encode_dss_signature(
            int.from_bytes(made[:length], "big"), int.from_bytes(made[length:], "big"))

    def wrapped(made):
        s = int.from_bytes(made[length:], "big") + order
        return made[:length] + (s % 2 ** (8 * length)).to_bytes(length, "big")

    changes = [der, wrapped, lambda m: m[length:] + m[:length],
               lambda m: m[:length] + bytes(length),
               lambda m: b"\0" + m[:length] + b"\0" + m[length:], lambda m: m[1:], lambda m: m + m]
    for change in changes:
        refused(proxy, mint(key=key, signature=change))


def rsa_raw(encoded):
    """The private operation on any padded block: what a forger cannot do, but a test can."""
    numbers = keys().rsa.private.private_numbers()
    n = numbers.public_numbers.n
    return pow(int.from_bytes(encoded, "big"), numbers.d, n).to_bytes(256, "big")


def pkcs1(signed, *, prefix=b"\x00\x01", fill=b"\xff", separator=b"\x00", info=None, tail=b"",
          digest=None, padding_length=None):
    info = bytes.fromhex("3031300d060960864801650304020105000420") if info is None else info
    hashed = hashes.Hash(digest or hashes.SHA256())
    hashed.update(signed)
    body = info + hashed.finalize() + tail
    length = 256 - len(prefix) - len(separator) - len(body)
    count = length if padding_length is None else padding_length
    block = prefix + fill * count + separator + body
    return block + b"\0" * (256 - len(block))


PADDINGS = {
    "type 2": {"prefix": b"\x00\x02"}, "leading byte": {"prefix": b"\x01\x01"},
    "fill of zeros": {"fill": b"\x00"}, "fill of fe": {"fill": b"\xfe"},
    "separator of one": {"separator": b"\x01"}, "no algorithm": {"info": b""},
    "short padding, garbage after": {"padding_length": 8},
    "sha-1 named": {"info": bytes.fromhex("3021300906052b0e03021a05000414")},
    "sha-512 named": {"info": bytes.fromhex("3051300d060960864801650304020305000440")},
    "no null parameter": {"info": bytes.fromhex("302f300b0609608648016503040201") + b"\x04\x20"},
    "trailing bytes": {"tail": b"\0" * 8}, "sha-512 digest": {"digest": hashes.SHA512()},
}


def test_the_raw_rsa_helper_makes_a_good_signature(proxy):
    """So that the refusals below are refused for their padding alone."""
    signed = f"{encode({'alg': 'RS256', 'kid': 'rsa-1'})}.{encode(claims())}"
    token = f"{signed}.{b64(rsa_raw(pkcs1(signed.encode())))}"
    assert proxy.get("/token/x", token).status == 200


@pytest.mark.parametrize("case", list(PADDINGS))
def test_bad_pkcs1_padding_is_refused(proxy, case):
    signed = f"{encode({'alg': 'RS256', 'kid': 'rsa-1'})}.{encode(claims())}"
    token = f"{signed}.{b64(rsa_raw(pkcs1(signed.encode(), **PADDINGS[case])))}"
    refused(proxy, token)


def plus_modulus(made):
    n = keys().rsa.private.private_numbers().public_numbers.n
    total = int.from_bytes(made, "big") + n
    return total.to_bytes((total.bit_length() + 7) // 8, "big")


RSA_CHANGES = {
    "plus n": plus_modulus, "leading zero": lambda m: b"\0" + m,
    "trailing zero": lambda m: m + b"\0",
    "cut": lambda m: m[:-1], "zeros": lambda m: bytes(len(m)), "one": lambda m: bytes(255) + b"\1",
    "n itself": lambda m: keys().rsa.private.private_numbers().public_numbers.n.to_bytes(256,
                                                                                         "big"),
    "all ones": lambda m: b"\xff" * 256, "one byte": lambda m: b"\1", "doubled": lambda m: m + m,
    "1 KiB": lambda m: b"\1" * 1024, "reversed": lambda m: m[::-1],
}


@pytest.mark.parametrize("alg", ["RS256", "PS256"])
@pytest.mark.parametrize("case", list(RSA_CHANGES))
def test_changed_rsa_signature_is_refused(proxy, alg, case):
    refused(proxy, mint(alg=alg, signature=RSA_CHANGES[case]))


@pytest.mark.parametrize("digest", [hashes.SHA1, hashes.SHA384, hashes.SHA512],
                         ids=lambda digest: digest.name)
def test_rs256_over_another_hash_is_refused(proxy, digest):
    signed = f"{encode({'alg': 'RS256', 'kid': 'rsa-1'})}.{encode(claims())}"
    made = keys().rsa.private.sign(signed.encode(), padding.PKCS1v15(), digest())
    refused(proxy, f"{signed}.{b64(made)}")


@pytest.mark.parametrize("salt, mask", [(0, hashes.SHA256), (20, hashes.SHA256),
                                        (31, hashes.SHA256),
                                        (33, hashes.SHA256), (222, hashes.SHA256),
                                        (32, hashes.SHA1), (32, hashes.SHA512)],
                         ids=["0", "20", "31", "33", "maximum", "MGF1 SHA-1", "MGF1 SHA-512"])
def test_pss_with_another_salt_or_mask_is_refused(proxy, salt, mask):
    signed = f"{encode({'alg': 'PS256', 'kid': 'rsa-1'})}.{encode(claims())}"
    scheme = padding.PSS(padding.MGF1(mask()), salt)
    made = keys().rsa.private.sign(signed.encode(), scheme, hashes.SHA256())
    refused(proxy, f"{signed}.{b64(made)}")


ED25519_ORDER = 2**252 + 27742317777372353535851937790883648493
EDWARDS = {
    "S plus L": lambda m: m[:32] + (int.from_bytes(m[32:], "little") + ED25519_ORDER)
    .to_bytes(32, "little"),
    "zeros": lambda m: bytes(64), "cut": lambda m: m[:-1], "longer": lambda m: m + b"\0",
    "all ones": lambda m: b"\xff" * 64, "swapped": lambda m: m[32:] + m[:32],
    "identity point": lambda m: b"\1" + bytes(63), "R only": lambda m: m[:32],
    "114 bytes, as of Ed448": lambda m: m + bytes(50),
}


@pytest.mark.parametrize("case", list(EDWARDS))
def test_changed_ed25519_signature_is_refused(proxy, case):
    refused(proxy, mint(key=keys().ed25519, signature=EDWARDS[case]))


# Where tokens are not looked for.
@pytest.mark.parametrize("target, fields", [
    ("/token/x?access_token={t}", {}), ("/token/x?token={t}", {}), ("/token/x?jwt={t}", {}),
    ("/token/x", {"Cookie": "access_token={t}"}),
    ("/token/x", {"Cookie": "Authorization=Bearer {t}"}),
    ("/token/x", {"X-Authorization": "Bearer {t}"}),
    ("/token/x", {"Proxy-Authorization": "Bearer {t}"}),
    ("/token/x", {"X-Access-Token": "{t}"}), ("/token/x", {"Authorization": "Basic {t}"}),
    ("/token/x", {"Authorization": "Token {t}"}), ("/token/x", {"Authorization": "JWT {t}"}),
    ("/token/x", {"Authorization": "DPoP {t}"}), ("/token/x", {"Authorization": "{t}"}),
    ("/token/x", {"Sec-WebSocket-Protocol": "bearer, {t}"}),
])
def test_token_elsewhere_counts_as_no_token(proxy, target, fields):
    token = mint()
    fields = {name: value.replace("{t}", token) for name, value in fields.items()}
    data = request_bytes("GET", target.replace("{t}", token), fields=fields)
    response = proxy.refuses(data, (400, 401) if fields.get("Authorization") == token else 401)
    if response.status == 401:
        assert response.get("WWW-Authenticate") == 'Bearer realm="black box"'


def test_token_in_a_form_body_counts_as_no_token(proxy):
    body = f"access_token={mint()}".encode()
    fields = {"Content-Type": "application/x-www-form-urlencoded"}
    proxy.refuses(request_bytes("POST", "/token/x", fields=fields, body=body), 401)


# maxLifetime and requiredClaims are in test_issuers.py; the flood below is the cache's test.
def test_failing_tokens_do_not_flood_out_a_good_one(proxy):
    good = mint()
    assert proxy.get("/token/x", good).status == 200
    header, payload, _ = good.split(".")
    with proxy.connect() as connection:
        for number in range(300):
            forged = f"{header}.{payload}.{b64(number.to_bytes(256, 'big'))}"
            connection.send(request_bytes("GET", "/token/x", token=forged))
            assert connection.response().status == 401
    assert proxy.get("/token/x", good).status == 200
