#include "app/seal_material.hpp"

#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include <cstring>

#include "app/read_file.hpp"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define TOKENRING_HAS_ASAN 1
#endif
#endif
#ifndef TOKENRING_HAS_ASAN
#define TOKENRING_HAS_ASAN 0
#endif

namespace tokenring {

namespace {

KeyringResult read_keys(const KeySource& source) {
  if (!source.file.empty()) return read_key_file(source.file);
  if (!source.credential.empty()) return read_key_credential(source.credential);
  return read_key_command(source.command);
}

// What holds keys, or values as clients see them, must not end up in a file: no core dump, and no
// debugger of the same user. (Sanitizers look for leaks like a debugger.)
void keep_memory_private() {
  const rlimit none{};
  ::setrlimit(RLIMIT_CORE, &none);
#if !defined(__SANITIZE_ADDRESS__) && !TOKENRING_HAS_ASAN
  ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
#endif
}

}  // namespace

Result<SealMaterial, std::string> read_seal_material(const Config& config) {
  SealMaterial material;
  if (config.keys.any()) {
    keep_memory_private();
    KeyringResult keyring = read_keys(config.keys);
    if (!keyring) return unexpected(fmt::format("{}: {}", config.keys.at, keyring.error()));
    material.keyring = *std::move(keyring);
  }
  for (const NamespaceConfig& space : config.namespaces) {
    if (space.dictionary.empty() || material.dictionaries.contains(space.dictionary)) continue;
    std::string bytes;
    const auto failed = [&](std::string_view what) {
      return unexpected(fmt::format("{}: {}: {}", space.dictionary_at, space.dictionary, what));
    };
    if (const int error = read_file(space.dictionary, Dictionary::kBytesMax + 1, bytes); error != 0)
      return failed(fmt::format("cannot read: {}", std::strerror(error)));
    auto dictionary = Dictionary::make(bytes);
    if (!dictionary) return failed(dictionary.error());
    material.dictionaries.emplace(space.dictionary, *std::move(dictionary));
  }
  auto introspections = read_introspections(config);
  if (!introspections) return unexpected(introspections.error());
  material.introspections = *std::move(introspections);
  return material;
}

}  // namespace tokenring
