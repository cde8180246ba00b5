"""What the page "Systems" is drawn from: every part of the cluster, also one that is away."""

from client import wait_until
from cluster import Cluster
from layout import Layout


def test_the_picture_names_every_part_and_says_which_indexer_is_away():
    with Cluster(webservers=1, indexers=2, balancer=False, links=Layout.ring(2)) as c:
        session = c.webserver(0).login()
        c.ingest("pictured", lines=7)
        cluster = session.get("/api/cluster").json()
        assert cluster["Indexers"] == [f"127.0.0.1:{p.port}" for p in c.layout.indexers]
        assert cluster["Datastores"]

        first = session.get("/api/cluster/indexers/0").json()
        assert first["Up"] and first["Error"] == ""
        assert first["Info"]["id"] == c.layout.secrets["ids"]["indexer-0"]
        tags = {tag["name"]: tag for tag in first["Tags"]["tags"]}
        assert tags["pictured"]["entries"] == 7
        assert [f["name"] for f in first["Stats"]["replication"]["forwarders"]] == ["indexer-1"]

        c.indexer(1).kill()

        def away():
            second = session.get("/api/cluster/indexers/1").json()
            return not second["Up"] and second["Error"]
        wait_until(away, 10, "indexer 1 to be told as away")
        assert session.get("/api/cluster/indexers/2").status == 404
        assert c.webserver(0).session().get("/api/cluster").status == 401
        c.indexer(1).start()
