"""HTTP as raw bytes, metrics as numbers, and Debian's Prometheus."""
import json
import os
import re
import shutil
import socket
import subprocess
import tempfile
import unittest
import urllib.parse
import urllib.request

from harness import BINARY, TIMEOUT, Process, Proxy, eventually, free_port
from sealed import KeyFile

PROMETHEUS = shutil.which("prometheus")
PROMTOOL = shutil.which("promtool")
needs_prometheus = unittest.skipUnless(PROMETHEUS and PROMTOOL, "Prometheus is not installed")

SERIES = re.compile(r"([a-zA-Z_:][\w:]*)(\{.*\})? (\S+)")
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


def everything(case):
    """A configuration with keys, sealed namespaces and a server to ask, so that all series are there."""
    folder = case.enterContext(tempfile.TemporaryDirectory())
    keys, secret = KeyFile(), os.path.join(folder, "secret")
    case.addCleanup(lambda: keys)  # It goes with its file.
    with open(os.open(secret, os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="ascii") as file:
        file.write("secret")
    return (f'[keys]\nfile = "{keys.path}"\n[introspection.idp]\nurl = "http://127.0.0.1:9/"\nclient_id = "c"\n'
            f'client_secret_file = "{secret}"\n[[namespaces]]\nprefix = "s:"\nseal = "require"\n'
            '[[namespaces]]\nprefix = "t:"\nseal = "require"\nttl_cap = "1m"\nfill = "idp"\n')


def exchange(place, data, *, shutdown=False):
    """Everything that is answered to `data` until the other side closes. `place`: a port or a path."""
    family = socket.AF_UNIX if isinstance(place, str) else socket.AF_INET
    with socket.socket(family) as wire:
        wire.settimeout(2 * TIMEOUT)
        wire.connect(place if isinstance(place, str) else ("127.0.0.1", place))
        wire.sendall(data)
        if shutdown:
            wire.shutdown(socket.SHUT_WR)
        answer = b""
        while piece := wire.recv(1 << 16):
            answer += piece
        return answer


def request(place, path, *, method="GET", headers=()):
    """(status, headers by lower-case name, body)"""
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers), "", ""]
    if not any(name == "Host" for name, _ in headers):
        lines.insert(1, "Host: x")
    head, _, body = exchange(place, "\r\n".join(lines).encode()).partition(b"\r\n\r\n")
    first, *rest = head.decode("latin-1").split("\r\n")
    return int(first.split()[1]), {k.lower(): v for k, v in (line.split(": ", 1) for line in rest)}, body


def parse(text):
    """{(name, ((label, value), ...sorted)): number}"""
    found = {}
    for line in text.splitlines():
        if line and not line.startswith("#"):
            name, labels, value = SERIES.fullmatch(line).groups()
            key = name, tuple(sorted(LABEL.findall(labels or "")))
            assert key not in found, f"{key} stands twice"
            found[key] = float(value)
    return found


def counters(text):
    """The names of series that may only grow."""
    types = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.M))
    histograms = tuple(f"{name}{end}" for name, kind in types.items() if kind == "histogram"
                       for end in ("_bucket", "_sum", "_count"))
    return {name for name, kind in types.items() if kind == "counter"} | set(histograms)


class AdminProxy(Proxy):
    """A proxy with an admin port of 127.0.0.1 (behind `config`)."""

    def __init__(self, config="", *options, admin="", **more):
        self.admin = free_port()
        self.table = f"[admin]\nlisten = {self.admin}\n{admin}\n"
        super().__init__((), *options, config=config, **more)

    def configure(self, config):
        super().configure(config + self.table)

    def scrape(self):
        status, _, body = request(self.admin, "/metrics")
        assert status == 200, (status, body)
        return body.decode()

    def metric(self, name, **labels):
        return parse(self.scrape()).get((name, tuple(sorted(labels.items()))))

    def reaches(self, value, name, seconds=None, **labels):
        return eventually(lambda: self.metric(name, **labels) == value, seconds, f"{name}{labels} is {value}")

    def ready(self):
        """(status, reason)"""
        status, _, body = request(self.admin, "/readyz")
        return status, body.decode()


def top(*arguments):
    """(exit code, output, errors) of `tokenring top` without a terminal"""
    done = subprocess.run([BINARY, "top", *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=12 * TIMEOUT, check=False)
    return done.returncode, done.stdout, done.stderr


class Prometheus(Process):
    """Debian's, with a storage of its own, that scrapes `target` once a second."""

    def __init__(self, target, rules=None, token=None):
        self.folder = tempfile.TemporaryDirectory()
        job = {"job_name": "tokenring", "static_configs": [{"targets": [target]}]}
        if token:
            job["authorization"] = {"credentials": token}
        config = {"global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
                  "scrape_configs": [job], "rule_files": [rules] if rules else []}
        path = os.path.join(self.folder.name, "prometheus.yml")
        with open(path, "w", encoding="utf-8") as file:
            json.dump(config, file)  # JSON is YAML too.
        port = free_port()
        super().__init__([PROMETHEUS, f"--config.file={path}", f"--web.listen-address=127.0.0.1:{port}",
                          f"--storage.tsdb.path={self.folder.name}/data", "--log.level=warn"], port)

    def ask(self, path, **parameters):
        url = f"http://127.0.0.1:{self.port}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url, timeout=2 * TIMEOUT) as answer:
                return json.load(answer)["data"]
        except OSError:
            return None  # It is still starting.

    def query(self, expression):
        """{labels: number} of an instant query; None while it cannot be asked."""
        data = self.ask("query", query=expression)
        if data is None:
            return None
        return {tuple(sorted(one["metric"].items())): float(one["value"][1]) for one in data["result"]}

    def discard(self):
        self.stop()
        super().discard()
        self.folder.cleanup()


def promtool(*arguments, text=None):
    """(exit code, output)"""
    done = subprocess.run([PROMTOOL, *arguments], input=text, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, timeout=12 * TIMEOUT, check=False)
    return done.returncode, done.stdout
