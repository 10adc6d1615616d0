#!/usr/bin/env python3
"""What a request may cost: run.py BUILD_DIRECTORY [--renew]

Holds instructions (callgrind) and system calls (strace) per request against limits.txt, or writes it
anew. No clock is read, so that a busy machine gives the same counts. Closes with `@tally PASSED FAILED`;
what could not be counted is in lines that begin with `@note`, and is not among what passed.
"""
import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile

import syscalls

HERE = os.path.dirname(os.path.abspath(__file__))
TABLE = f"{HERE}/limits.txt"
ABOVE = 1.05  # More than this over the limit is a failure,
BELOW = 0.90  # and less than this a limit that no longer says much.
SECONDS = 100
ROW = re.compile(r"(instructions|system calls)\s+(.+?)\s{2,}([\d.]+)")
HEAD = """\
# What a request costs in the engine (instructions, by callgrind) and at the kernel (system calls of
# the program, by strace). More than 5 % above is a failure of `tests/run cost`. To renew, on the
# build that tests/run makes:
#   tests/cost/run.py build --renew
"""


class CannotCount(Exception):
    """Why this machine cannot tell."""


def output_of(argv, **options):
    done = subprocess.run(argv, capture_output=True, text=True, timeout=SECONDS, check=False, **options)
    if done.returncode:
        raise AssertionError(f"{argv} ended with {done.returncode}:\n{done.stdout}{done.stderr}"[-4000:])
    return done.stdout


def instructions(program):
    """{row: instructions per request}, {row it cannot do: why}"""
    if not shutil.which("valgrind"):
        raise CannotCount("valgrind is not installed")
    # It would count `rep movsb` by the byte.
    env = {"PATH": os.environ["PATH"], "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-ERMS,-FSRM"}
    with tempfile.TemporaryDirectory() as folder:
        said = output_of(["valgrind", "--tool=callgrind", "--collect-atstart=no", "--combine-dumps=yes",
                          f"--callgrind-out-file={folder}/out", program], env=env)
        with open(f"{folder}/out", encoding="utf-8", errors="replace") as file:
            text = file.read()
    dumps = re.findall(r"^desc: Trigger: Client Request: (.+)=(\d+)\n(?:.*\n)*?(?:totals|summary): (\d+)", text, re.M)
    counts = {name: int(total) / int(requests) for name, requests, total in dumps}
    return counts, dict(re.findall(r"^skipped: (.+): (.+)", said, re.M))


def read_table():
    """(what it was made with, {(kind, row): limit})"""
    if not os.path.exists(TABLE):
        return "", {}
    with open(TABLE, encoding="utf-8") as file:
        text = file.read()
    built = re.search(r"^built: (.*)", text, re.M)
    return built[1] if built else "", {(k, r): float(n) for k, r, n in ROW.findall(text)}


def write_table(built, counts):
    with open(TABLE, "w", encoding="utf-8") as file:
        file.write(HEAD + f"built: {built}\n\n")
        for (kind, row), count in counts.items():
            file.write(f"{kind:<13} {row:<32} {count:.0f}\n" if kind == "instructions" else
                       f"{kind:<13} {row:<32} {count:.3f}\n")


def judge(counts, limits):
    """Prints a line per row; (passed, failed)"""
    passed = failed = 0
    for kind, row in sorted({*counts, *limits}):
        count, limit = counts.get((kind, row)), limits.get((kind, row))
        name = f"{kind:<13} {row:<32}"
        good = count is not None and limit is not None and count <= limit * ABOVE
        passed, failed = passed + good, failed + (not good)
        if count is None:
            print(f"FAILED {name} is in the table and was not counted")
        elif limit is None:
            print(f"FAILED {name} {count:.3f}: not in the table; renew it")
        else:
            print(f"{'ok    ' if good else 'FAILED'} {name} {count:10.3f}  limit {limit:10.3f}  {count / limit - 1:+.1%}")
            if count < limit * BELOW:
                print(f"@note {kind}, {row}: {count:.3f}, far below its limit of {limit:g}: lower it by --renew")
    return passed, failed


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("build")
    parser.add_argument("--renew", action="store_true", help="write the table")
    options = parser.parse_args()
    program, proxy = (os.path.abspath(f"{options.build}/{p}") for p in ("tests/cost_requests", "src/app/tokenring"))
    built = output_of([program]).splitlines()[0]  # Fails where a reply is not what it should be.
    print(f"built: {built}")
    made_with, limits = read_table()
    counts, skipped = {}, {}
    try:
        if built != made_with and not options.renew:
            raise CannotCount(f"the table is of \"{made_with}\", this is \"{built}\"")
        found, left_out = instructions(program)
        counts.update({("instructions", row): count for row, count in found.items()})
        skipped.update({("instructions", row): why for row, why in left_out.items()})
    except CannotCount as why:
        skipped.update({key: why for key in limits if key[0] == "instructions"})
    try:
        counts.update({("system calls", row): count for row, count in syscalls.count(proxy).items()})
    except syscalls.CannotTrace as why:
        skipped.update({key: why for key in limits if key[0] == "system calls"})
    for kind, why in sorted({(kind, str(why)) for (kind, _), why in skipped.items()}):
        rows = [row for key, row in skipped if (key, str(skipped[key, row])) == (kind, why)]
        print(f"@note skipped: {kind} ({'; '.join(rows)}): {why}")
    if options.renew:
        if skipped:
            print("the table is left as it is", file=sys.stderr)
            return 1
        write_table(built, counts)
        return 0
    passed, failed = judge(counts, {key: n for key, n in limits.items() if key not in skipped})
    print(f"@tally {passed + 1} {failed}")  # And the replies.
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
