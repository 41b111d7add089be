/* dataplane/steer.c: a message is struct head and the payload. Both ends are ours, so what it holds is not doubted. */
#include "dataplane/steer.h"

#include <string.h>

#define SCHEMA   0x73746565u
#define MSG_TYPE 1

static const struct rn_ring_size ring_size = { .slot_count = 256, .bytes_cap = 1u << 19 };

struct head {
  struct rn_path path;
  uint8_t mac[6];
  uint8_t ecn;
  uint8_t kind;
  uint8_t hop_limit;
  uint8_t dst_multicast;
  uint8_t zero[6];
};
static_assert(sizeof(struct head) <= RN_STEER_HEAD_BYTES, "a slot holds head and payload");

/* The ring from lcore a to lcore b; the diagonal is unused. */
static void *ring_at(void *mem, uint32_t count, uint32_t a, uint32_t b) {
  return (uint8_t *)mem + (size_t)(a * count + b) * rn_ring_footprint(&ring_size);
}

size_t rn_steer_footprint(uint32_t count) {
  return (size_t)count * count * rn_ring_footprint(&ring_size);
}

void rn_steer_format(void *mem, uint32_t count) {
  for (uint32_t a = 0; a < count; a++) {
    for (uint32_t b = 0; b < count; b++) {
      if (a != b)
        RN_ASSERT(rn_ring_format(ring_at(mem, count, a, b), &ring_size, SCHEMA, 1) == RN_OK);
    }
  }
}

void rn_steer_attach(struct rn_steer *s, void *mem, uint32_t count, uint32_t idx, uint8_t *slots) {
  RN_ASSERT(count >= 1 && count <= RN_TOPO_LCORES_MAX && idx < count);
  memset(s, 0, sizeof(*s));
  s->idx = idx;
  s->count = count;
  s->slots = slots;
  for (uint32_t i = 0; i < count; i++) {
    if (i == idx)
      continue;
    RN_ASSERT(rn_ring_tx_attach(&s->to[i], ring_at(mem, count, idx, i), &ring_size, SCHEMA) ==
              RN_OK);
    RN_ASSERT(rn_ring_rx_attach(&s->from[i], ring_at(mem, count, i, idx), &ring_size, SCHEMA) ==
              RN_OK);
  }
}

int rn_steer_send(struct rn_steer *s, uint32_t to, enum rn_net_kind kind, const struct rn_dgram *d,
                  const struct rn_net_meta *m, bool *wake) {
  if (to >= s->count || to == s->idx)
    return RN_ERR_INVAL;
  if (d->len > RN_STEER_PAYLOAD_BYTES)
    return RN_ERR_TOOBIG;
  struct head h = { .path = d->path,
                    .ecn = d->ecn,
                    .kind = (uint8_t)kind,
                    .hop_limit = m->hop_limit,
                    .dst_multicast = m->dst_multicast };
  memcpy(h.mac, m->src_mac, 6);
  const struct rn_ring_part parts[] = { { &h, sizeof(h) }, { d->data, d->len } };
  int err = rn_ring_push(&s->to[to], MSG_TYPE, parts, 2);
  if (err == RN_OK)
    *wake = rn_ring_must_wake(&s->to[to]);
  return err;
}

/* The slot keeps head and payload; what is handed out points into it. */
static bool take_one(struct rn_steer *s, struct rn_ring_rx *from, size_t at) {
  uint8_t *slot = s->slots + at * RN_STEER_SLOT_BYTES;
  struct rn_ring_msg msg;
  struct head h;
  if (rn_ring_pop(from, &msg, slot, RN_STEER_SLOT_BYTES) != RN_OK || msg.len < sizeof(h))
    return false;
  memcpy(&h, slot, sizeof(h));
  s->dgrams[at] = (struct rn_dgram){
    .data = slot + sizeof(h), .len = msg.len - (uint32_t)sizeof(h), .ecn = h.ecn, .path = h.path
  };
  s->metas[at] = (struct rn_net_meta){ .src_mac = slot + offsetof(struct head, mac),
                                       .hop_limit = h.hop_limit,
                                       .dst_multicast = h.dst_multicast != 0 };
  s->kinds[at] = h.kind;
  return true;
}

size_t rn_steer_receive(struct rn_steer *s) {
  size_t n = 0;
  for (uint32_t k = 0; k < s->count && n < RN_STEER_BURST; k++) {
    uint32_t i = (s->first + k) % s->count;
    if (i == s->idx)
      continue;
    size_t before = n;
    while (n < RN_STEER_BURST && take_one(s, &s->from[i], n))
      n++;
    if (n > before)
      rn_ring_release(&s->from[i]);
  }
  s->first = (s->first + 1) % s->count; /* a busy lcore does not starve the ones behind it */
  return n;
}

void rn_steer_awake(struct rn_steer *s) {
  for (uint32_t i = 0; i < s->count; i++) {
    if (i != s->idx)
      rn_ring_awake(&s->from[i]);
  }
}

bool rn_steer_sleep(struct rn_steer *s) {
  for (uint32_t i = 0; i < s->count; i++) {
    if (i != s->idx && !rn_ring_sleep(&s->from[i])) {
      rn_steer_awake(s);
      return false;
    }
  }
  return true;
}
