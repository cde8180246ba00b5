"""Indexers that forward their datalogs to each other hold the same, whatever dies in between."""

import json
import uuid

import pytest
from client import wait_until
from cluster import Background, Cluster
from control import Control
from layout import Layout


class Ring(Cluster):
    """Webserver i searches indexer i alone, so each indexer can be asked what it holds."""

    def __init__(self, indexers, links=None, **options):
        super().__init__(webservers=indexers, indexers=indexers, balancer=False, start=False,
                         links=Layout.ring(indexers) if links is None else links, **options)

    def __enter__(self):
        super().__enter__()
        for i, process in enumerate(self.layout.indexers):
            self.webserver(i).set(f"Remote-Indexers=net:127.0.0.1:{process.port}")
        return self

    def stats(self, i):
        process = self.layout.indexers[i]
        control = Control(f"127.0.0.1:{process.port}", self.layout.secrets["control"])
        return control.ok("GET", "/control/v1/stats")["replication"]

    def forwarder(self, i, target):
        name = self.layout.indexers[target].name
        return next(f for f in self.stats(i)["forwarders"] if f["name"] == name)

    def expect_all_hold(self, tag, ids, within_s=30):
        """Every indexer has each of them exactly once."""
        for i in range(len(self.layout.indexers)):
            session = self.webserver(i).login()

            def held():
                found = self.ids_found(tag, session)
                assert len(found) == len(set(found)), f"indexer {i} has an entry twice"
                return set(ids) <= set(found)
            wait_until(held, within_s, f"indexer {i} to hold {len(ids)} entries")


def test_a_pair_holds_what_each_was_given():
    with Ring(2) as c:
        c.start()
        ids = c.ingest("web", 500, indexer=0) + c.ingest("web", 300, indexer=1)
        ids += c.ingest("app", 50, indexer=1) + c.ingest("web", 1, indexer=0)
        c.expect_all_hold("*", ids)
        for i in range(2):
            wait_until(lambda: c.forwarder(i, 1 - i)["state"] == "following", 10, "the link")
            wait_until(lambda: c.forwarder(i, 1 - i)["lag_records"] == 0, 10, "no lag")
