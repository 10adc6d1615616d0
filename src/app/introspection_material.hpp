// What introspection endpoints need from outside the configuration file: secrets, certificates.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "app/config.hpp"
#include "policy/introspection.hpp"
#include "tokenring/result.hpp"

namespace tokenring {

using Introspections = std::vector<std::shared_ptr<const Introspection>>;

// What a verified JWT's claims (RFC 9701) say of a token, if they are from whom they should be and
// for us. The error is one line, and has nothing of them.
[[nodiscard]] Result<std::string, std::string> answer_in_claims(std::string_view payload,
                                                                std::string_view issuer,
                                                                std::string_view audience);
// In the order of Config::introspections. The error is one line.
[[nodiscard]] Result<Introspections, std::string> read_introspections(const Config& config);

}  // namespace tokenring
