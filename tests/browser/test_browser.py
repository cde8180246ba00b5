"""The page in a real Chromium, against a real cluster; and the unit tests of the page's own parts.

The scenarios are those of run.mjs; each of them is a test here. By hand, against a cluster that is
already there: node tests/browser/run.mjs --cluster run/cluster.json --only hostile
"""

import contextlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT / "tests/cluster"))
from cluster import Cluster  # noqa: E402
from layout import Layout  # noqa: E402

SCENARIOS_WITHIN_S = 900
SHARES = 2  # run beside each other
VERBS = ["check", "test"]  # of npm


def npm(folder, *arguments):
    return subprocess.run(["npm", *arguments], cwd=folder, capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, check=False)


def install(folder):
    lock, installed = folder / "package-lock.json", folder / "node_modules/.package-lock.json"
    if not installed.exists() or installed.stat().st_mtime < lock.stat().st_mtime:
        done = npm(folder, "ci", "--no-audit", "--no-fund", "--loglevel=error")
        assert done.returncode == 0, done.stderr
        installed.touch()


def scenario_names():
    install(HERE)
    listed = subprocess.run(["node", "run.mjs", "--list"], cwd=HERE, capture_output=True, text=True,
                            check=True)
    return listed.stdout.split()


def begin_share(stack, folder, share):
    """Every SHARES-th scenario, in a browser and on a cluster of its own."""
    c = stack.enter_context(Cluster(webservers=2, indexers=2, links=Layout.ring(2)))
    pids = {name: node.pid for name, node in c.nodes.items()}
    place = folder / f"cluster-{share}.json"
    place.write_text(json.dumps(c.layout.cluster_json(pids)))
    runner = subprocess.Popen(["node", "run.mjs", "--cluster", place, "--share",
                               f"{share}/{SHARES}", "--report", folder / f"report-{share}.json"],
                              cwd=HERE, stdin=subprocess.DEVNULL)
    stack.callback(runner.kill)
    return runner


@pytest.fixture(scope="session", autouse=True)
def verbs(tmp_path_factory):
    """Of the own parts of the page. Begun first of all: when they are waited for, they are done."""
    folder = tmp_path_factory.mktemp("ui")
    install(ROOT / "ui")
    running = {}
    for verb in VERBS:
        with open(folder / verb, "wb") as out:
            running[verb] = subprocess.Popen(["npm", "run", verb], cwd=ROOT / "ui", stdout=out,
                                             stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
    yield lambda verb: (running[verb].wait(), (folder / verb).read_text(errors="replace"))
    for one in running.values():
        one.kill()
        one.wait()


@pytest.fixture(scope="session")
def report(tmp_path_factory):
    """What each scenario ended with: None, or what went wrong."""
    folder = tmp_path_factory.mktemp("browser")
    found = {}
    with contextlib.ExitStack() as stack:
        runners = [begin_share(stack, folder, share + 1) for share in range(SHARES)]
        for share, runner in enumerate(runners):
            status = runner.wait(SCENARIOS_WITHIN_S)
            place = folder / f"report-{share + 1}.json"
            assert place.exists(), f"run.mjs ended with {status}"
            found |= json.loads(place.read_text())
    return found


@pytest.mark.parametrize("scenario", scenario_names())
def test_browser(report, scenario):
    assert report[scenario] is None, report[scenario]


@pytest.mark.parametrize("verb", VERBS)
def test_pure_parts_of_the_page(verbs, verb):
    """Types and markup are sound, and the parts without a screen do what their tests say."""
    status, said = verbs(verb)
    assert status == 0, said
