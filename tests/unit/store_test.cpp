// What the embedded node answers. tests/blackbox/embedded_diff.py holds the same against memcached.
#include <doctest/doctest.h>

#include <initializer_list>
#include <string>
#include <string_view>

#include "store_asking.hpp"

using namespace tokenring;

namespace {

// "\n" stands for "\r\n", in requests and replies alike.
struct Exchange {
  std::string_view request;
  std::string_view reply;
};

std::string on_wire(std::string_view text) {
  std::string bytes;
  for (const char c : text) bytes += c == '\n' ? std::string("\r\n") : std::string(1, c);
  return bytes;
}

void check(Asking& node, std::initializer_list<Exchange> exchanges) {
  for (const Exchange& exchange : exchanges) {
    CAPTURE(exchange.request);
    CHECK(node.ask(on_wire(exchange.request)) == on_wire(exchange.reply));
  }
  CHECK(node.in.empty());
  CHECK(node.node.consistent());
}

}  // namespace

TEST_CASE("mg shows what it is asked for, in the order it was asked") {
  Asking node;
  check(node, {
                  {"mg a v\n", "EN\n"},
                  {"mg a v Oq k s\n", "EN Oq ka\n"},
                  {"mg a v q\n", ""},
                  {"ms a 5 F7 T60\nhello\n", "HD\n"},
                  {"mg a\n", "HD\n"},
                  {"mg a v\n", "VA 5\nhello\n"},
                  {"mg a s f t c k Oq v\n", "VA 5 s5 f7 t60 c1 ka Oq\nhello\n"},
                  {"mg a q\n", "HD\n"},
                  {"mg a P/route Lhint k\n", "HD ka\n"},
                  {"ms b 0\n\n", "HD\n"},
                  {"mg b v t\n", "VA 0 t-1\n\n"},
              });
}

TEST_CASE("mg h and l tell of reads before this one, and u leaves no trace") {
  Asking node;
  check(node, {{"ms a 1\nx\n", "HD\n"}, {"mg a h l u\n", "HD h0 l0\n"}});
  node.now.seconds += 5;
  check(node, {{"mg a h l u\n", "HD h0 l5\n"}, {"mg a h l\n", "HD h0 l5\n"}});
  node.now.seconds += 2;
  check(node, {{"mg a h l\n", "HD h1 l2\n"}});
}

TEST_CASE("mg T takes effect where it stands among the flags") {
  Asking node;
  check(node, {
                  {"ms a 1 T60\nx\n", "HD\n"},
                  {"mg a t T90\n", "HD t60\n"},
                  {"mg a T30 t\n", "HD t30\n"},
                  {"mg a T0 t\n", "HD t-1\n"},
                  {"mg a T-1 t v\n", "VA 1 t0\nx\n"},
                  {"mg a\n", "EN\n"},
              });
}

TEST_CASE("an exptime means what memcached means by it") {
  Asking node;
  check(node, {
                  {"ms a 1 T2592000\nx\n", "HD\n"},
                  {"mg a t\n", "HD t2592000\n"},
                  {"ms a 1 T2592001\nx\n", "HD\n"},  // A date long past.
                  {"mg a t\n", "EN\n"},
                  {"ms a 1 T1790000005\nx\n", "HD\n"},
                  {"mg a t\n", "HD t5\n"},
                  {"ms a 1 T4294967356\nx\n", "HD\n"},  // Cut to 32 bits: 60.
                  {"mg a t\n", "HD t60\n"},
                  {"ms a 1 T-1\nx\n", "HD\n"},
                  {"mg a t\n", "EN\n"},
                  {"ms a 1 T2\nx\n", "HD\n"},
              });
  node.now.seconds += 1;
  check(node, {{"mg a t\n", "HD t1\n"}});
  node.now.seconds += 1;
  check(node, {{"mg a t\n", "EN\n"}});
}

TEST_CASE("mg C leaves out a value that has not changed") {
  Asking node;
  check(node, {
                  {"ms a 1\nx\n", "HD\n"},
                  {"mg a v c C1\n", "HD c1\n"},
                  {"mg a v c C2 T60 t\n", "VA 1 c1 t60\nx\n"},
              });
}

TEST_CASE("one reader wins a missing, an ageing or a stale item") {
  Asking node;
  check(node, {
                  {"mg a v t N30\n", "VA 0 t-1 W\n\n"},
                  {"mg a v t N30\n", "VA 0 t30 Z\n\n"},
                  {"ms a 1 T100\nx\n", "HD\n"},
                  {"mg a v R50\n", "VA 1\nx\n"},
                  {"mg a v R101\n", "VA 1 W\nx\n"},
                  {"mg a v R101\n", "VA 1 Z\nx\n"},
                  {"ms a 1\ny\n", "HD\n"},
                  {"mg a v R101\n", "VA 1\ny\n"},  // It never expires.
                  {"md a I T40\n", "HD\n"},
                  {"mg a v t c\n", "VA 1 t40 c4 X W\ny\n"},
                  {"mg a v t\n", "VA 1 t40 Z X\ny\n"},
                  {"md a I\n", "HD\n"},
                  {"mg a\n", "HD X W\n"},
                  {"ms a 1\nz\n", "HD\n"},
                  {"mg a\n", "HD\n"},
                  {"mg b N-1 k\n", "HD kb W\n"},
                  {"mg b N30 E77 c\n", "HD c77 W\n"},
              });
}

TEST_CASE("ms has memcached's modes") {
  Asking node;
  check(node, {
                  {"ms a 1 MR\nx\n", "NS\n"},
                  {"ms a 1 MA\nx\n", "NS\n"},
                  {"ms a 1 MP k c\nx\n", "NS ka c0\n"},
                  {"ms a 1 ME F5 T60\nx\n", "HD\n"},
                  {"ms a 1 ME\ny\n", "NS\n"},
                  {"ms a 1 ME q\ny\n", "NS\n"},
                  {"ms a 2 MA s F9 T90\n12\n", "HD s3\n"},
                  {"ms a 2 MP s c\n34\n", "HD s5 c3\n"},
                  {"mg a v f t\n", "VA 5 f5 t60\n34x12\n"},
                  {"ms a 1 MS q k\nz\n", ""},
                  {"ms a 2 MR c Oq\nyy\n", "HD c5 Oq\n"},
                  {"mg a v f t\n", "VA 2 f0 t-1\nyy\n"},
                  {"ms a 1 Ma\nx\n", "CLIENT_ERROR invalid mode for ms M token\n"},
                  {"ms a 1 MSE\nx\n", "CLIENT_ERROR incorrect length for M token\n"},
                  {"ms b 1 MA N30 F3 s\nx\n", "HD s1\n"},
                  {"ms b 1 MP N90 s\ny\n", "HD s2\n"},
                  {"mg b v t f\n", "VA 2 t30 f3\nyx\n"},
              });
}

TEST_CASE("ms C compares, and I lets a late writer leave a stale value") {
  Asking node;
  check(node, {
                  {"ms a 1 C1\nx\n", "NF\n"},
                  {"ms a 1 T60 c\nx\n", "HD c1\n"},
                  {"ms a 1 C2\ny\n", "EX\n"},
                  {"ms a 1 C0\ny\n", "EX\n"},
                  {"ms a 1 C1 c\ny\n", "HD c2\n"},
                  {"ms a 1 C1 MA\nz\n", "EX\n"},
                  {"ms a 1 C2 MA c\nz\n", "HD c3\n"},
                  {"ms a 1 C3 MR T50 c\nr\n", "HD c4\n"},
                  {"ms a 1 C9 I\ns\n", "EX\n"},
                  {"ms a 1 C1 I T90 c F6\ns\n", "HD c5\n"},
                  {"mg a v t f\n", "VA 1 t50 f6 X W\ns\n"},
                  {"ms a 1 C2 I\nu\n", "HD\n"},
                  {"mg a v\n", "VA 1 Z X\nu\n"},
                  {"ms a 1 E100 c\nv\n", "HD c100\n"},
                  {"ms a 1 C100 E7 c\nw\n", "HD c7\n"},
                  {"ms a 1 c\nw\n", "HD c7\n"},
              });
}

TEST_CASE("md deletes, marks or empties") {
  Asking node;
  check(node, {
                  {"md a\n", "NF\n"},
                  {"md a q k Oq\n", "NF ka Oq\n"},
                  {"ms a 1 F5 T60\nx\n", "HD\n"},
                  {"md a C9\n", "EX\n"},
                  {"md a C0\n", "EX\n"},
                  {"md a C1 k\n", "HD ka\n"},
                  {"mg a\n", "EN\n"},
                  {"ms a 1\nx\n", "HD\n"},
                  {"md a q\n", ""},
                  {"ms a 1 F5 T60\nx\n", "HD\n"},
                  {"md a x\n", "HD\n"},
                  {"mg a v f t c\n", "VA 0 f0 t60 c4\n\n"},
                  {"ms a 1 F5 T60\nx\n", "HD\n"},
                  {"md a x I T30 E50\n", "HD\n"},
                  {"mg a v f t c\n", "VA 0 f0 t30 c50 X W\n\n"},
                  {"md a I E51\n", "HD\n"},
                  {"mg a c\n", "HD c51 X W\n"},
                  {"md a T30\n", "HD\n"},
                  {"mg a\n", "EN\n"},
                  {"md a Tx\n", "CLIENT_ERROR invalid or duplicate flag\n"},
              });
}

TEST_CASE("ma counts as memcached counts, its padding included") {
  Asking node;
  check(node, {
                  {"ma n\n", "NF\n"},
                  {"ma n q k Oq\n", "NF kn Oq\n"},
                  {"ma n N60 J13 v t c\n", "VA 2 t60 c1\n13\n"},
                  {"mg n t\n", "HD t60\n"},
                  {"ma n N0 J5 v\n", "VA 2\n14\n"},
                  {"ma n D6 MD v\n", "VA 1\n8\n"},
                  {"mg n v\n", "VA 2\n8 \n"},
                  {"ma n D100 M- v\n", "VA 1\n0\n"},
                  {"ma n D99 M+ v\n", "VA 2\n99\n"},
                  {"ma n T90 t c k Oq\n", "HD t90 c6 kn Oq\n"},
                  {"mg n v t\n", "VA 3 t90\n100\n"},
                  {"ma n q v\n", ""},
                  {"ma n C6\n", "EX\n"},
                  {"ma n C7 E40 c\n", "HD c40\n"},
                  {"ma n D18446744073709551615 v\n", "VA 3\n101\n"},
                  {"ms n 20\n18446744073709551615\n", "HD\n"},
                  {"ma n v\n", "VA 1\n0\n"},
                  {"ms n 20\n18446744073709551616\n", "HD\n"},
                  {"ma n v\n", "CLIENT_ERROR cannot increment or decrement non-numeric value\n"},
                  {"ms n 5\n12 ab\n", "HD\n"},
                  {"ma n v\n", "VA 2\n13\n"},
                  {"mg n v\n", "VA 5\n13   \n"},
                  {"ms n 0\n\n", "HD\n"},
                  {"ma n q\n", "CLIENT_ERROR cannot increment or decrement non-numeric value\n"},
                  {"ma n Mx\n", "CLIENT_ERROR invalid mode for ma M token\n"},
                  {"ma n Dx\n", "CLIENT_ERROR invalid or duplicate flag\n"},
              });
}

TEST_CASE("a base64 key is the key that it decodes to") {
  Asking node;
  check(node, {
                  {"ms Zm9v 1 b k c\nx\n", "HD kZm9v b c1\n"},
                  {"mg foo v k\n", "VA 1 kZm9v b\nx\n"},
                  {"mg Zm9v b k\n", "HD kZm9v b\n"},
                  {"ms foo 1\ny\n", "HD\n"},
                  {"mg Zm9v b k v\n", "VA 1 kfoo\ny\n"},
                  {"md Zm9v b k\n", "HD kZm9v b\n"},
                  {"md Zm9v k b\n", "NF kZm9v b\n"},
                  {"mg AP8K b k N0\n", "HD kAP8K b W\n"},
                  {"mg AP8K b k\n", "HD kAP8K b Z\n"},
                  {"ma AP8KAA== b k N0\n", "HD kAP8KAA== b\n"},
                  {"ms AP8KAA== 2 b MA\n34\n", "HD\n"},
                  {"ma AP8KAA== b k v\n", "VA 2 kAP8KAA== b\n35\n"},
                  {"mg AP8KAA== b k v\n", "VA 3 kAP8KAA== b\n35 \n"},
                  {"md AP8KAA== b x\n", "HD\n"},
                  {"mg AP8KAA== b k v\n", "VA 0 kAP8KAA== b\n\n"},
                  {"mg Z b\n", "CLIENT_ERROR error decoding key\n"},
                  {"md Z b\n", "CLIENT_ERROR invalid or duplicate flag\n"},
                  {"me Z b\n", "CLIENT_ERROR bad command line format\n"},
              });
}

TEST_CASE("me shows an item's insides and misses as EN") {
  Asking node;
  check(node, {{"me a\n", "EN\n"}, {"ms a 1 T60\nx\n", "HD\n"}});
  node.now.seconds += 3;
  check(node, {{"me a\n", "ME a exp=-57 la=3 cas=1 fetch=no cls=1 size=64\n"},
               {"mg a\n", "HD\n"},
               {"me a\n", "ME a exp=-57 la=0 cas=1 fetch=yes cls=1 size=64\n"},
               {"me YQ== b\n", "ME a exp=-57 la=0 cas=1 fetch=yes cls=1 size=64\n"},
               {"me\n", "CLIENT_ERROR bad command line format\n"}});
}

TEST_CASE("a malformed line is answered with 1.6.18's text") {
  Asking node;
  const std::string long_key(251, 'k');
  CHECK(node.line("mg " + long_key) == "CLIENT_ERROR bad command line format");
  CHECK(node.line("mg " + long_key.substr(1)) == "EN");
  CHECK(node.line("mg a O" + std::string(32, 'o')) == "CLIENT_ERROR opaque token too long");
  CHECK(node.line("mg a O" + std::string(31, 'o')) == "EN O" + std::string(31, 'o'));
  check(node,
        {
            {"\n", "ERROR\n"},
            {"m\n", "ERROR\n"},
            {"mg\n", "ERROR\n"},
            {"mx a\n", "ERROR\n"},
            {"MG a\n", "ERROR\n"},
            {"bget a\n", "ERROR\n"},
            {"  mg   a   k  \n", "EN ka\n"},
            {"mg a k k\n", "CLIENT_ERROR duplicate flag\n"},
            {"mg a !\n", "CLIENT_ERROR invalid flag\n"},
            {"mg a \xc3\n", "CLIENT_ERROR duplicate flag\n"},
            {"mg a T\n", "CLIENT_ERROR bad token in command line format\n"},
            {"mg a T1x\n", "CLIENT_ERROR bad token in command line format\n"},
            {"mg a DX TX\n", "CLIENT_ERROR bad token in command line format\n"},
            {"mg a TX DX\n", "CLIENT_ERROR invalid numeric delta value\n"},
            {"mg a FX\n", "CLIENT_ERROR bad command line format\n"},
            {"mg a TX FX\n", "CLIENT_ERROR bad token in command line format\n"},
            {"mg a C18446744073709551616\n", "CLIENT_ERROR bad token in command line format\n"},
            {"mg a 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18\n",
             "CLIENT_ERROR options flags are too long\n"},
            {"md a 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18\n",
             "CLIENT_ERROR options flags too long\n"},
            {"ms a\n", "CLIENT_ERROR bad command line format\n"},
            {"ms a x\n", "CLIENT_ERROR bad command line format\n"},
            {"ms a -1\n", "CLIENT_ERROR bad command line format\n"},
            {"ms a 2147483646\n", "CLIENT_ERROR bad command line format\n"},
            {"ms a 2 Z\nab\n", "CLIENT_ERROR invalid flag\n"},
            {"mn nonsense\n", "MN\n"},
        });
}

TEST_CASE("a value of the wrong length is an error, its residue another, and then all is in step") {
  Asking node;
  check(node, {{"ms a 1\nx\n", "HD\n"}});
  CHECK(node.ask("ms a 3\r\nabcd\r\n") == "CLIENT_ERROR bad data chunk\r\nERROR\r\n");
  check(node, {{"mg a v\n", "VA 1\nx\n"}});
}

TEST_CASE("a line may end without a return") {
  Asking node;
  CHECK(node.ask("ms a 1\nx\r\nmg a v\nmn\n") == "HD\r\nVA 1\r\nx\r\nMN\r\n");
  CHECK(node.ask("\r\n\nmn\r\n") == "ERROR\r\nERROR\r\nMN\r\n");
}

TEST_CASE("flush_all empties the node, now or at a later second") {
  Asking node;
  check(node, {
                  {"ms a 1\nx\n", "HD\n"},
                  {"flush_all\n", "OK\n"},
                  {"mg a\n", "EN\n"},
                  {"ms a 1\nx\n", "HD\n"},
                  {"flush_all noreply\n", ""},
                  {"mg a\n", "EN\n"},
                  {"flush_all abc\n", "CLIENT_ERROR invalid exptime argument\n"},
                  {"flush_all abc noreply\n", ""},
                  {"flush_all 1 2 3\n", "ERROR\n"},
                  {"ms a 1\nx\n", "HD\n"},
                  {"flush_all 10\n", "OK\n"},
              });
  node.now.seconds += 9;
  check(node, {{"mg a\n", "HD\n"}, {"ms b 1\ny\n", "HD\n"}});
  node.now.seconds += 1;
  check(node, {{"mg a\n", "EN\n"}, {"mg b\n", "EN\n"}, {"ms a 1\nz\n", "HD\n"}});
  node.now.seconds += 1;
  check(node, {{"mg a\n", "HD\n"}, {"flush_all 5\n", "OK\n"}, {"flush_all -1\n", "OK\n"}});
  check(node, {{"mg a\n", "EN\n"}, {"ms a 1\nz\n", "HD\n"}});
  node.now.seconds += 20;
  check(node, {{"mg a\n", "HD\n"}});
}

TEST_CASE("version, verbosity and stats answer as a node's") {
  Asking node;
  CHECK(node.line("version").starts_with("VERSION 1.6.40"));
  check(node, {
                  {"verbosity 1\n", "OK\n"},
                  {"verbosity 1 noreply\n", ""},
                  {"verbosity x\n", "CLIENT_ERROR bad command line format\n"},
                  {"verbosity\n", "ERROR\n"},
                  {"ms a 1\nx\n", "HD\n"},
                  {"mg a v\n", "VA 1\nx\n"},
                  {"mg b v\n", "EN\n"},
              });
  const std::string stats = node.line("stats");
  for (const std::string_view line :
       {"STAT curr_items 1\r\n", "STAT cmd_get 2\r\n", "STAT get_hits 1\r\n",
        "STAT get_misses 1\r\n", "STAT cmd_set 1\r\n", "STAT limit_maxbytes 67108864\r\n",
        "STAT evictions 0\r\n", "STAT bytes 64\r\n", "STAT time 1790000000\r\n"})
    CHECK(stats.find(line) != std::string::npos);
  CHECK(stats.ends_with("END"));
  check(node, {{"stats reset\n", "RESET\n"}, {"stats items\n", "END\n"}, {"stats x\n", "ERROR\n"}});
  CHECK(node.line("stats").find("STAT cmd_get 0\r\n") != std::string::npos);
}
