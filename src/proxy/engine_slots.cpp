// Slots and the two lists they stand in: a client's order of replies and a link's FIFO.
#include "base/assert.hpp"
#include "proxy/engine.hpp"
#include "wire/numbers.hpp"

namespace tokenring {

// A new slot at the end of the client's order.
std::uint32_t Engine::reserve(Client& client, ClientId id, const Request& request,
                              std::string_view key) noexcept {
  const std::uint32_t index = slots_.insert().index;
  Slot& slot = slots_[index];
  slot.client = id;
  slot.in_client = true;
  slot.context.command = request.command;
  slot.context.quiet = request.quiet;
  slot.context.key_is_base64 = request.key_is_base64;
  keep(slot, key, request.flags);
  if (client.last_slot == kNoSlot) {
    client.first_slot = index;
  } else {
    slots_[client.last_slot].next_in_client = index;
  }
  client.last_slot = index;
  ++client.slots;
  return index;
}

// Copies key and flags, which the context's views then name.
void Engine::keep(Slot& slot, std::string_view key, std::string_view flags) noexcept {
  char* to = slot.text.data();
  if (key.size() + flags.size() > slot.text.size()) {
    Buffer& longer = beside(slot).long_text;
    longer = pool_.take(key.size() + flags.size());
    to = longer.space().data();
  }
  slot.context.key = {to, key.size()};
  to = wire::write_bytes(to, key);
  slot.context.flags = {to, flags.size()};
  if (!flags.empty()) wire::write_bytes(to, flags);
}

Beside& Engine::beside(Slot& slot) noexcept {
  if (slot.beside == kNoSlot) slot.beside = besides_.insert().index;
  return besides_[slot.beside];
}

// Puts the slot at the end of the link's FIFO: the node owes it an answer from now on.
void Engine::await(Link& link, std::uint32_t index) noexcept {
  Slot& slot = slots_[index];
  slot.in_link = true;
  slot.next_in_link = kNoSlot;  // A change stands in the FIFO more than once.
  slot.sent = now_.instant;
  slot.turn = turn_;
  if (link.last_slot == kNoSlot) {
    link.first_slot = index;
  } else {
    slots_[link.last_slot].next_in_link = index;
  }
  link.last_slot = index;
  if (link.first_live == kNoSlot) link.first_live = index;
  ++link.slots;
  link.count(NodeTally::kRequests);
  ++in_flight_;
  ++requests_sent_;
}

void Engine::pop_front(Link& link) noexcept {
  const std::uint32_t index = link.first_slot;
  Slot& slot = slots_[index];
  TR_ASSERT(slot.in_link);
  slot.in_link = false;
  link.first_slot = slot.next_in_link;
  if (link.first_slot == kNoSlot) link.last_slot = kNoSlot;
  if (link.first_live == index) link.first_live = slot.next_in_link;
  --link.slots;
  --in_flight_;
  release_if_unlisted(index);
  if (link.retiring) end_if_retired(link);
}

void Engine::pop_front(Client& client) noexcept {
  const std::uint32_t index = client.first_slot;
  Slot& slot = slots_[index];
  TR_ASSERT(slot.in_client);
  slot.in_client = false;
  client.first_slot = slot.next_in_client;
  if (client.first_slot == kNoSlot) {
    client.last_slot = kNoSlot;
    client.aside.reset();
  }
  --client.slots;
  release_if_unlisted(index);
}

void Engine::release(std::uint32_t index) noexcept {
  Slot& slot = slots_[index];
  if (slot.near_writes || slot.sealing != kNoSlot || slot.beside != kNoSlot) release_company(slot);
  slots_.erase(index);
}

// What few slots have.
void Engine::release_company(Slot& slot) noexcept {
  if (slot.near_writes) near_.end_write(slot);
  if (slot.sealing != kNoSlot) {
    const std::uint32_t marker = sealings_[slot.sealing].marker;
    if (marker != kNoSlot) leave_marker(marker);
    sealings_.erase(slot.sealing);
  }
  if (slot.beside != kNoSlot) besides_.erase(slot.beside);
}

void Engine::mark_dirty(Client& client, ClientId id) noexcept {
  if (client.dirty) return;
  client.dirty = true;
  outbox_.flush_clients.push_back(id);
}

void Engine::mark_dirty(Link& link) noexcept {
  if (link.dirty) return;
  link.dirty = true;
  outbox_.flush_links.push_back(id_of(link));
}

void Engine::queue_resume(Client& client, ClientId id) noexcept {
  if (client.resuming) return;
  client.resuming = true;
  resumes_.push_back(id);
}

}  // namespace tokenring
