"""What the page "Systems" and `aquifer status` show: every part of the cluster, also one that is
away."""

import json

from client import wait_until
from cluster import Cluster
from layout import Layout


def status(c, *options, server=None, password="changeme"):
    return c.aquifer("status", "--server", server or c.webserver(0).url, "--user", "admin",
                     "--password", password, "--rate", "0s", *options)


def troubles(c):
    """What is wrong, but for the disk of this machine; the exit status fits it."""
    answer = status(c, "--format", "json")
    picture = json.loads(answer.stdout)
    told = [one["what"] for one in picture["troubles"]]
    assert answer.returncode == (1 if told else 0), answer.stderr
    assert picture["state"] == ("degraded" if told else "well")
    return picture, [what for what in told if not what.startswith("The disk of ")]


def status_tells_of_all(c):
    def well():
        picture, told = troubles(c)
        following = all(one["state"] == "following" for one in picture["links"])
        return picture if following and not told else None
    picture = wait_until(well, 10, "a cluster that is well")
    addresses = [f"127.0.0.1:{p.port}" for p in c.layout.indexers]
    assert [one["address"] for one in picture["indexers"]] == addresses
    assert all(one["up"] and one["takes_entries"] for one in picture["indexers"])
    assert picture["indexers"][0]["entries"] >= 7 and picture["indexers"][0]["free_bytes"] > 0
    assert [(one["from"], one["to"], one["state"]) for one in picture["links"]] == [
        (addresses[0], addresses[1], "following"), (addresses[1], addresses[0], "following")]
    assert [one["self"] for one in picture["webservers"]] == [True] and picture["through"] is None
    assert [one["state"] for one in picture["datastores"]] == ["live"]
    printed = status(c, "--rate", "1ms").stdout.decode()
    assert all(address in printed for address in addresses)
    assert "/s, " in printed


def status_names_the_one_that_is_away(c):
    away = f"127.0.0.1:{c.layout.indexers[1].port}"
    wait_until(lambda: any(f"The indexer {away} does not answer" in what
                           for what in troubles(c)[1]), 10, "indexer 1 to be told as away")
    answer = status(c)
    assert answer.returncode == 1
    assert "systemctl start aquifer-indexer" in answer.stdout.decode()
    for cannot in (status(c, password="wrong"), status(c, server="http://127.0.0.1:1"),
                   status(c, "--rate", "soon"), status(c, "--format", "xml")):
        assert cannot.returncode == 2 and cannot.stderr and not cannot.stdout


def test_the_picture_names_every_part_and_says_which_indexer_is_away():
    with Cluster(webservers=1, indexers=2, balancer=False, links=Layout.ring(2)) as c:
        session = c.webserver(0).login()
        c.ingest("pictured", lines=7)
        cluster = session.get("/api/cluster").json()
        assert cluster["Indexers"] == [f"127.0.0.1:{p.port}" for p in c.layout.indexers]
        assert cluster["Datastores"]

        def up():
            first = session.get("/api/cluster/indexers/0").json()
            return first if first["Up"] else None
        first = wait_until(up, 10, "indexer 0 to be told as up")
        assert first["Error"] == ""
        assert first["Info"]["id"] == c.layout.secrets["ids"]["indexer-0"]
        tags = {tag["name"]: tag for tag in first["Tags"]["tags"]}
        assert tags["pictured"]["entries"] == 7
        assert [f["name"] for f in first["Stats"]["replication"]["forwarders"]] == ["indexer-1"]

        status_tells_of_all(c)
        c.indexer(1).kill()

        def away():
            second = session.get("/api/cluster/indexers/1").json()
            return not second["Up"] and second["Error"]
        wait_until(away, 10, "indexer 1 to be told as away")
        status_names_the_one_that_is_away(c)
        assert session.get("/api/cluster/indexers/2").status == 404
        assert c.webserver(0).session().get("/api/cluster").status == 401
        c.indexer(1).start()
