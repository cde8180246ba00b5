#!/usr/bin/env python3
"""Builds what the suites need, runs them and counts. ./check calls this after installing packages.

    tests/suites.py [unit] [cluster] [browser] [interop]      the suites of ./check
    tests/suites.py fuzz [--fuzz-seconds N]                   the fuzz targets alone
    tests/suites.py soak [--minutes N]                        many random lives, then cluster
                                                              scenarios, again and again

Cluster and browser tests run against the sanitizer build: a daemon that reads past its buffer or
leaks fails its scenario, and there is only one build to wait for. What a suite prints goes to
build/check/SUITE.log; of a suite that fails, the log is shown.
"""

import argparse
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LOGS = ROOT / "build/check"
DEBUG = ROOT / "build/debug"
CLANG = ROOT / "build/clang"
RELEASE = ROOT / "build/release"
CORES = str(max(2, os.cpu_count() or 2))
LOG_LINES_SHOWN = 150
NOISE = re.compile(r"^ +Start +\d+: |^ *\d+/\d+ Test .*Passed|^#\d+\t")  # of ctest and libFuzzer


@dataclass
class Count:
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    note: str = ""

    def add(self, other):
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped

    def __str__(self):
        return (f"{self.passed} passed, {self.failed} failed"
                + (f", {self.skipped} skipped" if self.skipped else ""))


class BuildFailed(Exception):
    pass


def say(text):
    print(text, flush=True)


def environment(**more):
    extra = {
        "AQUIFER_BUILD": str(DEBUG),
        "ASAN_OPTIONS": "abort_on_error=0:detect_leaks=1",
        "UBSAN_OPTIONS": "print_stacktrace=1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "NO_COLOR": "1",
    }
    return {**os.environ, **extra, **{name: str(value) for name, value in more.items()}}


def begin(name, command, cwd=ROOT, **more):
    """Starts a command whose output goes to build/check/NAME.log."""
    LOGS.mkdir(parents=True, exist_ok=True)
    with open(LOGS / f"{name}.log", "wb") as log:
        return subprocess.Popen(command, cwd=cwd, env=environment(**more), stdout=log,
                                stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)


def show(name):
    lines = (LOGS / f"{name}.log").read_text(errors="replace").splitlines()
    lines = [line for line in lines if not NOISE.match(line)]
    say(f"---- the end of build/check/{name}.log")
    say("\n".join(lines[-LOG_LINES_SHOWN:]))
    say("----")


def build(name, *commands):
    begun = time.monotonic()
    for command in commands:
        if begin(name, command).wait() != 0:
            show(name)
            raise BuildFailed(f"failed: {' '.join(command)}")
    say(f"{name}: built in {time.monotonic() - begun:.0f} s")


def launcher():
    return ["-DCMAKE_C_COMPILER_LAUNCHER=ccache"] if shutil.which("ccache") else []


def build_debug(target):
    build(f"build-{target}", ["cmake", "--preset", "debug", *launcher()],
          ["cmake", "--build", str(DEBUG), "--parallel", CORES, "--target", target])


def counted_junit(path):
    """Counts of a JUnit file, as pytest and ctest write them."""
    count = Count()
    if not path.exists():
        return Count(failed=1)
    # What programs print may hold characters that XML does not have, and writers let them through.
    text = re.sub(r"[^\t\n\r\x20-\ufffd]", "?", path.read_text(errors="replace"))
    for case in ElementTree.fromstring(text.encode()).iter("testcase"):
        if case.find("failure") is not None or case.find("error") is not None:
            count.failed += 1
        elif case.find("skipped") is not None or case.get("status") in ("notrun", "disabled"):
            count.skipped += 1
        else:
            count.passed += 1
    return count


def run_junit(name, command, cwd=ROOT, **more):
    report = LOGS / f"{name}.xml"
    report.unlink(missing_ok=True)
    words = [word.replace("REPORT", str(report)) for word in command]
    status = begin(name, words, cwd, **more).wait()
    count = counted_junit(report)
    if status != 0 and count.failed == 0:
        count.failed = 1
    if count.failed:
        show(name)
    return count


def python():
    """Debian's own, where python3-pytest is, before any other in PATH."""
    return "/usr/bin/python3" if os.path.exists("/usr/bin/python3") else sys.executable


def pytest(name, folder, *more):
    return run_junit(name, [python(), "-m", "pytest", "-q", "-x" if os.environ.get("FAIL_FAST")
                            else "--tb=short", "-p", "no:cacheprovider", "--junitxml=REPORT",
                            *more, folder])


# The suites.


ahead = []  # a build of clang's that has begun, while other suites wait more than they compute


def clang_commands(target):
    return (["cmake", "--preset", "clang", *launcher()],
            ["cmake", "--build", str(CLANG), "--parallel", CORES, "--target", target])


def build_clang_ahead():
    words = " && ".join(shlex.join(command) for command in clang_commands("all"))
    ahead.append(begin("build-clang-ahead", ["nice", "-n", "19", "sh", "-c", words]))


def build_clang(target):
    while ahead:
        ahead.pop().wait()
    build("build-clang", *clang_commands(target))


def run_fuzz(seconds, target="fuzz_targets"):
    build_clang(target)
    running = {}
    for target in sorted((CLANG / "fuzz").glob("fuzz_*")):
        name = target.name.removeprefix("fuzz_")
        found = LOGS / "found" / name
        found.mkdir(parents=True, exist_ok=True)
        corpus = ROOT / "tests/fuzz/corpus" / name
        dictionary = ROOT / "tests/fuzz" / f"{name}.dict"
        running[name] = begin(f"fuzz-{name}", [
            str(target), f"-max_total_time={seconds}", "-timeout=10", "-rss_limit_mb=2048",
            "-max_len=65536", "-print_final_stats=1", f"-artifact_prefix={found}/crash-",
            *([f"-dict={dictionary}"] if dictionary.exists() else []),
            str(found), *([str(corpus)] if corpus.exists() else [])])
    count = Count()
    for name, process in running.items():
        if process.wait() == 0:
            count.passed += 1
            log = (LOGS / f"fuzz-{name}.log").read_text(errors="replace")
            runs = re.search(r"stat::number_of_executed_units:\s*(\d+)", log)
            say(f"fuzz {name}: {runs.group(1) if runs else '?'} inputs in {seconds} s, no fault")
        else:
            count.failed += 1
            show(f"fuzz-{name}")
    return count


def run_unit(options):
    build_debug("all")
    count = run_junit("unit", ["ctest", "--test-dir", str(DEBUG), "--output-on-failure",
                               "--parallel", CORES, "--output-junit", "REPORT"])
    return count


def run_cluster(options):
    build_debug("programs")
    # They wait more than they compute: three files at a time.
    return pytest("cluster", "tests/cluster", "-n", "3", "--dist", "loadfile")


def run_browser(options):
    build_debug("programs")
    if begin("ui", ["packaging/build-ui"]).wait() != 0:
        show("ui")
        return Count(failed=1)
    return pytest("browser", "tests/browser")


def run_interop(options):
    if not shutil.which("go"):
        return Count(skipped=1, note="Go is missing")
    build_debug("programs")
    return pytest("interop", "tests/interop")


def run_clang(options):
    """Everything built with the second compiler, whose warnings count too; then fuzzing."""
    return run_fuzz(options.fuzz_seconds, "all")


SUITES = {"unit": run_unit, "cluster": run_cluster, "browser": run_browser, "interop": run_interop,
          "fuzz": run_clang}


# What repeats random lives, and how many: ./check unit runs few of each. In the release build.
LIVES = {
    "crash_lives_test": {"AQUIFER_SEEDS": 20000},
    "crash_sweep_test": {"AQUIFER_EVERY": 1},
    "crash_flips_test": {"AQUIFER_EVERY": 10},
    "sync_sim_test": {"AQUIFER_SEEDS": 100000},
    "replicate_sim_test": {"AQUIFER_SEEDS": 10000},
    "datalog_lives_test": {"AQUIFER_SEEDS": 20000},
    "kafka_gather_test": {"AQUIFER_SEEDS": 20000},
    "well_well_test": {"AQUIFER_SEEDS": 2000},
    "well_retain_test": {"AQUIFER_SEEDS": 5000},
    "room_indexer_storage_test": {"AQUIFER_SEEDS": 2000},
    "room_indexer_storage_points_test": {"AQUIFER_SEEDS": 200},
}


def run_lives():
    build("build-lives", ["cmake", "--preset", "release", *launcher()],
          ["cmake", "--build", str(RELEASE), "--parallel", CORES, "--target", *LIVES])
    count = Count()
    waiting, running = list(LIVES), {}
    while waiting or running:
        while waiting and len(running) < int(CORES):
            name = waiting.pop(0)
            running[name] = begin(name, [str(RELEASE / "test" / name)], **LIVES[name])
        time.sleep(1)
        for name in [name for name, process in running.items() if process.poll() is not None]:
            if running.pop(name).returncode == 0:
                count.passed += 1
            else:
                count.failed += 1
                show(name)
            told = ", ".join(f"{key}={value}" for key, value in LIVES[name].items())
            say(f"{name}, {told}: {count}")
    return count


def soak(options):
    """Many lives of each kind once, then the same scenarios until the time is over or one fails."""
    total = run_lives()
    build_debug("programs")
    os.environ.setdefault("AQUIFER_FAILOVER_S", "60")
    end, rounds = time.monotonic() + options.minutes * 60, 0
    while time.monotonic() < end and not total.failed:
        rounds += 1
        total.add(pytest("soak", "tests/cluster"))
        say(f"round {rounds}: {total}")
    return total


def run(suite, function, options):
    begun = time.monotonic()
    try:
        count = function(options)
    except BuildFailed as failure:
        say(str(failure))
        count = Count(failed=1)
    note = f" ({count.note})" if count.note else ""
    say(f"{suite}: {count}{note} in {time.monotonic() - begun:.0f} s")
    return count


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("suites", nargs="*", default=list(SUITES))
    parser.add_argument("--fuzz-seconds", type=int, default=15)
    parser.add_argument("--minutes", type=float, default=60)
    options = parser.parse_args()
    known = {**SUITES, "soak": soak}
    total = Count()
    for suite in options.suites:
        if suite == "cluster" and "fuzz" in options.suites:
            build_clang_ahead()
        if suite not in known:
            parser.error(f"no suite {suite}; there are {', '.join(known)}")
        total.add(run(suite, known[suite], options))
    say(str(total))
    return 1 if total.failed else 0


if __name__ == "__main__":
    sys.exit(main())
