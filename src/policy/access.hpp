// Access: which identity may do what in which namespace.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "policy/identity.hpp"
#include "policy/login_guard.hpp"
#include "policy/quota.hpp"
#include "policy/users.hpp"
#include "tokenring/request.hpp"

namespace tokenring {

// X(enumerator, name, bit)
#define TOKENRING_RIGHTS(X) \
  X(kRead, "read", 1)       \
  X(kWrite, "write", 2)     \
  X(kDelete, "delete", 4)   \
  X(kFlush, "flush", 8)     \
  X(kStats, "stats", 16)

// A set of them.
struct Rights {
  std::uint8_t bits = 0;

  [[nodiscard]] constexpr bool has(Rights needed) const noexcept {
    return (bits & needed.bits) == needed.bits;
  }
  friend constexpr Rights operator|(Rights a, Rights b) noexcept {
    return {static_cast<std::uint8_t>(a.bits | b.bits)};
  }
  friend constexpr bool operator==(Rights, Rights) = default;

#define X(enumerator, name, bit) static const Rights enumerator;
  TOKENRING_RIGHTS(X)
#undef X
};
#define X(enumerator, name, bit) inline constexpr Rights Rights::enumerator{bit};
TOKENRING_RIGHTS(X)
#undef X

// What a request for a key takes in the key's namespace. What changes a life writes, and what tells
// a number that it changed reads as well. An md is a delete, also one that lets the item live on as
// stale for some time (I with T).
[[nodiscard]] Rights rights_needed(const Request& request) noexcept;

// A client whose keys are its own has an owner's number; all others share 0.
using Owner = std::uint16_t;

struct Identity {
  std::string name;
  Recognition recognition;
  bool hides = false;  // What it may not read is a miss.
  Owner owner = 0;     // Of its namespaces.
  std::string mark;    // What nodes find in front of its keys, where it is an owner.
  Quota quota;
  std::vector<Rights> rights;                  // By namespace: index into NamespaceTable::all().
  Rights everywhere;                           // In all of them, and where a command has no key.
  std::shared_ptr<IdentityUse> use = nullptr;  // REQUIRES for use: in an AccessTable.

  [[nodiscard]] bool may(std::size_t space, Rights needed) const noexcept {
    return space < rights.size() && rights[space].has(needed);
  }
  // What reaches all that nodes have.
  [[nodiscard]] bool may_everywhere(Rights needed) const noexcept {
    return owner == 0 && everywhere.has(needed);
  }
  [[nodiscard]] bool may_somewhere(Rights needed) const noexcept;
  // Whether it may ask for anything now.
  [[nodiscard]] bool is_within_rate(Instant now) const noexcept {
    return (quota.requests_per_second == 0 || use->requests.is_open(now, quota.burst_ms)) &&
           (quota.bytes_per_second == 0 || use->bytes.is_open(now, quota.burst_ms));
  }
  // Whether it is within its quota of negative values.
  [[nodiscard]] bool may_bring_negatives(Instant now) const noexcept {
    return quota.negative_per_second == 0 || use->negatives.is_open(now, quota.burst_ms);
  }
  void charge_negative(Instant now) const noexcept {
    if (quota.negative_per_second > 0) use->negatives.take(1, quota.negative_per_second, now);
  }
};

// All identities of a snapshot. Immutable, but for what their quotas count.
class AccessTable {
 public:
  // What `before` (or null) counts of an identity goes on being counted, and so do failed logins.
  AccessTable(std::vector<Identity> identities, std::shared_ptr<const UserBook> users,
              std::uint64_t seed, const AccessTable* before);

  // Whom nobody knows: he may nothing.
  [[nodiscard]] static const Identity& nobody() noexcept;
  // Who the peer is without a login; nobody().
  [[nodiscard]] const Identity& recognise(const Peer& peer) const noexcept;
  // Who a user is that has logged in from there; nobody().
  [[nodiscard]] const Identity& of_user(std::string_view user, const Peer& peer) const noexcept;

  [[nodiscard]] std::span<const Identity> all() const noexcept { return identities_; }
  [[nodiscard]] const std::shared_ptr<const UserBook>& users() const noexcept { return users_; }
  [[nodiscard]] LoginGuard& guard() const noexcept { return *guard_; }

 private:
  std::vector<Identity> identities_;
  std::shared_ptr<const UserBook> users_;  // Null: nobody can log in.
  std::shared_ptr<LoginGuard> guard_;
};

}  // namespace tokenring
