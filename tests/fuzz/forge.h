/* tests/fuzz/forge.h: the packets of a peer who has the right keys and sends what it likes. One end of a duo (duo.h) does the handshake; its keys
 * are seen as it uses them, and then packets are made with them, or its own are changed before they are encrypted. */
#pragma once
#include <ngtcp2/ngtcp2.h>

#include "duo.h"
#include "fuzz.h"
#include "quic/aead.h"

enum { FORGE_INITIAL, FORGE_HANDSHAKE, FORGE_1RTT, FORGE_LEVELS };

#define FORGE_PACKET_MAX 1400u

struct forge_keys {
  bool known;
  ngtcp2_crypto_aead_ctx aead;
  ngtcp2_crypto_cipher_ctx hp;
  uint8_t iv[RN_AEAD_IV_BYTES];
  uint64_t last_pn; /* of what the attacker sent, or forged */
  uint8_t key_phase;
};

struct forge {
  struct duo *duo;
  uint8_t attacker; /* which side */
  struct forge_keys keys[FORGE_LEVELS];
  uint64_t victim_pn[FORGE_LEVELS]; /* the last that the victim sent */
  uint8_t challenge[8];             /* the last PATH_CHALLENGE of the victim */
  uint8_t dcid[20], scid[20];       /* as the attacker uses them */
  size_t dcid_bytes, scid_bytes;
  /* The attacker's next packet of this level has these bytes put over its own. */
  bool armed;
  uint8_t armed_level;
  size_t armed_at, armed_bytes;
  uint8_t armed_with[FORGE_PACKET_MAX];
};

/* Watches both ends of d from now on; before duo_connect. One forge at a time. */
void forge_watch(struct forge *f, struct duo *d, uint8_t attacker);

/* 1 octet: how many, then so many frames, as the input describes them. Returns their bytes, at most cap. */
size_t forge_frames(struct forge *f, struct fuzz_in *in, uint8_t level, uint8_t *out, size_t cap);

/* A packet with these frames, by the attacker's keys. Header and packet number as the input wants: 1 octet of flags. Returns its bytes; 0 without keys. */
size_t forge_packet(struct forge *f, struct fuzz_in *in, uint8_t level, const uint8_t *frames,
                    size_t frames_bytes, uint8_t *out, size_t cap);

/* A client's first Initial with these frames, by the keys that follow from its DCID; and of 1,200 bytes. */
size_t forge_initial(const uint8_t *dcid, size_t dcid_bytes, const uint8_t *token,
                     size_t token_bytes, const uint8_t *frames, size_t frames_bytes, uint8_t *out,
                     size_t cap);
