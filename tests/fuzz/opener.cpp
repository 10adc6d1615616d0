// What a node, or an operator, hands to the seal room. The first byte says as what the rest is
// taken: an envelope, a frame of compressed data, or a key file.
#include <string>
#include <vector>

#include "base/assert.hpp"
#include "seal/compress.hpp"
#include "tokenring/envelope.hpp"
#include "unit/seal_keys.hpp"

using namespace tokenring;

namespace {

constexpr std::size_t kPlainBytesMax = 1 << 16;

void open(std::string_view sealed) {
  static Sealer sealer(NamespaceKeys::derive(*Keyring::parse(seal_kit::kKeyFile, "keys").value(),
                                             std::vector<std::string>{"sess"}),
                       system_entropy());
  constexpr UnixTime kNow{1'790'000'000};
  const ValueIdentity identity{.space = {0}, .client_key = "{u42}:tok", .client_flags = 7};
  std::string out(sealed.size(), '\0');
  const OpenResult result = sealer.open(identity, sealed, kNow, out.data());
  TR_ASSERT(result.opened() || result.size == 0);
  if (!result.opened()) {
    TR_ASSERT(out.find_first_not_of('\0') == std::string::npos);
    return;
  }
  TR_ASSERT(sealed_size(result.size, result.header.generation.has_value()) == sealed.size());
  const auto view = parse_envelope(sealed);
  TR_ASSERT(view && view->ciphertext.size() == result.size);
  std::string head(48, '\0');
  head.resize(format_envelope_head(view->header, view->nonce, head.data()));
  TR_ASSERT(sealed.starts_with(head));
}

void unpack(std::string_view frame) {
  static Compressor compressor;
  const auto size = Compressor::unpacked_size(frame, kPlainBytesMax);
  if (!size) return;
  TR_ASSERT(*size <= kPlainBytesMax);
  std::string out(*size, '\x55');
  const auto done = compressor.unpack(frame, kPlainBytesMax, out.data());
  if (done)
    TR_ASSERT(*done == *size);
  else if (done.error() == UnpackError::kMalformed)
    TR_ASSERT(out.find_first_not_of('\0') == std::string::npos);
}

void parse_keys(std::string_view text) {
  const auto keyring = Keyring::parse(text, "fuzz");
  if (keyring) {
    TR_ASSERT((*keyring)->master_count() >= 1);
    return;
  }
  TR_ASSERT(keyring.error().find('\n') == std::string::npos);
  // No part of the text that could be a key is in the message.
  for (std::size_t at = 0; at + 20 <= text.size() && at < 4096; ++at)
    TR_ASSERT(keyring.error().find(text.substr(at, 20)) == std::string::npos ||
              text.find(' ', at) < at + 20);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view rest(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 4) {
    case 0:
    case 1:
      open(rest);
      break;
    case 2:
      unpack(rest);
      break;
    default:
      parse_keys(rest);
  }
  return 0;
}
