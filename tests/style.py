#!/usr/bin/env python3
"""The rules of the source tree that a compiler does not enforce: formatting, layers, sizes."""
import functools
import os
import re
import shutil
import subprocess
import sys
import unittest

import tally

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
CODE = (".cpp", ".hpp", ".h")
LINES_MAX = 450

# room: the rooms it may include; include/tokenring is the room `tokenring`
ROOMS = {
    "tokenring": set(),
    "base": {"tokenring"},
    "wire": {"tokenring", "base"},
    "ring": {"tokenring", "base"},
    "seal": {"tokenring", "base"},
    "store": {"tokenring", "base", "wire"},
    "policy": {"tokenring", "base", "wire", "ring", "seal"},
    "proxy": {"tokenring", "base", "wire", "ring", "seal", "policy", "store"},
    "io": {"tokenring", "base", "wire", "ring", "seal", "policy", "store", "proxy"},
    "app": {"tokenring", "base", "wire", "ring", "seal", "policy", "store", "proxy", "io"},
}
# library headers and the rooms that may use them
LIBRARIES = {
    r"(boost/)?asio[./].*|asio\.hpp": {"io"},
    r"openssl/(?!md5|sha).*": {"seal", "io"},
    r"openssl/(md5|sha)\.h": {"ring", "seal", "io"},  # The digests of other implementations' rings; no secrets.
    r"toml\+\+/.*|CLI/.*|httplib\.h|nlohmann/.*|cjose/.*|yaml-cpp/.*": {"app"},
    r"spdlog/.*": {"io"},
    r"curl/.*": {"io"},
    r"(zstd|zdict)\.h": {"seal", "policy"},
    r"simdjson\.h": {"policy"},
}


# headers that only files of one name may use, wherever their room
NARROW = {r"openssl/(ssl|tls1|x509\w*)\.h": "src/io/tls"}  # The rest of io knows sessions, not OpenSSL's.


@functools.cache
def files(top, suffixes):
    found = []
    for folder, _, names in os.walk(os.path.join(ROOT, top)):
        found += [os.path.relpath(os.path.join(folder, n), ROOT) for n in names if n.endswith(suffixes)]
    return sorted(found)


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        return file.read()


def sources():
    return files("include", CODE) + files("src", CODE)


def room_of(path):
    parts = path.split(os.sep)
    return "tokenring" if parts[0] == "include" else parts[1]


class Style(unittest.TestCase):
    def test_code_is_formatted(self):
        formatter = shutil.which("clang-format")
        if not formatter:
            self.skipTest("clang-format is not installed")
        code = sources() + files("tests", CODE) + files("bench", CODE)
        done = subprocess.run([formatter, "--dry-run", "-Werror", *code], cwd=ROOT, text=True,
                              capture_output=True, timeout=100, check=False)
        wrong = sorted(set(re.findall(r"^(\S+?):\d+:\d+: error", done.stderr, re.M)))
        self.assertEqual((done.returncode, wrong), (0, []), "run clang-format -i on these")

    def test_rooms_include_one_way(self):
        wrong = []
        for path in sources():
            room = room_of(path)
            for name in re.findall(r'^#include "([^"]+)"', read(path), re.M):
                target = name.split("/")[0]
                if target != room and target not in ROOMS[room]:
                    wrong.append(f"{path} includes {name}")
        self.assertEqual(wrong, [])

    def test_libraries_stay_in_their_rooms(self):
        wrong = []
        for path in sources():
            for name in re.findall(r"^#include <([^>]+)>", read(path), re.M):
                for pattern, rooms in LIBRARIES.items():
                    if re.fullmatch(pattern, name) and room_of(path) not in rooms:
                        wrong.append(f"{path} includes {name}")
                for pattern, begin in NARROW.items():
                    if re.fullmatch(pattern, name) and not path.startswith(begin):
                        wrong.append(f"{path} includes {name}")
        self.assertEqual(wrong, [])

    def test_files_stay_readable(self):
        everything = sources() + files("tests", CODE + (".py",)) + files("bench", CODE + (".py",))
        long = [p for p in everything if read(p).count("\n") > LINES_MAX]
        self.assertEqual(long, [], f"more than {LINES_MAX} lines")

    def test_headers_guard_themselves(self):
        headers = [p for p in sources() if not p.endswith(".cpp")]
        self.assertEqual([p for p in headers if "#pragma once" not in read(p)], [])

    def test_scripts_parse_and_run(self):
        for path in ("conf/quickstart", "conf/deps.sh", "conf/package", "conf/release", "tests/run", "bench/run", ".ci/run"):
            with self.subTest(path):
                full = os.path.join(ROOT, path)
                self.assertTrue(os.access(full, os.X_OK), "no run bit")
                done = subprocess.run(["bash", "-n", full], capture_output=True, text=True, check=False)
                self.assertEqual(done.stderr, "")


if __name__ == "__main__":
    sys.exit(tally.run_unittest())
