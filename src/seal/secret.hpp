// SecretBytes: memory for keys, in pages of its own.
//
// Locked into RAM, left out of core dumps, and wiped before it is given back. Where the machine
// refuses to lock (RLIMIT_MEMLOCK) the memory is used all the same, for a proxy that does not start
// protects nothing; is_locked() tells, so that somebody can be warned.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace tokenring {

class SecretBytes {
 public:
  // `size` zero bytes. Throws std::bad_alloc where there is no memory.
  explicit SecretBytes(std::size_t size);
  SecretBytes(SecretBytes&& other) noexcept;
  SecretBytes& operator=(SecretBytes&& other) noexcept;
  SecretBytes(const SecretBytes&) = delete;
  SecretBytes& operator=(const SecretBytes&) = delete;
  ~SecretBytes();

  [[nodiscard]] unsigned char* data() noexcept { return data_; }
  [[nodiscard]] const unsigned char* data() const noexcept { return data_; }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] std::span<unsigned char> bytes() noexcept { return {data_, size_}; }
  [[nodiscard]] std::span<const unsigned char> bytes() const noexcept { return {data_, size_}; }
  [[nodiscard]] std::string_view text() const noexcept {
    return {reinterpret_cast<const char*>(data_), size_};
  }
  [[nodiscard]] bool is_locked() const noexcept { return locked_; }

 private:
  unsigned char* data_ = nullptr;
  std::size_t size_ = 0;
  std::size_t mapped_ = 0;
  bool locked_ = false;
};

// In a time that tells at most the secret's length.
[[nodiscard]] bool is_same_secret(std::string_view given, std::string_view secret) noexcept;

// Overwrites what is there in a way that the compiler keeps.
void wipe(void* data, std::size_t size) noexcept;
// The same of a text, which is empty then.
void wipe(std::string& text) noexcept;

}  // namespace tokenring
