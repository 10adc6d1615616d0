// Engine: the proxy itself, without I/O. Bytes and the time go in; what is to be sent, opened and
// closed comes out in an Outbox. One engine per worker; it is not thread safe and needs no lock.
//
// A turn of its owner: hand in whatever was received (client_received, link_received, ...), call
// resume(), then carry out the outbox and clear it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/buffer.hpp"
#include "base/slab.hpp"
#include "policy/claims.hpp"
#include "policy/snapshot.hpp"
#include "proxy/client.hpp"
#include "proxy/engine_parts.hpp"
#include "proxy/link.hpp"
#include "proxy/marker.hpp"
#include "proxy/outbox.hpp"
#include "proxy/sealing.hpp"
#include "proxy/slot.hpp"
#include "seal/blind.hpp"
#include "tokenring/parse.hpp"

namespace tokenring {

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
  // `address`: which of the addresses in `listen` it came to.
  // `peer`: who the other end is, where the snapshot asks_who() there or audits.
  [[nodiscard]] ClientId open_client(std::uint16_t address = 0, Peer peer = {});
  // What came of one of Outbox::logins.
  void login_checked(LoginJob job, Now now) noexcept;
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
  // False: that was all, and no close is due behind it.
  bool client_sent(ClientId id, std::size_t n) noexcept;
  [[nodiscard]] std::size_t client_sendable(ClientId id) noexcept;
  // Nothing is owed to the client at present: what is in its output may go at once.
  [[nodiscard]] bool client_is_settled(ClientId id) noexcept;
  // All is said and done: close the connection, then call client_lost().
  [[nodiscard]] bool client_is_done(ClientId id) noexcept;

  // -- Changes of the configuration.
  // From now on requests are served by `snapshot`; what is in flight ends as it began. Nodes that
  // are in both keep their links. Links of others end when all is answered.
  // REQUIRES: no link waits to be opened, and no event to be told; their nodes and namespaces would
  // be looked up among the new ones.
  void adopt(std::shared_ptr<const Snapshot> snapshot, Now now);
  // Ends each client that has asked for nothing and been silent for kDrainQuietMs; at `at_once`
  // also those that have not been silent.
  void drain_clients(bool at_once, Now now) noexcept;
  // Ends every client once it has been sent what it asked for; nothing further is served.
  void end_clients() noexcept;
  // Long enough that hardly a client's next request meets the end of its connection on the way.
  static constexpr std::int64_t kDrainQuietMs = 1'000;

  // -- Links. An id of an earlier connection is ignored everywhere.
  // The node it leads to: backends are numbered through all pools.
  [[nodiscard]] std::uint32_t link_backend(LinkId id) const noexcept {
    return links_[id.index].backend;
  }
  // False when it was given up before it was opened.
  [[nodiscard]] bool wants_link(LinkId id) noexcept;
  void link_connected(LinkId id, Now now) noexcept;
  // `why`: for the log, what the system said.
  void link_lost(LinkId id, Now now, std::string_view why = {}) noexcept;
  [[nodiscard]] std::span<char> link_space(LinkId id) noexcept;
  void link_received(LinkId id, std::size_t n, Now now) noexcept;
  // Every request was answered.
  [[nodiscard]] bool link_owes_nothing(LinkId id) const noexcept {
    return links_[id.index].slots == 0;
  }
  // Null when there is nothing to send at this time.
  [[nodiscard]] OutQueue* link_output(LinkId id) noexcept;

  // -- Turns.
  // Serves input that waited for room. Call before carrying out the outbox.
  void resume(Now now) noexcept;
  // Timeouts and reconnects; call at least every kTickMs.
  void tick(Now now) noexcept;
  static constexpr std::int64_t kTickMs = 10;
  static constexpr std::int64_t kSweepMs = 1000;
  static constexpr std::int64_t kPublishMs = 100;
  // All that this turn led to was handed to the kernel.
  void end_turn(Now now) noexcept;

  [[nodiscard]] Outbox& outbox() noexcept { return outbox_; }
  [[nodiscard]] EngineAudit& audit() noexcept { return audit_; }
  [[nodiscard]] EngineFill& fills() noexcept { return fills_; }
  [[nodiscard]] BufferPool& pool() noexcept { return pool_; }
  [[nodiscard]] std::size_t client_count() const noexcept {
    return clients_.live() - fills_.clients();
  }
  [[nodiscard]] std::size_t clients_max() const noexcept { return options_.slots_max() / 2; }
  // How far the owner's `instant` is behind all workers' time: it leaves out what it stood still.
  void set_lag(std::int64_t ns) noexcept { lag_ns_ = ns; }
  // Requests that nodes owe an answer.
  [[nodiscard]] std::uint32_t in_flight() const noexcept { return in_flight_; }
  // Requests sent to nodes so far, and how long they took lately on average (nanoseconds).
  [[nodiscard]] std::uint64_t requests_sent() const noexcept { return requests_sent_; }
  [[nodiscard]] std::int64_t response_ns() const noexcept { return response_ns_; }
  [[nodiscard]] std::size_t slot_count() const noexcept { return slots_.live(); }
  [[nodiscard]] std::size_t sealing_count() const noexcept { return sealings_.live(); }

 private:
  friend class EngineAudit;
  friend class EngineFill;
  friend class EngineNear;
  // serve: from a client's bytes to a node's (engine_serve.cpp, _gets, _send, _route).
  [[nodiscard]] std::size_t serve_input(Client& client, ClientId id, std::string_view in) noexcept;
  [[nodiscard]] std::size_t serve_one(Client& client, ClientId id, std::string_view in) noexcept;
  [[nodiscard]] std::size_t serve_keys(Client& client, ClientId id, std::string_view in) noexcept;
  [[nodiscard]] bool serve_value(Client& client, ClientId id, Request& request, std::string_view in,
                                 std::size_t line_bytes) noexcept;
  void serve(Client& client, ClientId id, Request& request) noexcept;
  void serve_get(Client& client, ClientId id, Request& request) noexcept;
  void serve_key(ClientId id, const Request& request, std::uint32_t slot) noexcept;
  void serve_too_large(Client& client, ClientId id, const Request& request) noexcept;
  void serve_local(Client& client, ClientId id, const Request& request) noexcept;
  void serve_flush_all(Client& client, ClientId id, const Request& request) noexcept;
  void refuse(Client& client, ClientId id, const Request& request, std::string_view command,
              WireError error) noexcept;
  void serve_fan_out(Client& client, ClientId id, const Request& request,
                     std::string_view line) noexcept;
  void send_line(Link& link, std::string_view line, std::uint32_t slot) noexcept;
  [[nodiscard]] Target target_of(const Namespace& space, std::string_view route) noexcept;
  [[nodiscard]] std::size_t item_bytes(const Request& request) noexcept;
  [[nodiscard]] ParseLimits parse_limits() const noexcept;
  [[nodiscard]] bool is_too_long(std::string_view key, std::string_view item_key) noexcept;
  [[nodiscard]] bool has_key_too_long(const Request& request) noexcept;
  [[nodiscard]] Link* stand_in_for(const Target& target, const Request& request,
                                   ClientId id) noexcept;
  [[nodiscard]] bool is_overloaded(const Link& link) const noexcept;
  [[nodiscard]] LifeRule plan_life(const Request& request, const Target& target, bool stands_in,
                                   Plan& plan) noexcept;
  void send(Link& link, const Request& request, Plan& plan, std::uint32_t slot) noexcept;
  void send_get(Link& link, const Request& request, const Plan& plan, std::uint32_t slot) noexcept;
  void end_get_line(Link& link) noexcept;
  void part_from_earlier_reads(Link& link, const Request& request) noexcept;
  void send_probe(Link& link, const Plan& plan, std::uint32_t slot) noexcept;
  [[nodiscard]] Link& link_of(std::uint32_t backend, ClientId id) noexcept;
  [[nodiscard]] bool has_room(const Client& client) const noexcept;
  void keep_rest(Client& client, std::string_view in, std::size_t used) noexcept;

  // Who a client is and what it may (engine_login.cpp, engine_access.cpp).
  [[nodiscard]] std::size_t serve_login(Client& client, ClientId id, std::string_view in) noexcept;
  void log_in(Client& client, ClientId id, const LoginView& login) noexcept;
  void let_in(Client& client, ClientId id, std::string_view user, const Identity& who) noexcept;
  [[nodiscard]] bool is_remembered(const Mac& mac) const noexcept;
  void remember(const LoginJob& job);
  void recognise(Client& client, ClientId id) noexcept;
  [[nodiscard]] bool become(Client& client, ClientId id, const Identity& who,
                            bool even_if_full) noexcept;
  void leave_identity(Session& session) noexcept;
  void adopt_identities();
  void begin_session_input(Client& client) noexcept;
  [[nodiscard]] bool is_within_rate(const Request& request) noexcept;
  void refuse_over_rate(Client& client, ClientId id, const Request& request) noexcept;
  void charge_bytes(const Client& client, std::size_t n) noexcept;
  void tell_over_rate(ClientId id, Command command) noexcept;
  // For what is counted together with other workers.
  [[nodiscard]] Instant shared_now() const noexcept { return {now_.instant.ns + lag_ns_}; }
  [[nodiscard]] std::string_view own_key(std::string_view item_key) noexcept;
  [[nodiscard]] bool may_use(const Request& request, const Slot& slot,
                             const Namespace& space) const noexcept;
  void serve_inside(Client& client, ClientId id, Request& request) noexcept;
  [[nodiscard]] bool may_use_all(const Request& request) noexcept;
  [[nodiscard]] bool may_locally(const Request& request) const noexcept;
  void deny(ClientId id, const Request& request, const Namespace& space, std::string_view item_key,
            std::uint32_t slot) noexcept;
  void deny_whole(Client& client, ClientId id, const Request& request) noexcept;
  void tell_access(AccessEvent::Kind kind, ClientId id, Command command = Command::kSet,
                   const Namespace* space = nullptr, std::string_view item_key = {}) noexcept;

  // deliver: from a node's reply to its client's place (engine_deliver.cpp).
  [[nodiscard]] bool deliver(Link& link, const Reply& reply, Buffer* whole) noexcept;
  [[nodiscard]] bool deliver_change(Link& link, const Reply& reply) noexcept;
  [[nodiscard]] bool deliver_get(Link& link, const Reply& reply, Buffer* whole) noexcept;
  [[nodiscard]] bool fill_if_wanted(std::uint32_t slot, const Reply& reply, Buffer* whole) noexcept;
  [[nodiscard]] bool fill_shown(std::uint32_t slot, const Reply& reply, Buffer* whole) noexcept;
  [[nodiscard]] bool fill(std::uint32_t slot, const Reply& reply, Buffer* whole) noexcept {
    return audit_.is_on() ? audit_.tell_and_put(slot, reply, whole) : put(slot, reply, whole);
  }
  [[nodiscard]] bool put(std::uint32_t slot, const Reply& reply, Buffer* whole) noexcept;
  void pass_through(std::uint32_t slot, const Reply& reply) noexcept;
  [[nodiscard]] bool render(Client& client, Slot& slot, const Reply& reply, Buffer* whole,
                            bool in_turn) noexcept;
  [[nodiscard]] Place place_for(Client& client, Slot& slot, std::size_t room, bool in_turn,
                                bool is_small) noexcept;
  void fail(std::uint32_t slot, WireError error) noexcept;
  void fill_with_miss(std::uint32_t slot) noexcept;
  void fill_with_error(std::uint32_t slot, WireError error) noexcept;
  void answer(Client& client, ClientId id, std::string_view text) noexcept;
  void fill_with(std::uint32_t slot, std::string_view text) noexcept;
  void begin_front(Client& client) noexcept;
  void finish_front(Client& client, std::size_t before) noexcept;
  void finish_group(Client& client, const Slot& slot, std::size_t before) noexcept;
  void drain(Client& client) noexcept;
  void pop_front(Client& client) noexcept;
  void count_reply(const Slot& slot, const Reply& reply) noexcept;
  void time_reply(const Slot& slot, LatencyKind kind) noexcept;
  [[nodiscard]] bool fill_by(std::uint32_t slot, auto&& write) noexcept;
  void count_in_space(std::uint16_t space, SpaceTally which) noexcept {
    if (!space_tallies_.empty() && space != Slot::kNoSpace) space_tallies_[space]->add(which);
  }

  // Sealed namespaces (engine_seal.cpp, engine_change.cpp).
  void adopt_keys();
  [[nodiscard]] std::string_view veil(Slot& slot, const Request& request, const Namespace& space,
                                      std::string_view item_key, Plan& plan) noexcept;
  [[nodiscard]] std::string_view set_apart(Sealing& sealing, const Request& request,
                                           std::string_view item_key, Plan& plan) noexcept;
  [[nodiscard]] Reply put_key_back(const Slot& slot, const Reply& reply) noexcept;
  [[nodiscard]] std::string_view node_key_of(const Slot& slot) noexcept;
  [[nodiscard]] bool follow_token(Slot& slot, const Request& request, const LifeRules& rules,
                                  Plan& plan) noexcept;
  [[nodiscard]] std::string_view body_of(const Slot& slot, std::string_view value) noexcept;
  [[nodiscard]] const SealRules* rules_of(const Slot& slot) const noexcept;
  [[nodiscard]] bool reads_unsealed(const Slot& slot) const noexcept;
  [[nodiscard]] ValueIdentity identity_of(const Slot& slot, std::uint32_t client_flags) noexcept;
  [[nodiscard]] char* write_sealed(const Slot& slot, std::uint32_t client_flags,
                                   std::string_view body, char* to) noexcept;
  [[nodiscard]] OpenResult open_value(const Slot& slot, std::uint32_t client_flags,
                                      std::string_view sealed, Buffer& plain) noexcept;
  void unpack(OpenResult& result, Buffer& plain) noexcept;
  [[nodiscard]] Reply reveal(const Slot& slot, const Reply& reply, Buffer& plain) noexcept;
  [[nodiscard]] Reply reveal_text(const Slot& slot, const Reply& reply, Buffer& plain) noexcept;
  [[nodiscard]] Reply reveal_debug(const Slot& slot, const Reply& reply) noexcept;
  [[nodiscard]] Reply reveal_size(const Slot& slot, const Reply& reply) noexcept;
  [[nodiscard]] Reply reveal_meta(const Slot& slot, const Reply& reply, Buffer& plain) noexcept;
  void count_opened_by(std::uint32_t key_id) noexcept;
  void tell_unopened(const Slot& slot, OpenOutcome outcome) noexcept;
  void begin_change(Link& link, Client& client, const Request& request, const Plan& plan,
                    std::uint32_t slot) noexcept;
  [[nodiscard]] Plan plan_again(const Slot& slot) noexcept;
  void read_for_change(Link& link, std::uint32_t slot) noexcept;
  [[nodiscard]] bool step_change(std::uint32_t slot, const Reply& reply) noexcept;
  void change_nothing(Link& link, std::uint32_t slot, Cas there) noexcept;
  [[nodiscard]] bool change_value(Link& link, std::uint32_t slot, const Reply& reply) noexcept;
  [[nodiscard]] std::int64_t life_to_keep(const Slot& slot, std::int64_t left_s) noexcept;
  [[nodiscard]] SealOptions options_of_new(const Slot& slot) const noexcept;
  void write_number(Link& link, std::uint32_t slot, Cas there, std::uint32_t client_flags) noexcept;
  void write_joined(Link& link, std::uint32_t slot, Cas there, std::uint32_t client_flags,
                    std::string_view value) noexcept;
  void write_change(Link& link, std::uint32_t slot, Cas there, std::uint32_t client_flags,
                    std::string_view value) noexcept;
  void answer_change(std::uint32_t slot, const Reply& reply) noexcept;
  [[nodiscard]] bool end_change(std::uint32_t slot, Reply shown, const Seen& seen) noexcept;
  [[nodiscard]] bool is_changing(const Slot& slot) noexcept {
    return slot.sealing != kNoSlot && sealings_[slot.sealing].change.state != Change::State::kNone;
  }

  // Namespaces whose tokens have rules (engine_token.cpp, engine_store.cpp, engine_marker.cpp).
  void serve_token(Link& link, const Request& request, std::string_view key, Plan& plan,
                   std::uint32_t slot) noexcept;
  [[nodiscard]] bool fill_sealed(std::uint32_t slot, const Reply& reply) noexcept;
  [[nodiscard]] bool fill_ready(std::uint32_t slot, const Reply& reply, const Reply& said) noexcept;
  [[nodiscard]] const TokenRules& rules_of_tokens(const Slot& slot) const noexcept;
  void read_once(Link& link, const Request& request, Plan& plan, std::uint32_t slot) noexcept;
  void consume(std::uint32_t slot, const Reply& reply) noexcept;
  void end_removal(std::uint32_t slot, const Reply& reply) noexcept;
  void bury(Link& link, const Request& request, Plan& plan, std::uint32_t slot) noexcept;
  void send_control(Link& link, std::uint32_t slot, Request& write, Plan& plan,
                    const ValueIdentity& identity, std::string_view body,
                    std::optional<std::uint64_t> generation) noexcept;
  void end_look(std::uint32_t slot, const Reply& reply) noexcept;
  void remember_added(Slot& slot) noexcept;
  [[nodiscard]] bool is_leased(const Slot& slot) const noexcept;
  void read_leased(Link& link, std::uint32_t slot) noexcept;
  [[nodiscard]] std::optional<Reply> as_text(std::uint32_t slot, const Reply& reply,
                                             std::string& rest) noexcept;
  [[nodiscard]] bool wait_in_herd(std::uint32_t slot) noexcept;
  void wake_herd() noexcept;
  void store(Link& link, const Request& request, Plan& plan, std::uint32_t slot) noexcept;
  void begin_store(Link& link, Client& client, const Request& request, const Plan& plan,
                   std::uint32_t slot) noexcept;
  void store_over(Link& link, std::uint32_t slot, Cas there, bool is_visible,
                  bool is_tombstone) noexcept;
  void drop_fill(std::uint32_t slot) noexcept;
  void finish_store_plan(const Slot& slot, Plan& plan) noexcept;
  [[nodiscard]] bool take_generation(std::uint32_t slot) noexcept;
  [[nodiscard]] bool names_group(const Namespace& space, std::string_view key) const noexcept;
  void name_marker(Slot& slot, const Namespace& space, std::string_view key,
                   const Link& link) noexcept;
  [[nodiscard]] std::optional<Expiry> marker_life(const Slot& slot) const noexcept;
  [[nodiscard]] bool ask_marker(std::uint32_t slot, Command how, bool keeps) noexcept;
  [[nodiscard]] std::uint32_t add_aside(Sealing::Aside kind, std::uint32_t slot,
                                        Command command) noexcept;
  [[nodiscard]] bool learn_marker(std::uint32_t slot, const Reply& reply) noexcept;
  [[nodiscard]] bool read_marker(const Slot& slot, std::string_view sealed,
                                 Marker& marker) noexcept;
  void lose_marker(std::uint32_t slot) noexcept;
  [[nodiscard]] bool awaits_marker(const Sealing& sealing) noexcept;
  void hold(std::uint32_t slot, const Reply& reply) noexcept;
  void go_on(std::uint32_t slot) noexcept;
  [[nodiscard]] bool is_current(const Slot& slot, const EnvelopeHeader& header) noexcept;
  void keep_ticket(const Slot& slot) noexcept;
  void keep_ticket(const Slot& slot, const Marker* marker, LinkId link) noexcept;
  void keep_tickets(const Slot& slot) noexcept;
  void fail_sealed(const Slot& slot) noexcept;
  void share_marker(std::uint32_t leader, std::uint32_t follower) noexcept;
  void leave_marker(std::uint32_t marker) noexcept;
  void write_marker(std::uint32_t slot, char kind, StoreMode mode, Cas only_if) noexcept;
  void revoke(std::uint32_t slot) noexcept;
  [[nodiscard]] Entropy& entropy() noexcept {
    return options_.entropy != nullptr ? *options_.entropy : system_entropy();
  }

  // Gets that share one request upstream (engine_share.cpp).
  [[nodiscard]] bool follow(Link& link, const Request& request, std::string_view item_key,
                            std::uint32_t slot) noexcept;
  void part_ways(std::string_view item_key) noexcept;
  void wait_for(std::uint32_t slot, std::uint32_t leader) noexcept;
  [[nodiscard]] std::uint32_t take_follower(std::uint32_t leader) noexcept;
  [[nodiscard]] bool fill_followers(std::uint32_t leader, const Reply& reply) noexcept;
  void fail_followers(std::uint32_t leader, WireError error) noexcept;

  // stats (engine_stats.cpp).
  void serve_stats(Client& client, ClientId id, const Request& request) noexcept;
  void gather_stats(Client& client, ClientId id, const Request& request,
                    std::string_view group) noexcept;
  [[nodiscard]] bool deliver_stats(Link& link, const Reply& reply) noexcept;
  void part_of_gather_done(SlabId gather, bool answered) noexcept;
  void set_own(StatsSum& sum) const;
  [[nodiscard]] std::string own_stats() const;
  [[nodiscard]] std::string node_stats() const;
  [[nodiscard]] std::string namespace_stats() const;
  [[nodiscard]] std::string key_stats() const;
  [[nodiscard]] std::string latency_stats() const;
  void publish() noexcept;

  // Slots, and the two lists they stand in (engine_slots.cpp).
  [[nodiscard]] std::uint32_t reserve(Client& client, ClientId id, const Request& request,
                                      std::string_view key) noexcept;
  void keep(Slot& slot, std::string_view key, std::string_view flags) noexcept;
  [[nodiscard]] Beside& beside(Slot& slot) noexcept;
  void await(Link& link, std::uint32_t slot) noexcept;
  void pop_front(Link& link) noexcept;
  void release_if_unlisted(std::uint32_t slot) noexcept {
    const Slot& s = slots_[slot];
    if (!s.in_client && !s.in_link && !s.follows) release(slot);
  }
  void release(std::uint32_t slot) noexcept;
  void release_company(Slot& slot) noexcept;
  void mark_dirty(Client& client, ClientId id) noexcept;
  void mark_dirty(Link& link) noexcept;
  void queue_resume(Client& client, ClientId id) noexcept;

  // Links' lives (engine_links.cpp, engine_adopt.cpp).
  void rename_spaces(const Snapshot& from, const Snapshot& to);
  void adopt_tallies();
  [[nodiscard]] std::uint32_t adopt_link(const Pool& pool, std::uint32_t backend,
                                         std::uint32_t number, bool is_reload);
  void retire(Link& link) noexcept;
  void remember_missed(const Link& link);
  void end_if_retired(Link& link) noexcept;
  [[nodiscard]] Link* find_link(LinkId id) noexcept;
  [[nodiscard]] LinkId id_of(const Link& link) const noexcept;
  void open(Link& link) noexcept;
  void fail_link(Link& link, WireError error) noexcept;
  void come_up(Link& link) noexcept;
  void tell(NodeEvent::Kind kind, const Link& link, WireError why) noexcept;
  void sweep() noexcept;
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
  std::uint32_t heard_backend_ = SealEvent::kNoBackend;  // Whose replies are being delivered.
  std::uint64_t requests_sent_ = 0;
  std::int64_t response_ns_ = 0;
  BufferPool pool_;  // Before all that holds buffers.
  std::unique_ptr<char[]> scratch_;
  std::uint64_t reads_ = 0;        // Counts the points where memcached would write its replies out.
  Buffer* whole_input_ = nullptr;  // While serving: the buffer that holds just this request.
  const Identity* who_ = nullptr;  // While serving: who asks. Null: nobody asks who it is.
  std::string own_key_;            // See own_key().
  std::vector<Remembered> remembered_;  // Passwords that fitted a salted hash.
  std::size_t logins_pending_ = 0;
  std::int64_t lag_ns_ = 0;
  bool gets_may_fail_ = false;  // Some key's failure is an error of its whole get.
  Slab<Slot> slots_{options_.slots_max()};
  Slab<Beside> besides_{options_.slots_max()};
  Slab<Client> clients_{options_.slots_max()};
  Slab<Sealing> sealings_{options_.slots_max()};
  Slab<Marker> markers_{options_.slots_max()};
  std::vector<Waiting> herd_;         // Gets that wait for another one's fetch.
  std::unique_ptr<Tickets> tickets_;  // Null: nothing can be revoked.
  std::unique_ptr<Sealer> sealer_;    // Null: nothing is sealed.
  std::unique_ptr<Compressor> compressor_;
  std::unique_ptr<BlindedTags> blinded_tags_;  // Null: no namespace hides keys.
  ClaimsReader claims_;
  std::string revealed_;                   // A reply's words as the client sees them.
  std::string decoded_key_;                // Of a base64 key.
  std::vector<Link> links_;                // Grows in adopt() only. LinkId::index leads here.
  std::vector<std::uint32_t> link_table_;  // Of each backend in turn: its links' indices.
  std::vector<BackendLinks> backend_links_;
  // Nodes that left and had missed writes: their part of Link::identity. The oldest are forgotten.
  std::vector<std::string> missed_nodes_;
  std::vector<ClientId> resumes_;
  std::vector<SpaceTallies::Cell*> space_tallies_;      // By namespace; empty: none are kept.
  std::vector<LatencyTallies::Cell*> space_latencies_;  // Likewise.
  std::vector<TimeTallies::Cell*> space_times_;         // Likewise.
  std::vector<Leader> leaders_;                         // By hash of key: the last slot that leads.
  std::uint32_t departures_ = 0;                        // Counts the times that requests left.
  Instant next_sweep_;
  Instant next_publish_;
  Slab<Gather> gathers_{options_.slots_max()};
  std::vector<Served> served_;  // Of this turn.
  std::uint32_t turn_ = 0;
  std::array<std::uint32_t, 1024> turn_ns_{};  // What the last turns took, by turn.
  Outbox outbox_;
  EngineAudit audit_{*this};
  EngineFill fills_{*this};
  EngineNear near_{*this};
};

}  // namespace tokenring
