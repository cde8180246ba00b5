#!/usr/bin/env python3
"""Builds what the suites need, runs them and counts. ./check calls this after installing packages.

    tests/suites.py [unit] [cluster] [browser] [interop] [fuzz]    the suites of ./check
    tests/suites.py fuzz [--fuzz-seconds N]                   the fuzz targets alone
    tests/suites.py soak [--minutes N]                        many random lives, then cluster
                                                              scenarios, again and again

Cluster and browser tests run against the sanitizer build: a daemon that reads past its buffer or
leaks fails its scenario, and there is only one build to wait for. Suites that mostly wait run
beside suites that mostly compute. What a suite prints goes to build/check/SUITE.log; of a suite
that fails, the log is shown. In the end it is said how long each part took.
"""

import argparse
import os
import re
import shlex
import shutil
import subprocess
import sys
import threading
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
        "ASAN_OPTIONS": "abort_on_error=0:detect_leaks=1:malloc_context_size=12:"
                        "quarantine_size_mb=32",  # less to map and to walk, nothing less found
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


parts = []  # (name, seconds, seconds of a processor) of every command that has ended


def finish(name, process, begun):
    """Waits for its end; returns its exit status."""
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    parts.append((name, time.monotonic() - begun, used.ru_utime + used.ru_stime))
    return process.returncode


def run_command(name, command, cwd=ROOT, **more):
    begun = time.monotonic()
    return finish(name, begin(name, command, cwd, **more), begun)


def tell_parts():
    """What ran under one name ran together."""
    say("part                took  of processors")
    for name in dict.fromkeys(name for name, _, _ in parts):
        took = max(seconds for of, seconds, _ in parts if of == name)
        cpu = sum(cpu for of, _, cpu in parts if of == name)
        say(f"{name:16} {took:5.0f} s {cpu:11.0f} s")


def show(name):
    lines = (LOGS / f"{name}.log").read_text(errors="replace").splitlines()
    lines = [line for line in lines if not NOISE.match(line)]
    say(f"---- the end of build/check/{name}.log")
    say("\n".join(lines[-LOG_LINES_SHOWN:]))
    say("----")


def build(name, *commands):
    words = " && ".join(shlex.join(command) for command in commands)
    if run_command(name, ["sh", "-c", words]) != 0:
        show(name)
        raise BuildFailed(f"failed: {name}")


def configure(preset):
    """With lines for the reports of sanitizers, without what debuggers want: a sixth is saved; the
    second linker of binutils takes half the time of the first."""
    return ["cmake", "--preset", preset, "-DCMAKE_C_FLAGS_DEBUG=-g1",
            *(["-DCMAKE_EXE_LINKER_FLAGS=-fuse-ld=gold"]
              if preset != "clang" and shutil.which("ld.gold") else []),
            *(["-DCMAKE_C_COMPILER_LAUNCHER=ccache"] if shutil.which("ccache") else [])]


def build_debug(target):
    build("build", configure("debug"),
          ["cmake", "--build", str(DEBUG), "--parallel", CORES, "--target", target])


class Ahead:
    """What is built from now on, beside everything else, and waited for when it is needed."""

    def __init__(self, name, *commands):
        self.failure = None

        def run():
            try:
                build(name, *commands)
            except BuildFailed as failure:
                self.failure = failure
        self.thread = threading.Thread(target=run, daemon=True)
        self.thread.start()

    def wait(self):
        self.thread.join()
        if self.failure:
            raise self.failure


def ui_ahead():
    return Ahead("build-ui", ["nice", "-n", "10", "packaging/build-ui"])  # pages come late


def clang_ahead(target, *before):
    return Ahead("build-clang", configure("clang"),
                 [*before, "cmake", "--build", str(CLANG), "--parallel", CORES, "--target", target])


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
    status = run_command(name, words, cwd, **more)
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


def run_unit(options):
    return run_junit("unit", ["ctest", "--test-dir", str(DEBUG), "--output-on-failure",
                              "--parallel", str(int(CORES) + 2), "--output-junit", "REPORT"])


def run_cluster(options):
    # They wait more than they compute.
    return pytest("cluster", "tests/cluster", "-n", "4", "--dist", "loadgroup")


def run_browser(options):
    options.ui.wait()
    return pytest("browser", "tests/browser")


def run_interop(options):
    if not shutil.which("go"):
        return Count(skipped=1, note="Go is missing")
    return pytest("interop", "tests/interop")


def run_fuzz(options):
    """Everything built with the second compiler, whose warnings count too; then fuzzing."""
    options.clang.wait()
    running = {}
    seconds, begun = options.fuzz_seconds, time.monotonic()
    beside = ["nice", "-n", "19"] if len(options.suites) > 1 else []
    for target in sorted((CLANG / "fuzz").glob("fuzz_*")):
        name = target.name.removeprefix("fuzz_")
        found = LOGS / "found" / name
        found.mkdir(parents=True, exist_ok=True)
        corpus = ROOT / "tests/fuzz/corpus" / name
        dictionary = ROOT / "tests/fuzz" / f"{name}.dict"
        running[name] = begin(f"fuzz-{name}", [
            *beside, str(target), f"-max_total_time={seconds}", "-timeout=60", "-rss_limit_mb=2048",
            "-max_len=65536", "-print_final_stats=1", f"-artifact_prefix={found}/crash-",
            *([f"-dict={dictionary}"] if dictionary.exists() else []),
            str(found), *([str(corpus)] if corpus.exists() else [])])
    count = Count()
    for name, process in running.items():
        if finish("fuzz", process, begun) == 0:
            count.passed += 1
            log = (LOGS / f"fuzz-{name}.log").read_text(errors="replace")
            runs = re.search(r"stat::number_of_executed_units:\s*(\d+)", log)
            say(f"fuzz {name}: {runs.group(1) if runs else '?'} inputs in {seconds} s, no fault")
        else:
            count.failed += 1
            show(f"fuzz-{name}")
    return count


SUITES = {"unit": run_unit, "cluster": run_cluster, "browser": run_browser, "interop": run_interop,
          "fuzz": run_fuzz}
# Beside each other, those of a lane one after the other, so that no processor waits for long; what
# is fuzzed only takes what nobody else wants.
LANES = [["cluster", "fuzz"], ["unit", "interop"], ["browser"]]


def build_for(suites, options):
    """What they need at once; what they need later goes on meanwhile."""
    if "browser" in suites:
        options.ui = ui_ahead()
    if suites != ["fuzz"]:
        build_debug("all" if "unit" in suites else "programs")
    if "fuzz" in suites:
        options.clang = clang_ahead("all", *([] if suites == ["fuzz"] else ["nice", "-n", "10"]))


def run_suites(suites, options):
    total = Count()
    try:
        build_for(suites, options)
    except BuildFailed as failure:
        say(str(failure))
        return Count(failed=1)

    def run_lane(lane):
        for suite in lane:
            if suite in suites:
                total.add(run(suite, SUITES[suite], options))
    threads = [threading.Thread(target=run_lane, args=(lane,)) for lane in LANES]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return total


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
    build("build-lives", configure("release"),
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
    os.environ.setdefault("AQUIFER_ETCD_TURNS", "3")
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
    except Exception as failure:  # whatever it is, the suite is not green
        say(f"{suite}: {failure!r}")
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
    unknown = set(options.suites) - {*SUITES, "soak"}
    if unknown:
        parser.error(f"no suite {min(unknown)}; there are {', '.join(SUITES)} and soak")
    total = soak(options) if "soak" in options.suites else run_suites(options.suites, options)
    tell_parts()
    say(str(total))
    return 1 if total.failed else 0


if __name__ == "__main__":
    sys.exit(main())
