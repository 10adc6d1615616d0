// Rig: an engine with clients and nodes in memory, driven as src/io/worker.cpp drives it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "proxy/engine.hpp"
#include "transcript.hpp"

namespace tokenring::test {

struct RigOptions {
  unsigned nodes = 1;
  unsigned first_node = 0;    // Of those that there are in the world.
  unsigned gutter_nodes = 0;  // A second pool, for on_node_down = kGutter.
  PoolOptions pool = {};
  Limits limits = {};
  LifeRules life = {};
  bool coalesce = false;
  std::function<void(Snapshot&)> adjust = {};  // The last word on the snapshot.
  Entropy* entropy = nullptr;
  std::uint32_t requests_max = EngineOptions::kRequestsMax;
  std::function<Peer(unsigned client)> peer = {};  // Who comes, where somebody asks.
};

struct ClientPeer {
  ClientId id;
  bool open = false;
  bool gone = false;      // Closed, by either side.
  bool reads = true;      // Else what is sent to it stays with the engine.
  std::string unread;     // Sent, and not taken by the engine yet.
  std::string sent;       // All of it that the engine took.
  std::string inbox;      // Received and not looked at yet.
  std::string all_inbox;  // All it ever received.
};

// One per link: with one link per node the index is the node's.
struct NodePeer {
  LinkId link;
  bool connected = false;
  bool greeted = false;
  bool refuses = false;
  std::string version = "1.6.18";
  std::string inbox;
  std::vector<std::string> connections;  // All that came, by connection.
};

// How many bytes are handed in at once of what one peer sends, from its offset `at` on; at least 1.
using Pieces = std::function<std::size_t(std::size_t at)>;

class Rig {
 public:
  explicit Rig(const RigOptions& options);
  // From now on; else as much at once as the engine takes.
  void cut_clients(Pieces pieces) { client_pieces_ = std::move(pieces); }
  void cut_nodes(Pieces pieces) { node_pieces_ = std::move(pieces); }

  [[nodiscard]] Engine& engine() noexcept { return *engine_; }
  // Opened at first use.
  [[nodiscard]] ClientPeer& client(unsigned index);
  [[nodiscard]] std::vector<ClientPeer>& clients() noexcept { return clients_; }
  [[nodiscard]] NodePeer& node(unsigned link) { return nodes_.at(link); }
  [[nodiscard]] std::vector<NodePeer>& nodes() noexcept { return nodes_; }
  [[nodiscard]] std::uint64_t counted(Counter counter) const noexcept {
    return board_.sum(static_cast<std::size_t>(counter));
  }
  // What the engine told since this was last cleared.
  [[nodiscard]] std::vector<AccessEvent>& access_events() noexcept { return access_events_; }
  // Passwords that wait to be checked; then Engine::login_checked().
  [[nodiscard]] std::vector<LoginJob>& logins() noexcept { return logins_; }
  // What the engine wanted asked elsewhere, and nobody took out yet.
  [[nodiscard]] std::vector<Question>& questions() noexcept { return questions_; }
  [[nodiscard]] const CounterBoard& board() const noexcept { return board_; }
  [[nodiscard]] Now now() const noexcept { return now_; }
  // Characters, then three digits, so that node `owner` owns the key.
  [[nodiscard]] std::string key_on(std::string_view stem, unsigned owner) const;

  // Events. Nothing leaves the engine before turn().
  void client_send(unsigned index, std::string_view bytes);
  void client_close(unsigned index);
  void client_end(unsigned index);
  void node_send(unsigned link, std::string_view bytes);
  void node_close(unsigned link);
  // Carries out what the engine asks for until it asks for no more.
  void turn();
  // Another configuration, between two turns. A node keeps its link's index as long as it is there.
  void adopt(const RigOptions& options);
  // Time passes in ticks, each with a turn.
  void advance(std::int64_t ms);
  // From now on `snapshot` is what is configured.
  void adopt(std::shared_ptr<Snapshot> snapshot);
  [[nodiscard]] const Snapshot& snapshot() const noexcept { return *snapshot_; }
  // Everybody leaves for good.
  void leave();

 private:
  void feed(ClientPeer& client);
  void flush_client(ClientId id);
  void flush_link(LinkId id);
  void open_link(LinkId id);
  [[nodiscard]] ClientPeer* peer_of(ClientId id);

  std::shared_ptr<Snapshot> snapshot_;
  CounterBoard board_{1};
  Now now_{.unix_time = {kTranscriptNow}, .instant = {1'000'000'000}};
  std::int64_t passed_ms_ = 0;
  std::unique_ptr<Engine> engine_;
  std::vector<ClientPeer> clients_;
  std::vector<NodePeer> nodes_;
  std::function<Peer(unsigned)> who_comes_;
  std::vector<AccessEvent> access_events_;
  std::vector<LoginJob> logins_;
  std::vector<Question> questions_;
  Pieces client_pieces_;
  Pieces node_pieces_;
};

}  // namespace tokenring::test
