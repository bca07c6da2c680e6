#!/usr/bin/env python3
"""Writes run/jwks.json with a fresh key and run/tls.pem with a certificate for localhost, and prints
a token for the name and scopes given."""

import datetime
import ipaddress
import json
import pathlib
import sys
import time

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from joserfc import jwt
from joserfc.jwk import ECKey

run = pathlib.Path(__file__).resolve().parent / "run"
run.mkdir(exist_ok=True)

tls_key = ec.generate_private_key(ec.SECP256R1())
name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Example")])
now = datetime.datetime.now(datetime.timezone.utc)
certificate = (
    x509.CertificateBuilder()
    .subject_name(name).issuer_name(name).public_key(tls_key.public_key())
    .serial_number(x509.random_serial_number())
    .not_valid_before(now - datetime.timedelta(hours=1))
    .not_valid_after(now + datetime.timedelta(days=7))
    .add_extension(x509.SubjectAlternativeName([
        x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
    .sign(tls_key, hashes.SHA256()))
(run / "tls.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
(run / "tls.key").write_bytes(tls_key.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))

key = ECKey.generate_key("P-256", {"kid": "prices", "use": "sig", "alg": "ES256"})
(run / "jwks.json").write_text(json.dumps({"keys": [key.as_dict(private=False)]}))
subject, *scopes = sys.argv[1:]
claims = {
    "iss": "https://login.prices.example/",
    "aud": "https://prices.example",
    "sub": subject,
    "scope": " ".join(scopes),
    "exp": int(time.time()) + 3600,
}
print(jwt.encode({"alg": "ES256", "kid": "prices"}, claims, key, algorithms=["ES256"]))
