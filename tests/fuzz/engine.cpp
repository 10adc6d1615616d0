// The engine under any order of events and any bytes from both sides. The input's first byte
// chooses a configuration; then it is a program: an operation, a length, that many bytes, and so
// on. Nodes answer rightly where they are told to serve, else with whatever the input says.
//
// At the end nodes die, clients take what they are owed, and each must have got one reply to each
// of its requests, in order. Then all leave and nothing may be left.
#include <algorithm>
#include <array>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "base/assert.hpp"
#include "proxy/engine.hpp"
#include "store/embedded_node.hpp"
#include "wire/grammar.hpp"

using namespace tokenring;

namespace {

constexpr std::size_t kValueBytesMax = 2048;
constexpr std::size_t kClientsMax = 8;
constexpr unsigned kConfigurations = 16;

// Two pools, one of them capped; groups, windows and links differ by the bits of `choice`.
std::shared_ptr<const Snapshot> make_snapshot(unsigned choice) {
  auto snapshot = std::make_shared<Snapshot>();
  const std::vector<NodeSpec> nodes{{.address = "a:1"}, {.address = "b:1"}};
  PoolOptions options;
  options.on_failure = (choice & 1) != 0 ? OnFailure::kError : OnFailure::kMiss;
  const bool narrow = (choice & 8) != 0;
  if (narrow) options.on_node_down = OnNodeDown::kFailover;
  snapshot->pools.push_back({"default", nodes, Ring::make(nodes, {}).value(), options, 0});
  const std::vector<NodeSpec> others{{.address = "c:1"}};
  options.on_failure = OnFailure::kMiss;
  options.links_per_node = (choice & 2) != 0 ? 2 : 1;
  snapshot->pools.push_back({"capped", others, Ring::make(others, {}).value(), options, 2});
  const LifeRules capped{.ttl_cap_s = 60, .ttl_jitter = 0.1};
  const LifeRules defaulted{.ttl_cap_s = 1000, .ttl_default_s = 100};
  std::vector<Namespace> spaces{{.prefix = "c", .pool = 1, .life = capped, .coalesce = true},
                                {.prefix = "cd", .pool = 1, .life = defaulted},
                                {.prefix = "a", .pool = 0, .coalesce = (choice & 2) != 0}};
  if ((choice & 4) == 0) spaces.push_back({.prefix = "", .pool = 0});
  snapshot->namespaces = NamespaceTable(std::move(spaces));
  snapshot->limits.value_bytes_max = kValueBytesMax;
  snapshot->limits.requests_per_client_max = narrow ? 3 : 64;
  snapshot->limits.pending_per_backend_max = narrow ? 5 : 1000;
  snapshot->limits.output_bytes_per_client_max = narrow ? 4096 : 1 << 20;
  return snapshot;
}

std::shared_ptr<const Snapshot> snapshot_of(unsigned choice) {
  static std::array<std::shared_ptr<const Snapshot>, kConfigurations> made;
  auto& snapshot = made[choice % kConfigurations];
  if (snapshot == nullptr) snapshot = make_snapshot(choice % kConfigurations);
  return snapshot;
}

class Harness {
 public:
  explicit Harness(unsigned choice)
      : snapshot_(snapshot_of(choice)),
        engine_(snapshot_,
                {.board = &board_, .counters = board_.of_worker.data(), .requests_max = 16}, now_) {
    for (std::uint32_t i = 0; i < snapshot_->backend_count(); ++i)
      nodes_.push_back(std::make_unique<EmbeddedNode>(
          StoreOptions{.bytes_max = 64 << 10, .item_bytes_max = kValueBytesMax}));
    carry_out();
  }

  void run(unsigned operation, std::string_view bytes) {
    const std::size_t which = operation / 16;
    switch (operation % 16) {
      case 0:
        if (peers_.size() < kClientsMax) peers_.push_back({.id = engine_.open_client()});
        break;
      case 1:
      case 2:
        with_client(which, [&](Peer& peer) { receive(peer, bytes); });
        break;
      case 3:  // Long lines, values and gets.
        with_client(which, [&](Peer& peer) {
          for (int i = 0; i < 20; ++i) receive(peer, bytes);
        });
        break;
      case 4:  // Whole lines, so that short inputs ask for much.
        with_client(which, [&](Peer& peer) { receive(peer, std::string(bytes) + "\r\n"); });
        break;
      case 5:
        with_client(which, [&](Peer& peer) {
          peer.ended = true;
          engine_.client_ended(peer.id);
        });
        break;
      case 6:
        with_client(which, [&](Peer& peer) { lose(peer); });
        break;
      case 7:
        with_client(which, [&](Peer& peer) { take(peer, bytes.size() + 1); });
        break;
      case 8:
        with_link(which, [&](Pipe& pipe) { engine_.link_connected(pipe.id, now_); });
        break;
      case 9:  // The configuration changes.
        engine_.adopt(snapshot_of(static_cast<unsigned>(which)), now_);
        break;
      case 10:
        with_link(which, [&](Pipe& pipe) { answer(pipe, bytes); });
        break;
      case 11:
      case 12:
        with_link(which, [&](Pipe& pipe) { serve(pipe, SIZE_MAX); });
        break;
      case 13:
        with_link(which, [&](Pipe& pipe) { serve(pipe, bytes.size()); });
        break;
      case 14:
        with_link(which, [&](Pipe& pipe) { engine_.link_lost(pipe.id, now_); });
        break;
      default:
        now_.instant = now_.instant.plus_ms(static_cast<std::int64_t>(bytes.size()) * 20);
        engine_.tick(now_);
    }
    carry_out();
  }

  void finish() {
    // The end of a get that is served as it comes, for one.
    for (Peer& peer : peers_)
      if (!peer.gone) receive(peer, "\r\n");
    for (int i = 0; i < kRoundsMax && !settled(); ++i) {
      for (Pipe& pipe : pipes_) engine_.link_lost(pipe.id, now_);
      for (Peer& peer : peers_)
        while (take(peer, SIZE_MAX)) carry_out();
      carry_out();
    }
    TR_ASSERT(settled());
    for (Peer& peer : peers_) {
      if (!peer.gone) check(peer);
      if (!peer.gone && peer.ended) TR_ASSERT(engine_.client_is_done(peer.id));
      lose(peer);
    }
    for (int i = 0; i < 3; ++i) {
      for (Pipe& pipe : pipes_) engine_.link_lost(pipe.id, now_);
      carry_out();
    }
    TR_ASSERT(engine_.client_count() == 0);
    TR_ASSERT(engine_.in_flight() == 0);
    TR_ASSERT(engine_.slot_count() == 0);
    TR_ASSERT(engine_.pool().bytes_lent() == 0);
  }

 private:
  static constexpr int kRoundsMax = 10'000;

  struct Peer {
    ClientId id;
    bool gone = false;
    bool ended = false;         // Sends no more.
    std::string unread = {};    // Sent, and not taken by the engine yet.
    std::string sent = {};      // Taken.
    std::string received = {};  // All of it.
  };
  struct Pipe {
    LinkId id;
    std::uint32_t backend = 0;
    EmbeddedNode::Link state = {};
    std::string to_node = {};
    std::string to_proxy = {};
  };

  template <typename F>
  void with_client(std::size_t which, F&& f) {
    if (peers_.empty()) peers_.push_back({.id = engine_.open_client()});
    Peer& peer = peers_[which % peers_.size()];
    if (!peer.gone) f(peer);
  }
  template <typename F>
  void with_link(std::size_t which, F&& f) {
    f(pipes_[which % pipes_.size()]);
  }

  void receive(Peer& peer, std::string_view bytes) {
    if (peer.ended) return;
    peer.unread += bytes;
    feed(peer);
  }
  void feed(Peer& peer) {
    while (!peer.unread.empty()) {
      const std::span<char> space = engine_.client_space(peer.id);
      if (space.empty()) return;
      const std::size_t n = peer.unread.copy(space.data(), space.size());
      peer.sent.append(peer.unread, 0, n);
      peer.unread.erase(0, n);
      engine_.client_received(peer.id, n, now_);
    }
  }
  void lose(Peer& peer) {
    peer.gone = true;
    engine_.client_lost(peer.id);
  }
  // False when there is nothing to take.
  bool take(Peer& peer, std::size_t n) {
    std::array<std::string_view, 4> pieces;
    if (peer.gone || engine_.client_output(peer.id, pieces) == 0) return false;
    const std::string_view taken = pieces[0].substr(0, n);
    peer.received += taken;
    engine_.client_sent(peer.id, taken.size());
    return true;
  }
  void check(const Peer& peer) {
    if (peer.ended && !test::ends_between_requests(peer.sent, kValueBytesMax)) return;
    const auto wrong = test::replies_wrong(peer.sent, peer.received, kValueBytesMax, false);
    if (wrong) std::fprintf(stderr, "%s\n", wrong->c_str());
    TR_ASSERT(!wrong);
  }
  // Nobody is owed anything, and all input was taken where there is room for it.
  bool settled() {
    return engine_.in_flight() == 0 && std::all_of(peers_.begin(), peers_.end(), [&](Peer& peer) {
             if (peer.gone) return true;
             if (!engine_.client_is_settled(peer.id) || engine_.client_sendable(peer.id) > 0)
               return false;
             return peer.unread.empty() || engine_.client_is_done(peer.id);
           });
  }

  void answer(Pipe& pipe, std::string_view bytes) {
    while (!bytes.empty()) {
      const std::span<char> space = engine_.link_space(pipe.id);
      if (space.empty()) return;
      const std::size_t n = bytes.copy(space.data(), space.size());
      engine_.link_received(pipe.id, n, now_);
      bytes.remove_prefix(n);
    }
  }
  // The node does all that it was asked, and `n` bytes of what it says arrive.
  void serve(Pipe& pipe, std::size_t n) {
    engine_.link_connected(pipe.id, now_);
    std::array<std::string_view, 1> piece;
    while (OutQueue* out = engine_.link_output(pipe.id)) {
      static_cast<void>(out->front(piece));
      pipe.to_node += piece[0];
      out->consume(piece[0].size());
    }
    OutQueue replies;
    EmbeddedNode& node = *nodes_[pipe.backend];
    pipe.to_node.erase(0,
                       node.serve(pipe.state, pipe.to_node, now_.unix_time, replies, node_pool_));
    while (!replies.empty()) {
      static_cast<void>(replies.front(piece));
      pipe.to_proxy += piece[0];
      replies.consume(piece[0].size());
    }
    n = std::min(n, pipe.to_proxy.size());
    const std::string arriving = pipe.to_proxy.substr(0, n);
    pipe.to_proxy.erase(0, n);
    answer(pipe, arriving);
  }

  void carry_out() {
    engine_.resume(now_);
    while (!engine_.outbox().empty()) {
      Outbox work;
      std::swap(work, engine_.outbox());
      for (const LinkId id : work.open_links) {
        if (id.index >= pipes_.size()) pipes_.resize(id.index + 1);
        pipes_[id.index] = Pipe{.id = id, .backend = engine_.link_backend(id)};
      }
      for (const ClientId id : work.read_clients)
        for (Peer& peer : peers_)
          if (!peer.gone && peer.id == id) feed(peer);
      engine_.resume(now_);
    }
  }

  CounterBoard board_{1};
  Now now_{.unix_time = {1'790'000'000}, .instant = {1}};
  std::shared_ptr<const Snapshot> snapshot_;
  BufferPool node_pool_;
  std::vector<std::unique_ptr<EmbeddedNode>> nodes_;
  Engine engine_;
  std::vector<Peer> peers_;
  std::vector<Pipe> pipes_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  if (size == 0) return 0;
  Harness harness(data[0]);
  ++data;
  --size;
  while (size >= 2) {
    const unsigned operation = data[0];
    const std::size_t length = std::min<std::size_t>(data[1], size - 2);
    harness.run(operation, {reinterpret_cast<const char*>(data) + 2, length});
    data += 2 + length;
    size -= 2 + length;
  }
  harness.finish();
  return 0;
}
