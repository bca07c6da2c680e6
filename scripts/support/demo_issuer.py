"""The demo's issuer: fresh keys, their JWK Set, and tokens for each case worth showing."""

import json
import time

from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

ISSUER = "https://issuer.demo.example/"
AUDIENCE = "https://api.demo.example"
HOUR = 3600


class Issuer:
    """Holds an RS256 and two ES256 keys and signs access tokens with them."""

    def __init__(self):
        self.rsa = RSAKey.generate_key(2048, {"kid": "demo-rs256", "use": "sig", "alg": "RS256"})
        self.ec = ECKey.generate_key("P-256", {"kid": "demo-es256", "use": "sig", "alg": "ES256"})
        # Not in the key set at first: what a rotation brings.
        self.next = ECKey.generate_key("P-256", {"kid": "demo-next", "use": "sig", "alg": "ES256"})

    def key_set(self, *, rotated=False):
        """The JWK Set as text."""
        keys = [self.rsa, self.ec] + ([self.next] if rotated else [])
        return json.dumps({"keys": [key.as_dict(private=False) for key in keys]}, indent=2)

    def write_key_set(self, path):
        """Replaces the file in one step, so that a reader never sees half of it."""
        fresh = path.with_suffix(".new")
        fresh.write_text(self.key_set())
        fresh.replace(path)

    def write_public_key(self, algorithm, path):
        """As PEM, for those who do not read JWK Sets."""
        key = self.rsa if algorithm == "RS256" else self.ec
        path.write_bytes(key.as_pem(private=False))

    def token(self, algorithm="ES256", *, scope, expires_in=12 * HOUR, rotated=False):
        key = self.next if rotated else self.rsa if algorithm == "RS256" else self.ec
        now = int(time.time())
        header = {"alg": algorithm, "typ": "at+jwt", "kid": key.kid}
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": "alice",
            "scope": scope,
            "iat": now + min(expires_in, 0) - 60,
            "exp": now + expires_in,
        }
        return jwt.encode(header, claims, key, algorithms=["RS256", "ES256"])
