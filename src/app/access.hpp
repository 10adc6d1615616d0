// Access: what a configuration's identities come to in a snapshot, and the file of users.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "app/config.hpp"
#include "policy/access.hpp"
#include "policy/namespaces.hpp"
#include "tokenring/result.hpp"

namespace tokenring {

// What identities need from outside the configuration file.
struct AccessMaterial {
  std::shared_ptr<const UserBook> users = nullptr;  // Null: no file is named.
  const AccessTable* before = nullptr;              // Whose counts go on.
};

// The key of this process, under which plain passwords are kept. Throws std::runtime_error where
// there is no entropy.
[[nodiscard]] std::shared_ptr<const HmacKey> make_password_key();

// What auth.file says, in a file that is closed to others (see private_file.hpp); null: none is
// named. The error is one line and shows nothing of it.
[[nodiscard]] Result<std::shared_ptr<const UserBook>, std::string> read_users(
    const Config& config, const std::shared_ptr<const HmacKey>& key);

// Adds the namespaces that are an identity's own: those that are given for it, and a copy of each
// other one.
void add_owned_namespaces(const Config& config, std::vector<Namespace>& namespaces);

// Null where nobody is asked who it is.
[[nodiscard]] std::shared_ptr<const AccessTable> make_access(const Config& config,
                                                             const NamespaceTable& namespaces,
                                                             const AccessMaterial& material);

}  // namespace tokenring
