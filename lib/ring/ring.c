/* lib/ring/ring.c: see ring.h for the contract and ring_pvt.h for the memory order. */
#include "ring/ring.h"

#include <string.h>

#include "ring/ring_pvt.h"
#include "util/err.h"

static bool is_pow2(uint32_t v) { return v != 0 && (v & (v - 1)) == 0; }

static bool size_ok(const struct rn_ring_size *size) {
  if (!is_pow2(size->slot_count) || size->slot_count < 2 || size->slot_count > 65536)
    return false;
  return size->bytes_cap == 0 ||
         (is_pow2(size->bytes_cap) && size->bytes_cap >= 1024 && size->bytes_cap <= 1u << 30);
}

static struct rn_ring_slot *slots_of(void *mem) {
  return (struct rn_ring_slot *)((uint8_t *)mem + sizeof(struct rn_ring_hdr));
}

static uint8_t *bytes_of(void *mem, uint32_t slot_count) {
  return (uint8_t *)mem + sizeof(struct rn_ring_hdr) + (size_t)slot_count * RN_RING_SLOT_BYTES;
}

size_t rn_ring_footprint(const struct rn_ring_size *size) {
  if (!size_ok(size))
    return 0;
  return sizeof(struct rn_ring_hdr) + (size_t)size->slot_count * RN_RING_SLOT_BYTES +
         size->bytes_cap;
}

int rn_ring_format(void *mem, const struct rn_ring_size *size, uint32_t schema,
                   uint64_t generation) {
  if (!size_ok(size) || (uintptr_t)mem % RN_RING_LINE != 0)
    return RN_ERR_INVAL;
  memset(mem, 0, rn_ring_footprint(size));
  struct rn_ring_hdr *hdr = mem;
  hdr->abi = RN_RING_ABI;
  hdr->slot_count = size->slot_count;
  hdr->bytes_cap = size->bytes_cap;
  hdr->schema = schema;
  hdr->generation = generation;
  hdr->magic = RN_RING_MAGIC;
  return RN_OK;
}

static bool hdr_ok(const struct rn_ring_hdr *hdr, const struct rn_ring_size *size,
                   uint32_t schema) {
  return size_ok(size) && (uintptr_t)hdr % RN_RING_LINE == 0 && hdr->magic == RN_RING_MAGIC &&
         hdr->abi == RN_RING_ABI && hdr->slot_count == size->slot_count &&
         hdr->bytes_cap == size->bytes_cap && hdr->schema == schema;
}

int rn_ring_tx_attach(struct rn_ring_tx *tx, void *mem, const struct rn_ring_size *size,
                      uint32_t schema) {
  struct rn_ring_hdr *hdr = mem;
  if (!hdr_ok(hdr, size, schema))
    return RN_ERR_CORRUPT;
  struct rn_ring_tx t = {
    .hdr = hdr,
    .slots = slots_of(mem),
    .bytes = bytes_of(mem, size->slot_count),
    .mask = size->slot_count - 1,
    .bytes_cap = size->bytes_cap,
    .head = atomic_load_explicit(&hdr->head, memory_order_relaxed),
    .bytes_head = atomic_load_explicit(&hdr->bytes_head, memory_order_relaxed),
    .bytes_floor = atomic_load_explicit(&hdr->bytes_tail, memory_order_relaxed),
    .tail_seen = ring_taken(hdr),
  };
  /* The producer before us may have died between publishing and noting where it was. */
  for (uint32_t n = 0; n < size->slot_count; n++, t.head++) {
    if (!ring_published(&t.slots[t.head & t.mask], t.head))
      break;
  }
  if (t.head - t.tail_seen > size->slot_count)
    return RN_ERR_CORRUPT;
  *tx = t;
  return RN_OK;
}

int rn_ring_rx_attach(struct rn_ring_rx *rx, void *mem, const struct rn_ring_size *size,
                      uint32_t schema) {
  struct rn_ring_hdr *hdr = mem;
  if (!hdr_ok(hdr, size, schema))
    return RN_ERR_CORRUPT;
  *rx = (struct rn_ring_rx){
    .hdr = hdr,
    .slots = slots_of(mem),
    .bytes = bytes_of(mem, size->slot_count),
    .mask = size->slot_count - 1,
    .bytes_cap = size->bytes_cap,
    .tail = atomic_load_explicit(&hdr->tail, memory_order_relaxed),
    .bytes_tail = atomic_load_explicit(&hdr->bytes_tail, memory_order_relaxed),
  };
  return RN_OK;
}

/* Room in the slots, reading the consumer's line only when the last look said full. */
static int slot_room(struct rn_ring_tx *tx) {
  if (tx->head - tx->tail_seen <= tx->mask)
    return RN_OK;
  tx->tail_seen = ring_taken(tx->hdr);
  uint64_t used = tx->head - tx->tail_seen;
  if (used > tx->mask + 1)
    return RN_ERR_CORRUPT;
  return used <= tx->mask ? RN_OK : RN_ERR_AGAIN;
}

static int bytes_room(struct rn_ring_tx *tx, uint64_t len) {
  if (len > tx->bytes_cap)
    return RN_ERR_TOOBIG;
  tx->tail_seen = ring_taken(tx->hdr);
  if (tx->head == tx->tail_seen) {
    /* Nothing is in flight, so what a producer before us reserved and never published is free
     * again. */
    tx->bytes_floor = tx->bytes_head;
    return RN_OK;
  }
  uint64_t taken = ring_bytes_taken(tx->hdr);
  if ((int64_t)(tx->bytes_floor - taken) > 0)
    taken = tx->bytes_floor;
  uint64_t used = tx->bytes_head - taken;
  if (tx->head - tx->tail_seen > tx->mask + 1 || used > tx->bytes_cap)
    return RN_ERR_CORRUPT;
  return len <= tx->bytes_cap - used ? RN_OK : RN_ERR_AGAIN;
}

/* Copies to position pos of the byte area, in two pieces where it wraps. */
static void bytes_put(struct rn_ring_tx *tx, uint64_t pos, const void *data, uint64_t len) {
  uint64_t at = pos & (tx->bytes_cap - 1);
  uint64_t first = len < tx->bytes_cap - at ? len : tx->bytes_cap - at;
  memcpy(tx->bytes + at, data, first);
  memcpy(tx->bytes, (const uint8_t *)data + first, len - first);
}

static void bytes_get(const struct rn_ring_rx *rx, uint64_t pos, void *out, uint64_t len) {
  uint64_t at = pos & (rx->bytes_cap - 1);
  uint64_t first = len < rx->bytes_cap - at ? len : rx->bytes_cap - at;
  memcpy(out, rx->bytes + at, first);
  memcpy((uint8_t *)out + first, rx->bytes, len - first);
}

int rn_ring_push(struct rn_ring_tx *tx, uint16_t type, const struct rn_ring_part *parts,
                 unsigned int part_count) {
  uint64_t len = 0;
  for (unsigned int i = 0; i < part_count; i++)
    len += parts[i].len;
  bool is_long = len > RN_RING_INLINE_BYTES;
  int err = slot_room(tx);
  if (is_long && (err == RN_OK || len > tx->bytes_cap))
    err = bytes_room(tx, len);
  if (err != RN_OK)
    return err;

  struct rn_ring_slot *slot = &tx->slots[tx->head & tx->mask];
  slot->type = type;
  slot->len = (uint32_t)len;
  slot->flags = is_long ? RN_RING_FLAG_BYTES : 0;
  slot->bytes_pos = tx->bytes_head;
  uint64_t at = 0;
  for (unsigned int i = 0; i < part_count; i++) {
    if (parts[i].len == 0)
      continue;
    if (is_long)
      bytes_put(tx, tx->bytes_head + at, parts[i].data, parts[i].len);
    else
      memcpy(slot->data + at, parts[i].data, parts[i].len);
    at += parts[i].len;
  }
  if (is_long) {
    tx->bytes_head += len;
    ring_note_bytes_head(tx->hdr, tx->bytes_head);
  }
  ring_publish(slot, tx->head);
  tx->head++;
  ring_note_head(tx->hdr, tx->head);
  return RN_OK;
}

bool rn_ring_must_wake(struct rn_ring_tx *tx) { return ring_take_asleep(tx->hdr); }

int rn_ring_pop(struct rn_ring_rx *rx, struct rn_ring_msg *msg, void *buf, uint32_t cap) {
  const struct rn_ring_slot *slot = &rx->slots[rx->tail & rx->mask];
  if (!ring_published(slot, rx->tail))
    return RN_ERR_AGAIN;
  /* From here on each shared field is read once, into a local copy. */
  struct rn_ring_msg m = { .type = *(const volatile uint16_t *)&slot->type,
                           .len = *(const volatile uint32_t *)&slot->len };
  uint16_t flags = *(const volatile uint16_t *)&slot->flags;
  uint64_t bytes_pos = *(const volatile uint64_t *)&slot->bytes_pos;
  bool is_long = (flags & RN_RING_FLAG_BYTES) != 0;
  rx->tail++;
  if (flags & ~RN_RING_FLAG_BYTES || m.len > (is_long ? rx->bytes_cap : RN_RING_INLINE_BYTES))
    return RN_ERR_CORRUPT;
  if (is_long)
    rx->bytes_tail = bytes_pos + m.len;
  if (m.len > cap)
    return RN_ERR_TOOBIG;
  if (is_long && m.len > 0)
    bytes_get(rx, bytes_pos, buf, m.len);
  else if (m.len > 0)
    memcpy(buf, slot->data, m.len);
  *msg = m;
  return RN_OK;
}

void rn_ring_release(struct rn_ring_rx *rx) { ring_give_back(rx->hdr, rx->tail, rx->bytes_tail); }

bool rn_ring_sleep(struct rn_ring_rx *rx) {
  ring_set_asleep(rx->hdr);
  if (!ring_published(&rx->slots[rx->tail & rx->mask], rx->tail))
    return true;
  ring_clear_asleep(rx->hdr);
  return false;
}

void rn_ring_awake(struct rn_ring_rx *rx) { ring_clear_asleep(rx->hdr); }

uint32_t rn_ring_used(const struct rn_ring_tx *tx) {
  uint64_t used = tx->head - ring_taken(tx->hdr);
  return used <= tx->mask + 1 ? (uint32_t)used : (uint32_t)tx->mask + 1;
}

int rn_ring_tx_check(const struct rn_ring_tx *tx) {
  uint64_t tail = ring_taken(tx->hdr);
  if (tx->head - tail > tx->mask + 1 || ring_published(&tx->slots[tx->head & tx->mask], tx->head))
    return RN_ERR_STATE;
  for (uint64_t p = tail; p != tx->head; p++) {
    if (!ring_published(&tx->slots[p & tx->mask], p))
      return RN_ERR_STATE;
  }
  return RN_OK;
}

int rn_ring_rx_check(const struct rn_ring_rx *rx) {
  return rx->tail - ring_taken(rx->hdr) <= rx->mask + 1 ? RN_OK : RN_ERR_STATE;
}
