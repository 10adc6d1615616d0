"""The text protocol, byte for byte. Every expectation is also held against a plain memcached."""
import re
import time
import unittest

from harness import Case, slow

LONG_KEY = b"k" * 251
TOO_LARGE = b"SERVER_ERROR object too large for cache\r\n"
BAD_FORMAT = b"CLIENT_ERROR bad command line format\r\n"
BAD_CHUNK = b"CLIENT_ERROR bad data chunk\r\n"


class Text:
    """REQUIRES: the class that mixes this in has start() -> the server under test."""

    def setUp(self):
        self.server = self.start()
        self.client = self.wire(self.server)

    def says(self, data, expected):
        return self.ask(self.client, data, expected)

    def test_set_and_get(self):
        self.says(b"set a 5 0 3\r\nabc\r\n", b"STORED\r\n")
        self.says(b"get a\r\n", b"VALUE a 5 3\r\nabc\r\nEND\r\n")
        self.says(b"get b\r\n", b"END\r\n")

    def test_empty_and_binary_values(self):
        blob = bytes(range(256)) * 40
        self.says(b"set e 0 0 0\r\n\r\n", b"STORED\r\n")
        self.says(b"get e\r\n", b"VALUE e 0 0\r\n\r\nEND\r\n")
        self.says(b"set b 4294967295 0 %d\r\n%s\r\n" % (len(blob), blob), b"STORED\r\n")
        self.says(b"get b\r\n", b"VALUE b 4294967295 %d\r\n%s\r\nEND\r\n" % (len(blob), blob))
        self.says(b"set n 0 0 8\r\nEND\r\nab\n\r\n", b"STORED\r\n")
        self.says(b"get n\r\n", b"VALUE n 0 8\r\nEND\r\nab\n\r\nEND\r\n")

    def test_multi_get_keeps_the_order_asked(self):
        for key in b"abcdefgh":
            self.says(b"set %c 0 0 1\r\n%c\r\n" % (key, key), b"STORED\r\n")
        values = b"".join(b"VALUE %c 0 1\r\n%c\r\n" % (k, k) for k in b"hgabcd")
        self.says(b"get h g x a b nope c d\r\n", values + b"END\r\n")
        self.says(b"get a a\r\n", b"VALUE a 0 1\r\na\r\nVALUE a 0 1\r\na\r\nEND\r\n")

    def test_multi_get_of_many_keys(self):
        keys = [b"many:%d" % n for n in range(300)]
        for key in keys:
            self.client.set(key, key)
        values = b"".join(b"VALUE %s 0 %d\r\n%s\r\n" % (k, len(k), k) for k in keys)
        self.says(b"get " + b" ".join(keys) + b"\r\n", values + b"END\r\n")

    def test_add_replace_append_prepend(self):
        self.says(b"replace a 0 0 1\r\nx\r\n", b"NOT_STORED\r\n")
        self.says(b"append a 0 0 1\r\nx\r\n", b"NOT_STORED\r\n")
        self.says(b"add a 1 0 2\r\nbc\r\n", b"STORED\r\n")
        self.says(b"add a 1 0 2\r\nzz\r\n", b"NOT_STORED\r\n")
        self.says(b"append a 9 0 1\r\nd\r\n", b"STORED\r\n")
        self.says(b"prepend a 9 0 1\r\na\r\n", b"STORED\r\n")
        self.says(b"get a\r\n", b"VALUE a 1 4\r\nabcd\r\nEND\r\n")
        self.says(b"replace a 3 0 1\r\nr\r\n", b"STORED\r\n")
        self.says(b"get a\r\n", b"VALUE a 3 1\r\nr\r\nEND\r\n")

    def test_cas(self):
        self.says(b"cas a 0 0 1 77\r\nx\r\n", b"NOT_FOUND\r\n")
        self.client.set(b"a", b"1")
        reply = self.says(b"gets a nope\r\n", re.compile(rb"VALUE a 0 1 \d+\r\n1\r\nEND\r\n"))
        number = int(reply.split()[4])
        self.says(b"cas a 0 0 1 %d\r\n2\r\n" % (number + 100), b"EXISTS\r\n")
        self.says(b"cas a 0 0 1 %d\r\n2\r\n" % number, b"STORED\r\n")
        self.says(b"cas a 0 0 1 %d\r\n3\r\n" % number, b"EXISTS\r\n")
        self.says(b"get a\r\n", b"VALUE a 0 1\r\n2\r\nEND\r\n")

    def test_delete(self):
        self.client.set(b"a", b"1")
        self.says(b"delete a\r\n", b"DELETED\r\n")
        self.says(b"delete a\r\n", b"NOT_FOUND\r\n")
        self.says(b"delete a 0\r\n", b"NOT_FOUND\r\n")
        self.says(b"delete a 5\r\n", BAD_FORMAT.replace(b"format", b"format.  Usage: delete <key> [noreply]"))

    def test_arithmetic(self):
        self.says(b"incr n 1\r\n", b"NOT_FOUND\r\n")
        self.client.set(b"n", b"10")
        self.says(b"incr n 5\r\n", b"15\r\n")
        self.says(b"decr n 20\r\n", b"0\r\n")
        self.client.set(b"n", b"18446744073709551615")
        self.says(b"incr n 2\r\n", b"1\r\n")
        self.says(b"get n\r\n", re.compile(rb"VALUE n 0 \d+\r\n1 *\r\nEND\r\n"))
        self.says(b"incr n abc\r\n", b"CLIENT_ERROR invalid numeric delta argument\r\n")
        self.client.set(b"w", b"word")
        self.says(b"incr w 1\r\n", b"CLIENT_ERROR cannot increment or decrement non-numeric value\r\n")

    def test_touch_and_gat(self):
        self.says(b"touch a 10\r\n", b"NOT_FOUND\r\n")
        self.client.set(b"a", b"1", exptime=100)
        self.client.set(b"b", b"2", exptime=100)
        self.says(b"touch a 2000\r\n", b"TOUCHED\r\n")
        self.says(b"gat 3000 b nope a\r\n", b"VALUE b 0 1\r\n2\r\nVALUE a 0 1\r\n1\r\nEND\r\n")
        self.says(b"mg a t\r\n", re.compile(rb"HD t(3000|2999|2998)\r\n"))
        self.says(b"gats 100 a\r\n", re.compile(rb"VALUE a 0 1 \d+\r\n1\r\nEND\r\n"))
        self.says(b"touch a -1\r\n", b"TOUCHED\r\n")
        self.says(b"get a\r\n", b"END\r\n")
        self.says(b"touch a soon\r\n", b"CLIENT_ERROR invalid exptime argument\r\n")

    def test_exptime_forms(self):
        now = int(time.time())
        for exptime, expected in ((0, rb"HD t-1\r\n"), (100, rb"HD t(100|99|98)\r\n"), (-1, rb"EN\r\n"),
                                  (2592000, rb"HD t25\d{5}\r\n"), (now + 500, rb"HD t(50[01]|49\d)\r\n"),
                                  (2592001, rb"EN\r\n")):
            with self.subTest(exptime=exptime):
                self.client.set(b"x", b"1", exptime=exptime)
                self.says(b"mg x t\r\n", re.compile(expected))

    @slow
    def test_items_expire(self):
        self.client.set(b"a", b"1", exptime=1)
        time.sleep(2.2)
        self.says(b"get a\r\n", b"END\r\n")

    def test_noreply_is_silent(self):
        self.says(b"set a 0 0 1 noreply\r\n1\r\nadd a 0 0 1 noreply\r\n2\r\nincr a 4 noreply\r\n"
                  b"append a 0 0 1 noreply\r\n0\r\ntouch a 100 noreply\r\n", b"")
        self.says(b"get a\r\n", b"VALUE a 0 2\r\n50\r\nEND\r\n")
        self.says(b"delete a noreply\r\ndelete a noreply\r\nincr a 1 noreply\r\n", b"")
        self.says(b"get a\r\n", b"END\r\n")

    def test_flush_all(self):
        keys = [b"f%d" % n for n in range(20)]
        for key in keys:
            self.client.set(key, b"x")
        self.says(b"flush_all\r\n", b"OK\r\n")
        self.says(b"get " + b" ".join(keys) + b"\r\n", b"END\r\n")
        self.says(b"flush_all noreply\r\n", b"")
        self.says(b"flush_all 0\r\n", b"OK\r\n")
        self.says(b"flush_all abc\r\n", b"CLIENT_ERROR invalid exptime argument\r\n")

    def test_unknown_and_malformed_commands_keep_the_connection(self):
        for data in (b"bogus\r\n", b"\r\n", b"get\r\n", b"set a 0 0\r\n", b"GET a\r\n", b"touch a\r\n"):
            with self.subTest(data):
                self.says(data, b"ERROR\r\n")
        self.says(b"incr a\r\n", b"ERROR\r\n")

    def test_bad_numbers_in_a_set(self):
        self.says(b"set a abc 0 1\r\n", BAD_FORMAT)
        self.says(b"set a -1 0 1\r\n", BAD_FORMAT)
        self.says(b"set a 0 0 -1\r\n", BAD_FORMAT)
        self.says(b"cas a 0 0 1 x\r\n", BAD_FORMAT)

    def test_long_keys(self):
        self.client.set(LONG_KEY[:250], b"fits")
        self.says(b"get %s\r\n" % LONG_KEY[:250], b"VALUE %s 0 4\r\nfits\r\nEND\r\n" % LONG_KEY[:250])
        for command in (b"get %s\r\n", b"delete %s\r\n", b"incr %s 1\r\n", b"touch %s 1\r\n"):
            self.says(command % LONG_KEY, BAD_FORMAT)
        self.says(b"set %s 0 0 1\r\nx\r\n" % LONG_KEY, BAD_FORMAT + b"ERROR\r\n")

    def test_odd_bytes_in_keys_come_back(self):
        for key in (b"\x01\x02", b"caf\xc3\xa9", b"a\x7fb", b"\xff\xfe", b"tab\there"):
            with self.subTest(key):
                self.client.set(key, b"v")
                self.says(b"get %s\r\n" % key, b"VALUE %s 0 1\r\nv\r\nEND\r\n" % key)

    def test_wrong_body_length_resynchronises(self):
        self.says(b"set a 0 0 3\r\nabcd\r\n", BAD_CHUNK + b"ERROR\r\n")
        self.says(b"set a 0 0 3\r\nabc\r\n", b"STORED\r\n")

    def test_too_large_value_is_swallowed_and_removes_the_old(self):
        self.client.set(b"a", b"old")
        body = b"v" * (1 << 20)
        self.says(b"set a 0 0 %d\r\n%s\r\n" % (len(body), body), TOO_LARGE)
        self.says(b"get a\r\n", b"END\r\n")
        self.says(b"set a 0 0 %d noreply\r\n%s\r\n" % (len(body), body), b"")

    def test_every_split_of_the_input(self):
        stream = b"set s 1 0 4\r\nab\r\n\r\nget s\r\ngets zz\r\nincr s 1\r\ndelete s\r\n"
        expected = (b"STORED\r\nVALUE s 1 4\r\nab\r\n\r\nEND\r\nEND\r\n"
                    b"CLIENT_ERROR cannot increment or decrement non-numeric value\r\nDELETED\r\n")
        for cut in range(1, len(stream)):
            self.client.send(stream[:cut])
            if cut % 8 == 0:
                time.sleep(0.001)
            self.ask(self.client, stream[cut:], expected)
        for byte in stream:
            self.client.send(bytes([byte]))
        self.ask(self.client, b"", expected)

    def test_deep_pipeline(self):
        count = 2000
        stream = b"".join(b"set p%d 0 0 5\r\n%05d\r\nget p%d\r\n" % (n, n, n) for n in range(count))
        expected = b"".join(b"STORED\r\nVALUE p%d 0 5\r\n%05d\r\nEND\r\n" % (n, n) for n in range(count))
        self.says(stream, expected)

    def test_verbosity_and_version(self):
        self.says(b"version\r\n", re.compile(rb"VERSION [^\r\n]+\r\n"))
        self.says(b"verbosity 1\r\n", b"OK\r\n")
        self.says(b"verbosity 1 noreply\r\n", b"")

    def test_administration_that_is_not_understood(self):
        for line in (b"slabs automove invalid", b"slabs reassign 1 x", b"slabs reassign x 2", b"lru_crawler tocrawl x",
                     b"lru_crawler sleep 1x", b"lru_crawler sleep -"):
            self.says(line + b"\r\n", BAD_FORMAT)
        for line in (b"slabs", b"slabs reassign 1", b"slabs reassign 1 2 3", b"slabs automove", b"slabs automove 3",
                     b"slabs automove ratio", b"slabs automove ratio x", b"slabs other 1 2", b"lru", b"lru tune 1 2 x 3",
                     b"lru tune 1 2 3", b"lru tune 1 2 0.2 1e999", b"lru mode other", b"lru temp_ttl x", b"lru other",
                     b"lru_crawler", b"lru_crawler other", b"lru_crawler crawl", b"lru_crawler enable 1 2",
                     b"cache_memlimit", b"cache_memlimit x", b"cache_memlimit 64 1 2", b"watch other",
                     b"watch evictions other"):
            self.says(line + b"\r\n", b"ERROR\r\n")
        for line in (b"slabs automove invalid noreply", b"slabs automove 1 noreply", b"slabs automove ratio 0.8 noreply",
                     b"lru mode flat noreply", b"lru tune 20 40 0.2 2.0 noreply", b"lru temp_ttl x noreply",
                     b"cache_memlimit 64 noreply", b"cache_memlimit x noreply", b"watch noreply"):
            self.says(line + b"\r\n", b"")

    def test_stats_end_with_end(self):
        reply = self.says(b"stats\r\n", re.compile(rb"(STAT \S+ [^\r\n]*\r\n)+END\r\n"))
        for name in (b"pid", b"uptime", b"curr_connections", b"cmd_get", b"get_hits"):
            self.assertIn(b"STAT %s " % name, reply)

    def test_quit_closes(self):
        self.client.send(b"quit\r\n")
        self.assertTrue(self.client.at_end())

    def test_line_without_end_is_refused(self):
        self.client.send(b"x" * 9000)
        self.assertRegex(self.client.until(b"\r\n"), rb"^(CLIENT_)?ERROR|^$")
        self.assertTrue(self.client.at_end())


class TextOnMemcached(Text, Case):
    """The oracle: what a plain memcached answers is what is expected of the others."""

    def start(self):
        return self.memcached()


class TextEmbedded(Text, Case):
    def start(self):
        return self.proxy()


class TextOverOneNode(Text, Case):
    def start(self):
        return self.fleet(1)[1]


class TextOverThreeNodes(Text, Case):
    def start(self):
        return self.fleet(3)[1]


if __name__ == "__main__":
    unittest.main()
