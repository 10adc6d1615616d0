#include "base/buffer.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <new>

#include "base/assert.hpp"

namespace tokenring {

namespace {

std::size_t rounded(std::size_t n) {
  return std::bit_ceil(std::max(n, BufferPool::kSmallest));
}

std::size_t class_of(std::size_t capacity) {
  return static_cast<std::size_t>(std::bit_width(capacity / BufferPool::kSmallest) - 1);
}

}  // namespace

void Buffer::append(std::string_view bytes) noexcept {
  TR_ASSERT(bytes.size() <= room());
  if (!bytes.empty()) std::memcpy(data_ + end_, bytes.data(), bytes.size());
  end_ += bytes.size();
}

void Buffer::give_back() noexcept {
  pool_->give_back(data_, capacity_);
  data_ = nullptr;
  capacity_ = begin_ = end_ = 0;
}

void Buffer::reserve(BufferPool& pool, std::size_t n) {
  if (room() >= n) return;
  if (begin_ > 0 && capacity_ - size() >= n) {
    std::memmove(data_, data_ + begin_, size());
    end_ = size();
    begin_ = 0;
    return;
  }
  Buffer larger = pool.take(size() + n);
  larger.append(view());
  swap(larger);
}

BufferPool::~BufferPool() {
  for (auto& list : free_)
    for (char* data : list) ::operator delete(data);
}

Buffer BufferPool::take(std::size_t n) {
  const std::size_t capacity = rounded(n);
  const std::size_t index = class_of(capacity);
  Buffer buffer;
  buffer.pool_ = this;
  buffer.capacity_ = capacity;
  if (index < kClasses && !free_[index].empty()) {
    buffer.data_ = free_[index].back();
    free_[index].pop_back();
  } else {
    buffer.data_ = static_cast<char*>(::operator new(capacity));
  }
  bytes_lent_ += capacity;
  return buffer;
}

void BufferPool::give_back(char* data, std::size_t capacity) noexcept {
  bytes_lent_ -= capacity;
  if (wipes_) explicit_bzero(data, capacity);
  const std::size_t index = class_of(capacity);
  if (index >= kClasses || (free_[index].size() + 1) * capacity > kKeptBytesMax) {
    ::operator delete(data);
    return;
  }
  free_[index].push_back(data);
}

void OutQueue::append(BufferPool& pool, std::string_view bytes) {
  if (bytes.empty()) return;
  char* to = prepare(pool, bytes.size());
  std::memcpy(to, bytes.data(), bytes.size());
  commit(bytes.size());
}

void OutQueue::append(Buffer&& buffer) {
  if (buffer.empty()) return;
  size_ += buffer.size();
  if (!tail_.empty()) older_.push_back(std::move(tail_));
  tail_ = std::move(buffer);
}

void OutQueue::append(BufferPool& pool, OutQueue&& other) {
  for (std::size_t i = other.head_; i < other.older_.size(); ++i)
    append(std::move(other.older_[i]));
  if (other.tail_.size() <= kSharedFirst) {
    append(pool, other.tail_.view());
  } else {
    append(std::move(other.tail_));
  }
  other.clear();
}

void OutQueue::start_buffer(BufferPool& pool, std::size_t n) {
  if (tail_.empty()) {
    tail_ = pool.take(std::max(n, kSharedFirst));
    return;
  }
  // A queue that outgrows its first buffer moves on to the next size rather than to a second piece:
  // the copy is small and one piece is one iovec.
  if (tail_.size() + n <= kSharedNext && tail_.capacity() < kSharedNext) {
    tail_.reserve(pool, std::max(n, tail_.capacity() * 4 - tail_.size()));
    return;
  }
  older_.push_back(std::move(tail_));
  tail_ = pool.take(std::max(n, kSharedNext));
}

std::size_t OutQueue::front(std::span<std::string_view> pieces) const noexcept {
  std::size_t count = 0;
  for (std::size_t i = head_; i < older_.size() && count < pieces.size(); ++i)
    pieces[count++] = older_[i].view();
  if (count < pieces.size() && !tail_.empty()) pieces[count++] = tail_.view();
  return count;
}

void OutQueue::consume(std::size_t n) noexcept {
  TR_ASSERT(n <= size_);
  size_ -= n;
  while (head_ < older_.size()) {
    Buffer& first = older_[head_];
    const std::size_t part = std::min(n, first.size());
    first.consume(part);
    n -= part;
    if (!first.empty()) return;
    first.reset();
    ++head_;
  }
  older_.clear();
  head_ = 0;
  tail_.consume(n);
  if (tail_.empty()) tail_.reset();
}

void OutQueue::truncate(std::size_t n) noexcept {
  TR_ASSERT(n <= size_);
  while (size_ > n) {
    if (tail_.empty()) {
      TR_ASSERT(head_ < older_.size());
      tail_ = std::move(older_.back());
      older_.pop_back();
    }
    const std::size_t part = std::min(size_ - n, tail_.size());
    tail_.drop_back(part);
    size_ -= part;
  }
}

void OutQueue::clear() noexcept {
  older_.clear();
  head_ = 0;
  tail_.reset();
  size_ = 0;
}

}  // namespace tokenring
