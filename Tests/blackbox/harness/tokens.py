"""Keys, and tokens good and bad, made without Bearward's own code."""

import base64
import functools
import hashlib
import hmac
import json
import time

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

ISSUER = "https://issuer.test/"
OTHER_ISSUER = "https://other.test/"
SECRET_ISSUER = "https://secret.test/"
AUDIENCE = "https://api.test"
SECRET = b"bearward-black-box-secret-of-sixty-four-bytes-for-HS256-to-HS512"
assert len(SECRET) == 64

DROP = object()
HASHES = {"256": hashes.SHA256, "384": hashes.SHA384, "512": hashes.SHA512}
CURVES = {
    "ES256": ("P-256", ec.SECP256R1, 32, int(
        "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551", 16)),
    "ES384": ("P-384", ec.SECP384R1, 48, int(
        "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf"
        "581a0db248b0a77aecec196accc52973", 16)),
    "ES512": ("P-521", ec.SECP521R1, 66, int(
        "01fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffa"
        "51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409", 16)),
}
ASYMMETRIC = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512",
              "EdDSA"]


def b64(data):
    if isinstance(data, str):
        data = data.encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def integer(value, length=None):
    return b64(value.to_bytes(length or (value.bit_length() + 7) // 8, "big"))


class Key:
    """A private key with its kid; `alg` is what it signs unless told otherwise."""

    def __init__(self, private, kid, alg):
        self.private = private
        self.kid = kid
        self.alg = alg

    def jwk(self, **more):
        """The public JWK; a value of None leaves a member out."""
        public = self.private.public_key()
        if isinstance(public, rsa.RSAPublicKey):
            numbers = public.public_numbers()
            members = {"kty": "RSA", "n": integer(numbers.n), "e": integer(numbers.e)}
        elif isinstance(public, ec.EllipticCurvePublicKey):
            name, _, length, _ = CURVES[self.alg]
            numbers = public.public_numbers()
            members = {"kty": "EC", "crv": name, "x": integer(numbers.x, length),
                       "y": integer(numbers.y, length)}
        else:
            raw = public.public_bytes_raw()
            crv = "Ed25519" if len(raw) == 32 else "Ed448"
            members = {"kty": "OKP", "crv": crv, "x": b64(raw)}
        members = {**members, "kid": self.kid, "use": "sig", **more}
        return {name: value for name, value in members.items() if value is not None}

    def pem(self):
        return self.private.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)

    def der(self):
        return self.private.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)

    def private_pem(self):
        return self.private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption())

    def sign(self, alg, data):
        if alg == "EdDSA":
            return self.private.sign(data)
        digest = HASHES[alg[2:]]()
        if alg.startswith("ES"):
            r, s = decode_dss_signature(self.private.sign(data, ec.ECDSA(digest)))
            length = CURVES[self.alg][2]
            return r.to_bytes(length, "big") + s.to_bytes(length, "big")
        if alg.startswith("PS"):
            scheme = padding.PSS(padding.MGF1(digest), digest.digest_size)
        else:
            scheme = padding.PKCS1v15()
        return self.private.sign(data, scheme, digest)


def rsa_key(kid, bits=2048, alg="RS256"):
    return Key(rsa.generate_private_key(65537, bits), kid, alg)


def ec_key(kid, alg="ES256"):
    return Key(ec.generate_private_key(CURVES[alg][1]()), kid, alg)


class Keys:
    """The session's keys; the standard issuer publishes the first group."""

    def __init__(self):
        self.rsa = rsa_key("rsa-1")
        self.es256 = ec_key("ec-256", "ES256")
        self.es384 = ec_key("ec-384", "ES384")
        self.es512 = ec_key("ec-521", "ES512")
        self.ed25519 = Key(ed25519.Ed25519PrivateKey.generate(), "ed-25519", "EdDSA")
        self.ed448 = Key(ed448.Ed448PrivateKey.generate(), "ed-448", "EdDSA")
        # Published with members that narrow what the key is for.
        self.rs512_only = rsa_key("rs512-only", alg="RS512")
        self.encryption = rsa_key("encryption")
        # The other issuer's, under the same kid as ours; and one that nobody publishes.
        self.other = rsa_key("rsa-1")
        self.stranger = rsa_key("stranger")
        self.stranger_ec = ec_key("stranger-ec")

    def signing(self):
        return [self.rsa, self.es256, self.es384, self.es512, self.ed25519, self.ed448]

    def for_alg(self, alg):
        if alg.startswith(("RS", "PS")):
            return self.rsa
        return {"ES256": self.es256, "ES384": self.es384, "ES512": self.es512,
                "EdDSA": self.ed25519}[alg]

    def key_set(self):
        return {"keys": [
            *(key.jwk() for key in self.signing()),
            self.rs512_only.jwk(alg="RS512"),
            self.encryption.jwk(use="enc"),
        ]}


@functools.cache
def keys():
    return Keys()


def claims(**changes):
    """What the standard issuer would say; DROP removes a claim, a function gets the time."""
    now = int(time.time())
    standard = {"iss": ISSUER, "aud": AUDIENCE, "sub": "alice", "scope": "orders:read",
                "iat": now, "exp": now + 3600}
    merged = {name: value(now) if callable(value) else value
              for name, value in {**standard, **changes}.items()}
    return {name: value for name, value in merged.items() if value is not DROP}


def encode(value):
    """Bytes and text as they are, anything else as JSON."""
    if isinstance(value, (bytes, str)):
        return b64(value)
    return b64(json.dumps(value, separators=(",", ":")))


def mint(payload=None, *, key=None, alg=None, header=None, signature=None, secret=None, **changes):
    """A compact JWS. `header` changes header members (or is raw text), `payload` replaces the
    claims (raw text allowed), `changes` change single claims, `signature` replaces the bytes or
    maps them."""
    key = key or keys().rsa
    alg = alg or ("HS256" if secret else key.alg)
    if isinstance(header, (bytes, str)):
        protected = header
    else:
        members = {"alg": alg, "typ": "at+jwt", "kid": "secret" if secret else key.kid}
        if secret:
            del members["kid"]
        merged = {**members, **(header or {})}
        protected = {name: value for name, value in merged.items() if value is not DROP}
    body = claims(**changes) if payload is None else payload
    signed = f"{encode(protected)}.{encode(body)}"
    if signature is None or callable(signature):
        if secret is not None:
            made = hmac.new(secret, signed.encode(), getattr(hashlib, f"sha{alg[2:]}")).digest()
        else:
            made = key.sign(alg, signed.encode())
        signature = signature(made) if callable(signature) else made
    return f"{signed}.{b64(signature)}"
