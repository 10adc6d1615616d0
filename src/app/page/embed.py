#!/usr/bin/env python3
"""Writes the files of the admin page as C++: embed.py FILE... OUTPUT"""
import os
import sys

TYPES = {".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8",
         ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}


def literal(text):
    """A string literal, a line of the file in each of its lines."""
    lines = text.splitlines(keepends=True)
    escapes = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "?": "\\?"}  # Of ??x, a trigraph.
    return "\n".join('    "' + "".join(escapes.get(c, c) for c in line) + '"' for line in lines)


def main():
    *files, output = sys.argv[1:]
    rows = []
    for path in files:
        name = os.path.basename(path)
        with open(path, encoding="utf-8") as file:
            text = file.read()
        where = "/" if name == "index.html" else f"/{name}"
        rows.append(f'    {{"{where}", "{TYPES[os.path.splitext(name)[1]]}",\n{literal(text)}}},\n')
    with open(output, "w", encoding="utf-8") as file:
        file.write('#include "app/page_files.hpp"\n\nnamespace tokenring {\n\n'
                   f"constexpr PageFile kFiles[] = {{\n{''.join(rows)}}};\n\n"
                   "std::span<const PageFile> page_files() noexcept {\n  return kFiles;\n}\n\n"
                   "}  // namespace tokenring\n")


if __name__ == "__main__":
    main()
