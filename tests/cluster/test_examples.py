"""The configurations and units of packaging/ are what the programs accept."""

import re
import subprocess
from pathlib import Path

import pytest
from cluster import BUILD, ROOT

PACKAGING = ROOT / "packaging"
MACHINES = {
    "one-machine/aquifer.conf": ["webserver", "indexer"],
    "three-machines/control/aquifer.conf": ["datastore"],
    "three-machines/control/loadbalancer.conf": ["loadbalancer"],
    "three-machines/node1/aquifer.conf": ["webserver", "indexer"],
    "three-machines/node2/aquifer.conf": ["webserver", "indexer"],
}
OTHERS = ["proxies/nginx.conf", "two-load-balancers/keepalived.conf"]  # test_proxies.py has these
UNITS = sorted((PACKAGING / "systemd").glob("*.service"))


def test_every_example_is_listed_here():
    """An example that nobody checks would rot."""
    found = {str(path.relative_to(PACKAGING / "examples"))
             for path in (PACKAGING / "examples").rglob("*.conf") if path.parent.suffix != ".d"}
    assert found == {*MACHINES, *OTHERS}


@pytest.mark.parametrize("example", MACHINES)
def test_each_example_is_valid_for_each_daemon_that_reads_it(example):
    """--check-config of every program that the example is for, overlays included."""
    for program in MACHINES[example]:
        answer = subprocess.run([BUILD / f"bin/aquifer-{program}", "--check-config", "--config",
                                 PACKAGING / "examples" / example],
                                capture_output=True, text=True, timeout=120, check=False)
        assert answer.returncode == 0, f"{program}: {answer.stdout}{answer.stderr}"


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.stem)
def test_each_unit_starts_a_program_that_exists_with_a_manual_page(unit):
    """The binary is one that we build, the page is there, the flags are known."""
    text = unit.read_text()
    program, config = re.search(r"ExecStart=/usr/bin/(\S+) --config (\S+)", text).groups()
    assert (BUILD / "bin" / program).exists()
    assert (PACKAGING / f"man/{program}.8").exists()
    page = (PACKAGING / f"man/{program}.8").read_text()
    assert Path(config).name in page
    help_text = subprocess.run([BUILD / "bin" / program, "--help"], capture_output=True, text=True,
                               timeout=120, check=True).stdout
    assert config in help_text
    for hardening in ("NoNewPrivileges=yes", "ProtectSystem=strict", "User=aquifer"):
        assert hardening in text


def test_every_command_of_aquifer_is_in_its_manual_page():
    """What `aquifer --help` lists, aquifer.1 explains."""
    text = subprocess.run([BUILD / "bin/aquifer", "--help"], capture_output=True, text=True,
                          timeout=120, check=True).stdout
    page = (PACKAGING / "man/aquifer.1").read_text()
    commands = re.findall(r"^  ([a-z-]+) {2,}", text, re.M)
    assert "ingest" in commands
    assert [name for name in commands if name not in page and name != "version"] == []
