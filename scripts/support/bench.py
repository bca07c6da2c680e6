"""CPU time per request beside nginx and HAProxy, interleaved.

Each round drives every contender, in an order that rotates, with the same load from wrk over
64 keep-alive connections, and divides the proxy's time on a CPU by the requests it answered. Ratios
are taken to nginx within the round, since a virtual machine drifts over minutes. The verdict is the
median of the rounds; a spread (interquartile range over median) above 6 % is called inconclusive.
"""

import argparse
import collections
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import urllib.request

import contenders
from demo_issuer import Issuer

BARS = {"bearward public": 0.90, "bearward token": 0.95}
MAX_SPREAD = 0.06
CONNECTIONS = 64
# What a real API client sends along; the token comes on top.
CLIENT_FIELDS = {
    "User-Agent": "orders-client/3.2 (Linux; x86_64)",
    "Accept": "application/json",
    "Accept-Encoding": "gzip, deflate, br",
    "Accept-Language": "en-GB,en;q=0.9",
    "Cache-Control": "no-cache",
    "Traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
}
REPORT = """
done = function(summary, latency, requests)
    local failed = summary.errors.connect + summary.errors.read + summary.errors.write
        + summary.errors.timeout + summary.errors.status
    io.write(string.format('REPORT {"requests": %d, "failed": %d, "seconds": %.6f}\\n',
        summary.requests, failed, summary.duration / 1e6))
end
"""
ROTATION = """
local requests, position = {}, 0
init = function(arguments)
    for token in io.lines("%s") do
        wrk.headers["Authorization"] = "Bearer " .. token
        requests[#requests + 1] = wrk.format("GET", "/orders/42")
    end
end
request = function()
    position = position %% #requests + 1
    return requests[position]
end
"""


class Load:
    """One way to drive one proxy."""

    def __init__(self, name, proxy, path, folder, token=None, tokens=None):
        self.name = name
        self.proxy = proxy
        self.url = f"http://127.0.0.1:{proxy.port}{path}"
        self.fields = dict(CLIENT_FIELDS)
        if token:
            self.fields["Authorization"] = f"Bearer {token}"
        self.script = pathlib.Path(folder, name.replace(" ", "-") + ".lua")
        self.script.write_text((ROTATION % tokens if tokens else "") + REPORT)
        self.samples = []

    def run(self, seconds):
        """Nanoseconds of CPU, and the number of requests."""
        command = [contenders.tool("wrk"), "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s",
                   "-s", str(self.script)]
        for name, value in self.fields.items():
            command += ["-H", f"{name}: {value}"]
        before = self.proxy.cpu_nanoseconds()
        output = subprocess.run([*command, self.url], capture_output=True, text=True).stdout
        spent = self.proxy.cpu_nanoseconds() - before
        report = next((line for line in output.splitlines() if line.startswith("REPORT ")), None)
        if report is None:
            sys.exit(f"{self.name}: wrk reported nothing\n{output}")
        result = json.loads(report.removeprefix("REPORT "))
        if result["failed"] or not result["requests"]:
            sys.exit(f"{self.name}: {result['failed']} requests failed\n{output}")
        return spent, result["requests"]

    def passes_for(self, requests):
        """A warm-up that also tells how many passes of a second a round takes, with a tenth to spare."""
        _, done = self.run(1)
        return max(1, -(-requests * 11 // (10 * done)))


def verify_added_fields(proxy):
    """One request through each proxy must arrive with the fields that forwarding adds."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{proxy.port}/echo", headers={"Authorization": "Basic eDp5"})
    with urllib.request.urlopen(request, timeout=5) as answer:
        pairs = (line.partition("=") for line in answer.read().decode().splitlines())
        seen = {name: value for name, _, value in pairs}
    expected = {"x-forwarded-for": "127.0.0.1", "x-forwarded-proto": "http"}
    for name, value in expected.items():
        if seen.get(name) != value:
            sys.exit(f"{proxy.name} forwarded {name}={seen.get(name)!r}, not {value!r}")
    if not seen.get("via"):
        sys.exit(f"{proxy.name} forwarded no Via")
    if proxy.name.startswith("bearward") and seen.get("authorization"):
        sys.exit(f"{proxy.name} forwarded Authorization")


def spread(values):
    quartiles = statistics.quantiles(values, n=4)
    return (quartiles[2] - quartiles[0]) / statistics.median(values)


def verdict(name, ratio, noise):
    if name not in BARS:
        return "reported"
    if noise > MAX_SPREAD:
        return "inconclusive"
    return f"{'meets' if ratio <= BARS[name] else 'misses'} {BARS[name]:.2f}"


def report(loads):
    """Prints the table and returns the names whose bar is not met."""
    reference = loads[0]
    print(f"\n{'proxy':<26}{'µs/request':>11}{'of nginx':>10}{'spread':>9}  verdict")
    short = []
    for load in loads:
        ratios = [mine / base for mine, base in zip(load.samples, reference.samples)]
        ratio = statistics.median(ratios)
        # nginx's ratio to itself is 1; what it can show is how much its own samples vary.
        noise = spread(load.samples if load is reference else ratios)
        word = verdict(load.name, ratio, noise)
        print(f"{load.name:<26}{statistics.median(load.samples):>11.2f}{ratio:>10.3f}"
              f"{noise * 100:>8.1f}%  {word}")
        if word.startswith(("misses", "inconclusive")):
            short.append(load.name)
    return short


def measure(loads, rounds, requests):
    """A round is several passes of a second each, in rotating order: what the machine does to one of
    them it does to all, so the round's ratios feel its moods less than one long turn each would."""
    passes = max(load.passes_for(requests) for load in loads)
    fewest = collections.defaultdict(lambda: sys.maxsize)
    for number in range(rounds):
        spent, done = collections.Counter(), collections.Counter()
        for turn in range(passes):
            first = (number + turn) % len(loads)
            for load in loads[first:] + loads[:first]:
                cost, answered = load.run(1)
                spent[load.name] += cost
                done[load.name] += answered
        for load in loads:
            load.samples.append(spent[load.name] / 1000 / done[load.name])
            fewest[load.name] = min(fewest[load.name], done[load.name])
        costs = "  ".join(f"{load.name} {load.samples[-1]:.2f}" for load in loads)
        print(f"round {number + 1}/{rounds}: {costs}", flush=True)
    least = min(fewest.values())
    print(f"{rounds} rounds, {CONNECTIONS} connections, at least {least} requests a round")


def keep_apart(proxies, upstream):
    """The proxies on one processor, load and upstream on another, so that no one's migrations count."""
    cpus = sorted(os.sched_getaffinity(0))
    if len(cpus) < 2:
        return
    for proxy in proxies:
        proxy.pin(cpus[0])
    upstream.pin(cpus[1])
    # wrk is started from here and stays here.
    os.sched_setaffinity(0, {cpus[1]})


def run(options, folder, owned):
    issuer = Issuer()

    def start(process):
        owned.append(process)
        return process

    upstream = start(contenders.nginx_upstream(folder))
    nginx = start(contenders.nginx_proxy(folder, upstream))
    haproxy = start(contenders.haproxy(folder, upstream))
    endpoint = f"http://127.0.0.1:{upstream.port}"
    quiet = start(contenders.bearward(options.binary, folder, endpoint, issuer))
    logging = start(contenders.bearward(
        options.binary, folder, endpoint, issuer, name="bearward-log",
        access=str(pathlib.Path(folder, "access.log"))))
    for proxy in (nginx, haproxy, quiet, logging):
        verify_added_fields(proxy)
    keep_apart([nginx, haproxy, quiet, logging], upstream)

    tokens = pathlib.Path(folder, "tokens")
    tokens.write_text("".join(
        issuer.token("RS256", scope="orders:read", expires_in=43200 + n) + "\n"
        for n in range(options.tokens)))
    token = issuer.token("RS256", scope="orders:read")
    loads = [
        Load("nginx plain", nginx, "/public/orders/42", folder),
        Load("bearward public", quiet, "/public/orders/42", folder),
        Load("bearward token", quiet, "/orders/42", folder, token=token),
        Load("haproxy plain", haproxy, "/public/orders/42", folder),
        Load(f"bearward {options.tokens} tokens, log", logging, "/orders/42", folder, tokens=tokens),
    ]
    measure(loads, options.rounds, options.requests)
    return report(loads)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", required=True, help="the bearward executable")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--requests", type=int, default=150000, help="at least, per round")
    parser.add_argument("--tokens", type=int, default=5000, help="how many rotate")
    parser.add_argument("--enforce", action="store_true", help="exit 1 when a bar is not met")
    options = parser.parse_args()
    owned = []
    with tempfile.TemporaryDirectory(prefix="bearward-bench-") as folder:
        # nginx started by root drops its worker to another user, who must reach the folder.
        pathlib.Path(folder).chmod(0o755)
        try:
            short = run(options, folder, owned)
        finally:
            for process in reversed(owned):
                process.end()
    return 1 if short and options.enforce else 0


if __name__ == "__main__":
    sys.exit(main())
