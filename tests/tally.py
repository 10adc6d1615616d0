#!/usr/bin/env python3
"""Counts what a `meson test` run did: tally.py TESTLOG_JSON prints `@tally PASSED FAILED`.

A doctest binary counts with its test cases, a unittest program with its tests, anything else as
one. Exits non-zero when something failed or nothing ran.
"""
import json
import re
import sys
import unittest

DOCTEST = re.compile(r"test cases:\s*\d+\s*\|\s*(\d+) passed\s*\|\s*(\d+) failed")
UNITTEST = re.compile(r"^Ran (\d+) tests? in", re.M)
UNITTEST_BAD = re.compile(r"^FAILED \((.*)\)", re.M)
UNITTEST_SKIPPED = re.compile(r"skipped=(\d+)")


def count_unittest(text):
    """(passed, failed) from the closing lines of python's unittest, or None."""
    ran = UNITTEST.search(text)
    if not ran:
        return None
    bad = UNITTEST_BAD.search(text)
    failed = sum(int(n) for n in re.findall(r"(?:failures|errors)=(\d+)", bad[1])) if bad else 0
    skipped = sum(int(n) for n in UNITTEST_SKIPPED.findall(text))
    return max(0, int(ran[1]) - failed - skipped), failed


def run_unittest():
    """unittest.main() for a program whose output is tallied; returns the exit code."""
    result = unittest.main(module="__main__", exit=False).result
    failed = len(result.failures) + len(result.errors) + len(result.unexpectedSuccesses)
    print(f"@tally {result.testsRun - failed - len(result.skipped)} {failed}")
    return 0 if result.testsRun and not failed else 1


def count(test):
    text = re.sub(r"\x1b\[[0-9;]*m", "", test.get("stdout", "") + "\n" + test.get("stderr", ""))
    good = test["result"] in ("OK", "EXPECTEDFAIL")
    if test["result"] == "SKIP":
        return 0, 0
    numbers = [(int(p), int(f)) for p, f in DOCTEST.findall(text)]
    numbers = numbers or [n for n in [count_unittest(text)] if n]
    passed, failed = (sum(column) for column in zip(*numbers)) if numbers else (int(good), 0)
    # A crash or time-out prints no summary, or one that does not tell.
    return passed, max(failed, 0 if good else 1)


def main():
    try:
        with open(sys.argv[1], encoding="utf-8", errors="replace") as log:
            totals = [count(json.loads(line)) for line in log if line.strip()]
    except FileNotFoundError:
        totals = []
    passed, failed = sum(t[0] for t in totals), sum(t[1] for t in totals)
    print(f"@tally {passed} {failed}")
    return 0 if passed and not failed else 1


if __name__ == "__main__":
    sys.exit(main())
