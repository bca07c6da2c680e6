"""Writes Tests/fixtures/configuration/tls: certificates and keys that a configuration may name, good
and bad. Run it with the Python of scripts/venv; the files differ each time, their faults do not."""

import datetime
import pathlib

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

FOLDER = pathlib.Path(__file__).parents[2] / "Tests/fixtures/configuration/tls"
BEGIN = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)
END = datetime.datetime(2126, 1, 1, tzinfo=datetime.timezone.utc)
PEM = serialization.Encoding.PEM


def name(text):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def certificate(subject, key, issuer, issuer_key, *extensions):
    builder = (
        x509.CertificateBuilder()
        .subject_name(name(subject))
        .issuer_name(name(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(BEGIN)
        .not_valid_after(END)
    )
    for extension in extensions:
        builder = builder.add_extension(extension, isinstance(extension, x509.BasicConstraints))
    return builder.sign(issuer_key, hashes.SHA256())


def leaf(host, key, ca_key, usage=ExtendedKeyUsageOID.SERVER_AUTH):
    return certificate(
        host,
        key,
        "Test CA",
        ca_key,
        x509.SubjectAlternativeName([x509.DNSName(host)]),
        x509.ExtendedKeyUsage([usage]),
    )


def staple(about, ca, ca_key):
    return (
        ocsp.OCSPResponseBuilder()
        .add_response(
            about, ca, hashes.SHA256(), ocsp.OCSPCertStatus.GOOD, BEGIN, END, None, None
        )
        .responder_id(ocsp.OCSPResponderEncoding.NAME, ca)
        .sign(ca_key, hashes.SHA256())
        .public_bytes(serialization.Encoding.DER)
    )


def key_text(key, encryption=serialization.NoEncryption()):
    return key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, encryption)


def main():
    FOLDER.mkdir(parents=True, exist_ok=True)
    ca_key = ec.generate_private_key(ec.SECP256R1())
    ca = certificate("Test CA", ca_key, "Test CA", ca_key, x509.BasicConstraints(True, None))
    keys = {
        "api": ec.generate_private_key(ec.SECP256R1()),
        "rsa": rsa.generate_private_key(65537, 2048),
        "weak": rsa.generate_private_key(65537, 1024),
        "client": ec.generate_private_key(ec.SECP256R1()),
    }
    files = {
        "ca.pem": ca.public_bytes(PEM),
        "encrypted.key": key_text(
            keys["api"], serialization.BestAvailableEncryption(b"passphrase")
        ),
        "text.pem": b"no PEM\n",
        "broken.pem": b"-----BEGIN CERTIFICATE-----\nbm8=\n-----END CERTIFICATE-----\n",
        "broken.key": b"-----BEGIN PRIVATE KEY-----\nbm8=\n-----END PRIVATE KEY-----\n",
        "broken.ocsp": b"no DER\n",
    }
    for label, key in keys.items():
        usage = ExtendedKeyUsageOID.SERVER_AUTH
        if label == "client":
            usage = ExtendedKeyUsageOID.CLIENT_AUTH
        own = leaf(f"{label}.example.com", key, ca_key, usage)
        files[f"{label}.pem"] = own.public_bytes(PEM) + ca.public_bytes(PEM)
        files[f"{label}.key"] = key_text(key)
        if label in ("api", "rsa"):
            files[f"{label}.ocsp"] = staple(own, ca, ca_key)
    for file, contents in files.items():
        (FOLDER / file).write_bytes(contents)


if __name__ == "__main__":
    main()
