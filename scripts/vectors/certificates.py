#!/usr/bin/env python3
"""Writes Tests/OpenSSLTests/CertificateVectors.swift: authorities, and certificates that are right
or wrong in each way that a TLS peer's can be. Needs the PyPI package `cryptography`.

Keys are new at each run. All that should be valid is so from 2020 to 2120."""

import datetime
import ipaddress
import pathlib

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

BEGIN = datetime.datetime(2020, 1, 1)
PAST = datetime.datetime(2021, 1, 1)
END = datetime.datetime(2120, 1, 1)
SERVER = ExtendedKeyUsageOID.SERVER_AUTH
CLIENT = ExtendedKeyUsageOID.CLIENT_AUTH

CERTIFICATES = {}
KEYS = {}
STAPLES = {}


def pem(certificate):
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def key_pem(key, password=None):
    cipher = (
        serialization.BestAvailableEncryption(password)
        if password
        else serialization.NoEncryption()
    )
    encoded = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, cipher
    )
    return encoded.decode()


def name(common_name, *more):
    parts = [x509.NameAttribute(NameOID.COMMON_NAME, common_name)] if common_name else []
    return x509.Name(parts + [x509.NameAttribute(oid, text) for oid, text in more])


def issue(subject, key, issuer, *, names=(), usage=None, is_authority=False, end=END):
    """`issuer` is (certificate, key), or None for one that signs itself."""
    authority, authority_key = issuer or (None, key)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(authority.subject if authority else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(BEGIN)
        .not_valid_after(end)
        .add_extension(x509.BasicConstraints(is_authority, None), critical=True)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), False
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(list(names)), False)
    if usage:
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), False)
    return builder.sign(authority_key, hashes.SHA256())


def authority(label, common_name, issuer=None):
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = issue(name(common_name), key, issuer, is_authority=True)
    CERTIFICATES[label] = pem(certificate)
    return certificate, key


def dns(*hosts):
    return [x509.DNSName(host) for host in hosts]


def staple(certificate, issuer, end):
    begin = BEGIN if end is None or end < END else datetime.datetime(2024, 1, 1)
    return (
        ocsp.OCSPResponseBuilder()
        .add_response(
            certificate,
            issuer[0],
            hashes.SHA1(),
            ocsp.OCSPCertStatus.GOOD,
            begin,
            end,
            None,
            None,
        )
        .responder_id(ocsp.OCSPResponderEncoding.HASH, issuer[0])
        .sign(issuer[1], hashes.SHA256())
        .public_bytes(serialization.Encoding.DER)
    )


def servers(root, other_root, middle):
    key = ec.generate_private_key(ec.SECP256R1())
    rsa_key = rsa.generate_private_key(65537, 2048)
    edwards = ed25519.Ed25519PrivateKey.generate()
    KEYS.update(
        ec=key_pem(key),
        rsa=key_pem(rsa_key),
        ed25519=key_pem(edwards),
        encrypted=key_pem(key, b"secret"),
    )

    def server(label, names, *, key=key, issuer=root, common_name="server", **more):
        made = issue(name(common_name), key, issuer, names=names, **more)
        CERTIFICATES[label] = pem(made)
        return made

    ecdsa = server("a", dns("a.example.com", "A2.Example.com"))
    plain = server("a-rsa", dns("a.example.com", "rsa.example.com"), key=rsa_key)
    server("a-ed25519", dns("a.example.com"), key=edwards)
    server("wildcard", dns("*.example.com"))
    server("wildcard-rsa", dns("*.example.com"), key=rsa_key)
    server("b", dns("b.test", "c.test"))
    server("common-name", (), common_name="cn.example.com")
    server("common-name-beside", dns("other.test"), common_name="cn.example.com")
    server("expired", dns("a.example.com"), end=PAST)
    server("for-clients", dns("a.example.com"), usage=CLIENT)
    server("for-servers", dns("a.example.com"), usage=SERVER)
    server("partial-wildcard", dns("w*.example.com"))
    server("nul", dns("a.example.com\0.evil.test"))
    server("untrusted", dns("a.example.com"), issuer=other_root)
    server("self-signed", dns("a.example.com"), issuer=None)
    server("top-wildcard", dns("*.com", "*"))
    addresses = ["127.0.0.1", "::1"]
    server("addresses", [x509.IPAddress(ipaddress.ip_address(text)) for text in addresses])
    server("address-as-name", dns("127.0.0.1"))
    below = server("below", dns("a.example.com"), issuer=middle)
    CERTIFICATES["chain"] = pem(below) + CERTIFICATES["middle"]
    STAPLES.update(
        a=staple(ecdsa, root, END),
        rsa=staple(plain, root, END),
        endless=staple(ecdsa, root, None),
        old=staple(ecdsa, root, PAST),
        failed=ocsp.OCSPResponseBuilder.build_unsuccessful(
            ocsp.OCSPResponseStatus.TRY_LATER
        ).public_bytes(serialization.Encoding.DER),
    )


def clients(root, other_root):
    key = ec.generate_private_key(ec.SECP256R1())
    KEYS["client"] = key_pem(key)

    def client(label, subject, issuer=root, **more):
        CERTIFICATES[label] = pem(issue(subject, key, issuer, **more))

    organisation = (NameOID.ORGANIZATION_NAME, "Müller, Söhne")
    client("client", name("alice", organisation), usage=CLIENT)
    client("client-any", name("bob"))
    client("client-expired", name("alice"), usage=CLIENT, end=PAST)
    client("client-server", name("alice"), usage=SERVER)
    client("client-untrusted", name("alice"), other_root, usage=CLIENT)
    client("client-self-signed", name("alice"), None, usage=CLIENT)
    client("client-control", name("a\nb,c=d"), usage=CLIENT)


def weak(root):
    key = rsa.generate_private_key(65537, 1024)
    KEYS["weak"] = key_pem(key)
    CERTIFICATES["weak"] = pem(issue(name("weak"), key, root, names=dns("a.example.com")))


def table(kind, rows):
    lines = ["", f"/// {kind}", f"let {kind.split()[0].lower()}: [String: String] = ["]
    for label, text in rows.items():
        lines += [f'    "{label}":', f'        "{text}",']
    return lines + ["]"]


def main():
    root = authority("root", "Bearward test root")
    other_root = authority("other-root", "Another root")
    middle = authority("middle", "Bearward test intermediate", root)
    client_root = authority("client-root", "Bearward test client root")
    servers(root, other_root, middle)
    clients(client_root, other_root)
    weak(root)

    def joined(rows):
        return {label: text.replace("\n", "\\n") for label, text in rows.items()}

    lines = ["// Written by scripts/vectors/certificates.py; do not edit."]
    lines += table("certificates in PEM, leaf first where there are several.", joined(CERTIFICATES))
    lines += table("keys in PEM; most certificates are for `ec`.", joined(KEYS))
    hexadecimal = {label: der.hex() for label, der in STAPLES.items()}
    lines += table("staples as hexadecimal: OCSP responses.", hexadecimal)
    target = pathlib.Path(__file__).parents[2] / "Tests/OpenSSLTests/CertificateVectors.swift"
    target.write_text("\n".join(lines + [""]))
    print(f"{len(CERTIFICATES)} certificates")


if __name__ == "__main__":
    main()
