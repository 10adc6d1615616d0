"""The meta protocol, byte for byte. Every expectation is also held against a plain memcached."""
import base64
import re
import unittest

from harness import Case

BAD_FORMAT = b"CLIENT_ERROR bad command line format\r\n"
BAD_TOKEN = b"CLIENT_ERROR bad token in command line format\r\n"
INVALID_FLAG = b"CLIENT_ERROR invalid flag\r\n"


class Meta:
    """REQUIRES: the class that mixes this in has start() -> the server under test."""

    def setUp(self):
        self.server = self.start()
        self.client = self.wire(self.server)

    def says(self, data, expected):
        return self.ask(self.client, data, expected)

    def cas_of(self, key):
        return int(self.says(b"mg %s c\r\n" % key, re.compile(rb"HD c\d+\r\n"))[4:])

    def test_noop(self):
        self.client.send(b"mn\r\nmn\r\n")
        self.assertEqual(self.client.take(8), b"MN\r\nMN\r\n")

    def test_get_flags_come_back_in_the_order_asked(self):
        self.says(b"ms a 3 T500 F7\r\nabc\r\n", b"HD\r\n")
        self.says(b"mg a\r\n", b"HD\r\n")
        self.says(b"mg a v\r\n", b"VA 3\r\nabc\r\n")
        self.says(b"mg a s f k Oxyz v\r\n", b"VA 3 s3 f7 ka Oxyz\r\nabc\r\n")
        self.says(b"mg a Oxyz k f s\r\n", b"HD Oxyz ka f7 s3\r\n")
        self.says(b"mg a t v\r\n", re.compile(rb"VA 3 t(500|499|498)\r\nabc\r\n"))
        self.says(b"mg a h l\r\n", re.compile(rb"HD h1 l\d\r\n"))
        self.says(b"mg none v k Oq1\r\n", b"EN knone Oq1\r\n")

    def test_hit_before(self):
        self.client.set(b"a", b"1")
        self.says(b"mg a h\r\n", b"HD h0\r\n")
        self.says(b"mg a h\r\n", b"HD h1\r\n")

    def test_no_bump_leaves_the_access_marks(self):
        self.client.set(b"a", b"1")
        self.says(b"mg a u h v\r\n", re.compile(rb"VA 1 h0\r\n1\r\n"))
        self.says(b"mg a u h\r\n", b"HD h0\r\n")

    def test_set_modes(self):
        self.says(b"ms a 1 MR\r\nx\r\n", b"NS\r\n")
        self.says(b"ms a 1 MA\r\nx\r\n", b"NS\r\n")
        self.says(b"ms a 1 ME\r\nb\r\n", b"HD\r\n")
        self.says(b"ms a 1 ME\r\nx\r\n", b"NS\r\n")
        self.says(b"ms a 1 MA\r\nc\r\n", b"HD\r\n")
        self.says(b"ms a 1 MP\r\na\r\n", b"HD\r\n")
        self.says(b"mg a v\r\n", b"VA 3\r\nabc\r\n")
        self.says(b"ms a 1 Mreplace\r\nr\r\n", b"CLIENT_ERROR incorrect length for M token\r\n")
        self.says(b"ms a 1 MS k O7\r\ns\r\n", b"HD ka O7\r\n")
        self.says(b"ms a 1 MX\r\ns\r\n", b"CLIENT_ERROR invalid mode for ms M token\r\n")

    def test_set_returns_cas(self):
        reply = self.says(b"ms a 1 c k\r\nx\r\n", re.compile(rb"HD c\d+ ka\r\n"))
        self.assertEqual(int(reply.split()[1][1:]), self.cas_of(b"a"))

    def test_compare_and_swap(self):
        self.says(b"ms a 1 C5\r\nx\r\n", b"NF\r\n")
        self.says(b"ms a 1\r\nx\r\n", b"HD\r\n")
        number = self.cas_of(b"a")
        self.says(b"ms a 1 C%d O1\r\ny\r\n" % (number + 9), b"EX O1\r\n")
        self.says(b"ms a 1 C%d\r\ny\r\n" % number, b"HD\r\n")
        self.says(b"md a C%d\r\n" % number, b"EX\r\n")
        self.says(b"md a C%d\r\n" % self.cas_of(b"a"), b"HD\r\n")

    def test_delete(self):
        self.says(b"md a\r\n", b"NF\r\n")
        self.says(b"ms a 1\r\nx\r\n", b"HD\r\n")
        self.says(b"md a k O9\r\n", b"HD ka O9\r\n")
        self.says(b"mg a v\r\n", b"EN\r\n")

    def test_quiet_hides_only_the_usual(self):
        self.client.set(b"a", b"1")
        self.says(b"mg a q v\r\nmg none q v\r\nmg a v q k\r\n", b"VA 1\r\n1\r\nVA 1 ka\r\n1\r\n")
        self.says(b"ms b 1 q\r\nx\r\nmd b q\r\nma none q\r\n", b"NF\r\n")
        self.says(b"ms b 1 q MR\r\nx\r\nmd none q O5\r\n", b"NS\r\nNF O5\r\n")
        self.says(b"ms n 1 q\r\n5\r\nma n q\r\nma n v\r\n", b"VA 1\r\n7\r\n")
        self.says(b"mg a q zz\r\n", INVALID_FLAG)

    def test_arithmetic(self):
        self.says(b"ma n\r\n", b"NF\r\n")
        self.says(b"ma n N0 J13 v\r\n", b"VA 2\r\n13\r\n")
        self.says(b"ma n v D5\r\n", b"VA 2\r\n18\r\n")
        self.says(b"ma n MD D20 v\r\n", b"VA 1\r\n0\r\n")
        self.says(b"ma n MI k O3\r\n", b"HD kn O3\r\n")
        self.says(b"ma n T300 t v\r\n", re.compile(rb"VA 1 t(300|299|298)\r\n2\r\n"))
        self.says(b"ma n c\r\n", re.compile(rb"HD c\d+\r\n"))
        self.says(b"ma n MX\r\n", b"CLIENT_ERROR invalid mode for ma M token\r\n")
        self.says(b"ma n Dx\r\n", re.compile(rb"CLIENT_ERROR [^\r\n]*\r\n"))
        self.client.set(b"w", b"word")
        self.says(b"ma w\r\n", b"CLIENT_ERROR cannot increment or decrement non-numeric value\r\n")
        self.says(b"ma w q\r\n", b"CLIENT_ERROR cannot increment or decrement non-numeric value\r\n")

    def test_vivify_gives_one_winner(self):
        self.says(b"mg a N30 v t\r\n", re.compile(rb"VA 0 t(30|29) W\r\n\r\n"))
        self.says(b"mg a N30 v\r\n", b"VA 0 Z\r\n\r\n")
        number = self.cas_of_won(b"b")
        self.says(b"ms b 1 C%d\r\nx\r\n" % number, b"HD\r\n")
        self.says(b"mg b N30 v\r\n", b"VA 1\r\nx\r\n")

    def cas_of_won(self, key):
        return int(self.says(b"mg %s N30 c\r\n" % key, re.compile(rb"HD c\d+ W\r\n")).split()[1][1:])

    def test_recache_gives_one_winner(self):
        self.says(b"ms a 1 T20\r\nx\r\n", b"HD\r\n")
        self.says(b"mg a v R10\r\n", b"VA 1\r\nx\r\n")
        self.says(b"mg a v R60\r\n", b"VA 1 W\r\nx\r\n")
        self.says(b"mg a v R60\r\n", b"VA 1 Z\r\nx\r\n")

    def test_invalidate_serves_stale(self):
        self.says(b"ms a 1 T100\r\nx\r\n", b"HD\r\n")
        self.says(b"md a I T30\r\n", b"HD\r\n")
        self.says(b"mg a v t\r\n", re.compile(rb"VA 1 t(30|29) X W\r\nx\r\n"))
        self.says(b"mg a v\r\n", b"VA 1 Z X\r\nx\r\n")
        self.says(b"ms a 1\r\ny\r\n", b"HD\r\n")
        self.says(b"mg a v\r\n", b"VA 1\r\ny\r\n")

    def test_touch_by_get(self):
        self.says(b"ms a 1 T100\r\nx\r\n", b"HD\r\n")
        self.says(b"mg a T900 t\r\n", re.compile(rb"HD t(900|899|898)\r\n"))
        self.says(b"mg a T-1\r\n", b"HD\r\n")
        self.says(b"mg a v\r\n", b"EN\r\n")

    def test_base64_keys(self):
        raw = b"\x00sp ace\r\n\xff"
        key = base64.b64encode(raw)
        self.says(b"ms %s 2 b k\r\nhi\r\n" % key, b"HD k%s b\r\n" % key)
        self.says(b"mg %s b v k Oz\r\n" % key, b"VA 2 k%s b Oz\r\nhi\r\n" % key)
        self.says(b"mg %s v\r\n" % key, b"EN\r\n")
        self.says(b"md %s b k q\r\n" % key, b"")
        self.says(b"mg %s b k v\r\n" % key, b"EN k%s b\r\n" % key)
        self.says(b"mg !!! b v\r\n", b"CLIENT_ERROR error decoding key\r\n")

    def test_keys_and_opaques_come_back(self):
        self.client.set(b"a", b"1")
        token = b"O" + b"x" * 31
        self.says(b"mg a k %s\r\n" % token, b"HD ka %s\r\n" % token)
        self.says(b"mg a k %sy\r\n" % token, b"CLIENT_ERROR opaque token too long\r\n")
        self.says(b"mg a O\r\n", b"HD O\r\n")

    def test_long_keys(self):
        self.says(b"ms %s 1\r\nx\r\n" % (b"k" * 250), b"HD\r\n")
        self.says(b"mg %s v\r\n" % (b"k" * 251), BAD_FORMAT)
        self.says(b"md %s\r\n" % (b"k" * 251), BAD_FORMAT)
        self.says(b"ma %s\r\n" % (b"k" * 251), BAD_FORMAT)

    def test_malformed(self):
        self.client.set(b"a", b"1")
        for data in (b"mg\r\n", b"md\r\n", b"ma\r\n"):
            with self.subTest(data):
                self.says(data, re.compile(rb"(CLIENT_)?ERROR[^\r\n]*\r\n"))
        self.says(b"mg a v v\r\n", b"CLIENT_ERROR duplicate flag\r\n")
        self.says(b"mg a !\r\n", INVALID_FLAG)
        self.says(b"mg a T\r\n", re.compile(rb"CLIENT_ERROR [^\r\n]*\r\n"))
        self.says(b"mg a" + b" v" * 30 + b"\r\n", re.compile(rb"CLIENT_ERROR [^\r\n]*\r\n"))
        self.says(b"mg a v\r\n", b"VA 1\r\n1\r\n")

    def test_bad_set_lines_stay_in_step(self):
        self.says(b"ms a abc\r\n", BAD_FORMAT)
        self.says(b"ms a 2 Fx\r\nhi\r\n", re.compile(rb"CLIENT_ERROR [^\r\n]*\r\n"))
        self.says(b"ms a 2 !\r\nhi\r\n", INVALID_FLAG)
        self.says(b"ms a 2\r\nhi\r\n", b"HD\r\n")

    def test_wrong_body_length(self):
        self.says(b"ms a 2\r\nhiho\r\n", re.compile(rb"CLIENT_ERROR bad data chunk\r\n(ERROR\r\n)?"))
        self.says(b"ms a 2\r\nhi\r\n", b"HD\r\n")

    def test_too_large(self):
        body = b"v" * (1 << 20)
        self.says(b"ms a %d O1 k\r\n%s\r\n" % (len(body), body), b"SERVER_ERROR object too large for cache\r\n")
        self.says(b"mg a v\r\n", b"EN\r\n")

    def test_text_and_meta_share_items(self):
        self.client.set(b"a", b"1", flags=42)
        self.says(b"mg a f v\r\n", b"VA 1 f42\r\n1\r\n")
        self.says(b"ms a 3 F9 I\r\nxyz\r\n", b"HD\r\n")
        self.says(b"get a\r\n", b"VALUE a 9 3\r\nxyz\r\nEND\r\n")

    def test_pipeline_answers_in_order(self):
        stream, expected = b"", b""
        for n in range(1500):
            stream += b"ms p%d 4 q\r\n%04d\r\nmg p%d v k O%d\r\nmg none%d q\r\n" % (n, n, n, n, n)
            expected += b"VA 4 kp%d O%d\r\n%04d\r\n" % (n, n, n)
        self.says(stream, expected)

    def test_debug_command_is_answered_on_one_line(self):
        self.says(b"me none\r\n", b"EN\r\n")
        self.client.set(b"a", b"12")
        self.says(b"me a\r\n", re.compile(rb"ME a exp=-1 la=\d+ cas=\d+ fetch=(no|yes) cls=\d+ size=\d+\r\n"))

    def test_debug_command_of_an_item_made_in_base64(self):
        for made, asked, told in ((b"YWI= 1 b", b"ab", b"YWI="), (b"YWI= 1 b", b"YWI= b", b"YWI="), (b"ab 1", b"YWI= b", b"ab")):
            self.says(b"delete ab\r\n", re.compile(rb"DELETED\r\n|NOT_FOUND\r\n"))
            # Another request is under way, which a reply out of step would cost its answer.
            self.says(b"ms %s\r\nx\r\nmg ab\r\nme %s\r\nmg ab v\r\n" % (made, asked),
                      re.compile(rb"HD\r\nHD\r\nME %s exp=-1 la=\d+ cas=\d+ fetch=yes cls=\d+ size=\d+\r\nVA 1\r\nx\r\n" % told))


class MetaOnMemcached(Meta, Case):
    """The oracle: what a plain memcached answers is what is expected of the others."""

    def start(self):
        return self.memcached()


class MetaEmbedded(Meta, Case):
    def start(self):
        return self.proxy()


class MetaOverOneNode(Meta, Case):
    def start(self):
        return self.fleet(1)[1]


class MetaOverThreeNodes(Meta, Case):
    def start(self):
        return self.fleet(3)[1]


if __name__ == "__main__":
    unittest.main()
