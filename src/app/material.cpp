#include "app/material.hpp"

#include <utility>

#include "app/admin_token.hpp"

namespace tokenring {

Result<Material, std::string> read_material(const Config& config, MaterialPast& past) {
  auto seal = read_seal_material(config);
  if (!seal) return unexpected(seal.error());
  auto tls = read_tls_material(config, past.tickets);
  if (!tls) return unexpected(tls.error());
  auto token = read_admin_token(config);
  if (!token) return unexpected(token.error());
  auto revocation = read_signed_revocation(config.revocation);
  if (!revocation) return unexpected(revocation.error());
  auto users = read_users(config, past.password_key);
  if (!users) return unexpected(users.error());
  if (const auto sound = make_snapshot(config, {}, *seal); !sound) return unexpected(sound.error());
  return Material{.seal = *std::move(seal),
                  .tls = *std::move(tls),
                  .admin_token = *std::move(token),
                  .revocation = *std::move(revocation),
                  .users = *std::move(users)};
}

}  // namespace tokenring
