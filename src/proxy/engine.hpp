// Engine: the proxy itself, without I/O. Bytes and the time go in; what is to be sent, opened and
// closed comes out in an Outbox. One engine per worker; it is not thread safe and needs no lock.
//
// A turn of its owner: hand in whatever was received (client_received, link_received, ...), call
// resume(), then carry out the outbox and clear it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/buffer.hpp"
#include "base/slab.hpp"
#include "policy/snapshot.hpp"
#include "proxy/client.hpp"
#include "proxy/counters.hpp"
#include "proxy/link.hpp"
#include "proxy/slot.hpp"
#include "tokenring/parse.hpp"

namespace tokenring {

// Names a connection to a node: its place, and which of the connections made from there.
struct LinkId {
  std::uint32_t index = 0;
  std::uint32_t generation = 0;
  friend constexpr bool operator==(LinkId, LinkId) = default;
};

// What the engine's owner has to do. Cleared by the owner; each id stands in a list at most once.
struct Outbox {
  std::vector<LinkId> open_links;  // Connect to link_address().
  std::vector<LinkId> close_links;
  std::vector<LinkId> flush_links;      // link_output() has bytes.
  std::vector<ClientId> flush_clients;  // client_output() has bytes, or a close is due behind them.
  std::vector<ClientId> read_clients;   // Are read again after a stall.

  [[nodiscard]] bool empty() const noexcept {
    return open_links.empty() && close_links.empty() && flush_links.empty() &&
           flush_clients.empty() && read_clients.empty();
  }
  void clear() noexcept {
    open_links.clear();
    close_links.clear();
    flush_links.clear();
    flush_clients.clear();
    read_clients.clear();
  }
};

struct EngineOptions {
  std::uint64_t seed = 1;  // For jitter; differs between workers.
  std::uint32_t worker = 0;
  const CounterBoard* board = nullptr;  // For stats; must outlive the engine.
  Counters* counters = nullptr;         // This worker's own; must outlive the engine.
  std::int64_t started_s = 0;           // Unix time of the process's start.
};

class Engine {
 public:
  // Bytes received at once at most. Larger values are read straight into their own buffer.
  static constexpr std::size_t kScratchBytes = std::size_t{64} << 10;
  // From this size on a value's buffer is moved from one side to the other and never copied.
  static constexpr std::size_t kMoveBytes = std::size_t{16} << 10;

  Engine(std::shared_ptr<const Snapshot> snapshot, EngineOptions options, Now now);
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // -- Clients. An id of a client that is gone is ignored everywhere.
  [[nodiscard]] ClientId open_client();
  [[nodiscard]] bool has_client(ClientId id) noexcept { return clients_.find(id) != nullptr; }
  // Where to put what is received next, and how much at most; empty: do not read now.
  [[nodiscard]] std::span<char> client_space(ClientId id) noexcept;
  // `n` bytes are in the space that client_space() gave just before.
  void client_received(ClientId id, std::size_t n, Now now) noexcept;
  // The client will send no more; what it asked for is still answered.
  void client_ended(ClientId id) noexcept;
  // The connection is gone: so is the client.
  void client_lost(ClientId id) noexcept;
  // Up to pieces.size() pieces of what may be sent now; follow with client_sent().
  [[nodiscard]] std::size_t client_output(ClientId id, std::span<std::string_view> pieces) noexcept;
  void client_sent(ClientId id, std::size_t n) noexcept;
  [[nodiscard]] std::size_t client_sendable(ClientId id) noexcept;
  // Nothing is owed to the client at present: what is in its output may go at once.
  [[nodiscard]] bool client_is_settled(ClientId id) noexcept;
  // All is said and done: close the connection, then call client_lost().
  [[nodiscard]] bool client_is_done(ClientId id) noexcept;

  // -- Links. An id of an earlier connection is ignored everywhere.
  // The node it leads to: backends are numbered through all pools.
  [[nodiscard]] std::uint32_t link_backend(LinkId id) const noexcept {
    return links_[id.index].backend;
  }
  void link_connected(LinkId id, Now now) noexcept;
  void link_lost(LinkId id, Now now) noexcept;
  [[nodiscard]] std::span<char> link_space(LinkId id) noexcept;
  void link_received(LinkId id, std::size_t n, Now now) noexcept;
  // Null when there is nothing to send at this time.
  [[nodiscard]] OutQueue* link_output(LinkId id) noexcept;

  // -- Turns.
  // Serves input that waited for room. Call before carrying out the outbox.
  void resume(Now now) noexcept;
  // Timeouts and reconnects; call at least every kTickMs.
  void tick(Now now) noexcept;
  static constexpr std::int64_t kTickMs = 10;

  [[nodiscard]] Outbox& outbox() noexcept { return outbox_; }
  [[nodiscard]] BufferPool& pool() noexcept { return pool_; }
  [[nodiscard]] std::size_t client_count() const noexcept { return clients_.live(); }
  // Requests that nodes owe an answer.
  [[nodiscard]] std::uint32_t in_flight() const noexcept { return in_flight_; }
  // Requests sent to nodes so far, and how long they took lately on average (nanoseconds).
  [[nodiscard]] std::uint64_t requests_sent() const noexcept { return requests_sent_; }
  [[nodiscard]] std::int64_t response_ns() const noexcept { return response_ns_; }
  [[nodiscard]] std::size_t slot_count() const noexcept { return slots_.live(); }

 private:
  struct Target;  // Where a key goes; see engine_serve.cpp.

  // serve: from a client's bytes to a node's (engine_serve.cpp).
  [[nodiscard]] std::size_t serve_input(Client& client, ClientId id, std::string_view in) noexcept;
  [[nodiscard]] std::size_t serve_one(Client& client, ClientId id, std::string_view in) noexcept;
  [[nodiscard]] std::size_t serve_keys(Client& client, ClientId id, std::string_view in) noexcept;
  [[nodiscard]] bool serve_value(Client& client, ClientId id, Request& request, std::string_view in,
                                 std::size_t line_bytes) noexcept;
  void serve(Client& client, ClientId id, Request& request) noexcept;
  void serve_get(Client& client, ClientId id, Request& request) noexcept;
  void serve_key(ClientId id, const Request& request, std::string_view key,
                 std::string_view item_key, std::uint32_t slot) noexcept;
  void serve_too_large(Client& client, ClientId id, const Request& request) noexcept;
  void serve_local(Client& client, ClientId id, const Request& request) noexcept;
  void serve_flush_all(Client& client, ClientId id, const Request& request) noexcept;
  void serve_stats(Client& client, ClientId id, const Request& request) noexcept;
  [[nodiscard]] Target target_of(std::string_view item_key) noexcept;
  void send(Link& link, const Request& request, Plan& plan, std::uint32_t slot) noexcept;
  void send_get(Link& link, const Request& request, const Plan& plan, std::uint32_t slot) noexcept;
  void end_get_line(Link& link) noexcept;
  void part_from_earlier_reads(Link& link, const Request& request) noexcept;
  void send_probe(Link& link, const Plan& plan, std::uint32_t slot) noexcept;
  [[nodiscard]] Link& link_of(std::uint32_t backend, ClientId id) noexcept;
  [[nodiscard]] bool has_room(const Client& client) const noexcept;
  void keep_rest(Client& client, std::string_view in, std::size_t used) noexcept;

  // deliver: from a node's reply to its client's place (engine_deliver.cpp).
  [[nodiscard]] bool deliver(Link& link, const Reply& reply, Buffer* whole) noexcept;
  [[nodiscard]] bool deliver_get(Link& link, const Reply& reply, Buffer* whole) noexcept;
  [[nodiscard]] bool fill_if_wanted(std::uint32_t slot, const Reply& reply, Buffer* whole) noexcept;
  [[nodiscard]] bool fill(std::uint32_t slot, const Reply& reply, Buffer* whole) noexcept;
  [[nodiscard]] bool render(Slot& slot, const Reply& reply, Buffer* whole, OutQueue& out) noexcept;
  void fail(std::uint32_t slot, WireError error) noexcept;
  void answer(Client& client, ClientId id, std::string_view text) noexcept;
  void begin_front(Client& client) noexcept;
  void finish_front(Client& client, std::size_t before) noexcept;
  void drain(Client& client) noexcept;
  void pop_front(Client& client) noexcept;
  void count_reply(const Slot& slot, const Reply& reply) noexcept;

  // Slots, and the two lists they stand in (engine_slots.cpp).
  [[nodiscard]] std::uint32_t reserve(Client& client, ClientId id, const Request& request,
                                      std::string_view key) noexcept;
  void await(Link& link, std::uint32_t slot) noexcept;
  void pop_front(Link& link) noexcept;
  void release_if_unlisted(std::uint32_t slot) noexcept;
  void mark_dirty(Client& client, ClientId id) noexcept;
  void mark_dirty(Link& link) noexcept;
  void queue_resume(Client& client, ClientId id) noexcept;

  // Links' lives (engine_links.cpp).
  [[nodiscard]] Link* find_link(LinkId id) noexcept;
  [[nodiscard]] LinkId id_of(const Link& link) const noexcept;
  [[nodiscard]] const Pool& pool_of(const Link& link) const noexcept;
  void open(Link& link) noexcept;
  void fail_link(Link& link, WireError error) noexcept;
  void read_version(Link& link, const Reply& reply) noexcept;
  void expire_requests(Link& link) noexcept;
  void close_batch(Link& link) noexcept;
  [[nodiscard]] std::uint64_t random() noexcept;
  void count(Counter counter, std::uint64_t n = 1) noexcept { options_.counters->add(counter, n); }

  std::shared_ptr<const Snapshot> snapshot_;
  EngineOptions options_;
  Now now_;
  std::uint64_t random_state_;
  std::uint32_t in_flight_ = 0;
  std::uint64_t requests_sent_ = 0;
  std::int64_t response_ns_ = 0;
  BufferPool pool_;  // Before all that holds buffers.
  std::unique_ptr<char[]> scratch_;
  std::uint64_t reads_ = 0;  // Counts what came from clients: by reads, and by turns of a read.
  Buffer* whole_input_ = nullptr;  // While serving: the buffer that holds just this request.
  bool gets_may_fail_ = false;     // Some key's failure is an error of its whole get.
  Slab<Slot> slots_;
  Slab<Client> clients_;
  std::vector<Link> links_;                // backend * links_per_node, by pool.
  std::vector<std::uint32_t> first_link_;  // Of each backend.
  std::vector<std::uint32_t> pool_of_backend_;
  std::vector<ClientId> resumes_;
  Outbox outbox_;
};

}  // namespace tokenring
