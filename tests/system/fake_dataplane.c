/* tests/system/fake_dataplane.c: what the other processes see of a data plane, and nothing behind it: attaches to its region, says READY, asks for signatures,
 * counts, and ends when told. RN_FAKE, words with blanks between, changes that:
 *
 *   sign        asks for one proper signature and one that must be refused, and logs how both went
 *   scribble    writes nonsense over its rings to control, again and again
 *   deaf        ignores CTL_SHUTDOWN;  stubborn  ignores SIGTERM too
 *   exit=N      ends at once with status N
 *   crash       crashes 150 ms after READY, as long as there is no file RN_FAKE_CALM */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ring/msg.h"
#include "sys/clock.h"
#include "sys/event.h"
#include "sys/log.h"
#include "sys/memfd.h"
#include "topo/topo.h"
#include "util/err.h"

static struct rn_topo_view view;
static struct rn_ring_tx tx[RN_TOPO_LCORES_MAX];
static struct rn_ring_rx rx[RN_TOPO_LCORES_MAX];
static struct rn_lcore_stats stats;

static bool mode(const char *word) {
  const char *modes = getenv("RN_FAKE");
  return modes != NULL && strstr(modes, word) != NULL;
}

static void send(uint32_t i, enum rn_msg_type type, const void *fixed, const void *tail, size_t n) {
  if (rn_msg_push(&tx[i], type, fixed, tail, n) != RN_OK)
    rn_warn("ring to control is full");
  if (rn_ring_must_wake(&tx[i]))
    rn_sys_event_ring(RN_TOPO_FD_CONTROL);
}

static void say_ready(uint32_t i) {
  const struct rn_msg_ready ready = { .pid = (uint32_t)getpid(),
                                      .lcore_idx = (uint16_t)i,
                                      .mtu = 1500 };
  send(i, RN_MSG_READY, &ready, NULL, 0);
}

static void ask_for_signatures(void) {
  static const char context[] = "TLS 1.3, server CertificateVerify";
  static const uint16_t schemes[] = { 0x0403, 0x0503, 0x0804, 0x0807 };
  uint8_t tbs[130];
  memset(tbs, 0x20, 64);
  memcpy(tbs + 64, context, sizeof(context));
  memset(tbs + 98, 0x11, 32);
  for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) { /* the key has one of them */
    struct rn_msg_sign_req req = { .job = 1000 + schemes[i], .scheme = schemes[i] };
    send(0, RN_MSG_SIGN_REQ, &req, tbs, sizeof(tbs));
    tbs[70] ^= 1; /* a letter of the context string */
    req.job += 1000000;
    send(0, RN_MSG_SIGN_REQ, &req, tbs, sizeof(tbs));
    tbs[70] ^= 1;
  }
}

static void scribble(unsigned int n) {
  for (unsigned int i = 0; i < view.topo.ring.slot_count; i++) {
    struct rn_ring_slot *s = &tx[0].slots[i];
    s->len = n * 2654435761u;
    s->type = (uint16_t)(n + i);
    s->flags = (uint16_t)(n >> 3);
    atomic_store(&s->seq, tx[0].head + (i - tx[0].head) % view.topo.ring.slot_count + 1);
  }
  tx[0].head += view.topo.ring.slot_count;
  rn_sys_event_ring(RN_TOPO_FD_CONTROL);
}

/* True when it is time to end. */
static bool drain(uint32_t i) {
  struct rn_msg m;
  bool end = false;
  while (rn_msg_pop(&rx[i], RN_MSG_TO_LCORE, &m) == RN_OK) {
    if (m.type == RN_MSG_CTL_HELLO) {
      rn_info("lcore %u: control %u says hello", i, m.ctl_hello.pid);
      say_ready(i);
    } else if (m.type == RN_MSG_CTL_DRAIN) {
      stats.rpc.draining = !mode("deaf");
    } else if (m.type == RN_MSG_CTL_SHUTDOWN) {
      rn_info("lcore %u: shutdown with code %llu", i, (unsigned long long)m.ctl_shutdown.app_code);
      end = !mode("deaf");
    } else if (m.type == RN_MSG_SIGN_RSP) {
      rn_info("job %llu: %s, %u bytes", (unsigned long long)m.sign_rsp.job,
              m.sign_rsp.status == RN_OK ? "signed" : rn_err_text(m.sign_rsp.status), m.tail_bytes);
    }
  }
  rn_ring_release(&rx[i]);
  return end;
}

static int attach(void) {
  char why[256];
  size_t bytes;
  void *map;
  if (rn_sys_memfd_check(RN_TOPO_FD_REGION, &bytes) != RN_OK ||
      rn_sys_map(RN_TOPO_FD_REGION, bytes, &map) != RN_OK) {
    rn_error("descriptor 3 is no region");
    return RN_ERR_INVAL;
  }
  if (rn_topo_attach(map, bytes, &view, why, sizeof(why)) != RN_OK) {
    rn_error("%s", why);
    return RN_ERR_CORRUPT;
  }
  for (uint32_t i = 0; i < view.topo.lcore_count; i++) {
    if (rn_topo_lcore_rings(&view, i, &tx[i], &rx[i]) != RN_OK)
      return RN_ERR_CORRUPT;
  }
  return RN_OK;
}

static volatile sig_atomic_t terminated;

static void on_term(int sig) {
  (void)sig;
  terminated = 1;
}

int main(void) {
  rn_log_init("fake-dataplane", RN_LOG_DEBUG);
  const char *modes = getenv("RN_FAKE");
  const char *exit_mode = modes != NULL ? strstr(modes, "exit=") : NULL;
  if (exit_mode != NULL)
    return atoi(exit_mode + 5);
  if (attach() != RN_OK)
    return 2;
  struct sigaction term = { .sa_handler = on_term };
  sigaction(SIGTERM, &term, NULL);
  rn_info("epoch %u, start %u lcores", view.topo.cid.epoch, view.topo.lcore_count);
  for (uint32_t i = 0; i < view.topo.lcore_count; i++)
    say_ready(i);
  if (mode("sign"))
    ask_for_signatures();
  uint64_t started_ns = rn_sys_now_ns();
  for (unsigned int n = 0; !terminated || mode("stubborn"); n++) {
    struct pollfd p[RN_TOPO_LCORES_MAX];
    bool end = false, sleep = true;
    for (uint32_t i = 0; i < view.topo.lcore_count; i++) {
      p[i] = (struct pollfd){ .fd = RN_TOPO_FD_LCORE(i), .events = POLLIN };
      end = drain(i) || end;
      sleep = rn_ring_sleep(&rx[i]) && sleep;
    }
    if (end)
      return 0;
    if (sleep)
      (void)poll(p, view.topo.lcore_count, 20);
    for (uint32_t i = 0; i < view.topo.lcore_count; i++) {
      (void)rn_sys_event_clear(RN_TOPO_FD_LCORE(i));
      stats.lcore.turns++;
      stats.lcore.busy_ns += 1000000;
      stats.lcore.idle_ns += 3000000;
      stats.quic.conns = 7 + i;
      rn_stats_publish(rn_topo_stats(&view, i), &stats, rn_sys_now_ns());
    }
    if (mode("scribble"))
      scribble(n);
    if (mode("crash") && rn_sys_now_ns() - started_ns > 150 * RN_NS_PER_MS &&
        access(getenv("RN_FAKE_CALM"), F_OK) != 0)
      raise(SIGSEGV);
  }
  return 0;
}
