#include "tokenring/envelope.hpp"

#include <cstring>

#include "base/assert.hpp"
#include "seal/bytes.hpp"
#include "seal/layout.hpp"

namespace tokenring {

std::string_view name_of(OpenOutcome outcome) noexcept {
  switch (outcome) {
    case OpenOutcome::kOpened:
      return "opened";
    case OpenOutcome::kPlaintext:
      return "plaintext";
    case OpenOutcome::kMalformed:
      return "malformed";
    case OpenOutcome::kUnknownKey:
      return "unknown_key";
    case OpenOutcome::kAuthFail:
      return "auth_fail";
    case OpenOutcome::kExpired:
      return "expired";
  }
  return "malformed";
}

Result<EnvelopeView, OpenOutcome> parse_envelope(std::string_view bytes) noexcept {
  if (bytes.size() < 2 || bytes[0] != kMagic0 || bytes[1] != kMagic1)
    return unexpected(OpenOutcome::kPlaintext);
  if (bytes.size() < kEnvelopeBytes || bytes[2] != kVersion)
    return unexpected(OpenOutcome::kMalformed);
  const unsigned bits = static_cast<unsigned char>(bytes[3]);
  if ((bits & ~kKnownBits) != 0 || (bits & kSuiteMask) != kSuiteXaes)
    return unexpected(OpenOutcome::kMalformed);
  const bool with_generation = (bits & kGenerationBit) != 0;
  if (bytes.size() < sealed_size(0, with_generation)) return unexpected(OpenOutcome::kMalformed);

  EnvelopeView view;
  view.header.zstd = (bits & kZstdBit) != 0;
  view.header.control = (bits & kControlBit) != 0;
  view.header.key_id = load_u32(bytes.data() + 4);
  view.header.exp = load_u32(bytes.data() + 8);
  view.header.iat = load_u32(bytes.data() + 12);
  view.nonce = bytes.substr(kNonceAt, kXaesNonceBytes);
  std::size_t head = kGenerationAt;
  if (with_generation) {
    view.header.generation = load_u64(bytes.data() + kGenerationAt);
    head += kGenerationBytes;
  }
  view.ciphertext = bytes.substr(head, bytes.size() - head - kXaesTagBytes);
  view.tag = bytes.substr(bytes.size() - kXaesTagBytes);
  return view;
}

std::size_t format_envelope_head(const EnvelopeHeader& header, std::string_view nonce,
                                 char* out) noexcept {
  TR_ASSERT(nonce.size() == kXaesNonceBytes);
  unsigned bits = kSuiteXaes;
  if (header.zstd) bits |= kZstdBit;
  if (header.generation) bits |= kGenerationBit;
  if (header.control) bits |= kControlBit;
  out[0] = kMagic0;
  out[1] = kMagic1;
  out[2] = kVersion;
  out[3] = static_cast<char>(bits);
  store_u32(header.key_id, out + 4);
  store_u32(header.exp, out + 8);
  store_u32(header.iat, out + 12);
  std::memcpy(out + kNonceAt, nonce.data(), kXaesNonceBytes);
  if (!header.generation) return kGenerationAt;
  store_u64(*header.generation, out + kGenerationAt);
  return kGenerationAt + kGenerationBytes;
}

}  // namespace tokenring
