// What a hostile or unlucky peer sends: pieces, excess, nonsense.
#include <doctest/doctest.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "store/text.hpp"
#include "store_asking.hpp"

using namespace tokenring;

namespace {

constexpr std::size_t kItemHeader = 59;  // memcached's, CAS, NUL and line end included.

std::string value_of(std::size_t size) {
  return std::string(size, 'v');
}

}  // namespace

TEST_CASE("requests mean the same wherever the stream is cut") {
  const std::string stream =
      "ms a 5 T60 c\r\nhello\r\nmg a v k c\r\nmg b q\r\nms n 2\r\n41\r\nma n v\r\n"
      "ms a 3\r\nabcd\r\nms a 9999999 k\r\n" +
      value_of(100) + "\r\nmg a\r\n";
  // The too large value is cut short here: what follows is swallowed with it.
  const StoreOptions small{.bytes_max = 1 << 20, .item_bytes_max = 4096};
  Asking whole(small);
  const std::string expected = whole.ask(stream);
  CHECK(expected ==
        "HD c1\r\nVA 5 ka c1\r\nhello\r\nHD\r\nVA 2\r\n42\r\nCLIENT_ERROR bad data chunk\r\n"
        "ERROR\r\nSERVER_ERROR object too large for cache\r\n");
  for (std::size_t cut = 0; cut <= stream.size(); ++cut) {
    Asking halves(small);
    const std::string first = halves.ask(stream.substr(0, cut));
    CHECK(first + halves.ask(stream.substr(cut)) == expected);
  }
  Asking bytes(small);
  std::string replies;
  for (const char byte : stream) replies += bytes.ask(std::string(1, byte));
  CHECK(replies == expected);
}

TEST_CASE("a value that is too large is refused at once, swallowed, and costs the old item") {
  Asking node({.item_bytes_max = 10'000});
  const std::size_t largest = 10'000 - kItemHeader - 1;
  CHECK(node.set("a", value_of(largest)) == "HD");
  CHECK(node.set("a", value_of(largest), "F1") == "SERVER_ERROR object too large for cache");
  CHECK(node.line("mg a") == "EN");
  CHECK(node.set("a", "x") == "HD");
  CHECK(node.line("ms a " + std::to_string(largest + 1) + " q") ==
        "SERVER_ERROR object too large for cache");
  CHECK(node.in.empty());
  CHECK(node.link.bytes_to_swallow == largest + 3);
  CHECK(node.ask(value_of(largest + 1)).empty());
  CHECK(node.ask("\r\nmg a v\r\n") == "EN\r\n");
  CHECK(node.node.stats().store_too_large == 2);
}

TEST_CASE("append never grows an item past the limit") {
  Asking node({.item_bytes_max = 1000});
  CHECK(node.set("a", value_of(900)) == "HD");
  CHECK(node.set("a", value_of(100), "MA c") == "NS c0");
  CHECK(node.line("mg a s") == "HD s900");
}

TEST_CASE("an item that the memory cannot hold is refused, the old one goes") {
  Asking node({.bytes_max = 64 << 10, .item_bytes_max = 1 << 20});
  CHECK(node.set("a", "x") == "HD");
  CHECK(node.set("a", value_of(100'000)) == "SERVER_ERROR out of memory storing object");
  CHECK(node.line("mg a") == "EN");
  CHECK(node.set("a", value_of(40'000)) == "HD");
  CHECK(node.set("a", "y", "MA") == "NS");  // No room for both for the time of the copy.
  CHECK(node.line("mg a s") == "HD s40000");
  CHECK(node.node.consistent());
}

TEST_CASE("a declared length costs nothing before its bytes are there") {
  Asking node({.bytes_max = 1 << 20, .item_bytes_max = 1 << 19});
  CHECK(node.ask("ms a 500000\r\n" + value_of(499'999)).empty());
  CHECK(node.node.stats().store.items == 0);
  CHECK(node.node.stats().store.bytes == 0);
  CHECK(node.in.size() <= node.node.request_bytes_max());
  CHECK(node.ask("v\r\n") == "HD\r\n");
}

TEST_CASE("a line without an end is refused once and skipped") {
  Asking node;
  CHECK(node.ask("mg " + value_of(EmbeddedNode::kLineBytesMax)) ==
        "CLIENT_ERROR bad command line format\r\n");
  CHECK(node.in.empty());
  CHECK(node.ask(value_of(100'000)).empty());
  CHECK(node.ask("v\r\nmn\r\n") == "MN\r\n");
}

TEST_CASE("serving stops while enough replies wait, and goes on later") {
  Asking node({.reply_bytes_max = 10'000});
  CHECK(node.set("a", value_of(3000)) == "HD");
  std::string requests;
  for (int i = 0; i < 100; ++i) requests += "mg a v\r\n";
  OutQueue out;
  const std::size_t used = node.node.serve(requests, node.now, out, node.pool);
  CHECK(used == 4 * 8);
  CHECK(out.size() < 10'000 + 3100);
  CHECK(node.node.serve(std::string_view(requests).substr(used), node.now, out, node.pool) == 0);
  CHECK(node.ask(requests).size() == 100 * (9 + 3000 + 2));
}

TEST_CASE("two connections do not disturb each other") {
  Asking node({.item_bytes_max = 1000});
  EmbeddedNode::Link other;
  CHECK(node.line("ms a 5000") == "SERVER_ERROR object too large for cache");
  OutQueue out;
  CHECK(node.node.serve(other, "mn\r\n", node.now, out, node.pool) == 4);
  CHECK(drained(out) == "MN\r\n");
  CHECK(node.line("mn").empty());  // Still part of the refused value.
}

TEST_CASE("numbers are read as strtoull and its kin read them") {
  using store::read_i32;
  using store::read_u32;
  using store::read_u64;
  CHECK(read_u64("0") == 0);
  CHECK(read_u64(" \t+7") == 7);
  CHECK(read_u64("7 x") == 7);
  CHECK(read_u64(std::string_view("7\0x", 3)) == 7);
  CHECK(read_u64("18446744073709551615") == UINT64_MAX);
  CHECK(!read_u64("18446744073709551616"));
  CHECK(!read_u64("-1"));
  CHECK(read_u64("-18446744073709551615") == 1);
  CHECK(!read_u64(""));
  CHECK(!read_u64("-"));
  CHECK(!read_u64("7x"));
  CHECK(read_u32("4294967297") == 1);
  CHECK(read_i32("-2147483649") == 2147483647);
  CHECK(read_i32("-9223372036854775808") == 0);
  CHECK(!read_i32("9223372036854775808"));
}

TEST_CASE("base64 round-trips, whatever the bytes") {
  std::mt19937 random(7);
  for (std::size_t size = 1; size <= 187; ++size) {
    std::string bytes(size, '\0');
    std::generate(bytes.begin(), bytes.end(), [&] { return static_cast<char>(random()); });
    std::string text(store::base64_size(size), '\0');
    store::encode_base64(bytes, text.data());
    std::string back(text.size(), '\0');
    back.resize(store::decode_base64(text, back));
    CHECK(back == bytes);
  }
}

TEST_CASE("nonsense is answered or ignored, never believed") {
  const std::vector<std::string> words = {
      "mg",  "ms", "md",   "ma",   "mn",   "me",   "a",     "b",     "YQ==",
      "5",   "0",  "v",    "k",    "q",    "b",    "T1",    "N9",    "R99",
      "C1",  "E5", "I",    "x",    "MA",   "MP",   "ME",    "D3",    "J7",
      "Oo",  "F1", "\r\n", "\r\n", "\n",   "s",    "flush", "c",     "t",
      "u",   "h",  "-1",   "300",  "xxxx", "\r\n", "5000",  "70000", std::string(1, '\0'),
      "\xff"};
  std::mt19937 random(1);
  const auto below = [&](std::size_t n) {
    return std::uniform_int_distribution<std::size_t>(0, n - 1)(random);
  };
  Asking node({.bytes_max = 64 << 10, .item_bytes_max = 60'000, .reply_bytes_max = 100'000});
  for (int round = 0; round < 3000; ++round) {
    std::string bytes;
    for (std::size_t i = below(60); i > 0; --i) {
      bytes += words[below(words.size())];
      if (below(8) != 0) bytes += ' ';
      if (below(40) == 0) bytes += std::string(below(3000), static_cast<char>(below(256)));
      if (below(50) == 0) bytes[below(bytes.size())] = static_cast<char>(below(256));
    }
    for (std::size_t at = 0; at < bytes.size();) {
      const std::size_t n = 1 + below(200);
      node.ask(std::string_view(bytes).substr(at, n));
      at += n;
      REQUIRE(node.in.size() <= node.node.request_bytes_max());
    }
    if (below(30) == 0) node.link = {};
    if (below(30) == 0) node.in.clear();
    node.now.seconds += static_cast<std::int64_t>(below(2));
    if (round % 50 == 0) REQUIRE(node.node.consistent());
  }
}
