// Where keys come from: a file, a systemd credential, or the output of a command.
//
// Read at start and at each reload, never by a worker. Errors are one line and show no key; what
// was read is kept in SecretBytes and wiped.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "tokenring/keyring.hpp"
#include "tokenring/result.hpp"

namespace tokenring {

using KeyringResult = Result<std::shared_ptr<const Keyring>, std::string>;

// A regular file, no link, of this user or root, without a permission for anyone else.
[[nodiscard]] KeyringResult read_key_file(const std::string& path);

// A file of that name in $CREDENTIALS_DIRECTORY (systemd's LoadCredential=). There systemd lends a
// root's file to the service by an ACL, whose mask shows as the group's bits: reading by the group
// is allowed.
[[nodiscard]] KeyringResult read_key_credential(const std::string& name);

struct KeyCommand {
  std::vector<std::string> argv;  // argv[0] is an absolute path; no shell is involved.
  std::int64_t timeout_ms = 10'000;
};

// What the command writes to its standard output, which must end well and in time: a KMS that
// unwraps. Its input is empty; what it complains of goes to our standard error. It is killed, with
// what it started, when its time is over or it writes too much.
[[nodiscard]] KeyringResult read_key_command(const KeyCommand& command);

}  // namespace tokenring
