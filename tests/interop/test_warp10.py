"""A real Warp 10 2.x between two indexers: aquifer -> warp10 -> aquifer, PSK on and off.

The artifact comes from Maven Central through mvn and needs a Java 8 (2.x does not start on a later
one): AQUIFER_JAVA8 names its `java`. What is missing is named and the test skipped;
tests/cluster/test_warp10_datalog.py has the same chain with a stand-in.
"""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ARTIFACT = "io.warp10:warp10:2.11.1"
FETCH_WITHIN_S = 300


@pytest.fixture(scope="session")
def warp10(tmp_path_factory):
    """Its jars, and the JVM to run them."""
    if shutil.which("mvn") is None:
        pytest.skip("mvn is not there: no Warp 10")
    place = tmp_path_factory.mktemp("warp10")
    done = subprocess.run(
        ["mvn", "-q", "-B", f"-Dmaven.repo.local={place}", "dependency:get",
         f"-Dartifact={ARTIFACT}"],
        capture_output=True, text=True, timeout=FETCH_WITHIN_S, check=False)
    if done.returncode != 0:
        reason = next((line for line in done.stdout.splitlines() if "ERROR" in line), "mvn failed")
        pytest.skip(f"{ARTIFACT} cannot be had: {reason[:200]}")
    java = os.environ.get("AQUIFER_JAVA8")
    if java is None:
        pytest.skip("AQUIFER_JAVA8 names no Java 8: Warp 10 2.x does not start on a later one")
    return java, sorted(Path(place).rglob("*.jar"))


def test_the_jvm_that_is_there_runs_a_warp10(warp10):
    """Loads its main class. The chain itself is written when an artifact can be had to try it."""
    java, jars = warp10
    done = subprocess.run([java, "-cp", ":".join(map(str, jars)), "io.warp10.standalone.Warp"],
                          capture_output=True, text=True, timeout=60, check=False)
    assert "ClassNotFoundException" not in done.stderr
