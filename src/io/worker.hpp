// Worker: one thread, one epoll set, one engine. Carries bytes between sockets and the engine.
//
// The loop is our own rather than Asio's: see src/DECISIONS.md.
#pragma once

#include <sys/epoll.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "io/asker.hpp"
#include "io/audit_queue.hpp"
#include "io/handshaker.hpp"
#include "io/login_checker.hpp"
#include "io/pacer.hpp"
#include "io/resolver.hpp"
#include "io/socket.hpp"
#include "io/tls_session.hpp"
#include "proxy/engine.hpp"
#include "store/embedded_node.hpp"

namespace tokenring {

// An in-process node. Workers share it, so it is locked, once for each batch of requests.
struct EmbeddedStore {
  explicit EmbeddedStore(StoreOptions options) : node(options) {}
  std::mutex mutex;
  EmbeddedNode node;
};

// How a node is spoken to in TLS.
struct NodeTls {
  std::shared_ptr<const TlsContext> context = nullptr;  // Null: in plain.
  std::string name = {};                                // What its certificate has to be for.
  std::int64_t timeout_ms = 0;                          // Of a handshake.
};

// A node as the workers reach it: one of the first two is set.
struct NodeAddress {
  Endpoint endpoint;
  std::shared_ptr<EmbeddedStore> embedded;
  std::string place = {};    // As Pool::place_of() has it, for FailedPlaces.
  std::string problem = {};  // Why there is no endpoint; for the log.
  NodeTls tls = {};
};

// TLS of the addresses in `listen`, by their number; null where clients are plain.
using Fronts = std::vector<std::shared_ptr<const TlsContext>>;

struct WorkerOptions {
  std::uint32_t index = 0;
  std::shared_ptr<const Snapshot> snapshot;
  std::shared_ptr<const std::vector<NodeAddress>> nodes;  // By backend.
  CounterBoard* board = nullptr;                          // Outlives the worker.
  FailedPlaces* failed_places = nullptr;                  // Is told; outlives the worker. Or null.
  std::shared_ptr<const Fronts> fronts = nullptr;         // Null: all are plain.
  // They outlive run(), and end before the worker. Null: there is no TLS.
  Handshaker* client_handshakes = nullptr;
  Handshaker* node_handshakes = nullptr;
  LoginChecker* checker = nullptr;  // Stopped before the worker goes. Or null: no login is checked.
  Asker* asker = nullptr;  // Asks for what no node has. Ends after run() and before the worker.
  AuditQueue* audit = nullptr;  // Likewise.
  std::int64_t started_s = 0;
};

class Worker {
 public:
  // Throws std::system_error when the kernel refuses an epoll set.
  explicit Worker(WorkerOptions options);

  // Once, before run(). `listeners` may be closed when it returns. Throws std::system_error when
  // the kernel refuses to share one.
  void listen(std::vector<Listener> listeners);

  // Serves until stop(), or until drain() and the last client has left; then all connections of
  // clients are closed. Runs in the worker's own thread.
  void run() noexcept;

  // From any thread; done soon.
  void stop() noexcept;
  // Accept no more clients, and end those here as soon as nothing is owed to them.
  void drain() noexcept;
  // After drain(): serve nothing more, and end when all that is owed is sent, kFinishMs at most.
  void finish() noexcept;
  static constexpr std::int64_t kFinishMs = 1'000;
  // Serve by another configuration; `nodes` by backend of `snapshot`. Clients do not notice. Lets
  // go of `taken` when that is done.
  void adopt(std::shared_ptr<const Snapshot> snapshot,
             std::shared_ptr<const std::vector<NodeAddress>> nodes,
             std::shared_ptr<const Fronts> fronts, std::shared_ptr<const void> taken) noexcept;

  // Serves a socket of this process's own as that of a client who came to no address; `asker`: who
  // made it ask. Closed once has_ended().
  void take_client(Fd fd, std::string asker) noexcept;
  static constexpr std::uint16_t kInside = UINT16_MAX;

  // From any thread. Goes up every kBeatMs or so for as long as run() goes round.
  [[nodiscard]] std::uint64_t beats() const noexcept {
    return beats_.load(std::memory_order_relaxed);
  }
  [[nodiscard]] bool has_ended() const noexcept {
    return has_ended_.load(std::memory_order_relaxed);
  }
  static constexpr std::int64_t kBeatMs = Engine::kTickMs;

 private:
  enum class Kind : std::uint8_t { kListener, kWake, kClient, kLink };

  struct ClientSocket {
    Fd fd;
    std::unique_ptr<TlsSession> tls;  // Null: plain. Ends before the descriptor.
    std::uint32_t generation = 0;
    bool unread = false;   // There was input when the client could not take it.
    bool blocked = false;  // The kernel takes no more output at present.
  };
  struct LinkSocket {
    Fd fd;
    std::unique_ptr<TlsSession> tls;  // As above.
    std::uint32_t generation = 0;
    bool shaking = false;  // The handshaker has the descriptor.
    bool connecting = false;
    bool blocked = false;
    std::shared_ptr<EmbeddedStore> embedded;
    std::string place;  // Where it leads or was to lead,
    NodeTls node_tls;   // and how.
    std::string embedded_input;
    EmbeddedNode::Link embedded_state;
  };
  // A client of our own.
  struct Insider {
    Fd fd;
    std::string asker;
  };
  // What came of a question.
  struct Answer {
    SlabId id;
    std::optional<std::string> text;
    bool may_store = false;
  };
  // What other threads want.
  struct Mail {
    bool stops = false;
    bool drains = false;
    bool finishes = false;
    std::shared_ptr<const Snapshot> snapshot;
    std::shared_ptr<const std::vector<NodeAddress>> nodes;
    std::shared_ptr<const Fronts> fronts;
    std::vector<std::shared_ptr<const void>> taken;
    std::vector<Insider> clients;
    std::vector<Handshake> handshakes;  // That are over.
    std::vector<LoginJob> logins;       // That were checked.
    std::vector<Answer> answers;
  };
  // Room to write is asked for only by those that wait for it: a socket whose input was read before
  // its event came would else wake the worker for nothing.
  static constexpr std::uint32_t kReadable = EPOLLIN | EPOLLRDHUP | EPOLLET;
  static constexpr std::uint32_t kWritable = kReadable | EPOLLOUT;
  void block(auto& socket, Kind kind, auto id, bool blocked) noexcept {
    socket.blocked = blocked;
    watch(socket.fd.get(), kind, id.index, id.generation, blocked ? kWritable : kReadable,
          EPOLL_CTL_MOD);
  }

  // As receive() and send_pieces(), whatever the socket is.
  [[nodiscard]] static ssize_t receive_from(auto& socket, std::span<char> space) noexcept {
    if (socket.tls != nullptr) return socket.tls->receive(space);
    return receive(socket.fd.get(), space);
  }
  [[nodiscard]] static ssize_t send_to(auto& socket,
                                       std::span<const std::string_view> pieces) noexcept {
    if (socket.tls != nullptr) return socket.tls->send(pieces);
    return send_pieces(socket.fd.get(), pieces);
  }
  static void close(auto& socket) noexcept {
    socket.tls.reset();
    socket.fd.reset();
  }

  struct Held {
    ClientId id;
    Instant since;
  };

  template <typename F>
  void post(F&& write) noexcept;
  void read_mail() noexcept;
  void end() noexcept;
  void ask(Question question) noexcept;
  void watch_listeners() noexcept;
  void unwatch_listeners() noexcept;
  [[nodiscard]] int wait_ms() const noexcept;
  [[nodiscard]] Now time_now() const noexcept;
  void begin_turn() noexcept;
  void tell(const NodeEvent& event) noexcept;
  void tell(const SealEvent& event) noexcept;
  void tell(const AccessEvent& event) noexcept;
  void carry_out(AccessWork& work) noexcept;
  void check_login(LoginJob job) noexcept;
  [[nodiscard]] AuditBatch audit_batch() const;
  void audit(std::unique_ptr<AuditWork> work) noexcept;
  void audit(AuditEvent event) noexcept;
  void tell_of_accepts() noexcept;
  void gather() noexcept;
  void handle(std::uint64_t data, std::uint32_t events) noexcept;
  void accept_clients(std::uint32_t listener) noexcept;
  [[nodiscard]] bool has_room_for_client() noexcept;
  void add_client(Fd fd, std::uint16_t address, std::unique_ptr<TlsSession> tls) noexcept;
  void add_client(Fd fd, std::uint16_t address, std::unique_ptr<TlsSession> tls,
                  Peer peer) noexcept;
  void handle_client(ClientId id, std::uint32_t events) noexcept;
  void handle_link(LinkId id, std::uint32_t events) noexcept;
  void read_client(ClientId id, bool to_the_end) noexcept;
  void read_link(LinkId id, bool to_the_end) noexcept;
  void carry_out() noexcept;
  void open_link(LinkId id) noexcept;
  void close_link(LinkId id) noexcept;
  void tell_failed(const LinkSocket& socket) noexcept;
  void flush_link(LinkId id) noexcept;
  void serve_embedded(LinkId id) noexcept;
  [[nodiscard]] bool receive_embedded(LinkId id, OutQueue& replies) noexcept;
  void flush_or_hold(ClientId id) noexcept;
  void flush_held() noexcept;
  void flush_client(ClientId id) noexcept;
  void lose_client(ClientId id) noexcept;
  void count(Counter counter) noexcept { options_.board->of_worker[options_.index].add(counter); }

  // TLS (worker_tls.cpp).
  [[nodiscard]] std::shared_ptr<const TlsContext> front_of(std::uint16_t address) const noexcept;
  void begin_handshake(Fd fd, std::uint16_t address,
                       std::shared_ptr<const TlsContext> front) noexcept;
  void begin_link_handshake(LinkId id) noexcept;
  void end_handshake(Handshake& handshake) noexcept;
  void end_link_handshake(Handshake& handshake) noexcept;
  void tell_of_handshakes() noexcept;
  [[nodiscard]] static std::string why_lost(const LinkSocket& socket);

  void watch(int fd, Kind kind, std::uint32_t index, std::uint32_t generation, std::uint32_t events,
             int how = EPOLL_CTL_ADD) noexcept;
  [[nodiscard]] ClientSocket* client_socket(ClientId id) noexcept;
  [[nodiscard]] LinkSocket* link_socket(LinkId id) noexcept;

  WorkerOptions options_;
  Fd epoll_;
  Fd wake_;
  std::vector<Listener> listeners_;
  std::vector<Fd> listening_;  // What listeners_ names: our own descriptors.
  std::mutex mail_mutex_;
  Mail mail_;
  bool has_mail_ = false;
  bool stopping_ = false;
  bool draining_ = false;
  bool finishing_ = false;
  Instant finish_by_;
  Now now_;
  std::int64_t stalled_ns_ = 0;  // By which the engine's clock is behind.
  Engine engine_;
  Pacer pacer_;
  Instant next_tick_;
  std::atomic<std::uint64_t> beats_ = 0;
  std::atomic<bool> has_ended_ = false;
  Instant accept_again_;  // Set while descriptors are short.
  bool accept_paused_ = false;
  // What went wrong with new connections since it was last told, which is once a second.
  int accept_error_ = 0;
  std::uint64_t refused_clients_ = 0;
  Instant tell_accepts_at_;
  Instant tell_handshakes_at_;
  Handshaker::Done shaken_;        // Posts to this worker.
  std::uint32_t handshaking_ = 0;  // Clients whose handshakes are under way.
  // Of clients, since they were last told.
  std::uint64_t failed_handshakes_ = 0;
  std::uint64_t refused_handshakes_ = 0;
  std::string handshake_problem_;                    // Of the last that failed.
  std::vector<ClientSocket> clients_;                // By ClientId::index.
  std::vector<LinkSocket> links_;                    // By LinkId::index.
  std::array<std::string_view, kPiecesMax> pieces_;  // Of one write.
  std::vector<Held> held_;
  Outbox work_;
};

}  // namespace tokenring
