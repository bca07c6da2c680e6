"""An issuer's whole bad day in its short form: `scripts/outage` judges itself."""

import os
import subprocess

import pytest
from harness.gateway import BINARY, ROOT

pytestmark = pytest.mark.alone


def test_no_good_request_is_lost_on_an_issuers_bad_day():
    done = subprocess.run(
        [ROOT / "scripts/outage", "--short", "--rate", "200"], capture_output=True, text=True,
        timeout=150, env={**os.environ, "BEARWARD": str(BINARY)})
    assert done.returncode == 0, done.stdout + done.stderr
    assert "every bar is met" in done.stdout
