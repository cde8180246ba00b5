"""The Go programs of this folder: each is a small one around a reference library, unmodified,
built here with what the Go module proxy gives."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
FETCH_WITHIN_S, BUILD_WITHIN_S = 300, 900


def build(name, folder):
    """The program's path; skips the test when it cannot be built here."""
    go = shutil.which("go")
    if not go:
        pytest.skip("Go is missing")
    program, source = folder / name, HERE / name
    try:
        fetched = subprocess.run([go, "mod", "download"], cwd=source, capture_output=True,
                                 text=True, timeout=FETCH_WITHIN_S, check=False)
    except subprocess.TimeoutExpired:
        pytest.skip(f"the Go modules cannot be had: no answer within {FETCH_WITHIN_S} s")
    if fetched.returncode != 0:
        pytest.skip(f"the Go modules cannot be had: {fetched.stderr.strip()[-200:]}")
    subprocess.run([go, "build", "-o", program, "."], cwd=source, check=True,
                   timeout=BUILD_WITHIN_S, env={**os.environ, "GOFLAGS": "-mod=readonly"})
    return program
