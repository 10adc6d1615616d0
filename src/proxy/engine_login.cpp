// Who a client is: recognised when it comes, by its certificate or by a login; and again with each
// snapshot.
//
//   open_client -> recognise -> become, or Mode::kLogin: serve_login -> log_in
//   log_in: a password is known at once, or goes out as a LoginJob -> login_checked; then let_in
//
// A login's answer has a slot like any other while it is waited for, and the client's further
// requests wait behind it.
#include <algorithm>
#include <utility>

#include "base/assert.hpp"
#include "proxy/engine.hpp"
#include "seal/secret.hpp"
#include "wire/login.hpp"

namespace tokenring {

namespace {

constexpr std::size_t kLoginsPendingMax = 64;

bool is_nobody(const Identity& who) {
  return &who == &AccessTable::nobody();
}

std::string_view bytes_of(const Mac& mac) {
  return {reinterpret_cast<const char*>(mac.data()), mac.size()};
}

}  // namespace

std::string_view name_of(AccessEvent::Kind kind) noexcept {
  static constexpr std::array kNames = {
#define X(enumerator, text) std::string_view(text),
      TOKENRING_ACCESS_EVENTS(X)
#undef X
  };
  return kNames[static_cast<std::size_t>(kind)];
}

// By what is known without a login. Who is not known has to log in.
void Engine::recognise(Client& client, ClientId id) noexcept {
  const Identity& who = snapshot_->access == nullptr
                            ? AccessTable::nobody()
                            : snapshot_->access->recognise(client.session->peer);
  if (is_nobody(who)) {
    client.mode = Client::Mode::kLogin;
    return;
  }
  client.mode = Client::Mode::kRequests;
  if (become(client, id, who, false)) return tell_access(AccessEvent::Kind::kRecognised, id);
  answer(client, id, line_of(WireError::kRateLimited));
  client.closing = true;
}

// False where the identity has as many connections as it may; then the client is who it was.
bool Engine::become(Client& client, ClientId id, const Identity& who, bool even_if_full) noexcept {
  Session& session = *client.session;
  if (who.use != session.use) {
    const std::uint32_t others = who.use == nullptr ? 0 : who.use->connections.fetch_add(1);
    if (!even_if_full && who.quota.connections > 0 && others >= who.quota.connections) {
      who.use->connections.fetch_sub(1);
      count(Counter::kRateLimited);
      session.who = &who;
      tell_access(AccessEvent::Kind::kTooManyConnections, id);
      session.who = &AccessTable::nobody();
      return false;
    }
    leave_identity(session);
    session.use = who.use;
  }
  session.who = &who;
  return true;
}

void Engine::leave_identity(Session& session) noexcept {
  if (session.use != nullptr) session.use->connections.fetch_sub(1);
  session.use = nullptr;
  session.who = &AccessTable::nobody();
}

// Who is not known any more may end what it was in the middle of, and then has to log in.
void Engine::begin_session_input(Client& client) noexcept {
  who_ = client.session->who;
  if (client.mode == Client::Mode::kRequests && !client.session->is_known())
    client.mode = Client::Mode::kLogin;
}

// One command of a client that is not known: a login, or something that it is not answered.
std::size_t Engine::serve_login(Client& client, ClientId id, std::string_view in) noexcept {
  const ParsedLogin parsed = parse_login(in);
  switch (parsed.kind) {
    case ParsedLogin::Kind::kIncomplete:
      client.needed = parsed.needed;
      return 0;
    case ParsedLogin::Kind::kLogin:
      log_in(client, id, {parsed.user, parsed.password});
      return parsed.consumed;
    case ParsedLogin::Kind::kError:
      answer(client, id, line_of(parsed.error));
      return parsed.consumed;
    case ParsedLogin::Kind::kHangUp:
      break;
  }
  client.closing = true;
  return in.size();
}

// Whoever is asked for, the same is done: all plain passwords are looked at, then all that were
// found to fit a hash, and then as much is computed for one user as for another.
void Engine::log_in(Client& client, ClientId id, const LoginView& login) noexcept {
  count(Counter::kAuthCmds);
  const auto fail = [&](AccessEvent::Kind kind) {
    count(Counter::kAuthErrors);
    tell_access(kind, id);
    answer(client, id, line_of(WireError::kLoginFailed));
  };
  const AccessTable* access = snapshot_->access.get();
  const Peer& peer = client.session->peer;
  if (access == nullptr || access->users() == nullptr) return fail(AccessEvent::Kind::kLoginFailed);
  if (!access->guard().admits(peer, shared_now())) return fail(AccessEvent::Kind::kLoginRefused);
  const std::shared_ptr<const UserBook>& users = access->users();
  const Mac mac = users->mac_of(login);
  const bool is_plain = users->has_plain(mac);
  // Who is nobody from there is told nothing of a password either, be it by the time that it takes.
  const Identity& who = access->of_user(login.user, peer);
  if ((is_remembered(mac) || is_plain) && !is_nobody(who))
    return let_in(client, id, login.user, who);
  if (!users->has_hashes()) {
    access->guard().failed(peer, shared_now());
    return fail(AccessEvent::Kind::kLoginFailed);
  }
  if (logins_pending_ == kLoginsPendingMax) {
    count(Counter::kRequestsRefused);
    return answer(client, id, line_of(WireError::kBusy));
  }
  Request none;
  client.session->login_slot = reserve(client, id, none, {});
  ++client.changes;
  ++logins_pending_;
  outbox_.access_work().logins.push_back({.client = id,
                                          .users = users,
                                          .user = std::string(login.user),
                                          .password = std::string(login.password),
                                          .mac = mac});
}

// The right password was given, by somebody who is an identity.
void Engine::let_in(Client& client, ClientId id, std::string_view user,
                    const Identity& who) noexcept {
  const bool has_room = become(client, id, who, false);
  if (has_room) {
    client.session->user = user;
    client.mode = Client::Mode::kRequests;
    who_ = client.session->who;
    tell_access(AccessEvent::Kind::kLoggedIn, id);
  }
  const std::string_view text = has_room ? "STORED\r\n" : line_of(WireError::kRateLimited);
  const std::uint32_t slot = std::exchange(client.session->login_slot, kNoSlot);
  if (slot == kNoSlot) return answer(client, id, text);
  fill_with(slot, text);
}

void Engine::login_checked(LoginJob job, Now now) noexcept {
  now_ = now;
  --logins_pending_;
  const AccessTable* access = snapshot_->access.get();
  const std::shared_ptr<const UserBook> users = access == nullptr ? nullptr : access->users();
  Client* client = clients_.find(job.client);
  const bool is_wanted = client != nullptr && client->session->login_slot != kNoSlot;
  if (is_wanted && users != nullptr && users != job.users && users->has_hashes()) {
    // The file was read again meanwhile: what it says now counts.
    job.users = users;
    job.found = nullptr;
    ++logins_pending_;
    outbox_.access_work().logins.push_back(std::move(job));
    return;
  }
  const bool is_right = job.found != nullptr && users == job.users;
  wipe(job.password.data(), job.password.size());
  if (is_right) remember(job);
  if (!is_wanted) return;
  --client->changes;
  const Identity& who =
      is_right ? access->of_user(job.user, client->session->peer) : AccessTable::nobody();
  if (!is_nobody(who)) {
    let_in(*client, job.client, job.user, who);
  } else {
    if (access != nullptr) access->guard().failed(client->session->peer, shared_now());
    count(Counter::kAuthErrors);
    tell_access(AccessEvent::Kind::kLoginFailed, job.client);
    fill_with(std::exchange(client->session->login_slot, kNoSlot),
              line_of(WireError::kLoginFailed));
  }
}

bool Engine::is_remembered(const Mac& mac) const noexcept {
  bool found = false;
  for (const Remembered& one : remembered_)
    found |= is_same_secret(bytes_of(mac), bytes_of(one.mac));
  return found;
}

// One password for each hash, so that there are never more of them than lines in the file.
void Engine::remember(const LoginJob& job) {
  for (const Remembered& one : remembered_)
    if (one.user == job.user && one.hash == *job.found->hash) return;
  remembered_.push_back({.mac = job.mac, .user = job.user, .hash = *job.found->hash});
}

// Everybody is who the new snapshot says: who is gone from it may nothing from now on.
void Engine::adopt_identities() {
  who_ = nullptr;
  const AccessTable* access = snapshot_->access.get();
  const UserBook* users = access == nullptr ? nullptr : access->users().get();
  std::erase_if(remembered_, [&](const Remembered& one) {
    return users == nullptr ||
           std::none_of(users->entries().begin(), users->entries().end(),
                        [&](const UserEntry& entry) {
                          return entry.user == one.user && entry.hash == one.hash;
                        });
  });
  clients_.for_each([&](std::uint32_t index, Client& client) {
    if (client.session == nullptr || client.session->inside != nullptr) return;
    Session& session = *client.session;
    const bool was_known = session.is_known();
    if (users == nullptr || !users->has(session.user)) session.user.clear();
    const Identity* who = &AccessTable::nobody();
    if (access != nullptr)
      who = session.user.empty() ? &access->recognise(session.peer)
                                 : &access->of_user(session.user, session.peer);
    const ClientId id = clients_.id_of(index);
    static_cast<void>(become(client, id, *who, true));
    if (session.is_known() && client.mode == Client::Mode::kLogin)
      client.mode = Client::Mode::kRequests;
    if (session.is_known() || !was_known) return;
    tell_access(AccessEvent::Kind::kRightsLost, id);
    if (client.mode == Client::Mode::kRequests) client.mode = Client::Mode::kLogin;
  });
}

}  // namespace tokenring
