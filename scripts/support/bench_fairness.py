"""Known tokens beside a flood: what a request waits while others send forged tokens, against the
same beside requests without any token, which cost next to nothing to refuse."""

import json
import pathlib
import statistics
import subprocess
import tempfile

import contenders
from bench_scenarios import CPUS, SCOPED, Bench, compiled
from demo_issuer import Issuer

KNOWN_RATE, FLOOD_RATE = 500, 5000
KNOWN_CONNECTIONS, FLOOD_CONNECTIONS = 16, 64
KNOWN_TOKENS = 50
SECONDS, ROUNDS = 6, 5
BAR = 3.0


def run(options, issuer):
    """What was measured, as a sentence, and whether it is short of its bar."""
    with tempfile.TemporaryDirectory(prefix="bearward-fairness-") as folder:
        pathlib.Path(folder).chmod(0o755)
        bench = Bench(options, issuer, folder)
        try:
            return _measure(bench, 3 if options.quick else ROUNDS)
        finally:
            bench.end()


def _measure(bench, rounds):
    """As many workers as there are processors, none of them pinned, as the product runs."""
    upstream = bench.start(contenders.nginx_upstream(bench.folder))
    proxy = bench.bearward(f"http://127.0.0.1:{upstream.port}", workers=len(CPUS))
    client = compiled("openloop", bench.folder)
    known = bench.tokens(KNOWN_TOKENS)
    # Another issuer's key under the same name: each signature is a true one, of the wrong key.
    forged = pathlib.Path(bench.folder, "forged")
    impostor = Issuer()
    forged.write_text("".join(
        impostor.token("ES256", scope="orders:read", expires_in=43200 + n) + "\n"
        for n in range(FLOOD_RATE)))

    calm, beset, shed = [], [], 0
    for number in range(rounds):
        for flood, samples in ("-", calm), (forged, beset):
            report, flooding = _round(client, proxy, known, flood)
            samples.append(report["p99"])
            shed += flooding["answers"].get("503", 0)
            others = {status for status in report["answers"] if status != "200"}
            if others or report["lost"]:
                return f"Known tokens beside a flood were not all served: {report}", True
            print(f"round {number + 1}/{rounds}, {'forged' if flood != '-' else 'none'}: "
                  f"known {report}; flood {flooding}", flush=True)
    ratio = statistics.median(beset) / statistics.median(calm)
    sentence = (
        f"{KNOWN_RATE} requests a second with known tokens: their p99 is "
        f"{statistics.median(beset):,.0f} µs beside {FLOOD_RATE:,} forged ES256 tokens a second "
        f"and {statistics.median(calm):,.0f} µs beside as many requests without one, a ratio of "
        f"{ratio:.2f} ({'misses' if ratio > BAR else 'meets'} {BAR:.1f}); {shed:,} of the forged "
        f"ones were turned away unread.")
    return sentence, ratio > BAR


def _round(client, proxy, known, flood):
    """The reports of both clients; the flood's has the lower priority and ends last."""
    def command(rate, seconds, connections, tokens):
        return [str(client), "127.0.0.1", str(proxy.port), SCOPED, str(rate), str(seconds),
                str(connections), str(tokens)]

    flooding = subprocess.Popen(
        ["nice", "-n", "10", *command(FLOOD_RATE, SECONDS + 1, FLOOD_CONNECTIONS, flood)],
        stdout=subprocess.PIPE, text=True)
    measured = subprocess.run(
        command(KNOWN_RATE, SECONDS, KNOWN_CONNECTIONS, known), capture_output=True, text=True)
    output = flooding.communicate()[0]
    return tuple(json.loads(text.partition("REPORT ")[2]) for text in (measured.stdout, output))
