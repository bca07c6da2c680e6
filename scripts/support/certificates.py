"""A self-signed ECDSA P-256 certificate for localhost, in the shapes that each proxy reads."""

import datetime
import ipaddress
import pathlib

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


class Certificate:
    """`certificate` and `key` are PEM files; `bundle` holds both, as HAProxy wants them."""

    def __init__(self, folder, name="localhost"):
        self.certificate = pathlib.Path(folder, f"{name}.crt")
        self.key = pathlib.Path(folder, f"{name}.key")
        self.bundle = pathlib.Path(folder, f"{name}.pem")
        self.serial = None
        self.replace()

    def replace(self):
        """A new key and certificate in the same files, one file after the other as tools do it:
        for a moment the two do not fit together."""
        key = ec.generate_private_key(ec.SECP256R1())
        issued = _issue(key)
        self.serial = issued.serial_number
        certificate = issued.public_bytes(serialization.Encoding.PEM)
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption())
        for path, content in ((self.certificate, certificate), (self.key, private),
                              (self.bundle, certificate + private)):
            fresh = path.with_suffix(path.suffix + ".new")
            fresh.write_bytes(content)
            fresh.replace(path)


def _issue(key):
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.timezone.utc)
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    return (
        x509.CertificateBuilder().subject_name(name).issuer_name(name)
        .public_key(key.public_key()).serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=30))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
