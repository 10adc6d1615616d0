// Material: what is in the files, and comes of the commands, that a configuration names.
#pragma once

#include <memory>
#include <string>

#include "app/access.hpp"
#include "app/config.hpp"
#include "app/revocation.hpp"
#include "app/seal_material.hpp"
#include "app/tls_material.hpp"
#include "tokenring/result.hpp"

namespace tokenring {

struct Material {
  SealMaterial seal;
  TlsMaterial tls;
  std::string admin_token;  // Empty: none is asked for.
  std::shared_ptr<const SignedRevocation> revocation;
  std::shared_ptr<const UserBook> users;
};

// What outlives a reload: tickets that were given and passwords that were checked stay good.
struct MaterialPast {
  TicketBook tickets;
  std::shared_ptr<const HmacKey> password_key = make_password_key();
};

// Reads all of it, and sees whether a snapshot can be made with it. The error is one line.
[[nodiscard]] Result<Material, std::string> read_material(const Config& config, MaterialPast& past);

}  // namespace tokenring
