#include "policy/access.hpp"

#include <algorithm>

namespace tokenring {

Rights rights_needed(const Request& request) noexcept {
  switch (request.verb()) {
    case Verb::kGet: {
      if (request.command == Command::kTouch) return Rights::kWrite;
      const bool changes = request.has_ttl || request.has_vivify;
      return changes ? Rights::kRead | Rights::kWrite : Rights::kRead;
    }
    case Verb::kSet:
      return Rights::kWrite;
    case Verb::kDelete:
      return Rights::kDelete;
    case Verb::kArithmetic:
      return request.wants_value ? Rights::kRead | Rights::kWrite : Rights::kWrite;
    case Verb::kDebug:
    case Verb::kLocal:
    case Verb::kRefused:
      break;
  }
  return Rights::kRead;
}

bool Identity::may_somewhere(Rights needed) const noexcept {
  return std::any_of(rights.begin(), rights.end(), [&](Rights there) { return there.has(needed); });
}

AccessTable::AccessTable(std::vector<Identity> identities, std::shared_ptr<const UserBook> users,
                         std::uint64_t seed, const AccessTable* before)
    : identities_(std::move(identities)),
      users_(std::move(users)),
      guard_(before != nullptr ? before->guard_ : std::make_shared<LoginGuard>(seed)) {
  for (Identity& identity : identities_) {
    if (before != nullptr)
      for (const Identity& old : before->identities_)
        if (old.name == identity.name) identity.use = old.use;
    if (identity.use == nullptr) identity.use = std::make_shared<IdentityUse>();
  }
}

const Identity& AccessTable::nobody() noexcept {
  static const Identity nobody{
      .name = {}, .recognition = {}, .mark = {}, .quota = {}, .rights = {}, .everywhere = {}};
  return nobody;
}

const Identity& AccessTable::recognise(const Peer& peer) const noexcept {
  const Identity* best = &nobody();
  unsigned best_fit = 0;
  for (const Identity& identity : identities_) {
    const unsigned fit = identity.recognition.fit(peer);
    if (fit > best_fit) {
      best = &identity;
      best_fit = fit;
    }
  }
  return *best;
}

const Identity& AccessTable::of_user(std::string_view user, const Peer& peer) const noexcept {
  for (const Identity& identity : identities_)
    if (identity.recognition.fits_user(user, peer)) return identity;
  return nobody();
}

}  // namespace tokenring
