#include "engine_rig.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/assert.hpp"
#include "tokenring/parse.hpp"
#include "unit/seal_keys.hpp"

#if __has_include(<valgrind/callgrind.h>)
#include <valgrind/callgrind.h>
#else
#define CALLGRIND_TOGGLE_COLLECT static_cast<void>(0)
#endif

namespace tokenring::cost {

namespace {

constexpr std::size_t kBytesMax = 65536;
constexpr std::size_t kHitBytes = 100;
const std::string kValue(kHitBytes, 'v');

struct Collecting {
  explicit Collecting(bool is_wanted) noexcept : wanted(is_wanted) {
    if (wanted) CALLGRIND_TOGGLE_COLLECT;
  }
  ~Collecting() {
    if (wanted) CALLGRIND_TOGGLE_COLLECT;
  }
  Collecting(const Collecting&) = delete;
  Collecting& operator=(const Collecting&) = delete;
  bool wanted;
};

std::shared_ptr<const Snapshot> make_snapshot(const EngineRigOptions& options) {
  auto made = std::make_shared<Snapshot>();
  std::vector<NodeSpec> nodes;
  for (unsigned i = 0; i < options.nodes; ++i) nodes.push_back({fmt::format("node-{}:11211", i)});
  made->pools.push_back({"default", nodes, Ring::make(nodes, {}).value(), {}, 0});
  Namespace space;
  if (options.near) {
    space.near = {.bytes = std::size_t{1} << 20, .ttl_ms = 60'000};
    made->near_epochs = std::make_shared<NearEpochs>(1, 1);
  }
  made->namespaces = NamespaceTable({space});
  if (!options.seals) return made;
  space.prefix = "h";
  space.life.max_age_s = 600;
  space.life.token_life = TokenLife::kFollow;
  space.seal.mode = SealMode::kRequire;
  space.seal.blind_keys = true;
  space.seal.compress = options.compresses;
  if (options.revokes) space.tokens.revocation = Revocation::kGeneration;
  made->namespaces = NamespaceTable({space, Namespace{}});
  made->keyring = Keyring::parse(seal_kit::kKeyFile, "keys").value();
  made->keys = NamespaceKeys::derive(*made->keyring, std::vector<std::string>{"h", ""});
  made->has_blind_keys = true;
  made->has_revocation = options.revokes;
  return made;
}

}  // namespace

EngineRig::EngineRig(const EngineRigOptions& options)
    : seals_(options.seals),
      engine_(make_snapshot(options),
              {.board = &board_, .counters = board_.of_worker.data(), .entropy = &entropy_}, now_),
      nodes_(options.nodes) {
  reply_.reserve(kBytesMax);
  for (Node& node : nodes_) {
    node.asked.reserve(kBytesMax);
    node.reply.reserve(kBytesMax);
  }
  turn();
  client_ = engine_.open_client();
}

std::size_t EngineRig::ask(std::string_view request) {
  for (Node& node : nodes_) node.was_asked = false;
  return exchange(request);
}

std::size_t EngineRig::ask_again(std::string_view request) {
  replays_ = true;
  const std::size_t size = exchange(request);
  replays_ = false;
  TR_ASSERT(size == reply_.size());
  return size;
}

std::size_t EngineRig::nodes_asked() const noexcept {
  return static_cast<std::size_t>(
      std::ranges::count_if(nodes_, [](const Node& node) { return node.was_asked; }));
}

template <typename Call>
auto EngineRig::in_engine(Call call) noexcept {
  const Collecting collecting(collects_);
  return call();
}

std::size_t EngineRig::exchange(std::string_view request) {
  const std::span<char> space = in_engine([&] { return engine_.client_space(client_); });
  TR_ASSERT(space.size() >= request.size());
  request.copy(space.data(), request.size());
  in_engine([&] { engine_.client_received(client_, request.size(), now_); });
  turn();
  std::size_t size = 0;
  std::array<std::string_view, 8> pieces;
  if (!replays_) reply_.clear();
  while (const std::size_t count =
             in_engine([&] { return engine_.client_output(client_, pieces); })) {
    std::size_t sent = 0;
    for (std::size_t i = 0; i < count; ++i) {
      sent += pieces[i].size();
      if (!replays_) reply_.append(pieces[i]);
    }
    in_engine([&] { engine_.client_sent(client_, sent); });
    size += sent;
  }
  return size;
}

// Turns as src/io/worker.cpp takes them, until nothing is left to do: all links are flushed before
// a node answers.
void EngineRig::turn() {
  in_engine([&] { engine_.resume(now_); });
  while (!engine_.outbox().empty()) {
    std::swap(work_, engine_.outbox());
    for (const LinkId id : work_.open_links) engine_.link_connected(id, now_);
    for (const LinkId id : work_.flush_links) take_asked(id);
    in_engine([&] { engine_.end_turn(now_); });
    for (const LinkId id : work_.flush_links) answer(id);
    work_.clear();
    in_engine([&] { engine_.resume(now_); });
  }
}

void EngineRig::take_asked(LinkId id) {
  Node& node = nodes_[id.index];
  std::array<std::string_view, 16> pieces;
  while (OutQueue* out = in_engine([&] { return engine_.link_output(id); })) {
    const std::size_t count = in_engine([&] { return out->front(pieces); });
    std::size_t sent = 0;
    for (std::size_t i = 0; i < count; ++i) {
      sent += pieces[i].size();
      if (!replays_) node.asked.append(pieces[i]);
    }
    in_engine([&] { out->consume(sent); });
  }
}

void EngineRig::answer(LinkId id) {
  Node& node = nodes_[id.index];
  if (!replays_) {
    node.was_asked = true;
    node.reply.clear();
    for (std::string_view in = node.asked; !in.empty();) answer_one(in, node.reply);
    node.asked.clear();
  }
  for (std::string_view rest = node.reply; !rest.empty();) {
    const std::span<char> space = in_engine([&] { return engine_.link_space(id); });
    const std::size_t n = rest.copy(space.data(), space.size());
    in_engine([&] { engine_.link_received(id, n, now_); });
    rest.remove_prefix(n);
  }
}

void EngineRig::answer_one(std::string_view& in, std::string& reply) {
  const std::size_t end = in.find("\r\n");
  TR_ASSERT(end != std::string_view::npos);
  std::string_view line = in.substr(0, end);
  in.remove_prefix(end + 2);
  const std::string_view command = next_word(line);
  if (command == "version")
    reply += "VERSION 1.6.18\r\n";
  else if (command == "mn")
    reply += "MN\r\n";
  else if (command == "get" || command == "gets")
    answer_get(command, line, reply);
  else
    answer_meta(command, line, in, reply);
}

std::string_view EngineRig::value_of(std::string_view key) const noexcept {
  if (!seals_) return kValue;
  return key == marker_key_ ? marker_ : stored_;
}

void EngineRig::answer_get(std::string_view command, std::string_view keys, std::string& reply) {
  const std::string_view cas = command == "gets" ? " 7" : "";
  for (std::string_view key = next_word(keys); !key.empty(); key = next_word(keys)) {
    if (!seals_ && key[0] != 'h') continue;
    const std::string_view value = value_of(key);
    const auto header = fmt::format_to_n(header_.data(), header_.size(), "VALUE {} 0 {}{}\r\n", key,
                                         value.size(), cas);
    reply.append(header_.data(), header.size).append(value).append("\r\n");
  }
  reply += "END\r\n";
}

void EngineRig::answer_meta(std::string_view command, std::string_view line, std::string_view& in,
                            std::string& reply) {
  std::string_view opaque = line.substr(std::min(line.rfind(" O"), line.size()));
  opaque = opaque.substr(0, opaque.find(' ', 1));
  if (command == "ms") {
    const std::string_view key = next_word(line);
    std::size_t size = 0;
    for (const char c : next_word(line)) size = size * 10 + static_cast<std::size_t>(c - '0');
    const bool is_marker = size == kMarkerBytes;
    if (is_marker) marker_key_ = key;
    (is_marker ? marker_ : stored_) = in.substr(0, size);
    in.remove_prefix(size + 2);
    reply.append(seals_ ? "HD c7" : "HD").append(opaque).append("\r\n");
  } else if (command == "ma") {
    reply.append("VA 1").append(opaque).append("\r\n5\r\n");
  } else if (command == "mg") {
    const std::string_view value = value_of(next_word(line));
    const auto header = fmt::format_to_n(header_.data(), header_.size(), "VA {}{}{}\r\n",
                                         value.size(), seals_ ? " f0 t-1 c7" : "", opaque);
    reply.append(header_.data(), header.size).append(value).append("\r\n");
  } else {
    reply.append("HD").append(opaque).append("\r\n");
  }
}

}  // namespace tokenring::cost
