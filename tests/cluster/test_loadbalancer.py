"""The load balancer, first alone with tiny webservers listed by hand, then in a real cluster."""

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import threading
import time
from pathlib import Path

import pytest
from balancing import HOST, Tiny, Users, accepts, echoes, make_certificate, request, takes_chunks
from client import Session, wait_until
from cluster import BROKEN, BUILD, Background, Cluster, free_port_base


class Balancer:
    """aquifer-loadbalancer with tiny webservers as overrides."""

    def __init__(self, dir, webservers=2, settings=(), tls=None, back_tls=None):
        base = free_port_base(webservers + 3)
        self.port, self.admin_port, self.redirector_port = base, base + 1, base + 2
        self.dir, self.tls = dir, tls
        names = "abcdefgh"[:webservers]
        self.webservers = [Tiny(base + 3 + i, name, *(back_tls or ()))
                           for i, name in enumerate(names)]
        lines = ["[Global]", "Disable-Datastore=true", f"Bind-Addr={HOST}",
                 f"Web-Port={self.port}", f"HTTP-Redirector-Port={self.redirector_port}",
                 f"Admin-Port={self.admin_port}", f"Run-Directory={dir}/run",
                 f"Log-Dir={dir}/logs", "Log-Level=INFO", "Health-Check-Interval-Ms=200",
                 *(["Insecure-Disable-HTTPS=true"] if tls is None else
                   [f"Certificate-File={tls[0]}", f"Key-File={tls[1]}"]), *settings]
        for tiny in self.webservers:
            host = "localhost" if back_tls else HOST
            lines += [f'[Overrides "{tiny.name}"]', f"Webserver={host}:{tiny.port}",
                      "" if back_tls else "Insecure-Disable-HTTPS=true"]
        (dir / "loadbalancer.conf").write_text("\n".join(lines) + "\n")

    def __enter__(self):
        self.log = self.dir / "log"
        with open(self.log, "wb") as log:
            self.child = subprocess.Popen(
                [BUILD / "bin/aquifer-loadbalancer", "--config", self.dir / "loadbalancer.conf"],
                stdout=log, stderr=log)
        return self

    def __exit__(self, kind, *_):
        try:
            status = self.stop() if self.child.poll() is None else self.child.returncode
            text = self.log.read_text(errors="replace")
            broken = BROKEN.search(text)
            if kind or status != 0 or broken:
                print(text)
            assert kind or (status == 0 and not broken), f"exited with {status}"
        finally:
            for tiny in self.webservers:
                tiny.kill()

    def ready(self):
        def is_ready():
            assert self.child.poll() is None, self.log.read_text()
            with contextlib.suppress(OSError):
                return self.admin("/readyz")[0] == 200
        wait_until(is_ready, 20, "the load balancer is ready")
        return self

    def all_up(self):
        wait_until(lambda: f"webservers_up {len(self.webservers)}\n" in self.admin("/metrics")[1],
                   10, "all webservers are up")
        return self

    def stop(self, within_s=120):
        self.child.send_signal(signal.SIGTERM)
        return self.child.wait(within_s)

    def haproxy(self):
        return haproxy_below(self.child.pid)

    def connect(self, timeout=60):
        if self.tls is None:
            return http.client.HTTPConnection(HOST, self.port, timeout=timeout)
        context = ssl.create_default_context(cafile=self.tls[0])
        return http.client.HTTPSConnection("localhost", self.port, timeout=timeout,
                                           context=context)

    def get(self, path="/x", headers=None):
        return request(self.connect(), path, headers)

    def admin(self, path):
        answer = request(http.client.HTTPConnection(HOST, self.admin_port, timeout=60), path)
        return answer.status, answer.text


def haproxy_below(pid):
    """The pid of a load balancer's HAProxy, or None."""
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError):  # a thread, or a child, that has just ended
            for child in (task / "children").read_text().split():
                if Path(f"/proc/{child}/comm").read_text().strip() == "haproxy":
                    return int(child)
    return None


def ask_the_one(balancer, path):
    """Asks its only webserver, past the load balancer."""
    tiny, = balancer.webservers
    return request(http.client.HTTPConnection(HOST, tiny.port, timeout=120), path)


def test_users_stay_where_they_are_and_newcomers_are_spread(tmp_path):
    """The cookie decides; without one the webservers take turns. It is hidden from scripts."""
    with Balancer(tmp_path) as b:
        b.ready().all_up()
        first, second = b.get(), b.get()
        assert {first.text[0], second.text[0]} == {"a", "b"}
        for answer in (first, second):
            for _ in range(4):
                assert b.get(headers={"Cookie": answer.cookie}).text[0] == answer.text[0]
        header = first.getheader("Set-Cookie")
        assert "HttpOnly" in header and "SameSite=Lax" in header and "Secure" not in header
        assert HOST not in header
        assert b.stop() == 0
        b.__enter__()
        b.ready().all_up()
        for answer in (first, second):  # also at the next load balancer with the same secret
            assert b.get(headers={"Cookie": answer.cookie}).text[0] == answer.text[0]


def test_a_killed_webserver_costs_no_request(tmp_path):
    """Both are killed and come back in turn while users click: every click is answered."""
    with Balancer(tmp_path) as b:
        b.ready().all_up()
        with Users(b) as users:
            for victim, other in ((0, 1), (1, 0), (0, 1)):
                users.see("a", "b")
                b.webservers[victim].kill()
                users.see(b.webservers[other].name)
                time.sleep(1)  # long enough for several health checks to fail
                b.webservers[victim].start()
                b.all_up()
        assert not users.faults


def send_in_two(balancer, method, path, cookie, body=b"User=admin"):
    """As browsers do: the head, and a moment later the body."""
    with contextlib.closing(balancer.connect(timeout=60)) as connection:
        connection.putrequest(method, path)
        connection.putheader("Cookie", cookie)
        connection.putheader("Content-Length", len(body))
        connection.endheaders()
        balancer.get()
        connection.send(body)
        answer = connection.getresponse()
        return answer.status, answer.read(1).decode()


@pytest.mark.parametrize("method, path, repeated", [
    ("POST", "/api/login", True), ("PUT", "/api/other", True), ("POST", "/api/other", False)])
def test_a_login_is_repeated_on_another_webserver_and_other_posts_are_not(
        tmp_path, method, path, repeated):
    """The webserver is killed with the request in its hands: what it did with it nobody knows."""
    with Balancer(tmp_path) as b:
        b.ready().all_up()
        tiny = b.webservers[0]
        while (answer := b.get()).text[0] != tiny.name:
            pass
        answers = []
        user = threading.Thread(target=lambda: answers.append(
            send_in_two(b, method, f"{path}?hang-{tiny.name}", answer.cookie)))
        user.start()
        request(http.client.HTTPConnection(HOST, tiny.port, timeout=60), "/slow-begun")
        tiny.kill()
        user.join()
        assert answers == ([(200, "b")] if repeated else [(502, "<")])


def test_a_killed_haproxy_is_replaced_and_nobody_is_refused(tmp_path):
    """Only what was under way at that moment is lost; new connections wait for the next HAProxy."""
    with Balancer(tmp_path) as b:
        b.ready().all_up()
        for _ in range(3):
            before = b.haproxy()
            os.kill(before, signal.SIGKILL)
            assert b.get().status == 200
            assert b.haproxy() != before
            time.sleep(0.3)
        log = b.log.read_text()
        assert log.count("haproxy-ended") == 3
        starts = 1 + 3 + log.count("haproxy-stuck")  # on a machine that is busy beyond measure
        assert f"haproxy_starts_total {starts}\n" in b.admin("/metrics")[1]


def test_without_a_webserver_users_get_a_page_that_says_so(tmp_path):
    """503 with a page; the load balancer is not ready; when a webserver comes, it is."""
    with Balancer(tmp_path, webservers=1) as b:
        b.ready()
        b.webservers[0].kill()
        wait_until(lambda: b.admin("/readyz")[0] == 503, 10, "not ready")
        assert "no webserver answers" in b.admin("/readyz")[1]
        answer = b.get()
        assert answer.status == 503 and "No webserver is available" in answer.text
        assert answer.getheader("Retry-After") == "2"
        assert b.admin("/healthz")[0] == 200
        b.webservers[0].start()
        wait_until(lambda: b.get().status == 200, 10, "served again")
        b.ready()


def test_sigterm_lets_open_requests_finish(tmp_path):
    """What is under way is answered; new connections are refused; exit 0."""
    with Balancer(tmp_path, webservers=1) as b:
        b.ready()
        slow = Background(lambda: b.get("/slow"))
        assert ask_the_one(b, "/slow-begun").status == 200  # it is on its way
        b.child.send_signal(signal.SIGTERM)
        wait_until(lambda: not accepts(b.port), 5, "the port is closed")
        assert slow.join(60).status == 200
        assert b.child.wait(120) == 0


def test_haproxy_does_not_outlive_a_killed_load_balancer(tmp_path):
    """Nor does it cut what is under way; the ports are free for the next one."""
    with Balancer(tmp_path, webservers=1) as b:
        b.ready()
        haproxy = b.haproxy()
        slow = Background(lambda: b.get("/slow"))
        assert ask_the_one(b, "/slow-begun").status == 200  # it is on its way
        b.child.kill()
        b.child.wait()
        assert slow.join(60).status == 200
        wait_until(lambda: not Path(f"/proc/{haproxy}").exists(), 20, "HAProxy ends")
        b.__enter__()
        b.ready()


def test_websockets_and_uploads_pass(tmp_path):
    """An upgraded connection carries bytes both ways; a chunked body of 20 MB arrives whole."""
    with Balancer(tmp_path) as b:
        b.ready()
        echoes(socket.create_connection((HOST, b.port), timeout=60))
        takes_chunks(b.connect())


def test_forwarded_headers_are_ours(tmp_path):
    """A user cannot pretend to come from elsewhere."""
    with Balancer(tmp_path) as b:
        b.ready()
        answer = b.get(headers={"X-Forwarded-For": "6.6.6.6", "X-Forwarded-Proto": "https",
                                "Forwarded": "for=6.6.6.6"})
        assert answer.text.split("\n")[4:] == [HOST, "http", "-"]


def test_a_trusted_proxy_in_front_is_passed_on(tmp_path):
    """What it says of its client counts, in headers or by the PROXY protocol; and the standard's
    header is sent where it is asked for."""
    said = {"X-Forwarded-For": "192.0.2.7", "X-Forwarded-Proto": "https"}
    with Balancer(tmp_path, settings=["Trusted-Proxy=127.0.0.0/30", "Forwarded-Header=true"]) as b:
        b.ready()
        lines = b.get(headers=said).text.split("\n")
        assert lines[4:] == [f"192.0.2.7, {HOST}", "https", f"for={HOST};proto=http"]
        stranger = http.client.HTTPConnection(HOST, b.port, timeout=60,
                                              source_address=("127.0.0.9", 0))
        assert request(stranger, "/x", said).text.split("\n")[4:6] == ["127.0.0.9", "http"]


def test_the_proxy_protocol_is_taken_from_a_trusted_proxy_only(tmp_path):
    settings = ["Trusted-Proxy=127.0.0.1", "Accept-Proxy-Protocol=true", "Forwarded-Header=true"]
    with Balancer(tmp_path, settings=settings) as b:
        b.ready()
        with socket.create_connection((HOST, b.port), timeout=60) as proxy:
            proxy.sendall(b"PROXY TCP6 2001:db8::7 2001:db8::1 4711 80\r\n"
                          b"GET /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            answer = b"".join(iter(lambda: proxy.recv(65536), b"")).decode()
        assert answer.endswith('\n2001:db8::7\nhttp\nfor="[2001:db8::7]";proto=http'), answer
        stranger = http.client.HTTPConnection(HOST, b.port, timeout=60,
                                              source_address=("127.0.0.9", 0))
        assert request(stranger, "/x").text.split("\n")[4:6] == ["127.0.0.9", "http"]


def test_the_access_log_has_a_line_per_request_and_can_be_rotated(tmp_path):
    """Enable-Access-Log writes <Log-Dir>/access.log; SIGHUP opens it anew."""
    with Balancer(tmp_path, settings=["Enable-Access-Log=true"]) as b:
        b.ready()
        log = tmp_path / "logs/access.log"
        b.get("/first?q=1")
        wait_until(lambda: log.exists() and '"GET /first?q=1 HTTP/1.1" 200' in log.read_text(), 10,
                   "the first line")
        log.rename(tmp_path / "logs/access.log.1")
        b.child.send_signal(signal.SIGHUP)

        def second_line():
            b.get("/second")
            return log.exists() and "/second" in log.read_text()
        wait_until(second_line, 10, "a line in the new file")


def test_https_in_front_with_a_redirector(tmp_path):
    """TLS for users, the cookie is Secure, plain HTTP is sent to the HTTPS port."""
    tls = make_certificate(tmp_path, "front")
    with Balancer(tmp_path, tls=tls) as b:
        b.ready()
        answer = b.get()
        assert answer.status == 200 and "Secure" in answer.getheader("Set-Cookie")
        assert answer.text.split("\n")[5] == "https"
        plain = http.client.HTTPConnection(HOST, b.redirector_port, timeout=60)
        moved = request(plain, "/a?b=c", headers={"Host": f"localhost:{b.redirector_port}"})
        assert moved.status == 308
        assert moved.getheader("Location") == f"https://localhost:{b.port}/a?b=c"


def test_people_come_by_tls_1_3_and_http_2(tmp_path):
    tls = make_certificate(tmp_path, "front")
    with Balancer(tmp_path, tls=tls) as b:
        b.ready()
        connection = b.connect()
        connection.connect()
        assert connection.sock.version() == "TLSv1.3"
        connection.close()
        said = subprocess.run(["curl", "--silent", "--http2", "--cacert", tls[0], "--output",
                               "/dev/null", "--write-out", "%{http_version} %{http_code}",
                               f"https://localhost:{b.port}/x"], capture_output=True, text=True,
                              check=True, timeout=60).stdout
        assert said == "2 200"


def test_long_downloads_and_event_streams_pass(tmp_path):
    """1 GB arrives whole; an event is there before the next one is sent."""
    with Balancer(tmp_path, webservers=1) as b:
        b.ready()
        with contextlib.closing(b.connect()) as connection:
            connection.request("GET", f"/bytes/{1 << 30}")
            answer, count = connection.getresponse(), 0
            while piece := answer.read(1 << 20):
                count += len(piece)
            assert count == 1 << 30
        with contextlib.closing(b.connect()) as connection:
            connection.request("GET", "/events")
            answer = connection.getresponse()
            assert answer.readline() == b"data: first\n"
            request(b.connect(), "/seen", method="POST")
            assert answer.read() == b"\ndata: second\n\n"


def test_a_certificate_and_a_key_that_do_not_fit_are_said_by_name(tmp_path):
    """Users are not served in plain instead; once it is mended, they are."""
    tls = make_certificate(tmp_path, "front")
    good = tls[1].read_bytes()
    tls[1].write_bytes(make_certificate(tmp_path, "other")[1].read_bytes())
    with Balancer(tmp_path, tls=tls) as b:
        wait_until(lambda: "private key and certificate" in b.log.read_text(), 20, "it is said")
        wait_until(lambda: accepts(b.admin_port), 10, "the admin port")
        assert b.admin("/readyz")[0] == 503
        tls[1].write_bytes(good)
        b.ready()


def test_an_haproxy_that_does_not_know_our_configuration_is_said(tmp_path):
    """Too old a one, say: its own words are in the log, and it is tried again."""
    old = tmp_path / "haproxy"
    old.write_text("#!/bin/sh\necho \"[ALERT] unknown keyword 'retry-on'\" >&2\nexit 1\n")
    old.chmod(0o755)
    with Balancer(tmp_path, settings=[f"HAProxy-Path={old}"]) as b:
        wait_until(lambda: b.log.read_text().count("unknown keyword 'retry-on'") >= 2, 20, "told")
        old.unlink()
        old.symlink_to("/usr/sbin/haproxy")
        b.ready()
        assert b.get().status == 200


def test_a_renewed_certificate_is_taken_without_a_restart(tmp_path):
    """SIGHUP: new connections see the new one; one that does not fit its key changes nothing."""
    tls = make_certificate(tmp_path, "front")
    with Balancer(tmp_path, tls=tls) as b:
        b.ready()

        def seen():
            return ssl.get_server_certificate((HOST, b.port))
        first, haproxy = seen(), b.haproxy()
        tls[0].write_text(make_certificate(tmp_path, "other")[0].read_text())
        b.child.send_signal(signal.SIGHUP)
        wait_until(lambda: "certificate-refused" in b.log.read_text(), 10, "a refusal")
        assert seen() == first
        make_certificate(tmp_path, "front")
        b.child.send_signal(signal.SIGHUP)
        wait_until(lambda: seen() != first, 10, "the new certificate")
        assert b.haproxy() == haproxy


@pytest.mark.parametrize("trusted", [True, False])
def test_certificates_of_webservers_are_verified_unless_told_otherwise(tmp_path, trusted):
    """A self-signed webserver gets no users; with Insecure-Skip-TLS-Verify it does."""
    tls = make_certificate(tmp_path, "back")
    with Balancer(tmp_path, webservers=1, back_tls=tls) as b:
        if trusted:
            config = tmp_path / "loadbalancer.conf"
            config.write_text(config.read_text() + "Insecure-Skip-TLS-Verify=true\n")
            b.stop()
            b.__enter__()
            b.ready()
            assert b.get().status == 200
        else:
            wait_until(lambda: "is DOWN" in b.log.read_text(), 10, "its check fails")
            assert b.get().status == 503
            assert b.admin("/readyz")[0] == 503
            assert "webserver-up" not in b.log.read_text(), "up before anything was checked"


def test_a_webserver_counts_as_up_once_a_check_of_it_has_passed(tmp_path):
    """One that accepts and says nothing is not up, though HAProxy takes it for up meanwhile."""
    balancer = Balancer(tmp_path, webservers=1)
    balancer.webservers[0].kill()
    mute = socket.create_server((HOST, balancer.webservers[0].port))
    with mute, balancer as b:
        wait_until(lambda: "is DOWN" in b.log.read_text(), 20, "its check has failed")
        assert "webserver-up" not in b.log.read_text()
        mute.close()
        b.webservers[0].start()
        b.ready()


def test_a_missing_haproxy_is_said_and_tried_again(tmp_path):
    """The load balancer does not end; it says what is missing, and goes on once it is there."""
    haproxy = tmp_path / "haproxy"
    with Balancer(tmp_path, settings=[f"HAProxy-Path={haproxy}"]) as b:
        wait_until(lambda: f"HAProxy-Path {haproxy}" in b.log.read_text(), 10, "a line in the log")
        wait_until(lambda: accepts(b.admin_port), 10, "the admin port")
        wait_until(lambda: "HAProxy does not run" in b.admin("/readyz")[1], 10, "not ready")
        haproxy.symlink_to("/usr/sbin/haproxy")
        b.ready()
        assert b.get().status == 200


# In a cluster.


def listed(c, count):
    """Waits until the load balancer has so many webservers up."""
    wait_until(lambda: re.search(rf"webservers_up {count}\n", metrics(c)), 20,
               f"{count} webservers are up")


def metrics(c):
    connection = http.client.HTTPConnection(HOST, c.balancer.process.port, timeout=60)
    return request(connection, "/metrics").text


def failed_commands(c):
    return int(re.search(r"^aquifer_loadbalancer_haproxy_commands_failed_total (\d+)$", metrics(c),
                         re.M)[1])


def balanced(c, path="/readyz"):
    return request(http.client.HTTPConnection(HOST, c.layout.balancer_port, timeout=60), path)


def test_webservers_are_found_by_themselves_and_kept_while_the_datastore_is_away():
    """The list comes from the datastore; without it the last one goes on, and a webserver that is
    started meanwhile is there as soon as the datastore is back. Nor is it forgotten when HAProxy
    has no time to hear of it."""
    with Cluster(webservers=2, indexers=1, start=False) as c:
        c.balancer.start(ready=False)
        wait_until(lambda: accepts(c.layout.balancer_port), 20, "the balancer listens")
        assert balanced(c).status == 503
        c.datastore.start()
        c.webserver(0).start()
        listed(c, 1)
        assert balanced(c).status == 200
        c.datastore.stop()
        wait_until(lambda: "datastore_connected 0\n" in metrics(c), 60, "the balancer notices")
        assert balanced(c).status == 200
        c.datastore.start()
        wait_until(lambda: "datastore_connected 1\n" in metrics(c), 60, "the balancer hears it")
        haproxy = haproxy_below(c.balancer.pid)
        os.kill(haproxy, signal.SIGSTOP)
        try:
            c.webserver(1).start()
            wait_until(lambda: c.balancer.log().count("webserver-added") == 2, 20, "its slot")
            before = failed_commands(c)
            wait_until(lambda: haproxy != haproxy_below(c.balancer.pid) or
                       failed_commands(c) > before, 20, "not heard, or too late for this HAProxy")
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(haproxy, signal.SIGCONT)
        listed(c, 2)
        c.webserver(0).stop()
        listed(c, 1)
        for _ in range(4):
            assert balanced(c).status == 200


class Front:
    """The users' side of a cluster's load balancer."""

    def __init__(self, cluster):
        self.port = cluster.layout.balancer_port

    def connect(self):
        return http.client.HTTPConnection(HOST, self.port, timeout=60)


def test_a_killed_webserver_of_a_cluster_costs_no_request():
    """kill -9 of each of two webservers in turn, while users click and one stays logged in."""
    with Cluster(webservers=2, indexers=1) as c:
        listed(c, 2)
        session = Session(c.balancer_url).login("admin", "changeme")
        with Users(Front(c), path="/healthz") as users:
            for victim in (0, 1):
                c.webserver(victim).kill()
                for _ in range(20):
                    session.get("/api/info/whoami").ok()
                listed(c, 1)
                c.webserver(victim).start()
                listed(c, 2)
        assert not users.faults
        assert len(users.answers) > 50


@pytest.mark.parametrize("proxy", [False, True])
def test_webservers_know_their_users_by_address_through_the_balancer(proxy):
    """By header as by the PROXY protocol; what a user writes into the header is not believed."""
    settings = [("webserver", "Trusted-Proxy=127.0.0.1")]
    if proxy:
        settings += [("webserver", "Accept-Proxy-Protocol=true"),
                     ("loadbalancer", "Send-Proxy-Protocol=true")]
    with Cluster(webservers=1, indexers=1, settings=settings, start=not proxy) as c:
        if proxy:  # which cannot be asked directly any more
            for node in c.nodes.values():
                node.start(ready=False)
            wait_until(lambda: accepts(c.layout.balancer_port) and
                       balanced(c).status == 200, 60, "the webserver is ready")

        def ask(path, method="GET", body=None, **headers):
            user = http.client.HTTPConnection(HOST, c.layout.balancer_port, timeout=60,
                                              source_address=("127.0.0.77", 0))
            headers |= {"Content-Type": "application/json", "X-Forwarded-For": "6.6.6.6"}
            return json.loads(request(user, path, headers, method, body).text)

        token = ask("/api/login", "POST", json.dumps({"User": "admin", "Pass": "changeme"}))["JWT"]
        sessions = ask("/api/users/0/sessions", Authorization="Bearer " + token)["Sessions"]
        assert [s["Origin"] for s in sessions] == ["127.0.0.77"]


# Log-Level's default, for a load balancer.
BY_DEFAULT = ("loadbalancer", "Log-Level=error")


def test_a_wrong_secret_is_said_and_users_see_a_page():
    """In the log that there is without a Log-Level, in the metrics and on the page."""
    with Cluster(webservers=1, indexers=1, start=False,
                 settings=[("loadbalancer", "Control-Secret=wrong"), BY_DEFAULT]) as c:
        c.datastore.start()
        c.webserver(0).start()
        c.balancer.start(ready=False)
        wait_until(lambda: re.search(r"(?i)secret|Control-Auth", c.balancer.log()), 30, "a line")
        wait_until(lambda: accepts(c.layout.balancer_port), 20, "the balancer listens")
        assert balanced(c).status == 503 and "No webserver" in balanced(c).text
        assert "datastore_connected 0\n" in metrics(c)


def test_bad_addresses_of_webservers_harm_no_other():
    """Two with one External-Addr count as one; one that leads nowhere gets nobody. Each is said."""
    with Cluster(webservers=3, indexers=1, start=False, settings=[BY_DEFAULT]) as c:
        c.webserver(1).process.config.write_text(
            re.sub("External-Addr=.*", f"External-Addr={HOST}:{c.layout.webservers[0].port}",
                   c.webserver(1).process.config.read_text()))
        c.webserver(2).process.config.write_text(
            re.sub("External-Addr=.*", f"External-Addr={HOST}:1",
                   c.webserver(2).process.config.read_text()))
        for node in c.nodes.values():
            node.start(ready=False)
        for text in ("same-external-addr", "webserver-absent"):
            wait_until(lambda: text in c.balancer.log(), 40, text)  # noqa: B023
        listed(c, 1)
        for said in ("webservers_known 2\n", "webservers_duplicate 1\n", "webservers_up 1\n"):
            wait_until(lambda: said in metrics(c), 20, said)  # noqa: B023
        for _ in range(10):
            assert balanced(c).status == 200
