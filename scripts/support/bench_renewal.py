"""Certificates replaced under load: open connections and new ones alike must notice nothing."""

import json
import pathlib
import ssl
import subprocess
import tempfile
import time

import contenders
from bench_loads import CLIENT_FIELDS, h2load_result, tls_client_environment
from bench_scenarios import PUBLIC, Bench, compiled
from cryptography import x509

REPLACEMENTS = 10
# The files are looked at each second; the last replacement may need that long and a little more.
PATIENCE = 5


def run(options, issuer):
    """What happened, as a sentence, and whether anything failed."""
    with tempfile.TemporaryDirectory(prefix="bearward-renewal-") as folder:
        pathlib.Path(folder).chmod(0o755)
        bench = Bench(options, issuer, folder)
        try:
            return _replace_under_load(bench)
        finally:
            bench.end()


def _replace_under_load(bench):
    upstream = bench.start(contenders.nginx_upstream(bench.folder))
    proxy = bench.bearward(f"http://127.0.0.1:{upstream.port}", certificate=bench.certificate)
    streams, connections = _start_clients(bench, proxy)
    seen = {_serial(proxy.port)}
    for _ in range(REPLACEMENTS):
        bench.certificate.replace()
        time.sleep(1)
        seen.add(_serial(proxy.port))
    output = streams.communicate()[0]
    done, failed = h2load_result(output)
    report = connections.communicate()[0]
    new, new_failed = _handshake_counts(report)
    is_current = _await_current(proxy.port, bench.certificate.serial)
    sentence = (
        f"Certificate and key replaced {REPLACEMENTS} times in {REPLACEMENTS} seconds: "
        f"{failed} of {done:,} requests on open connections failed and {new_failed} of {new:,} new "
        f"connections; {len(seen)} certificates were seen, the last one was "
        f"{'in use' if is_current else 'NOT in use'} at the end.")
    return sentence, bool(failed or new_failed or not is_current or not done or not new)


def _start_clients(bench, proxy):
    """Both end by themselves, a little after the last replacement."""
    seconds = REPLACEMENTS + 1
    fields = [part for field in CLIENT_FIELDS.items() for part in ("-H", "%s: %s" % field)]
    environment = tls_client_environment(bench.folder)
    streams = subprocess.Popen(
        [contenders.tool("h2load"), "-t1", "-c8", "-m8", f"-D{seconds}", *fields,
         f"https://127.0.0.1:{proxy.port}{PUBLIC}"],
        env=environment, stdout=subprocess.PIPE, text=True)
    client = compiled("handshakes", bench.folder)
    connections = subprocess.Popen(
        [str(client), str(proxy.port), str(seconds), "4", "1.3", "fresh", PUBLIC, "200"],
        stdout=subprocess.PIPE, text=True)
    return streams, connections


def _handshake_counts(output):
    report = json.loads(output.partition("REPORT ")[2])
    return report["requests"], report["failed"]


def _serial(port):
    pem = ssl.get_server_certificate(("127.0.0.1", port), timeout=5)
    return x509.load_pem_x509_certificate(pem.encode()).serial_number


def _await_current(port, serial):
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if _serial(port) == serial:
            return True
        time.sleep(0.1)
    return False
