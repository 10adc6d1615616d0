"""Pages, dashboard and runbook: what they name is there, and what is there is named."""
import json
import os
import re
import subprocess
import tempfile
import tomllib
import unittest

from certificates import Authority
from harness import BINARY, ROOT, Case
from revoking import Issuer
from scrape import AdminProxy, everything, promtool
from sealed import KeyFile
from test_operations import needs, read, run

DASHBOARD = json.loads(read("conf", "grafana-dashboard.json"))
ALERTS = read("conf", "prometheus-alerts.yml")
RUNBOOK = read("conf", "RUNBOOK.md")


class ManualPages(Case):
    def setUp(self):
        self.folder = self.enterContext(tempfile.TemporaryDirectory())
        self.page = os.path.join(ROOT, "conf", "man", "tokenring.1")
        self.settings = os.path.join(self.folder, "tokenring.toml.5")
        subprocess.run(["/usr/bin/env", "python3", f"{ROOT}/conf/man/toml-page", f"{ROOT}/conf/tokenring.toml",
                        self.settings, "0"], check=True)

    def rendered(self, path):
        done = run("man", "--warnings", "-l", path, env={**os.environ, "MANWIDTH": "200", "LC_ALL": "C.UTF-8",
                                                          "MAN_KEEP_FORMATTING": ""})
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return re.sub(".\b", "", done.stdout)

    @needs("man", "mandoc")
    def test_they_are_sound(self):
        for path in (self.page, self.settings):
            self.assertIn("SEE ALSO", self.rendered(path))
            done = run("mandoc", "-Tlint", "-Wwarning", path)
            self.assertEqual((done.returncode, done.stdout), (0, ""))

    @needs("man")
    def test_all_that_help_prints_is_there(self):
        text = self.rendered(self.page)
        commands = re.findall(r"^  tokenring ([a-z|-]+)", run(BINARY, "--help").stdout, re.M)
        commands = {word for one in commands for word in one.split("|") if not word.startswith("-")}
        self.assertTrue({"where", "reload", "status", "keygen"} <= commands)
        for command in commands | {""}:
            usage = run(BINARY, *([command] if command else []), "--help").stdout
            for option in set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", usage)) | {command}:
                self.assertRegex(text, rf"(?<![\w-]){re.escape(option)}(?![\w-])", f"of {command!r}")

    @needs("man")
    def test_the_settings_are_the_file_that_has_them(self):
        shown = [line.strip() for line in self.rendered(self.settings).splitlines() if line.strip()]
        for line in read("conf", "tokenring.toml").splitlines():
            if line.strip():
                self.assertIn(line.strip(), shown)


class Monitoring(Case):
    def families(self):
        """Names of all series of a proxy with nodes, namespaces, keys, and a server to ask."""
        proxy = AdminProxy(everything(self))
        self.addCleanup(proxy.finish)
        wire = self.wire(proxy)
        wire.set(b"s:k", b"v")
        self.assertEqual(wire.get(b"s:k"), b"v")
        proxy.reaches(1, "tokenring_namespace_opened_total", namespace="s:")
        return proxy.scrape()

    @staticmethod
    def expressions():
        return [target["expr"] for panel in DASHBOARD["panels"] for target in panel.get("targets", [])]

    @staticmethod
    def series(text):
        return set(re.findall(r"\b(?:tokenring|memcached|process)_[a-z_]+", text))

    def test_series_exist_with_their_labels(self):
        text = self.families()
        exposed = set(re.findall(r"^(\w+)[{ ]", text, re.M))
        variables = " ".join(one["query"]["query"] for one in DASHBOARD["templating"]["list"] if one["type"] == "query")
        named = self.series(" ".join(self.expressions()) + variables)
        self.assertGreater(len(named), 30)
        self.assertEqual(named - exposed, set())
        rules = re.sub(r"(?m)^#.*|^ *#.*", "", ALERTS)
        self.assertEqual(self.series(" ".join(re.findall(r"expr:(.*?)\n *(?:for|labels):", rules, re.S))) - exposed,
                         set())
        given = {"job", "instance", "le"}  # By Prometheus.
        missing = []
        for expression in self.expressions():
            for labels in re.findall(r"\bby \((.*?)\)", expression):
                # What is behind `and on` only picks proxies out.
                missing += [(name, label) for name in self.series(expression.split(" and on")[0])
                            for label in set(labels.split(", ")) - given
                            if not re.search(rf'(?m)^{name}\{{(.*,)?{label}="', text)]
        self.assertEqual(missing, [])

    def test_every_family_of_a_namespace_or_node_is_shown(self):
        shown = self.series(" ".join(self.expressions()))
        shown |= {name.removesuffix("_bucket") for name in shown}
        rare = {"tokenring_node_rejoin_flushes_total", "tokenring_node_links", "tokenring_node_queued_bytes"}
        missing = {name for name in re.findall(r"^# TYPE (\w+)", self.families(), re.M)
                   if re.match("tokenring_(node|pool|key|namespace|introspections?|audit|tls|login)", name)} - shown - rare
        self.assertEqual(missing, set())

    @needs("promtool")
    def test_expressions_are_sound(self):
        rules = []
        for number, expression in enumerate(self.expressions()):
            for variable, value in (("$__rate_interval", "1m"), ("$job", "j"), ("$instance", ".+")):
                expression = expression.replace(variable, value)
            self.assertNotIn("$", expression)
            rules.append({"record": f"panel:{number}", "expr": expression})
        with tempfile.NamedTemporaryFile("w", suffix=".yml") as file:
            json.dump({"groups": [{"name": "dashboard", "rules": rules}]}, file)
            file.flush()
            code, output = promtool("check", "rules", file.name)
        self.assertEqual(code, 0, output)
        self.assertIn(f"{len(rules)} rules found", output)

    def test_panels_lie_side_by_side(self):
        cells, numbers = set(), set()
        for panel in DASHBOARD["panels"]:
            at = panel["gridPos"]
            area = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
            self.assertFalse(area & cells, panel["title"])
            self.assertTrue(all(x < 24 for x, _ in area), panel["title"])
            self.assertNotIn(panel["id"], numbers)
            cells |= area
            numbers.add(panel["id"])


class Runbook(Case):
    def test_each_alert_is_explained(self):
        alerts = re.findall(r"- alert: (\w+)", ALERTS)
        self.assertGreater(len(alerts), 5)
        self.assertEqual(re.findall(r"^### (Tokenring\w+)$", RUNBOOK, re.M), alerts)

    def test_links_lead_somewhere(self):
        def anchor(heading):
            return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")

        for page, folder in (("conf/RUNBOOK.md", "conf"), ("README.md", "")):
            for target in re.findall(r"\]\(([^)]+)\)", read(page)):
                name, _, place = target.partition("#")
                path = os.path.join(folder, name) if name else page
                self.assertTrue(os.path.exists(os.path.join(ROOT, path)), f"{page}: {target}")
                if place:
                    headings = [anchor(h) for h in re.findall(r"^#+ (.*)$", read(path), re.M)]
                    self.assertIn(place, headings, f"{page}: {target}")

    def test_settings_and_series_exist(self):
        exposed = re.findall(r"^(?:# TYPE )?(\w+)[ {]", Monitoring.families(self), re.M)
        self.assertEqual(Monitoring.series(RUNBOOK) - set(exposed), set())
        settings = read("conf", "tokenring.toml")
        for name in re.findall(r"`(?:limits|keys|admin|embedded|pools\.NAME|namespaces\[\])\.([a-z_]+)`", RUNBOOK):
            self.assertRegex(settings, rf"(?m)^#?\s*{name} = ", name)

    def test_configurations_in_pages_are_sound(self):
        """Each indented block that is TOML, with keys and pools that its page leaves out. Of other files that it
        names it may only be wrong that they are not here."""
        keys = KeyFile()
        count = 0
        for page in ("README.md", "conf/RUNBOOK.md"):
            for block in re.findall(r"(?:^    .*\n(?:\n(?=    ))*)+", read(page), re.M):
                text = re.sub(r"^    ", "", block, flags=re.M)
                try:
                    table = tomllib.loads(text)
                except tomllib.TOMLDecodeError:
                    continue
                with self.subTest(text):
                    if not set(table) & {"pools", "namespaces", "keys", "admin", "limits", "listen", "tls", "auth",
                                         "audit"}:
                        text = "[pools.main]\n" + text  # Some lines of a pool.
                    if "revocation" in table and "namespaces" not in table:
                        text += '[[namespaces]]\nprefix = "auth_token:"\nseal = "require"\nrevocable = true\n'
                    if '\nseal = "' in text and "keys" not in table:
                        text += f'[keys]\nfile = "{keys.path}"\n'
                    text = text.replace("/etc/tokenring/keys", keys.path)
                    elsewhere = "|".join(map(re.escape, re.findall(r'"(/(?:etc|var/log)/[^"]+)"', text)))
                    with tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
                        file.write(text)
                        file.flush()
                        done = run(BINARY, "-c", file.name, "--check")
                    if not elsewhere or not re.search(rf"({elsewhere}).*No such file", done.stderr):
                        self.assertEqual((done.returncode, done.stderr), (0, ""))
                    count += 1
        self.assertGreaterEqual(count, 4)


    @needs("curl", "openssl")
    def test_the_secured_example_is_sound_with_its_files(self):
        authority, issuer = Authority(self), Issuer()
        front, folder = authority.issue("front", "DNS:front"), authority.folder.name
        text = read("conf", "examples", "secured-tier.toml")
        files = {"front.pem": front.certificate, "front.key": front.key, "clients-ca.pem": authority.file,
                 "nodes-ca.pem": authority.file}
        steps = re.findall(r"(?m)^#   (\S.*?)(?: +# .*)?$", text)
        jwks = os.path.join(folder, "jwks")
        with open(jwks, "w", encoding="ascii") as file:
            json.dump(issuer.jwks(), file)
        self.assertEqual(steps.pop(0), "umask 077")
        for step in steps:
            step = step.replace("/etc/tokenring", folder).replace("https://idp.example/jwks", f"file://{jwks}")
            done = run("bash", "-c", f'umask 077; tokenring() {{ "{BINARY}" "$@"; }}; {step}', input="secret\n")
            self.assertEqual((done.returncode, done.stdout), (0, ""), step)
        for name in ("keys", "admin-token", "users", "introspection.secret", "idp.jwks"):
            files[name] = os.path.join(folder, name)
        text = re.sub(r'"/etc/tokenring/([a-z.-]+)"', lambda named: f'"{files[named[1]]}"', text)
        text = text.replace("/var/log/tokenring/", folder + "/")
        path = os.path.join(folder, "tokenring.toml")
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        done = run(BINARY, "-c", path, "--check")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn("3 namespaces", done.stdout)


if __name__ == "__main__":
    unittest.main()
