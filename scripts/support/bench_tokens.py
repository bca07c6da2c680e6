"""New tokens in every request: what a signature check costs in the whole, beside HAProxy's."""

import json
import os
import pathlib
import subprocess
import sys

import bench_rounds
import contenders
from bench_loads import CONNECTIONS, Load, Wrk
from bench_rounds import MICROSECONDS
from bench_scenarios import CPUS, PUBLIC, SCOPED, Group, compiled, present

# The token cache works as ever (looked into, filled, emptied), but what comes round again has long
# left it: ten times as many tokens as it holds, replaced in no order that would suit the rotation.
TURNS_OF_THE_CACHE = 10
BARS = {"RS256": 0.75, "ES256": 0.85}
# Parsing, claims, the search for the key and the cache.
MOST_BEYOND_OPENSSL = 3_000


class Verifications(Load):
    """OpenSSL alone, on the proxies' processor."""

    def __init__(self, name, program, key, tokens):
        self.name = name
        self.samples = []
        self.command = [str(program), "0.5", str(key), str(tokens)]

    def run(self):
        result = subprocess.run(
            self.command, capture_output=True, text=True,
            preexec_fn=lambda: os.sched_setaffinity(0, {CPUS[0]}))
        self.judge_report(result)
        report = json.loads(result.stdout.removeprefix("REPORT "))
        return report["nanoseconds"], report["requests"]


def tokens(bench):
    """Each request with a token that was not seen for long, RS256 and ES256."""
    folder, count = bench.folder, bench.options.tokens
    upstream = bench.start(contenders.nginx_upstream(folder))
    bearward = bench.bearward(
        f"http://127.0.0.1:{upstream.port}",
        tokenCache={"entries": max(count // TURNS_OF_THE_CACHE, 1)})
    haproxies, keys = {}, {}
    for algorithm in BARS:
        keys[algorithm] = pathlib.Path(folder, f"{algorithm}.pem")
        bench.issuer.write_public_key(algorithm, keys[algorithm])
        haproxies[algorithm] = bench.start(
            contenders.haproxy_verifying(folder, upstream, algorithm, keys[algorithm]))
    program = compiled("verifications", folder)
    bench.settle(present(bearward, *haproxies.values()), [upstream])

    for algorithm, bar in BARS.items():
        rotating = bench.tokens(count, algorithm)
        theirs, ours = f"HAProxy, {algorithm} signature alone", f"Bearward, new {algorithm} token"
        plain, bare = "Bearward, public route", "OpenSSL alone"
        _refuses_a_broken_one(haproxies[algorithm], rotating)
        loads = [Wrk(theirs, haproxies[algorithm], SCOPED, folder, tokens=rotating),
                 Verifications(bare, program, keys[algorithm], rotating)]
        budgets = []
        if bearward:
            _refuses_a_broken_one(bearward, rotating)
            # With the same tokens, which a public route does not read.
            loads += [Wrk(plain, bearward, PUBLIC, folder, tokens=rotating),
                      Wrk(ours, bearward, SCOPED, folder, tokens=rotating)]
            budgets = [bench_rounds.Budget(ours, [plain, bare], MOST_BEYOND_OPENSSL)]
        yield Group(
            f"A new {algorithm} token in each request, HTTP/1.1, {CONNECTIONS} connections",
            MICROSECONDS, loads, [theirs], {ours: bar}, 40_000, budgets)


def _refuses_a_broken_one(proxy, rotating):
    """Checks that the proxy checks."""
    with open(rotating) as lines:
        token = next(lines).strip()
    broken = token[:-20] + ("A" if token[-20] != "A" else "B") + token[-19:]
    for sent, expected in (token, "200"), (broken, "401 403"):
        result = subprocess.run(
            [contenders.tool("curl"), "-s", "-o", "/dev/null", "-w", "%{http_code}",
             "-H", f"Authorization: Bearer {sent}", f"http://127.0.0.1:{proxy.port}{SCOPED}"],
            capture_output=True, text=True)
        if result.stdout not in expected.split():
            sys.exit(f"{proxy.name} answered {result.stdout}, not {expected}")
