/* tests/fuzz/forge.c */
#include "forge.h"

#include "quic/keys.h"
#include "quic/quic_priv.h"

#define PN_BYTES      4u
#define FRAME_ROOM    64u /* what one frame takes without its data */
#define FRAMES_MAX    8u
#define INITIAL_BYTES 1200u
#define IDS_MAX       64u
#define VARINT_MAX    ((UINT64_C(1) << 62) - 1)

/* ---- watching ---- */

static struct forge *watched; /* ngtcp2 gives the callbacks of packets no argument of ours */
static ngtcp2_delete_crypto_aead_ctx delete_aead;
static ngtcp2_delete_crypto_cipher_ctx delete_hp;
static uint8_t last_level;

static uint8_t level_of(const uint8_t *header) {
  if ((header[0] & 0x80) == 0)
    return FORGE_1RTT;
  return (header[0] >> 4 & 3) == 0 ? FORGE_INITIAL : FORGE_HANDSHAKE;
}

/* The packet number at the end of a header, next to what came before it. */
static uint64_t pn_of(const uint8_t *header, size_t header_bytes, uint64_t last) {
  unsigned int n = (header[0] & 3u) + 1;
  uint64_t pn = 0, span = UINT64_C(1) << 8 * n;
  for (unsigned int i = 0; i < n; i++)
    pn = pn << 8 | header[header_bytes - n + i];
  pn |= last & ~(span - 1);
  return pn < last && last - pn > span / 2 ? pn + span : pn;
}

static void nonce_of(const uint8_t iv[RN_AEAD_IV_BYTES], uint64_t pn, uint8_t *out) {
  memcpy(out, iv, RN_AEAD_IV_BYTES);
  for (unsigned int i = 0; i < 8; i++)
    out[RN_AEAD_IV_BYTES - 1 - i] ^= (uint8_t)(pn >> 8 * i);
}

static void note_ids(struct forge *f, const uint8_t *header) {
  if ((header[0] & 0x80) == 0) {
    f->dcid_bytes = RN_CID_BYTES;
    memcpy(f->dcid, header + 1, RN_CID_BYTES);
    return;
  }
  f->dcid_bytes = header[5];
  memcpy(f->dcid, header + 6, f->dcid_bytes);
  f->scid_bytes = header[6 + f->dcid_bytes];
  memcpy(f->scid, header + 7 + f->dcid_bytes, f->scid_bytes);
}

static int attacker_encrypt(uint8_t *dest, const ngtcp2_crypto_aead *aead,
                            const ngtcp2_crypto_aead_ctx *ctx, const uint8_t *plain,
                            size_t plain_bytes, const uint8_t *nonce, size_t nonce_bytes,
                            const uint8_t *header, size_t header_bytes) {
  struct forge *f = watched;
  uint8_t changed[2048];
  if (plain_bytes == 0 || plain_bytes > sizeof(changed))
    return rn_aead_encrypt(dest, aead, ctx, plain, plain_bytes, nonce, nonce_bytes, header,
                           header_bytes);
  uint8_t level = last_level = level_of(header);
  struct forge_keys *k = &f->keys[level];
  k->last_pn = pn_of(header, header_bytes, k->last_pn);
  k->known = true;
  k->aead = *ctx;
  k->key_phase = header[0] & 4;
  nonce_of(nonce, k->last_pn, k->iv); /* back from the nonce to what it was made of */
  note_ids(f, header);
  memcpy(changed, plain, plain_bytes);
  if (f->armed && f->armed_level == level && f->armed_at < plain_bytes) {
    size_t room = plain_bytes - f->armed_at;
    memcpy(changed + f->armed_at, f->armed_with, f->armed_bytes < room ? f->armed_bytes : room);
    if (f->armed_bytes < room) /* what was behind it is no frame any more */
      memset(changed + f->armed_at + f->armed_bytes, 0, room - f->armed_bytes);
    f->armed = false;
  }
  return rn_aead_encrypt(dest, aead, ctx, changed, plain_bytes, nonce, nonce_bytes, header,
                         header_bytes);
}

static int attacker_hp(uint8_t *dest, const ngtcp2_crypto_cipher *hp,
                       const ngtcp2_crypto_cipher_ctx *ctx, const uint8_t *sample) {
  watched->keys[last_level].hp = *ctx; /* each packet's mask follows its encryption */
  return rn_aead_hp_mask(dest, hp, ctx, sample);
}

/* Keys that are gone are not to be used any more. */
static void attacker_delete_aead(ngtcp2_conn *conn, ngtcp2_crypto_aead_ctx *ctx, void *user) {
  for (unsigned int i = 0; i < FORGE_LEVELS; i++) {
    if (watched->keys[i].aead.native_handle == ctx->native_handle)
      watched->keys[i].known = false;
  }
  delete_aead(conn, ctx, user);
}

static void attacker_delete_hp(ngtcp2_conn *conn, ngtcp2_crypto_cipher_ctx *ctx, void *user) {
  for (unsigned int i = 0; i < FORGE_LEVELS; i++) {
    if (watched->keys[i].hp.native_handle == ctx->native_handle)
      watched->keys[i].known = false;
  }
  delete_hp(conn, ctx, user);
}

static int victim_encrypt(uint8_t *dest, const ngtcp2_crypto_aead *aead,
                          const ngtcp2_crypto_aead_ctx *ctx, const uint8_t *plain,
                          size_t plain_bytes, const uint8_t *nonce, size_t nonce_bytes,
                          const uint8_t *header, size_t header_bytes) {
  struct forge *f = watched;
  if (plain_bytes > 0) {
    uint8_t level = level_of(header);
    f->victim_pn[level] = pn_of(header, header_bytes, f->victim_pn[level]);
  }
  if (plain_bytes >= 9 && plain[0] == 0x1a)
    memcpy(f->challenge, plain + 1, 8);
  return rn_aead_encrypt(dest, aead, ctx, plain, plain_bytes, nonce, nonce_bytes, header,
                         header_bytes);
}

void forge_watch(struct forge *f, struct duo *d, uint8_t attacker) {
  memset(f, 0, sizeof(*f));
  f->duo = d;
  f->attacker = attacker;
  watched = f;
  struct rn_quic *q = d->sides[attacker].q, *v = d->sides[!attacker].q;
  ngtcp2_callbacks *const cbs[] = { &q->cb_client, &q->cb_server };
  delete_aead = q->cb_client.delete_crypto_aead_ctx;
  delete_hp = q->cb_client.delete_crypto_cipher_ctx;
  for (unsigned int i = 0; i < 2; i++) {
    cbs[i]->encrypt = attacker_encrypt;
    cbs[i]->hp_mask = attacker_hp;
    cbs[i]->delete_crypto_aead_ctx = attacker_delete_aead;
    cbs[i]->delete_crypto_cipher_ctx = attacker_delete_hp;
  }
  v->cb_client.encrypt = v->cb_server.encrypt = victim_encrypt;
}

/* ---- numbers ---- */

static size_t put_varint(uint8_t *out, uint64_t v) {
  unsigned int log = v < 64 ? 0 : v < 16384 ? 1 : v < (1u << 30) ? 2 : 3;
  size_t n = (size_t)1 << log;
  for (size_t i = 0; i < n; i++)
    out[i] = (uint8_t)(v >> 8 * (n - 1 - i));
  out[0] |= (uint8_t)(log << 6);
  return n;
}

/* One octet: small numbers are themselves, large ones name a number that something here depends on. */
static uint64_t number(const struct forge *f, struct fuzz_in *in, uint8_t level) {
  uint8_t b = fuzz_u8(in);
  const uint64_t named[] = {
    f->victim_pn[level],
    f->victim_pn[level] + 1,
    f->keys[level].last_pn,
    8000, /* a stream's window */
    8001,
    20000, /* the connection's */
    20001,
    65536,
    1u << 30,
    UINT64_C(1) << 32,
    UINT64_C(1) << 60,
    (UINT64_C(1) << 60) + 1,
    VARINT_MAX - 1,
    VARINT_MAX,
  };
  if (b < 0xd0)
    return b;
  if (b < 0xe0)
    return fuzz_le(in, 2);
  if (b < 0xf8)
    return named[b % (sizeof(named) / sizeof(named[0]))];
  return fuzz_le(in, 8) & VARINT_MAX;
}

/* ---- frames ---- */

/* Fields: v number, d length and bytes, D bytes without a length, c connection ID, t 16 bytes, 8 eight bytes, C the victim's challenge, A an acknowledgment. */
static const struct frame {
  uint8_t type;
  const char *fields;
} kinds[] = {
  { 0x00, "" },   { 0x01, "" },    { 0x02, "A" },    { 0x03, "Avvv" }, { 0x04, "vvv" },
  { 0x05, "vv" }, { 0x06, "vd" },  { 0x07, "d" },    { 0x08, "vD" },   { 0x0a, "vd" },
  { 0x0b, "vd" }, { 0x0c, "vvD" }, { 0x0e, "vvd" },  { 0x0f, "vvd" },  { 0x10, "v" },
  { 0x11, "vv" }, { 0x12, "v" },   { 0x13, "v" },    { 0x14, "v" },    { 0x15, "vv" },
  { 0x16, "v" },  { 0x17, "v" },   { 0x18, "vvct" }, { 0x19, "v" },    { 0x1a, "8" },
  { 0x1b, "8" },  { 0x1b, "C" },   { 0x1c, "vvd" },  { 0x1d, "vd" },   { 0x1e, "" },
  { 0x30, "D" },  { 0x31, "d" },   { 0x40, "d" },
};

struct writer {
  struct forge *f;
  struct fuzz_in *in;
  uint8_t level;
  uint8_t *at, *end;
};

static void put(struct writer *w, uint64_t v) { w->at += put_varint(w->at, v); }

static void put_fill(struct writer *w, size_t n) {
  uint8_t with = fuzz_u8(w->in);
  size_t room = (size_t)(w->end - w->at) > FRAME_ROOM ? (size_t)(w->end - w->at) - FRAME_ROOM : 0;
  n = n < room ? n : room;
  for (size_t i = 0; i < n; i++)
    w->at[i] = (uint8_t)(with + i);
  w->at += n;
}

static void put_ack(struct writer *w) {
  uint64_t largest = w->f->victim_pn[w->level];
  uint8_t how = fuzz_u8(w->in), ranges = how % 4;
  put(w,
      how & 0x80 ? number(w->f, w->in, w->level) : largest - (largest < how >> 4 ? 0 : how >> 4));
  put(w, number(w->f, w->in, w->level)); /* delay */
  put(w, how & 8 ? number(w->f, w->in, w->level) : ranges);
  put(w, how & 4 ? number(w->f, w->in, w->level) : largest);
  for (uint8_t i = 0; i < ranges; i++) {
    put(w, number(w->f, w->in, w->level));
    put(w, number(w->f, w->in, w->level));
  }
}

static void put_field(struct writer *w, char field) {
  size_t n;
  switch (field) {
  case 'v':
    put(w, number(w->f, w->in, w->level));
    break;
  case 'd':
    n = fuzz_u8(w->in);
    put(w, n == 0xff ? number(w->f, w->in, w->level) : n);
    put_fill(w, n);
    break;
  case 'D':
    put_fill(w, 4u * fuzz_u8(w->in));
    break;
  case 'c':
    n = fuzz_u8(w->in) % 24;
    *w->at++ = (uint8_t)n;
    put_fill(w, n);
    break;
  case 't':
    put_fill(w, 16);
    break;
  case '8':
    put_fill(w, 8);
    break;
  case 'C':
    memcpy(w->at, w->f->challenge, 8);
    w->at += 8;
    break;
  default:
    put_ack(w);
    break;
  }
}

size_t forge_frames(struct forge *f, struct fuzz_in *in, uint8_t level, uint8_t *out, size_t cap) {
  struct writer w = { f, in, level, out, out + cap };
  unsigned int count = fuzz_u8(in) % FRAMES_MAX + 1;
  for (unsigned int i = 0; i < count && (size_t)(w.end - w.at) > 2 * FRAME_ROOM; i++) {
    uint8_t which = fuzz_u8(in);
    if (which >= 0xf0) { /* octets as they are */
      size_t got;
      const uint8_t *p = fuzz_bytes(in, which & 0xf, &got);
      memcpy(w.at, p, got);
      w.at += got;
      continue;
    }
    const struct frame *k = &kinds[which % (sizeof(kinds) / sizeof(kinds[0]))];
    put(&w, k->type);
    for (const char *field = k->fields; *field != 0; field++)
      put_field(&w, *field);
  }
  return (size_t)(w.at - out);
}

/* ---- packets ---- */

static uint8_t *put_bytes(uint8_t *p, const uint8_t *data, size_t n) {
  if (n > 0)
    memcpy(p, data, n);
  return p + n;
}

static uint8_t *put_long(uint8_t *p, uint8_t type, const uint8_t *dcid, size_t dcid_bytes,
                         const uint8_t *scid, size_t scid_bytes) {
  *p++ = (uint8_t)(0xc0u | (unsigned int)type << 4 | (PN_BYTES - 1));
  p = put_bytes(p, (const uint8_t[]){ 0, 0, 0, 1 }, 4);
  *p++ = (uint8_t)dcid_bytes;
  p = put_bytes(p, dcid, dcid_bytes);
  *p++ = (uint8_t)scid_bytes;
  return put_bytes(p, scid, scid_bytes);
}

/* Length, as two octets whatever it is. */
static uint8_t *put_length(uint8_t *p, size_t n) {
  *p++ = (uint8_t)(0x40 | n >> 8);
  *p++ = (uint8_t)n;
  return p;
}

/* From behind the length: packet number, frames, tag; then the header is protected. first: where the packet starts. */
static size_t seal(const struct forge_keys *k, uint8_t *first, uint8_t *p, uint64_t pn,
                   const uint8_t *frames, size_t n) {
  uint8_t nonce[RN_AEAD_IV_BYTES], mask[5], *number_at = p;
  for (unsigned int i = 0; i < PN_BYTES; i++)
    *p++ = (uint8_t)(pn >> 8 * (PN_BYTES - 1 - i));
  nonce_of(k->iv, pn, nonce);
  (void)rn_aead_encrypt(p, NULL, &k->aead, frames, n, nonce, sizeof(nonce), first,
                        (size_t)(p - first));
  (void)rn_aead_hp_mask(mask, NULL, &k->hp, p);
  first[0] ^= (uint8_t)(mask[0] & (first[0] & 0x80 ? 0x0f : 0x1f));
  for (unsigned int i = 0; i < PN_BYTES; i++)
    number_at[i] ^= mask[1 + i];
  return (size_t)(p - first) + n + RN_AEAD_TAG_BYTES;
}

/* Another of the victim's connection IDs, or one with other bits. */
static void other_id(const struct forge *f, struct fuzz_in *in, uint8_t dcid[20]) {
  uint8_t which = fuzz_u8(in);
  struct rn_quic *q = f->duo->sides[!f->attacker].q;
  ngtcp2_conn *ng = q->conn_fresh > 0 ? q->conns[0].ng : NULL;
  ngtcp2_cid ids[IDS_MAX];
  size_t n = ng != NULL ? ngtcp2_conn_get_scid(ng, NULL) : 0;
  if (which >= 0x80 || n == 0 || n > IDS_MAX) {
    dcid[which % 20] ^= fuzz_u8(in);
    return;
  }
  ngtcp2_conn_get_scid(ng, ids);
  memcpy(dcid, ids[which % n].data, RN_CID_BYTES);
}

/* Flags: bits 0, 1 flip the reserved bits; 2 the key phase or the fixed bit; 3, 4: how far the number jumps; 5: another DCID; 6: a wrong length; 7: the
 * other level's keys. */
size_t forge_packet(struct forge *f, struct fuzz_in *in, uint8_t level, const uint8_t *frames,
                    size_t frames_bytes, uint8_t *out, size_t cap) {
  static const uint32_t jumps[] = { 1, 2, 300, 0x10000 };
  uint8_t flags = fuzz_u8(in), *p = out;
  struct forge_keys *k = &f->keys[flags & 0x80 ? (level + 1u) % FORGE_LEVELS : level];
  size_t body = PN_BYTES + frames_bytes + RN_AEAD_TAG_BYTES;
  if (!k->known || k->hp.native_handle == NULL || body + 64 > cap)
    return 0;
  uint64_t pn = k->last_pn += jumps[flags >> 3 & 3];
  uint8_t dcid[20];
  memcpy(dcid, f->dcid, sizeof(dcid));
  if (flags & 0x20)
    other_id(f, in, dcid);
  if (level == FORGE_1RTT) {
    *p++ = (uint8_t)(0x40 | k->key_phase | (PN_BYTES - 1));
    p = put_bytes(p, dcid, f->dcid_bytes);
    out[0] ^= (uint8_t)((flags & 3) << 3 | (flags & 4));
  } else {
    p = put_long(p, level == FORGE_INITIAL ? 0 : 2, dcid, f->dcid_bytes, f->scid, f->scid_bytes);
    out[0] ^= (uint8_t)((flags & 3) << 2 | (flags & 4) << 4);
    if (level == FORGE_INITIAL)
      *p++ = 0;
    p = put_length(p, flags & 0x40 ? fuzz_le(in, 2) & 0x3fff : body);
  }
  return seal(k, out, p, pn, frames, frames_bytes);
}

size_t forge_initial(const uint8_t *dcid, size_t dcid_bytes, const uint8_t *token,
                     size_t token_bytes, const uint8_t *frames, size_t frames_bytes, uint8_t *out,
                     size_t cap) {
  static _Alignas(64) uint8_t mem[65536];
  static struct rn_aead_pool *pool;
  static uint8_t padded[INITIAL_BYTES];
  uint8_t client[RN_KEYS_INITIAL_BYTES], server[RN_KEYS_INITIAL_BYTES], *p = out;
  struct forge_keys k = { 0 };
  if (pool == NULL)
    CHECK(rn_aead_pool_footprint(2) <= sizeof(mem) && rn_aead_pool_init(mem, 2, &pool) == RN_OK);
  rn_keys_initial_secrets(dcid, dcid_bytes, client, server);
  CHECK(rn_aead_keys(pool, RN_AEAD_AES128_GCM, client, sizeof(client), &k.aead, &k.hp, k.iv) ==
        RN_OK);
  size_t head = 7 + dcid_bytes + 8 + 2 + token_bytes + 2;
  size_t room = INITIAL_BYTES - head - PN_BYTES - RN_AEAD_TAG_BYTES;
  CHECK(dcid_bytes <= 20 && token_bytes <= 255 && cap >= INITIAL_BYTES);
  frames_bytes = frames_bytes < room ? frames_bytes : room;
  memset(padded, 0, sizeof(padded));
  memcpy(padded, frames, frames_bytes);
  p = put_long(p, 0, dcid, dcid_bytes, (const uint8_t *)"attacker", 8);
  p = put_length(p, token_bytes);
  p = put_bytes(p, token, token_bytes);
  p = put_length(p, room + PN_BYTES + RN_AEAD_TAG_BYTES);
  size_t n = seal(&k, out, p, 0, padded, room);
  rn_aead_ctx_put(pool, &k.aead);
  rn_aead_hp_put(pool, &k.hp);
  return n;
}
