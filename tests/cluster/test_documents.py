"""What a reader of README.md and docs copies works, or at least exists."""

import json
import re
import shlex
import shutil
import subprocess

import pytest
from client import wait_until
from cluster import BUILD, ROOT, Cluster

README = (ROOT / "README.md").read_text()
DOCUMENTS = sorted({path for pattern in ("*.md", "docs/**/*.md", "src/*/README.md", "*/README.md")
                    for path in ROOT.glob(pattern)})
PROGRAMS = {"systemctl", "mkdir", "mv", "cp", "rm", "openssl", "curl"}  # of Debian
UNITS = {path.stem for path in (ROOT / "packaging/systemd").glob("*.service")}


def blocks(text):
    """The indented lines of a page, without what is only shown."""
    return [line.strip() for line in text.split("\n") if re.match(r"( {4}|\t| {7})\S", line)]


def commands_of_aquifer(text):
    """`aquifer …` in the running text and as a line to copy."""
    spoken = re.findall(r"`(aquifer [a-z][^`]*[^ `])`", text)
    return spoken + [line for line in blocks(text) if re.match(r"aquifer [a-z]", line)]


@pytest.fixture(scope="module")
def steps(tmp_path_factory):
    """A cluster like quickstart's, in a folder that looks like the project's after it."""
    folder = tmp_path_factory.mktemp("project")
    with Cluster(webservers=2, indexers=2) as c:
        (folder / "run").mkdir()
        pids = {name: node.pid for name, node in c.nodes.items()}
        (folder / "run/cluster.json").write_text(
            json.dumps(c.layout.cluster_json(pids), indent=2))
        (folder / "build").mkdir()
        (folder / "build/release").symlink_to(BUILD)
        (folder / "FILE").write_text("2026-01-02T03:04:05Z a line of a reader's file\n" * 20)
        c.folder = folder
        yield c


def copied(c, number):
    """The lines of a step of README.md, with the addresses of this cluster."""
    step = re.search(rf"^{number}\. .*?(?=^\d\. |^## )", README, re.M | re.S).group(0)
    script = "\n".join(line.strip() for line in step.split("\n") if line.startswith(" " * 7))
    indexer = c.layout.indexers[0]
    for said, here in (("127.0.0.1:8080", c.balancer_url.removeprefix("http://")),
                       ("127.0.0.1:8084", f"127.0.0.1:{indexer.ingest_port}"),
                       ("127.0.0.1:8085", indexer.url.removeprefix("http://"))):
        script = script.replace(said, here)
    return script


def pasted(c, script):
    env = {"PATH": "/usr/bin:/bin", "AQUIFER_PASSWORD": "changeme"}
    done = subprocess.run(["bash", "-c", script], cwd=c.folder, capture_output=True, text=True,
                          timeout=120, env=env, stdin=subprocess.DEVNULL, check=False)
    assert done.returncode == 0, f"{script}\n{done.stdout}{done.stderr}"
    return done.stdout


def test_the_first_steps_of_the_readme_work(steps):
    """Ingest a file, search for it in the shell, write points and read them, as it is printed."""
    pasted(steps, "set -e\n" + copied(steps, 3))
    wait_until(lambda: "a line of a reader's file" in pasted(steps, copied(steps, 4)), 10, "it")
    if shutil.which("curl"):
        assert "21.5" in pasted(steps, "set -e\n" + copied(steps, 6))


def test_what_the_readme_says_of_quickstart_is_in_its_help():
    """Each option, and each verb of make."""
    known = subprocess.run([ROOT / "quickstart", "--help"], capture_output=True, text=True,
                           timeout=120, check=True).stdout
    listed = re.search(r"`--help` lists its options\s+\((.*?)\)", README, re.S).group(1)
    for option in re.findall(r"--[a-z-]+", listed):
        assert option in known, option
    verbs = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.M))
    for path in DOCUMENTS:
        text = path.read_text()
        for verb in re.findall(r"`make ([a-z]+)", text):
            assert verb in verbs, f"{path}: make {verb}"
        for script in set(re.findall(r"`\./([a-z]+)[ `]", text)) - {"run"}:
            assert (ROOT / script).exists(), f"{path}: ./{script}"


@pytest.mark.parametrize("path", [path for path in DOCUMENTS
                                  if commands_of_aquifer(path.read_text())],
                         ids=lambda path: str(path.relative_to(ROOT)))
def test_each_command_of_aquifer_in_a_page_exists(path):
    """Its verb, what it does with it, and every option are in `aquifer VERB --help`."""
    def help_of(verb):
        return subprocess.run([BUILD / "bin/aquifer", verb, "--help"], capture_output=True,
                              text=True, timeout=120, check=False).stdout
    for command in commands_of_aquifer(path.read_text()):
        words = command.split()[1:]
        if words[0] == "help":
            continue
        known = help_of(words[0])
        assert known.startswith(f"aquifer {words[0]}:"), f"{path}: {command}"
        if len(words) > 1 and re.fullmatch(r"[a-z]+", words[1]):
            assert re.search(rf"\b{words[1]}\b", known), f"{path}: {command}"
        for option in re.findall(r"--[a-z-]+", command):
            assert option in known, f"{path}: {command}"


def test_each_line_to_copy_is_of_programs_that_exist():
    """In README.md and docs: ours, of the project, or Debian's; units are ours."""
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        for line in blocks(path.read_text()):
            program = line.split()[0]
            if program in PROGRAMS:
                shlex.split(line)
                units = re.findall(r"aquifer-[a-z]+", line) if program == "systemctl" else []
                assert set(units) <= UNITS, f"{path}: {line}"
            elif program.startswith("./"):
                assert (ROOT / program).exists(), f"{path}: {line}"
