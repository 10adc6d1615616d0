// Links' lives: connect, check the version, serve, fail, and try again.
//
// (A link whose node left the configuration retires: see engine_adopt.cpp.)
//
//   kConnecting --connected, version good--> kUp --lost--> kConnecting
//        |                                    ^             |
//        +--failed--> kDown --retry_at--> kProbing --failed-+--> kDown
//
// Requests queue while a link connects; while it is down or probed they fail at once.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "proxy/engine.hpp"

namespace tokenring {

namespace {

constexpr std::size_t kShownBytesMax = 60;

// What stands in place of a version: the first line, or what there is of one, as it prints.
std::string no_version(std::string_view said) {
  said = said.substr(0, std::min(said.find_first_of("\r\n"), kShownBytesMax));
  std::string text;
  for (const char c : said) text += c >= ' ' && c <= '~' ? c : '?';
  return fmt::format("did not answer version: \"{}\"", text);
}

}  // namespace

Link* Engine::find_link(LinkId id) noexcept {
  if (id.index >= links_.size()) return nullptr;
  Link& link = links_[id.index];
  return link.generation == id.generation ? &link : nullptr;
}

LinkId Engine::id_of(const Link& link) const noexcept {
  return {static_cast<std::uint32_t>(&link - links_.data()), link.generation};
}

void Engine::open(Link& link) noexcept {
  link.state = link.failures == 0 ? Link::State::kConnecting : Link::State::kProbing;
  link.greeted = link.flushing = false;
  link.timeouts = 0;
  link.needed = 0;
  link.trouble.clear();
  link.connect_deadline = now_.instant.plus_ms(link.connect_timeout_ms);
  ++link.generation;
  outbox_.open_links.push_back(id_of(link));
}

bool Engine::wants_link(LinkId id) noexcept {
  const Link* link = find_link(id);
  return link != nullptr && link->is_connected();
}

void Engine::link_connected(LinkId id, Now now) noexcept {
  now_ = now;
  Link* link = find_link(id);
  if (link == nullptr || !link->is_connected() || link->greeted) return;
  link->greeted = true;
  link->greeting.append(pool_, "version\r\n");
  mark_dirty(*link);
}

void Engine::link_lost(LinkId id, Now now, std::string_view why) noexcept {
  now_ = now;
  Link* link = find_link(id);
  if (link == nullptr || !link->is_connected()) return;
  const bool was_up = link->state == Link::State::kUp;
  link->trouble = why;
  if (!was_up && link->greeted && !link->in.empty()) link->trouble = no_version(link->in.view());
  fail_link(*link, was_up ? WireError::kNodeLost : WireError::kNodeDown);
}

// Ends the connection. All that is in flight fails, none of it is repeated: the node may have done
// it.
void Engine::fail_link(Link& link, WireError error) noexcept {
  count(Counter::kNodeErrors);
  outbox_.close_links.push_back(id_of(link));
  const bool was_up = link.state == Link::State::kUp;
  if (error == WireError::kNodeBadReply)
    link.count(NodeTally::kBadReplies);
  else
    link.count(was_up ? NodeTally::kLost : NodeTally::kConnectErrors);
  link.state = Link::State::kDown;
  link.in.reset();
  link.out.clear();
  link.line_bytes = 0;
  link.unchecked = false;
  link.greeting.clear();
  link.timeouts = 0;
  link.dirty = false;  // A flush that is still listed names the old generation.
  while (link.first_slot != kNoSlot) {
    const std::uint32_t index = link.first_slot;
    link.missed_writes |= slots_[index].writes();
    fail(index, error);
    pop_front(link);
  }
  if (link.retiring) {
    remember_missed(link);
    ++link.generation;
    link.state = Link::State::kUnused;
    return;
  }
  // A connection that worked is made again at once, unless the node had stopped answering on it or
  // keeps ending it soon; after that with growing pauses, cut short at random so that workers and
  // proxies do not beat as one.
  const bool lasted = was_up && now_.instant >= link.up_since.plus_ms(kSteadyMs);
  if (lasted) link.failures = 0;
  if (was_up && link.failures == 0 && error == WireError::kNodeLost) {
    open(link);
    link.failures = lasted ? 0 : 1;
    return;
  }
  const bool is_stranger = !was_up && error == WireError::kNodeBadReply;
  if (!std::exchange(link.told_down, true))
    tell(NodeEvent::Kind::kDown, link, is_stranger ? WireError::kNodeDown : error);
  const auto doubled = kRetryFirstMs << std::min<std::uint32_t>(link.failures, 8);
  const auto pause_ms = std::max<std::int64_t>(2, std::min(link.retry_max_ms, doubled));
  ++link.failures;
  link.retry_at = now_.instant.plus_ms(
      pause_ms / 2 +
      static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(pause_ms / 2 + 1)));
  ++link.generation;  // Nothing that the old connection still says counts.
}

std::span<char> Engine::link_space(LinkId id) noexcept {
  Link* link = find_link(id);
  if (link == nullptr || !link->is_connected()) return {};
  if (link->in.empty()) {
    link->in.reset();
    if (link->large_bytes == 0) return {scratch_.get(), kScratchBytes};
  }
  // A large value has a buffer to itself, made as large as it will be, for links are few; beyond
  // 1 MiB it grows with what has come. What ends its reply is read with it.
  const std::size_t held = link->in.size();
  const std::size_t expected = std::max(link->needed, link->large_bytes);
  std::size_t want = kScratchBytes;
  if (expected > std::max(held, kMoveBytes))
    want = std::min(expected - held + kTailBytesMax, std::max(held, kWholeBytesMax));
  link->in.reserve(pool_, want);
  return link->in.space().first(want);
}

void Engine::link_received(LinkId id, std::size_t n, Now now) noexcept {
  now_ = now;
  Link* found = find_link(id);
  if (found == nullptr) return;
  Link& link = *found;
  std::string_view in(scratch_.get(), n);
  const bool buffered = link.in.owns();
  if (buffered) {
    link.in.commit(n);
    in = link.in.view();
  }
  if (in.size() < link.needed) return;
  heard_backend_ = link.retiring ? SealEvent::kNoBackend : link.backend;
  link.timeouts = 0;
  link.needed = 0;
  std::size_t used = 0;
  Buffer rest;
  while (used < in.size()) {
    Reply reply;
    const ParsedReply parsed =
        parse_reply(in.substr(used), snapshot_->limits.value_bytes_max, reply);
    if (parsed.kind == ParsedReply::Kind::kIncomplete) {
      link.needed = parsed.needed;
      if (parsed.needed > kMoveBytes) link.large_bytes = parsed.needed;
      break;
    }
    used += parsed.consumed;
    Buffer* whole = nullptr;
    if (reply.value.size() > kMoveBytes) {
      link.large_bytes = parsed.consumed;
      // It leaves in its buffer, and what little follows it gets another one.
      if (buffered && in.size() - used <= kTailBytesMax) {
        whole = &link.in;
        if (used < in.size()) rest = pool_.take(in.size() - used);
        rest.append(in.substr(used));
        link.in.drop_back(in.size() - used);
      }
    } else if (!reply.value.empty()) {
      link.large_bytes = 0;  // What has no value tells nothing of the next one.
    }
    if (parsed.kind == ParsedReply::Kind::kMalformed || !deliver(link, reply, whole)) {
      count(Counter::kOutOfStep);
      if (link.state != Link::State::kUp)
        link.trouble = no_version(in.substr(used - parsed.consumed));
      fail_link(link, WireError::kNodeBadReply);
      return;
    }
    if (!link.is_connected()) return;  // Refused for its version, or retired.
    if (whole != nullptr) {
      link.in = std::move(rest);
      in = link.in.view();
      used = 0;
    }
  }
  if (buffered) {
    link.in.consume(std::min(used, link.in.size()));
    if (link.in.empty()) link.in.reset();
  } else if (used < in.size()) {
    link.in = pool_.take(in.size() - used);
    link.in.append(in.substr(used));
  }
}

// Nodes before 1.6 do not speak meta; those before 1.6.18 leave the opaque out of a miss.
void Engine::read_version(Link& link, const Reply& reply) noexcept {
  int part[3] = {0, 0, 0};
  const char* at = reply.rest.data();
  const char* const end = at + reply.rest.size();
  for (int& number : part) {
    const auto result = std::from_chars(at, end, number);
    at = result.ptr;
    if (at == end || *at != '.') break;
    ++at;
  }
  if (part[0] < 1 || (part[0] == 1 && part[1] < 6)) {
    link.too_old = true;
    fail_link(link, WireError::kNodeTooOld);
    return;
  }
  link.too_old = false;
  link.bare_misses = part[0] == 1 && part[1] == 6 && part[2] < 18;
  if (!link.flush_on_rejoin || !link.missed_writes) return come_up(link);
  link.flushing = true;
  // Requests wait for it from now on: what still went past the node would be flushed by nothing.
  link.state = Link::State::kConnecting;
  link.greeting.append(pool_, "flush_all\r\n");
  mark_dirty(link);
}

void Engine::come_up(Link& link) noexcept {
  link.count(NodeTally::kConnects);
  if (link.flushing) {
    count(Counter::kRejoinFlushes);
    link.count(NodeTally::kFlushes);
    tell(NodeEvent::Kind::kFlushed, link, WireError::kError);
  }
  link.flushing = link.missed_writes = false;
  link.state = Link::State::kUp;
  link.up_since = now_.instant;
  count(Counter::kNodeConnects);
  if (std::exchange(link.told_down, false)) tell(NodeEvent::Kind::kUp, link, WireError::kError);
  if (!link.out.empty()) mark_dirty(link);
}

void Engine::tell(NodeEvent::Kind kind, const Link& link, WireError why) noexcept {
  if (link.retiring) return;
  const bool is_down = kind == NodeEvent::Kind::kDown;
  outbox_.node_events.push_back({kind, link.backend, why, is_down ? link.trouble : std::string()});
}

OutQueue* Engine::link_output(LinkId id) noexcept {
  Link* link = find_link(id);
  if (link == nullptr) return nullptr;
  link->dirty = false;
  if (!link->is_connected() || !link->greeted) return nullptr;
  if (!link->greeting.empty()) return &link->greeting;
  if (link->state != Link::State::kUp || link->out.empty()) return nullptr;
  if (link->unchecked || link->line_bytes > 0) close_batch(*link);
  ++departures_;
  return &link->out;
}

// A text read's reply is known by its key if it is a hit, but not if it is a miss. So what is sent
// at once ends with an mn, whose MN has to come in just this place.
void Engine::close_batch(Link& link) noexcept {
  end_get_line(link);
  if (link.last_slot != kNoSlot && slots_[link.last_slot].closes_batch) return;
  const std::uint32_t index = slots_.insert().index;
  slots_[index].closes_batch = true;
  slots_[index].plain_reply = true;
  link.out.append(pool_, "mn\r\n");
  link.unchecked = false;
  await(link, index);
}

// Requests whose time is up fail; their slots stay in the FIFO for the late answers. A node that
// lets several expire without a word is given up.
void Engine::expire_requests(Link& link) noexcept {
  const auto is_over = [&](const Slot& slot) {
    return slot.sent.plus_ms(link.request_timeout_ms) <= now_.instant;
  };
  while (link.first_live != kNoSlot && is_over(slots_[link.first_live])) {
    const std::uint32_t index = link.first_live;
    link.first_live = slots_[index].next_in_link;
    count(Counter::kNodeTimeouts);
    link.count(NodeTally::kTimeouts);
    ++link.timeouts;
    fail(index, WireError::kNodeTimeout);
  }
  if (link.timeouts >= link.timeouts_to_down) fail_link(link, WireError::kNodeTimeout);
}

}  // namespace tokenring
