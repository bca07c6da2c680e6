#!/usr/bin/env python3
"""Writes run/jwks.json with a fresh key and prints a token for each name given."""

import json
import pathlib
import sys
import time

from joserfc import jwt
from joserfc.jwk import ECKey

run = pathlib.Path(__file__).resolve().parent / "run"
run.mkdir(exist_ok=True)
key = ECKey.generate_key("P-256", {"kid": "notes", "use": "sig", "alg": "ES256"})
(run / "jwks.json").write_text(json.dumps({"keys": [key.as_dict(private=False)]}))
for name in sys.argv[1:]:
    claims = {
        "iss": "https://login.notes.example/",
        "aud": "https://notes.example",
        "sub": name,
        "scope": "notes:read notes:write",
        "exp": int(time.time()) + 3600,
    }
    print(jwt.encode({"alg": "ES256", "kid": "notes"}, claims, key, algorithms=["ES256"]))
