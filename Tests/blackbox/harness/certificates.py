"""Certificates good and bad: authorities, and leaves with any name, purpose, time and key.

    authority = Authority()
    leaf = authority.issue("api.test")
    leaf.files(folder)      # {"certificate": "api.test.pem", "privateKey": "api.test.key"}
"""

import base64
import datetime
import functools
import hashlib
import ipaddress

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

USAGES = {"server": ExtendedKeyUsageOID.SERVER_AUTH, "client": ExtendedKeyUsageOID.CLIENT_AUTH,
          "code": ExtendedKeyUsageOID.CODE_SIGNING}
DAY = datetime.timedelta(days=1)


def now():
    return datetime.datetime.now(datetime.UTC).replace(microsecond=0)


def make_key(kind="p256"):
    if kind.startswith("rsa"):
        return rsa.generate_private_key(public_exponent=65537, key_size=int(kind[3:]))
    if kind == "ed25519":
        return ed25519.Ed25519PrivateKey.generate()
    curve = {"p256": ec.SECP256R1, "p384": ec.SECP384R1, "p521": ec.SECP521R1}[kind]
    return ec.generate_private_key(curve())


@functools.cache
def kept_key(kind, use):
    """RSA keys take a while to make; one key may stand in many tests' certificates."""
    return make_key(kind)


def distinguished(name):
    """A Name of text (the common name), of (OID, text) pairs, or a Name as it is."""
    if isinstance(name, x509.Name):
        return name
    pairs = [(NameOID.COMMON_NAME, name)] if isinstance(name, str) else (name or [])
    return x509.Name([x509.NameAttribute(oid, text, _validate=False) for oid, text in pairs])


def general_name(name):
    """A DNS name, whatever is in it, or an IP address."""
    if isinstance(name, x509.GeneralName):
        return name
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def key_usage(*, signs_certificates):
    return x509.KeyUsage(
        digital_signature=True, content_commitment=False, key_encipherment=False,
        data_encipherment=False, key_agreement=False, key_cert_sign=signs_certificates,
        crl_sign=signs_certificates, encipher_only=False, decipher_only=False)


class Leaf:
    """A certificate with its key and the intermediates that go with it."""

    def __init__(self, certificate, key, chain=()):
        self.certificate = certificate
        self.key = key
        self.chain = list(chain)

    @property
    def pem(self):
        """The chain, leaf first."""
        encoding = serialization.Encoding.PEM
        return b"".join(each.public_bytes(encoding) for each in [self.certificate, *self.chain])

    def key_pem(self, password=None):
        protection = (serialization.BestAvailableEncryption(password) if password
                      else serialization.NoEncryption())
        return self.key.private_bytes(serialization.Encoding.PEM,
                                      serialization.PrivateFormat.PKCS8, protection)

    @property
    def der(self):
        return self.certificate.public_bytes(serialization.Encoding.DER)

    @property
    def serial(self):
        return self.certificate.serial_number

    @property
    def thumbprint(self):
        """As `x5t#S256` of RFC 8705: base64url of the DER's SHA-256, unpadded."""
        return base64.urlsafe_b64encode(hashlib.sha256(self.der).digest()).rstrip(b"=").decode()

    def write(self, folder, name):
        """Two PEM files; their paths."""
        certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
        certificate.write_bytes(self.pem)
        key.write_bytes(self.key_pem())
        return certificate, key

    def files(self, folder, name):
        """The same as members of a `tls` block, relative to the folder."""
        certificate, key = self.write(folder, name)
        return {"certificate": certificate.name, "privateKey": key.name}


class Authority(Leaf):
    """A root, or an intermediate under `parent`."""

    def __init__(self, name="Black Box Root", kind="p256", parent=None, **more):
        key = kept_key(kind, name)
        issuer, signer = (parent.certificate.subject, parent.key) if parent else (name, key)
        certificate = build(
            name, key.public_key(), issuer, signer, extensions=[
                (x509.BasicConstraints(ca=True, path_length=None), True),
                (key_usage(signs_certificates=True), True),
            ], **more)
        super().__init__(certificate, key)
        # What a leaf of ours must send so that a peer which knows the root finds the way.
        self.below = [certificate, *parent.below] if parent else []

    def issue(self, *names, cn=None, usages=("server",), kind="p256", key=None, san_raw=None,
              extensions=(), **more):
        """A leaf for DNS names and addresses; without names there is no SAN. `usages` of None
        leaves the purpose out. `san_raw` is the SAN extension's DER as it shall stand."""
        key = key or make_key(kind)
        added = [(x509.BasicConstraints(ca=False, path_length=None), True),
                 (key_usage(signs_certificates=False), True)]
        if names:
            added.append((x509.SubjectAlternativeName([general_name(n) for n in names]), False))
        if san_raw is not None:
            oid = x509.oid.ExtensionOID.SUBJECT_ALTERNATIVE_NAME
            added.append((x509.UnrecognizedExtension(oid, san_raw), False))
        if usages is not None:
            added.append((x509.ExtendedKeyUsage([USAGES[u] for u in usages]), False))
        if cn is None:
            is_short = names and isinstance(names[0], str) and len(names[0]) <= 64
            cn = names[0] if is_short else "black box"
        certificate = build(cn, key.public_key(), self.certificate.subject, self.key,
                            extensions=[*added, *extensions], **more)
        return Leaf(certificate, key, self.below)

    def trust(self, folder, name="ca"):
        """The authority's own certificate as a file; its name."""
        (folder / f"{name}.pem").write_bytes(self.pem)
        return f"{name}.pem"

    def staple(self, leaf, status=ocsp.OCSPCertStatus.GOOD, age=DAY / 24):
        """A DER OCSP response about a leaf."""
        produced = now() - age
        builder = ocsp.OCSPResponseBuilder().add_response(
            cert=leaf.certificate, issuer=self.certificate, algorithm=hashes.SHA1(),
            cert_status=status, this_update=produced, next_update=produced + 7 * DAY,
            revocation_time=produced if status == ocsp.OCSPCertStatus.REVOKED else None,
            revocation_reason=None,
        ).responder_id(ocsp.OCSPResponderEncoding.HASH, self.certificate)
        signed = builder.sign(self.key, hashes.SHA256())
        return signed.public_bytes(serialization.Encoding.DER)


def build(subject, public_key, issuer, signer, *, extensions, not_before=None, not_after=None,
          digest=hashes.SHA256):
    builder = (x509.CertificateBuilder()
               .subject_name(distinguished(subject)).issuer_name(distinguished(issuer))
               .public_key(public_key).serial_number(x509.random_serial_number())
               .not_valid_before(not_before or now() - DAY)
               .not_valid_after(not_after or now() + 30 * DAY))
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical=critical)
    # OpenSSL finds an issuer by name and key identifier; without these, one renewed under the
    # same name is ambiguous.
    identifier = x509.SubjectKeyIdentifier.from_public_key(public_key)
    authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())
    builder = builder.add_extension(identifier, critical=False)
    builder = builder.add_extension(authority, critical=False)
    is_edwards = isinstance(signer, ed25519.Ed25519PrivateKey)
    return builder.sign(signer, None if is_edwards else digest())


def self_signed(*names, kind="p256", **more):
    """A leaf that nobody vouches for but itself."""
    key = make_key(kind)
    certificate = build(
        names[0], key.public_key(), names[0], key, extensions=[
            (x509.BasicConstraints(ca=False, path_length=None), True),
            (x509.SubjectAlternativeName([general_name(n) for n in names]), False),
            (x509.ExtendedKeyUsage([USAGES["server"]]), False),
        ], **more)
    return Leaf(certificate, key)


def replace(path, data):
    """An atomic rename, as deployment tools do it: never a half-written file."""
    beside = path.with_name(path.name + ".new")
    beside.write_bytes(data)
    beside.replace(path)
