"""TLS 1.3 records made by hand, for what no library would send (RFC 8446 §5 and §7)."""

import pathlib
import struct
import tempfile

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

HANDSHAKE, ALERT, DATA, CHANGE_CIPHER = 22, 21, 23, 20
SUITES = {"TLS_AES_128_GCM_SHA256": (hashes.SHA256, 16, AESGCM),
          "TLS_AES_256_GCM_SHA384": (hashes.SHA384, 32, AESGCM),
          "TLS_CHACHA20_POLY1305_SHA256": (hashes.SHA256, 32, ChaCha20Poly1305)}


def expand(digest, secret, label, length):
    """HKDF-Expand-Label with an empty context."""
    name = b"tls13 " + label
    info = struct.pack("!HB", length, len(name)) + name + b"\0"
    return HKDFExpand(digest(), length, info).derive(secret)


class Sealer:
    """One direction's records under its traffic secret."""

    def __init__(self, suite, secret, sequence=0):
        self.digest, self.key_length, self.cipher = SUITES[suite]
        self.secret = secret
        self.sequence = sequence
        self._derive()

    def _derive(self):
        key = expand(self.digest, self.secret, b"key", self.key_length)
        self.initial = expand(self.digest, self.secret, b"iv", 12)
        self.aead = self.cipher(key)

    def update(self):
        """The next generation of keys, after a KeyUpdate of ours."""
        self.secret = expand(self.digest, self.secret, b"traffic upd", self.digest.digest_size)
        self.sequence = 0
        self._derive()

    def record(self, kind, data=b"", *, padding=0, spoil=False, inner=None):
        """A record that holds `data`; `inner` replaces the whole inner plaintext."""
        plain = data + bytes([kind]) + bytes(padding) if inner is None else inner
        head = struct.pack("!BHH", DATA, 0x0303, len(plain) + 16)
        counter = self.sequence.to_bytes(12, "big")
        nonce = bytes(a ^ b for a, b in zip(self.initial, counter))
        self.sequence += 1
        sealed = self.aead.encrypt(nonce, plain, head)
        if spoil:
            sealed = sealed[:-1] + bytes([sealed[-1] ^ 1])
        return head + sealed

    def key_update(self, *, asks=False):
        """The message in its record; the keys change with it."""
        made = self.record(HANDSHAKE, message(24, bytes([asks])))
        self.update()
        return made


def message(kind, body):
    return bytes([kind]) + len(body).to_bytes(3, "big") + body


class KeyLog:
    """Lets a context tell its secrets; `secret(label)` is the newest of that kind."""

    def __init__(self, context):
        self.path = pathlib.Path(tempfile.mkstemp()[1])
        context.keylog_filename = str(self.path)

    def secret(self, label):
        found = [line.split() for line in self.path.read_text().splitlines()
                 if line.startswith(label + " ")]
        return bytes.fromhex(found[-1][2])

    def close(self):
        self.path.unlink(missing_ok=True)


def client_sealer(connection, log):
    """What a client of ours may send after its handshake, when it has sent nothing yet."""
    return Sealer(connection.tls.cipher()[0], log.secret("CLIENT_TRAFFIC_SECRET_0"))


def server_sealer(secured, log, sent=0):
    """The same for a server, after `sent` records under its traffic keys, such as tickets."""
    return Sealer(secured.tls.cipher()[0], log.secret("SERVER_TRAFFIC_SECRET_0"), sent)
