"""A test's name is a promise; the docstring says what is claimed and how."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from cluster import BUILD, Cluster  # noqa: E402


def pytest_sessionstart(session):
    if not (BUILD / "bin/aquifer").exists():
        pytest.exit(f"{BUILD}/bin is not built; ./check cluster builds it", returncode=3)


@pytest.hookimpl(tryfirst=True)  # before xdist reads the marks
def pytest_collection_modifyitems(items):
    """For `-n N --dist loadgroup`: those who share something of their file go to one worker, and go
    first, since they are the longest; the others go wherever there is time."""
    def shares(item):
        fixtures = item._fixtureinfo.name2fixturedefs.values()
        return any(f[-1].scope == "module" and f[-1].baseid for f in fixtures)
    for item in items:
        if shares(item):
            item.add_marker(pytest.mark.xdist_group(item.path.stem))
    items.sort(key=lambda item: not shares(item))


@pytest.fixture(scope="module")
def cluster():
    """One cluster for the tests of a file that neither kill nor stop anything."""
    with Cluster(webservers=2, indexers=2) as c:
        yield c
