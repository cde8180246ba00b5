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
                wait_until(lambda: there.get("/api/testauth").status == 200, 10, "its use")


def test_a_key_that_lives_too_short_for_its_sessions_is_refused_at_the_start():
    """A session could outlive all keys that are kept: a configuration error that names the key."""
    with Cluster(webservers=1, indexers=1, balancer=False, start=False) as c:
        node = c.webserver(0)
        node.set("Signing-Key-Lifetime=1s", "Session-Timeout-Minutes=60")
        node.start(ready=False)
        assert node.wait_exit() != 0
        assert "Signing-Key-Lifetime" in node.log()


def sessions_of(session, uid=0):
    return session.get(f"/api/users/{uid}/sessions").ok().json()["Sessions"]


def new_user(cluster, name):
    admin = cluster.webserver(0).login()
    uid = admin.post("/api/users", {"User": name, "Pass": "pw", "Name": name,
                                    "Email": "", "Admin": False}).ok().json()
    return admin, uid


def test_sessions_of_all_webservers_are_listed_and_ended_one_by_one_or_all(cluster):
    """A user works on both webservers; the list is the same on each and says which one is asking. A
    session that is ended on one webserver is refused on the other. Others' sessions are not his."""
    admin, uid = new_user(cluster, "worker")
    here = cluster.webserver(0).login("worker", "pw")
    there = cluster.webserver(1).login_soon("worker", "pw")
    here.get("/api/testauth").ok()
    there.get("/api/testauth").ok()
    for asking in (here, there):
        listed = wait_until(lambda: len(told := sessions_of(asking)) == 2 and told,  # noqa: B023
                            5, "both sessions")
        assert listed[0]["Session"] != listed[1]["Session"]
        own = [one for one in listed if one["Own"]]
        assert len(own) == 1 and asking.url.endswith(own[0]["Webserver"])
    wait_until(lambda: len(sessions_of(admin, uid)) == 2, 5, "both, for an admin")

    other, = own  # of who asked last, there
    strange = sessions_of(admin)[0]["Session"]
    assert here.delete(f"/api/users/0/sessions/{strange}").status == 404
    assert here.delete("/api/users/1/sessions").status == 403
    here.delete(f"/api/users/0/sessions/{other['Session']}").ok()
    wait_until(lambda: there.get("/api/testauth").status == 401, 5, "the end over there")
    wait_until(lambda: len(sessions_of(here)) == 1, 5, "it to leave the list")

    third = cluster.webserver(1).login("worker", "pw")
    here.delete("/api/users/0/sessions").ok()
    wait_until(lambda: third.get("/api/testauth").status == 401, 5, "the end of all others")
    here.get("/api/testauth").ok()
    admin.delete(f"/api/users/{uid}/sessions").ok()
    wait_until(lambda: here.get("/api/testauth").status == 401, 5, "the end by an admin")
