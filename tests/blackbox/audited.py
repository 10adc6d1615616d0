"""What the tests of the audit log share: a proxy that has one, its events, and what each must look like."""
import datetime
import json
import os
import re
import tempfile

from harness import eventually
from sealed import SPACE, SealedCase, nodes_line

REFERENCE = re.compile(r"[A-Za-z0-9_-]{22}")
ACTIONS = {"read", "write", "touch", "delete", "flush", "command", "revoke", "open_failed", "login", "connect",
           "rights_lost", "node_up", "node_down", "node_flushed", "start", "drain", "stop", "takeover", "reload",
           "keys_loaded", "audit_dropped", "enumeration_suspected"}


class AuditCase(SealedCase):
    def folder(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        return folder.name

    def audited(self, nodes, rules="", more="", gets=1, keys=None, audit="", path=None, **options):
        """A proxy whose audit log is proxy.audit."""
        path = path or os.path.join(self.folder(), "audit.jsonl")
        text = f'[audit]\nfile = "{path}"\nsample_gets = {gets}\n{audit}\n'
        if keys:
            text += f'[keys]\nfile = "{keys.path}"\n'
        text += f'[pools.p]\nnodes = [{nodes_line(nodes)}]\n[[namespaces]]\nprefix = ""\npool = "p"\n'
        if rules:
            text += f'[[namespaces]]\nprefix = "{SPACE.decode()}"\npool = "p"\n{rules}\n'
        proxy = self.proxy(config=text + more, **options)
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
