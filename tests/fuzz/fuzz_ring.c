/* tests/fuzz/fuzz_ring.c: a ring whose other side writes what it likes, at both ends, through lib/ring and its messages.
 *
 *   1 octet     bits 0, 1: 2, 4, 8 or 16 slots; bit 2: with a byte area; bit 3: what comes is for an lcore, else for control
 *   then steps  1 octet: low half what, high half of whose reading or which slot
 *     0         one message pushed: 1 octet type, 2 octets bytes of its tail
 *     1         one message taken; 2: one taken as bytes, 2 octets of room; 3: all taken that there are
 *     4         given back; 5: the consumer goes to sleep, or wakes; 6: the producer looks whether to ring
 *     7, 8      the producer's end, the consumer's end attached again, as after a death
 *     9         made anew
 *     10        a slot written: 2 octets length, 1 type, 1 flags, 2 position of the payload, and published to the reader
 *     11        a slot's sequence: 1 octet, relative to the reader's position
 *     12        a position of the header: 1 octet which, 8 octets value; 13: the same, 1 octet, relative to what is there
 *     14, 15    2 octets where, 1 octet n, n octets: anywhere
 *
 * Checked at each step: nothing is read or written outside of the ring (it is a block of its own), an end writes only what is its own, a message that
 * is taken is what its declaration allows; between two writes of the other side no more messages come than there are slots. As long as
 * nobody wrote anything, every message arrives once, whole and in order. */
#include "fuzz.h"

#include "ring/msg.h"
#include "ring/ring_layout.h"
#include "util/err.h"

#define SLOTS_MAX 16u
#define STEPS_MAX 400u

/* A message that was pushed and not yet taken; only kept while nobody wrote. */
struct sent {
  uint16_t type;
  size_t tail_bytes;
  uint8_t number;
};

struct world {
  struct rn_ring_size size;
  size_t bytes;
  uint8_t *mem, *before; /* the ring; as it was before the call */
  struct rn_ring_tx tx;
  struct rn_ring_rx rx;
  bool tx_ok, rx_ok, honest;
  enum rn_msg_dir dir;
  struct sent sent[SLOTS_MAX];
  uint32_t sent_count;
  uint32_t given_back; /* of sent_count: taken, and may come once more after an attach */
  uint8_t number;
  uint32_t taken_since_write;
};

static struct rn_ring_hdr *hdr(struct world *w) { return (struct rn_ring_hdr *)w->mem; }

static struct rn_ring_slot *slot(struct world *w, uint64_t pos) {
  return (struct rn_ring_slot *)(w->mem + sizeof(struct rn_ring_hdr)) +
         (pos & (w->size.slot_count - 1));
}

/* ---- who may write what ---- */

static void note(struct world *w) { memcpy(w->before, w->mem, w->bytes); }

/* [from, from + n) may have changed; what is outside of all such places may not. */
static void may_change(struct world *w, const void *from, size_t n) {
  size_t at = (size_t)((const uint8_t *)from - w->mem);
  memcpy(w->before + at, w->mem + at, n);
}

static void check_unchanged(struct world *w) { CHECK(memcmp(w->before, w->mem, w->bytes) == 0); }

/* ---- making ---- */

static void attach_tx(struct world *w) {
  const struct rn_ring_tx old = w->tx;
  note(w);
  int err = rn_ring_tx_attach(&w->tx, w->mem, &w->size, rn_msg_schema());
  check_unchanged(w);
  CHECK(err == RN_OK || (err == RN_ERR_CORRUPT && !w->honest));
  CHECK(err == RN_OK || memcmp(&w->tx, &old, sizeof(old)) == 0);
  w->tx_ok = err == RN_OK;
}

static void attach_rx(struct world *w) {
  const struct rn_ring_rx old = w->rx;
  note(w);
  int err = rn_ring_rx_attach(&w->rx, w->mem, &w->size, rn_msg_schema());
  check_unchanged(w);
  CHECK(err == RN_OK || (err == RN_ERR_CORRUPT && !w->honest));
  CHECK(err == RN_OK || memcmp(&w->rx, &old, sizeof(old)) == 0);
  w->rx_ok = err == RN_OK;
  w->given_back = w->taken_since_write = 0; /* what was taken and not given back comes again */
}

static void make(struct world *w) {
  CHECK(rn_ring_format(w->mem, &w->size, rn_msg_schema(), 1) == RN_OK);
  w->honest = true;
  w->sent_count = w->given_back = w->taken_since_write = 0;
  attach_tx(w);
  attach_rx(w);
}

/* ---- the producer ---- */

static void fill(uint8_t *p, size_t n, uint8_t number) {
  for (size_t i = 0; i < n; i++)
    p[i] = (uint8_t)(number * 31u + i * 7u + (i >> 8));
}

static void push(struct world *w, struct fuzz_in *in) {
  static uint8_t fixed[64], tail[1024];
  uint8_t type = fuzz_u8(in), number = ++w->number;
  size_t tail_bytes = fuzz_le(in, 2) % sizeof(tail);
  if (!w->tx_ok)
    return;
  fill(fixed, sizeof(fixed), number);
  fill(tail, tail_bytes, number);
  uint8_t *exact = fuzz_exact(tail, tail_bytes);
  uint64_t pos = w->tx.head, bytes_pos = w->tx.bytes_head;
  note(w);
  int err = rn_msg_push(&w->tx, type, fixed, exact, tail_bytes);
  fuzz_free(exact, tail_bytes);
  if (err != RN_OK) {
    CHECK(w->tx.head == pos && w->tx.bytes_head == bytes_pos);
    CHECK(err == RN_ERR_AGAIN || err == RN_ERR_INVAL || err == RN_ERR_TOOBIG ||
          (err == RN_ERR_CORRUPT && !w->honest));
  } else {
    CHECK(w->tx.head == pos + 1);
    may_change(w, slot(w, pos), sizeof(struct rn_ring_slot));
    may_change(w, &hdr(w)->head, 16);
    if (w->tx.bytes_head != bytes_pos)
      may_change(w, slot(w, 0) + w->size.slot_count, w->size.bytes_cap);
    w->taken_since_write = 0;
  }
  check_unchanged(w);
  if (err == RN_OK && w->honest) {
    CHECK(w->sent_count < w->size.slot_count);
    w->sent[w->sent_count++] =
        (struct sent){ .type = type, .tail_bytes = tail_bytes, .number = number };
  }
}

/* ---- the consumer ---- */

/* What the declaration allows, by its own tables and not by lib/ring's. */
static void check_declared(const struct world *w, const struct rn_msg *m) {
  static const struct {
    enum rn_msg_dir dir;
    size_t tail_max;
  } declared[RN_MSG_TYPE_COUNT] = {
#define RN_MSG(NAME, name, dir, tail_max, help, fields)                                            \
  [RN_MSG_##NAME] = { RN_MSG_##dir, tail_max },
#include "schema/messages.def"
#undef RN_MSG
  };
  CHECK(m->type > RN_MSG_NONE && m->type < RN_MSG_TYPE_COUNT);
  CHECK(declared[m->type].dir == w->dir && m->tail_bytes <= declared[m->type].tail_max);
}

static void check_whole(const struct rn_msg *m, const struct sent *s) {
  uint8_t want[sizeof(m->tail)];
  fill(want, sizeof(want), s->number);
  CHECK(m->type == s->type && m->tail_bytes == s->tail_bytes);
  CHECK(memcmp(m->tail, want, m->tail_bytes) == 0 && memcmp(&m->ready, want, 4) == 0);
}

/* The next message nobody has seen, or that comes again. */
static const struct sent *next_sent(struct world *w, bool taken) {
  if (!w->honest)
    return NULL;
  CHECK(taken == (w->given_back < w->sent_count));
  return taken ? &w->sent[w->given_back++] : NULL;
}

static bool count_taken(struct world *w, int err) {
  CHECK(err == RN_ERR_AGAIN || ++w->taken_since_write <= w->size.slot_count);
  return err != RN_ERR_AGAIN;
}

static bool pop(struct world *w) {
  struct rn_msg m, as_it_was;
  if (!w->rx_ok)
    return false;
  memset(&m, 0xa5, sizeof(m));
  as_it_was = m;
  note(w);
  int err = rn_msg_pop(&w->rx, w->dir, &m);
  check_unchanged(w);
  const struct sent *s = next_sent(w, err != RN_ERR_AGAIN);
  CHECK(err == RN_OK || err == RN_ERR_AGAIN || err == RN_ERR_CORRUPT);
  if (err == RN_OK)
    check_declared(w, &m);
  else
    CHECK(memcmp(&m, &as_it_was, sizeof(m)) == 0);
  if (err == RN_OK && s != NULL)
    check_whole(&m, s);
  return count_taken(w, err);
}

static void pop_bytes(struct world *w, struct fuzz_in *in) {
  uint32_t cap = (uint32_t)fuzz_le(in, 2) % 2048;
  struct rn_ring_msg m = { 0 };
  if (!w->rx_ok)
    return;
  uint8_t *buf = malloc(cap > 0 ? cap : 1);
  CHECK(buf != NULL);
  note(w);
  int err = rn_ring_pop(&w->rx, &m, buf, cap);
  check_unchanged(w);
  const struct sent *s = next_sent(w, err != RN_ERR_AGAIN);
  CHECK(err != RN_OK || m.len <= cap);
  if (s != NULL)
    CHECK(err == RN_OK ? m.type == s->type : err == RN_ERR_TOOBIG);
  count_taken(w, err);
  free(buf);
}

static void give_back(struct world *w) {
  if (!w->rx_ok)
    return;
  note(w);
  rn_ring_release(&w->rx);
  may_change(w, &hdr(w)->tail, 16);
  check_unchanged(w);
  memmove(w->sent, w->sent + w->given_back, (w->sent_count - w->given_back) * sizeof(w->sent[0]));
  w->sent_count -= w->given_back;
  w->given_back = 0;
}

static void sleep_or_wake(struct world *w, bool sleep) {
  if (!w->rx_ok)
    return;
  note(w);
  if (!sleep)
    rn_ring_awake(&w->rx);
  else if (rn_ring_sleep(&w->rx) && w->honest)
    CHECK(w->given_back == w->sent_count && hdr(w)->asleep == 1);
  may_change(w, &hdr(w)->asleep, 4);
  check_unchanged(w);
}

static void look_whether_to_ring(struct world *w) {
  if (!w->tx_ok)
    return;
  note(w);
  if (rn_ring_must_wake(&w->tx))
    CHECK(!rn_ring_must_wake(&w->tx)); /* once per sleep */
  may_change(w, &hdr(w)->asleep, 4);
  check_unchanged(w);
  CHECK(rn_ring_used(&w->tx) <= w->size.slot_count);
}

/* ---- the other side ---- */

static void wrote(struct world *w) {
  w->honest = false;
  w->taken_since_write = 0;
}

static void write_slot(struct world *w, struct fuzz_in *in) {
  struct rn_ring_slot *s = slot(w, w->rx.tail);
  s->len = (uint32_t)fuzz_le(in, 2);
  if (s->len >= 0x8000) /* the long ones: near 2^32 */
    s->len |= 0xffff0000u;
  s->type = fuzz_u8(in);
  s->flags = fuzz_u8(in) % 4;
  s->bytes_pos = fuzz_le(in, 2) << (s->type & 0x20 ? 48 : 0);
  s->type %= 32;
  s->seq = w->rx.tail + 1;
  wrote(w);
}

static void write_position(struct world *w, struct fuzz_in *in, bool relative) {
  uint8_t which = fuzz_u8(in);
  uint64_t *const words[] = {
    (uint64_t *)&hdr(w)->head,       (uint64_t *)&hdr(w)->bytes_head, (uint64_t *)&hdr(w)->tail,
    (uint64_t *)&hdr(w)->bytes_tail, (uint64_t *)&hdr(w)->asleep,     &hdr(w)->magic,
  };
  uint64_t *word = words[which % (sizeof(words) / sizeof(words[0]))];
  *word = relative ? *word + (uint64_t)(int8_t)fuzz_u8(in) : fuzz_le(in, 8);
  wrote(w);
}

static void write_anywhere(struct world *w, struct fuzz_in *in) {
  size_t at = fuzz_le(in, 2) % w->bytes, n;
  const uint8_t *p = fuzz_bytes(in, fuzz_u8(in), &n);
  n = n < w->bytes - at ? n : w->bytes - at;
  memcpy(w->mem + at, p, n);
  wrote(w);
}

static void check_ends(struct world *w) {
  if (!w->honest)
    return;
  CHECK(rn_ring_tx_check(&w->tx) == RN_OK && rn_ring_rx_check(&w->rx) == RN_OK);
  CHECK(rn_ring_used(&w->tx) == w->sent_count);
}

static void step(struct world *w, struct fuzz_in *in) {
  uint8_t what = fuzz_u8(in);
  switch (what & 15) {
  case 0:
    push(w, in);
    break;
  case 1:
    (void)pop(w);
    break;
  case 2:
    pop_bytes(w, in);
    break;
  case 3:
    while (pop(w))
      ;
    break;
  case 4:
    give_back(w);
    break;
  case 5:
    sleep_or_wake(w, what & 16);
    break;
  case 6:
    look_whether_to_ring(w);
    break;
  case 7:
    attach_tx(w);
    break;
  case 8:
    attach_rx(w);
    break;
  case 9:
    make(w);
    break;
  case 10:
    write_slot(w, in);
    break;
  case 11:
    slot(w, w->rx.tail + (what >> 4))->seq = w->rx.tail + (uint64_t)(int8_t)fuzz_u8(in);
    wrote(w);
    break;
  case 12:
    write_position(w, in, false);
    break;
  case 13:
    write_position(w, in, true);
    break;
  default:
    write_anywhere(w, in);
    break;
  }
  check_ends(w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
  struct fuzz_in in = { data, data + len };
  uint8_t flags = fuzz_u8(&in);
  struct world w = {
    .size = { .slot_count = 2u << (flags & 3), .bytes_cap = flags & 4 ? 1024 : 0 },
    .dir = flags & 8 ? RN_MSG_TO_LCORE : RN_MSG_TO_CONTROL,
  };
  w.bytes = rn_ring_footprint(&w.size);
  w.mem = aligned_alloc(64, w.bytes);
  w.before = malloc(w.bytes);
  CHECK(w.bytes > 0 && w.bytes % 64 == 0 && w.mem != NULL && w.before != NULL);
  make(&w);
  for (unsigned int i = 0; i < STEPS_MAX && fuzz_more(&in); i++)
    step(&w, &in);
  free(w.mem);
  free(w.before);
  return 0;
}
