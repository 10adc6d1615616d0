"""Who a client is and what it may: logins as memcached -Y has them, rights, keys of one's own."""
import os
import pty
import random
import select
import subprocess
import tempfile
import unittest

from guarded import DENIED, FAILED, UNKNOWN, Access, login, passwd
from harness import BINARY, SLOW, TIMEOUT, Wire, free_port
from sealed import KeyFile

class Logins(Access):
    PIECES = [
        login(b"app", b"secret"), login(b"app", b"Secret"), login(b"nobody", b"secret"), login(b"app", b"old"),
        b"set x 0 0 14\r\napp secret x y\r\n", b"set x 0 0 12\r\n app  secret\r\n", b"set x 1 2 10 noreply\r\napp secret\r\n",
        b"set x a b 10 c d e\r\napp secret\r\n", b"set x 0 0 10\napp secret\r\n", b"set x 0 0 10\r\napp secret\n\n",
        b"set x 0 0 9\r\nappsecret\r\n", b"set x 0 0 0\r\n\r\n", b"set x 0 0 3\r\n   \r\n", b"set x 0 0 5\r\na\0b c\r\n",
        b"set x 0 0\r\n", b"set x 0 0 x\r\n", b"set x 0 0 -1\r\n", b"set x 0 0 5x\r\n", b"add x 0 0 10\r\n", b"SET x 0 0 1\r\n",
        b"get a\r\n", b"gets a b\r\n", b"version\r\n", b"quit\r\n", b"stats\r\n", b"flush_all noreply\r\n", b"mn\r\n", b"mg a v q\r\n",
        b"ms a 1\r\n", b"1\r\n", b"\r\n", b" \r\n", b"set\r\n", b"get \xff\0\r\n", b"verbosity 1\r\n", b"shutdown\r\n", b"delete a\r\n",
        b"me a\r\n", b"set x 0 0 11\r\napp secret\0\r\n", b"GET / HTTP/1.1\r\n", b"watch\r\n", b"incr a 1\r\n",
    ]
    TO_A_CLOSE = [
        b"x" * 3000, b"set x 0 0 16383\r\n" + b"v" * 16383 + b"\r\n", b"set x 0 0 100000\r\n" + b"v" * 100000 + b"\r\n",
        b"get " + b"k " * 2000,
    ]
    USERS = "app:secret\napp:old\r\nother:colon:in\n"

    def setUp(self):
        users = self.file(self.USERS)
        self.peer = self.memcached("-Y", users)
        identity = '[[identities]]\nname = "app"\nuser = ["app", "other"]\nallow = [{ rights = ["read", "write", "delete", "flush", "stats"] }]\n'
        self.ours = self.guarded([self.memcached()], users, identity)

    def both(self, pieces):
        """What each answers, one by one, until it knows the client and has answered a get. Of errors about
        what came at once memcached only sends the last."""
        answers = []
        for server in (self.peer, self.ours):
            with Wire(server.port) as wire:
                answers.append([])
                for piece in pieces:
                    wire.send(piece)
                    answers[-1].append(wire.line())
                if answers[-1][-1] != b"STORED\r\n":
                    wire.send(login(b"other", b"colon:in"))
                    answers[-1].append(wire.line())
                wire.send(b"get no_such_key\r\n")
                answers[-1].append(wire.line())
        return answers

    # Ours refuses who fails too often; whether passwords are right is compared before that.
    def test_what_memcached_answers(self):
        for piece in self.PIECES:
            theirs, ours = self.both([piece])
            self.assertEqual(ours, theirs, piece)
            self.assertEqual(ours[-2:], [b"STORED\r\n", b"END\r\n"], piece)
            if FAILED in ours:
                self.ours.restart()

    def test_streams_of_them(self):
        chance = random.Random(int(os.environ.get("TOKENRING_DIFF_SEED", "1")))
        harmless = [piece for piece in self.PIECES if piece not in self.PIECES[:8]
                    and not piece.startswith((b"set x 0 0 10", b"set x 0 0 5\r", b"set x 0 0 11"))]
        for _ in range(int(60 / SLOW) + 20):
            pieces = [chance.choice(harmless) for _ in range(chance.randrange(1, 12))]
            theirs, ours = self.both(pieces)
            self.assertEqual(ours, theirs, pieces)

    def test_what_closes(self):
        for data in self.TO_A_CLOSE:
            for server in (self.peer, self.ours):
                with Wire(server.port) as wire:
                    try:
                        wire.send(data)
                    except ConnectionError:
                        pass
                    self.assertEqual(wire.until(b"\r\n"), b"", data[:40])

    def test_failures_make_wait_and_no_answer_tells_why(self):
        texts = set()
        wire = self.client(self.ours)
        for user, password in ((b"app", b"x"), (b"nobody", b"x"), (b"other", b"colon")) * 3:
            wire.send(login(user, password))
            texts.add(wire.line())
        self.assertEqual(texts, {FAILED})
        for _ in range(5):
            wire.send(login(b"app", b"secret"))  # Right, but too soon; unless this test was held up.
            if (answer := wire.line()) == FAILED:
                break
            wire = self.client(self.ours)
            wire.send(login(b"app", b"x"))  # From now on the wait is twice as long.
            self.assertEqual(wire.line(), FAILED)
        self.assertEqual(answer, FAILED)
        self.ours.says("access: login refused after too many failed ones (identity -, peer 127.0.0.1:")

    def test_a_right_password_is_not_enough(self):
        hashed = passwd("hashed", "secret")
        users = self.file(f"plain:secret\n{hashed}unnamed:secret\nfree:secret\n")
        far = '[[identities]]\nname = "far"\nuser = ["plain", "hashed"]\nnetworks = ["10.0.0.0/8"]\nallow = [{ rights = ["read"] }]\n'
        near = '[[identities]]\nname = "free"\nallow = [{ rights = ["read", "stats"] }]\n'
        ours = self.guarded([self.memcached()], users, far + near)
        wire = self.client(ours)
        for user in (b"plain", b"hashed", b"unnamed"):
            wire.send(login(user, b"secret") + b"get k\r\n")
            self.assertEqual([wire.line(), wire.line()], [FAILED, UNKNOWN])
        wire.send(login(b"free", b"secret"))
        self.assertEqual(wire.line(), b"STORED\r\n")
        wire.send(b"stats tokenring\r\n")
        stats = wire.until(b"END\r\n")
        self.assertIn(b"STAT auth_cmds 4\r\n", stats)
        self.assertIn(b"STAT auth_errors 3\r\n", stats)

    def test_the_file_is_read_again_and_a_bad_one_changes_nothing(self):
        self.ours.wait_for_control()
        old = self.client(self.ours, b"app", b"secret")
        users = self.ours.users
        for text, mode, why in (("app:new\n\n", 0o600, ":2: is not user:password"), ("", 0o600, "has no user"),
                                ("app:new\n", 0o644, "has mode 0644"), ("app:$1$a$b\n", 0o600, "unknown scheme")):
            self.rewrite(users, text, mode)
            code, _, errors = self.ours.ask("reload")
            self.assertEqual(code, 1)
            self.assertIn(why, errors)
            self.client(self.ours, b"app", b"secret").close()
        self.rewrite(users, "app:new\nlater:pw\n")
        self.assertEqual(self.ours.ask("reload")[0], 0)
        self.client(self.ours, b"app", b"new")
        wire = self.client(self.ours)
        wire.send(login(b"app", b"secret"))
        self.assertEqual(wire.line(), FAILED)
        self.ask(old, b"get a\r\n", b"END\r\n")  # It is still a user.
        self.rewrite(users, "later:pw\n")
        self.assertEqual(self.ours.ask("reload")[0], 0)
        old.send(b"get a\r\n")
        self.assertEqual(old.line(), UNKNOWN)

    def test_a_user_who_is_not_in_the_file_is_a_warning(self):
        def warning(place, user):
            return (f'{self.ours.config_file.name}:{place}: "{user}" of identity "app" is no user of {users}, so nobody '
                    'logs in as it; give one that is\n')
        users = self.ours.users
        self.ours.wait_for_control()
        rights = 'allow = [{ rights = ["read"] }]\n'
        code, answer, _ = self.reconfigure(self.ours, f'[[identities]]\nname = "app"\nuser = ["app", "aap"]\n{rights}')
        self.assertEqual(code, 0)
        self.assertTrue(answer.endswith(warning("8:8: identities[0].user", "aap")), answer)
        self.ours.says(warning("8:8: identities[0].user", "aap").strip())
        self.rewrite(users, "other:pw\n")
        code, answer, _ = self.reconfigure(self.ours, f'[[identities]]\nname = "app"\n{rights}')
        self.assertTrue(answer.endswith(warning("7:8: identities[0].name", "app")), answer)
        done = subprocess.run([BINARY, "-c", self.ours.config_file.name, "--check"], capture_output=True, text=True, check=False)
        self.assertEqual((done.returncode, done.stderr), (0, "warning: " + warning("7:8: identities[0].name", "app")))
        code, answer, _ = self.reconfigure(self.ours, f'[[identities]]\nname = "app"\nuser = "other"\n{rights}')
        self.assertNotIn("is no user", answer)

    def test_salted_hashes(self):
        users = self.file("plain:pw\n" + passwd("slow", "pw1") + passwd("slow", "pw2") + passwd("slower", "pw", 20000))
        more = '[[identities]]\nname = "all"\nuser = ["plain", "slow", "slower"]\nallow = [{ rights = ["read", "write"] }]\n'
        proxy = self.guarded([], users, more)
        for _ in range(2):  # Computed, then remembered.
            for user, password in ((b"plain", b"pw"), (b"slow", b"pw1"), (b"slow", b"pw2"), (b"slower", b"pw")):
                wire = self.client(proxy)
                wire.send(b"version\r\n" + login(user, password) + b"set a 0 0 1\r\nx\r\nget a\r\n")
                self.assertEqual(wire.until(b"END\r\n"),
                                 UNKNOWN + b"STORED\r\nSTORED\r\nVALUE a 0 1\r\nx\r\nEND\r\n")
        for user, password in ((b"slow", b"pw"), (b"nobody", b"pw1")):
            wire = self.client(proxy)
            wire.send(login(user, password) + login(b"plain", b"pw") + b"get a\r\n")
            self.assertEqual(wire.until(b"END\r\n"), FAILED + b"STORED\r\nVALUE a 0 1\r\nx\r\nEND\r\n")

    def test_who_computes_makes_nobody_wait(self):
        users = self.file("plain:pw\n" + passwd("slow", "pw", 300_000))
        more = '[[identities]]\nname = "all"\nuser = ["plain", "slow"]\nallow = [{ rights = ["read"] }]\n'
        proxy = self.guarded([], users, more)
        fast, slow_one, gone = (self.client(proxy) for _ in range(3))
        slow_one.send(login(b"slow", b"pw") + b"get b\r\n")
        gone.send(login(b"slow", b"no"))
        fast.send(login(b"plain", b"pw") + b"get a\r\n")
        self.assertEqual(fast.until(b"END\r\n"), b"STORED\r\nEND\r\n")
        gone.close()
        self.assertEqual(slow_one.until(b"END\r\n"), b"STORED\r\nEND\r\n")


class Passwd(Access):
    def test_a_terminal_shows_nothing_of_it(self):
        try:
            master, slave = pty.openpty()
        except OSError:
            self.skipTest("no terminal can be had: is /dev/pts mounted?")
        self.addCleanup(os.close, master)
        child = subprocess.Popen([BINARY, "passwd", "--iterations", "1000", "app"], stdin=slave, stderr=slave, stdout=subprocess.PIPE)
        shown = b""
        while b"password: " not in shown:
            self.assertTrue(select.select([master], [], [], TIMEOUT)[0], shown)
            shown += os.read(master, 100)
        os.write(master, b"pw\n")
        line = child.communicate(timeout=TIMEOUT)[0].decode()
        os.close(slave)
        try:
            while more := os.read(master, 100):
                shown += more
        except OSError:
            pass  # Its end.
        self.assertEqual((child.returncode, shown.strip()), (0, b"password:"))
        self.client(self.guarded([], self.file(line), '[[identities]]\nname = "app"\n'), b"app")


class Rights(Access):
    # (request, what it needs, a miss, what it is told of a 5 where it may)
    COMMANDS = [
        (b"get %s\r\n", "read", b"END\r\n", b"VALUE %s 0 1\r\n"), (b"gets %s\r\n", "read", b"END\r\n", b"VALUE %s 0 1 "),
        (b"gat 100 %s\r\n", "read write", b"END\r\n", b"VALUE %s 0 1\r\n"),
        (b"touch %s 100\r\n", "write", b"NOT_FOUND\r\n", b"TOUCHED\r\n"), (b"set %s 0 0 1\r\n1\r\n", "write", None, b"STORED\r\n"),
        (b"add %s 0 0 1\r\n1\r\n", "write", None, b"NOT_STORED\r\n"), (b"replace %s 0 0 1\r\n1\r\n", "write", None, b"STORED\r\n"),
        (b"append %s 0 0 1\r\n1\r\n", "write", None, b"STORED\r\n"), (b"prepend %s 0 0 1\r\n1\r\n", "write", None, b"STORED\r\n"),
        (b"cas %s 0 0 1 1\r\n1\r\n", "write", None, b"EXISTS\r\n"), (b"incr %s 1\r\n", "read write", None, b"6\r\n"),
        (b"decr %s 1\r\n", "read write", None, b"4\r\n"), (b"delete %s\r\n", "delete", None, b"DELETED\r\n"),
        (b"mg %s v\r\n", "read", b"EN\r\n", b"VA 1\r\n"), (b"mg %s v T100\r\n", "read write", b"EN\r\n", b"VA 1\r\n"),
        (b"me %s\r\n", "read", b"EN\r\n", b"ME %s exp="), (b"ms %s 1 T100\r\n1\r\n", "write", None, b"HD\r\n"),
        (b"ms %s 1 MA\r\n1\r\n", "write", None, b"HD\r\n"), (b"ma %s\r\n", "write", None, b"HD\r\n"),
        (b"ma %s v\r\n", "read write", None, b"VA 1\r\n"), (b"md %s\r\n", "delete", None, b"HD\r\n"),
        (b"md %s I T30\r\n", "delete", None, b"HD\r\n"),
    ]
    SPACES = {"auth:": b"auth:k", "sess:": b"sess:k", "": b"other"}
    IDENTITIES = {  # name: {prefix: rights}, hide
        "all": ({p: "read write delete" for p in SPACES}, False),
        "reader": ({"auth:": "read", "sess:": "read"}, False),
        "writer": ({"auth:": "write", "": "read write"}, False),
        "cleaner": ({"auth:": "delete", "sess:": "delete", "": "delete"}, True),
        "none": ({}, False),
        "blind": ({"sess:": "read write"}, True),
    }

    def start(self):
        users = self.file("".join(f"{name}:pw\n" for name in self.IDENTITIES))
        more = "".join(f'[[namespaces]]\nprefix = "{prefix}"\n' for prefix in self.SPACES)
        for name, (rights, hides) in self.IDENTITIES.items():
            rows = ", ".join('{ namespaces = ["%s"], rights = ["%s"] }' % (prefix, words.replace(" ", '", "'))
                             for prefix, words in rights.items())
            allow = f"allow = [{rows}]\n" if rows else ""
            more += f'[[identities]]\nname = "{name}"\n{allow}hide = {str(hides).lower()}\n'
        return self.guarded([self.memcached() for _ in range(2)], users, more)

    def test_identity_by_namespace_by_command(self):
        proxy = self.start()
        allowed = refused = 0
        owner = self.client(proxy, b"all")
        for name, (rights, hides) in self.IDENTITIES.items():
            client = self.client(proxy, name.encode())
            for prefix, key in self.SPACES.items():
                for form, needed, miss, told in self.COMMANDS:
                    owner.set(key, b"5")
                    reply = client.command(form % key)
                    with self.subTest(name=name, request=form % key):
                        if set(needed.split()) <= set(rights.get(prefix, "").split()):
                            allowed += 1
                            self.assertTrue(reply.startswith(told.replace(b"%s", key)), reply)
                        else:
                            refused += 1
                            self.assertEqual(reply, miss if hides and miss else DENIED)
                            self.assertEqual(owner.get(key), b"5")
        self.assertGreater(refused, 200)
        self.assertGreater(allowed, 100)
        stats = owner.command(b"stats\r\n")
        self.assertEqual(stats, DENIED)
        proxy.says("access: access denied (identity ")

    def test_quiet_ones_and_several_keys(self):
        proxy = self.start()
        owner, reader, blind = (self.client(proxy, name) for name in (b"all", b"reader", b"blind"))
        for key in self.SPACES.values():
            owner.set(key, b"5")
        self.ask(reader, b"get auth:k sess:k\r\n", b"VALUE auth:k 0 1\r\n5\r\nVALUE sess:k 0 1\r\n5\r\nEND\r\n")
        self.ask(reader, b"get auth:k other sess:k\r\n", DENIED)
        self.ask(reader, b"set auth:k 0 0 1 noreply\r\nx\r\n", b"")
        self.ask(reader, b"mg other v q\r\nmg auth:k v q\r\n", DENIED + b"VA 1\r\n5\r\n")
        self.ask(blind, b"get auth:k sess:k other\r\n", b"VALUE sess:k 0 1\r\n5\r\nEND\r\n")
        self.ask(blind, b"mg auth:k v q\r\nmg sess:k v q\r\n", b"VA 1\r\n5\r\n")
        many = b" ".join([b"sess:%d" % n for n in range(3000)])
        self.ask(blind, b"get %s auth:k sess:k\r\n" % many, b"VALUE sess:k 0 1\r\n5\r\nEND\r\n")
        self.ask(reader, b"get %s sess:k other\r\n" % many, DENIED)
        big = b"set auth:big 0 0 300000\r\n" + b"x" * 300000 + b"\r\n"
        self.ask(reader, big + b"get auth:k\r\n", DENIED + b"VALUE auth:k 0 1\r\n5\r\nEND\r\n")

    def test_flush_and_stats(self):
        users = self.file("ops:pw\napp:pw\nwatch:pw\n")
        rows = {"ops": '{ rights = ["flush", "stats"] }', "app": '{ rights = ["read", "write"] }',
                "watch": '{ namespaces = ["a:"], rights = ["stats"] }'}
        more = '[[namespaces]]\nprefix = "a:"\n[[namespaces]]\nprefix = "b:"\n'
        more += "".join(f'[[identities]]\nname = "{name}"\nallow = [{row}]\n' for name, row in rows.items())
        proxy = self.guarded([self.memcached()], users, more)
        ops, app, watch = (self.client(proxy, name) for name in (b"ops", b"app", b"watch"))
        app.set(b"a:1", b"x")
        for client in (app, watch):
            self.ask(client, b"flush_all\r\n", DENIED)
            self.ask(client, b"stats\r\n", DENIED)
            self.ask(client, b"stats reset\r\n", DENIED)
        self.assertEqual(app.get(b"a:1"), b"x")
        self.ask(ops, b"get a:1\r\n", DENIED)
        self.ask(app, b"stats namespaces\r\n", DENIED)
        seen = watch.command(b"stats namespaces\r\n")
        self.assertIn(b"STAT a::cmd_set 1\r\n", seen)
        self.assertNotIn(b"b::", seen)
        self.assertIn(b"STAT auth_cmds 3\r\n", ops.command(b"stats tokenring\r\n"))
        self.ask(ops, b"flush_all\r\n", b"OK\r\n")
        self.assertIsNone(app.get(b"a:1"))


class Keys(Access):
    def start(self, more="", users="one:pw\ntwo:pw\nshared:pw\n", nodes=2):
        rows = 'allow = [{ rights = ["read", "write", "delete"] }]\n'
        more += "".join(f'[[identities]]\nname = "{name}"\n{"isolate = true" if name != "shared" else ""}\n{rows}'
                        for name in ("one", "two", "shared"))
        return self.guarded([self.memcached() for _ in range(nodes)], self.file(users), more)

    def test_keys_of_two_services_never_meet(self):
        proxy = self.start('[[namespaces]]\nprefix = "s:"\nttl_cap = "1h"\n'
                           '[[namespaces]]\nprefix = "s:"\nidentity = "two"\nttl_cap = "1m"\n')
        one, two, shared = (self.client(proxy, name) for name in (b"one", b"two", b"shared"))
        for n in range(40):
            for client, value in ((one, b"1"), (two, b"2"), (shared, b"3")):
                client.set(b"s:%d" % n, value)
        for n in range(40):
            self.assertEqual([c.get(b"s:%d" % n) for c in (one, two, shared)], [b"1", b"2", b"3"])
        self.ask(one, b"delete s:1\r\n", b"DELETED\r\n")
        self.assertEqual([c.get(b"s:1") for c in (one, two, shared)], [None, b"2", b"3"])
        self.assertLessEqual(int(two.command(b"mg s:2 t\r\n").split(b"t")[1]), 60)
        self.assertGreater(int(one.command(b"mg s:2 t\r\n").split(b"t")[1]), 60)
        self.ask(shared, b"get one/s:2\r\n", DENIED)
        nodes = [self.wire(node) for node in proxy.nodes]
        for name in (b"one/s:2", b"two/s:2", b"s:2"):
            self.assertEqual(sum(node.get(name) is not None for node in nodes), 1, name)

    def test_sealed_values_differ_and_do_not_open_for_others(self):
        keys = KeyFile()
        proxy = self.start(f'[keys]\nfile = "{keys.path}"\n[[namespaces]]\nprefix = "s:"\nseal = "require"\n', nodes=1)
        one, two = (self.client(proxy, name) for name in (b"one", b"two"))
        node = self.wire(proxy.nodes[0])
        one.set(b"s:k", b"secret")
        sealed = node.get(b"one/s:k")
        self.assertNotIn(b"secret", sealed)
        opened = subprocess.run([BINARY, "open", "--keys", keys.path, "--namespace", "one/s:", "--key", "s:k"], input=sealed,
                                capture_output=True, check=False)
        self.assertEqual((opened.returncode, opened.stdout), (0, b"secret"))
        node.set(b"two/s:k", sealed)
        self.assertIsNone(two.get(b"s:k"))
        self.assertEqual(one.get(b"s:k"), b"secret")
        self.assertEqual(one.command(b"incr s:n 1\r\n"), b"NOT_FOUND\r\n")
        one.set(b"s:n", b"1")
        self.assertEqual(one.command(b"incr s:n 4\r\n"), b"5\r\n")

    def test_who_is_gone_loses_what_it_had_at_once(self):
        proxy = self.start()
        proxy.wait_for_control()
        one, shared = self.client(proxy, b"one"), self.client(proxy, b"shared")
        one.set(b"k", b"1")
        code, _, errors = self.reconfigure(
            proxy, '[[identities]]\nname = "shared"\nallow = [{ rights = ["read"] }]\n')
        self.assertEqual((code, errors), (0, ""))
        self.ask(one, b"get k\r\n", DENIED)
        self.ask(shared, b"set k 0 0 1\r\nx\r\n", DENIED)
        self.ask(shared, b"get k\r\n", b"END\r\n")


class LongKeys(Access):
    """A key may be too long here that memcached takes; what stands behind its line is a value all the same."""
    VALUE = b"x\r\ndelete victim\r\nset victim 0 0 4\r\nevil\r\n"
    FORMS = (b"set %s 0 0 %d\r\n%s\r\n", b"cas %s 0 0 %d 1\r\n%s\r\n", b"ms %s %d T0\r\n%s\r\n", b"ms %s %d q\r\n%s\r\n")

    def check(self, client, key):
        client.set(b"victim", b"v")
        for form in self.FORMS:
            self.ask(client, form % (key, len(self.VALUE), self.VALUE), b"CLIENT_ERROR bad command line format\r\n")
        self.ask(client, b"set %s 0 0 %d noreply\r\n%s\r\n" % (key, len(self.VALUE), self.VALUE), b"")
        self.ask(client, b"get %s\r\n" % key, b"CLIENT_ERROR bad command line format\r\n")
        self.assertEqual(client.get(b"victim"), b"v")

    def test_of_an_identity(self):
        more = '[[identities]]\nname = "a"\nisolate = true\nallow = [{ rights = ["read", "write", "delete"] }]\n'
        client = self.client(self.guarded([self.memcached()], self.file("a:pw\n"), more), b"a")
        client.set(b"k" * 248, b"fits")
        self.check(client, b"k" * 249)

    def test_beside_a_namespace_that_hides_them(self):
        keys = KeyFile()
        more = f'[keys]\nfile = "{keys.path}"\n[pools.main]\nnodes = ["{self.memcached().address}"]\n[[namespaces]]\n' \
               'prefix = ""\n[[namespaces]]\nprefix = "s:"\nseal = "require"\nblind_keys = true\n'
        client = self.client(self.proxy(config=more))
        client.set(b"s:" + b"k" * 1000, b"fits")
        self.check(client, b"k" * 251)


class Recognised(Access):
    def test_networks_and_users_of_this_host(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        path = f"{folder.name}/s"
        port = free_port()
        config = f'''listen = [{{ address = "127.0.0.1:{port}", identify = true }}, {{ address = "unix:{path}", identify = true }}]
[[identities]]
name = "near"
networks = ["127.0.0.0/8"]
allow = [{{ rights = ["read", "write"] }}]
[[identities]]
name = "host"
uid = {os.getuid()}
allow = [{{ rights = ["read"] }}]
'''
        proxy = self.proxy((), "--listen", f"unix:{path}", config=config, port=port)
        near = self.client(proxy)
        self.ask(near, b"set a 0 0 1\r\nx\r\n", b"STORED\r\n")
        with Wire(path) as host:
            self.ask(host, b"get a\r\n", b"VALUE a 0 1\r\nx\r\nEND\r\n")
            self.ask(host, b"delete a\r\n", DENIED)
        proxy.wait_for_control()
        proxy.configure(config.replace("127.0.0.0/8", "10.0.0.0/8").replace(f"uid = {os.getuid()}", "uid = 4242"))
        self.assertEqual(proxy.ask("reload")[0], 0)
        near.send(b"get a\r\n")
        self.assertEqual(near.line(), UNKNOWN)
        proxy.says("access: no longer known (identity -, peer 127.0.0.1:")

    def test_a_plain_address_stays_open(self):
        plain, port = free_port(), free_port()
        config = f'''listen = ["127.0.0.1:{plain}", {{ address = "127.0.0.1:{port}", identify = true }}]
[[identities]]
name = "far"
networks = ["10.0.0.0/8"]
isolate = true
'''
        proxy = self.proxy((), "--listen", f"127.0.0.1:{plain}", config=config, port=port)
        with Wire(plain) as wire:
            self.ask(wire, b"set a 0 0 1\r\nx\r\nget a\r\n", b"STORED\r\nVALUE a 0 1\r\nx\r\nEND\r\n")
            self.ask(wire, b"get a far/a\r\n", b"VALUE a 0 1\r\nx\r\nEND\r\n")
            self.ask(wire, b"set far/a 0 0 1\r\nx\r\n", DENIED)
        wire = self.client(proxy)
        wire.send(b"get a\r\n")
        self.assertEqual(wire.line(), UNKNOWN)
        done = subprocess.run([BINARY, "-c", proxy.config_file.name, "--listen", "127.0.0.1:1", "--check"],
                              capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("--listen: 127.0.0.1:1 is not in", done.stderr)


if __name__ == "__main__":
    unittest.main()
