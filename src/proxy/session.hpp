// Session: what is known of a client that has to say who it is. And what becomes known of such
// clients outside: logins that take long, and events for the log.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>

#include "base/slab.hpp"
#include "policy/access.hpp"
#include "policy/users.hpp"
#include "proxy/slot.hpp"
#include "seal/blind.hpp"

namespace tokenring {

struct Session {
  Peer peer;
  std::string user;                              // That it logged in as; empty: it did not.
  const Identity* who = &AccessTable::nobody();  // Of the present snapshot.
  std::shared_ptr<IdentityUse> use = nullptr;    // Where its connection is counted.
  std::uint32_t login_slot = kNoSlot;            // Waits for what comes of its login.
  // Of a client of our own, whom no socket leads to: `who`, made anew for each request.
  std::unique_ptr<Identity> inside = nullptr;

  [[nodiscard]] bool is_known() const noexcept {
    return !user.empty() || who != &AccessTable::nobody();
  }
};

// A login that has to be held against salted hashes, by somebody who has time for it. It comes back
// as it went, but for `found`.
struct LoginJob {
  ClientId client;
  std::shared_ptr<const UserBook> users;
  std::string user;
  std::string password;
  Mac mac{};
  const UserEntry* found = nullptr;  // Of `users`; null: the password is wrong.

  void check() noexcept { found = users->find_hashed({user, password}); }
};

// What became of a client's wish, for the log.
struct AccessEvent {
  // X(enumerator, what happened)
#define TOKENRING_ACCESS_EVENTS(X)                             \
  X(kLoggedIn, "logged in")                                    \
  X(kLoginFailed, "login failed")                              \
  X(kLoginRefused, "login refused after too many failed ones") \
  X(kRecognised, "recognised")                                 \
  X(kDenied, "access denied")                                  \
  X(kRateLimited, "rate limited")                              \
  X(kTooManyConnections, "too many connections")               \
  X(kRightsLost, "no longer known")
  enum class Kind : std::uint8_t {
#define X(enumerator, text) enumerator,
    TOKENRING_ACCESS_EVENTS(X)
#undef X
  };
  static constexpr std::uint16_t kNoSpace = UINT16_MAX;

  Kind kind = Kind::kDenied;
  std::string identity = {};  // Its name; empty: nobody's.
  std::string peer = {};
  Command command = Command::kSet;                 // kDenied, kRateLimited.
  std::uint16_t space = kNoSpace;                  // Of its key: index into NamespaceTable::all().
  bool has_reference = false;                      // Where there are keys to make one.
  std::array<char, kAuditCharacters> reference{};  // Stands for its key.
};

[[nodiscard]] std::string_view name_of(AccessEvent::Kind kind) noexcept;

}  // namespace tokenring
