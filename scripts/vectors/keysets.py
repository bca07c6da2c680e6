#!/usr/bin/env python3
"""Writes Tests/fixtures/keys: JWK Sets in the shapes that large providers publish, each with that
provider's quirks, and `expected.json`, which says what is to be taken of each. Needs the PyPI package
`cryptography`. RSA keys and certificates are new at each run; thumbprints are computed here."""

import base64
import datetime
import hashlib
import json
import pathlib

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import NameOID

from keys import base64url

FOLDER = pathlib.Path(__file__).parents[2] / "Tests/fixtures/keys"
ORDERS = {"P-256": (ec.SECP256R1(), 32), "P-384": (ec.SECP384R1(), 48), "P-521": (ec.SECP521R1(), 66)}
EXPECTED = {}


def octets(number, count=None):
    return number.to_bytes(count or (number.bit_length() + 7) // 8, "big")


def new_rsa(bits=2048):
    return rsa.generate_private_key(65537, bits)


def rsa_jwk(key, **members):
    numbers = key.public_key().public_numbers()
    return {"kty": "RSA", "n": base64url(octets(numbers.n)), "e": base64url(octets(numbers.e)), **members}


def new_ec(name, x_starts_with_zero=False):
    curve, count = ORDERS[name]
    while True:
        key = ec.generate_private_key(curve)
        if not x_starts_with_zero or octets(key.public_key().public_numbers().x, count)[0] == 0:
            return key


def ec_jwk(key, name, **members):
    numbers, count = key.public_key().public_numbers(), ORDERS[name][1]
    x, y = (base64url(octets(number, count)) for number in (numbers.x, numbers.y))
    return {"kty": "EC", "crv": name, "x": x, "y": y, **members}


def ed25519_jwk(**members):
    raw = ed25519.Ed25519PrivateKey.generate().public_key().public_bytes(
        serialization.Encoding.Raw, serialization.PublicFormat.Raw
    )
    return {"kty": "OKP", "crv": "Ed25519", "x": base64url(raw), **members}


def certificate(key, name):
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    begin = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + datetime.timedelta(days=365))
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.DER)


def with_certificate(jwk, key, name):
    der = certificate(key, name)
    x5t = base64url(hashlib.sha1(der).digest())
    return {**jwk, "x5t": x5t, "x5c": [base64.b64encode(der).decode()]}


def thumbprint(jwk):
    """RFC 7638."""
    names = {"RSA": ("e", "kty", "n"), "EC": ("crv", "kty", "x", "y"), "OKP": ("crv", "kty", "x")}[jwk["kty"]]
    text = json.dumps({name: jwk[name] for name in names}, separators=(",", ":"))
    return base64url(hashlib.sha256(text.encode()).digest())


def padded(text):
    return text + "=" * (-len(text) % 4)


def standard(text):
    return padded(text.replace("-", "+").replace("_", "/"))


def write(name, members, layout=None):
    """`members` are pairs: a key as it is published, and its plain form, or the reason to skip it."""
    usable, skipped = [], []
    for index, (published, meaning) in enumerate(members):
        if isinstance(meaning, str):
            skipped.append({"index": index, "reason": meaning})
        else:
            usable.append(
                {"kid": published.get("kid"), "alg": published.get("alg"), "thumbprint": thumbprint(meaning)}
            )
    document = {"keys": [published for published, _ in members]}
    (FOLDER / f"{name}.json").write_text(json.dumps(document, **(layout or {"indent": 2})))
    EXPECTED[name] = {"usable": usable, "skipped": skipped}


def same(jwk):
    return (jwk, jwk)


def entra():
    """No `alg`; `x5t` as `kid`; certificates; an issuer with a placeholder in each key."""
    members = []
    for _ in range(3):
        key = new_rsa()
        jwk = with_certificate(rsa_jwk(key, use="sig"), key, "accounts.accesscontrol.windows.net")
        jwk["kid"] = jwk["x5t"]
        jwk["issuer"] = "https://login.microsoftonline.com/{tenantid}/v2.0"
        jwk["cloud_instance_name"] = "microsoftonline.com"
        members.append(same(jwk))
    write("entra", members, {"separators": (",", ":")})


def google():
    """Two keys, of which one is about to be used; members in another order."""
    jwks = [rsa_jwk(new_rsa(), use="sig", alg="RS256", kid=hashlib.sha1(bytes([i])).hexdigest()) for i in (1, 2)]
    write("google", [same(dict(reversed(jwk.items()))) for jwk in jwks])


def auth0():
    """`x5c` and `x5t` with every key, a `kid` of base64url."""
    key = new_rsa()
    jwk = with_certificate(rsa_jwk(key, alg="RS256", use="sig", kid="NjVBRjY5MDlCMUIwNzU4RTA2QzZF"), key, "tenant.eu.auth0.com")
    next_key = new_rsa()
    following = with_certificate(rsa_jwk(next_key, alg="RS256", use="sig", kid="q8-_tLl0w9d2yHk5"), next_key, "tenant.eu.auth0.com")
    write("auth0", [same(jwk), same(following)], {"separators": (",", ":")})


def okta():
    """`status` and dates beside the numbers."""
    jwk = rsa_jwk(new_rsa(), alg="RS256", use="sig", kid="U5R8cHbGw445Qbq8zVO1PcCpXL8yG6IcovVa3laCoxM")
    jwk |= {"status": "ACTIVE", "created": "2026-01-01T00:00:00.000Z", "_links": {"self": {"href": "https://dev-1.okta.com"}}}
    write("okta", [same(jwk)], {"separators": (",", ":")})


def keycloak():
    """A key for encryption beside those for signatures, of several types; slashes escaped."""
    key, encryption = new_rsa(), new_rsa()
    signing = with_certificate(rsa_jwk(key, kid="FJ86GcF3jTbNLOco4NvZkUCIUmfYCqoqtOQeMfbhNlE", alg="RS256", use="sig"), key, "Demo")
    signing["x5t#S256"] = signing["x5t"]
    other = with_certificate(rsa_jwk(encryption, kid="enc", alg="RSA-OAEP", use="enc"), encryption, "Demo")
    members = [
        same(signing),
        (other, "not for signatures"),
        same(ec_jwk(new_ec("P-256"), "P-256", kid="es", alg="ES256", use="sig")),
        same(ed25519_jwk(kid="ed", alg="EdDSA", use="sig")),
        ({"kty": "oct", "kid": "hs", "alg": "HS512", "use": "sig", "k": base64url(bytes(64))}, "symmetric"),
    ]
    write("keycloak", members)
    path = FOLDER / "keycloak.json"
    path.write_text(path.read_text().replace("/", "\\/"))


def cognito():
    """`kid`s of padded standard base64."""
    jwks = [rsa_jwk(new_rsa(), alg="RS256", kid=kid, use="sig") for kid in ("abcDEF+/123=", "1+234/5678abcdefghij==")]
    write("cognito", [same(jwk) for jwk in jwks], {"separators": (",", ":")})


def kubernetes():
    """`kid` derived from the key; after a move to elliptic curves both kinds."""
    members = [
        same(rsa_jwk(new_rsa(), use="sig", kid="mFfqJ1tQv2XwZ8p0bq0z4n6k7r3s9t1u5v7w9x0y2A4", alg="RS256")),
        same(ec_jwk(new_ec("P-256"), "P-256", use="sig", kid="e", alg="ES256")),
        same(ec_jwk(new_ec("P-384"), "P-384", use="sig", kid="f", alg="ES384")),
        same(ec_jwk(new_ec("P-521"), "P-521", use="sig", kid="g", alg="ES512")),
    ]
    write("kubernetes", members, {"separators": (",", ":")})


def github_actions():
    """Without `use` for one key, and a key that only has certificates besides."""
    key = new_rsa()
    first = with_certificate(rsa_jwk(key, alg="RS256", kid="cc413527-173f-5a05-976e-9c52b1d7b431"), key, "token.actions.githubusercontent.com")
    second = rsa_jwk(new_rsa(4096), alg="RS256", use="sig", kid="38826b17-6a30-5f9b-b169-8beb8202f723")
    write("github-actions", [same(first), same(second)])


def old_libraries():
    """What home-made and older issuers publish: other alphabets, padding, sign octets, zeros lost."""
    key = new_rsa()
    plain = rsa_jwk(key)
    number = octets(key.public_key().public_numbers().n)
    short = new_ec("P-256", x_starts_with_zero=True)
    full = ec_jwk(short, "P-256")
    stripped = base64url(octets(short.public_key().public_numbers().x))
    members = [
        (plain | {"kid": "padded", "n": padded(plain["n"]), "e": padded(plain["e"])}, plain),
        (plain | {"kid": "standard+/=", "n": standard(plain["n"])}, plain),
        (plain | {"kid": "sign octet", "n": base64url(b"\0" + number), "e": base64url(b"\0\1\0\1")}, plain),
        (plain | {"kid": "many zeros", "n": base64url(bytes(7) + number)}, plain),
        (plain | {"kid": "exponent of four", "e": base64url(bytes([0, 1, 0, 1]))}, plain),
        (full | {"kid": "zero lost", "x": stripped}, full),
        (full | {"kid": "zero added", "y": base64url(b"\0" + octets(short.public_key().public_numbers().y, 32))}, full),
        (plain | {"kid": "operations", "key_ops": ["verify"], "ext": True}, plain),
        (plain | {"kid": "", "use": "sig"}, plain),
        (plain | {"kid": "späßchen ✓"}, plain),
    ]
    write("old-libraries", members)


def mixed():
    """One key to be taken among all that must not be."""
    good, twin = new_rsa(), new_rsa()
    private = rsa_jwk(new_rsa(), kid="private", d=base64url(b"\1" * 256))
    primes = rsa_jwk(new_rsa(), kid="primes", p=base64url(b"\1" * 128), q=base64url(b"\1" * 128))
    off_curve = ec_jwk(new_ec("P-256"), "P-256", kid="off") | {"y": base64url(b"\2" * 32)}
    weak = new_rsa(1024)
    members = [
        (rsa_jwk(weak, kid="weak", use="sig", alg="RS256"), "weak"),
        (private, "private"),
        (primes, "private"),
        ({"kty": "oct", "k": base64url(bytes(32)), "kid": "secret", "alg": "HS256"}, "symmetric"),
        ({"kty": "AKP", "alg": "ML-DSA-65", "kid": "post-quantum", "pub": base64url(bytes(1952))}, "unknown kty"),
        ({"kty": "OKP", "crv": "X25519", "x": base64url(bytes(32)), "use": "enc"}, "not for signatures"),
        ({"kty": "OKP", "crv": "X25519", "x": base64url(bytes(31) + b"\1")}, "unknown crv"),
        ({"kty": "EC", "crv": "secp256k1", "x": base64url(bytes(32)), "y": base64url(bytes(32))}, "unknown crv"),
        (off_curve, "invalid key"),
        (rsa_jwk(twin, kid="twice"), "kid of another key"),
        (rsa_jwk(good, kid="twice"), "kid of another key"),
        (rsa_jwk(good, kid="enc", alg="RSA-OAEP-256"), "unsuitable alg"),
        (rsa_jwk(good, kid=7), "bad kid"),
        (rsa_jwk(good, kid="no n") | {"n": None}, "bad n"),
        ({"kid": "bare"}, "no kty"),
        same(rsa_jwk(good, kid="good", alg="PS256", use="sig")),
        (rsa_jwk(good, kid="good", alg="PS256", use="sig"), "duplicate"),
    ]
    write("mixed", members)


FOLDER.mkdir(parents=True, exist_ok=True)
for shape in (entra, google, auth0, okta, keycloak, cognito, kubernetes, github_actions, old_libraries, mixed):
    shape()
(FOLDER / "expected.json").write_text(json.dumps(EXPECTED, indent=1, ensure_ascii=False) + "\n")
