"""Instructions in user space that a request costs: on a public route, with a known token, and with a
new one. Counted by callgrind while the load runs, so they say nothing of the kernel, of caches and
of what an instruction takes; OpenSSL's are counted apart, since callgrind's processor has not all
the instructions that OpenSSL uses for large numbers."""

import argparse
import collections
import pathlib
import re
import shutil
import subprocess
import tempfile

import contenders
from bench_loads import Wrk
from bench_scenarios import PUBLIC, SCOPED
from demo_issuer import Issuer

TOKENS = 20_000
# Many times fewer than tokens, so that each new one takes the place of an old one.
CACHE = {"entries": 200}
WARM_SECONDS, COUNTED_SECONDS = 4, 8
# Few enough that nobody waits for a second, though all runs some fifty times slower.
CONNECTIONS = 16


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binary", required=True, help="the bearward executable")
    options = parser.parse_args()
    issuer = Issuer()
    print(f"{'instructions of a request':28}{'our own':>10}{'libc':>8}{'OpenSSL':>10}{'requests':>10}")
    for name, path, kind in (
            ("public route", PUBLIC, None), ("known RS256 token", SCOPED, "known"),
            ("new RS256 token", SCOPED, "new")):
        with tempfile.TemporaryDirectory(prefix="bearward-instructions-") as folder:
            pathlib.Path(folder).chmod(0o755)
            counts, requests = count(options.binary, folder, issuer, path, kind)
        own, libc, crypto = (counts[part] / requests for part in ("own", "libc", "crypto"))
        print(f"{name:28}{own:10,.0f}{libc:8,.0f}{crypto:10,.0f}{requests:10,}", flush=True)


def count(binary, folder, issuer, path, kind):
    """Instructions by part, and the requests they were counted for."""
    output = pathlib.Path(folder, "callgrind.out")
    upstream = contenders.nginx_upstream(folder)
    proxy = None
    try:
        proxy = contenders.bearward(
            wrapper(binary, folder, output), folder, f"http://127.0.0.1:{upstream.port}", issuer,
            tokenCache=CACHE)
        load = Wrk("callgrind", proxy, path, folder, **tokens(issuer, folder, kind))
        load.connections = CONNECTIONS
        load.seconds = WARM_SECONDS
        load.run()
        control(proxy, "on")
        load.seconds = COUNTED_SECONDS
        _, requests = load.run()
        control(proxy, "off")
    finally:
        if proxy:
            proxy.end()
        upstream.end()
    return parts(output), requests


def wrapper(binary, folder, output):
    """Starts the binary in callgrind, which cannot read Swift's debugging information."""
    stripped = pathlib.Path(folder, "bearward-stripped")
    shutil.copy(binary, stripped)
    subprocess.run(["strip", "-g", stripped], check=True)
    script = pathlib.Path(folder, "callgrind.sh")
    script.write_text(
        f'#!/bin/sh\nexec valgrind --tool=callgrind --instr-atstart=no'
        f' --callgrind-out-file={output} {stripped} "$@"\n')
    script.chmod(0o755)
    return script


def tokens(issuer, folder, kind):
    if kind == "known":
        return {"token": issuer.token("RS256", scope="orders:read")}
    if kind is None:
        return {}
    path = pathlib.Path(folder, "tokens")
    path.write_text("".join(
        issuer.token("RS256", scope="orders:read", expires_in=43200 + n) + "\n"
        for n in range(TOKENS)))
    return {"tokens": path}


def control(proxy, switch):
    subprocess.run(["callgrind_control", "-i", switch, str(proxy.process.pid)], check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def parts(output):
    """Callgrind's counts: `ob=` says whose code the lines are that follow, and a line after
    `calls=` counts what the called function does elsewhere."""
    counts, names, part, is_call = collections.Counter(), {}, "own", False
    with open(output) as lines:
        for line in lines:
            if line.startswith(("ob=", "cob=")):
                number, _, name = line.partition("=")[2].strip().partition(" ")
                name = names.setdefault(number, name)
                if line.startswith("cob="):
                    continue
                part = ("crypto" if re.search("lib(crypto|ssl)", name)
                        else "own" if "bearward-stripped" in name else "libc")
            elif line.startswith("calls="):
                is_call = True
            elif line[0] in "0123456789+-*":
                if not is_call:
                    counts[part] += int(line.split()[-1])
                is_call = False
    return counts


if __name__ == "__main__":
    main()
