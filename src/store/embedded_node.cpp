#include "store/embedded_node.hpp"

#include <algorithm>
#include <array>
#include <limits>

#include "store/command.hpp"

namespace tokenring {

namespace store {
namespace {

struct CommandRow {
  std::string_view name;
  Handler serve;
};

constexpr std::array kCommands = {
    CommandRow{"mg", serve_mg},
    CommandRow{"ms", serve_ms},
    CommandRow{"md", serve_md},
    CommandRow{"ma", serve_ma},
    CommandRow{"mn", serve_mn},
    CommandRow{"me", serve_me},
    CommandRow{"version", serve_version},
    CommandRow{"verbosity", serve_verbosity},
    CommandRow{"flush_all", serve_flush_all},
    CommandRow{"stats", serve_stats},
};

void serve_line(NodeState& node, Call& call) noexcept {
  if (call.tokens.size() == 0) return call.answer("ERROR");
  const auto row = std::find_if(kCommands.begin(), kCommands.end(), [&](const CommandRow& command) {
    return command.name == call.tokens[0];
  });
  if (row == kCommands.end()) return call.answer("ERROR");
  row->serve(node, call);
}

}  // namespace

void Call::answer(std::string_view line) noexcept {
  char* to = out.prepare(pool, line.size() + 2);
  std::memcpy(to, line.data(), line.size());
  std::memcpy(to + line.size(), "\r\n", 2);
  out.commit(line.size() + 2);
}

Refusal refusal_of_shape(const Tokens& tokens, Refusal too_many_flags) noexcept {
  if (tokens.size() < 2) return "ERROR";
  if (tokens[1].size() > kKeyBytesMax) return kBadFormat;
  if (tokens.size() > kMetaTokensMax) return too_many_flags;
  return {};
}

Refusal refusal_of_opaque(const MetaRequest& request) noexcept {
  if (request.opaque().size() <= kOpaqueBytesMax) return {};
  return "CLIENT_ERROR opaque token too long";
}

std::uint64_t new_cas(NodeState& node, const MetaRequest& request) noexcept {
  return request.has(Flag::kNewCas) ? request.number(Flag::kNewCas) : node.store.next_cas();
}

Echo echo_of(const Item& item, const MetaRequest& request, std::uint32_t now) noexcept {
  return {.key = request.key(),
          .binary_key = item.binary_key,
          .opaque = request.opaque(),
          .cas = item.cas,
          .size = item.value_size,
          .client_flags = item.client_flags,
          .deadline = item.deadline,
          .last_access = item.last_access,
          .fetched = item.fetched,
          .now = now};
}

Item* vivify(NodeState& node, const HashedKey& key, const MetaRequest& request,
             std::string_view value, std::uint32_t now) noexcept {
  Item* item = node.store.allocate(key, value.size(), nullptr, now);
  if (item == nullptr) return nullptr;
  std::copy(value.begin(), value.end(), item->value_bytes().begin());
  item->cas = new_cas(node, request);
  item->binary_key = request.has(Flag::kBase64Key);
  node.store.link(*item, node.store.place_for(key));
  return item;
}

}  // namespace store

namespace {

// What serve() finds at the front of its input.
struct Line {
  enum class State : std::uint8_t { kWhole, kPartial, kTooLong };
  State state;
  std::string_view text;  // Without its end.
  std::size_t bytes;      // With its end.
};

Line first_line(std::string_view in) noexcept {
  const std::size_t end = in.substr(0, EmbeddedNode::kLineBytesMax).find('\n');
  if (end == std::string_view::npos) {
    const bool too_long = in.size() >= EmbeddedNode::kLineBytesMax;
    return {too_long ? Line::State::kTooLong : Line::State::kPartial, {}, 0};
  }
  // As memcached: the return before a line's end is not part of it, but alone it is.
  const bool has_return = end > 1 && in[end - 1] == '\r';
  return {Line::State::kWhole, in.substr(0, has_return ? end - 1 : end), end + 1};
}

// Skips what is left of a refused value or line. Returns how many bytes that took.
std::size_t skip_refused(EmbeddedNode::Link& link, std::string_view in) noexcept {
  const auto skipped =
      static_cast<std::size_t>(std::min<std::uint64_t>(link.bytes_to_swallow, in.size()));
  link.bytes_to_swallow -= skipped;
  if (!link.in_long_line) return skipped;
  const std::size_t end = in.find('\n');
  link.in_long_line = end == std::string_view::npos;
  return link.in_long_line ? in.size() : end + 1;
}

std::uint32_t seconds_of(UnixTime now) noexcept {
  constexpr std::int64_t kMax = std::numeric_limits<std::uint32_t>::max();
  return static_cast<std::uint32_t>(std::clamp<std::int64_t>(now.seconds, 1, kMax));
}

}  // namespace

EmbeddedNode::EmbeddedNode(const StoreOptions& options)
    : state_{.options = options, .store = store::Store(options.bytes_max, options.hash_seed)} {}

std::size_t EmbeddedNode::serve(Link& link, std::string_view in, UnixTime now, OutQueue& out,
                                BufferPool& pool) noexcept {
  const std::uint32_t seconds = seconds_of(now);
  if (state_.flush_at != 0 && state_.flush_at <= seconds) {
    state_.flush_at = 0;
    state_.store.clear();
  }
  std::size_t done = 0;
  for (;;) {
    done += skip_refused(link, in.substr(done));
    if (done == in.size() || out.size() >= state_.options.reply_bytes_max) return done;
    const Line line = first_line(in.substr(done));
    if (line.state == Line::State::kPartial) return done;
    store::Call call{.tokens = store::Tokens(line.text),
                     .behind = in.substr(done + line.bytes),
                     .now = seconds,
                     .out = out,
                     .pool = pool};
    if (line.state == Line::State::kTooLong) {
      link.in_long_line = true;
      call.answer(store::kBadFormat);
      continue;
    }
    store::serve_line(state_, call);
    if (call.incomplete) return done;
    done += line.bytes + call.value_bytes;
    link.bytes_to_swallow = call.bytes_to_swallow;
  }
}

NodeStats EmbeddedNode::stats() const noexcept {
  NodeStats stats = state_.stats;
  stats.store = state_.store.stats();
  return stats;
}

}  // namespace tokenring
