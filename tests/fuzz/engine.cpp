// The engine under any order of events and any bytes from both sides. The input is a program: an
// operation, a length, that many bytes, and so on. At the end all leave and nothing may be left.
#include <algorithm>
#include <array>
#include <memory>
#include <vector>

#include "base/assert.hpp"
#include "proxy/engine.hpp"

using namespace tokenring;

namespace {

std::shared_ptr<const Snapshot> snapshot_of_two_nodes() {
  static const auto kSnapshot = [] {
    auto snapshot = std::make_shared<Snapshot>();
    const std::vector<NodeSpec> nodes{{.address = "a:1"}, {.address = "b:1"}};
    PoolOptions options;
    options.on_failure = OnFailure::kError;
    snapshot->pools.push_back({"default", nodes, Ring::make(nodes, {}).value(), options, 0});
    Namespace everything;
    Namespace capped;
    capped.prefix = "c";
    capped.life.ttl_cap_s = 60;
    snapshot->namespaces = NamespaceTable({everything, capped});
    snapshot->limits.value_bytes_max = 2048;
    snapshot->limits.requests_per_client_max = 64;
    return snapshot;
  }();
  return kSnapshot;
}

class Harness {
 public:
  Harness()
      : engine_(snapshot_of_two_nodes(), {.board = &board_, .counters = board_.of_worker.data()},
                now_) {
    carry_out();
  }

  void run(unsigned operation, std::string_view bytes) {
    const std::size_t which = operation / 16;
    switch (operation % 16) {
      case 0:
        clients_.push_back(engine_.open_client());
        break;
      case 1:
      case 2:
      case 3:
      case 4:
        with_client(which, [&](ClientId id) { receive(id, bytes); });
        break;
      case 5:
        with_client(which, [&](ClientId id) { engine_.client_ended(id); });
        break;
      case 6:
        with_client(which, [&](ClientId id) { engine_.client_lost(id); });
        break;
      case 7:
        with_client(which, [&](ClientId id) { send(id, bytes.size()); });
        break;
      case 8:
        with_link(which, [&](LinkId id) { engine_.link_connected(id, now_); });
        break;
      case 9:
        with_link(which, [&](LinkId id) { answer(id, "VERSION 1.6.18\r\n"); });
        break;
      case 10:
      case 11:
      case 12:
        with_link(which, [&](LinkId id) { answer(id, bytes); });
        break;
      case 13:
        with_link(which, [&](LinkId id) { engine_.link_lost(id, now_); });
        break;
      case 14:
        with_link(which, [&](LinkId id) { drain(id); });
        break;
      default:
        now_.instant = now_.instant.plus_ms(static_cast<std::int64_t>(bytes.size()) * 20);
        engine_.tick(now_);
    }
    carry_out();
  }

  void finish() {
    for (const ClientId id : clients_) engine_.client_lost(id);
    // Without clients no link is used again: what is in flight fails and nothing follows it.
    for (int i = 0; i < 3; ++i) {
      for (const LinkId id : std::vector<LinkId>(links_)) engine_.link_lost(id, now_);
      carry_out();
    }
    TR_ASSERT(engine_.client_count() == 0);
    TR_ASSERT(engine_.in_flight() == 0);
    TR_ASSERT(engine_.slot_count() == 0);
    TR_ASSERT(engine_.pool().bytes_lent() == 0);
  }

 private:
  template <typename F>
  void with_client(std::size_t which, F&& f) {
    if (!clients_.empty()) f(clients_[which % clients_.size()]);
  }
  template <typename F>
  void with_link(std::size_t which, F&& f) {
    if (!links_.empty()) f(links_[which % links_.size()]);
  }

  void receive(ClientId id, std::string_view bytes) {
    while (!bytes.empty()) {
      const std::span<char> space = engine_.client_space(id);
      if (space.empty()) return;
      const std::size_t n = bytes.copy(space.data(), space.size());
      engine_.client_received(id, n, now_);
      bytes.remove_prefix(n);
    }
  }
  void answer(LinkId id, std::string_view bytes) {
    const std::span<char> space = engine_.link_space(id);
    if (space.empty() || bytes.empty()) return;
    engine_.link_received(id, bytes.copy(space.data(), space.size()), now_);
  }
  void send(ClientId id, std::size_t n) {
    std::array<std::string_view, 4> pieces;
    const std::size_t count = engine_.client_output(id, pieces);
    if (count > 0) engine_.client_sent(id, std::min(n + 1, pieces[0].size()));
  }
  void drain(LinkId id) {
    while (OutQueue* out = engine_.link_output(id)) out->consume(out->size());
  }
  void carry_out() {
    engine_.resume(now_);
    for (const LinkId id : engine_.outbox().open_links) {
      if (id.index >= links_.size()) links_.resize(id.index + 1);
      links_[id.index] = id;
    }
    engine_.outbox().clear();
  }

  CounterBoard board_{1};
  Now now_{.unix_time = {1'790'000'000}, .instant = {1}};
  Engine engine_;
  std::vector<ClientId> clients_;
  std::vector<LinkId> links_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  Harness harness;
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
