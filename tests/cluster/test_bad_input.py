"""Whatever is wrong gets a message that names what and where, and disturbs nothing else."""

import http.client
import re
import socket
import subprocess

import pytest
from client import Session, wait_until
from cluster import BUILD, Cluster


def check_config(node):
    return subprocess.run([*node.process.command, "--check-config"], capture_output=True,
                          text=True, timeout=120, check=False)


def refused(node):
    """Starts it and waits for its refusal; returns what it said."""
    node.start(ready=False)
    status = node.wait_exit()
    assert status != 0, "it took a configuration that is wrong"
    return node.log()


@pytest.mark.parametrize("kind", ["datastore", "webserver", "indexer", "loadbalancer"])
def test_an_unknown_key_is_named_with_its_place_and_the_nearest_known_key(kind):
    """Every daemon refuses to start; --check-config says the same."""
    with Cluster(webservers=1, indexers=1, start=False) as c:
        node = c.nodes[f"{kind}-0"]
        known = {"datastore": "Datastore-Port", "indexer": "Ingest-Port"}.get(kind, "Web-Port")
        wrong = known.replace("Port", "Prot")
        assert check_config(node).returncode == 0, check_config(node).stderr
        node.set(f"{wrong}=1")
        lines = node.process.config.read_text().splitlines()
        place = f"{node.process.config}:{lines.index(f'{wrong}=1') + 1}:"
        answer = check_config(node)
        assert answer.returncode == 1
        for said in (answer.stdout + answer.stderr, refused(node)):
            assert place in said and wrong in said and known in said, said


def test_a_wrong_ingest_secret_is_refused_and_said_on_both_sides(cluster):
    """The sender exits non-zero and says so, the indexer logs who it was; nothing is stored."""
    answer = cluster.aquifer(*cluster.ingest_command("secret", secret="wrong"), input=b"a line\n")
    assert answer.returncode != 0
    assert "auth" in answer.stderr.decode().lower() or "secret" in answer.stderr.decode().lower()
    wait_until(lambda: "auth" in cluster.indexer(0).log().lower(), 5, "a line in the indexer's log")
    refused = cluster.webserver(0).login().launch("tag=secret")
    assert refused.status == 400 and "does not exist" in refused.error
    cluster.expect_found("secret", cluster.ingest("secret", lines=3))


def test_a_wrong_control_secret_is_said_and_changes_nothing():
    """A webserver with another Control-Auth: the datastore refuses it, its own log says why."""
    with Cluster(webservers=2, indexers=1, balancer=False, start=False) as c:
        c.webserver(1).set("Control-Auth=wrong")
        for name in ("datastore-0", "indexer-0", "webserver-0"):
            c.nodes[name].start()
        c.webserver(1).start(ready=False)
        for node in (c.webserver(1), c.datastore):
            wait_until(lambda: re.search(r"Control-Auth|secret", node.log()), 20,
                       f"a line about the secret in the log of {node.name}")
        c.webserver(0).login().get("/api/info/whoami").ok()
        assert c.webserver(1).stop() == 0


def test_garbage_on_the_ingest_port_disturbs_nobody(cluster):
    """Bytes that are no frame, a connection that is cut: said in the log, others go on."""
    port = cluster.layout.indexers[0].ingest_port
    for garbage in (b"GET / HTTP/1.1\r\n\r\n", b"\xff" * 4096, b"", b"\x00" * 3):
        with socket.create_connection(("127.0.0.1", port), timeout=60) as wire:
            wire.sendall(garbage)
    cluster.expect_found("garbage", cluster.ingest("garbage", lines=10))


def test_an_entry_that_is_too_large_is_refused_by_name(cluster):
    """A line of 300 MB is more than any entry may have; the sender says which bound it met."""
    answer = cluster.aquifer(*cluster.ingest_command("large"), input=b"x" * (300 << 20) + b"\n",
                             timeout=120)
    assert answer.returncode != 0
    said = answer.stderr.decode().lower()
    assert "too large" in said or "too long" in said or "at most" in said, said
    cluster.expect_found("large", cluster.ingest("large", lines=3))


def test_bad_requests_are_400_and_the_connection_lives(cluster):
    """JSON that is none, a body that is too large, a path that climbs: each has its answer."""
    session = cluster.webserver(0).login()
    answer = session.call("POST", "/api/dashboards", b"{not json", "application/json")
    assert answer.status == 400 and answer.error
    assert session.call("POST", "/api/parse", b"[" * 100000, "application/json").status == 400
    announced = http.client.HTTPConnection(session.url.removeprefix("http://"), timeout=60)
    announced.request("POST", "/api/dashboards", headers={  # what is sent to a closed end resets it
        "Authorization": f"Bearer {session.token}", "Content-Length": str(300 << 20)})
    assert announced.getresponse().status == 413
    announced.close()
    assert Session(session.url).get("/../../etc/passwd").status in (400, 403, 404)
    session.get("/api/info/whoami").ok()


def test_passwords_cannot_be_guessed_fast(cluster):
    """Login-Fail-Lock: after some wrong passwords of one user the answers get slower or stop; the
    administrator is not locked out by it."""
    import time
    session = cluster.webserver(1).session()
    begun = time.monotonic()
    statuses = [session.try_login("mallory", f"guess {i}").status for i in range(12)]
    taken = time.monotonic() - begun
    assert 200 not in statuses
    assert taken > 2 or set(statuses) - {422}, f"{statuses} in {taken:.1f} s"
    cluster.webserver(1).login()


def test_the_command_line_says_what_is_wrong_with_its_arguments():
    """No tag, no such file, no such server: a sentence on stderr and a status."""
    def run(*arguments):
        return subprocess.run([BUILD / "bin/aquifer", *arguments], capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, timeout=120, check=False)
    for arguments in (["ingest", "-"], ["ingest", "--tag", "x", "/no/such/file"], ["dance"],
                      ["ingest", "--tag", "a b", "-"]):
        answer = run(*arguments)
        assert answer.returncode != 0 and answer.stderr, arguments


def test_no_path_leads_out_of_the_pages_of_the_webserver(cluster):
    """Climbing, as it is and escaped once: nothing of the file system but Web-Files-Path is given
    to anybody. Escaped twice it is a name, which is not there."""
    url = cluster.webserver(0).url.removeprefix("http://")
    for path in ("/../../../../../../etc/passwd", "/..%2f..%2f..%2f..%2f..%2f..%2fetc%2fpasswd",
                 "/assets/%2e%2e%2f%2e%2e%2f%2e%2e%2f%2e%2e%2f%2e%2e%2fetc/passwd",
                 "/assets/..%252f..%252f..%252fetc%252fpasswd", "//etc/passwd", "/%2fetc%2fpasswd"):
        wire = http.client.HTTPConnection(url, timeout=60)
        wire.request("GET", path)
        answer = wire.getresponse()
        assert answer.status in (400, 404) and b"root:" not in answer.read(), path
        wire.close()


def test_without_traefik_token_nobody_reads_the_list_of_webservers(cluster):
    wire = http.client.HTTPConnection("127.0.0.1", cluster.layout.datastores[0].port, timeout=60)
    wire.request("GET", "/traefik?token=")
    answer = wire.getresponse()
    assert answer.status == 403 and b"Traefik-Token" in answer.read()
    wire.close()
