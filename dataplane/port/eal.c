/* dataplane/port/eal.c */
#include "dataplane/port/eal.h"

#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_launch.h>
#include <rte_lcore.h>
#include <rte_log.h>

#include "sys/log.h"

#define ARGS_MAX   24
#define TEXT_BYTES 4096

/* The arguments and the memory of their texts. EAL permutes the array, and keeps pointers to the texts. */
struct args {
  char *argv[ARGS_MAX + 1];
  int argc;
  char text[TEXT_BYTES];
  size_t used;
};

__attribute__((format(printf, 2, 3))) static void arg(struct args *a, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  char *at = a->text + a->used;
  int n = vsnprintf(at, TEXT_BYTES - a->used, fmt, ap);
  va_end(ap);
  RN_ASSERT(n >= 0 && (size_t)n < TEXT_BYTES - a->used && a->argc < ARGS_MAX);
  a->argv[a->argc++] = at;
  a->used += (size_t)n + 1;
}

/* "(0,2,3)": the cores this process may use. */
static void allowed_cpus(char *out, size_t cap) {
  cpu_set_t set;
  CPU_ZERO(&set);
  size_t n = (size_t)snprintf(out, cap, "(");
  bool any = false;
  if (sched_getaffinity(0, sizeof(set), &set) == 0) {
    for (int i = 0; i < CPU_SETSIZE && n + 8 < cap; i++) {
      if (CPU_ISSET((size_t)i, &set))
        n += (size_t)snprintf(out + n, cap - n, "%s%d", any ? "," : "", i), any = true;
    }
  }
  snprintf(out + n, cap - n, any ? ")" : "0)");
}

/* "0@4,1@(0,1)": lcore i on its core. */
static void lcores(struct args *a, const struct rn_eal_config *cfg) {
  static char text[TEXT_BYTES / 2], any[512];
  allowed_cpus(any, sizeof(any));
  size_t n = 0;
  for (uint32_t i = 0; i < cfg->lcore_count && n < sizeof(text); i++) {
    const char *comma = i > 0 ? "," : "";
    if (cfg->cpus[i] >= 0)
      n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%u@%d", comma, i, cfg->cpus[i]);
    else
      n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%u@%s", comma, i, any);
  }
  arg(a, "--lcores=%s", text);
}

static void build(struct args *a, const struct rn_eal_config *cfg) {
  arg(a, "rpcnet-dataplane");
  lcores(a, cfg);
  arg(a, "--main-lcore=0");
  arg(a, "--iova-mode=va"); /* no physical addresses: they would need a capability */
  arg(a, "--no-telemetry"); /* a socket and a thread that nobody asked for */
  if (!cfg->nic)
    arg(a, "--no-pci");
  if (cfg->hugepages) {
    arg(a, "--in-memory"); /* no files that outlive us */
    arg(a, "--single-file-segments");
  } else {
    arg(a, "--no-huge");
    arg(a, "--no-shconf");
  }
  arg(a, "-m");
  arg(a, "%u", cfg->memory_mb);
  arg(a, "--log-level=*:%s", rn_log_enabled(RN_LOG_DEBUG) ? "info" : "warning");
}

/* DPDK's log stream: lines become ours. */
static ssize_t log_write(void *cookie, const char *buf, size_t len) {
  (void)cookie;
  size_t n = len;
  while (n > 0 && (buf[n - 1] == '\n' || buf[n - 1] == '\r'))
    n--;
  if (n > 0)
    rn_log(rte_log_cur_msg_loglevel() <= (int)RTE_LOG_ERR ? RN_LOG_WARN : RN_LOG_DEBUG,
           "dpdk: %.*s", (int)n, buf);
  return (ssize_t)len;
}

static void log_to_ours(void) {
  FILE *f = fopencookie(NULL, "w", (cookie_io_functions_t){ .write = log_write });
  if (f == NULL)
    return;
  setvbuf(f, NULL, _IOLBF, 512);
  if (rte_openlog_stream(f) != 0)
    fclose(f);
}

int rn_eal_init(const struct rn_eal_config *cfg, char *why, size_t why_bytes) {
  static struct args a;
  RN_ASSERT(a.argc == 0); /* EAL keeps the texts, and can be initialised once */
  log_to_ours();
  build(&a, cfg);
  if (rte_eal_init(a.argc, a.argv) >= 0)
    return RN_OK;
  const char *hint = cfg->hugepages ? "; are huge pages reserved (vm.nr_hugepages)?" : "";
  snprintf(why, why_bytes, "DPDK cannot start with %u MiB of packet memory: %s%s", cfg->memory_mb,
           rte_strerror(rte_errno), hint);
  return RN_ERR_SYS;
}

int rn_eal_run(int (*fn)(void *arg), void *const *args, uint32_t lcore_count) {
  for (uint32_t i = 1; i < lcore_count; i++) {
    if (rte_eal_remote_launch(fn, args[i], i) != 0)
      return RN_ERR_SYS;
  }
  int err = fn(args[0]);
  for (uint32_t i = 1; i < lcore_count; i++) {
    int other = rte_eal_wait_lcore(i);
    err = err == RN_OK ? other : err;
  }
  return err;
}

void rn_eal_fini(void) { rte_eal_cleanup(); }
