// Compression before sealing: the frame that is an envelope's plaintext when its zstd bit is set.
//
// Opt-in, for what is compressed beside a secret tells about it by its length. Padding to buckets
// blunts that. FORMAT.md has the bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tokenring/result.hpp"

struct ZSTD_CCtx_s;
struct ZSTD_DCtx_s;
struct ZSTD_CDict_s;
struct ZSTD_DDict_s;

namespace tokenring {

// Made from samples by train_dictionary(); its id is in it. Immutable: any number of threads may
// use one.
class Dictionary {
 public:
  static constexpr std::size_t kBytesMax = std::size_t{1} << 20;

  // The error reads "what is wrong; what would be right".
  [[nodiscard]] static Result<std::shared_ptr<const Dictionary>, std::string> make(
      std::string_view bytes);
  ~Dictionary();
  Dictionary(const Dictionary&) = delete;
  Dictionary& operator=(const Dictionary&) = delete;

  [[nodiscard]] std::uint32_t id() const noexcept { return id_; }  // Never 0.

 private:
  friend class Compressor;
  Dictionary() noexcept = default;

  std::uint32_t id_ = 0;
  ZSTD_CDict_s* to_compress_ = nullptr;
  ZSTD_DDict_s* to_decompress_ = nullptr;
};

using Dictionaries = std::vector<std::shared_ptr<const Dictionary>>;

// A dictionary of at most `bytes_max` from at least 8 samples.
[[nodiscard]] Result<std::string, std::string> train_dictionary(
    std::span<const std::string> samples, std::size_t bytes_max);

enum class UnpackError : std::uint8_t {
  kMalformed,
  kTooLarge,           // It says that it holds more than is allowed.
  kUnknownDictionary,  // Packed with a dictionary that is not here.
};
[[nodiscard]] std::string_view name_of(UnpackError error) noexcept;

// The next bucket that holds a frame of `bytes`: steps of 32 bytes, or of an eighth of the power
// of two below where that is more.
[[nodiscard]] constexpr std::size_t padded_size(std::size_t bytes) noexcept {
  std::size_t step = 32;
  while (step * 16 <= bytes) step *= 2;
  return (bytes + step - 1) / step * step;
}

// One for each thread; keeps its contexts and its scratch.
class Compressor {
 public:
  // Smaller values are left alone: there is nothing to gain.
  static constexpr std::size_t kFloorBytes = 96;
  // Scratch beyond this is given back after use.
  static constexpr std::size_t kScratchKept = std::size_t{1} << 20;

  explicit Compressor(Dictionaries known = {});
  ~Compressor();
  Compressor(const Compressor&) = delete;
  Compressor& operator=(const Compressor&) = delete;

  // The frame of `plain`, or empty where it is not smaller: then seal `plain` itself, without the
  // zstd bit. `dictionary` may be null. Borrows from the scratch: valid until the next call.
  [[nodiscard]] std::string_view pack(std::string_view plain,
                                      const Dictionary* dictionary) noexcept;

  // How many bytes unpack() writes. Nothing above `plain_bytes_max` is accepted.
  [[nodiscard]] static Result<std::size_t, UnpackError> unpacked_size(
      std::string_view frame, std::size_t plain_bytes_max) noexcept;
  // Writes unpacked_size() bytes to `out`; what it wrote before an error is wiped.
  [[nodiscard]] Result<std::size_t, UnpackError> unpack(std::string_view frame,
                                                        std::size_t plain_bytes_max,
                                                        char* out) noexcept;

  // `bytes` of room to open an envelope into before it is unpacked. Valid until the next call.
  [[nodiscard]] char* scratch(std::size_t bytes) noexcept;
  // After a value has passed: the scratch held it, or its frame.
  void wipe_scratch() noexcept;

 private:
  Dictionaries known_;
  ZSTD_CCtx_s* compressing_;
  ZSTD_DCtx_s* decompressing_;
  std::unique_ptr<char[]> scratch_;
  std::size_t scratch_bytes_ = 0;
  std::size_t scratch_used_ = 0;
};

}  // namespace tokenring
