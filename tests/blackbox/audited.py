"""What the tests of the audit log share: a proxy that has one, its events, and what each must look like."""
import base64
import datetime
import hashlib
import json
import os
import re
import tempfile

from harness import eventually
from scrape import request
from sealed import SPACE, SealedCase, nodes_line, shapes_of

REFERENCE = re.compile(r"[A-Za-z0-9_-]{22}")
ACTIONS = {"read", "write", "touch", "delete", "flush", "command", "revoke", "open_failed", "login", "connect",
           "rights_lost", "introspect", "node_up", "node_down", "node_flushed", "start", "drain", "stop", "takeover", "reload",
           "keys_loaded", "audit_dropped", "enumeration_suspected"}


def traces_of(secret):
    """All forms in which a secret, or a hash that it could be guessed from, would be found."""
    forms = shapes_of(secret)
    for name in ("md5", "sha1", "sha256", "sha512"):
        digest = hashlib.new(name, secret).digest()
        forms |= {digest.hex().encode(), digest.hex().upper().encode(), base64.b64encode(digest)[:-4],
                  base64.urlsafe_b64encode(digest)[:-4]}
    return {form for form in forms if len(form) >= 8}


def found(secrets, text):
    return [form for secret in secrets for form in traces_of(secret) if form in text]


def metrics_of(port):
    """{(name, kind): value} of those with that label alone."""
    text = request(port, "/metrics")[2]
    return {(name, kind): int(value)
            for name, kind, value in re.findall(r'^(\w+)\{kind="(\w+)"\} (\d+)$', text.decode(), re.M)}


class AuditCase(SealedCase):
    def folder(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        return folder.name

    def audited(self, nodes, rules="", more="", gets=1, keys=None, audit="", path=None, before="", arguments=(), **options):
        """A proxy whose audit log is proxy.audit."""
        path = path or os.path.join(self.folder(), "audit.jsonl")
        text = before + f'[audit]\nfile = "{path}"\nsample_gets = {gets}\n{audit}\n'
        if keys:
            text += f'[keys]\nfile = "{keys.path}"\n'
        text += f'[pools.p]\nnodes = [{nodes_line(nodes)}]\n[[namespaces]]\nprefix = ""\npool = "p"\n'
        if rules:
            text += f'[[namespaces]]\nprefix = "{SPACE.decode()}"\npool = "p"\n{rules}\n'
        proxy = self.proxy((), *arguments, config=text + more, **options)
        proxy.audit, proxy.config = path, text + more
        return proxy

    @staticmethod
    def text(path):
        with open(path, "rb") as file:
            return file.read()

    def events(self, path, **fields):
        """Those of whole lines that have these fields; "_" stands for "."."""
        wanted = {name.replace("_", "."): value for name, value in fields.items()}
        lines = [json.loads(line) for line in self.text(path).split(b"\n")[:-1]]
        return [e for e in lines if all(e.get(name) == value for name, value in wanted.items())]

    def has(self, path, count=1, **fields):
        return eventually(lambda: e if len(e := self.events(path, **fields)) >= count else None,
                          what=f"{count} events with {fields}")

    def check(self, event):
        when = datetime.datetime.strptime(event["@timestamp"], "%Y-%m-%dT%H:%M:%S.%f%z")
        self.assertRegex(event["@timestamp"], r"\.\d{3}Z$")
        self.assertLess(abs(datetime.datetime.now(datetime.timezone.utc) - when), datetime.timedelta(minutes=30))
        self.assertIn(event["event.kind"], ("event", "alert"))
        self.assertIn(event["event.outcome"], ("success", "failure", "unknown"))
        self.assertIn(event["event.action"], ACTIONS)
        self.assertIsInstance(event["event.category"], list)
        self.assertIsInstance(event["event.type"], list)
        self.assertEqual(event["service.name"], "tokenring")
        if "tokenring.key.ref" in event:
            self.assertRegex(event["tokenring.key.ref"], REFERENCE)
            self.assertIn("tokenring.namespace", event)
