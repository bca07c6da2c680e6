"""The README's first command keeps its promises."""

import os
import socket
import subprocess

import pytest
from harness.gateway import BINARY, ROOT


PORTS = (8080, 9000, 9001)


def in_use(port):
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_every_printed_line_answers_what_it_promises():
    for port in PORTS:
        if in_use(port):
            pytest.skip(f"port {port}, which the shipped proxy.json names, is in use")
    result = subprocess.run([ROOT / "scripts/demo", "--check"], capture_output=True, text=True,
                            timeout=120,
                            env={**os.environ, "BEARWARD": str(BINARY)})
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout.count(": ok") == 8 and "BROKEN" not in result.stdout
    assert not any(in_use(port) for port in PORTS), "the demo cleans up"
