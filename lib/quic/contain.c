/* lib/quic/contain.c */
#include "quic/contain.h"

#include <setjmp.h>
#include <string.h>

#include <openssl/async.h>

struct frame {
  jmp_buf env;
  struct frame *outer;
};

static _Thread_local struct frame *innermost;

bool contain_run(struct rn_quic_conn *c, void (*work)(struct rn_quic_conn *c, void *arg),
                 void *arg) {
  struct frame f;
  f.outer = innermost;
  innermost = &f;
  bool whole = _setjmp(f.env) == 0;
  if (whole)
    work(c, arg);
  innermost = f.outer;
  return whole;
}

static bool is_ngtcp2s(const char *file) {
  const char *base = strrchr(file, '/');
  base = base != NULL ? base + 1 : file;
  return strncmp(base, "ngtcp2_", 7) == 0;
}

/* A paused handshake has a stack of its own, from which there is no way back to ours. */
void rn_quic_assertion(const char *file) {
  if (innermost != NULL && is_ngtcp2s(file) && ASYNC_get_current_job() == NULL)
    longjmp(innermost->env, 1);
}
