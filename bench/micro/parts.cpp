// The parts of the request path, one by one: parsers, encoders, ring, namespaces.
#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "micro.hpp"
#include "policy/namespaces.hpp"
#include "tokenring/encode.hpp"
#include "tokenring/parse.hpp"
#include "tokenring/ring.hpp"

using namespace tokenring;
using tokenring::micro::Loop;

namespace {

constexpr std::string_view kGet = "get key:0123456789abcdef\r\n";
constexpr std::string_view kSet = "set key:0123456789abcdef 0 60 100\r\n";
constexpr std::string_view kMetaGet = "mg key:0123456789abcdef v t f k Oabc\r\n";

std::string get_of_10_keys() {
  std::string line = "get";
  for (int i = 0; i < 10; ++i) line += " key:" + std::to_string(1'000'000'000 + i);
  return line + "\r\n";
}

// ---- Parsing

// `look` is at the request, while it is there.
void parse_request_and(benchmark::State& state, const std::string& line, auto&& look) {
  Request request;
  const Loop loop(state);
  for (auto _ : state) {
    std::string_view in = line;
    benchmark::DoNotOptimize(in);
    const ParsedRequest parsed = tokenring::parse_request(in, request);
    if (parsed.kind != ParsedRequest::Kind::kRequest) state.SkipWithError("not parsed");
    look(request);
  }
}

void parse_request(benchmark::State& state, const std::string& line) {
  parse_request_and(state, line,
                    [](Request& request) { benchmark::DoNotOptimize(request.key.data()); });
}

// The keys of a get line are found when they are served.
void parse_request_and_keys(benchmark::State& state, const std::string& line) {
  parse_request_and(state, line, [](Request& request) {
    std::string_view keys = request.keys;
    for (std::string_view key = next_word(keys); !key.empty(); key = next_word(keys))
      benchmark::DoNotOptimize(key.data());
  });
}

void parse_reply(benchmark::State& state, const std::string& bytes) {
  Reply reply;
  const Loop loop(state);
  for (auto _ : state) {
    std::string_view in = bytes;
    benchmark::DoNotOptimize(in);
    const ParsedReply parsed = tokenring::parse_reply(in, 1 << 20, reply);
    if (parsed.kind != ParsedReply::Kind::kReply) state.SkipWithError("not parsed");
    benchmark::DoNotOptimize(reply.value.data());
  }
}

BENCHMARK_CAPTURE(parse_request, get, std::string(kGet))->Apply(micro::least);
BENCHMARK_CAPTURE(parse_request_and_keys, get_of_10, get_of_10_keys())->Apply(micro::least);
BENCHMARK_CAPTURE(parse_request, set, std::string(kSet))->Apply(micro::least);
BENCHMARK_CAPTURE(parse_request, mg, std::string(kMetaGet))->Apply(micro::least);
BENCHMARK_CAPTURE(parse_reply, VALUE,
                  "VALUE key:0123456789abcdef 0 100\r\n" + std::string(100, 'v') + "\r\n")
    ->Apply(micro::least);
BENCHMARK_CAPTURE(parse_reply, HD, std::string("HD O123456\r\n"))->Apply(micro::least);
BENCHMARK_CAPTURE(parse_reply, END, std::string("END\r\n"))->Apply(micro::least);

// ---- Encoding

void encode_request(benchmark::State& state, std::string_view line) {
  Request request;
  if (tokenring::parse_request(line, request).kind != ParsedRequest::Kind::kRequest)
    return state.SkipWithError("not parsed");
  std::array<char, 512> out;
  Plan plan{.node_key = request.key, .opaque = 123'456, .value_bytes = request.value_bytes};
  if (request.verb() == Verb::kSet) plan.ttl = Expiry::from_exptime(request.exptime);
  const Loop loop(state);
  for (auto _ : state) {
    benchmark::DoNotOptimize(request);  // Or what the loop does not change is taken out of it.
    benchmark::DoNotOptimize(plan);
    benchmark::DoNotOptimize(tokenring::encode_request(request, plan, out.data()));
    benchmark::ClobberMemory();
  }
}

ReplyContext context_of(Command command) {
  ReplyContext context;
  context.command = command;
  context.key = "key:0123456789abcdef";
  context.ends_get = command == Command::kGet;
  if (command == Command::kMetaGet) context.flags = "v t f k Oabc";
  return context;
}

void render_reply(benchmark::State& state, const std::string& bytes, ReplyContext context) {
  Reply reply;
  if (tokenring::parse_reply(bytes, 1 << 20, reply).kind != ParsedReply::Kind::kReply)
    return state.SkipWithError("not parsed");
  std::array<char, 512> out;
  const Loop loop(state);
  for (auto _ : state) {
    benchmark::DoNotOptimize(reply);
    benchmark::DoNotOptimize(context);
    const Rendered rendered = tokenring::render_reply(context, reply, out.data());
    if (rendered.kind == Rendered::Kind::kMismatch) state.SkipWithError("no reply to it");
    benchmark::DoNotOptimize(rendered.end);
    benchmark::ClobberMemory();
  }
}

BENCHMARK_CAPTURE(encode_request, get, kGet)->Apply(micro::least);
BENCHMARK_CAPTURE(encode_request, set, kSet)->Apply(micro::least);
BENCHMARK_CAPTURE(encode_request, mg, kMetaGet)->Apply(micro::least);
BENCHMARK_CAPTURE(render_reply, VALUE,
                  "VALUE key:0123456789abcdef 0 100\r\n" + std::string(100, 'v') + "\r\n",
                  context_of(Command::kGet))
    ->Apply(micro::least);
BENCHMARK_CAPTURE(render_reply, END, std::string("END\r\n"), context_of(Command::kGet))
    ->Apply(micro::least);
BENCHMARK_CAPTURE(render_reply, STORED, std::string("HD O123456\r\n"), context_of(Command::kSet))
    ->Apply(micro::least);
BENCHMARK_CAPTURE(render_reply, mg, "VA 100 t59 f0 O123456\r\n" + std::string(100, 'v') + "\r\n",
                  context_of(Command::kMetaGet))
    ->Apply(micro::least);

// ---- Where a key goes

// Keys that differ, so that no table's line stays in the nearest cache for being asked alone.
std::vector<std::string> many_keys() {
  std::vector<std::string> keys;
  for (int i = 0; i < 1024; ++i) keys.push_back("key:" + std::to_string(1'000'000'000 + i * 7919));
  return keys;
}

void owner_of(benchmark::State& state, Placement placement) {
  std::vector<NodeSpec> nodes;
  for (int i = 0; i < state.range(0); ++i)
    nodes.push_back({"10.0." + std::to_string(i / 250) + "." + std::to_string(i % 250) + ":11211"});
  const auto ring = Ring::make(nodes, {.placement = placement});
  if (!ring) return state.SkipWithError("no ring");
  const std::vector<std::string> keys = many_keys();
  std::size_t next = 0;
  const Loop loop(state);
  for (auto _ : state) benchmark::DoNotOptimize(ring->owner_of(keys[next++ % keys.size()]));
}

// As many services with their own prefix as state.range(0), and keys of all of them.
void find_namespace(benchmark::State& state) {
  const auto count = static_cast<std::size_t>(state.range(0));
  std::vector<Namespace> spaces(count + 1);
  for (std::size_t i = 0; i < count; ++i)
    spaces[i].prefix = "svc" + std::to_string(i * 7919 % 100'003) + ":session:";
  std::vector<std::string> keys;
  for (std::size_t i = 0; i < 1024; ++i)
    keys.push_back(spaces[i * 31 % count].prefix + std::to_string(i));
  const NamespaceTable table(std::move(spaces));
  std::size_t next = 0;
  const Loop loop(state);
  for (auto _ : state) {
    const Namespace* found = table.find(keys[next++ % keys.size()]);
    if (found == nullptr || found->prefix.empty()) state.SkipWithError("not found");
    benchmark::DoNotOptimize(found);
  }
}

void sizes(benchmark::internal::Benchmark* bench) {
  for (const int nodes : {3, 30, 300}) bench->Arg(nodes);
  micro::least(bench);
}
BENCHMARK_CAPTURE(owner_of, ketama, Placement::kKetama)->Apply(sizes);
BENCHMARK_CAPTURE(owner_of, libmemcached_weighted, Placement::kLibmemcachedWeighted)->Apply(sizes);
BENCHMARK(find_namespace)->Arg(1)->Arg(100)->Arg(4000)->Apply(micro::least);

}  // namespace

BENCHMARK_MAIN();
