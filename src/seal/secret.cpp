#include "seal/secret.hpp"

#include <openssl/crypto.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

namespace tokenring {

SecretBytes::SecretBytes(std::size_t size) : size_(size) {
  const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  mapped_ = (std::max<std::size_t>(size, 1) + page - 1) / page * page;
  void* const memory =
      mmap(nullptr, mapped_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  data_ = static_cast<unsigned char*>(memory);
  locked_ = mlock(memory, mapped_) == 0;
  madvise(memory, mapped_, MADV_DONTDUMP);
}

SecretBytes::SecretBytes(SecretBytes&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)),
      mapped_(std::exchange(other.mapped_, 0)),
      locked_(std::exchange(other.locked_, false)) {}

SecretBytes& SecretBytes::operator=(SecretBytes&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  std::swap(mapped_, other.mapped_);
  std::swap(locked_, other.locked_);
  return *this;
}

SecretBytes::~SecretBytes() {
  if (data_ == nullptr) return;
  wipe(data_, size_);
  munmap(data_, mapped_);  // Unlocks as well.
}

bool is_same_secret(std::string_view given, std::string_view secret) noexcept {
  return given.size() == secret.size() &&
         CRYPTO_memcmp(given.data(), secret.data(), secret.size()) == 0;
}

void wipe(void* data, std::size_t size) noexcept {
  explicit_bzero(data, size);  // Several times as fast as OPENSSL_cleanse where there is a value.
}

void wipe(std::string& text) noexcept {
  wipe(text.data(), text.size());
  text.clear();
}

}  // namespace tokenring
