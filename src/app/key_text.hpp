// What the readers of keys share: a descriptor that closes, and the text as it comes in.
#pragma once

#include <sys/types.h>
#include <unistd.h>

#include <string_view>
#include <utility>

#include "seal/secret.hpp"
#include "tokenring/keyring.hpp"

namespace tokenring {

class KeyDescriptor {
 public:
  explicit KeyDescriptor(int number = -1) noexcept : number_(number) {}
  KeyDescriptor(KeyDescriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  KeyDescriptor& operator=(KeyDescriptor&& other) noexcept {
    std::swap(number_, other.number_);
    return *this;
  }
  KeyDescriptor(const KeyDescriptor&) = delete;
  KeyDescriptor& operator=(const KeyDescriptor&) = delete;
  ~KeyDescriptor() { close(); }

  [[nodiscard]] int get() const noexcept { return number_; }
  void close() noexcept {
    if (number_ >= 0) ::close(std::exchange(number_, -1));
  }

 private:
  int number_;
};

// Takes one byte more than a key file may have, so that what is longer shows.
class KeyText {
 public:
  [[nodiscard]] bool full() const noexcept { return size_ == bytes_.size(); }
  [[nodiscard]] std::string_view view() const noexcept { return bytes_.text().substr(0, size_); }
  // As read(2).
  ssize_t read_from(int file) noexcept {
    const ssize_t count = ::read(file, bytes_.data() + size_, bytes_.size() - size_);
    if (count > 0) size_ += static_cast<std::size_t>(count);
    return count;
  }

 private:
  SecretBytes bytes_{Keyring::kTextBytesMax + 1};
  std::size_t size_ = 0;
};

}  // namespace tokenring
