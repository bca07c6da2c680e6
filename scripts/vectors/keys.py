"""The private keys that test vectors are signed with. All are public knowledge: the RSA key is that of
RFC 7520, section 3.4, the others are made of fixed seeds. Nothing outside of the tests trusts them."""

import base64
import hashlib

from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa

RSA_N = "n4EPtAOCc9AlkeQHPzHStgAbgs7bTZLwUBZdR8_KuKPEHLd4rHVTeT-O-XV2jRojdNhxJWTDvNd7nqQ0VEiZQHz_AJmSCpMaJMRBSFKrKb2wqVwGU_NsYOYL-QtiWN2lbzcEe6XC0dApr5ydQLrHqkHHig3RBordaZ6Aj-oBHqFEHYpPe7Tpe-OfVfHd1E6cS6M1FZcD1NNLYD5lFHpPI9bTwJlsde3uhGqC0ZCuEHg8lhzwOHrtIQbS0FVbb9k3-tVTU4fg_3L_vniUFAKwuCLqKnS2BYwdq_mzSnbLY7h_qixoR7jig3__kRhuaxwUkRz5iaiQkqgc5gHdrNP5zw"
RSA_D = "bWUC9B-EFRIo8kpGfh0ZuyGPvMNKvYWNtB_ikiH9k20eT-O1q_I78eiZkpXxXQ0UTEs2LsNRS-8uJbvQ-A1irkwMSMkK1J3XTGgdrhCku9gRldY7sNA_AKZGh-Q661_42rINLRCe8W-nZ34ui_qOfkLnK9QWDDqpaIsA-bMwWWSDFu2MUBYwkHTMEzLYGqOe04noqeq1hExBTHBOBdkMXiuFhUq1BU6l-DqEiWxqg82sXt2h-LMnT3046AOYJoRioz75tSUQfGCshWTBnP5uDjd18kKhyv07lhfSJdrPdM5Plyl21hsFf4L_mHCuoFau7gdsPfHPxxjVOcOpBrQzwQ"


def unbase64(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def rsa_numbers():
    return (
        int.from_bytes(unbase64(RSA_N), "big"),
        65537,
        int.from_bytes(unbase64(RSA_D), "big"),
    )


def rsa_key():
    n, e, d = rsa_numbers()
    p, q = rsa.rsa_recover_prime_factors(n, e, d)
    numbers = rsa.RSAPrivateNumbers(
        p, q, d, d % (p - 1), d % (q - 1), rsa.rsa_crt_iqmp(p, q), rsa.RSAPublicNumbers(e, n)
    )
    return numbers.private_key()


def seed(name, count):
    return hashlib.shake_256(name.encode()).digest(count)


def ec_key(curve, name):
    return ec.derive_private_key(int.from_bytes(seed(name, 30), "big"), curve)


def keys():
    """Every key by the name that the tests use."""
    return {
        "rsa": rsa_key(),
        "p256": ec_key(ec.SECP256R1(), "p256"),
        "p384": ec_key(ec.SECP384R1(), "p384"),
        "p521": ec_key(ec.SECP521R1(), "p521"),
        "ed25519": ed25519.Ed25519PrivateKey.from_private_bytes(seed("ed25519", 32)),
        "ed448": ed448.Ed448PrivateKey.from_private_bytes(seed("ed448", 57)),
    }


# At least as long as SHA-512's output, so that it serves all three algorithms.
SECRET = seed("secret", 64)
