/* cluster/balance/outlier.c */
#include "cluster/balance/outlier.h"

#include "util/err.h"

#define SECOND_NS 1000000000u

enum event { EV_EJECT, EV_DUE, EV_PROBE_BAD, EV_PROBES_GOOD, EV_COUNT };

#define GO(state) ((state) + 1) /* 0: not allowed */
static const uint8_t next_state[RN_OUTLIER_STATE_COUNT][EV_COUNT] = {
  [RN_OUTLIER_IN] = { [EV_EJECT] = GO(RN_OUTLIER_OUT) },
  [RN_OUTLIER_OUT] = { [EV_DUE] = GO(RN_OUTLIER_PROBING) },
  [RN_OUTLIER_PROBING] = { [EV_PROBE_BAD] = GO(RN_OUTLIER_OUT),
                           [EV_PROBES_GOOD] = GO(RN_OUTLIER_IN) },
};

static void move(struct rn_outlier *o, enum event ev) {
  uint8_t next = next_state[o->state][ev];
  RN_ASSERT(next != 0);
  o->state = (uint8_t)(next - 1);
  o->probe_out = false;
  o->probed = 0;
}

struct rn_outlier_config rn_outlier_defaults(void) {
  return (struct rn_outlier_config){ .row = 5,
                                     .rate_percent = 50,
                                     .rate_calls = 20,
                                     .probes = 3,
                                     .window_ns = 10ull * SECOND_NS,
                                     .eject_ns = 5ull * SECOND_NS,
                                     .eject_max_ns = 300ull * SECOND_NS };
}

int rn_outlier_config_check(const struct rn_outlier_config *cfg) {
  if (cfg->rate_percent > 100 || (cfg->rate_percent > 0 && cfg->window_ns < 2) || cfg->probes < 1 ||
      cfg->probes > UINT16_MAX || cfg->eject_ns == 0 || cfg->eject_ns > cfg->eject_max_ns)
    return RN_ERR_INVAL;
  return RN_OK;
}

static void forget(struct rn_outlier *o) {
  o->good[0] = o->good[1] = o->bad[0] = o->bad[1] = o->row = 0;
}

static void turn_window(struct rn_outlier *o, uint64_t half_ns, uint64_t now_ns) {
  if (now_ns < o->half_ns || now_ns - o->half_ns < half_ns)
    return;
  bool next = now_ns - o->half_ns < 2 * half_ns;
  o->good[1] = next ? o->good[0] : 0;
  o->bad[1] = next ? o->bad[0] : 0;
  o->good[0] = o->bad[0] = 0;
  o->half_ns = next ? o->half_ns + half_ns : now_ns;
}

static bool too_many(const struct rn_outlier *o, const struct rn_outlier_config *cfg) {
  uint64_t bad = (uint64_t)o->bad[0] + o->bad[1], all = bad + o->good[0] + o->good[1];
  if (cfg->row > 0 && o->row >= cfg->row)
    return true;
  return cfg->rate_percent > 0 && all >= cfg->rate_calls && bad * 100 >= all * cfg->rate_percent;
}

static void eject(struct rn_outlier *o, const struct rn_outlier_config *cfg, enum event ev,
                  uint64_t now_ns) {
  if (ev == EV_EJECT && now_ns > o->until_ns) {
    uint64_t forgiven = (now_ns - o->until_ns) / cfg->eject_max_ns;
    o->times = forgiven < o->times ? o->times - (uint32_t)forgiven : 0;
  }
  move(o, ev);
  forget(o);
  o->times += o->times < UINT32_MAX;
  /* By division: the product may not fit. */
  bool longest = o->times > cfg->eject_max_ns / cfg->eject_ns;
  o->until_ns = now_ns + (longest ? cfg->eject_max_ns : cfg->eject_ns * o->times);
}

static enum rn_outlier_change result_in(struct rn_outlier *o, const struct rn_outlier_config *cfg,
                                        bool good, bool allowed, uint64_t now_ns) {
  turn_window(o, cfg->window_ns / 2, now_ns);
  if (good) {
    o->good[0]++;
    o->row = 0;
    return RN_OUTLIER_NOTHING;
  }
  o->bad[0]++;
  o->row++;
  if (!too_many(o, cfg))
    return RN_OUTLIER_NOTHING;
  if (!allowed)
    return RN_OUTLIER_SPARED;
  eject(o, cfg, EV_EJECT, now_ns);
  return RN_OUTLIER_EJECTED;
}

enum rn_outlier_change rn_outlier_result(struct rn_outlier *o, const struct rn_outlier_config *cfg,
                                         bool good, bool probe, bool allowed, uint64_t now_ns) {
  if (o->state == RN_OUTLIER_IN)
    return result_in(o, cfg, good, allowed, now_ns);
  if (o->state != RN_OUTLIER_PROBING || !probe)
    return RN_OUTLIER_NOTHING;
  if (!good) {
    eject(o, cfg, EV_PROBE_BAD, now_ns);
    return RN_OUTLIER_EJECTED;
  }
  o->probe_out = false;
  if (++o->probed < cfg->probes)
    return RN_OUTLIER_PROBED;
  move(o, EV_PROBES_GOOD);
  o->until_ns = now_ns;
  return RN_OUTLIER_READMITTED;
}

void rn_outlier_probe_lost(struct rn_outlier *o) { o->probe_out = false; }

bool rn_outlier_due(struct rn_outlier *o, uint64_t now_ns) {
  if (o->state != RN_OUTLIER_OUT || now_ns < o->until_ns)
    return false;
  move(o, EV_DUE);
  return true;
}

int rn_outlier_check(const struct rn_outlier *o) {
  if (o->state >= RN_OUTLIER_STATE_COUNT ||
      (o->state != RN_OUTLIER_PROBING && (o->probe_out || o->probed > 0)) ||
      (o->state != RN_OUTLIER_IN && o->times == 0))
    return RN_ERR_STATE;
  return RN_OK;
}
