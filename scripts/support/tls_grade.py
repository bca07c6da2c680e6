"""What testssl.sh and sslscan say of a TLS listener, and the grade that follows.

The grade is that of SSL Labs' Server Rating Guide (2009r): protocols count 30 %, key exchange 30 %,
cipher strength 40 %, 80 points are an A; then a finding of testssl.sh caps it, by severity. Two
kinds of findings are printed but do not count:

- What comes of scanning a test installation: its authority is private, so SSL Labs would say T
  ("A if trust issues are ignored") whatever the server does. The scanner is told that authority
  (`--add-ca`), and the chain it is shown must verify against it.
- What is about HTTP or DNS and belongs to the site behind the gateway: HSTS (hence no A+ here),
  security headers, CAA records.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile
import time
from xml.etree import ElementTree

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "Tests/blackbox"))

from cryptography import x509  # noqa: E402
from cryptography.x509.oid import AuthorityInformationAccessOID  # noqa: E402
from harness.certificates import DAY, now  # noqa: E402
from harness.secure import Secure  # noqa: E402

# Identifiers of findings that do not count, by how they begin; the reasons are above.
NOT_COUNTED = {
    "engine_problem": "the scanner's own build", "DNS_CAArecord": "DNS", "HSTS": "the site's",
    "HPKP": "the site's", "security_headers": "the site's", "banner_": "the site's",
    "cookie_": "the site's", "BREACH": "the site's", "cert_trust": "a private authority",
    "scanTime": "the scanner's", "OCSP_must_staple": "the authority's",
    # It hangs up as soon as its handshake is done, often before a TLS 1.3 ticket can come.
    "sessionresumption_ticket": "the scanner's haste",
}
CAPS = {"LOW": "A-", "MEDIUM": "B", "HIGH": "C", "CRITICAL": "F", "FATAL": "F"}
ORDER = ["A", "A-", "B", "C", "D", "E", "F"]
PROTOCOL_POINTS = {"SSLv2": 0, "SSLv3": 80, "TLSv1.0": 90, "TLSv1.1": 95, "TLSv1.2": 100,
                   "TLSv1.3": 100}


def gateway(folder):
    """One listener with both kinds of key, certificates as a public authority would make them."""
    def make(site):
        address = x509.UniformResourceIdentifier("http://ocsp.example.test/")
        access = x509.AuthorityInformationAccess([
            x509.AccessDescription(AuthorityInformationAccessOID.OCSP, address)])
        certificates = []
        for kind in ("p256", "rsa2048"):
            leaf = site.authority.issue("api.test", kind=kind, not_after=now() + 90 * DAY,
                                        extensions=[(access, False)])
            files = leaf.files(site.folder, f"graded-{kind}")
            (site.folder / f"graded-{kind}.ocsp").write_bytes(site.authority.staple(leaf))
            certificates.append({**files, "ocsp": f"graded-{kind}.ocsp"})
        return {"main": {"tls": {"certificates": certificates}}}

    return Secure(folder, make=make)


def bounded(command, seconds):
    """Runs a scanner; one that takes too long is ended and fails the grading."""
    start = time.monotonic()
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds,
                              stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired:
        sys.exit(f"{command[0]} took more than {seconds} s")
    print(f"{command[0]}: {time.monotonic() - start:.0f} s")
    return done


def testssl(secure, seconds):
    report = secure.site.folder / "testssl.json"
    bounded(["testssl", "--quiet", "--color", "0", "--warnings", "off", "--ip", "127.0.0.1",
             "--add-ca", str(secure.site.folder / "server-ca.pem"), "--openssl-timeout", "5",
             "--jsonfile", str(report), f"api.test:{secure.port()}"], seconds)
    return json.loads(report.read_text())


def sslscan(secure, seconds):
    done = bounded(["sslscan", "--xml=-", "--sni-name=api.test", f"127.0.0.1:{secure.port()}"],
                   seconds)
    return ElementTree.fromstring(done.stdout).find("ssltest")


def points(scan):
    """SSL Labs' sum, from what sslscan could speak. ECDH over 250 bits counts as RSA of 3072."""
    versions = [f"{p.get('type').upper().replace('TLS', 'TLSv').replace('SSL', 'SSLv')}"
                f"{p.get('version')}" for p in scan.findall("protocol") if p.get("enabled") == "1"]
    ciphers = scan.findall("cipher")
    bits = [int(each.get("bits")) for each in ciphers]
    assert versions and bits, "sslscan could speak nothing"
    known = [PROTOCOL_POINTS[version] for version in versions]
    protocol = (max(known) + min(known)) / 2
    exchanged = [int(each.get("ecdhebits") or each.get("dhebits") or 0) for each in ciphers]
    elliptic = all(each.get("ecdhebits") for each in ciphers)
    exchange = 90 if elliptic and min(exchanged) >= 250 else 40
    strength = sum({True: 100, False: 80 if b >= 128 else 20}[b >= 256]
                   for b in (max(bits), min(bits))) / 2
    total = 0.3 * protocol + 0.3 * exchange + 0.4 * strength
    print(f"points: protocols {protocol:.0f}, key exchange {exchange}, cipher strength "
          f"{strength:.0f}: {total:.0f}")
    for name in sorted({each.get("cipher") for each in ciphers}):
        print(f"  spoke {name}")
    return total


def flaws(scan):
    """What sslscan itself calls a fault."""
    found = []
    for each in scan.findall("heartbleed"):
        if each.get("vulnerable") == "1":
            found.append(f"Heartbleed with {each.get('sslversion')}")
    compression = scan.find("compression")
    if compression is not None and compression.get("supported") == "1":
        found.append("compression")
    renegotiation = scan.find("renegotiation")
    if renegotiation is not None and "1" == renegotiation.get("supported") and (
            renegotiation.get("secure") != "1"):
        found.append("insecure renegotiation")
    return found


def letter(total):
    for least, grade in ((80, "A"), (65, "B"), (50, "C"), (35, "D"), (20, "E")):
        if total >= least:
            return grade
    return "F"


def worst(grades):
    return max(grades, key=ORDER.index)


def judge(findings, scan):
    grades = [letter(points(scan))]
    counted = [f for f in findings if f["severity"] not in ("OK", "INFO", "DEBUG")]
    for finding in counted:
        excuse = next((reason for start, reason in NOT_COUNTED.items()
                       if finding["id"].startswith(start)), None)
        cap = CAPS.get(finding["severity"])
        note = f"does not count: {excuse}" if excuse else f"caps at {cap}" if cap else "a warning"
        print(f"{finding['severity']:8} {finding['id']}: {finding['finding'][:100]} ({note})")
        if cap and not excuse:
            grades.append(cap)
    for flaw in flaws(scan):
        print(f"CRITICAL sslscan: {flaw}")
        grades.append("F")
    if not any(f["id"].startswith("cert_chain_of_trust") and "passed" in f["finding"]
               for f in findings):
        print("CRITICAL the chain does not verify against its authority")
        grades.append("F")
    return worst(grades)


def main():
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("--timeout", type=int, default=240, help="seconds for each scanner")
    seconds = options.parse_args().timeout
    with tempfile.TemporaryDirectory() as folder:
        secure = gateway(pathlib.Path(folder))
        try:
            scan = sslscan(secure, seconds)
            findings = testssl(secure, seconds)
        finally:
            secure.gateway.stop()
        grade = judge(findings, scan)
    print(f"grade: {grade}")
    sys.exit(grade != "A")


if __name__ == "__main__":
    main()
