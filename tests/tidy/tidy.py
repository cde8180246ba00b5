#!/usr/bin/env python3
"""The style page as far as a machine can read it. Each message says what, where and why.

    tests/tidy/tidy.py [--root DIR]

A rule is a generator over the tree that yields (path, line, what); its reason stands beside it
in RULES. tidy_test.py shows for each rule that it can fail.
"""

import argparse
import re
import subprocess
import sys
from pathlib import Path

LINES_MAX = 800
COLUMNS_MAX = 100
FILE_BYTES_MAX = 2 << 20
SOURCE_SUFFIXES = {".c", ".h", ".py", ".sh", ".ts", ".js", ".svelte", ".css", ".go", ".cmake"}
TEXT_SUFFIXES = SOURCE_SUFFIXES | {".md", ".txt", ".json", ".conf", ".html", ".yml", ""}
FOREIGN = ("package-lock.json", "go.sum", "LICENSE", "/corpus/", "/golden/")


class Tree:
    """The files of the project: path relative to the root, and their lines."""

    def __init__(self, root):
        self.root = Path(root)
        self.files = {}
        self.names = self._names()
        for path in self.names:
            if Path(path).suffix in TEXT_SUFFIXES and not any(part in path for part in FOREIGN):
                try:
                    self.files[path] = (self.root / path).read_text().split("\n")
                except (UnicodeDecodeError, FileNotFoundError):
                    continue
        build = "\n".join(self.files.get("CMakeLists.txt", []))
        self.uses = {}  # library or program -> everything it may include
        for kind, name, arguments in re.findall(r"^(library|program)\((\w+)([^)]*)\)", build, re.M):
            words = re.sub(r"LINKS.*", "", arguments, flags=re.S).split()
            direct = [word for word in words if word != "USES"]
            reach = set(direct)
            for used in direct:
                reach |= self.uses.get(("library", used), set())
            self.uses[(kind, name)] = reach

    def _names(self):
        listed = subprocess.run(
            ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
            cwd=self.root, capture_output=True, text=True, check=False)
        if listed.returncode == 0:
            return sorted(set(listed.stdout.splitlines()))
        return sorted(str(p.relative_to(self.root)) for p in self.root.rglob("*") if p.is_file())

    def sources(self, pattern):
        return ((path, lines) for path, lines in self.files.items() if re.fullmatch(pattern, path))

    def libraries(self):
        return {name for kind, name in self.uses if kind == "library"}

    def rooms(self):
        return {name for kind, name in self.uses if kind == "program"}


def includes(lines):
    for number, line in enumerate(lines, 1):
        found = re.match(r'\s*#\s*include\s+"([^"/]+)/([^"]+)"', line)
        if found:
            yield number, found.group(1), f"{found.group(1)}/{found.group(2)}"


def includes_upwards(tree):
    for path, lines in tree.sources(r"src/.*\.[ch]"):
        parts = path.split("/")
        library = parts[1] == "lib"
        name = parts[2] if library else parts[1]
        allowed = tree.uses.get(("library" if library else "program", name), set()) | {name}
        for number, owner, header in includes(lines):
            if owner in tree.libraries() and owner not in allowed:
                yield path, number, f"{name} includes {header}, but CMakeLists.txt does not say so"


TESTS_OF = {"tests/crash": "indexer"}  # a room's tests that are too large to stand in it


def includes_a_room(tree):
    # A benchmark may measure a room from within.
    for path, lines in tree.sources(r"(src|tests)/.*\.[ch]"):
        folder = path.rpartition("/")[0]
        room = folder.split("/")[1] if path.startswith("src/") else TESTS_OF.get(folder)
        for number, owner, header in includes(lines):
            if owner in tree.rooms() and owner != room:
                yield path, number, f"includes {header} of the room {owner}"


def too_long(tree):
    for path, lines in tree.files.items():
        if Path(path).suffix in SOURCE_SUFFIXES and len(lines) - 1 > LINES_MAX:
            yield path, len(lines) - 1, f"has {len(lines) - 1} lines, more than {LINES_MAX}"


def too_large(tree):
    for path in tree.names:
        file = tree.root / path
        if file.is_file() and not file.is_symlink() and file.stat().st_size > FILE_BYTES_MAX:
            yield path, 1, f"{file.stat().st_size} bytes, at most {FILE_BYTES_MAX}"


def lacks_a_test(tree):
    for path, lines in tree.sources(r"src/lib/.*(?<!_test)\.c"):
        # A file without a header of its own belongs to the module whose header it includes first;
        # a file that is tested through another says so: "Tested by pipeline_test.c".
        first = [header for _, _, header in includes(lines)][:1]
        tests = {f"{Path(name).stem}_test.c" for name in [path, *first]}
        tests |= set(re.findall(r"[Tt]ested (?:by|through) (\w+_test\.c)", "\n".join(lines)))
        library = "/".join(path.split("/")[:3])
        if not any(f"{folder}/{test}" in tree.files
                   for test in tests for folder in {str(Path(path).parent), library}):
            yield path, 1, f"has no {Path(path).stem}_test.c beside it"


def path_of_a_machine(tree):
    machine = re.compile(r"(?<![\w.~/$}*-])/(work|root|home/\w+)/")
    for path, lines in tree.files.items():
        for number, line in enumerate(lines, 1):
            found = machine.search(line)
            if found:
                yield path, number, f"names the path {found.group(0)} of one machine"


def left_undone(tree):
    marker = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X)\b")
    for path, lines in tree.files.items():
        for number, line in enumerate(lines, 1):
            if marker.search(line):
                yield path, number, "carries a marker of unfinished work"


def too_wide(tree):
    for path, lines in tree.sources(r"(src|tests|bench)/.*\.(c|h|py)"):
        for number, line in enumerate(lines, 1):
            if len(line) > COLUMNS_MAX:
                yield path, number, f"is {len(line)} columns wide, more than {COLUMNS_MAX}"


def hides_a_struct(tree):
    for path, lines in tree.sources(r"src/.*\.[ch]"):
        for number, line in enumerate(lines, 1):
            if re.match(r"\s*typedef\s+(struct|enum|union)\b", line):
                yield path, number, "hides a type behind a typedef"


def does_not_introduce_itself(tree):
    for path, lines in tree.sources(r"src/lib/.*\.h|src/.*_test\.c"):
        if not lines[0].startswith("/*"):
            yield path, 1, "does not begin with a comment"


def dead_link(tree):
    for path, lines in tree.sources(r".*\.md"):
        for number, line in enumerate(lines, 1):
            for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", line):
                if not (tree.root / Path(path).parent / target).exists():
                    yield path, number, f"links to {target}, which is not there"


RULES = [
    (includes_upwards,
     "a library uses only what stands above it: the build file is the architecture"),
    (includes_a_room,
     "rooms meet only over the network; what two rooms want moves into a library"),
    (too_long,
     "a newcomer opens any file and knows within a minute what it is: split it by what it decides"),
    (too_large,
     "everybody who clones has it for ever: no memory images, logs or builds"),
    (lacks_a_test,
     "a module is three files side by side: .h says what, .c says how, _test.c tries to break it"),
    (path_of_a_machine,
     "the tree must build and run anywhere"),
    (left_undone,
     "what is not done belongs into an issue, where somebody looks"),
    (too_wide,
     "100 columns; clang-format with the committed file ends the discussion"),
    (hides_a_struct,
     "`struct thing`, no typedef: a reader sees what is passed by value"),
    (does_not_introduce_itself,
     "a header says first what the thing is, a test says first what is claimed"),
    (dead_link,
     "a newcomer follows it"),
]


def findings(root):
    tree = Tree(root)
    for rule, reason in RULES:
        for path, line, what in rule(tree):
            yield rule.__name__, f"{path}:{line}: {what}\n    because {reason}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--root", default=Path(__file__).resolve().parents[2])
    messages = [message for _, message in findings(parser.parse_args().root)]
    print("\n".join(messages) if messages else "tidy")
    return 1 if messages else 0


if __name__ == "__main__":
    sys.exit(main())
