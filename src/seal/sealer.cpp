#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>
#include <vector>

#include "base/assert.hpp"
#include "seal/bytes.hpp"
#include "seal/fork.hpp"
#include "seal/layout.hpp"
#include "seal/nonces.hpp"
#include "seal/secret.hpp"
#include "tokenring/envelope.hpp"

namespace tokenring {

namespace {

constexpr std::size_t kAadBytesMax =
    kNonceAt + kGenerationBytes + 4 + 1 + kNamespaceNameBytesMax + 2 + kClientKeyBytesMax;

// What an envelope is bound to, in one piece. Not initialised: most of it stays unused.
class Aad {
 public:
  // `head` begins an envelope, up to its generation if it has one.
  Aad(const char* head, bool with_generation, std::string_view name,
      const ValueIdentity& identity) noexcept {
    TR_ASSERT(identity.client_key.size() <= kClientKeyBytesMax);
    append({head, kNonceAt});
    if (with_generation) append({head + kGenerationAt, kGenerationBytes});
    store_u32(identity.client_flags, end_);
    end_ += 4;
    *end_++ = static_cast<char>(name.size());
    append(name);
    *end_++ = static_cast<char>(identity.client_key.size() >> 8);
    *end_++ = static_cast<char>(identity.client_key.size());
    append(identity.client_key);
  }
  Aad(const Aad&) = delete;
  Aad& operator=(const Aad&) = delete;

  [[nodiscard]] std::string_view view() const noexcept {
    return {bytes_, static_cast<std::size_t>(end_ - bytes_)};
  }

 private:
  void append(std::string_view part) noexcept { end_ += part.copy(end_, part.size()); }

  char bytes_[kAadBytesMax];
  char* end_ = bytes_;
};

// Unix seconds as 32 bits; a time before 1970 must not become "none".
std::uint32_t seconds32(UnixTime time) noexcept {
  if (time.seconds < 0) return 1;
  return static_cast<std::uint32_t>(std::min<std::int64_t>(time.seconds, UINT32_MAX));
}

}  // namespace

class Sealer::Core {
 public:
  Core(std::shared_ptr<const NamespaceKeys> keys, Entropy& entropy, SealerLimits limits)
      : nonces_(entropy),
        opening_(limits.open_contexts),
        head_messages_max_(limits.head_messages_max) {
    TR_ASSERT(std::has_single_bit(limits.open_contexts));
    TR_ASSERT(head_messages_max_ > 0 && head_messages_max_ <= SealerLimits{}.head_messages_max);
    use(std::move(keys));
  }

  void use(std::shared_ptr<const NamespaceKeys> keys) noexcept {
    keys_ = std::move(keys);
    sealing_.clear();
    sealing_.resize(keys_->size());
    for (OpeningContext& context : opening_) context.gcm.reset();
    nonces_.drop();
    forks_ = fork_count();
  }
  [[nodiscard]] const NamespaceKeys& keys() const noexcept { return *keys_; }

  std::size_t seal(const ValueIdentity& identity, std::string_view plain,
                   const SealOptions& options, UnixTime now, char* out) noexcept;
  OpenResult open(const ValueIdentity& identity, std::string_view sealed, UnixTime now,
                  char* out) noexcept;

 private:
  struct SealingContext {
    GcmContext gcm;
    char head[kXaesNonceHeadBytes] = {};
    std::uint32_t messages_left = 0;
    std::int64_t drawn_at_s = 0;
  };
  struct OpeningContext {
    GcmContext gcm;
    char head[kXaesNonceHeadBytes] = {};
    NamespaceId space = {};
    std::uint32_t key_id = 0;
  };

  [[nodiscard]] SealingContext* sealing_context(NamespaceId space, UnixTime now) noexcept;
  [[nodiscard]] bool draw_head(SealingContext& context, NamespaceId space, UnixTime now) noexcept;
  [[nodiscard]] GcmContext& opening_context(NamespaceId space, std::uint32_t key_id, int place,
                                            const char* head) noexcept;

  std::shared_ptr<const NamespaceKeys> keys_;
  NoncePool nonces_;
  XaesDeriver deriver_;
  std::vector<SealingContext> sealing_;  // By namespace; keyed when first used.
  std::vector<OpeningContext> opening_;  // Direct-mapped by the head, which is random.
  std::uint32_t head_messages_max_;
  std::uint64_t forks_ = 0;
};

bool Sealer::Core::draw_head(SealingContext& context, NamespaceId space, UnixTime now) noexcept {
  context.messages_left = 0;  // Should the draw fail, the old head must not go on.
  const char* const head = nonces_.take();
  if (head == nullptr) return false;
  std::memcpy(context.head, head, sizeof context.head);
  unsigned char subkey[kXaesKeyBytes];
  deriver_.subkey(keys_->key(space, 0), context.head, subkey);
  context.gcm.set_sealing_key(subkey);
  wipe(subkey, sizeof subkey);
  context.messages_left = head_messages_max_;
  context.drawn_at_s = now.seconds;
  return true;
}

// Null when entropy failed.
Sealer::Core::SealingContext* Sealer::Core::sealing_context(NamespaceId space,
                                                            UnixTime now) noexcept {
  if (const std::uint64_t forks = fork_count(); forks != forks_) [[unlikely]] {
    for (SealingContext& each : sealing_) each.messages_left = 0;
    nonces_.drop();
    forks_ = forks;
  }
  SealingContext& context = sealing_[space.index];
  const std::int64_t age_s = now.seconds - context.drawn_at_s;  // Negative: the clock was set back.
  if (context.messages_left == 0 || age_s < 0 || age_s >= kHeadSecondsMax) [[unlikely]] {
    if (!draw_head(context, space, now)) return nullptr;
  }
  --context.messages_left;
  return &context;
}

GcmContext& Sealer::Core::opening_context(NamespaceId space, std::uint32_t key_id, int place,
                                          const char* head) noexcept {
  const std::size_t index = (load_u32(head) ^ space.index) & (opening_.size() - 1);
  OpeningContext& context = opening_[index];
  const bool kept = context.gcm.has_key() && context.key_id == key_id && context.space == space &&
                    std::memcmp(context.head, head, sizeof context.head) == 0;
  if (kept) return context.gcm;
  unsigned char subkey[kXaesKeyBytes];
  deriver_.subkey(keys_->key(space, static_cast<std::size_t>(place)), head, subkey);
  context.gcm.set_opening_key(subkey);
  wipe(subkey, sizeof subkey);
  context.key_id = key_id;
  context.space = space;
  std::memcpy(context.head, head, sizeof context.head);
  return context.gcm;
}

std::size_t Sealer::Core::seal(const ValueIdentity& identity, std::string_view plain,
                               const SealOptions& options, UnixTime now, char* out) noexcept {
  TR_ASSERT(identity.space.index < sealing_.size());
  SealingContext* const context = sealing_context(identity.space, now);
  const char* const tail = context != nullptr ? nonces_.take() : nullptr;
  if (tail == nullptr) return 0;
  char nonce[kXaesNonceBytes];
  std::memcpy(nonce, context->head, kXaesNonceHeadBytes);
  std::memcpy(nonce + kXaesNonceHeadBytes, tail, kXaesNonceTailBytes);

  const EnvelopeHeader header{.zstd = options.zstd,
                              .control = options.control,
                              .key_id = keys_->primary_id(),
                              .exp = seconds32(options.exp),
                              .iat = seconds32(options.iat.seconds == 0 ? now : options.iat),
                              .generation = options.generation};
  const std::size_t head = format_envelope_head(header, {nonce, sizeof nonce}, out);
  const Aad aad(out, options.generation.has_value(), keys_->name(identity.space), identity);
  context->gcm.seal(nonce + kXaesNonceHeadBytes, aad.view(), plain, out + head);
  return head + plain.size() + kXaesTagBytes;
}

OpenResult Sealer::Core::open(const ValueIdentity& identity, std::string_view sealed, UnixTime now,
                              char* out) noexcept {
  TR_ASSERT(identity.space.index < sealing_.size());
  OpenResult result;
  const Result<EnvelopeView, OpenOutcome> view = parse_envelope(sealed);
  if (!view) {
    result.outcome = view.error();
    return result;
  }
  result.header = view->header;
  const int place = keys_->place_of(view->header.key_id);
  if (place < 0) {
    result.outcome = OpenOutcome::kUnknownKey;
    return result;
  }
  const Aad aad(sealed.data(), view->header.generation.has_value(), keys_->name(identity.space),
                identity);
  GcmContext& gcm = opening_context(identity.space, view->header.key_id, place, view->nonce.data());
  const char* const tail = view->nonce.data() + kXaesNonceHeadBytes;
  if (!gcm.open(tail, aad.view(), view->ciphertext, view->tag.data(), out)) {
    result.outcome = OpenOutcome::kAuthFail;
    return result;
  }
  // Only now is the expiry the writer's own.
  if (view->header.exp != 0 && std::int64_t{view->header.exp} <= now.seconds) {
    wipe(out, view->ciphertext.size());
    result.outcome = OpenOutcome::kExpired;
    return result;
  }
  result.outcome = OpenOutcome::kOpened;
  result.size = view->ciphertext.size();
  return result;
}

Sealer::Sealer(std::shared_ptr<const NamespaceKeys> keys, Entropy& entropy, SealerLimits limits)
    : core_(std::make_unique<Core>(std::move(keys), entropy, limits)) {}
Sealer::~Sealer() = default;

void Sealer::use(std::shared_ptr<const NamespaceKeys> keys) noexcept {
  core_->use(std::move(keys));
}
const NamespaceKeys& Sealer::keys() const noexcept {
  return core_->keys();
}

std::size_t Sealer::seal(const ValueIdentity& identity, std::string_view plain,
                         const SealOptions& options, UnixTime now, char* out) noexcept {
  return core_->seal(identity, plain, options, now, out);
}
OpenResult Sealer::open(const ValueIdentity& identity, std::string_view sealed, UnixTime now,
                        char* out) noexcept {
  return core_->open(identity, sealed, now, out);
}

}  // namespace tokenring
