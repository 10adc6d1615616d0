// Several proxies before the same nodes, and clients that race: what was revoked, used up, seen,
// deleted, written over or past its life stays so for every read that begins after the answer,
// whatever fails meanwhile. In some seeds the proxies are workers of one process, which keep
// what they read.
#include <fmt/format.h>

#include <array>
#include <cstdlib>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "answer.hpp"
#include "random.hpp"
#include "seeds.hpp"
#include "store/embedded_node.hpp"
#include "unit/seal_keys.hpp"
#include "unit/seeded_entropy.hpp"
#include "wire/drained.hpp"
#include "wire/rig.hpp"

namespace tokenring::sim {

namespace {

using seal_kit::SeededEntropy;

constexpr unsigned kNodes = 2;
constexpr unsigned kProxies = 3;
constexpr unsigned kClients = 2;  // Of each proxy.
constexpr unsigned kGroups = 2;
constexpr unsigned kKeys = 2;  // Of each group.
constexpr unsigned kSteps = 600;
constexpr std::int64_t kGuardS = 20;
constexpr std::int64_t kMaxAgeS = 2;
constexpr std::int64_t kTtlS = 4;
constexpr std::int64_t kTicketS = 10;
constexpr std::uint64_t kNever = UINT64_MAX;

enum class Promise { kRevocable, kNotBefore, kOnce, kReplay, kGuarded };
constexpr std::array kPromises{Promise::kRevocable, Promise::kNotBefore, Promise::kOnce,
                               Promise::kReplay, Promise::kGuarded};

TokenRules rules_of(Promise promise) {
  switch (promise) {
    case Promise::kRevocable:
      return {.revocation = Revocation::kGeneration};
    case Promise::kNotBefore:
      return {.revocation = Revocation::kNotBefore};
    case Promise::kOnce:
      return {.one_time = true};
    case Promise::kReplay:
      return {.replay_guard = true};
    case Promise::kGuarded:
      return {.fill_guard_s = kGuardS};
  }
  return {};
}

// What a client has asked for and was answered. Times are steps, but where they are seconds.
struct Op {
  enum class Kind { kRead, kWrite, kDelete, kRevoke };
  Kind kind = Kind::kRead;
  unsigned group = 0;
  unsigned key = 0;
  unsigned who = 0;
  std::uint64_t began = 0;
  std::uint64_t acked = kNever;  // With success.
  std::int64_t acked_s = 0;
  std::uint64_t read_acked = kNever;  // kWrite: of the read that it fills after.
  bool is_fill = false;               // kWrite: or may be taken for one.
  std::int64_t ttl_s = 0;             // kWrite: 0 for ever.
  std::uint64_t delivered = 0;        // kWrite: how often its value was given out.
};

class Races {
 public:
  explicit Races(std::uint64_t seed)
      : random_(seed),
        promise_(kPromises[seed % kPromises.size()]),
        forgets_(promise_ == Promise::kRevocable || promise_ == Promise::kOnce),
        tags_choose_(random_.one_in(2)),
        ages_(promise_ != Promise::kReplay && random_.one_in(3)),
        shares_(promise_ != Promise::kOnce && random_.one_in(2)),
        keeps_(promise_ != Promise::kOnce && random_.one_in(2)) {
    for (auto& node : nodes_) node = fresh_node();
    for (unsigned p = 0; p < kProxies; ++p) {
      entropies_.push_back(std::make_unique<SeededEntropy>(seed * kProxies + p));
      proxies_.push_back(std::make_unique<test::Rig>(options(*entropies_.back())));
    }
  }

  // What is wrong; empty: nothing.
  std::string run() {
    for (step_ = 1; step_ <= kSteps && wrong_.empty(); ++step_) take_step(step_ < kSteps * 3 / 4);
    // All that is under way comes to its end.
    for (unsigned i = 0; i < 200 && wrong_.empty(); ++i, ++step_) {
      for (unsigned p = 0; p < kProxies; ++p)
        for (unsigned n = 0; n < kNodes; ++n) exchange(p, n);
      advance(50);
      for (unsigned c = 0; c < kProxies * kClients; ++c) finish(c);
    }
    if (wrong_.empty() && pending_count() > 0) wrong_ = "a request was never answered";
    for (auto& proxy : proxies_) {
      proxy->leave();
      if (!wrong_.empty()) break;
      if (proxy->engine().slot_count() + proxy->engine().sealing_count() > 0)
        wrong_ = "a slot was left behind";
    }
    return wrong_;
  }

  [[nodiscard]] std::uint64_t checked() const noexcept { return checked_; }
  [[nodiscard]] std::uint64_t kept() const {
    std::uint64_t kept = 0;
    for (const auto& proxy : proxies_)
      kept += proxy->snapshot().tallies->spaces.sum(0, SpaceTally::kNearHits);
    return kept;
  }

 private:
  struct Client {
    bool busy = false;
    std::size_t op = 0;
    std::array<std::uint64_t, kGroups * kKeys> read_acked{};
    std::array<std::int64_t, kGroups * kKeys> read_acked_s{};
  };

  std::shared_ptr<EmbeddedNode> fresh_node() const {
    return std::make_shared<EmbeddedNode>(StoreOptions{.bytes_max = std::size_t{8} << 20});
  }

  test::RigOptions options(Entropy& entropy) const {
    test::RigOptions made;
    made.nodes = kNodes;
    made.entropy = &entropy;
    made.pool.request_timeout_ms = 300;
    made.pool.on_node_down =
        promise_ == Promise::kRevocable ? OnNodeDown::kFailover : OnNodeDown::kAsFailure;
    made.adjust = [this](Snapshot& snapshot) {
      snapshot.keyring = Keyring::parse(seal_kit::kKeyFile, "keys").value();
      Namespace space;
      space.seal.mode = SealMode::kRequire;
      space.seal.blind_keys = true;
      space.tokens = rules_of(promise_);
      space.coalesce = shares_;
      if (ages_) space.life.max_age_s = kMaxAgeS;
      if (keeps_) space.near = {.bytes = std::size_t{1} << 16, .ttl_ms = 60'000};
      if (keeps_) snapshot.near_epochs = epochs_;
      snapshot.namespaces = NamespaceTable({space});
      snapshot.tallies = make_tallies(1, snapshot, nullptr);
      snapshot.keys = NamespaceKeys::derive(*snapshot.keyring, std::vector<std::string>{""});
      snapshot.has_blind_keys = true;
      snapshot.has_revocation = space.tokens.revokes();
      Pool& pool = snapshot.pools[0];
      pool.ring = Ring::make(pool.nodes, {.hash_tag = tags_choose_ ? "{}" : ""}).value();
    };
    return made;
  }

  void take_step(bool begins) {
    const unsigned p = static_cast<unsigned>(random_.below(kProxies));
    const unsigned n = static_cast<unsigned>(random_.below(kNodes));
    switch (random_.below(16)) {
      case 0:
        advance(static_cast<std::int64_t>(random_.below(400)));
        break;
      case 1:
        if (random_.one_in(4)) trouble(p, n);
        break;
      case 2:
      case 3:
      case 4:
      case 5:
      case 6:
        if (begins) begin(static_cast<unsigned>(random_.below(kProxies * kClients)));
        break;
      default:
        exchange(p, n);
    }
    for (unsigned c = 0; c < kProxies * kClients; ++c) finish(c);
  }

  void advance(std::int64_t ms) {
    for (auto& proxy : proxies_) proxy->advance(ms);
  }
  [[nodiscard]] std::int64_t now_s() { return proxies_[0]->now().unix_time.seconds; }

  // The node serves what came, and its answers arrive, or some time later.
  void exchange(unsigned p, unsigned n) {
    test::Rig& rig = *proxies_[p];
    std::string& late = late_[p][n];
    // What was under way on a connection ends with it.
    if (std::exchange(late_of_[p][n], rig.node(n).connections.size()) !=
        rig.node(n).connections.size())
      late.clear();
    if (!late.empty() && rig.node(n).connected) {
      rig.node_send(n, std::exchange(late, {}));
      rig.turn();
    }
    std::string& inbox = rig.node(n).inbox;
    std::string replies;
    while (true) {
      OutQueue out;
      const std::size_t done = nodes_[n]->serve(inbox, {now_s()}, out, pool_);
      replies += drained(out);
      if (done == 0) break;
      note_keys(std::string_view(inbox).substr(0, done), n);
      inbox.erase(0, done);
    }
    if (replies.empty()) return;
    if (random_.one_in(3)) {
      late += replies;
      return;
    }
    rig.node_send(n, replies);
    rig.turn();
  }

  void note_keys(std::string_view request, unsigned n) {
    if (!request.starts_with("ms ")) return;
    request.remove_prefix(3);
    stored_[n].insert(std::string(request.substr(0, request.find(' '))));
  }

  void lose_link(unsigned p, unsigned n) {
    test::Rig& rig = *proxies_[p];
    rig.node(n).inbox.clear();
    late_[p][n].clear();
    if (rig.node(n).connected) rig.node_close(n);
    rig.turn();
  }

  void trouble(unsigned p, unsigned n) {
    switch (random_.below(forgets_ ? 4 : 2)) {
      case 0:  // What was sent was served, or not; no answer comes.
        if (random_.one_in(2)) serve_in_vain(p, n);
        [[fallthrough]];
      case 1:
        lose_link(p, n);
        break;
      case 2:  // The node restarts, and has nothing.
        nodes_[n] = fresh_node();
        stored_[n].clear();
        for (unsigned each = 0; each < kProxies; ++each) lose_link(each, n);
        break;
      default:  // Something is evicted. (A marker that revoked just now could not be told from
                // none.)
        if (stored_[n].empty() || now_s() < revoked_s_ + 12) break;
        auto it = stored_[n].begin();
        std::advance(it, static_cast<std::ptrdiff_t>(random_.below(stored_[n].size())));
        OutQueue out;
        EmbeddedNode::Link link;
        static_cast<void>(
            nodes_[n]->serve(link, fmt::format("md {}\r\n", *it), {now_s()}, out, pool_));
        stored_[n].erase(it);
        out.clear();
    }
  }

  void serve_in_vain(unsigned p, unsigned n) {
    std::string& inbox = proxies_[p]->node(n).inbox;
    OutQueue out;
    while (const std::size_t done = nodes_[n]->serve(inbox, {now_s()}, out, pool_))
      inbox.erase(0, done);
    out.clear();
  }

  void begin(unsigned c) {
    Client& client = clients_[c];
    if (client.busy) return;
    Op op;
    op.group = static_cast<unsigned>(random_.below(kGroups));
    op.key = static_cast<unsigned>(random_.below(kKeys));
    op.began = step_;
    op.who = c;
    const std::size_t number = ops_.size();
    const std::string key = fmt::format("{{g{}}}:{}", op.group, op.key);
    const unsigned place = op.group * kKeys + op.key;
    std::string request;
    switch (random_.below(promise_ == Promise::kReplay ? 8 : 10)) {
      case 0:
      case 1:
      case 2:
      case 3:
      case 4:
        request = fmt::format("get {}\r\n", key);
        break;
      case 9: {
        const bool revokes = rules_of(promise_).revokes() && random_.one_in(2);
        op.kind = revokes ? Op::Kind::kRevoke : Op::Kind::kDelete;
        request = revokes ? fmt::format("delete {{g{}}}\r\n", op.group)
                          : fmt::format("delete {}\r\n", key);
        break;
      }
      default: {
        op.kind = Op::Kind::kWrite;
        // Within a ticket's life it is a fill.
        if (client.read_acked[place] > 0 && now_s() - client.read_acked_s[place] < kTicketS - 1)
          op.read_acked = client.read_acked[place];
        // A write that failed may have left its ticket to the next.
        op.is_fill = client.read_acked_s[place] > now_s() - kTicketS - 2;
        client.read_acked[place] = 0;
        const std::string value = fmt::format("{}", number);
        const bool adds = promise_ == Promise::kReplay || random_.one_in(4);
        if (promise_ != Promise::kReplay && random_.one_in(3)) op.ttl_s = kTtlS;
        request = fmt::format("{} {} 0 {} {}\r\n{}\r\n", adds ? "add" : "set", key, op.ttl_s,
                              value.size(), value);
      }
    }
    ops_.push_back(op);
    client.busy = true;
    client.op = number;
    test::Rig& rig = *proxies_[c / kClients];
    rig.client_send(c % kClients, request);
    rig.turn();
  }

  void finish(unsigned c) {
    Client& client = clients_[c];
    if (!client.busy) return;
    test::Rig& rig = *proxies_[c / kClients];
    Op& op = ops_[client.op];
    const Answer answer = take_answer(rig.client(c % kClients).inbox, op.kind == Op::Kind::kRead);
    if (!answer.whole) return;
    client.busy = false;
    const unsigned place = op.group * kKeys + op.key;
    if (op.kind == Op::Kind::kRead) {
      client.read_acked[place] = step_;
      client.read_acked_s[place] = now_s();
      if (answer.good) check_read(op, answer.value);
      return;
    }
    if (!answer.good) return;
    op.acked = step_;
    op.acked_s = now_s();
    if (op.kind == Op::Kind::kRevoke) {
      client.read_acked.fill(0);  // Its tickets are gone.
      revoked_s_ = now_s();
    }
    if (op.kind == Op::Kind::kWrite && promise_ == Promise::kReplay && ++added_[place] > 1)
      wrong_ = fmt::format("key {} was fresh twice", place);
  }

  // Nothing that was promised to be gone when the read began is given out.
  void check_read(const Op& read, const std::string& value) {
    const auto number = static_cast<std::size_t>(std::strtoull(value.c_str(), nullptr, 10));
    if (number >= ops_.size() || ops_[number].kind != Op::Kind::kWrite ||
        ops_[number].group != read.group || ops_[number].key != read.key) {
      wrong_ = fmt::format("a value of another key: {}", value);
      return;
    }
    Op& write = ops_[number];
    ++checked_;
    if (++write.delivered > 1 && promise_ == Promise::kOnce)
      wrong_ = fmt::format("{} was read twice", value);
    if (write.acked != kNever) check_life(write, value);
    for (const Op& end : ops_) {
      if (end.acked == kNever || end.acked >= read.began || end.group != write.group) continue;
      if (end.kind == Op::Kind::kRevoke) {
        // "not_before" keeps no stale fill away.
        const bool is_stale_fill = promise_ == Promise::kRevocable && write.read_acked < end.began;
        const bool is_before = write.acked < end.began || is_stale_fill;
        if (is_before) wrong_ = fmt::format("step {}: {} was revoked", step_, value);
      }
      // A fill may have been dropped, and told STORED.
      if (end.kind == Op::Kind::kWrite && end.key == write.key && !end.is_fill &&
          write.acked < end.began)
        wrong_ = fmt::format("step {}: {} was written over", step_, value);
      if (end.kind != Op::Kind::kDelete || end.key != write.key) continue;
      if (write.acked < end.began && promise_ != Promise::kNotBefore)
        wrong_ = fmt::format("step {}: {} was deleted", step_, value);
      if (promise_ == Promise::kGuarded && write.began < end.acked &&
          now_s() < end.acked_s + kGuardS - 2)
        wrong_ = fmt::format("step {}: {} was filled over a delete", step_, value);
    }
  }

  // A node's answer may be under way when an item's time is over; a sealed end counts when opened.
  void check_life(const Op& write, const std::string& value) {
    const std::int64_t lived_s = now_s() - write.acked_s;
    if (ages_ && lived_s >= kMaxAgeS) wrong_ = fmt::format("step {}: {} is over", step_, value);
    if (write.ttl_s > 0 && lived_s > write.ttl_s + 1)
      wrong_ = fmt::format("step {}: {} outlived its exptime", step_, value);
  }

  [[nodiscard]] unsigned pending_count() const {
    unsigned count = 0;
    for (const Client& client : clients_) count += client.busy ? 1U : 0U;
    return count;
  }

  Random random_;
  Promise promise_;
  bool forgets_;      // Nodes restart and evict, which the promise has to bear.
  bool tags_choose_;  // A group's keys and marker share a node.
  bool ages_;         // Nothing lives longer than kMaxAgeS.
  bool shares_;       // Gets in flight at once share a request.
  bool keeps_;        // What was read is given out again.
  std::shared_ptr<NearEpochs> epochs_ = std::make_shared<NearEpochs>(kProxies, 1);
  BufferPool pool_;
  std::array<std::shared_ptr<EmbeddedNode>, kNodes> nodes_;
  std::vector<std::unique_ptr<SeededEntropy>> entropies_;
  std::vector<std::unique_ptr<test::Rig>> proxies_;
  std::array<std::array<std::string, kNodes>, kProxies> late_;
  std::array<std::array<std::size_t, kNodes>, kProxies> late_of_{};  // Of which connection.
  std::array<std::set<std::string>, kNodes> stored_;
  std::array<Client, kProxies * kClients> clients_;
  std::vector<Op> ops_;
  std::map<unsigned, int> added_;
  std::int64_t revoked_s_ = 0;
  std::uint64_t step_ = 0;
  std::uint64_t checked_ = 0;
  std::string wrong_;
};

}  // namespace

}  // namespace tokenring::sim

int main() {
  using namespace tokenring::sim;
  std::uint64_t checked = 0;
  std::uint64_t kept = 0;
  const SeedsRun done = run_seeds([&](std::uint64_t seed) {
    Races races(seed);
    const std::string wrong = races.run();
    checked += races.checked();
    kept += races.kept();
    return wrong;
  });
  fmt::print("{} seeds, {} reads of values, {} of what was kept, {} failed\n", done.count, checked,
             kept, done.failed);
  return done.failed == 0 && checked > 0 && (kept > 0 || done.count < 10) ? 0 : 1;
}
