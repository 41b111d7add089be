/* tests/unit/ring/test_ring_stress.c: two ends at once: two processes (also one that is killed and
 * replaced), and two threads, which is what a thread sanitizer build (meson -Db_sanitize=thread)
 * looks at. Bounded by time as well as by messages. */
#include "rn_test.h"

#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "ring/ring.h"
#include "util/err.h"

#define SCHEMA   7u
#define MESSAGES 300000u
#define LIMIT_S  20

static const struct rn_ring_size size = { 64, 16384 };
static uint8_t *mem;
static int bell;

static uint64_t now_s(void) {
  struct timespec ts;
  clock_gettime(CLOCK_MONOTONIC, &ts);
  return (uint64_t)ts.tv_sec;
}

static int setup(void **state) {
  (void)state;
  mem = mmap(NULL, rn_ring_footprint(&size), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
             0);
  bell = eventfd(0, EFD_NONBLOCK);
  return mem == MAP_FAILED || bell < 0 || rn_ring_format(mem, &size, SCHEMA, 1) != RN_OK ? -1 : 0;
}

static int teardown(void **state) {
  (void)state;
  close(bell);
  return munmap(mem, rn_ring_footprint(&size));
}

/* Message n: 8 bytes of n, then a length and a content that follow from n. */
static uint32_t body(uint64_t n, uint8_t out[1200]) {
  uint32_t len = n % 5 == 0 ? (uint32_t)(n * 13 % 1150) : (uint32_t)(n % 150);
  memcpy(out, &n, 8);
  memset(out + 8, (int)(n & 0xff), len);
  return len + 8;
}

static void ring_bell(struct rn_ring_tx *tx) {
  const uint64_t one = 1;
  if (rn_ring_must_wake(tx))
    assert_int_equal(write(bell, &one, 8), 8);
}

static void produce(uint64_t from, uint64_t to) {
  struct rn_ring_tx tx;
  uint8_t out[1200];
  if (rn_ring_tx_attach(&tx, mem, &size, SCHEMA) != RN_OK)
    abort();
  uint64_t end_s = now_s() + LIMIT_S;
  for (uint64_t n = from; n < to;) {
    const struct rn_ring_part part = { out, body(n, out) };
    int err = rn_ring_push(&tx, (uint16_t)n, &part, 1);
    if (err == RN_OK) {
      n++;
    } else if (err != RN_ERR_AGAIN || now_s() > end_s) {
      abort();
    }
    if (err != RN_OK || n % 16 == 0)
      ring_bell(&tx);
    if (err != RN_OK)
      sched_yield();
  }
  ring_bell(&tx);
}

static void wait_for_bell(struct rn_ring_rx *rx) {
  if (rn_ring_sleep(rx)) {
    struct pollfd p = { .fd = bell, .events = POLLIN };
    uint64_t count;
    assert_int_equal(poll(&p, 1, LIMIT_S * 1000), 1); /* a bell that is lost shows here */
    assert_int_equal(read(bell, &count, 8), 8);
  }
  rn_ring_awake(rx);
}

/* Takes messages until n == to; each must be the next one. */
static void consume(uint64_t to) {
  struct rn_ring_rx rx;
  uint8_t buf[1200], want[1200];
  struct rn_ring_msg m;
  assert_int_equal(rn_ring_rx_attach(&rx, mem, &size, SCHEMA), RN_OK);
  for (uint64_t n = 0; n < to;) {
    int err = rn_ring_pop(&rx, &m, buf, sizeof(buf));
    if (err == RN_ERR_AGAIN) {
      rn_ring_release(&rx);
      wait_for_bell(&rx);
      continue;
    }
    assert_int_equal(err, RN_OK);
    uint32_t len = body(n, want);
    assert_int_equal(m.len, len);
    assert_int_equal(m.type, (uint16_t)n);
    assert_memory_equal(buf, want, len);
    n++;
    if (n % 8 == 0)
      rn_ring_release(&rx);
  }
}

static void two_processes_exchange_every_message_in_order(void **state) {
  (void)state;
  pid_t pid = fork();
  assert_true(pid >= 0);
  if (pid == 0) {
    produce(0, MESSAGES);
    _exit(0);
  }
  consume(MESSAGES);
  int status;
  assert_int_equal(waitpid(pid, &status, 0), pid);
  assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void *produce_thread(void *arg) {
  (void)arg;
  produce(0, MESSAGES / 4);
  return NULL;
}

static void two_threads_exchange_every_message_in_order(void **state) {
  (void)state;
  pthread_t t;
  assert_int_equal(pthread_create(&t, NULL, produce_thread, NULL), 0);
  consume(MESSAGES / 4);
  pthread_join(t, NULL);
}

/* Producers are killed at arbitrary instructions; each successor goes on, and no message that
 * arrives is torn. Numbers may be missing at most where a kill hit (the number itself is the
 * producer's memory, so the successor starts a new range). */
static void killed_producers_never_tear_a_message(void **state) {
  (void)state;
  struct rn_ring_rx rx;
  uint8_t buf[1200], want[1200];
  struct rn_ring_msg m;
  uint64_t seen = 0;
  assert_int_equal(rn_ring_rx_attach(&rx, mem, &size, SCHEMA), RN_OK);
  for (unsigned int round = 0; round < 60; round++) {
    uint64_t base = (uint64_t)round << 32;
    uint64_t next = base;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
      produce(base, base + UINT32_MAX);
      _exit(0);
    }
    uint64_t quota = 200 + round * 17, end_s = now_s() + LIMIT_S;
    bool alive = true;
    for (;;) {
      int err = rn_ring_pop(&rx, &m, buf, sizeof(buf));
      if (err == RN_ERR_AGAIN && !alive)
        break;
      if (err == RN_OK) {
        uint64_t n;
        memcpy(&n, buf, 8);
        assert_int_equal(n, next); /* none lost, none twice */
        uint32_t len = body(n, want);
        assert_int_equal(m.len, len);
        assert_memory_equal(buf, want, len);
        next++;
        seen++;
      } else {
        assert_int_equal(err, RN_ERR_AGAIN);
        assert_true(now_s() <= end_s);
        sched_yield();
      }
      rn_ring_release(&rx);
      if (alive && next - base >= quota) {
        kill(pid, SIGKILL);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        alive = false;
      }
    }
  }
  assert_true(seen >= 60 * 200);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(two_processes_exchange_every_message_in_order, setup, teardown),
    cmocka_unit_test_setup_teardown(two_threads_exchange_every_message_in_order, setup, teardown),
    cmocka_unit_test_setup_teardown(killed_producers_never_tear_a_message, setup, teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
