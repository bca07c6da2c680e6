#!/usr/bin/env python3
"""Writes Tests/JWTTests/TokenVectors.swift: the keys of keys.py as JWKs, and tokens minted with them by
joserfc, which shares no code with us. Needs the PyPI packages `joserfc` and `cryptography`."""

import json
import pathlib

from joserfc import jws
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from keys import SECRET, keys

ALGORITHMS = {
    "rsa": ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"],
    "p256": ["ES256"],
    "p384": ["ES384"],
    "p521": ["ES512"],
    "ed25519": ["EdDSA", "Ed25519"],
    "ed448": ["EdDSA", "Ed448"],
}
CLAIMS = {
    "iss": "https://login.example.com/",
    "aud": "https://api.example.com",
    "sub": "alice",
    "jti": "t-1",
    "iat": 1_700_000_000,
    "exp": 1_700_003_600,
    "scope": "orders:read orders:write",
}
ATTACKER = RSAKey.generate_key(2048, private=True, auto_kid=False)


def jwk(name, key):
    kinds = {"rsa": RSAKey, "ed": OKPKey, "p": ECKey}
    kind = next(kind for prefix, kind in kinds.items() if name.startswith(prefix))
    return kind.import_key(key)


def mint(header, key, claims=CLAIMS):
    registry = jws.JWSRegistry(algorithms=[header["alg"]], strict_check_header=False)
    return jws.serialize_compact(header, json.dumps(claims), key, registry=registry)


def public(key):
    return {name: value for name, value in key.as_dict(private=False).items() if name != "kid"}


def main():
    ours = {name: jwk(name, key) for name, key in keys().items()}
    secret = OctKey.import_key(SECRET)
    rows = []
    for name, algorithms in ALGORITHMS.items():
        for algorithm in algorithms:
            token = mint({"alg": algorithm, "kid": name}, ours[name])
            rows.append((f"{algorithm} with {name}", token, name))
    for algorithm in ("HS256", "HS384", "HS512"):
        rows.append((algorithm, mint({"alg": algorithm}, secret), "secret"))

    named = {
        "noKeyID": mint({"alg": "RS256", "typ": "JWT"}, ours["rsa"]),
        "noKeyIDP256": mint({"alg": "ES256"}, ours["p256"]),
        "foreignKeyID": mint({"alg": "RS256", "kid": "other"}, ours["rsa"]),
        "keyIDOfAnotherFamily": mint({"alg": "RS256", "kid": "p256"}, ours["rsa"]),
        "oddKeyID": mint({"alg": "RS256", "kid": "a+b/c=="}, ours["rsa"]),
        "embeddedKeys": mint(
            {
                "alg": "RS256",
                "kid": "rsa",
                "jwk": public(ATTACKER),
                "jku": "https://attacker.example/jwks.json",
                "x5u": "https://attacker.example/chain.pem",
                "x5c": ["AAAA"],
            },
            ours["rsa"],
        ),
        "forgedWithEmbeddedKey": mint(
            {"alg": "RS256", "kid": "rsa", "jwk": public(ATTACKER)}, ATTACKER
        ),
        "forgedWithoutKeyID": mint({"alg": "RS256", "jwk": public(ATTACKER)}, ATTACKER),
    }

    lines = [
        "// Written by scripts/vectors/tokens.py; do not edit.",
        "",
        "/// The public keys, as members of a JWK Set without `kid`.",
        "let publicJWKs: [String: String] = [",
    ]
    for name, key in ours.items():
        members = json.dumps(public(key), separators=(",", ":"), sort_keys=True)
        lines += [f'    "{name}":', f'        #"{members}"#,']
    lines += [
        "]",
        "",
        "/// A private key, which no set should carry.",
        "let privateJWK =",
        f'    #"{json.dumps(ours["p256"].as_dict(private=True), separators=(",", ":"), sort_keys=True)}"#',
        "",
        "/// The secret of the HMAC tokens, in base64url.",
        f'let sharedSecret = "{secret.as_dict(private=True)["k"]}"',
        "",
        "/// Name, token, and the key it was made with, which is its `kid` too.",
        "let mintedTokens: [(name: String, token: String, key: String)] = [",
    ]
    for name, token, key in rows:
        lines += [f'    ("{name}",', f'        "{token}",', f'        "{key}"),']
    lines += ["]", "", "/// Tokens with headers of their own.", "enum Minted {"]
    for name, token in named.items():
        lines += [f"    static let {name} =", f'        "{token}"']
    lines += ["}", ""]
    target = pathlib.Path(__file__).parents[2] / "Tests/JWTTests/TokenVectors.swift"
    target.write_text("\n".join(lines))
    print(f"{len(rows) + len(named)} tokens")


if __name__ == "__main__":
    main()
