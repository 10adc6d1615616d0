#include "wire/words.hpp"

#include <bit>
#include <cstring>

#include "tokenring/parse.hpp"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace tokenring {

namespace wire {

const char* find_delimiter(const char* from, const char* to) noexcept {
#if defined(__SSE2__)
  const __m128i blank = _mm_set1_epi8(' ');
  const __m128i lf = _mm_set1_epi8('\n');
  const __m128i nul = _mm_setzero_si128();
  for (; to - from >= 16; from += 16) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
    const __m128i hit =
        _mm_or_si128(_mm_cmpeq_epi8(bytes, nul),
                     _mm_or_si128(_mm_cmpeq_epi8(bytes, blank), _mm_cmpeq_epi8(bytes, lf)));
    const auto mask = static_cast<unsigned>(_mm_movemask_epi8(hit));
    if (mask != 0) return from + std::countr_zero(mask);
  }
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

}  // namespace tokenring
