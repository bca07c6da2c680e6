#!/usr/bin/env python3
"""Writes Tests/OpenSSLTests/SignatureVectors.swift: signatures that are right, and ones that are wrong in
each way that a private key is needed to make. Needs the PyPI package `cryptography`."""

import hashlib
import hmac
import math
import pathlib

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from keys import SECRET, keys, rsa_numbers

MESSAGE = b"eyJhbGciOiJ4In0.e30"
HASHES = {256: hashes.SHA256(), 384: hashes.SHA384(), 512: hashes.SHA512()}
ORDERS = {
    "p256": 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
    "p384": int(
        "FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF"
        "581A0DB248B0A77AECEC196ACCC52973",
        16,
    ),
    "p521": int(
        "1" + "F" * 65 + "A51868783BF2F966B7FCC0148F709A5D03BB5C9B8899C47AEBB6FB71E91386409", 16
    ),
}
ROWS = []


def row(name, key, algorithm, signature, valid):
    ROWS.append((name, key, algorithm, signature.hex(), valid))


def raw_rsa(block):
    n, _, d = rsa_numbers()
    return pow(int.from_bytes(block, "big"), d, n).to_bytes(256, "big")


def rsa_rows(key):
    n = rsa_numbers()[0]
    for bits, hash_ in HASHES.items():
        good = key.sign(MESSAGE, padding.PKCS1v15(), hash_)
        row(f"RS{bits}", "rsa", f"rs{bits}", good, True)
        row(f"RS{bits} flipped bit", "rsa", f"rs{bits}", bytes([good[0] ^ 1]) + good[1:], False)
        pss = padding.PSS(padding.MGF1(hash_), bits // 8)
        salted = key.sign(MESSAGE, pss, hash_)
        row(f"PS{bits}", "rsa", f"ps{bits}", salted, True)
        row(f"PS{bits} as RS{bits}", "rsa", f"rs{bits}", salted, False)
        row(f"RS{bits} as PS{bits}", "rsa", f"ps{bits}", good, False)
        for salt in (0, bits // 8 - 1, bits // 8 + 1):
            wrong = key.sign(MESSAGE, padding.PSS(padding.MGF1(hash_), salt), hash_)
            row(f"PS{bits} salt of {salt}", "rsa", f"ps{bits}", wrong, False)
        other = HASHES[384 if bits == 256 else 256]
        wrong = key.sign(MESSAGE, padding.PSS(padding.MGF1(other), bits // 8), hash_)
        row(f"PS{bits} other MGF1 hash", "rsa", f"ps{bits}", wrong, False)
        wrong = key.sign(MESSAGE, padding.PKCS1v15(), other)
        row(f"RS{bits} other hash", "rsa", f"rs{bits}", wrong, False)
    good = key.sign(MESSAGE, padding.PKCS1v15(), HASHES[256])
    number = int.from_bytes(good, "big")
    row("RS256 signature + n", "rsa", "rs256", (number + n).to_bytes(257, "big"), False)
    row("RS256 leading zero", "rsa", "rs256", b"\0" + good, False)
    row("RS256 cut short", "rsa", "rs256", good[:-1], False)
    row("RS256 empty", "rsa", "rs256", b"", False)
    row("RS256 zero", "rsa", "rs256", bytes(256), False)
    row("RS256 one", "rsa", "rs256", bytes(255) + b"\1", False)
    row("RS256 n", "rsa", "rs256", n.to_bytes(256, "big"), False)
    info = bytes.fromhex("3031300d060960864801650304020105000420") + hashlib.sha256(MESSAGE).digest()
    bare = bytes.fromhex("302f300b0609608648016503040201") + b"\x04\x20" + info[-32:]
    blocks = {
        "bytes after the digest": b"\0\1" + b"\xff" * 8 + b"\0" + info + bytes(256 - 11 - len(info)),
        "block type 2": b"\0\2" + b"\xff" * (253 - len(info)) + b"\0" + info,
        "padding not all ff": b"\0\1" + b"\xff" * (252 - len(info)) + b"\xfe\0" + info,
        "no separator": b"\0\1" + b"\xff" * (254 - len(info)) + info,
        "no NULL parameters": b"\0\1" + b"\xff" * (253 - len(bare)) + b"\0" + bare,
        "bare digest": b"\0\1" + b"\xff" * (253 - 32) + b"\0" + info[-32:],
    }
    for name, block in blocks.items():
        row(f"RS256 padding: {name}", "rsa", "rs256", raw_rsa(block), False)


def ec_rows(name, key, bits, size):
    order = ORDERS[name]
    algorithm = f"es{bits}"
    der = key.sign(MESSAGE, ec.ECDSA(HASHES[bits]))
    r, s = decode_dss_signature(der)

    def raw(r, s, size=size):
        return r.to_bytes(size, "big") + s.to_bytes(size, "big")

    row(f"ES{bits}", name, algorithm, raw(r, s), True)
    row(f"ES{bits} the other s", name, algorithm, raw(r, order - s), True)
    row(f"ES{bits} DER", name, algorithm, der, False)
    row(f"ES{bits} DER filled up", name, algorithm, der.ljust(2 * size, b"\0")[: 2 * size], False)
    row(f"ES{bits} halves too long", name, algorithm, raw(r, s, size + 1), False)
    row(f"ES{bits} cut short", name, algorithm, raw(r, s)[:-1], False)
    row(f"ES{bits} one byte more", name, algorithm, raw(r, s) + b"\0", False)
    row(f"ES{bits} empty", name, algorithm, b"", False)
    row(f"ES{bits} swapped", name, algorithm, raw(s, r), False)
    for label, value in (("0", 0), ("1", 1), ("n", order), ("n - 1", order - 1)):
        row(f"ES{bits} r = {label}", name, algorithm, raw(value, s), False)
        row(f"ES{bits} s = {label}", name, algorithm, raw(r, value), False)
        row(f"ES{bits} both {label}", name, algorithm, raw(value, value), False)
    top = 1 << (8 * size)
    if r + order < top:
        row(f"ES{bits} r + n", name, algorithm, raw(r + order, s), False)
    if s + order < top:
        row(f"ES{bits} s + n", name, algorithm, raw(r, s + order), False)
    row(f"ES{bits} all ones", name, algorithm, b"\xff" * 2 * size, False)
    other = 384 if bits == 256 else 256
    r, s = decode_dss_signature(key.sign(MESSAGE, ec.ECDSA(HASHES[other])))
    row(f"ES{bits} over SHA-{other}", name, algorithm, raw(r, s), False)


# P-256 (SEC 2, section 2.4.2), for points that no ordinary signature leads to.
FIELD = 0xFFFFFFFF00000001000000000000000000000000FFFFFFFFFFFFFFFFFFFFFFFF
B = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B


def p256_points():
    """Public keys and signatures at which a formula for adding points would go wrong that is not
    complete, or a reduction be forgotten."""
    order = ORDERS["p256"]
    digest = int.from_bytes(hashlib.sha256(MESSAGE).digest(), "big")

    def multiple(factor):
        numbers = ec.derive_private_key(factor % order, ec.SECP256R1()).public_key().public_numbers()
        return numbers.x, numbers.y

    def negative(point):
        return point[0], FIELD - point[1]

    def raw(r, s):
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")

    generator = multiple(1)
    # With Q = (e/r)G both terms of the sum are the same point, with its negative they cancel out.
    half = 0x1234567890ABCDEF
    r = multiple(2 * half)[0] % order
    s = digest * pow(half, -1, order) % order
    same = multiple(digest * pow(r, -1, order))
    points = {"p256 doubled": same, "p256 cancelled": negative(same), "p256 generator": generator,
              "p256 minus generator": negative(generator)}
    row("ES256 both terms the same point", "p256 doubled", "es256", raw(r, s), True)
    row("ES256 terms that cancel out", "p256 cancelled", "es256", raw(r, s), False)
    for name, private in (("p256 generator", 1), ("p256 minus generator", order - 1)):
        r = multiple(half)[0] % order
        s = (digest + r * private) * pow(half, -1, order) % order
        row(f"ES256 {name}", name, "es256", raw(r, s), True)
        row(f"ES256 {name}, the other s", name, "es256", raw(r, order - s), True)
        row(f"ES256 {name}, r off by one", name, "es256", raw(r + 1, s), False)

    # A point whose x is not below the order: r is x less the order. Q = (sR - eG)/r.
    x = order
    while True:
        y = pow(x**3 - 3 * x + B, (FIELD + 1) // 4, FIELD)
        if (y * y - x**3 + 3 * x - B) % FIELD == 0 and x > order:
            break
        x += 1
    r, s = x - order, half
    scaled = times((x, y), s)
    q = times(plus(scaled, negative(multiple(digest))), pow(r, -1, order))
    points["p256 wrapped"] = q
    row("ES256 r is x less n", "p256 wrapped", "es256", raw(r, s), True)
    row("ES256 r is x itself", "p256 wrapped", "es256", raw(x, s), False)
    return {name: [f"{part:064x}" for part in point] for name, point in points.items()}


def plus(left, right):
    """The sum of two points of P-256, neither of which is at infinity, nor is the sum."""
    if left == right:
        slope = (3 * left[0] ** 2 - 3) * pow(2 * left[1], -1, FIELD) % FIELD
    else:
        slope = (right[1] - left[1]) * pow(right[0] - left[0], -1, FIELD) % FIELD
    x = (slope**2 - left[0] - right[0]) % FIELD
    return x, (slope * (left[0] - x) - left[1]) % FIELD


def times(point, factor):
    result = None
    for bit in bin(factor)[2:]:
        result = result and plus(result, result)
        if bit == "1":
            result = plus(result, point) if result else point
    return result


def exponent_rows():
    """Signatures for other exponents than 65537, with the same modulus. Returns their keys."""
    n, e, d = rsa_numbers()
    p, q = rsa.rsa_recover_prime_factors(n, e, d)
    group = (p - 1) * (q - 1)
    small = next(e for e in range(3, 1000, 2) if math.gcd(e, group) == 1)
    dense = next(e for e in range(2**64 - 1, 0, -2) if math.gcd(e, group) == 1)
    sparse = next(e for e in range(2**32 + 1, 2**33, 2) if math.gcd(e, group) == 1)
    info = bytes.fromhex("3031300d060960864801650304020105000420") + hashlib.sha256(MESSAGE).digest()
    block = b"\0\1" + b"\xff" * (253 - len(info)) + b"\0" + info
    known = {}
    for label, exponent in (("small", small), ("dense", dense), ("sparse", sparse)):
        name = f"rsa {label} exponent"
        known[name] = [f"{n:x}", f"{exponent:016x}"]
        good = pow(int.from_bytes(block, "big"), pow(exponent, -1, group), n).to_bytes(256, "big")
        row(f"RS256, {label} exponent", name, "rs256", good, True)
        row(f"RS256, {label} exponent, flipped bit", name, "rs256", good[:-1] + bytes([good[-1] ^ 1]), False)
        row(f"RS256, {label} exponent, the block itself", name, "rs256", block, False)
    return known


def size_rows():
    """Moduli whose first octet is not full, and larger ones. Returns their keys."""
    known = {}
    for bits in (2049, 3072, 4096):
        key = rsa.generate_private_key(65537, bits)
        name = f"rsa {bits} bits"
        known[name] = public_parts("rsa", key)
        if len(known[name][0]) % 2:
            known[name][0] = "0" + known[name][0]
        good = key.sign(MESSAGE, padding.PKCS1v15(), HASHES[512])
        row(f"RS512, {bits} bits", name, "rs512", good, True)
        row(f"RS512, {bits} bits, last bit", name, "rs512", good[:-1] + bytes([good[-1] ^ 1]), False)
        row(f"RS512, {bits} bits, as RS384", name, "rs384", good, False)
    return known


def edwards_rows(name, key, order, half):
    good = key.sign(MESSAGE)
    s = int.from_bytes(good[half:], "little")
    row(name, name, "edDSA", good, True)
    row(f"{name} by its own name", name, name, good, True)
    row(f"{name} by the other's name", name, "ed448" if name == "ed25519" else "ed25519", good, False)
    row(f"{name} S + L", name, "edDSA", good[:half] + (s + order).to_bytes(half, "little"), False)
    row(f"{name} S = 0", name, "edDSA", good[:half] + bytes(half), False)
    row(f"{name} R flipped", name, "edDSA", bytes([good[0] ^ 1]) + good[1:], False)
    row(f"{name} cut short", name, "edDSA", good[:-1], False)
    row(f"{name} one byte more", name, "edDSA", good + b"\0", False)
    row(f"{name} empty", name, "edDSA", b"", False)
    row(f"{name} zeros", name, "edDSA", bytes(2 * half), False)


def hmac_rows():
    for bits in (256, 384, 512):
        good = hmac.new(SECRET, MESSAGE, f"sha{bits}").digest()
        row(f"HS{bits}", "secret64", f"hs{bits}", good, True)
        row(f"HS{bits} cut short", "secret64", f"hs{bits}", good[:-1], False)
        row(f"HS{bits} one byte more", "secret64", f"hs{bits}", good + b"\0", False)
        row(f"HS{bits} empty", "secret64", f"hs{bits}", b"", False)
        row(f"HS{bits} last bit", "secret64", f"hs{bits}", good[:-1] + bytes([good[-1] ^ 1]), False)
    for bits, size, valid in ((256, 32, True), (384, 47, False), (384, 48, True), (512, 63, False)):
        code = hmac.new(SECRET[:size], MESSAGE, f"sha{bits}").digest()
        row(f"HS{bits} with {size} octets", f"secret{size}", f"hs{bits}", code, valid)
    row("HS256 as HS512", "secret64", "hs512", hmac.new(SECRET, MESSAGE, "sha256").digest(), False)


def public_parts(name, key):
    if name == "rsa":
        numbers = key.public_key().public_numbers()
        return [f"{numbers.n:x}", f"{numbers.e:06x}"]
    if name.startswith("ed"):
        return [key.public_key().public_bytes_raw().hex()]
    numbers = key.public_key().public_numbers()
    size = {"p256": 32, "p384": 48, "p521": 66}[name]
    return [numbers.x.to_bytes(size, "big").hex(), numbers.y.to_bytes(size, "big").hex()]


def main():
    known = keys()
    rsa_rows(known["rsa"])
    ec_rows("p256", known["p256"], 256, 32)
    ec_rows("p384", known["p384"], 384, 48)
    ec_rows("p521", known["p521"], 512, 66)
    ed25519_order = 2**252 + 27742317777372353535851937790883648493
    ed448_order = 2**446 - int("13818066809895115352007386748515426880336692474882178609894547503885")
    edwards_rows("ed25519", known["ed25519"], ed25519_order, 32)
    edwards_rows("ed448", known["ed448"], ed448_order, 57)
    hmac_rows()
    parts = {name: public_parts(name, key) for name, key in known.items()}
    parts |= p256_points() | exponent_rows() | size_rows()

    lines = [
        "// Written by scripts/vectors/signatures.py; do not edit.",
        "",
        "import OpenSSL",
        "",
        "/// What every vector signs.",
        f'let signedMessage = "{MESSAGE.decode()}"',
        "",
        "/// Public parts of the keys as hexadecimal: n and e, x and y, or x alone.",
        "let publicParts: [String: [String]] = [",
    ]
    for name, numbers in parts.items():
        quoted = ",\n        ".join(f'"{part}"' for part in numbers)
        lines += [f'    "{name}": [', f"        {quoted},", "    ],"]
    lines += [
        "]",
        "",
        "/// The secret of the HMAC vectors.",
        f'let sharedSecret = "{SECRET.hex()}"',
        "",
        "let signatureVectors: [SignatureVector] = [",
    ]
    for name, key, algorithm, signature, valid in ROWS:
        lines += [
            f'    .init("{name}", "{key}", .{algorithm}, {str(valid).lower()},',
            f'        "{signature}"),',
        ]
    lines += ["]", ""]
    target = pathlib.Path(__file__).parents[2] / "Tests/OpenSSLTests/SignatureVectors.swift"
    target.write_text("\n".join(lines))
    print(f"{len(ROWS)} signatures")


if __name__ == "__main__":
    main()
