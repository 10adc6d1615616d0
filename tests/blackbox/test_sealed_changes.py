"""Sealed values that are changed in place: beside a plain memcached, and by many at once."""
import concurrent.futures
import re
import time
import unittest

from harness import SLOW, TIMEOUT, Wire, eventually
from sealed import SPACE, SealedCase

TOO_MANY = b"SERVER_ERROR too many concurrent changes of this item\r\n"
CAS = re.compile(rb"(?<= c)\d+")
LEFT = re.compile(rb"(?<= t)\d+")


class BesideMemcached(SealedCase):
    """Each script is answered as by a plain memcached; CAS numbers are named by their order, and what is
    left of a life differs by no more than two clocks do that tick once a second."""

    def setUp(self):
        super().setUp()
        self.proxied = self.wire(self.sealed([self.memcached()]))
        self.plain = self.wire(self.memcached())

    def both(self, *script):
        shown, start = {}, time.monotonic()
        for step in script:
            answers, lives = [], []
            for wire in (self.plain, self.proxied):
                names = shown.setdefault(wire, [])
                reply = wire.command(re.sub(rb"@(\d)", lambda m: names[int(m[1])], step))  # noqa: B023
                for number in CAS.findall(reply):
                    if number not in names:
                        names.append(number)
                lives.append([int(left) for left in LEFT.findall(reply)])
                answers.append(LEFT.sub(b"#", CAS.sub(lambda m: b"#%d" % names.index(m[0]), reply)))  # noqa: B023
            self.assertEqual(answers[1], answers[0], f"after {step!r}")
            for left, expected in zip(lives[1], lives[0]):
                self.assertLessEqual(abs(left - expected), 1 + time.monotonic() - start, f"after {step!r}")

    def test_text_changes(self):
        self.both(b"append sess:a 0 0 1\r\nx\r\nprepend sess:a 0 0 1\r\nx\r\nincr sess:a 1\r\ndecr sess:a 1\r\n",
                  b"set sess:a 9 100 2\r\nbb\r\nappend sess:a 5 7 2\r\ncc\r\nprepend sess:a 0 0 2\r\naa\r\n",
                  b"get sess:a\r\nmg sess:a v f s t\r\n", b"incr sess:a 1\r\ndecr sess:a 1\r\n",
                  b"append sess:a 0 0 0\r\n\r\nget sess:a\r\n",
                  b"set sess:n 3 0 1\r\n9\r\nincr sess:n 1\r\nget sess:n\r\nincr sess:n 18446744073709551615\r\n",
                  b"set sess:n 3 0 2\r\n12\r\ndecr sess:n 2\r\nincr sess:n 5\r\nmg sess:n f t v\r\n",
                  b"set sess:n 0 0 1\r\n5\r\ndecr sess:n 9\r\nget sess:n\r\n", b"incr sess:n x\r\nincr sess:n\r\n",
                  b"set sess:n 0 0 20\r\n18446744073709551615\r\nincr sess:n 1\r\n",
                  b"incr sess:none 1 noreply\r\nappend sess:none 0 0 1 noreply\r\nx\r\nmn\r\n")

    def test_every_flag_of_ma(self):
        self.both(b"ma sess:n\r\nma sess:n v\r\nma sess:n N0 J13 v t c\r\n", b"ma sess:n v t c D5\r\n",
                  b"ma sess:n MD D3 v\r\nma sess:n M- v\r\nma sess:n MI v k Oabc\r\nma sess:n M+ q\r\nma sess:n v q\r\n",
                  b"ma sess:n T100 t v\r\nmg sess:n t v\r\n", b"ma sess:n C1 v\r\nmg sess:n c\r\n",
                  b"ma sess:n C@2 v c\r\nma sess:n C@2 v\r\n", b"ma c2VzczpiNjQ= b N60 J7 v k t\r\n",
                  b"mg sess:b64 v\r\nma c2VzczpiNjQ= b v k\r\n", b"ma sess:q N0 q v\r\nma sess:q q v\r\nma sess:q q\r\n",
                  b"set sess:w 0 0 1\r\nx\r\nma sess:w v\r\nma sess:w q v\r\nma sess:w MQ\r\nma sess:w Dx\r\n",
                  b"ma sess:zero N-1 J3 v\r\nmg sess:zero v\r\n", b"ma sess:t1 k t N60\r\nma sess:t2 N60 T0 t\r\nmg sess:t2 t\r\n",
                  b"ma sess:t3 N0 t T60 t\r\nma sess:t3 t T90 v\r\nma sess:t3 T0 t\r\nmg sess:t3 t v\r\n")

    def test_the_last_of_n_and_t_counts_where_ma_creates(self):
        for number, flags in enumerate((b"T0 N60 t", b"N60 T0 t", b"T90 N60 t", b"N60 T90 t", b"t N60 T90",
                                        b"N60 t T90", b"T90 t N60", b"t T90 N0", b"N0 T90", b"T-1 N60", b"N60 T-1")):
            self.both(b"ma sess:o%d %s\r\nmg sess:o%d t v\r\n" % (number, flags, number))

    def test_flags_of_changes_that_fail(self):
        self.both(b"ma sess:f v t c k Oo\r\nms sess:f 1 MA c k Oo\r\nx\r\nset sess:f 0 0 1\r\n5\r\n",
                  b"ma sess:f C1 v t c k Oo\r\nms sess:f 1 MP C1 c k Oo\r\nx\r\nmg sess:f v\r\n",
                  b"ma sess:f C1 q v\r\nma sess:f q\r\nms sess:f 1 C1 q c\r\nx\r\nms sess:f 1 c s t k\r\nx\r\n")

    def test_the_cas_of_changes(self):
        self.both(b"set sess:a 0 0 1\r\n1\r\nms sess:a 1 MA c C5\r\nx\r\nms sess:a 1 MP C0\r\n2\r\nmg sess:a v\r\n",
                  b"ma sess:a C0 v\r\nms sess:a 1 c C0\r\nx\r\nms sess:none 1 c C0\r\nx\r\nma sess:none C5 v\r\n",
                  b"set sess:z 0 0 0\r\n\r\nma sess:z C99\r\nma sess:z C99 N0 v\r\nset sess:y 0 0 1\r\nx\r\nma sess:y C99\r\n",
                  b"ma sess:new C99 N0 J4 v\r\nma sess:new C99 N0 J4 v\r\n")

    def test_newer_nodes_tell_sizes(self):
        wire = self.wire(self.sealed(["embedded"]))
        self.ask(wire, b"ms sess:z 5 s k\r\nvalue\r\nms sess:z 2 MA s\r\n++\r\nms sess:z 1 ME s\r\nx\r\n",
                 b"HD s5 ksess:z\r\nHD s7\r\nNS s1\r\n")

    def test_meta_append_and_prepend(self):
        self.both(b"ms sess:m 1 MA\r\nx\r\nms sess:m 1 MP c k Oo\r\nx\r\n",
                  b"ms sess:m 2 F7 T100\r\nbb\r\nms sess:m 2 MA c\r\ncc\r\nmg sess:m v f t c\r\n",
                  b"ms sess:m 2 MP k Oo C@1\r\naa\r\nmg sess:m v c\r\n", b"ms sess:m 2 MA C1 k\r\nzz\r\nmg sess:m v c\r\n",
                  b"ms sess:m 1 MA q\r\n!\r\nms sess:none 1 MA q\r\n!\r\nmg sess:m v s f\r\n")

    def test_cas_and_touch(self):
        self.both(b"ms sess:k 3 F5 T50 c\r\none\r\nmg sess:k v c\r\n", b"ms sess:k 3 C@0 c\r\ntwo\r\nms sess:k 3 C@0\r\nxxx\r\n",
                  b"mg sess:k v f t c\r\ngat 90 sess:k\r\nmg sess:k t\r\ntouch sess:k 0\r\nmg sess:k t s\r\n",
                  b"touch sess:none 5\r\ngat 5 sess:none sess:k\r\nmg sess:k T30 t v\r\n",
                  b"add sess:k 0 0 1\r\nx\r\nreplace sess:k 2 0 3\r\nnew\r\nget sess:k\r\nreplace sess:no 0 0 1\r\nx\r\n",
                  b"cas sess:no 0 0 1 5\r\nx\r\ncas sess:k 0 0 1 5\r\nx\r\ndelete sess:k\r\ndelete sess:k\r\n",
                  b"add sess:k 8 0 0\r\n\r\nget sess:k\r\nmg sess:k s v f\r\nms sess:k 0 MP\r\n\r\nmg sess:k k v Oq\r\n")

    def test_stale_and_win_flags(self):
        self.both(b"ms sess:s 3 F4 T100\r\nold\r\nmd sess:s I T30\r\n", b"mg sess:s v f t c\r\n", b"mg sess:s v s\r\n",
                  b"ms sess:s 3 C@0 I T90 F4 c\r\nnew\r\nmg sess:s v\r\n", b"ms sess:s 4 T90\r\nnew2\r\nmg sess:s v t\r\n",
                  b"mg sess:lease v N30 t f s\r\nmg sess:lease v f s t\r\nmg sess:lease N30 v\r\nmg sess:lease k\r\n",
                  b"ms sess:lease 6\r\nfilled\r\nmg sess:lease v N30\r\n", b"mg sess:r v R30 N30\r\nmg sess:r v q\r\n",
                  b"ms sess:r 1 T20\r\nx\r\nmg sess:r R30 v t\r\nmg sess:r R30 v t\r\n")

    def test_the_stub_of_a_lease_is_no_value_to_a_text_get(self):
        self.ask(self.proxied, b"mg sess:x v N30\r\nget sess:x\r\nadd sess:x 0 0 1\r\nx\r\nappend sess:x 0 0 1\r\ny\r\n",
                 b"VA 0 W\r\n\r\nEND\r\nNOT_STORED\r\nSTORED\r\n")
        self.ask(self.proxied, b"get sess:x\r\n", b"VALUE sess:x 0 1\r\ny\r\nEND\r\n")

    def test_arithmetic_can_be_refused(self):
        wire = self.wire(self.sealed([self.memcached()], rules='seal = "require"\narithmetic = false\n'))
        wire.set(b"sess:n", b"1")
        refused = b"CLIENT_ERROR sealed values cannot be changed in place here\r\n"
        for change in (b"incr sess:n 1\r\n", b"append sess:n 0 0 1\r\nx\r\n", b"ma sess:n v\r\n", b"ms sess:n 1 MA\r\nx\r\n"):
            self.ask(wire, change, refused)
        self.assertEqual(wire.get(b"sess:n"), b"1")


class ManyAtOnce(SealedCase):
    CLIENTS, ROUNDS = 8, 60

    def test_no_update_is_lost(self):
        nodes = [self.memcached() for _ in range(2)]
        proxies = [self.sealed(nodes, "--workers", "2") for _ in range(2)]
        with Wire(proxies[0].port) as wire:
            wire.set(SPACE + b"log", b"|", exptime=1000, flags=6)
            for number in range(3):
                wire.set(SPACE + b"n%d" % number, b"0")

        def until_done(wire, command, good):
            for _ in range(1000):
                reply = wire.command(command)
                if reply != TOO_MANY:
                    break
            self.assertRegex(reply, good)

        def client(number):
            with Wire(proxies[number % 2].port) as wire:
                for i in range(self.ROUNDS):
                    word = b"%d.%d|" % (number, i)
                    until_done(wire, b"append %slog 0 0 %d\r\n%s\r\n" % (SPACE, len(word), word), rb"^STORED\r\n$")
                    until_done(wire, b"incr %sn%d 3\r\n" % (SPACE, i % 3), rb"^\d+\r\n$")
                    until_done(wire, b"ma %snew N0 J1 v\r\n" % SPACE, rb"^VA \d+\r\n\d+\r\n$")

        with concurrent.futures.ThreadPoolExecutor(self.CLIENTS) as pool:
            for done in [pool.submit(client, n) for n in range(self.CLIENTS)]:
                done.result(60 * TIMEOUT)
        total = self.CLIENTS * self.ROUNDS
        for proxy in proxies:
            with Wire(proxy.port) as wire:
                log = wire.get(SPACE + b"log")
                words = sorted(log.strip(b"|").split(b"|"))
                self.assertEqual(words, sorted(b"%d.%d" % (n, i) for n in range(self.CLIENTS)
                                               for i in range(self.ROUNDS)))
                numbers = [int(wire.get(SPACE + b"n%d" % n)) for n in range(3)]
                self.assertEqual(sum(numbers), 3 * total)
                self.assertEqual(int(wire.get(SPACE + b"new")), total)
                left = re.fullmatch(rb"HD f6 t(\d+)\r\n", wire.command(b"mg %slog f t\r\n" % SPACE))
                self.assertTrue(left and 700 < int(left[1]) <= 1001, left)

    def test_what_a_client_sends_behind_its_change_sees_it(self):
        wire = self.wire(self.sealed([self.memcached()]))
        wire.set(SPACE + b"a", b"")
        wire.set(SPACE + b"n", b"0")
        script, expected = b"", b""
        for number in range(1, 40):
            script += b"append sess:a 0 0 1\r\nx\r\nget sess:a\r\nincr sess:n 2 noreply\r\nmg sess:n v\r\n"
            expected += b"STORED\r\nVALUE sess:a 0 %d\r\n%s\r\nEND\r\n" % (number, b"x" * number)
            expected += b"VA %d\r\n%d\r\n" % (len(b"%d" % (2 * number)), 2 * number)
        self.ask(wire, script, expected)

    def test_a_node_that_goes_away_in_the_middle(self):
        node = self.memcached()
        wire = self.wire(self.sealed([node], pool=f'request_timeout = "{int(500 * SLOW)}ms"'))
        wire.set(SPACE + b"n", b"5")
        node.freeze()
        wire.send(b"incr sess:n 1\r\nappend sess:n 0 0 1\r\n1\r\n")
        self.assertRegex(wire.line(), rb"^SERVER_ERROR ")
        self.assertRegex(wire.line(), rb"^SERVER_ERROR ")
        node.thaw()
        eventually(lambda: wire.get(SPACE + b"n") is not None, what="the node is back")
        # The reads had been sent, and no write: nothing is done when a client was told of an error.
        self.assertEqual(wire.get(SPACE + b"n"), b"5")
        self.ask(wire, b"incr sess:n 1\r\n", b"6\r\n")


if __name__ == "__main__":
    unittest.main()
