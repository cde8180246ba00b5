"""Other people's proxies, with the configurations of packaging/examples: nginx and HAProxy in front
of tiny webservers, and what a Traefik would read from the datastore."""

import http.client
import json
import ssl
import subprocess
import time

import pytest
from balancing import HOST, Tiny, Users, accepts, echoes, make_certificate, request, takes_chunks
from client import wait_until
from cluster import ROOT, Cluster, free_port_base

EXAMPLES = ROOT / "packaging/examples/proxies"


class Proxy:
    """A proxy with its example's configuration, on ports, certificates and webservers of ours."""

    def __init__(self, dir, kind):
        self.dir, self.kind = dir, kind
        self.front, self.back = (make_certificate(dir, name) for name in ("front", "back"))
        self.port = free_port_base(3)
        self.webservers = [Tiny(self.port + 1 + i, name, *self.back)
                           for i, name in enumerate("ab")]

    def command(self):
        text = (EXAMPLES / {"nginx": "nginx.conf", "haproxy": "haproxy.cfg"}[self.kind]).read_text()
        (self.dir / "users.pem").write_bytes(b"".join(path.read_bytes() for path in self.front))
        for theirs, ours in (("10.0.0.11:443", f"localhost:{self.port + 1}"),
                             ("10.0.0.12:443", f"localhost:{self.port + 2}"),
                             ("listen 443", f"listen {HOST}:{self.port}"),
                             ("bind :443", f"bind {HOST}:{self.port}"),
                             ("/etc/aquifer/cert.pem", str(self.front[0])),
                             ("/etc/aquifer/key.pem", str(self.front[1])),
                             ("/etc/aquifer/users.pem", str(self.dir / "users.pem")),
                             ("proxy_ssl_verify on;",
                              "proxy_ssl_verify on; proxy_ssl_name localhost;"),
                             ("/etc/ssl/certs/ca-certificates.crt", str(self.back[0])),
                             ("@system-ca", f"{self.back[0]} verifyhost localhost"),
                             ("maxconn 20000", "maxconn 1000"),
                             # a busy machine's webservers are late, and not dead
                             ("inter 500ms fastinter", "inter 10s fastinter"),
                             ("timeout connect 1s", "timeout connect 10s"),
                             ("timeout check 1s", "timeout check 10s")):
            text = text.replace(theirs, ours)
        config = self.dir / "proxy.conf"
        if self.kind == "haproxy":
            config.write_text(text)
            return ["haproxy", "-f", config]
        config.write_text(f"daemon off; master_process off; pid {self.dir}/pid; error_log stderr;\n"
                          f"events {{ worker_connections 1000; }}\n"
                          f"http {{ access_log off; client_body_temp_path {self.dir}/body;\n"
                          f"proxy_temp_path {self.dir}/proxy; fastcgi_temp_path {self.dir}/f;\n"
                          f"uwsgi_temp_path {self.dir}/u; scgi_temp_path {self.dir}/s;\n{text}}}\n")
        return ["nginx", "-c", config, "-p", self.dir]

    def __enter__(self):
        self.child = subprocess.Popen(self.command(), stderr=open(self.dir / "log", "wb"))
        wait_until(lambda: accepts(self.port), 10, f"{self.kind} listens")
        wait_until(lambda: request(self.connect(), "/x").status == 200, 10, "it answers")
        return self

    def __exit__(self, *_):
        self.child.terminate()
        self.child.wait(120)
        for tiny in self.webservers:
            tiny.kill()

    def connect(self):
        context = ssl.create_default_context(cafile=self.front[0])
        return http.client.HTTPSConnection("localhost", self.port, timeout=60, context=context)

    def get(self, headers=None):
        return request(self.connect(), "/x", headers)


@pytest.mark.parametrize("kind", ["nginx", "haproxy"])
def test_a_documented_proxy_keeps_users_and_loses_no_request(tmp_path, kind):
    """Sticky by a cookie hidden from scripts, told where users come from, websockets and chunked
    bodies pass, and a webserver that is killed costs nobody a request."""
    with Proxy(tmp_path, kind) as proxy:
        seen = [proxy.get() for _ in range(30)]
        assert {answer.text[0] for answer in seen} == {"a", "b"}
        for first in seen[:4]:
            assert "HttpOnly" in first.getheader("Set-Cookie")
            again = {proxy.get({"Cookie": first.cookie}).text[0] for _ in range(4)}
            assert again == {first.text[0]}
        assert proxy.get({"X-Forwarded-For": "6.6.6.6"}).text.split("\n")[4:6] == [HOST, "https"]
        context = ssl.create_default_context(cafile=proxy.front[0])
        wire = http.client.HTTPSConnection("localhost", proxy.port, timeout=60, context=context)
        wire.connect()
        echoes(wire.sock)
        takes_chunks(proxy.connect())
        with Users(proxy) as users:
            for victim, other in ((0, 1), (1, 0)):
                users.see("a", "b")
                proxy.webservers[victim].kill()
                users.see(proxy.webservers[other].name)
                time.sleep(1)  # for some who are led to the dead one
                proxy.webservers[victim].start()
                users.see(proxy.webservers[victim].name)
        assert not users.faults


def traefik(cluster, query="", token="secret", header=None):
    connection = http.client.HTTPConnection(HOST, cluster.layout.datastores[0].port, timeout=60)
    path = "/traefik?" + query + (f"&token={token}" if header is None else "")
    answer = request(connection, path, {"Authorization": header} if header else None)
    return answer.status, json.loads(answer.text)


def test_a_traefik_finds_webservers_by_itself():
    """Those that are up, within a check-in of their coming and at once when they leave."""
    def servers():
        service = traefik(c, "scheme=http")[1]["http"]["services"]["aquifer"]
        return {server["url"] for server in service["loadBalancer"]["servers"]}

    with Cluster(webservers=2, indexers=1, settings=[("datastore", "Traefik-Token=secret")]) as c:
        urls = [f"http://{HOST}:{p.port}" for p in c.layout.webservers]
        assert servers() == set(urls)
        c.webserver(0).stop()
        assert servers() == {urls[1]}
        c.datastore.stop()
        c.datastore.start()
        assert servers() == {urls[1]}
        c.webserver(0).start()
        wait_until(lambda: servers() == set(urls), 10, "it is there again")
        assert traefik(c, header="Bearer secret")[0] == 200
        assert traefik(c, token="wrong")[0] == 403
        assert traefik(c, header="Bearer secretly")[0] == 403
        status, answer = traefik(c, "verify=maybe")
        assert status == 400 and "verify is true or false" in answer["Error"]
        status, answer = traefik(c, "scheme=ftp")
        assert status == 400 and "scheme=ftp" in answer["Error"]
        assert traefik(c, "rule=%ff")[0] == 400
