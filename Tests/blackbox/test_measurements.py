"""The measuring scripts work, and the memory bars hold in their short form."""

import os
import shutil
import subprocess

import pytest
from harness.gateway import BINARY, ROOT

pytestmark = pytest.mark.alone


def run(script, *arguments, timeout):
    return subprocess.run([ROOT / "scripts" / script, *arguments], capture_output=True, text=True,
                          timeout=timeout,
                          env={**os.environ, "BEARWARD": str(BINARY)})


def test_memory_bars_hold():
    result = run("memory", "--connections", "1000", "--tls-connections", "0", "--body", "64",
                 "--enforce", timeout=120)
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout.count("meets") == 4


def test_bench_runs_where_its_tools_are():
    """Not for its numbers: a debug build on a busy machine says nothing about speed."""
    path = os.environ["PATH"] + ":/usr/sbin:/sbin"
    if not all(shutil.which(tool, path=path) for tool in ("nginx", "haproxy", "wrk")):
        pytest.skip("scripts/install bench brings nginx, haproxy and wrk")
    result = run("bench", "--only", "http", "--quick", "--tokens", "50", timeout=200)
    assert result.returncode == 0, result.stdout + result.stderr
    for name in ("nginx", "HAProxy", "public route", "token and scope", "50 tokens"):
        assert name in result.stdout


def test_the_parts_of_signature_checks_are_measured():
    result = run("signature-parts", "5", timeout=60)
    assert result.returncode == 0, result.stdout + result.stderr
    lines = result.stdout.splitlines()
    assert all(float(line.split()[-1]) > 0 for line in lines)
    assert sum("EVP_PKEY_verify" in line for line in lines) == 2
