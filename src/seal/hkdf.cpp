#include "seal/hkdf.hpp"

#include <cstring>

#include "base/assert.hpp"

namespace tokenring {

namespace {

HmacKey extracted(std::span<const unsigned char> key) {
  constexpr std::string_view kSalt = "tokenring/1";
  const HmacKey salt({reinterpret_cast<const unsigned char*>(kSalt.data()), kSalt.size()});
  Mac mac = salt.mac({{reinterpret_cast<const char*>(key.data()), key.size()}});
  HmacKey expand(mac);
  wipe(mac.data(), mac.size());
  return expand;
}

}  // namespace

Hkdf::Hkdf(std::span<const unsigned char> key) : expand_(extracted(key)) {}

void Hkdf::derive(std::string_view purpose, std::string_view name,
                  std::span<unsigned char> out) const noexcept {
  TR_ASSERT(out.size() <= sizeof(Mac));  // One block of the expansion.
  Mac block = expand_.mac({purpose, name, {"\x01", 1}});
  std::memcpy(out.data(), block.data(), out.size());
  wipe(block.data(), block.size());
}

}  // namespace tokenring
