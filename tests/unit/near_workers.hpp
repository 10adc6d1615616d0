// Two workers of one process, which keep what they read, before one node.
#pragma once

#include "sealed_world.hpp"
#include "wire/drained.hpp"

namespace tokenring::near_kit {

using test::Rig;
using test::RigOptions;

inline constexpr std::size_t kBytes = std::size_t{1} << 20;

inline Namespace near_space(std::string prefix = "", std::int64_t ttl_ms = 1'000) {
  Namespace space;
  space.prefix = std::move(prefix);
  space.near = {.bytes = kBytes, .ttl_ms = ttl_ms};
  return space;
}

using Adjust = std::function<void(Snapshot&)>;

class Workers {
 public:
  explicit Workers(Adjust adjust = {})
      : adjust_(std::move(adjust)), node_(StoreOptions{.bytes_max = std::size_t{8} << 20}) {
    for (auto& rig : rigs_) rig = std::make_unique<Rig>(options());
  }

  Rig& rig(unsigned worker = 0) { return *rigs_[worker]; }
  // What the worker has sent is done by the node; its answers.
  std::string serve(unsigned worker) {
    std::string& inbox = rig(worker).node(0).inbox;
    OutQueue out;
    inbox.erase(0, node_.serve(inbox, rig(worker).now().unix_time, out, pool_));
    return drained(out);
  }
  std::string hear(unsigned worker = 0, unsigned client = 0) {
    for (int i = 0; i < 1'000; ++i) {
      rig(worker).turn();
      if (rig(worker).node(0).inbox.empty()) break;
      rig(worker).node_send(0, serve(worker));
    }
    return std::exchange(rig(worker).client(client).inbox, {});
  }
  std::string ask(std::string_view request, unsigned worker = 0, unsigned client = 0) {
    rig(worker).client_send(client, request);
    return hear(worker, client);
  }
  // Sent, but the node does nothing yet.
  void send(std::string_view request, unsigned worker = 0, unsigned client = 0) {
    rig(worker).client_send(client, request);
    rig(worker).turn();
  }
  // Whether a get is answered without the node; what it said is as expected in any case.
  bool is_near(std::string_view request, std::string_view expected, unsigned worker = 0,
               unsigned client = 1) {
    const std::size_t before = asked(worker);
    CHECK(ask(request, worker, client) == expected);
    return asked(worker) == before;
  }
  std::size_t asked(unsigned worker) {
    std::size_t bytes = 0;
    for (const std::string& all : rig(worker).node(0).connections) bytes += all.size();
    return bytes;
  }
  std::uint64_t tally(SpaceTally which, std::size_t space = 0, unsigned worker = 0) {
    return rig(worker).snapshot().tallies->spaces.sum(space, which);
  }
  std::shared_ptr<Snapshot> another_snapshot(unsigned worker, std::shared_ptr<NearEpochs> epochs) {
    auto snapshot = std::make_shared<Snapshot>(rig(worker).snapshot());
    snapshot->near_epochs = std::move(epochs);
    return snapshot;
  }

 private:
  RigOptions options() {
    RigOptions options;
    options.pool.request_timeout_ms = 100;
    options.adjust = [this](Snapshot& snapshot) {
      snapshot.namespaces = NamespaceTable({near_space()});
      if (adjust_) adjust_(snapshot);
      snapshot.near_epochs = epochs_;
      snapshot.tallies = make_tallies(1, snapshot, nullptr);
    };
    return options;
  }

  Adjust adjust_;
  std::shared_ptr<NearEpochs> epochs_ = std::make_shared<NearEpochs>(2, 9);
  BufferPool pool_;
  EmbeddedNode node_;
  std::array<std::unique_ptr<Rig>, 2> rigs_;
};

inline constexpr std::string_view kOne = "VALUE k 0 1\r\n1\r\nEND\r\n";
inline constexpr std::string_view kTwo = "VALUE k 0 1\r\n2\r\nEND\r\n";

// k is 1, and both workers keep that.
inline void keep_one(Workers& workers) {
  REQUIRE(workers.ask("set k 0 0 1\r\n1\r\n") == "STORED\r\n");
  for (unsigned worker : {0U, 1U}) {
    REQUIRE_FALSE(workers.is_near("get k\r\n", kOne, worker));
    REQUIRE(workers.is_near("get k\r\n", kOne, worker));
  }
}

// A sealed namespace.
inline Adjust sealed(TokenRules tokens = {}, LifeRules life = {}) {
  static const auto entropy = std::make_shared<seal_kit::SeededEntropy>(3);
  return [tokens, life](Snapshot& snapshot) {
    sealed_world::seal_all(snapshot, sealed_world::kKeyFile, tokens);
    Namespace space = snapshot.namespaces.all()[0];
    space.near = near_space().near;
    space.life = life;
    snapshot.namespaces = NamespaceTable({space});
  };
}

}  // namespace tokenring::near_kit
