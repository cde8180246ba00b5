"""The demonstration that operators of the reference system know, on a cluster like quickstart's."""

from client import Session, wait_until


def logins_in(entries):
    return [e.data.decode() for e in entries if "login" in e.data.decode()]


def test_a_search_on_one_webserver_is_in_the_history_of_the_other(cluster):
    """Log in on webserver 0 as admin/changeme, search; webserver 1's history shows it."""
    first, second = cluster.webserver(0).login(), cluster.webserver(1).login()
    before = len(second.history())
    first.launch("tag=gravwell").ok()
    shown = wait_until(lambda: second.history()[:-before or None], 10, "the search in the history")
    assert shown[0]["UserQuery"] == "tag=gravwell"


def test_a_login_on_one_webserver_is_valid_on_the_other(cluster):
    """Sessions are signed tokens: the token of webserver 0 opens webserver 1."""
    token = cluster.webserver(0).login().token
    other = cluster.webserver(1).session()
    assert other.get("/api/info/whoami").status == 401
    other.token = token
    assert other.get("/api/info/whoami").ok().json()["User"] == "admin"


def test_two_browsers_through_the_load_balancer_reach_both_webservers(cluster):
    """Fresh cookie jars are spread over the webservers; one jar stays with its webserver."""
    def webserver_behind(jar):
        answer = jar.get("/readyz")
        cookies = [c for c in jar.jar if c.name]
        assert answer.status == 200 and cookies, answer
        # Behind "|" is when it was given: that is renewed.
        return tuple(sorted((c.name, c.value.split("|")[0]) for c in cookies))

    jars = [Session(cluster.balancer_url) for _ in range(2)]
    behind = [webserver_behind(jar) for jar in jars]
    assert behind[0] != behind[1], "both browsers landed on one webserver"
    for jar, first in zip(jars, behind):
        for _ in range(5):
            assert webserver_behind(jar) == first, "a browser was moved"


def test_the_self_log_shows_the_logins_on_both_webservers(cluster):
    """Every daemon's log is in tag gravwell; a login line carries user and host."""
    sessions = [cluster.webserver(i).login() for i in range(2)]
    ids = [cluster.layout.secrets["ids"][f"webserver-{i}"] for i in range(2)]
    assert ids[0] != ids[1]

    def both():
        entries, _ = sessions[0].search('tag=gravwell grep login')
        lines = [line for line in logins_in(entries) if 'user="admin"' in line]
        pids = {line.split(" ")[4] for line in lines if "aquifer-webserver" in line}
        return lines if len(pids) >= 2 or len(lines) >= 2 else None
    lines = wait_until(both, 15, "logins of both webservers in tag gravwell")
    assert all("host=" in line for line in lines), lines[0]


def test_what_the_command_line_ingests_is_found_by_the_command_line(cluster):
    """aquifer ingest to one indexer, aquifer search through the load balancer, with its formats."""
    ids = cluster.ingest("cli", lines=50, indexer=1)
    for form in ("text", "json", "csv"):
        answer = cluster.aquifer("search", "--server", cluster.balancer_url, "--user", "admin",
                                 "--last", "1h", "--format", form, "tag=cli",
                                 input=b"changeme\n")
        assert answer.returncode == 0, answer.stderr.decode()
        if form != "json":  # there the data is base64
            assert all(id in answer.stdout.decode() for id in ids), answer.stdout[:500]
    old = cluster.aquifer("search", "--server", cluster.balancer_url, "--user", "admin", "--start",
                          "2026-01-02", "--end", "now-1h", "tag=cli", input=b"changeme\n")
    assert (old.returncode, old.stdout) == (0, b"")
    assert b"nothing found from" in old.stderr and b"--last all" in old.stderr
    everything = cluster.aquifer("search", "--server", cluster.balancer_url, "--user", "admin",
                                 "--last", "all", "tag=cli", input=b"changeme\n")
    assert all(id in everything.stdout.decode() for id in ids)


def test_entries_of_both_indexers_are_found_each_once(cluster):
    """A search asks every indexer and merges what they say, newest first."""
    ids = [id for i in range(2) for id in cluster.ingest("both", lines=300, indexer=i)]
    cluster.expect_found("both", ids)
    entries, _ = cluster.webserver(1).login().search("tag=both")
    times = [e.time.rstrip("Z") for e in entries]  # trailing zeros are dropped, so: without the Z
    assert times == sorted(times, reverse=True)
    found, _ = cluster.webserver(1).login().search(f"tag=bo* grep {ids[0]}")
    assert len(found) == 1
    rest, _ = cluster.webserver(1).login().search(f"tag=both grep -v {ids[0]}")
    assert len(rest) == 599
    few, _ = cluster.webserver(1).login().search("tag=both limit 7")
    assert len(few) == 7


def test_the_page_is_served_and_a_program_may_probe_it(cluster):
    """GET / answers 200 on a webserver and through the load balancer."""
    for url in (cluster.webserver(0).url, cluster.balancer_url):
        assert Session(url).get("/").status == 200


def test_every_daemon_says_that_it_is_healthy_and_what_it_counts(cluster):
    """GET /healthz, /readyz and /metrics on each."""
    for node in cluster.nodes.values():
        session = node.session()
        assert session.get("/healthz").status == 200, node.name
        wait_until(lambda: session.get("/readyz").status == 200, 10, node.name)  # noqa: B023
        metrics = session.get("/metrics").ok().body.decode()
        assert "# TYPE" in metrics and "aquifer_" in metrics, node.name
