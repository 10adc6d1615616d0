// EngineRig: an engine with one client over nodes that answer from a fixed script, without sockets
// and without allocating themselves: what a request costs in it is the engine's cost.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/engine.hpp"
#include "unit/seeded_entropy.hpp"

namespace tokenring::cost {

struct EngineRigOptions {
  unsigned nodes = 2;
  // Keys that begin with h are in a sealed namespace with hidden keys, and a node has the value
  // that was written last, whatever its key.
  bool seals = false;
  bool compresses = false;  // There.
  bool revokes = false;     // There.
  bool near = false;        // Values are kept: all, or those that are sealed.
};

class EngineRig {
 public:
  explicit EngineRig(const EngineRigOptions& options);
  EngineRig(const EngineRig&) = delete;
  EngineRig& operator=(const EngineRig&) = delete;

  // Sends the request and plays the nodes until the client has all of its reply; returns the
  // reply's size. Keys that begin with h are hits of 100 B.
  std::size_t ask(std::string_view request);
  // The same once more, where nodes say what they said to the last ask() without a look at what
  // they are asked. REQUIRES: that was the same request, of text gets alone: other replies carry
  // an opaque.
  std::size_t ask_again(std::string_view request);
  // What the client got for the last ask().
  [[nodiscard]] std::string_view reply() const noexcept { return reply_; }
  // How many nodes were asked by it.
  [[nodiscard]] std::size_t nodes_asked() const noexcept;

  // From now on callgrind collects, but only within the engine.
  void collect() noexcept { collects_ = true; }

 private:
  struct Node {
    std::string asked;
    std::string reply;
    bool was_asked = false;
  };

  template <typename Call>
  auto in_engine(Call call) noexcept;
  std::size_t exchange(std::string_view request);
  void turn();
  void take_asked(LinkId id);
  void answer(LinkId id);
  void answer_one(std::string_view& in, std::string& reply);
  void answer_get(std::string_view command, std::string_view keys, std::string& reply);
  void answer_meta(std::string_view command, std::string_view line, std::string_view& in,
                   std::string& reply);

  bool seals_;
  bool collects_ = false;
  bool replays_ = false;
  seal_kit::SeededEntropy entropy_;
  CounterBoard board_{1};
  Now now_{.unix_time = {1'790'000'000}, .instant = {1}};
  Engine engine_;
  ClientId client_;
  Outbox work_;
  std::vector<Node> nodes_;  // By link: each has one.
  std::string reply_;
  [[nodiscard]] std::string_view value_of(std::string_view key) const noexcept;
  std::string stored_ = std::string(4096, ' ');
  std::string marker_key_ = std::string(256, ' ');
  std::string marker_ = std::string(256, ' ');
  std::array<char, 512> header_;
};

}  // namespace tokenring::cost
