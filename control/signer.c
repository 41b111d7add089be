/* control/signer.c */
#include "control/signer.h"

#include <stdlib.h>

#include "control/sign.h"
#include "util/err.h"

/* A slow one, on its way through a worker thread. */
struct slow {
  uv_work_t work;
  struct rn_signer *signer;
  struct rn_sign_job j;
};

static void sign(const struct rn_keys *keys, struct rn_sign_job *j) {
  size_t n = sizeof(j->sig);
  j->status = rn_sign(keys, j->scheme, j->tbs, j->tbs_bytes, j->sig, &n);
  j->sig_bytes = j->status == RN_OK ? (uint16_t)n : 0;
}

static void finish(struct rn_signer *s, const struct rn_sign_job *j) {
  struct rn_control_stats *st = s->stats;
  uint64_t *counter = j->status == RN_OK            ? &st->sign_done
                      : j->status == RN_ERR_REFUSED ? &st->sign_refused
                      : j->status == RN_ERR_LIMIT   ? &st->sign_limit
                                                    : &st->sign_failed;
  (*counter)++;
  s->done(s->arg, j);
}

static void on_worker(uv_work_t *work) {
  struct slow *slow = work->data;
  sign(slow->signer->keys, &slow->j);
}

static void on_loop(uv_work_t *work, int status) {
  struct slow *slow = work->data;
  struct rn_signer *s = slow->signer;
  if (status != 0) /* cancelled: the loop is closing */
    slow->j.status = RN_ERR_CANCEL;
  s->stats->sign_queue = --s->queued;
  finish(s, &slow->j);
  free(slow);
}

void rn_signer_submit(struct rn_signer *s, const struct rn_sign_job *j) {
  struct rn_sign_job now = *j;
  struct slow *slow = NULL;
  now.sig_bytes = 0;
  /* What will be refused needs no thread. */
  bool wait = rn_keys_slow(s->keys) && rn_keys_can(s->keys, j->scheme) &&
              rn_sign_is_certificate_verify(s->keys, j->tbs, j->tbs_bytes);
  if (!wait) {
    sign(s->keys, &now);
    finish(s, &now);
    return;
  }
  if (s->queued < s->queued_max)
    slow = malloc(sizeof(*slow));
  if (slow != NULL) {
    slow->work.data = slow;
    slow->signer = s;
    slow->j = now;
    if (uv_queue_work(s->loop, &slow->work, on_worker, on_loop) == 0) {
      s->stats->sign_queue = ++s->queued;
      return;
    }
    free(slow);
  }
  now.status = RN_ERR_LIMIT;
  finish(s, &now);
}
