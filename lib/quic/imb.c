#include "quic/imb.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <threads.h>

static struct rn_imb chosen;
static bool chosen_ok;
static once_flag once = ONCE_FLAG_INIT;

/* struct gcm_key_data is a union with room for the largest machine's hash keys; most use half of it
 * or less. What the key expansion does not write, the packet functions do not read. Two fillings
 * tell an untouched byte from one that was written with the filling's value. */
static size_t gcm_key_used(aes_gcm_pre_t pre) {
  static const uint8_t key[32] = { 1 };
  _Alignas(64) struct gcm_key_data a, b; /* the library stores whole registers */
  uint8_t *pa = (uint8_t *)&a, *pb = (uint8_t *)&b;
  memset(&a, 0x5a, sizeof(a));
  memset(&b, 0xa5, sizeof(b));
  pre(key, &a);
  pre(key, &b);
  size_t n = sizeof(a);
  while (n > 0 && pa[n - 1] == 0x5a && pb[n - 1] == 0xa5)
    n--;
  return n;
}

static void choose(void) {
  IMB_MGR *m = alloc_mb_mgr(0);
  if (m == NULL)
    return;
  IMB_ARCH arch;
  init_mb_mgr_auto(m, &arch);
  if (arch != IMB_ARCH_NONE && imb_get_errno(m) == 0) {
    chosen = (struct rn_imb){
      .gcm_pre = { m->gcm128_pre, m->gcm256_pre },
      .gcm_enc = { m->gcm128_enc, m->gcm256_enc },
      .gcm_dec = { m->gcm128_dec, m->gcm256_dec },
      .aes_keyexp = { m->keyexp_128, m->keyexp_256 },
      .aes_cfb_one = { m->aes128_cfb_one, m->aes256_cfb_one },
      .chacha_init = m->chacha20_poly1305_init,
      .chacha_enc = m->chacha20_poly1305_enc_update,
      .chacha_dec = m->chacha20_poly1305_dec_update,
      .chacha_final = m->chacha20_poly1305_finalize,
      .chacha_hp = m->chacha20_hp_quic,
    };
    size_t a = gcm_key_used(m->gcm128_pre), b = gcm_key_used(m->gcm256_pre);
    chosen.gcm_key_bytes = a > b ? a : b;
    chosen_ok = true;
  }
  free_mb_mgr(m);
}

const struct rn_imb *rn_imb(void) {
  call_once(&once, choose);
  return chosen_ok ? &chosen : NULL;
}
