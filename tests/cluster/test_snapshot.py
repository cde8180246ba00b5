"""Who lacks what a log does not have any more gets a snapshot, and ends up with the same."""

import contextlib
import re
import shutil
import time

import pytest
from client import wait_until
from control import Control
from layout import Layout
from test_replication import Ring, Writer, wait_for_more
from test_warp10 import Api

FILLER = b"".join(b"%d %s\n" % (i, b"x" * 1000) for i in range(2500))


class Snapshots(Ring):
    """Files of the logs are small, so that they are trimmed after a few MB."""

    def __enter__(self):
        super().__enter__()
        for i in range(len(self.layout.indexers)):
            self.change(i, lambda text: text.replace("[Datalog]\n", "[Datalog]\nSegment-MB=1\n"))
        self.configs = [self.indexer(i).process.config.read_text()
                        for i in range(len(self.layout.indexers))]
        return self

    def change(self, i, change):
        config = self.indexer(i).process.config
        config.write_text(change(config.read_text()))

    def alone(self, i):
        """Starts it without its forwarders, and nothing holds back its log."""
        self.change(i, lambda text: re.sub(r"\[Datalog-Forwarder [^[]*", "", text))
        for cursors in self.indexer(i).process.dir.rglob("cursors"):
            cursors.unlink()
        self.indexer(i).start()

    def connected(self, i):
        self.indexer(i).process.config.write_text(self.configs[i])
        self.indexer(i).start()

    def fill(self, i, text=FILLER):
        answer = self.aquifer(*self.ingest_command("filler", i), input=text)
        assert answer.returncode == 0, answer.stderr.decode()

    def trimmed(self, i, lines=500, fills=1):
        """What it got before is in no log any more. Returns the ids of some of it."""
        self.alone(i)
        ids = self.ingest("web", lines, indexer=i)
        for _ in range(fills):
            self.fill(i)
        assert self.indexer(i).stop() == 0
        return ids

    def empty(self, i):
        """A new disk; it keeps its id."""
        for path in self.indexer(i).process.dir.iterdir():
            if path.is_dir():
                shutil.rmtree(path)


def start_rest(c, *without):
    for name, node in c.nodes.items():
        if name not in without:
            node.start(ready=False)
    for name, node in c.nodes.items():
        if name not in without:
            node.wait_ready()


def test_a_follower_that_was_trimmed_past_ends_up_equal_while_writers_go_on():
    with Snapshots(2, links=[(0, 1), (1, 0)]) as c:
        c.start()
        ids = c.ingest("web", 300, indexer=0) + c.ingest("web", 300, indexer=1)
        c.expect_all_hold("web", ids)
        assert c.indexer(0).stop() == 0 and c.indexer(1).stop() == 0
        ids += c.trimmed(0)
        c.connected(0)
        c.connected(1)
        writers = [Writer(c, i, "web") for i in range(2)]
        wait_until(lambda: c.forwarder(0, 1)["snapshots"] > 0, 30, "a snapshot")
        for writer in writers:
            wait_for_more(writer)
            ids += writer.stop()
        c.expect_all_hold("web", ids, 60)
        wait_until(lambda: c.forwarder(0, 1)["state"] == "following", 10, "the link")
        assert c.forwarder(0, 1)["snapshots"] == 1 and c.forwarder(1, 0)["snapshots"] == 0


def test_a_link_of_some_wells_sends_a_snapshot_of_these():
    with Snapshots(2, links=[(0, 1)]) as c:
        where = c.indexer(0).process.dir / "wells/raw"
        well = f'[Storage-Well "raw"]\nLocation={where}\nTags=raw*\n'
        c.change(0, lambda text: text + well)
        c.configs[0] = (c.configs[0] + well).replace("Target=", "Wells=raw\nTarget=")
        start_rest(c, "indexer-0")
        c.alone(0)
        raw, web = c.ingest("raw", 200), c.ingest("web", 200)
        c.fill(0)
        assert c.indexer(0).stop() == 0
        c.connected(0)
        raw += c.ingest("raw", 50)
        c.expect_found_at(1, "raw", raw, 30)
        wait_until(lambda: c.forwarder(0, 1)["snapshots"] == 1, 30, "the end of the snapshot")
        assert not set(web) & set(c.ids_found("*", c.webserver(1).login()))


def test_a_node_with_a_new_disk_gets_everything_back():
    with Snapshots(3, links=Layout.ring(3)) as c:
        start_rest(c, "indexer-0")
        ids = c.trimmed(0)
        c.connected(0)
        c.expect_all_hold("web", ids, 60)
        c.indexer(1).kill()
        c.empty(1)
        ids += c.ingest("web", 200, indexer=2)
        c.indexer(1).start()
        ids += c.ingest("web", 200, indexer=1)
        c.expect_all_hold("web", ids, 60)


@pytest.mark.parametrize("victim", [0, 1], ids=["sender", "receiver"])
def test_a_kill_in_the_middle_of_a_snapshot_is_harmless(victim):
    with Snapshots(2, links=[(0, 1)]) as c:
        start_rest(c, "indexer-0")
        ids = c.trimmed(0, 3000, fills=3)  # eight seconds of it
        c.configs[0] = c.configs[0].replace("Target=", "Rate-Limit-MB=1\nTarget=")
        c.connected(0)

        def on():
            snapshot = c.forwarder(0, 1)["snapshot"]
            return snapshot["on"] and snapshot["elements"] > 0
        wait_until(on, 30, "a snapshot")
        for _ in range(2):
            c.indexer(victim).kill()
            c.indexer(victim).start()
            wait_until(on, 30, "another")
        c.configs[0] = c.configs[0].replace("Rate-Limit-MB=1\n", "")
        assert c.indexer(0).stop() == 0
        c.connected(0)
        ids += c.ingest("web", 100, indexer=0) + c.ingest("web", 100, indexer=1)
        c.expect_found_at(0, "web", ids[:-100], 60)
        c.expect_found_at(1, "web", ids, 60)


def verify(c, *options):
    config = c.webserver(0).process.config
    text = config.read_text()
    remote = "".join(f"Remote-Indexers=net:127.0.0.1:{p.port}\n" for p in c.layout.indexers)
    everybody = config.with_name("everybody.conf")
    everybody.write_text(re.sub(r"Remote-Indexers=.*\n", "", text).replace(
        "[Global]\n", f"[Global]\n{remote}", 1))
    told = c.aquifer("datalog", "verify", "--cluster", "--config", str(everybody), *options,
                     timeout=300)
    return told.returncode, (told.stdout + told.stderr).decode()


def quiet(c):
    """What the indexers log about themselves goes on; it is not to keep them from being equal."""
    for i in range(len(c.layout.indexers)):
        c.change(i, lambda text: text.replace("[Global]\n",
                                              "[Global]\nDisable-Self-Ingest=true\n", 1))
        c.configs[i] = c.indexer(i).process.config.read_text()


def test_nodes_that_differ_are_found_named_and_repaired():
    with Snapshots(3, links=Layout.ring(3)) as c:
        quiet(c)
        c.start()
        ids = [id for i in range(3) for id in c.ingest("web", 300, indexer=i)]
        c.expect_all_hold("web", ids)
        wait_until(lambda: "on 3 indexers: equal" in verify(c)[1], 20, "equal digests")
        told = c.aquifer("datalog", "verify", "--cluster", "--config",
                         str(c.indexer(0).process.config))
        assert b"none to compare it with" in told.stdout, "an indexer's configuration names itself"
        assert c.indexer(1).stop() == 0
        lost = [path for path in (c.indexer(1).process.dir / "wells/default").iterdir()
                if path.stat().st_size > 0]
        assert lost
        for path in lost:
            path.unlink()
        c.indexer(1).start()
        ids += c.ingest("web", 50, indexer=1)
        c.expect_found_at(0, "web", ids)
        status, text = verify(c)
        assert status == 1 and "well default, " in text and " differ" in text, text
        assert f"127.0.0.1:{c.layout.indexers[1].port} has 50 entries" in text, text
        status, text = verify(c, "--repair")
        assert status == 0 and text.endswith("equal\n"), text
        c.expect_all_hold("web", ids)
        control = Control(f"127.0.0.1:{c.layout.indexers[1].port}", c.layout.secrets["control"])
        assert control.ok("GET", "/control/v1/needs")["missing"] is None


def test_attributes_that_differ_are_found_and_repaired():
    with Snapshots(2, links=Layout.ring(2)) as c:
        quiet(c)
        c.start()
        tokens = c.layout.secrets["warp10"]
        api = Api(c.indexer(0), tokens["write"], tokens["read"])
        write_points(c, 0, [int(time.time() * 10**6)])
        assert api.meta(b"load{host=h1}{unit=C}\nload{host=h2}{unit=F,a=b}\n")[0] == 200
        c.fill(0)  # and what came before leaves the log
        wait_until(lambda: c.forwarder(0, 1)["lag_records"] == 0, 20, "no lag")
        wait_until(lambda: verify(c)[0] == 0, 20, "equal digests")
        assert c.indexer(1).stop() == 0
        shutil.rmtree(c.indexer(1).process.dir / "series")  # names are in the segments too
        c.indexer(1).start()
        status, text = verify(c)
        assert status == 1 and "the attributes of series differ: " in text, text
        status, text = verify(c, "--repair")
        assert status == 0 and text.endswith("equal\n"), text
        other = Api(c.indexer(1), tokens["write"], tokens["read"])
        assert other.find("load{host=h2}", "&showattr=true") == \
            api.find("load{host=h2}", "&showattr=true") != []


def test_a_peer_that_stays_away_is_detached_named_and_brought_back_equal():
    with Snapshots(2, links=Layout.ring(2)) as c:
        quiet(c)
        bound = 8 * 10**6
        c.change(0, lambda text: text.replace("[Datalog]\n", "[Datalog]\nMax-Datalog-GB=0.008\n"))
        c.start()
        ids = c.ingest("web", 200, indexer=0) + c.ingest("web", 200, indexer=1)
        c.expect_all_hold("web", ids)
        c.indexer(1).kill()
        log, largest = c.indexer(0).process.dir / "datalog", 0
        while not c.forwarder(0, 1)["detached"]:
            assert largest < 2 * bound, "nobody is detached"
            c.fill(0, FILLER[:200000])
            size = 0
            for path in log.iterdir():
                with contextlib.suppress(FileNotFoundError):  # trimmed just now
                    size += path.stat().st_size
            largest = max(largest, size)
        assert bound / 2 < largest <= bound
        peer = c.layout.indexers[1].name
        counted = f'aquifer_datalog_detached{{forwarder="{peer}"}} 1'
        wait_until(lambda: counted in c.metrics(0), 10, counted)
        said = f"cursor forward-{peer} is detached"
        wait_until(lambda: said in c.indexer(0).log(), 10, said)
        config = ("--config", str(c.webserver(0).process.config))
        assert b", DETACHED: " in c.aquifer("datalog", "status", *config).stdout
        session = c.webserver(0).login()

        def told():
            notes = session.get("/api/notifications").ok().json().values()
            return [n for n in notes if f"forward-{peer} was away" in n["Msg"]]
        wait_until(told, 15, "a notification")
        ids += c.ingest("web", 100, indexer=0)
        c.indexer(1).start()
        c.expect_all_hold("web", ids, 60)
        wait_until(lambda: c.forwarder(0, 1)["snapshots"] == 1, 30, "the end of the snapshot")
        wait_until(lambda: not c.forwarder(0, 1)["detached"], 10, "it to be attached")
        wait_until(lambda: verify(c)[0] == 0, 20, "equal digests")
        assert len(told()) == 1
        assert "control-refused" not in c.indexer(1).log()  # who knew it before says hello again


def in_memory(c, i):
    def change(text):
        return re.sub(r"(\[Default-Well\]\n)Location=.*\n",
                      r"\1Storage=memory\nMax-Memory-MB=64\nHot-Duration=1d\n", text)
    c.change(i, change)
    c.configs[i] = c.indexer(i).process.config.read_text()


def points_of(c, i, times):
    """How many points of those times, in microseconds, indexer i has."""
    tokens = c.layout.secrets["warp10"]
    api = Api(c.indexer(i), tokens["write"], tokens["read"])
    return sum(len(api.times(f"selector=load{{}}&now={time + 1000}&timespan=2000"))
               for time in times)


def write_points(c, i, times):
    tokens = c.layout.secrets["warp10"]
    text = "".join(f"{time + n}// load{{host=h{n}}} {n}\n" for time in times for n in range(100))
    Api(c.indexer(i), tokens["write"], tokens["read"]).expect_update(text.encode())


@pytest.mark.parametrize("kill", [False, True], ids=["stop", "kill"])
def test_a_memory_node_refills_itself_and_disk_nodes_have_the_history(kill):
    with Snapshots(3, links=Layout.ring(3)) as c:
        in_memory(c, 1)
        c.start()
        now = int(time.time() * 10**6)
        history = [now - days * 86400 * 10**6 for days in (9, 5, 3)]
        recent = [now - hours * 3600 * 10**6 for hours in (9, 5, 1)]
        write_points(c, 0, history)
        wait_until(lambda: points_of(c, 2, history) == 300, 20, "the history")
        wait_until(lambda: points_of(c, 1, history) == 0, 20, "history to leave memory")
        write_points(c, 2, recent)
        ids = c.ingest("web", 500, indexer=0)
        c.fill(0)
        for i in range(3):
            wait_until(lambda: points_of(c, i, recent) == 300, 20, "recent points")
        c.expect_all_hold("web", ids)
        if kill:
            c.indexer(1).kill()
            shutil.rmtree(c.indexer(1).process.dir / "datalog")  # it was in memory too
        else:
            assert c.indexer(1).stop() == 0
        c.indexer(1).start()
        wait_until(lambda: c.forwarder(0, 1)["snapshots"] > 0, 20, "a snapshot")
        wait_until(lambda: points_of(c, 1, recent) == 300, 20, "recent points to be back")
        c.expect_all_hold("web", ids)
        assert points_of(c, 0, history) == points_of(c, 2, history) == 300
        ids += c.ingest("web", 100, indexer=1)
        c.expect_all_hold("web", ids)


def join(c, i, host, *options):
    told = c.aquifer("datalog", "join", "--config", str(c.indexer(i).process.config), "--from",
                     f"127.0.0.1:{c.layout.indexers[host].port}", *options, timeout=120)
    return told.returncode, (told.stdout + told.stderr).decode()


def test_a_new_node_joins_while_writers_go_on():
    with Snapshots(2, links=[(1, 0)]) as c:
        start_rest(c, "indexer-0")
        ids = c.trimmed(0, 2000)
        c.connected(0)
        writer = Writer(c, 0, "web")
        wait_for_more(writer)
        status, text = join(c, 1, 0)
        assert status == 0 and "level: this indexer holds what" in text, text
        wait_for_more(writer)
        c.expect_all_hold("web", ids + writer.stop(), 60)
        ids += writer.ids
        c.indexer(0).kill()
        c.indexer(0).start()
        ids += c.ingest("web", 100, indexer=0) + c.ingest("web", 100, indexer=1)
        c.expect_all_hold("web", ids, 60)
        assert join(c, 1, 0)[0] == 0  # once more is no harm
        assert join(c, 1, 0, "--leave")[0] == 0
        wait_until(lambda: c.stats(0)["forwarders"] == [], 10, "its forwarder to be gone")
        status, text = join(c, 1, 0, "--leave")
        assert status != 0 and "has not joined" in text


def test_joining_says_what_is_wrong():
    with Snapshots(2, links=[(1, 0)]) as c:
        c.start()
        assert "needs --from" in c.aquifer("datalog", "join").stderr.decode()
        status, text = join(c, 1, 0, "--secret", "wrong")
        assert status != 0 and text
        c.change(1, lambda text: re.sub(r"Listen=127.*\n", "", text))
        assert c.indexer(1).stop() == 0
        c.indexer(1).start()
        status, text = join(c, 1, 0)
        assert status != 0 and "Listen=" in text
