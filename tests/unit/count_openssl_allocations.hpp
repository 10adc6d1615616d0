// Counts what a binary allocates, OpenSSL's part as well. Include in one file of it, instead of
// count_allocations.hpp.
#pragma once

#include <openssl/crypto.h>

#include "count_allocations.hpp"

namespace {

// OpenSSL takes these before it has allocated anything, and only then; false: it was too late.
bool count_openssl_allocations() {
  return CRYPTO_set_mem_functions(
             [](std::size_t size, const char*, int) {
               ++allocations;
               return std::malloc(size);
             },
             [](void* memory, std::size_t size, const char*, int) {
               ++allocations;
               return std::realloc(memory, size);
             },
             [](void* memory, const char*, int) { std::free(memory); }) == 1;
}

}  // namespace
