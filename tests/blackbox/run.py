#!/usr/bin/python3
"""Runs the black-box tests, one process per file: run.py [options] [test_x.py...]

Prints the output of files that fail and closes with `@tally PASSED FAILED`.
"""
import argparse
import concurrent.futures
import glob
import os
import re
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))
import tally  # noqa: E402


def run(path, options):
    """(file, seconds, passed, failed, skip reasons, output)"""
    env = {**os.environ, "TOKENRING_SLOW": str(options.slow), "TOKENRING_SHORT": str(int(options.short)),
           "TOKENRING_WORKERS": str(options.workers), "PYTHONDONTWRITEBYTECODE": "1"}
    env["TOKENRING_BIN"] = os.path.abspath(env.get("TOKENRING_BIN", f"{HERE}/../../build/src/app/tokenring"))
    name = os.path.basename(path).removesuffix(".py")
    start = time.monotonic()
    try:
        done = subprocess.run([sys.executable, "-W", "ignore::ResourceWarning", "-m", "unittest", "-v", name],
                              cwd=HERE, env=env, stdin=subprocess.DEVNULL, text=True, errors="replace",
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=options.limit, check=False)
        output, code = done.stdout, done.returncode
    except subprocess.TimeoutExpired as late:
        output, code = (late.stdout or b"").decode(errors="replace") + "\ntime limit\n", 1
    passed, failed = tally.count_unittest(output) or (0, 0)
    if code and not failed:
        failed = 1
    skipped = re.findall(r"skipped ['\"](.*)['\"]$", output, re.M)
    return name, time.monotonic() - start, passed, failed, skipped, output


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="leave slow tests out")
    parser.add_argument("--slow", type=float, default=1, help="factor for every deadline")
    parser.add_argument("--workers", type=int, default=1, help="workers of the proxy")
    parser.add_argument("--limit", type=float, default=240, help="seconds per file")
    parser.add_argument("--jobs", type=int, default=min(4, 1 + (os.cpu_count() or 1)))
    parser.add_argument("files", nargs="*")
    options = parser.parse_args()
    options.limit *= options.slow
    files = options.files or sorted(glob.glob(f"{HERE}/test_*.py"))
    total = [0, 0]
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        for done in concurrent.futures.as_completed([pool.submit(run, f, options) for f in files]):
            name, seconds, passed, failed, skipped, output = done.result()
            total = [total[0] + passed, total[1] + failed]
            print(f"{name}: {passed} passed, {failed} failed, {len(skipped)} skipped, {seconds:.1f} s", flush=True)
            for reason in sorted(set(skipped)):
                print(f"  skipped: {reason}")
            if failed:
                print(re.sub(r"^test_\S+ \(.*\)(\n.*)? \.\.\. (ok|skipped.*)\n", "", output, flags=re.M)[-12000:], flush=True)
    print(f"@tally {total[0]} {total[1]}")
    return 0 if total[0] and not total[1] else 1


if __name__ == "__main__":
    sys.exit(main())
