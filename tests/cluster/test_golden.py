"""What a webserver of an earlier version says is understood by this version's datastore, and what
it hears back it understands: recorded exchanges, replayed (tests/golden/record_datastore.py)."""

import json

import pytest
from cluster import ROOT, Cluster
from control import EMPTY, Peer

RECORDINGS = sorted((ROOT / "tests/golden").glob("datastore-protocol-*.jsonl"))


def is_within(recorded, now, where=""):
    """Every member that was there is there, of its type; more is allowed: it is passed over."""
    if isinstance(recorded, dict):
        for key, value in recorded.items():
            assert key in now, f"{where}.{key} is gone"
            is_within(value, now[key], f"{where}.{key}")
    else:
        assert type(recorded) is type(now), f"{where}: {recorded!r} was, {now!r} is"


def told_by_feed(peer):
    """{id: object} of a new feed, up to where it says that it is through."""
    feed, objects = peer.open(f"/sync/v1/feed?since=0&run={peer.run}&beat_ms=200"), {}
    for line in feed:
        told = json.loads(line)
        if "object" in told:
            objects[told["object"]["id"]] = told["object"]
        if told.get("through"):
            return objects
    raise AssertionError("the feed ended")


@pytest.mark.parametrize("recording", RECORDINGS, ids=lambda path: path.stem)
def test_a_recorded_webserver_is_understood(recording):
    """Check-ins and pushes as they were sent, on an empty datastore: the same outcomes and
    revisions, no member missing from any answer; the feed brings each object as it came then."""
    lines = [json.loads(line) for line in recording.read_text().splitlines()]
    posts = [line for line in lines if "path" in line]
    order = sorted(posts, key=lambda post: post["answer"].get("revision", 0))
    pushed = 0
    with Cluster(webservers=0, indexers=0, balancer=False) as c:
        peer = Peer(f"127.0.0.1:{c.datastore.process.port}", c.layout.secrets["control"],
                    order[0]["body"]["protocol"])
        peer.check_in()
        for post in order:
            first = post["body"].get("run") == str(EMPTY)
            body = {**post["body"], "run": str(EMPTY) if first else peer.run}
            status, answer = peer.call("POST", post["path"], body)
            assert status == post["status"], (status, answer)
            answer = json.loads(answer)
            is_within(post["answer"], answer, post["path"])
            if "answers" in post["answer"]:
                pushed += len(answer["answers"])
                assert [(a["id"], a["change"], a["outcome"], a["revision"])
                        for a in answer["answers"]] == \
                    [(a["id"], a["change"], a["outcome"], a["revision"])
                     for a in post["answer"]["answers"]]
        now = told_by_feed(peer)
        then = {line["feed"]["object"]["id"]: line["feed"]["object"]
                for line in lines if "object" in line.get("feed", {})}
        assert pushed > 10 and now.keys() == then.keys()
        for id, object in then.items():
            is_within(object, now[id], object["kind"])
            same = {key: now[id][key] for key in object}
            assert same == object, object["kind"]


def test_every_protocol_that_is_accepted_has_a_recording():
    """The present one and the one before."""
    header = (ROOT / "src/lib/sync/sync.h").read_text()
    present = int(header.split("#define SYNC_PROTOCOL ")[1].split()[0])
    names = {path.stem for path in RECORDINGS}
    assert {f"datastore-protocol-{n}" for n in range(max(1, present - 1), present + 1)} <= names
