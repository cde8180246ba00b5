"""A real Traefik that polls the datastore: it finds webservers and lets them go by itself."""

import http.client
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "cluster"))
from balancing import HOST, accepts, request  # noqa: E402
from client import wait_until  # noqa: E402
from cluster import ROOT, Cluster, free_port_base  # noqa: E402

EXAMPLE = ROOT / "packaging/examples/proxies/traefik.yml"


def test_traefik_follows_the_datastore(tmp_path):
    """With the configuration of packaging/examples, but for addresses and TLS."""
    traefik = shutil.which("traefik")
    if not traefik:
        pytest.skip("no traefik in PATH")
    with Cluster(webservers=2, indexers=1, settings=[("datastore", "Traefik-Token=secret")]) as c:
        port = free_port_base(1)
        datastore = f"http://{HOST}:{c.layout.datastores[0].port}"
        text = EXAMPLE.read_text()
        for theirs, ours in ((":443", f"{HOST}:{port}"), ("    http:\n      tls: {}\n", ""),
                             ("https://control.example:9405", datastore),
                             ("tls=true", "scheme=http"),
                             ("change me: Traefik-Token", "secret")):
            assert theirs in text
            text = text.replace(theirs, ours)
        config = tmp_path / "traefik.yml"
        config.write_text(text)
        with open(tmp_path / "log", "wb") as log:
            child = subprocess.Popen([traefik, f"--configfile={config}"], stdout=log, stderr=log)
        try:
            def get(cookie=""):
                return request(http.client.HTTPConnection(HOST, port, timeout=20), "/healthz",
                               {"Cookie": cookie})

            wait_until(lambda: accepts(port) and get().status == 200, 30, "Traefik serves")
            cookies = {get().cookie for _ in range(10)}
            assert len(cookies) == 2 and all(c.startswith("AQUIFER_LB=") for c in cookies)
            c.webserver(0).stop()
            for cookie in cookies:
                wait_until(lambda: get(cookie).status == 200, 10, "users are moved")  # noqa: B023
            c.webserver(1).kill()
            wait_until(lambda: get().status >= 502, 30, "nobody is left")
            c.webserver(0).start()
            wait_until(lambda: get().status == 200, 30, "it is found again")
        finally:
            child.terminate()
            child.wait(20)
            print((tmp_path / "log").read_text())
