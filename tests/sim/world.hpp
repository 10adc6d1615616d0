// The simulated world: one engine, clients, nodes, and a network that delays, cuts, lies and
// breaks.
//
// Everything that happens is chosen by the seed. Nothing here reads a clock or waits.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "client.hpp"
#include "options.hpp"
#include "proxy/engine.hpp"
#include "store/embedded_node.hpp"

namespace tokenring::sim {

class World {
 public:
  static constexpr std::uint32_t kStepsMax = 400'000;  // Far beyond what any seed takes.

  explicit World(const Options& options);
  ~World();

  // Runs to the end; returns what went wrong, or nothing.
  [[nodiscard]] std::string run();

 private:
  struct Node {
    std::unique_ptr<EmbeddedNode> store;
    bool dead = false;
    bool frozen = false;
  };
  // One connection to a node, by LinkId::index.
  struct Pipe {
    LinkId id;
    std::uint32_t node = 0;  // Where it leads, whatever the proxy's configuration says by now.
    bool open = false;
    bool connecting = false;
    bool flush = false;
    bool at_boundary = false;  // `to_proxy` begins with a whole reply.
    std::string to_node = {};
    std::string to_proxy = {};
    EmbeddedNode::Link state = {};
  };
  struct Peer {
    std::uint32_t number = 0;
    std::unique_ptr<Client> client;
    std::optional<ClientId> id;
    std::string to_proxy = {};
    std::uint32_t sent = 0;
    bool flush = false;
    bool unread = false;
  };

  void step();
  void carry_out();
  void run_client(Peer& peer);
  void deliver_to_engine(Peer& peer);
  void deliver_to_client(Peer& peer);
  void run_pipe(Pipe& pipe);
  void serve_node(Pipe& pipe);
  void answer_proxy(Pipe& pipe);
  void tell_a_lie(Pipe& pipe);
  void break_something();
  void heal();
  void advance(std::int64_t ms);
  void close(Peer& peer);
  void open(LinkId id);
  void change_something();
  void reload();
  void come(Peer& peer);
  void check_login();
  void kick(ClientId id);
  void leave_or_come_again(Peer& peer);
  [[nodiscard]] bool settled() const;
  [[nodiscard]] std::string check_bounds();
  [[nodiscard]] std::string check_lives();
  [[nodiscard]] std::string check_quiet();
  [[nodiscard]] std::string check_end();
  [[nodiscard]] std::string node_key(const std::string& key) const;
  [[nodiscard]] std::string node_says(Node& node, std::string_view line);
  [[nodiscard]] std::uint32_t node_at(std::string_view address) const;
  [[nodiscard]] std::size_t some(std::size_t n) { return 1 + random_.below(n); }

  // Repeats with the seed.
  class SeededEntropy final : public Entropy {
   public:
    explicit SeededEntropy(std::uint64_t seed) : random_(seed) {}
    [[nodiscard]] bool fill(std::span<unsigned char> out) noexcept override {
      for (unsigned char& byte : out) byte = static_cast<unsigned char>(random_.next());
      return true;
    }

   private:
    Random random_;
  };

  Options options_;
  Random random_;
  SeededEntropy entropy_;
  Now now_;
  BufferPool node_pool_;
  CounterBoard board_{1};
  std::shared_ptr<const Snapshot> snapshot_;
  std::vector<Node> nodes_;  // Of the pool, then of the gutter.
  std::vector<Pipe> pipes_;
  std::vector<Peer> peers_;
  std::unique_ptr<Engine> engine_;
  std::vector<LoginJob> logins_;  // That somebody computes.
  bool healing_ = false;
  std::string failure_;
};

}  // namespace tokenring::sim
