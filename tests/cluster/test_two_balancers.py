"""Two load balancers on one address, by keepalived with the configuration of packaging/examples, in
network namespaces of the test's own: three machines on a switch."""

import contextlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
from client import wait_until
from cluster import BUILD, ROOT

EXAMPLE = ROOT / "packaging/examples/two-load-balancers/keepalived.conf"
TINY = Path(__file__).with_name("tiny_webserver.py")
SHARED, USERS = "10.94.0.100", "10.94.0.50"
ADDRESSES = ["10.94.0.10", "10.94.0.20"]


def run(*words, check=True):
    return subprocess.run([str(word) for word in words], check=check, capture_output=True,
                          text=True, timeout=120)


class Net:
    """Namespaces `switch`, `a`, `b` and `users`, the last three on a bridge in the first."""

    def __init__(self):
        self.prefix = f"aq{os.getpid()}"
        self.children = []

    def name(self, machine):
        return f"{self.prefix}-{machine}"

    def inside(self, machine, *words):
        return run("ip", "netns", "exec", self.name(machine), *words)

    def __enter__(self):
        try:
            run("ip", "netns", "add", self.name("switch"))
        except (OSError, subprocess.SubprocessError) as error:
            pytest.skip(f"network namespaces cannot be made here: {error}")
        try:
            self.make()
        except BaseException:
            self.__exit__()
            raise
        return self

    def make(self):
        self.inside("switch", "ip", "link", "add", "sw", "type", "bridge")
        self.inside("switch", "ip", "link", "set", "sw", "up")
        for machine, address in (("a", ADDRESSES[0]), ("b", ADDRESSES[1]), ("users", USERS)):
            run("ip", "netns", "add", self.name(machine))
            self.inside("switch", "ip", "link", "add", "name", f"to-{machine}", "type", "veth",
                        "peer", "name", "eth0", "netns", self.name(machine))
            self.inside("switch", "ip", "link", "set", f"to-{machine}", "master", "sw", "up")
            self.inside(machine, "ip", "address", "add", f"{address}/24", "dev", "eth0")
            for device in ("lo", "eth0"):
                self.inside(machine, "ip", "link", "set", device, "up")

    def __exit__(self, *_):
        for child in reversed(self.children):
            child.terminate()
        for child in self.children:
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(20)
            child.kill()
        for machine in ("users", "b", "a", "switch"):
            run("ip", "netns", "del", self.name(machine), check=False)

    def start(self, machine, log, *words):
        with open(log, "ab") as output:
            child = subprocess.Popen(["ip", "netns", "exec", self.name(machine),
                                      *(str(word) for word in words)], stdout=output, stderr=output)
        self.children.append(child)
        return child

    def holds(self, machine):
        """Whether the machine has the shared address."""
        return SHARED in self.inside(machine, "ip", "address", "show", "dev", "eth0").stdout

    def answers(self):
        """What a user sees at the shared address, asked anew."""
        return run("ip", "netns", "exec", self.name("users"), "curl", "--silent", "--max-time", "2",
                   f"http://{SHARED}:8080/x", check=False).stdout.split("\n")[0]


def start_balancer(net, machine, dir):
    home = dir / machine
    home.mkdir(exist_ok=True)
    (home / "loadbalancer.conf").write_text(
        "[Global]\nDisable-Datastore=true\nInsecure-Disable-HTTPS=true\nBind-Addr=0.0.0.0\n"
        f"Web-Port=8080\nData-Directory={home}\nRun-Directory={home}/run\nLog-Level=INFO\n"
        f"Admin-Port=9407\n[Overrides \"w\"]\nWebserver={USERS}:8000\n"
        "Insecure-Disable-HTTPS=true\n")
    return net.start(machine, home / "log", BUILD / "bin/aquifer-loadbalancer", "--config",
                     home / "loadbalancer.conf")


def start_keepalived(net, machine, dir):
    text = EXAMPLE.read_text()
    own, other = ADDRESSES if machine == "a" else ADDRESSES[::-1]
    for theirs, ours in (("10.0.0.100/24", f"{SHARED}/24"), ("unicast_src_ip 10.0.0.10",
                                                            f"unicast_src_ip {own}"),
                         ("10.0.0.20", other)):
        assert theirs in text
        text = text.replace(theirs, ours)
    if machine == "b":
        text = text.replace("state MASTER", "state BACKUP").replace("priority 150", "priority 100")
    home = dir / machine
    (home / "keepalived.conf").write_text(text)
    return net.start(machine, home / "keepalived.log", "keepalived", "--dont-fork", "--log-console",
                     "--vrrp", "--use-file", home / "keepalived.conf", "--pid", home / "pid",
                     "--vrrp_pid", home / "vrrp.pid")


def test_the_address_goes_where_a_load_balancer_serves(tmp_path):
    """The second one takes it when the first one's load balancer is gone, when its machine is cut
    off, and gives it back."""
    with Net() as net:
        net.start("users", tmp_path / "tiny.log", sys.executable, TINY, "8000", "w", "--any")
        balancer = start_balancer(net, "a", tmp_path)
        start_balancer(net, "b", tmp_path)
        for machine in "ab":
            start_keepalived(net, machine, tmp_path)
        wait_until(lambda: net.holds("a") and not net.holds("b"), 20, "the first has the address")
        wait_until(lambda: net.answers() == "w", 10, "users are served")
        balancer.terminate()
        balancer.wait(120)
        wait_until(lambda: net.holds("b") and not net.holds("a"), 20, "the second has it")
        wait_until(lambda: net.answers() == "w", 10, "users are served by the second")
        start_balancer(net, "a", tmp_path)
        wait_until(lambda: net.holds("a") and not net.holds("b"), 20, "the first has it back")
        wait_until(lambda: net.answers() == "w", 10, "users are served by the first")
        net.inside("switch", "ip", "link", "set", "to-a", "down")
        wait_until(lambda: net.holds("b"), 20, "the second has it when the first is cut off")
        wait_until(lambda: net.answers() == "w", 10, "users are served while the first is cut off")
        net.inside("switch", "ip", "link", "set", "to-a", "up")
        wait_until(lambda: net.holds("a") and not net.holds("b"), 20, "it is back again")
