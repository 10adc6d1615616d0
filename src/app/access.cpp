#include "app/access.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

#include "app/private_file.hpp"
#include "app/random_seed.hpp"
#include "seal/secret.hpp"
#include "tokenring/envelope.hpp"

namespace tokenring {

namespace {

Rights rights_in(const IdentityConfig& identity, std::string_view prefix) {
  Rights rights;
  for (const AllowConfig& row : identity.allow)
    if (!row.namespaces ||
        std::find(row.namespaces->begin(), row.namespaces->end(), prefix) != row.namespaces->end())
      rights = rights | row.rights;
  return rights;
}

Identity identity_of(const IdentityConfig& config, Owner owner, const NamespaceTable& namespaces) {
  Identity identity{.name = config.name,
                    .recognition = config.recognition,
                    .hides = config.hides,
                    .owner = owner,
                    .mark = config.isolates ? config.mark() : std::string(),
                    .quota = config.quota,
                    .rights = {},
                    .everywhere = {}};
  for (const AllowConfig& row : config.allow)
    if (!row.namespaces) identity.everywhere = identity.everywhere | row.rights;
  for (const Namespace& space : namespaces.all()) {
    const bool is_its = space.owner == owner;
    const std::string_view prefix = std::string_view(space.prefix).substr(space.mark_bytes);
    identity.rights.push_back(is_its ? rights_in(config, prefix) : Rights());
  }
  return identity;
}

}  // namespace

std::shared_ptr<const HmacKey> make_password_key() {
  SecretBytes key(32);
  if (!system_entropy().fill(key.bytes())) throw std::runtime_error("there is no entropy");
  return std::make_shared<const HmacKey>(key.bytes());
}

Result<std::shared_ptr<const UserBook>, std::string> read_users(
    const Config& config, const std::shared_ptr<const HmacKey>& key) {
  const std::string& path = config.auth_file;
  if (path.empty()) return std::shared_ptr<const UserBook>();
  auto text = read_private_file(path, UserBook::kFileBytesMax + 1);
  const auto bad = [&](std::string_view what) {
    return unexpected(fmt::format("{}: {}", config.auth_at, what));
  };
  if (!text) return bad(text.error());
  if (text->size() > UserBook::kFileBytesMax)
    return bad(fmt::format("{}: has more than {} bytes", path, UserBook::kFileBytesMax));
  auto users = UserBook::parse(*text, path, key);
  wipe(*text);
  if (!users) return bad(users.error());
  return users;
}

void add_owned_namespaces(const Config& config, std::vector<Namespace>& namespaces) {
  const std::vector<Namespace> all = std::exchange(namespaces, {});
  // Those that are an owner's alone lie beside the others, in the order of the file.
  const auto identity_at = [&](std::size_t i) {
    return i < config.namespaces.size() ? std::string_view(config.namespaces[i].identity)
                                        : std::string_view();
  };
  for (std::size_t i = 0; i < all.size(); ++i)
    if (identity_at(i).empty()) namespaces.push_back(all[i]);
  Owner owner = 0;
  for (const IdentityConfig& identity : config.identities) {
    if (!identity.isolates) continue;
    ++owner;
    for (std::size_t i = 0; i < all.size(); ++i) {
      const bool is_replaced =
          identity_at(i).empty() &&
          std::any_of(config.namespaces.begin(), config.namespaces.end(), [&](const auto& own) {
            return own.identity == identity.name && own.prefix == all[i].prefix;
          });
      if (is_replaced || (!identity_at(i).empty() && identity_at(i) != identity.name)) continue;
      Namespace own = all[i];
      own.prefix = identity.mark() + own.prefix;
      own.owner = owner;
      own.mark_bytes = static_cast<std::uint16_t>(identity.mark().size());
      namespaces.push_back(std::move(own));
    }
  }
}

std::shared_ptr<const AccessTable> make_access(const Config& config,
                                               const NamespaceTable& namespaces,
                                               const AccessMaterial& material) {
  const bool asks = std::any_of(config.listen_options.begin(), config.listen_options.end(),
                                [](const auto& entry) { return entry.second.identify; });
  if (!asks) return nullptr;
  std::vector<Identity> identities;
  Owner owner = 0;
  for (const IdentityConfig& identity : config.identities)
    identities.push_back(identity_of(identity, identity.isolates ? ++owner : Owner{0}, namespaces));
  const std::uint64_t seed = random_seed();
  return std::make_shared<const AccessTable>(std::move(identities), material.users, seed,
                                             material.before);
}

}  // namespace tokenring
