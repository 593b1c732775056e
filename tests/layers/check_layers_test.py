#!/usr/bin/env python3
# Everpool: the layer check catches planted violations, and passes a tree without any.
# SPDX-License-Identifier: BSL-1.0
import pathlib
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from check_layers import Check, Floors  # noqa: E402  (the path must be set first)

FLOORS = """
group threads: thread mutex
group asio: boost/asio/*
group std: *
room core: include/everpool/core/*
    may: std words
    never: ::now(
room words: include/everpool/*.hpp
    may: std
room io: src/io/*
    may: asio core
"""
CLEAN = {
    "include/everpool/ids.hpp": "#include <cstdint>\n",
    "include/everpool/core/pool_core.hpp":
        '#include "everpool/ids.hpp"\n#include <vector>\n// #include <thread>: steady_clock::now( is named here\n',
    "src/io/bridge.cpp": '#include "everpool/core/pool_core.hpp"\n#include <boost/asio/ip/tcp.hpp>\n',
}


class LayerCheck(unittest.TestCase):
    def violations(self, changes=None, floors=FLOORS):
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder).resolve()
            for name, text in {**CLEAN, **(changes or {})}.items():
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                (root / name).write_text(text)
            (root / "src").mkdir(exist_ok=True)
            table = root / "floors.txt"
            table.write_text(floors)
            return Check(root, Floors(table)).run()

    def expect(self, found, *parts):
        self.assertEqual(len(found), 1, found)
        for part in parts:
            self.assertIn(part, found[0])

    def test_a_tree_without_violations_passes(self):
        self.assertEqual(self.violations(), [])

    def test_a_forbidden_foreign_include_is_reported_with_its_line(self):
        text = CLEAN["include/everpool/core/pool_core.hpp"] + "#include <boost/asio/post.hpp>\n"
        self.expect(self.violations({"include/everpool/core/pool_core.hpp": text}),
                    "include/everpool/core/pool_core.hpp:4:", "boost/asio/post.hpp", "asio")

    def test_a_thread_in_the_core_is_reported(self):
        text = CLEAN["include/everpool/core/pool_core.hpp"] + "#  include <thread>\n"
        self.expect(self.violations({"include/everpool/core/pool_core.hpp": text}), "threads")

    def test_an_include_of_a_higher_floor_is_reported(self):
        text = CLEAN["include/everpool/ids.hpp"] + '#include "everpool/core/pool_core.hpp"\n'
        self.expect(self.violations({"include/everpool/ids.hpp": text}), "room words", "core")

    def test_an_own_header_in_angle_brackets_is_judged_like_one_in_quotes(self):
        text = CLEAN["include/everpool/ids.hpp"] + "#include <everpool/core/pool_core.hpp>\n"
        self.expect(self.violations({"include/everpool/ids.hpp": text}), "room words", "core")

    def test_a_relative_include_does_not_slip_through(self):
        text = CLEAN["include/everpool/ids.hpp"] + '#include "core/pool_core.hpp"\n'
        self.expect(self.violations({"include/everpool/ids.hpp": text}), "room words", "core")

    def test_a_permission_that_nobody_uses_is_reported(self):
        floors = FLOORS.replace("may: asio core", "may: asio core threads")
        self.expect(self.violations(floors=floors), "room io", "threads", "nothing there does")

    def test_a_room_without_files_is_reported(self):
        self.expect(self.violations(floors=FLOORS + "room mirror: include/everpool/mirror/*\n"),
                    "room mirror has no file")

    def test_reading_a_clock_in_the_core_is_reported(self):
        text = CLEAN["include/everpool/core/pool_core.hpp"] + "auto t = Clock::now();\n"
        self.expect(self.violations({"include/everpool/core/pool_core.hpp": text}), "::now(")

    def test_two_files_of_one_basename_are_reported(self):
        self.expect(self.violations({"src/io/ids.hpp": ""}), "basename ids.hpp")

    def test_a_file_of_no_room_is_reported(self):
        self.expect(self.violations({"src/attic/old.cpp": ""}), "belongs to no room")

    def test_an_own_header_that_does_not_exist_is_reported(self):
        text = CLEAN["include/everpool/ids.hpp"] + '#include "everpool/gone.hpp"\n'
        self.expect(self.violations({"include/everpool/ids.hpp": text}), "gone.hpp")


if __name__ == "__main__":
    unittest.main()
