"""A test's name is a promise; the docstring says what is claimed and how."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from cluster import BUILD, Cluster  # noqa: E402


def pytest_sessionstart(session):
    if not (BUILD / "bin/aquifer").exists():
        pytest.exit(f"{BUILD}/bin is not built; ./check cluster builds it", returncode=3)


@pytest.fixture(scope="module")
def cluster():
    """One cluster for the tests of a file that neither kill nor stop anything."""
    with Cluster(webservers=2, indexers=2) as c:
        yield c
