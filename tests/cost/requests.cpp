// What callgrind counts: fixed requests through an engine, without sockets.
//   cost_requests           checks each reply and prints what this program was built with
//   cost_requests --whole   has callgrind collect what is not the engine, too, and who calls whom
// Under callgrind each row is a dump of its own, named in its trigger: run.py reads them.
#include <fmt/format.h>
#include <gnu/libc-version.h>

#include <string>
#include <string_view>
#include <vector>

#include "base/assert.hpp"
#include "engine_rig.hpp"

#if __has_include(<valgrind/callgrind.h>)
#include <valgrind/callgrind.h>
#else
#define CALLGRIND_ZERO_STATS static_cast<void>(0)
#define CALLGRIND_DUMP_STATS_AT(name) static_cast<void>(name)
#endif

using tokenring::cost::EngineRig;
using tokenring::cost::EngineRigOptions;

namespace {

constexpr int kWarmUp = 200;
constexpr int kRounds = 1000;

struct Row {
  const char* name;
  int requests;  // In one round.
  EngineRigOptions options;
  std::string before;  // Sent once.
  std::string request;
  std::string reply;
};

std::string repeated(std::string_view text, int times) {
  std::string all;
  for (int i = 0; i < times; ++i) all += text;
  return all;
}

// Looks like a token: letters and digits that do not repeat.
std::string token(std::size_t bytes) {
  constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  std::string text;
  for (std::uint32_t x = 1; text.size() < bytes; x = x * 1'664'525 + 1'013'904'223)
    text += kDigits[x >> 26];
  return text;
}

std::vector<Row> rows() {
  const std::string hundred(100, 'v');
  const std::string kib = token(1024);
  const std::string hit = "VALUE hit:0123456789abcdef 0 100\r\n" + hundred + "\r\n";
  std::string keys;
  std::string values;
  for (int i = 0; i < 10; ++i) {
    keys += fmt::format(" hit:{:016x}", i);
    values += fmt::format("VALUE hit:{:016x} 0 100\r\n{}\r\n", i, hundred);
  }
  return {
      {"get hit", 1, {.nodes = 4}, "", "get hit:0123456789abcdef\r\n", hit + "END\r\n"},
      {"get hit, 16 in flight",
       16,
       {.nodes = 4},
       "",
       repeated("get hit:0123456789abcdef\r\n", 16),
       repeated(hit + "END\r\n", 16)},
      {"get miss", 1, {.nodes = 4}, "", "get miss:0123456789abcdef\r\n", "END\r\n"},
      {"get of 10 keys, 4 nodes", 1, {.nodes = 4}, "", "get" + keys + "\r\n", values + "END\r\n"},
      {"set 100 B",
       1,
       {.nodes = 4},
       "",
       "set key:0123456789abcdef 0 60 100\r\n" + hundred + "\r\n",
       "STORED\r\n"},
      {"mg hit",
       1,
       {.nodes = 4},
       "",
       "mg hit:0123456789abcdef v Oabc\r\n",
       "VA 100 Oabc\r\n" + hundred + "\r\n"},
      {"sealed get 1 KiB",
       1,
       {.nodes = 4, .seals = true},
       "set hit:0123456789abcdef 0 60 1024\r\n" + kib + "\r\n",
       "get hit:0123456789abcdef\r\n",
       "VALUE hit:0123456789abcdef 0 1024\r\n" + kib + "\r\nEND\r\n"},
      {"revocable get 1 KiB",
       1,
       {.nodes = 4, .seals = true, .revokes = true},
       "set hit:{user42}:01234567 0 60 1024\r\n" + kib + "\r\n",
       "get hit:{user42}:01234567\r\n",
       "VALUE hit:{user42}:01234567 0 1024\r\n" + kib + "\r\nEND\r\n"},
      {"near get hit",
       1,
       {.nodes = 4, .near = true},
       "",
       "get hit:0123456789abcdef\r\n",
       hit + "END\r\n"},
      {"near get hit, 16 in flight",
       16,
       {.nodes = 4, .near = true},
       "get hit:0123456789abcdef\r\n",
       repeated("get hit:0123456789abcdef\r\n", 16),
       repeated(hit + "END\r\n", 16)},
      {"near revocable get 1 KiB",
       1,
       {.nodes = 4, .seals = true, .revokes = true, .near = true},
       "set hit:{user42}:01234567 0 60 1024\r\n" + kib + "\r\n",
       "get hit:{user42}:01234567\r\n",
       "VALUE hit:{user42}:01234567 0 1024\r\n" + kib + "\r\nEND\r\n"},
  };
}

void run(const Row& row, bool collects_whole) {
  EngineRig rig(row.options);
  if (!row.before.empty()) rig.ask(row.before);
  const auto ask = [&] {
    rig.ask(row.request);
    TR_ASSERT(rig.reply() == row.reply);
  };
  for (int i = 0; i < kWarmUp; ++i) ask();
  TR_ASSERT(row.request.find(" hit:0000000000000001") == std::string::npos ||
            rig.nodes_asked() == row.options.nodes);
  const std::string name = fmt::format("{}={}", row.name, kRounds * row.requests);
  CALLGRIND_ZERO_STATS;
  if (!collects_whole) rig.collect();
  for (int i = 0; i < kRounds; ++i) ask();
  CALLGRIND_DUMP_STATS_AT(name.c_str());
}

// Libraries choose their code by what the processor can do, which callgrind may see otherwise.
#if defined(__x86_64__)
std::string_view processor() {
  return __builtin_cpu_supports("avx2") ? "x86-64 with avx2" : "x86-64 without avx2";
}
bool has_aes() {
  return __builtin_cpu_supports("aes") && __builtin_cpu_supports("pclmul");
}
#else
std::string_view processor() {
  return "another processor";
}
bool has_aes() {
  return true;
}
#endif

}  // namespace

int main(int argc, char** argv) {
  const bool collects_whole = argc > 1 && std::string_view(argv[1]) == "--whole";
  fmt::print("{}, glibc {}, {}\n", TOKENRING_BUILD, ::gnu_get_libc_version(), processor());
  for (const Row& row : rows()) {
    if (row.options.seals && !has_aes())
      fmt::print("skipped: {}: no AES instructions\n", row.name);
    else
      run(row, collects_whole);
  }
  return 0;
}
