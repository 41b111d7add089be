/* lib/quic/imb.h: the functions of intel-ipsec-mb that fit this machine, picked once per process.
 *
 * Only functions that keep no state of their own are here, so every lcore may call them at once. A
 * multi-buffer manager (225 KB) is built for the choice and given back. */
#pragma once
#include <stddef.h>

#include <intel-ipsec-mb.h>

struct rn_imb {
  aes_gcm_pre_t gcm_pre[2]; /* [0] AES-128, [1] AES-256 */
  aes_gcm_enc_dec_t gcm_enc[2];
  aes_gcm_enc_dec_t gcm_dec[2];
  keyexp_t aes_keyexp[2];
  aes_cfb_t aes_cfb_one[2]; /* dst = src xor AES(iv): one AES block, the cheapest call for it */
  chacha_poly_init_t chacha_init;
  chacha_poly_enc_dec_update_t chacha_enc;
  chacha_poly_enc_dec_update_t chacha_dec;
  chacha_poly_finalize_t chacha_final;
  chacha20_hp_quic_t chacha_hp;
  size_t gcm_key_bytes; /* how much of struct gcm_key_data this machine's functions use */
};

/* Never changes once returned. NULL when the machine lacks AES-NI, or memory for the choice. Any
 * thread; the first call takes some milliseconds. */
const struct rn_imb *rn_imb(void);
