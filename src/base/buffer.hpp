// Buffers: byte storage from a per-worker pool, and a queue of bytes on their way out.
//
// A connection holds a Buffer only while bytes are half-read or half-sent; an idle one holds none.
// Pool and buffers belong to one thread. A Buffer must not outlive its pool.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

namespace tokenring {

class BufferPool;

// Owns `capacity()` bytes, of which [begin, end) are in use. Move-only; returns itself to its pool.
class Buffer {
 public:
  Buffer() noexcept = default;
  Buffer(Buffer&& other) noexcept { steal(other); }
  Buffer& operator=(Buffer&& other) noexcept {
    if (this == &other) return *this;
    reset();
    steal(other);
    return *this;
  }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  ~Buffer() { reset(); }

  void swap(Buffer& other) noexcept {
    std::swap(pool_, other.pool_);
    std::swap(data_, other.data_);
    std::swap(capacity_, other.capacity_);
    std::swap(begin_, other.begin_);
    std::swap(end_, other.end_);
  }

  [[nodiscard]] bool owns() const noexcept { return data_ != nullptr; }
  [[nodiscard]] bool empty() const noexcept { return begin_ == end_; }
  [[nodiscard]] std::size_t size() const noexcept { return end_ - begin_; }
  [[nodiscard]] std::size_t capacity() const noexcept { return capacity_; }
  [[nodiscard]] std::size_t room() const noexcept { return capacity_ - end_; }
  // Valid until the next call that is not const.
  [[nodiscard]] std::string_view view() const noexcept { return {data_ + begin_, size()}; }
  // The free bytes behind the used ones; follow a write with commit().
  [[nodiscard]] std::span<char> space() noexcept { return {data_ + end_, room()}; }

  // REQUIRES: n <= room().
  void commit(std::size_t n) noexcept { end_ += n; }
  // REQUIRES: n <= size().
  void consume(std::size_t n) noexcept {
    begin_ += n;
    if (begin_ == end_) begin_ = end_ = 0;
  }
  // REQUIRES: n <= size().
  void drop_back(std::size_t n) noexcept {
    end_ -= n;
    if (begin_ == end_) begin_ = end_ = 0;
  }
  // REQUIRES: bytes.size() <= room().
  void append(std::string_view bytes) noexcept;
  // Gives the bytes back to the pool.
  void reset() noexcept {
    if (owns()) give_back();
  }
  // Makes room() at least n, moving the used bytes when they must.
  void reserve(BufferPool& pool, std::size_t n);

 private:
  friend class BufferPool;
  void give_back() noexcept;
  // REQUIRES: owns nothing.
  void steal(Buffer& other) noexcept {
    pool_ = other.pool_;
    data_ = std::exchange(other.data_, nullptr);
    capacity_ = std::exchange(other.capacity_, 0);
    begin_ = std::exchange(other.begin_, 0);
    end_ = std::exchange(other.end_, 0);
  }

  BufferPool* pool_ = nullptr;
  char* data_ = nullptr;
  std::size_t capacity_ = 0;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
};

// Free lists of buffers by power-of-two size. Keeps at most kKeptBytesMax of free bytes per class.
class BufferPool {
 public:
  static constexpr std::size_t kSmallest = 256;
  static constexpr std::size_t kClasses = 13;  // 256 B to 1 MiB; larger ones are not kept.
  static constexpr std::size_t kKeptBytesMax = std::size_t{2} << 20;

  BufferPool() = default;
  BufferPool(const BufferPool&) = delete;
  BufferPool& operator=(const BufferPool&) = delete;
  ~BufferPool();

  // A buffer of at least `n` bytes of capacity.
  [[nodiscard]] Buffer take(std::size_t n);
  // From now on what comes back is cleared: there may be secrets in it.
  void set_wipes(bool wipes) noexcept { wipes_ = wipes; }
  // Bytes lent out at present.
  [[nodiscard]] std::size_t bytes_lent() const noexcept { return bytes_lent_; }

 private:
  friend class Buffer;
  void give_back(char* data, std::size_t capacity) noexcept;

  std::array<std::vector<char*>, kClasses> free_;
  std::size_t bytes_lent_ = 0;
  bool wipes_ = false;
};

// Bytes waiting to be sent, in order: small ones gathered in shared buffers, large ones moved in
// whole so that a big value is never copied again.
class OutQueue {
 public:
  [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }

  // `n` writable bytes in one piece; follow with commit(m), m <= n.
  [[nodiscard]] char* prepare(BufferPool& pool, std::size_t n) {
    if (tail_.room() < n) start_buffer(pool, n);
    return tail_.space().data();
  }
  void commit(std::size_t n) noexcept {
    tail_.commit(n);
    size_ += n;
  }
  void append(BufferPool& pool, std::string_view bytes);
  // Takes the buffer's used bytes without copying them.
  void append(Buffer&& buffer);
  // Takes all bytes of `other`, copying only what is small.
  void append(BufferPool& pool, OutQueue&& other);

  // Up to pieces.size() pieces from the front; returns how many were filled.
  [[nodiscard]] std::size_t front(std::span<std::string_view> pieces) const noexcept;
  // Drops n bytes from the front. REQUIRES: n <= size().
  void consume(std::size_t n) noexcept;
  // Drops bytes from the back until n are left. REQUIRES: n <= size().
  void truncate(std::size_t n) noexcept;
  void clear() noexcept;

 private:
  static constexpr std::size_t kSharedFirst = 1024;  // First gathering buffer: most replies fit.
  static constexpr std::size_t kSharedNext = 16384;  // What a busy queue grows into.

  void start_buffer(BufferPool& pool, std::size_t n);

  // tail_ is the youngest buffer; older_ (rarely used) holds those before it from head_ on.
  std::vector<Buffer> older_;
  std::size_t head_ = 0;
  Buffer tail_;
  std::size_t size_ = 0;
};

}  // namespace tokenring
