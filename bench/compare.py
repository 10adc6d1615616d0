#!/usr/bin/env python3
"""Measures tokenring and its peers under the same load, interleaved, and prints a table.

In each round every workload runs against every peer in turn. `us/req` is the CPU time of the
peer's process per request served; `x ref` is that over the better of memcached's proxy and
twemproxy in the same round, so that the machine's mood moves both sides.
"""
import argparse
import datetime
import json
import os
import platform
import re
import statistics
import subprocess
import sys

import measure
import peers
from measure import WORKLOADS

REFERENCES = ("mcproxy", "twemproxy")
NOISE = 0.15  # Foreign CPU, as a share of one core, above which a run is marked.


def parse():
    parser = argparse.ArgumentParser(prog="bench/run", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--secs", type=int, default=5, help="seconds per run")
    parser.add_argument("--workloads", default=",".join(WORKLOADS), help="default: %(default)s")
    parser.add_argument("--peers", help="of tokenring,workers2,sealed,tls,revocable,near,mcproxy,twemproxy,haproxy,memcached; default: all found")
    parser.add_argument("--quick", action="store_true", help="2 rounds of 2 s: p1-100, p16-100, mget10-100")
    parser.add_argument("--load", choices=("auto", "own", "memtier"), default="auto",
                        help="load driver; auto: memtier_benchmark when on PATH, else bench/load")
    parser.add_argument("--rate", type=float, default=0, help="open loop at this many requests/s (own driver)")
    parser.add_argument("--binary", default=f"{peers.ROOT}/build-pgo/src/app/tokenring")
    parser.add_argument("--tokenring-args", default="", help="more arguments for it, e.g. '-c FILE'")
    parser.add_argument("--no-memory", action="store_true")
    parser.add_argument("--no-syscalls", action="store_true")
    parser.add_argument("--results", default=f"{peers.ROOT}/bench/results", help="folder for the results")
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.secs, options.workloads = 2, 2, "p1-100,p16-100,mget10-100"
    options.workloads = options.workloads.split(",")
    for name in options.workloads:
        if name not in WORKLOADS:
            parser.error(f"no workload {name!r}; there are {', '.join(WORKLOADS)}")
    if options.rate:
        options.load = "own"
    options.found = peers.available(options.binary, options.tokenring_args.split())
    options.peers = options.peers.split(",") if options.peers else list(options.found)
    for name in options.peers:
        if name not in options.found:
            parser.error(f"no peer {name!r} on this machine; found {', '.join(options.found)}")
    return options


def machine():
    def first(pattern, path):
        try:
            with open(path, encoding="utf-8") as file:
                match = re.search(pattern, file.read(), re.M)
                return match[1] if match else "?"
        except OSError:
            return "?"
    return {"cpu": first(r"model name\s*:\s*(.*)", "/proc/cpuinfo"), "cpus": os.cpu_count(),
            "memory_kib": int(first(r"MemTotal:\s+(\d+)", "/proc/meminfo")), "kernel": platform.release(),
            "system": first(r'PRETTY_NAME="(.*)"', "/etc/os-release")}


def commit():
    def git(*arguments):
        done = subprocess.run(["git", *arguments], cwd=peers.ROOT, capture_output=True, text=True, check=False)
        return done.stdout.strip()
    dirty = "-dirty" if git("status", "--porcelain", "--untracked-files=no") else ""
    return (git("rev-parse", "--short", "HEAD") or "unknown") + dirty


def prefix_of(name, workload):
    return f"{name}-{workload.size}:"


def fill(load, servers, nodes, options):
    """Every peer has its own keys, so that none finds another's in the wrong place."""
    for name, server in servers.items():
        for workload in {(w.size, w.keys): w for w in map(WORKLOADS.get, options.workloads)}.values():
            # haproxy hands a client to any node, whatever the key: each node must have them all.
            for target in nodes if name == "haproxy" else [server]:
                load.fill(target.port, prefix_of(name, workload), workload)


def measure_rounds(load, servers, nodes, options):
    runs = []
    for round_number in range(options.rounds):
        for name in options.workloads:
            for peer, server in servers.items():
                if peer == "haproxy" and WORKLOADS[name].idle > peers.HAPROXY_CLIENTS_MAX:
                    continue
                try:
                    run = measure.one_run(load, server, nodes, prefix_of(peer, WORKLOADS[name]), WORKLOADS[name],
                                          options.secs, options.rate)
                except (RuntimeError, subprocess.TimeoutExpired, json.JSONDecodeError) as error:
                    print(f"# {peer} {name}: {error}", file=sys.stderr)
                    continue
                run.update(peer=peer, workload=name, round=round_number, noisy=run["other"] > NOISE)
                runs.append(run)
                print(f"# round {round_number + 1}/{options.rounds} {name:11} {peer:10} {run['us']:7.2f} us/req "
                      f"{run['rate']:8.0f} req/s{' noisy' if run['noisy'] else ''}", file=sys.stderr, flush=True)
    return runs


def reference(runs, workload, round_number):
    """The CPU time per request of the better reference in that round, or None."""
    return min((r["us"] for r in runs if r["peer"] in REFERENCES and r["workload"] == workload and
                r["round"] == round_number), default=None)


def table(runs, syscalls, options):
    head = (f"{'workload':11} {'peer':10} {'us/req':>8} {'min-max':>15} {'x ref':>6} {'min-max':>11} {'user%':>5} "
            f"{'sysc/req':>8} {'req/s':>8} {'p50 us':>8} {'p99 us':>8} {'util':>5} {'misses':>7} {'errors':>6} {'noisy':>5}")
    lines = [head]
    for workload in options.workloads:
        for peer in options.peers:
            mine = [r for r in runs if r["peer"] == peer and r["workload"] == workload]
            if not mine:
                lines.append(f"{workload:11} {peer:10} no run")
                continue
            quiet = [r for r in mine if not r["noisy"]] or mine
            ratios = [r["us"] / ref for r in quiet if (ref := reference(runs, workload, r["round"]))]

            def mid(field, rows=quiet):
                return statistics.median(r[field] for r in rows)
            us = [r["us"] for r in quiet]
            spread = f"{min(us):.2f}-{max(us):.2f}"
            ratio = (f"{statistics.median(ratios):6.2f} {min(ratios):5.2f}-{max(ratios):<5.2f}" if ratios
                     else f"{'-':>6} {'-':>11}")
            calls = syscalls.get(f"{workload}/{peer}")
            lines.append(f"{workload:11} {peer:10} {mid('us'):8.2f} {spread:>15} {ratio} {100 * mid('user'):5.0f} "
                         f"{f'{calls:.2f}' if calls is not None else '-':>8} {mid('rate'):8.0f} {mid('p50_us'):8.0f} "
                         f"{mid('p99_us'):8.0f} {mid('util'):5.2f} {sum(r['misses'] for r in mine):7.0f} "
                         f"{sum(r['errors'] for r in mine):6.0f} {sum(r['noisy'] for r in mine):3}/{len(mine)}")
    return lines


def over(title, runs, options, above, below):
    """CPU time per request of one series over another's in the same round; each is (peer, workload), either None."""
    def us(series, peer, workload, round_number):
        wanted = series[0] or peer, series[1] or workload, round_number
        return next((r["us"] for r in runs if (r["peer"], r["workload"], r["round"]) == wanted), None)
    lines = []
    for workload in [above[1]] if above[1] else options.workloads:
        for peer in [above[0]] if above[0] else options.peers:
            pairs = [(us(above, peer, workload, n), us(below, peer, workload, n)) for n in range(options.rounds)]
            ratios = [a / b for a, b in pairs if a and b]
            if ratios:
                lines.append(f"{workload:11} {peer:10} {statistics.median(ratios):6.2f} "
                             f"{min(ratios):5.2f}-{max(ratios):<5.2f}")
    return ["", title, *lines] if lines else []


def ratios(runs, options):
    lines = []
    for peer, other in (("sealed", "tokenring"), ("tls", "tokenring"), ("workers2", "tokenring"), ("revocable", "sealed"),
                        ("near", "memcached"), ("near", "tokenring")):
        lines += over(f"{peer} over {other}", runs, options, (peer, None), (other, None))
    for name in options.workloads:
        if WORKLOADS[name].idle:
            lines += over(f"{name} over p1-100", runs, options, (None, name), (None, "p1-100"))
    return lines


def memory(nodes, options):
    out = {}
    for name in options.peers:
        server = peers.Server(name, options.found[name](nodes), peers.cpus_of(name))
        try:
            out[name] = measure.memory_of_clients(server)
        except OSError as error:
            print(f"# memory of {name}: {error}", file=sys.stderr)
        finally:
            server.stop()
    return out


def memory_table(figures):
    return [f"{'KiB':10} {'at start':>9} {'+1000 idle':>11} {'+1000 half a 1 KiB set':>23}",
            *(f"{name:10} {f['base']:9} {f['idle']:11} {f['half']:23}" for name, f in figures.items())]


def main():
    options = parse()
    load = measure.driver(options.load)
    about = {"date": datetime.datetime.now().isoformat(timespec="seconds"), "commit": commit(), "machine": machine(),
             "command": "bench/run " + " ".join(sys.argv[1:]), "load": load.name,
             "versions": {p: peers.version_of(p, options.binary) for p in options.peers}}
    running, syscalls = [], {}
    try:
        nodes = peers.start_nodes()
        running += nodes
        servers = {}
        for name in options.peers:
            servers[name] = peers.Server(name, options.found[name](nodes), peers.cpus_of(name))
            running.append(servers[name])
        fill(load, servers, nodes, options)
        runs = measure_rounds(load, servers, nodes, options)
        if not options.no_syscalls and measure.perf_works():
            for workload in options.workloads:
                for peer, server in servers.items():
                    w = WORKLOADS[workload]
                    if w.idle:
                        continue
                    syscalls[f"{workload}/{peer}"] = measure.syscalls_per_request(load, server, prefix_of(peer, w), w)
        for server in servers.values():
            server.stop()
        held = {} if options.no_memory else memory(nodes, options)
    finally:
        for server in running:
            server.stop()
    lines = [f"{key}: {value}" for key, value in about.items()]
    lines += ["", *(f"{name}: {WORKLOADS[name].describe()}" for name in options.workloads), ""]
    lines += table(runs, syscalls, options) + ratios(runs, options)
    lines += [""] + memory_table(held) if held else []
    print("\n".join(lines))
    os.makedirs(options.results, exist_ok=True)
    stem = f"{options.results}/{about['date'][:10]}-{about['commit']}"
    with open(stem + ".txt", "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")
    with open(stem + ".json", "w", encoding="utf-8") as file:
        json.dump({**about, "runs": runs, "syscalls": syscalls, "memory": held}, file, indent=1)
        file.write("\n")
    print(f"written: {os.path.relpath(stem)}.txt and .json", file=sys.stderr)
    return 1 if not runs or any(r["errors"] for r in runs if r["peer"] == "tokenring") else 0


if __name__ == "__main__":
    sys.exit(main())
