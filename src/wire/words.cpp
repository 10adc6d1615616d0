#include "wire/words.hpp"

#include <bit>
#include <cstdint>
#include <cstring>

#include "tokenring/parse.hpp"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace tokenring {

namespace wire {

#if defined(__SSE2__)

namespace {

// A bit for each byte that is a delimiter.
unsigned delimiters(__m128i bytes) noexcept {
  const __m128i hit = _mm_or_si128(_mm_cmpeq_epi8(bytes, _mm_setzero_si128()),
                                   _mm_or_si128(_mm_cmpeq_epi8(bytes, _mm_set1_epi8(' ')),
                                                _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\n'))));
  return static_cast<unsigned>(_mm_movemask_epi8(hit));
}

template <typename T>
T load(const char* from) noexcept {
  T value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

// The first delimiter among sizeof(T) to 2 * sizeof(T) bytes: their first and last T side by side.
template <typename T>
const char* find_in_few(const char* from, const char* to) noexcept {
  constexpr unsigned kHalf = sizeof(T);
  const char* const last = to - kHalf;
  const __m128i both =
      _mm_set_epi64x(static_cast<long long>(load<T>(last)), static_cast<long long>(load<T>(from)));
  const unsigned mask = delimiters(both);
  const unsigned first_half = mask & ((1U << kHalf) - 1);
  const unsigned last_half = (mask >> 8) & ((1U << kHalf) - 1);
  if (first_half != 0) return from + std::countr_zero(first_half);
  return last_half != 0 ? last + std::countr_zero(last_half) : to;
}

}  // namespace

#endif

const char* find_delimiter(const char* from, const char* to) noexcept {
#if defined(__SSE2__)
  for (; to - from >= 16; from += 16) {
    const unsigned mask = delimiters(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
    if (mask != 0) return from + std::countr_zero(mask);
  }
  if (to - from >= 8) return find_in_few<std::uint64_t>(from, to);
  if (to - from >= 4) return find_in_few<std::uint32_t>(from, to);
#endif
  for (; from != to; ++from)
    if (*from == ' ' || *from == '\n' || *from == '\0') return from;
  return to;
}

std::size_t split_line(std::string_view in, Words& words) noexcept {
  const char* const begin = in.data();
  const char* const end = begin + in.size();
  words.count = 0;
  const char* at = begin;
  while (words.count < kWordsMax) {
    const char* stop = find_delimiter(at, end);
    if (stop == end) return 0;
    if (*stop == '\n') {
      const char* word_end = stop;
      if (stop - begin > 1 && stop[-1] == '\r') --word_end;
      if (word_end > at) words.at[words.count++] = {at, static_cast<std::size_t>(word_end - at)};
      return static_cast<std::size_t>(stop - begin) + 1;
    }
    if (stop > at) words.at[words.count++] = {at, static_cast<std::size_t>(stop - at)};
    at = stop + 1;
    if (*stop == '\0') break;
  }
  const void* lf = std::memchr(at, '\n', static_cast<std::size_t>(end - at));
  if (lf == nullptr) return 0;
  return static_cast<std::size_t>(static_cast<const char*>(lf) - begin) + 1;
}

}  // namespace wire

std::string_view next_word(std::string_view& text) noexcept {
  const char* at = text.data();
  const char* const end = at + text.size();
  while (at != end && *at == ' ') ++at;
  const char* const stop = wire::find_delimiter(at, end);
  // Behind a NUL nothing counts; an LF cannot occur in what the parser hands out.
  const bool more = stop != end && *stop == ' ';
  text = more ? std::string_view(stop + 1, static_cast<std::size_t>(end - stop - 1))
              : std::string_view();
  return {at, static_cast<std::size_t>(stop - at)};
}

std::string_view find_flag(std::string_view flags, char letter) noexcept {
  for (std::string_view flag = next_word(flags); !flag.empty(); flag = next_word(flags))
    if (flag[0] == letter) return flag;
  return {};
}

std::string_view flag_value(std::string_view flags, char letter) noexcept {
  const std::string_view flag = find_flag(flags, letter);
  return flag.empty() ? flag : flag.substr(1);
}

}  // namespace tokenring
