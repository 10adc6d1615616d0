// SealMaterial: what sealing needs from outside the configuration file: keys and
// dictionaries, and what its namespaces need to ask elsewhere.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "app/config.hpp"
#include "app/introspection_material.hpp"
#include "seal/compress.hpp"
#include "tokenring/keyring.hpp"
#include "tokenring/result.hpp"

namespace tokenring {

struct SealMaterial {
  std::shared_ptr<const Keyring> keyring;                                 // Null: none is named.
  std::map<std::string, std::shared_ptr<const Dictionary>> dictionaries;  // By path.
  Introspections introspections = {};
};

// Reads what the configuration names. The error is one line.
[[nodiscard]] Result<SealMaterial, std::string> read_seal_material(const Config& config);

}  // namespace tokenring
