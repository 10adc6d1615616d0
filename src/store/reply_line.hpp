// Writes one reply into the output: a line, then perhaps a value.
#pragma once

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <string_view>

#include "base/assert.hpp"
#include "base/buffer.hpp"
#include "store/meta_line.hpp"
#include "store/text.hpp"

namespace tokenring::store {

// What the flags of a reply are filled from.
struct Echo {
  std::string_view key;
  bool binary_key = false;
  std::string_view opaque;  // With its letter.
  std::uint64_t cas = 0;
  std::uint64_t size = 0;
  std::uint32_t client_flags = 0;
  std::uint32_t deadline = 0;     // Unix seconds; 0: never.
  std::uint32_t last_access = 0;  // Unix seconds.
  bool fetched = false;
  std::uint32_t now = 0;
};

// A set of flags, for the ones that a reply echoes.
class FlagSet {
 public:
  constexpr FlagSet(std::initializer_list<Flag> flags) noexcept {
    for (const Flag flag : flags) bits_ |= std::uint32_t{1} << static_cast<unsigned>(flag);
  }
  [[nodiscard]] constexpr bool has(Flag flag) const noexcept {
    return (bits_ >> static_cast<unsigned>(flag) & 1) == 1;
  }

 private:
  std::uint32_t bits_ = 0;
};

class ReplyLine {
 public:
  // A line for `request` with up to `value_bytes` behind it. Nothing is sent before send(); two
  // lines of one queue must not be open at once.
  ReplyLine(OutQueue& out, BufferPool& pool, const MetaRequest& request,
            std::size_t value_bytes = 0)
      : out_(out),
        room_(kFixedBytes + request.flags().size() * kFlagBytesMax + request.opaque().size() +
              base64_size(request.key().size()) + value_bytes),
        begin_(out.prepare(pool, room_)),
        at_(begin_) {}

  void put(std::string_view bytes) noexcept {
    std::memcpy(at_, bytes.data(), bytes.size());
    at_ += bytes.size();
  }
  void put_number(std::uint64_t number) noexcept { at_ = std::to_chars(at_, at_ + 20, number).ptr; }
  // A flag of the reply: letter and number.
  void put_flag(char letter, std::uint64_t number) noexcept {
    *at_++ = ' ';
    *at_++ = letter;
    put_number(number);
  }
  void put_key(std::string_view key, bool as_base64) noexcept;
  void put_mark(char letter) noexcept {
    *at_++ = ' ';
    *at_++ = letter;
  }
  // Writes what `flag` asks for; nothing for a flag that asks for nothing.
  void echo(Flag flag, const Echo& echo) noexcept;
  void send() noexcept {
    const auto written = static_cast<std::size_t>(at_ - begin_);
    TR_ASSERT(written <= room_);
    out_.commit(written);
  }

 private:
  static constexpr std::size_t kFixedBytes = 128;   // Code, size, W X Z, ends; the names of me.
  static constexpr std::size_t kFlagBytesMax = 22;  // A space, a letter and a 64-bit number.

  OutQueue& out_;
  std::size_t room_;
  char* begin_;
  char* at_;
};

}  // namespace tokenring::store
