"""The reference client library, unmodified, walks through the web API of two webservers."""

import subprocess
import sys
from pathlib import Path

import go_program
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "cluster"))
from cluster import Cluster  # noqa: E402

RUN_WITHIN_S = 600
STEPS = 17


@pytest.fixture(scope="session")
def webclient(tmp_path_factory):
    return go_program.build("webclient", tmp_path_factory.mktemp("webclient"))


def test_every_step_of_the_reference_client_succeeds(webclient):
    """Login, searches over the websocket, history on the other webserver, dashboards, resources,
    and the other stored objects: the program stops at the first call that the library refuses."""
    with Cluster(webservers=2, indexers=2, balancer=False) as cluster:
        cluster.ingest("gravwell", lines=20)
        first, second = (cluster.webserver(i).url.removeprefix("http://") for i in range(2))
        answer = subprocess.run([webclient, "-server", first, "-other", second],
                                capture_output=True, text=True, timeout=RUN_WITHIN_S, check=False)
        assert answer.returncode == 0, answer.stdout + answer.stderr
        assert answer.stdout.count("ok: ") == STEPS, answer.stdout
