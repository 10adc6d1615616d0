"""A real Prometheus scrapes the proxy; promtool checks the metrics and the alert rules."""
import os
import re
import tempfile
import unittest

from harness import ROOT, SLOW, Case, eventually, slow
from scrape import AdminProxy, Prometheus, everything, needs_prometheus, parse, promtool
from sealed import KeyFile, envelope

ALERTS = os.path.join(ROOT, "conf", "prometheus-alerts.yml")
ALERTS_TEST = os.path.join(ROOT, "tests", "prometheus-alerts-test.yml")
README = os.path.join(ROOT, "README.md")


@needs_prometheus
@slow
class Metrics(Case):
    def start(self, *arguments, **more):
        proxy = AdminProxy(*arguments, **more)
        self.addCleanup(proxy.finish)
        return proxy

    def prometheus(self, proxy, **more):
        """Returns when it has scraped the proxy."""
        server = Prometheus(f"127.0.0.1:{proxy.admin}", **more)
        self.addCleanup(server.discard)
        server.value = lambda query: next(iter((server.query(query) or {}).values()), None)
        eventually(lambda: server.value("up") == 1, 30 * SLOW, "Prometheus has scraped the proxy")
        return server

    def reaches(self, server, value, query):
        eventually(lambda: server.value(query) == value, 20 * SLOW, f"{query} is {value} in Prometheus")

    def test_a_scrape(self):
        one, two = self.memcached(), self.memcached()
        proxy = self.start(f'[pools.main]\nnodes = ["{one.address}", "{two.address}"]\n'
                           '[[namespaces]]\nprefix = "s:"\nttl_cap = 100\n', "--workers", "2")
        wire = self.wire(proxy)
        for number in range(40):
            wire.set(b"s:%d" % number, b"v")
        for number in range(60):
            self.assertEqual(wire.get(b"s:%d" % number), b"v" if number < 40 else None)
        wire.set(b"other", b"v")
        server = self.prometheus(proxy, rules=ALERTS)
        self.reaches(server, 40, 'tokenring_namespace_requests_total{namespace="s:",command="set"}')
        self.reaches(server, 40, 'tokenring_namespace_gets_total{namespace="s:",result="hit"}')
        self.reaches(server, 20, 'tokenring_namespace_gets_total{namespace="s:",result="miss"}')
        self.reaches(server, 0, 'tokenring_namespace_ttl_capped_total{namespace="s:",reason="default"}')
        self.reaches(server, 40, 'tokenring_namespace_ttl_capped_total{namespace="s:",reason="cap"}')
        for family in ("request", "proxy"):
            self.reaches(server, 100, f'tokenring_namespace_{family}_duration_seconds_count{{namespace="s:"}}')
            self.reaches(server, 1, f'tokenring_namespace_{family}_duration_seconds_count{{namespace="-"}}')
        self.assertLessEqual(server.value('tokenring_namespace_proxy_duration_seconds_sum{namespace="s:"}'),
                             server.value('tokenring_namespace_request_duration_seconds_sum{namespace="s:"}'))
        self.reaches(server, 1, 'tokenring_namespace_requests_total{namespace="-",command="set"}')
        self.reaches(server, 40, 'memcached_commands_total{command="get",status="hit"}')
        self.reaches(server, 60, 'tokenring_request_duration_seconds_count{command="get"}')
        self.reaches(server, 41, 'tokenring_proxy_duration_seconds_bucket{command="set",le="+Inf"}')
        self.reaches(server, 4, "sum(tokenring_node_links_up)")
        self.assertGreater(server.value("histogram_quantile(0.99, sum by (le) "
                                        "(tokenring_request_duration_seconds_bucket))"), 0)
        types = {name: kinds[0]["type"] for name, kinds in server.ask("metadata").items()}
        self.assertEqual((types["tokenring_proxy_duration_seconds"], types["tokenring_node_requests_total"],
                          types["tokenring_node_up"]), ("histogram", "counter", "gauge"))
        self.assertEqual(len(server.ask("rules")["groups"][0]["rules"]), 17)
        two.kill()
        self.reaches(server, 0, f'tokenring_node_up{{node="{two.address}"}}')
        self.reaches(server, 1, 'ALERTS{alertname="TokenringNodeDown",alertstate="pending"}')
        self.reaches(server, 1, "up")
        self.reaches(server, 1, "memcached_up")
        self.assertEqual(server.stop(), 0)

    def test_a_scrape_with_a_token(self):
        with tempfile.NamedTemporaryFile("w", suffix=".token") as file:  # Made with mode 0600.
            file.write("correct-horse-battery\n")
            file.flush()
            proxy = self.start(admin=f'token_file = "{file.name}"')
            server = self.prometheus(proxy, token="correct-horse-battery")
            self.reaches(server, 1, "memcached_up")

    @unittest.skipUnless(envelope, "python3-cryptography is not installed")
    def test_promtool_checks_the_metrics(self):
        keys = KeyFile()
        keys.add_master()
        proxy = self.start(f'[keys]\nfile = "{keys.path}"\n[[namespaces]]\nprefix = "sess:"\nseal = "require"\n'
                           '[[namespaces]]\nprefix = "caf\u00e9\\"\\\\:"\n')
        wire = self.wire(proxy)
        wire.set(b"sess:1", b"v")
        self.assertEqual(wire.get(b"sess:1"), b"v")
        proxy.reaches(1, "tokenring_namespace_opened_total", namespace="sess:")
        text = proxy.scrape()
        self.assertEqual(promtool("check", "metrics", text=text), (0, ""))
        series = parse(text)
        opened = {dict(labels)["key_id"]: value for (name, labels), value in series.items()
                  if name == "tokenring_key_opened_total"}
        roles = {dict(labels)["key_id"]: dict(labels)["role"] for name, labels in series if name == "tokenring_key_info"}
        self.assertEqual(sorted(roles.values()), ["master", "primary"])
        self.assertEqual({roles[key]: value for key, value in opened.items()}, {"primary": 1, "master": 0})
        self.assertEqual(series["tokenring_namespace_sealed_total", (("namespace", "sess:"),)], 1)
        self.assertEqual(series["tokenring_namespace_sealed_total", (("namespace", 'caf\u00e9\\"\\\\:'),)], 0)

    def test_readme_has_every_family(self):
        with open(README, encoding="utf-8") as file:
            readme = file.read()
        table = readme[readme.index("## Metrics and health"):]
        text = self.start(everything(self)).scrape()
        # A counter without a family of its own says which of stats it is.
        missing = [name for name, text in re.findall(r"^# HELP (\S+) (.*)$", text, re.M)
                   if not re.search(r"of stats \w+\.$", text) and not self.is_named(name, table)]
        self.assertEqual(missing, [])

    @staticmethod
    def is_named(name, table):
        return re.search(rf"`{name}(\{{[a-z_, ]+\}})?`", table)

    def test_alert_rules(self):
        self.assertIn("17 rules found", self.good("check", "rules", ALERTS))
        self.assertIn("SUCCESS", self.good("test", "rules", ALERTS_TEST))
        with open(ALERTS, encoding="utf-8") as file:
            names = set(re.findall(r"\b(?:tokenring|memcached)_[a-z_]+", file.read())) - {"memcached_exporter",
                                                                                         "memcached_"}
        text = self.start(everything(self)).scrape()
        self.assertEqual([name for name in names if not re.search(rf"^{name}[ {{]", text, re.M)], [])

    def good(self, *arguments):
        code, output = promtool(*arguments)
        self.assertEqual(code, 0, output)
        return output


if __name__ == "__main__":
    unittest.main()
