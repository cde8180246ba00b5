"""The key that signs sessions is replaced in time, and nobody notices."""

import binascii
import json

from client import wait_until
from cluster import Cluster


def key_of(session):
    """The id of the key that signed a session's token."""
    return json.loads(binascii.unhexlify(session.token.split(".")[0]))["kid"]


def test_a_session_outlives_the_key_that_signed_it():
    """Keys live for a second here. A token signed with the first is good on both webservers after
    the key was replaced; new logins are signed with newer keys, on whichever webserver."""
    with Cluster(webservers=2, indexers=1, balancer=False, start=False) as c:
        for i in range(2):
            c.webserver(i).set("Signing-Key-Lifetime=1s", "Session-Timeout-Minutes=1")
        c.start()
        first = c.webserver(0).login()

        def with_a_newer_key():
            session = c.webserver(1).login()
            return session if key_of(session) != key_of(first) else None
        second = wait_until(with_a_newer_key, 10, "a newer key")
        for session in (first, second):
            for i in range(2):
                there = c.webserver(i).session()
                there.token = session.token
                wait_until(lambda: there.get("/api/testauth").status == 200, 2, "the token's use")


def test_a_key_that_lives_too_short_for_its_sessions_is_refused_at_the_start():
    """A session could outlive all keys that are kept: a configuration error that names the key."""
    with Cluster(webservers=1, indexers=1, balancer=False, start=False) as c:
        node = c.webserver(0)
        node.set("Signing-Key-Lifetime=1s", "Session-Timeout-Minutes=60")
        node.start(ready=False)
        assert node.wait_exit() != 0
        assert "Signing-Key-Lifetime" in node.log()
