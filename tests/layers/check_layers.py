#!/usr/bin/env python3
# Everpool: enforces who may include whom (floors.txt), unique basenames, and forbidden words.
# SPDX-License-Identifier: BSL-1.0
"""check_layers.py [--root DIR] [--floors FILE]

Prints one line per violation, "file:line: what", and exits 1 if there is any.
"""

import argparse
import fnmatch
import pathlib
import re
import sys

HERE = pathlib.Path(__file__).resolve().parent
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*(?:<([^>]+)>|"([^"]+)")', re.MULTILINE)
# Comments, string literals and raw strings; only what is no comment is kept.
LEXEME = re.compile(r'//[^\n]*|/\*.*?\*/|R"(?P<mark>[^(\s]*)\(.*?\)(?P=mark)"'
                    r'|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])\'', re.DOTALL)


class Room:
    def __init__(self, name, patterns, line):
        self.name, self.patterns, self.line = name, patterns, line
        self.may, self.never, self.used = [], [], set()
        self.file_count = 0


class Floors:
    """The table: groups of foreign headers and rooms of own files, in order."""

    def __init__(self, path):
        self.path, self.groups, self.rooms = path, [], []
        for number, line in enumerate(path.read_text().splitlines(), 1):
            text = line.split("#")[0].strip()
            if not text:
                continue
            head, _, rest = text.partition(":")
            words = head.split()
            # "never: ::now(": the first colon ends the key, the rest is taken as it is.
            if words[0] == "group" and len(words) == 2:
                self.groups.append((words[1], rest.split()))
            elif words[0] == "room" and len(words) == 2:
                self.rooms.append(Room(words[1], rest.split(), number))
            elif words == ["may"] and self.rooms:
                self.rooms[-1].may += rest.split()
            elif words == ["never"] and self.rooms:
                self.rooms[-1].never += rest.split()
            else:
                sys.exit(f"{path}:{number}: not understood: {line.strip()}")
        known = {name for name, _ in self.groups} | {room.name for room in self.rooms}
        for room in self.rooms:
            for name in room.may:
                if name not in known:
                    sys.exit(f"{path}:{room.line}: room {room.name} may include {name}: what is that?")

    def room_of(self, relative):
        for room in self.rooms:
            if any(fnmatch.fnmatchcase(relative, pattern) for pattern in room.patterns):
                return room
        return None

    def group_of(self, header):
        for name, patterns in self.groups:
            if any(fnmatch.fnmatchcase(header, pattern) for pattern in patterns):
                return name
        return None


def blank_comments(text):
    """Comments become spaces, so that line numbers stay; strings stay, for includes are among them."""
    def keep_lines(match):
        lexeme = match.group(0)
        return re.sub(r"[^\n]", " ", lexeme) if lexeme[0] == "/" else lexeme
    return LEXEME.sub(keep_lines, text)


def source_files(root):
    for folder in ("include", "src"):
        for path in sorted((root / folder).rglob("*")):
            parts = path.relative_to(root).parts
            if "node_modules" not in parts and path.suffix in (".hpp", ".cpp", ".h", ".js", ".mjs"):
                yield path


class Check:
    def __init__(self, root, floors):
        self.root, self.floors, self.violations = root, floors, []

    def complain(self, path, line, text):
        name = path.relative_to(self.root) if path.is_relative_to(self.root) else path.name
        self.violations.append(f"{name}:{line}: {text}")

    def resolve(self, path, quoted):
        """The own file that an include in quotes names, or None."""
        for base in (self.root / "include", self.root / "src", path.parent):
            if (base / quoted).is_file():
                return (base / quoted).resolve()
        return None

    def check_include(self, path, line, room, foreign, quoted):
        if foreign is not None and not foreign.startswith("everpool/"):
            target = self.floors.group_of(foreign)
        else:
            own = self.resolve(path, quoted or foreign)
            if own is None:
                # Made by the build (embedded files); nothing that is not in the tree has a room.
                if path.is_relative_to(self.root / "src"):
                    return
                self.complain(path, line, f'"{quoted or foreign}" is not in the tree')
                return
            there = self.floors.room_of(own.relative_to(self.root).as_posix())
            if there is room:
                return
            target = there.name if there else None
        if target in room.may:
            room.used.add(target)
        else:
            self.complain(path, line, f"room {room.name} may not include "
                                      f"{foreign or quoted} ({target or 'of no group'})")

    def check_file(self, path):
        room = self.floors.room_of(path.relative_to(self.root).as_posix())
        if room is None:
            if path.suffix not in (".js", ".mjs"):
                self.complain(path, 1, "belongs to no room of floors.txt")
            return
        room.file_count += 1
        text = blank_comments(path.read_text(encoding="utf-8"))
        for match in INCLUDE.finditer(text):
            line = text.count("\n", 0, match.start()) + 1
            self.check_include(path, line, room, match.group(1), match.group(2))
        for token in room.never:
            for match in re.finditer(re.escape(token), text):
                line = text.count("\n", 0, match.start()) + 1
                self.complain(path, line, f"room {room.name} must not say {token}")

    def run(self):
        by_name = {}
        for path in source_files(self.root):
            self.check_file(path)
            by_name.setdefault(path.name, []).append(path)
        for name, paths in by_name.items():
            for path in paths[1:]:
                other = paths[0].relative_to(self.root)
                self.complain(path, 1, f"basename {name} is taken already by {other}")
        for room in self.floors.rooms:
            if room.file_count == 0:
                self.complain(self.floors.path, room.line, f"room {room.name} has no file")
                continue
            for name in room.may:
                if name not in room.used:
                    self.complain(self.floors.path, room.line,
                                  f"room {room.name} may include {name}, but nothing there does")
        return self.violations


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=pathlib.Path, default=HERE.parent.parent)
    parser.add_argument("--floors", type=pathlib.Path, default=HERE / "floors.txt")
    arguments = parser.parse_args()
    violations = Check(arguments.root.resolve(), Floors(arguments.floors.resolve())).run()
    for violation in violations:
        print(violation)
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
