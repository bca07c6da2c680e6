"""Runs the demo: issuer, upstream, proxy, and curl lines whose answers it promises."""

import argparse
import os
import pathlib
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time

import demo_keys
import demo_upstream
from demo_issuer import HOUR, Issuer

PROXY = ("127.0.0.1", 8080)
UPSTREAM_PORT = 9000
KEYS_PORT = 9001
ROOT = pathlib.Path(__file__).resolve().parents[2]


def cases(issuer):
    """What is shown: a title, the promised status, and curl's arguments."""
    base = f"http://{PROXY[0]}:{PROXY[1]}"

    def bearer(token):
        return ["-H", f"Authorization: Bearer {token}"]

    reading, order = issuer.token("RS256", scope="orders:read"), f"{base}/orders/42"
    expired = issuer.token(scope="orders:read", expires_in=-HOUR)
    # The same header and claims under a key that the proxy has never seen.
    forged = Issuer().token(scope="orders:read")
    rotated = issuer.token(scope="orders:read", rotated=True)
    return [
        ("public: no token is read", 200, [f"{base}/health"]),
        ("allowed: RS256, the scope fits", 200, [*bearer(reading), order]),
        ("allowed: ES256, another scope", 200,
         [*bearer(issuer.token(scope="orders:write")), "--json", '{"item":"tea"}',
          f"{base}/orders"]),
        ("allowed: signed with a key that was published after the start", 200,
         [*bearer(rotated), order]),
        ("no token", 401, [order]),
        ("wrong scope", 403, [*bearer(reading), "-X", "DELETE", order]),
        ("expired", 401, [*bearer(expired), order]),
        ("forged", 401, [*bearer(forged), order]),
    ]


def wait_until_listening(address, process, seconds=15):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if process.poll() is not None:
            sys.exit(f"bearward ended with status {process.returncode}")
        try:
            socket.create_connection(address, timeout=1).close()
            return
        except OSError:
            time.sleep(0.02)
    sys.exit(f"nothing listens on {address[0]}:{address[1]}")


def refuse_taken_port(address):
    """A clear sentence before anything starts; otherwise curl would talk to a stranger."""
    with socket.socket() as probe:
        probe.settimeout(1)
        if probe.connect_ex(address) == 0:
            sys.exit(f"{address[0]}:{address[1]} is in use; the demo needs it")


def show(listed):
    print("\nPaste these in another terminal:\n")
    for title, status, arguments in listed:
        print(f"# {title} -> {status}")
        print(shlex.join(["curl", "-i", *arguments]), "\n", flush=True)
    print("Ctrl-C ends the demo.", flush=True)


def check(listed):
    """Runs each line and compares its status with the promise."""
    broken = 0
    for title, promised, arguments in listed:
        line = ["curl", "-s", "-o", os.devnull, "-w", "%{http_code}", "--max-time", "10"]
        answer = subprocess.run([*line, *arguments], capture_output=True, text=True).stdout
        verdict = "ok" if answer == str(promised) else f"BROKEN, promised {promised}"
        broken += verdict != "ok"
        print(f"{answer}  {title}: {verdict}", flush=True)
    return 1 if broken else 0


def end(process):
    if process.poll() is None:
        process.terminate()
    try:
        return process.wait(timeout=40)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binary", required=True, help="the bearward executable")
    parser.add_argument("--check", action="store_true", help="verify the lines and end")
    options = parser.parse_args()
    # Ctrl-C and a plain `kill` both end in the cleaning up below.
    signal.signal(signal.SIGTERM, signal.default_int_handler)

    for port in (PROXY[1], UPSTREAM_PORT, KEYS_PORT):
        refuse_taken_port(("127.0.0.1", port))
    issuer = Issuer()
    servers = [demo_upstream.serve(UPSTREAM_PORT), demo_keys.serve(KEYS_PORT, issuer)]
    for server in servers:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    # Its own session: Ctrl-C then reaches the proxy once, from here.
    proxy = subprocess.Popen(
        [options.binary, "serve", "--config", str(ROOT / "proxy.json")], start_new_session=True)
    try:
        wait_until_listening(PROXY, proxy)
        listed = cases(issuer)
        if options.check:
            return check(listed)
        show(listed)
        return proxy.wait()
    except KeyboardInterrupt:
        return 0
    finally:
        end(proxy)
        for server in servers:
            server.shutdown()


if __name__ == "__main__":
    sys.exit(main())
