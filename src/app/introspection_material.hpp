// What introspection endpoints need from outside the configuration file: secrets, certificates.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "app/config.hpp"
#include "policy/introspection.hpp"
#include "tokenring/result.hpp"

namespace tokenring {

using Introspections = std::vector<std::shared_ptr<const Introspection>>;

// In the order of Config::introspections. The error is one line.
[[nodiscard]] Result<Introspections, std::string> read_introspections(const Config& config);

}  // namespace tokenring
