#!/usr/bin/env python3
"""Canary: each rule of tidy.py finds the one thing wrong with a small tree, none in a clean one."""

import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import tidy  # noqa: E402

CLEAN = {
    "CMakeLists.txt": "library(base LINKS xxhash)\nlibrary(io USES base)\nlibrary(well USES io)\n"
                      "program(indexer USES well)\nprogram(cli USES io)\n",
    "src/lib/base/span.h": "/* A span. */\n",
    "src/lib/base/span.c": '#include "base/span.h"\n',
    "src/lib/base/span_test.c": "/* Claims: all. */\n",
    "src/lib/well/well.h": '/* A well. */\n#include "base/span.h"\n',
    "src/indexer/main.c": '#include "indexer/api.h"\n#include "well/well.h"\n',
    "src/cli/main.c": "int main(void);\n",
    "README.md": "See /etc/aquifer and ./run/root/ and https://example.net/work/x.\n"
                 "[the build](CMakeLists.txt) [elsewhere](https://example.net)\n",
}

# The rule, the file that breaks it, its text.
BROKEN = [
    ("includes_upwards", "src/lib/io/io.h", '/* io */\n#include "well/well.h"\n'),
    ("includes_upwards", "src/cli/main.c", '#include "well/well.h"\n'),
    ("includes_a_room", "src/lib/io/io.h", '/* io */\n#include "indexer/api.h"\n'),
    ("includes_a_room", "src/cli/main.c", '#include "indexer/api.h"\n'),
    ("too_long", "src/cli/long.c", "int x;\n" * (tidy.LINES_MAX + 1)),
    ("too_large", "core", "x" * (tidy.FILE_BYTES_MAX + 1)),
    ("lacks_a_test", "src/lib/io/alone.c", "int x;\n"),
    ("path_of_a_machine", "README.md", "cd /ho" "me/ann/aquifer\n"),
    ("left_undone", "src/cli/main.c", "/* TO" "DO: later */\n"),
    ("too_wide", "src/cli/main.c", "/* " + "x" * tidy.COLUMNS_MAX + " */\n"),
    ("hides_a_struct", "src/cli/main.c", "typedef struct thing thing_t;\n"),
    ("does_not_introduce_itself", "src/lib/io/io.h", "#define IO 1\n"),
    ("dead_link", "README.md", "[gone](docs/gone.md)\n"),
]


def found_in(files):
    with tempfile.TemporaryDirectory() as root:
        for path, text in files.items():
            (Path(root) / path).parent.mkdir(parents=True, exist_ok=True)
            (Path(root) / path).write_text(text)
        return [rule for rule, _ in tidy.findings(root)]


class Canary(unittest.TestCase):
    def test_a_clean_tree_is_tidy(self):
        self.assertEqual(found_in(CLEAN), [])

    def test_each_rule_can_fail(self):
        for rule, path, text in BROKEN:
            with self.subTest(rule=rule, path=path):
                self.assertEqual(found_in({**CLEAN, path: text}), [rule])

    def test_no_rule_is_without_its_canary(self):
        self.assertEqual({rule.__name__ for rule, _ in tidy.RULES}, {rule for rule, _, _ in BROKEN})


if __name__ == "__main__":
    unittest.main()
