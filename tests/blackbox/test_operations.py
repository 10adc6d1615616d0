"""The units, packages and manifests in conf/: checked by their own tools, and against the real binary."""
import grp
import os
import pwd
import re
import shutil
import signal
import subprocess
import tempfile
import unittest

import yaml

from harness import BINARY, ROOT, SLOW, TIMEOUT, Case, eventually, free_port
from scrape import request
from sealed import KeyFile

CONF = os.path.join(ROOT, "conf")
BUILD = os.path.dirname(os.path.dirname(os.path.dirname(BINARY)))
USER = 11211
SANITIZED = "asan" in BUILD or "tsan" in BUILD


def read(*path):
    with open(os.path.join(ROOT, *path), encoding="utf-8") as file:
        return file.read()


def run(*argv, **more):
    return subprocess.run([str(a) for a in argv], capture_output=True, text=True, timeout=12 * TIMEOUT, check=False,
                          **more)


def needs(*programs):
    missing = [p for p in programs if not shutil.which(p)]
    return unittest.skipIf(missing, f"{', '.join(missing)} is not installed")


class Unit(Case):
    def setUp(self):
        self.folder = self.enterContext(tempfile.TemporaryDirectory())
        self.text = read("conf", "systemd", "tokenring.service.in").replace("@BINARY@", BINARY)
        self.files = [os.path.join(self.folder, name) for name in ("tokenring.service", "tokenring@.service")]
        for path in self.files:
            with open(path, "w", encoding="utf-8") as file:
                file.write(self.text)

    @needs("systemd-analyze")
    def test_systemd_understands_it(self):
        for path in (self.files[0], self.files[1].replace("@", "@b")):
            done = run("systemd-analyze", "verify", "--man=no", path, env={**os.environ, "SYSTEMD_UNIT_PATH": self.folder + ":"})
            self.assertEqual((done.returncode, done.stderr), (0, ""))

    @needs("systemd-analyze")
    def test_it_is_hardened(self):
        done = run("systemd-analyze", "security", "--offline=true", "--threshold=15", "--no-pager", self.files[0])
        self.assertEqual(done.returncode, 0, done.stdout[-400:] + done.stderr)

    def allowed_calls(self):
        """The system calls that its SystemCallFilter= lines come to."""
        sets, name = {}, None
        for line in run("systemd-analyze", "syscall-filter", "--no-pager").stdout.splitlines():
            word = line.strip()
            if line.startswith("@"):
                name = word
                sets[name] = set()
            elif word and not word.startswith("#") and name:
                sets[name].add(word)

        def members(word):
            if not word.startswith("@"):
                return {word}
            return set().union(*(members(w) for w in sets[word]))
        allowed = members("@default")
        for line in re.findall(r"^SystemCallFilter=(.*)$", self.text, re.M):
            named = set().union(*(members(w) for w in line.lstrip("~").split()))
            allowed = allowed - named if line.startswith("~") else allowed | named
        return allowed

    @needs("systemd-analyze", "strace")
    @unittest.skipIf(SANITIZED, "a sanitizer makes calls of its own")
    def test_it_makes_no_call_that_is_filtered(self):
        """A start, traffic to nodes, a name, keys, metrics, a reload, a takeover and a drain."""
        node = self.memcached()
        keys = KeyFile()
        trace = os.path.join(self.folder, "calls")
        config = (f'[admin]\nlisten = {free_port()}\n[keys]\ncommand = ["/bin/cat", "{keys.path}"]\n'
                  f'[pools.main]\nnodes = ["localhost:{node.port}"]\n[[namespaces]]\nprefix = "s:"\nseal = "require"\n')
        options = {"config": config, "wrapper": ("strace", "-f", "-qq", "-o", trace, "-e", "signal=none")}
        proxy = self.proxy((), **options)
        proxy.wait_for_control()
        wire = self.wire(proxy)
        # Where localhost leads to [::1] first, nobody is there.
        eventually(lambda: wire.command(b"set s:k 0 0 1\r\nv\r\n") == b"STORED\r\n", what="the node is found")
        self.assertEqual(wire.get(b"s:k"), b"v")
        self.assertEqual(proxy.ask("reload")[0], 0)
        calls = self.calls(trace)
        proxy.may_end = True
        trace2 = trace + "2"
        new = self.proxy((), "--takeover", port=proxy.port,
                         config=config, wrapper=("strace", "-f", "-qq", "-o", trace2, "-e", "signal=none"))
        new.says("takeover: done")
        self.assertEqual(proxy.wait_for_end(), 0)
        self.assertEqual(new.ask("drain")[0], 0)
        self.assertEqual(new.wait_for_end(), 0)
        calls |= self.calls(trace) | self.calls(trace2)
        self.assertEqual({"epoll_wait", "mlock", "execve", "accept4", "recvmsg"} - calls, set())
        self.assertEqual(calls - self.allowed_calls(), set())

    @staticmethod
    def calls(trace):
        with open(trace, encoding="utf-8", errors="replace") as file:
            return set(re.findall(r"^\d+ +(\w+)\(", file.read(), re.M))

    def test_what_it_names_is_there(self):
        self.assertIn(f"ExecStart={BINARY} -c /etc/tokenring/tokenring.toml --takeover", self.text)
        user = re.search(r"^User=(.*)$", self.text, re.M)[1]
        self.assertRegex(read("conf", "systemd", "tokenring.sysusers"), rf"(?m)^u {user} ")


@unittest.skipIf(SLOW > 1, "sanitizers take far more addresses")
class Addresses(Case):
    def test_serves_where_addresses_are_few(self):
        proxy = self.proxy((), "--workers", "2", wrapper=("prlimit", "--as=2147483648"))
        value = b"VALUE a 0 1\r\nb\r\n"
        self.ask(self.wire(proxy), b"set a 0 0 1\r\nb\r\n" + b"get a a a\r\n" * 1000,
                 b"STORED\r\n" + (3 * value + b"END\r\n") * 1000)

    def test_outlives_more_requests_than_it_has_addresses_for(self):
        node = self.memcached()
        proxy = self.proxy([node], wrapper=("prlimit", "--as=2147483648"))
        self.wire(proxy).set(b"a", b"b")
        node.freeze()
        clients = [self.wire(proxy) for _ in range(120)]
        for client in clients:
            client.send(b"get a\r\nget" + b" a" * 2000 + b"\r\nmg a v\r\nmn\r\n")
        node.thaw()
        for client in clients:
            self.assertTrue(client.until(b"MN\r\n").endswith(b"MN\r\n"))
        self.assertEqual(self.wire(proxy).get(b"a"), b"b")


class Logrotate(Case):
    @needs("logrotate")
    def test_each_line_is_in_one_of_two_files(self):
        """As it is shipped, but for the folder, the user, and who is told how."""
        folder = self.enterContext(tempfile.TemporaryDirectory())
        path = f"{folder}/audit.jsonl"
        proxy = self.proxy((), config=f'[audit]\nfile = "{path}"\n[pools.main]\nnodes = ["embedded"]\n')
        text = read("conf", "logrotate")
        told = re.search(r"^ +systemctl kill --kill-whom=main -s USR1 'tokenring\*\.service'.*$", text, re.M)
        user, group = pwd.getpwuid(os.getuid()).pw_name, grp.getgrgid(os.getgid()).gr_name
        text = text.replace(told[0], f"kill -USR1 {proxy.pid}").replace("/var/log/tokenring/audit.jsonl", path)
        self.assertEqual(text.count(" tokenring tokenring\n"), 2)
        text = text.replace(" tokenring tokenring\n", f" {user} {group}\n")
        with open(f"{folder}/conf", "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(file.name, 0o644)
        self.wire(proxy).set(b"before", b"v")
        eventually(lambda: b'"write"' in self.bytes_of(path), what="a line")
        done = run("logrotate", "--force", "--state", f"{folder}/state", file.name)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertTrue(proxy.says("is opened again"))
        self.wire(proxy).set(b"after", b"v")
        eventually(lambda: b'"write"' in self.bytes_of(path), what="a line in the new file")
        self.assertEqual(self.bytes_of(path).count(b'"write"'), 1)
        self.assertEqual(self.bytes_of(f"{path}.1").count(b'"write"'), 1)
        self.assertEqual(os.stat(path).st_mode & 0o777, 0o640)
        # Where there is nothing to rotate that is no trouble.
        os.unlink(path)
        done = run("logrotate", "--force", "--state", f"{folder}/state", file.name)
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    @staticmethod
    def bytes_of(path):
        with open(path, "rb") as file:
            return file.read()


class DebianPackage(Case):
    @needs("dpkg-parsechangelog")
    def test_metadata(self):
        version = re.search(r"version: '(.*)'", read("meson.build"))[1]
        done = run("dpkg-parsechangelog", "-l", f"{CONF}/debian/changelog", "-S", "Version")
        self.assertEqual(done.stdout.strip(), version)
        control = read("conf", "debian", "control")
        needed = re.search(r"^Build-Depends:(.*?)^\S", control, re.M | re.S)[1]
        named = {word.split()[0] for word in needed.split(",")}
        listed = set(re.search(r"^build=\((.*?)^\)", read("conf", "deps.sh"), re.M | re.S)[1].split())
        self.assertEqual(listed - named, {"ccache"}, "Build-Depends lacks these")
        self.assertIn("cp conf/logrotate debian/tokenring.logrotate", read("conf", "debian", "rules"))
        for path in ("rules", "copyright", "source/format", "install"):
            self.assertTrue(os.path.exists(f"{CONF}/debian/{path}"), path)

    @needs("dpkg-deb", "meson")
    def test_what_is_installed(self):
        """Meson's installation of what is built, as a package."""
        self.require_built("src/seal/libtokenring-seal.a", "conf/tokenring.toml.5", "src/app/tokenring")
        folder = self.enterContext(tempfile.TemporaryDirectory())
        done = run("meson", "install", "-C", BUILD, "--no-rebuild", "--destdir", folder)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        prefix = f"{folder}/usr/local"
        unit = read(f"{prefix}/lib/systemd/system/tokenring@.service")
        binary = re.search(r"^ExecStart=(\S+) ", unit, re.M)[1]
        self.assertRegex(run(folder + binary, "--version").stdout, r"^tokenring \d")
        self.assertEqual(read(f"{prefix}/lib/systemd/system/tokenring.service"), unit)
        for path in ("share/man/man1/tokenring.1", "share/man/man5/tokenring.toml.5", "lib/sysusers.d/tokenring.conf",
                     "share/doc/tokenring/RUNBOOK.md", "share/doc/tokenring/examples/shared-tier.toml",
                     "share/doc/tokenring/kubernetes/sidecar.yaml", "share/doc/tokenring/grafana-dashboard.json",
                     "share/doc/tokenring/prometheus-alerts.yml", "share/doc/tokenring/logrotate", "include/tokenring/envelope.hpp"):
            self.assertTrue(os.path.getsize(f"{prefix}/{path}"), path)

    def require_built(self, *targets):
        for target in targets:
            if not os.path.exists(os.path.join(BUILD, target)):
                self.skipTest(f"{target} is not built here")


class Container(Case):
    def setUp(self):
        self.text = read("conf", "Containerfile")

    @needs("ldd", "dpkg-query")
    @unittest.skipIf(SANITIZED, "a sanitizer has libraries of its own")
    def test_it_has_the_libraries(self):
        named = set(re.findall(r"\blib[a-z0-9.+-]+", re.search(r"install -y(.*?)&&", self.text, re.S)[1]))
        owners = set()
        for path in re.findall(r"=> (/\S+)", run("ldd", BINARY).stdout):
            real = os.path.realpath(path)
            # Where /usr is merged, a package may still know the file by its old place.
            found = run("dpkg-query", "-S", real, real.removeprefix("/usr")).stdout.split(":")[0]
            owners.add(found or path)
        self.assertEqual(named - owners, set())
        self.assertEqual(owners - self.with_dependencies(named), set())

    @staticmethod
    def with_dependencies(packages):
        known, new = set(), set(packages)
        while new:
            known |= new
            listed = run("dpkg-query", "-W", "-f", "${Depends},", *new).stdout
            new = {word.split()[0].split(":")[0] for word in listed.split(",") if word.strip()} - known
        return known

    def test_it_copies_what_is_there(self):
        for path in re.findall(r"^COPY (?!--from)(\S+) ", self.text, re.M):
            self.assertTrue(os.path.exists(os.path.join(ROOT, path)), path)
        self.assertIn(f"USER {USER}:{USER}\n", self.text)


class Secret:
    """A Secret's volume as the kubelet makes it: links to files of mode 0440, for a group of the pod."""

    def __init__(self, case, group=None):
        self.path = case.enterContext(tempfile.TemporaryDirectory())
        os.chmod(self.path, 0o755)
        data = f"{self.path}/..2026_11_26"
        os.mkdir(data, 0o755)
        for name, text in (("keys", run(BINARY, "keygen").stdout), ("admin-token", "correct-horse-battery\n")):
            with open(f"{data}/{name}", "w", encoding="utf-8") as file:
                file.write(text)
            os.chown(file.name, -1, group if group is not None else -1)
            os.chmod(file.name, 0o440)
            os.symlink(f"..data/{name}", f"{self.path}/{name}")
        os.symlink("..2026_11_26", f"{self.path}/..data")


class Kubernetes(Case):
    def documents(self, name):
        """{kind: document}"""
        found = {one["kind"]: one for one in yaml.safe_load_all(read("conf", "kubernetes", name))}
        pod = found["Deployment"]["spec"]["template"]
        template = pod["spec"]
        container = next(c for c in template.get("initContainers", []) + template["containers"]
                         if c["name"] == "tokenring")
        return found, pod, container

    def settings(self, found, secret):
        text = found["ConfigMap"]["data"]["tokenring.toml"]
        self.assertIn("/run/secrets/tokenring", text)
        file = self.enterContext(tempfile.NamedTemporaryFile("w", suffix=".toml"))
        file.write(text.replace("/run/secrets/tokenring", secret.path))
        file.flush()
        os.chmod(file.name, 0o644)
        return file.name, text

    def check(self, path, container, secret, **more):
        env = {e["name"]: e["value"].replace("/run/secrets/tokenring", secret.path) for e in container["env"]}
        return run(BINARY, "-c", path, "--check", env={**os.environ, **env}, **more)

    def test_configurations(self):
        for name in ("sidecar.yaml", "shared-tier.yaml"):
            with self.subTest(name):
                root = os.geteuid() == 0
                secret = Secret(self, USER if root else None)
                found, pod, container = self.documents(name)
                path, text = self.settings(found, secret)
                # As the kubelet does it: files of root's, which the pod's group may read.
                other = {"user": USER, "group": USER, "extra_groups": []} if root and self.reachable() else {}
                done = self.check(path, container, secret, **other)
                self.assertEqual((done.returncode, done.stderr), (0, ""))
                without = {**container, "env": [{"name": "CREDENTIALS_DIRECTORY", "value": "/nowhere"}]}
                done = self.check(path, without, secret, **other)
                self.assertEqual(done.returncode, 1)
                self.assertRegex(done.stderr, "lets others in|cannot read")
                for port in container["ports"]:
                    self.assertRegex(text, rf'listen = "[0-9.]+:{port["containerPort"]}"')

    @staticmethod
    def reachable():
        """Whether another user gets to the binary."""
        path = BINARY
        while path != "/":
            if not os.stat(path).st_mode & 1:
                return False
            path = os.path.dirname(path)
        return True

    def test_pods_are_confined(self):
        for name in ("sidecar.yaml", "shared-tier.yaml"):
            with self.subTest(name):
                found, pod, container = self.documents(name)
                spec = pod["spec"]
                self.assertEqual(found["Deployment"]["spec"]["selector"]["matchLabels"], pod["metadata"]["labels"])
                self.assertEqual(container["securityContext"],
                                 {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True,
                                  "capabilities": {"drop": ["ALL"]}})
                self.assertEqual(spec["securityContext"],
                                 {"runAsNonRoot": True, "runAsUser": USER, "runAsGroup": USER, "fsGroup": USER,
                                  "seccompProfile": {"type": "RuntimeDefault"}})
                self.assertIs(spec["automountServiceAccountToken"], False)
                volumes = {v["name"]: v for v in spec["volumes"]}
                self.assertEqual({m["name"] for m in container["volumeMounts"]}, set(volumes))
                self.assertEqual([v["secret"]["defaultMode"] for v in volumes.values() if "secret" in v], [0o400])
                # What a pod has to end must be more than what it takes.
                drain = int(re.search(r'drain_timeout = "(\d+)s"', found["ConfigMap"]["data"]["tokenring.toml"])[1])
                pause = int(container["lifecycle"]["preStop"]["exec"]["command"][1])
                self.assertGreater(spec["terminationGracePeriodSeconds"], pause + drain + 2)
                selected = found["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"]
                self.assertEqual(selected, pod["metadata"]["labels"])
        self.assertEqual(found["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"], selected)
        self.assertEqual(found["Service"]["spec"]["selector"], selected)

    def test_a_pod_is_probed(self):
        """The shared tier's configuration serves, and answers each probe, which shows no token."""
        found, _, container = self.documents("shared-tier.yaml")
        secret = Secret(self)
        path, text = self.settings(found, secret)
        node, admin = self.memcached(), free_port()
        with open(path, encoding="utf-8") as file:
            text = file.read().replace("0.0.0.0:9150", f"0.0.0.0:{admin}").replace(
                '{ address = "memcached:11211", expand = true }', f'"{node.address}"')
        env = {e["name"]: e["value"].replace("/run/secrets/tokenring", secret.path) for e in container["env"]}
        proxy = self.proxy((), config=text, env=env)
        for kind in ("startupProbe", "livenessProbe", "readinessProbe"):
            probe = container[kind]["httpGet"]
            self.assertEqual(probe["port"], "admin")
            eventually(lambda: request(admin, probe["path"])[0] == 200, what=kind)
        wire = self.wire(proxy)
        wire.set(b"auth_token:1", b"v")
        self.assertEqual(wire.get(b"auth_token:1"), b"v")
        proxy.child.send_signal(signal.SIGTERM)
        wire.close()
        self.assertEqual(proxy.wait_for_end(), 0)


if __name__ == "__main__":
    unittest.main()
