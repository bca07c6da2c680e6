"""The clients that drive the proxies: wrk, h2load, scripts/support/handshakes.c and curl.

All of them use one suite, TLS 1.3 with AES-128-GCM and X25519 unless said otherwise, whatever each
server would prefer by itself.
"""

import json
import os
import pathlib
import re
import subprocess
import sys

import contenders

CONNECTIONS = 64
H2_CONNECTIONS = 8
H2_STREAMS = 32
H2_REQUESTS = 20_000
HANDSHAKING = 8
DOWNLOADS = 4
# What a real API client sends along; the token comes on top.
CLIENT_FIELDS = {
    "User-Agent": "orders-client/3.2 (Linux; x86_64)",
    "Accept": "application/json",
    "Accept-Encoding": "gzip, deflate, br",
    "Accept-Language": "en-GB,en;q=0.9",
    "Cache-Control": "no-cache",
    "Traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
}
WRK_REPORT = """
done = function(summary, latency, requests)
    local failed = summary.errors.connect + summary.errors.read + summary.errors.write
        + summary.errors.timeout + summary.errors.status
    io.write(string.format('REPORT {"requests": %d, "failed": %d, "seconds": %.6f}\\n',
        summary.requests, failed, summary.duration / 1e6))
end
"""
WRK_ROTATION = """
local requests, position = {}, 0
init = function(arguments)
    for token in io.lines("%s") do
        wrk.headers["Authorization"] = "Bearer " .. token
        requests[#requests + 1] = wrk.format("GET")
    end
end
request = function()
    position = position %% #requests + 1
    return requests[position]
end
"""
OPENSSL_CLIENT = """
openssl_conf = all
[all]
ssl_conf = ssl
[ssl]
system_default = client
[client]
MinProtocol = TLSv1.3
Ciphersuites = TLS_AES_128_GCM_SHA256
Groups = X25519:P-256
"""


def tls_client_environment(folder):
    """For clients without options of their own for suites and groups."""
    path = pathlib.Path(folder, "client-openssl.cnf")
    if not path.exists():
        path.write_text(OPENSSL_CLIENT)
    return {**os.environ, "OPENSSL_CONF": str(path)}


class Load:
    """One way to drive one proxy; `drive` returns how many units of work were done."""

    seconds = 1

    def __init__(self, name, proxy, path, *, certificate=None, token=None):
        self.name = name
        self.proxy = proxy
        self.url = f"{'https' if certificate else 'http'}://127.0.0.1:{proxy.port}{path}"
        self.fields = dict(CLIENT_FIELDS)
        if token:
            self.fields["Authorization"] = f"Bearer {token}"
        self.samples = []

    def header_options(self):
        return [part for field in self.fields.items() for part in ("-H", "%s: %s" % field)]

    def run(self):
        """Nanoseconds of CPU, and the units of work."""
        before = self.proxy.cpu_nanoseconds()
        done = self.drive()
        return self.proxy.cpu_nanoseconds() - before, done

    def judge(self, done, failed, output):
        if failed or not done:
            sys.exit(f"{self.name}: {failed} failed, {done} done\n{output}")
        return done

    def judge_report(self, result):
        """For clients that print a REPORT line."""
        output = result.stdout + result.stderr
        line = next((line for line in output.splitlines() if line.startswith("REPORT ")), None)
        if line is None:
            sys.exit(f"{self.name}: the client reported nothing\n{output}")
        report = json.loads(line.removeprefix("REPORT "))
        return self.judge(report["requests"], report["failed"], output)


class Wrk(Load):
    """HTTP/1.1 with keep-alive; one token, or those of a file in rotation."""

    connections = CONNECTIONS

    def __init__(self, name, proxy, path, folder, *, tokens=None, **more):
        super().__init__(name, proxy, path, **more)
        if self.url.startswith("https:"):
            # So that the connections' handshakes are a small part of what is measured.
            self.seconds = 3
        self.environment = tls_client_environment(folder)
        self.script = pathlib.Path(folder, re.sub(r"\W+", "-", name) + ".lua")
        self.script.write_text((WRK_ROTATION % tokens if tokens else "") + WRK_REPORT)

    def drive(self):
        command = [contenders.tool("wrk"), "-t1", f"-c{self.connections}", f"-d{self.seconds}s",
                   "-s", str(self.script), *self.header_options(), self.url]
        return self.judge_report(
            subprocess.run(command, env=self.environment, capture_output=True, text=True))


class H2Load(Load):
    """HTTP/2: by ALPN over TLS, by prior knowledge in clear."""

    def __init__(self, name, proxy, path, folder, **more):
        super().__init__(name, proxy, path, **more)
        self.environment = tls_client_environment(folder)

    def drive(self):
        """One pass, however long it takes: at the end of a time h2load would leave streams behind,
        whose cost nobody counts."""
        command = [contenders.tool("h2load"), "-t1", f"-c{H2_CONNECTIONS}", f"-m{H2_STREAMS}",
                   f"-n{H2_REQUESTS}", "--groups=X25519:P-256", *self.header_options(), self.url]
        output = subprocess.run(
            command, env=self.environment, capture_output=True, text=True).stdout
        return self.judge(*h2load_result(output), output)


def h2load_result(output):
    """Requests answered 2xx, and those that failed in any way."""
    counts = re.search(
        r"(\d+) done, (\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout", output)
    if not counts:
        sys.exit(f"h2load reported nothing\n{output}")
    done, succeeded, failed, errored, timeout = map(int, counts.groups())
    return succeeded, max(done - succeeded, 0) + failed + errored + timeout


class Handshakes(Load):
    """A connection, a handshake, one request that the proxy refuses by itself, and the end."""

    def __init__(self, name, proxy, client, *, version="1.3", kind="fresh", path="/nothing",
                 status=404):
        super().__init__(name, proxy, path)
        self.arguments = [str(HANDSHAKING), version, kind, path, str(status)]
        self.client = client

    def drive(self):
        command = [str(self.client), str(self.proxy.port), str(self.seconds), *self.arguments]
        return self.judge_report(subprocess.run(command, capture_output=True, text=True))


class Download(Load):
    """Several connections that each fetch a large file a few times; a unit is a byte."""

    def __init__(self, name, proxy, path, certificate, *, size, repeats=4, protocol="--http1.1"):
        super().__init__(name, proxy, path, certificate=certificate)
        self.size = size
        self.repeats = repeats
        self.command = [
            contenders.tool("curl"), "-s", protocol, "--cacert", str(certificate.certificate),
            "--tlsv1.3", "--tls13-ciphers", "TLS_AES_128_GCM_SHA256", "--curves", "X25519:P-256",
            "-o", "/dev/null", "-w", "%{http_code} %{size_download}\\n",
            f"{self.url}?[1-{repeats}]",
        ]

    def drive(self):
        """One pass, however long it takes."""
        clients = [
            subprocess.Popen(self.command, stdout=subprocess.PIPE, text=True)
            for _ in range(DOWNLOADS)
        ]
        answers = [line for client in clients for line in client.communicate()[0].splitlines()]
        whole = answers.count(f"200 {self.size}")
        self.judge(whole, DOWNLOADS * self.repeats - whole, "\n".join(answers))
        return whole * self.size
