// Result<T, E>: a value or the reason why there is none, for errors a peer or an operator causes.
//
// The names follow std::expected (C++23), which Debian 12's compilers do not have in C++20 mode.
#pragma once

#include <type_traits>
#include <utility>
#include <variant>

namespace tokenring {

// Wraps an error so that a function returning Result<T, E> can `return unexpected(e)`.
template <typename E>
struct Unexpected {
  E error;
};

template <typename E>
[[nodiscard]] constexpr Unexpected<std::decay_t<E>> unexpected(E&& error) {
  return {std::forward<E>(error)};
}

template <typename T, typename E>
class [[nodiscard]] Result {
 public:
  constexpr Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  template <typename G>
  constexpr Result(Unexpected<G> error) : state_(std::in_place_index<1>, std::move(error.error)) {}

  [[nodiscard]] constexpr bool has_value() const noexcept { return state_.index() == 0; }
  [[nodiscard]] constexpr explicit operator bool() const noexcept { return has_value(); }

  // REQUIRES: has_value().
  [[nodiscard]] constexpr T& value() & noexcept { return *std::get_if<0>(&state_); }
  [[nodiscard]] constexpr const T& value() const& noexcept { return *std::get_if<0>(&state_); }
  [[nodiscard]] constexpr T&& value() && noexcept { return std::move(*std::get_if<0>(&state_)); }
  [[nodiscard]] constexpr T& operator*() & noexcept { return value(); }
  [[nodiscard]] constexpr const T& operator*() const& noexcept { return value(); }
  [[nodiscard]] constexpr T&& operator*() && noexcept { return std::move(*this).value(); }
  [[nodiscard]] constexpr T* operator->() noexcept { return &value(); }
  [[nodiscard]] constexpr const T* operator->() const noexcept { return &value(); }

  // REQUIRES: !has_value().
  [[nodiscard]] constexpr const E& error() const noexcept { return *std::get_if<1>(&state_); }

 private:
  std::variant<T, E> state_;
};

}  // namespace tokenring
