/* The wheel against a model that knows of each timer the tick at which it is due. */
#include "rn_test.h"

#include "util/err.h"
#include "util/rng.h"
#include "util/wheel.h"

#define TIMERS 300

struct probe {
  struct rn_timer timer;
  uint64_t due; /* tick; 0: not set */
};

struct model {
  struct rn_wheel *w;
  struct probe probes[TIMERS];
  uint64_t now_ns;
  uint64_t passed; /* tick of the last fire */
  uint64_t order;  /* tick of the timer that fired last */
  uint32_t fired;
  struct rn_rng *rng; /* callbacks set and cancel when this is there */
};

static struct model *make(uint64_t now_ns) {
  struct model *m = calloc(1, sizeof(*m));
  rn_wheel_init(aligned_alloc(64, rn_wheel_footprint()), now_ns, &m->w);
  m->now_ns = now_ns;
  m->passed = now_ns / RN_WHEEL_TICK_NS;
  for (int i = 0; i < TIMERS; i++)
    rn_timer_init(&m->probes[i].timer);
  return m;
}

static void drop(struct model *m) {
  free(m->w);
  free(m);
}

static void set(struct model *m, struct probe *p, uint64_t at_ns) {
  uint64_t up = at_ns / RN_WHEEL_TICK_NS + (at_ns % RN_WHEEL_TICK_NS != 0);
  p->due = up > m->passed ? up : m->passed + 1;
  rn_wheel_set(m->w, &p->timer, at_ns);
}

static void cancel(struct model *m, struct probe *p) {
  p->due = 0;
  rn_wheel_cancel(m->w, &p->timer);
}

/* At any distance, past ones included, near ones more often. */
static uint64_t some_time(struct rn_rng *rng, uint64_t now_ns) {
  if (rn_rng_next(rng) % 8 == 0)
    return now_ns - now_ns % 977;
  return now_ns + (rn_rng_next(rng) >> (4 + rn_rng_next(rng) % 56));
}

static void on_fire(struct rn_timer *t, void *ctx) {
  struct model *m = ctx;
  struct probe *p = RN_LIST_ENTRY(t, struct probe, timer);
  assert_false(rn_timer_is_set(t));
  assert_true(p->due != 0 && p->due <= m->passed);
  assert_true(p->due >= m->order);
  m->order = p->due;
  p->due = 0;
  m->fired++;
  if (m->rng == NULL)
    return;
  struct probe *other = &m->probes[rn_rng_next(m->rng) % TIMERS];
  if (rn_rng_next(m->rng) % 2 == 0)
    cancel(m, other);
  else
    set(m, other, some_time(m->rng, m->now_ns));
}

static void fire(struct model *m, uint64_t now_ns) {
  if (now_ns > m->now_ns)
    m->now_ns = now_ns;
  m->passed = m->now_ns / RN_WHEEL_TICK_NS;
  m->order = 0;
  rn_wheel_fire(m->w, now_ns, on_fire, m);
}

static uint64_t earliest(const struct model *m) {
  uint64_t due = UINT64_MAX;
  for (int i = 0; i < TIMERS; i++) {
    if (m->probes[i].due != 0 && m->probes[i].due < due)
      due = m->probes[i].due;
  }
  return due;
}

static void check(const struct model *m, uint64_t seed, int step) {
  uint64_t first = earliest(m), next = rn_wheel_next_expiry(m->w);
  if (first <= m->passed)
    fail_msg("seed=%d step %d: a timer did not fire", (int)seed, step);
  if (first == UINT64_MAX ? next != UINT64_MAX
                          : next > first * RN_WHEEL_TICK_NS || next <= m->now_ns)
    fail_msg("seed=%d step %d: wrong next expiry", (int)seed, step);
  if (rn_wheel_check(m->w) != RN_OK)
    fail_msg("seed=%d step %d: check failed", (int)seed, step);
}

static void fires_each_timer_at_its_tick(void **state) {
  (void)state;
  for (uint64_t seed = 1; seed <= 20; seed++) {
    struct rn_rng rng;
    rn_rng_init(&rng, seed);
    struct model *m = make(rn_rng_next(&rng) >> (4 + rn_rng_next(&rng) % 60));
    m->rng = seed % 2 == 0 ? &rng : NULL;
    for (int step = 0; step < 3000; step++) {
      struct probe *p = &m->probes[rn_rng_next(&rng) % TIMERS];
      uint64_t kind = rn_rng_next(&rng) % 8;
      if (kind < 4)
        set(m, p, some_time(&rng, m->now_ns));
      else if (kind == 4)
        cancel(m, p);
      else if (kind < 7)
        fire(m, m->now_ns + (rn_rng_next(&rng) >> (24 + rn_rng_next(&rng) % 36)));
      else
        fire(m, m->now_ns / 2); /* time that goes back fires nothing */
      check(m, seed, step);
    }
    assert_true(m->fired > 50);
    drop(m);
  }
}

/* Jumping from expiry to expiry, as a simulation does, meets every timer exactly at its tick. */
static void next_expiry_leads_to_every_timer(void **state) {
  (void)state;
  struct rn_rng rng;
  rn_rng_init(&rng, 9);
  struct model *m = make(12345);
  for (int i = 0; i < TIMERS; i++)
    set(m, &m->probes[i], 1 + (rn_rng_next(&rng) >> (4 + rn_rng_next(&rng) % 50)));
  int jumps = 0;
  for (uint64_t next; (next = rn_wheel_next_expiry(m->w)) != UINT64_MAX; jumps++) {
    uint64_t due = earliest(m);
    uint32_t before = m->fired;
    fire(m, next);
    assert_int_equal(m->fired > before, next / RN_WHEEL_TICK_NS == due);
  }
  assert_int_equal(m->fired, TIMERS);
  assert_in_range(jumps, 1, TIMERS * 8); /* at most one stop on each level */
  drop(m);
}

struct again {
  struct rn_wheel *w;
  struct rn_timer a, b;
  int fired;
};

static void set_in_the_past(struct rn_timer *t, void *ctx) {
  struct again *g = ctx;
  g->fired++;
  if (t == &g->a)
    rn_wheel_cancel(g->w, &g->b);
  rn_wheel_set(g->w, t, 0);
}

static void callback_may_cancel_and_set(void **state) {
  (void)state;
  struct again g = { 0 };
  void *mem = aligned_alloc(64, rn_wheel_footprint());
  rn_wheel_init(mem, 0, &g.w);
  rn_timer_init(&g.a);
  rn_timer_init(&g.b);
  rn_wheel_set(g.w, &g.a, 100);
  rn_wheel_set(g.w, &g.b, 100);
  /* However much time went by, what is set to a time that has passed waits for the next fire. */
  uint64_t now_ns = 1000 * RN_WHEEL_TICK_NS;
  assert_int_equal(rn_wheel_fire(g.w, now_ns, set_in_the_past, &g), 1);
  assert_true(rn_timer_is_set(&g.a));
  assert_false(rn_timer_is_set(&g.b));
  assert_int_equal(rn_wheel_next_expiry(g.w), now_ns + RN_WHEEL_TICK_NS);
  assert_int_equal(rn_wheel_fire(g.w, now_ns + RN_WHEEL_TICK_NS - 1, set_in_the_past, &g), 0);
  assert_int_equal(rn_wheel_fire(g.w, now_ns + RN_WHEEL_TICK_NS, set_in_the_past, &g), 1);
  assert_int_equal(g.fired, 2);
  free(mem);
}

static void times_past_the_range_never_fire(void **state) {
  (void)state;
  struct model *m = make(0);
  rn_wheel_set(m->w, &m->probes[0].timer, UINT64_MAX);
  rn_wheel_set(m->w, &m->probes[1].timer, RN_WHEEL_NEVER_NS);
  rn_wheel_set(m->w, &m->probes[2].timer, RN_WHEEL_NEVER_NS - RN_WHEEL_TICK_NS);
  m->probes[2].due = RN_WHEEL_NEVER_NS / RN_WHEEL_TICK_NS - 1;
  fire(m, UINT64_MAX);
  assert_int_equal(m->fired, 1);
  rn_wheel_set(m->w, &m->probes[2].timer, 5); /* nothing is later than the end of time */
  assert_int_equal(rn_wheel_fire(m->w, UINT64_MAX, on_fire, m), 0);
  assert_int_equal(rn_wheel_check(m->w), RN_OK);
  drop(m);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(fires_each_timer_at_its_tick),
    cmocka_unit_test(next_expiry_leads_to_every_timer),
    cmocka_unit_test(callback_may_cancel_and_set),
    cmocka_unit_test(times_past_the_range_never_fire),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
