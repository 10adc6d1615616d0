#include "seal/compress.hpp"

#include <fmt/format.h>
#include <zdict.h>
#include <zstd.h>

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/assert.hpp"
#include "seal/bytes.hpp"
#include "seal/secret.hpp"

namespace tokenring {

namespace {

constexpr int kLevel = 3;
constexpr std::size_t kVarintBytesMax = 5;  // 35 bits: more than a value can have.
constexpr std::size_t kFrameHeadBytesMax = 4 + 2 * kVarintBytesMax;

char* write_varint(std::size_t number, char* out) noexcept {
  for (; number >= 0x80; number >>= 7) *out++ = static_cast<char>(number | 0x80);
  *out++ = static_cast<char>(number);
  return out;
}

// Takes a number off the front; false where there is none.
bool read_varint(std::string_view& in, std::size_t& number) noexcept {
  number = 0;
  for (std::size_t i = 0; i < std::min(in.size(), kVarintBytesMax); ++i) {
    const auto byte = static_cast<unsigned char>(in[i]);
    number |= std::size_t{byte & 0x7fU} << 7 * i;
    if (byte >= 0x80) continue;
    in.remove_prefix(i + 1);
    return true;
  }
  return false;
}

struct Frame {
  std::uint32_t dictionary = 0;
  std::size_t plain_bytes = 0;
  std::string_view compressed;
};

Result<Frame, UnpackError> parse_frame(std::string_view in, std::size_t plain_bytes_max) noexcept {
  Frame frame;
  std::size_t compressed = 0;
  if (in.size() < 4) return unexpected(UnpackError::kMalformed);
  frame.dictionary = load_u32(in.data());
  in.remove_prefix(4);
  if (!read_varint(in, frame.plain_bytes) || !read_varint(in, compressed) || compressed > in.size())
    return unexpected(UnpackError::kMalformed);
  if (frame.plain_bytes > plain_bytes_max) return unexpected(UnpackError::kTooLarge);
  frame.compressed = in.substr(0, compressed);
  return frame;
}

}  // namespace

std::string_view name_of(UnpackError error) noexcept {
  switch (error) {
    case UnpackError::kMalformed:
      return "malformed";
    case UnpackError::kTooLarge:
      return "too_large";
    case UnpackError::kUnknownDictionary:
      return "unknown_dictionary";
  }
  return "malformed";
}

Result<std::shared_ptr<const Dictionary>, std::string> Dictionary::make(std::string_view bytes) {
  if (bytes.size() > kBytesMax) {
    return unexpected(
        fmt::format("has {} bytes; a dictionary has at most {}", bytes.size(), kBytesMax));
  }
  const std::uint32_t id = ZDICT_getDictID(bytes.data(), bytes.size());
  if (id == 0)
    return unexpected(std::string("is no dictionary; tokenring train-dictionary makes one"));
  const std::shared_ptr<Dictionary> dictionary(new Dictionary);
  dictionary->id_ = id;
  dictionary->to_compress_ = ZSTD_createCDict(bytes.data(), bytes.size(), kLevel);
  dictionary->to_decompress_ = ZSTD_createDDict(bytes.data(), bytes.size());
  if (dictionary->to_compress_ == nullptr || dictionary->to_decompress_ == nullptr)
    return unexpected(std::string("is damaged; tokenring train-dictionary makes another"));
  return std::shared_ptr<const Dictionary>(dictionary);
}

Dictionary::~Dictionary() {
  ZSTD_freeCDict(to_compress_);
  ZSTD_freeDDict(to_decompress_);
}

Result<std::string, std::string> train_dictionary(std::span<const std::string> samples,
                                                  std::size_t bytes_max) {
  constexpr std::size_t kSamplesMin = 8;
  if (samples.size() < kSamplesMin) {
    return unexpected(fmt::format("{} samples; give at least {}, better some hundreds",
                                  samples.size(), kSamplesMin));
  }
  std::string all;
  std::vector<std::size_t> sizes;
  for (const std::string& sample : samples) {
    all += sample;
    sizes.push_back(sample.size());
  }
  std::string dictionary(bytes_max, '\0');
  const std::size_t size = ZDICT_trainFromBuffer(dictionary.data(), dictionary.size(), all.data(),
                                                 sizes.data(), static_cast<unsigned>(sizes.size()));
  wipe(all.data(), all.size());
  if (ZDICT_isError(size) != 0)
    return unexpected(fmt::format("{}; give more samples", ZDICT_getErrorName(size)));
  dictionary.resize(size);
  return dictionary;
}

Compressor::Compressor(Dictionaries known)
    : known_(std::move(known)), compressing_(ZSTD_createCCtx()), decompressing_(ZSTD_createDCtx()) {
  TR_ASSERT(compressing_ != nullptr && decompressing_ != nullptr);
  // The frame says what zstd's own header would, and the tag proves it.
  ZSTD_CCtx_setParameter(compressing_, ZSTD_c_compressionLevel, kLevel);
  ZSTD_CCtx_setParameter(compressing_, ZSTD_c_contentSizeFlag, 0);
  ZSTD_CCtx_setParameter(compressing_, ZSTD_c_checksumFlag, 0);
  ZSTD_CCtx_setParameter(compressing_, ZSTD_c_dictIDFlag, 0);
}

Compressor::~Compressor() {
  wipe_scratch();
  ZSTD_freeCCtx(compressing_);
  ZSTD_freeDCtx(decompressing_);
}

std::string_view Compressor::pack(std::string_view plain, const Dictionary* dictionary) noexcept {
  if (plain.size() < kFloorBytes) return {};
  // More room than the plaintext has would only hold what is not smaller. But the padding is no
  // larger than that either.
  char* const frame = scratch(kFrameHeadBytesMax + ZSTD_compressBound(plain.size()));
  store_u32(dictionary == nullptr ? 0 : dictionary->id_, frame);
  char* const body = frame + kFrameHeadBytesMax;
  ZSTD_CCtx_refCDict(compressing_, dictionary == nullptr ? nullptr : dictionary->to_compress_);
  const std::size_t compressed = ZSTD_compress2(
      compressing_, body, static_cast<std::size_t>(scratch_.get() + scratch_used_ - body),
      plain.data(), plain.size());
  if (ZSTD_isError(compressed) != 0) return {};
  char* const head_end = write_varint(compressed, write_varint(plain.size(), frame + 4));
  const auto used = static_cast<std::size_t>(head_end - frame) + compressed;
  const std::size_t padded = padded_size(used);
  if (padded >= plain.size()) return {};
  std::memmove(head_end, body, compressed);
  std::memset(frame + used, 0, padded - used);
  return {frame, padded};
}

Result<std::size_t, UnpackError> Compressor::unpacked_size(std::string_view frame,
                                                           std::size_t plain_bytes_max) noexcept {
  const Result<Frame, UnpackError> parsed = parse_frame(frame, plain_bytes_max);
  if (!parsed) return unexpected(parsed.error());
  return parsed->plain_bytes;
}

Result<std::size_t, UnpackError> Compressor::unpack(std::string_view frame,
                                                    std::size_t plain_bytes_max,
                                                    char* out) noexcept {
  const Result<Frame, UnpackError> parsed = parse_frame(frame, plain_bytes_max);
  if (!parsed) return unexpected(parsed.error());
  const ZSTD_DDict* dictionary = nullptr;
  if (parsed->dictionary != 0) {
    const auto found = std::find_if(known_.begin(), known_.end(), [&](const auto& known) {
      return known->id_ == parsed->dictionary;
    });
    if (found == known_.end()) return unexpected(UnpackError::kUnknownDictionary);
    dictionary = (*found)->to_decompress_;
  }
  const std::size_t size =
      ZSTD_decompress_usingDDict(decompressing_, out, parsed->plain_bytes,
                                 parsed->compressed.data(), parsed->compressed.size(), dictionary);
  if (ZSTD_isError(size) == 0 && size == parsed->plain_bytes) return size;
  wipe(out, parsed->plain_bytes);
  return unexpected(UnpackError::kMalformed);
}

char* Compressor::scratch(std::size_t bytes) noexcept {
  wipe_scratch();
  if (bytes > scratch_bytes_) {
    scratch_bytes_ = std::bit_ceil(bytes);
    scratch_.reset(new char[scratch_bytes_]);
  }
  scratch_used_ = bytes;
  return scratch_.get();
}

void Compressor::wipe_scratch() noexcept {
  if (scratch_used_ > 0) wipe(scratch_.get(), scratch_used_);
  scratch_used_ = 0;
  if (scratch_bytes_ <= kScratchKept) return;
  scratch_.reset();
  scratch_bytes_ = 0;
}

}  // namespace tokenring
