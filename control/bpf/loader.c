/* control/bpf/loader.c */
#include "control/bpf/loader.h"

#include <errno.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

/* bpftool's output, which our warnings are too strict for. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#include "pass.skel.h"
#pragma GCC diagnostic pop

#include "sys/log.h"
#include "util/err.h"

struct rn_bpf_links {
  struct rn_pass *skel;
  int fd;
  enum rn_bpf_kind kind;
};

#define COST                                                                                       \
  "peers on a veth that use segmentation offload will be heard badly: their frames arrive cut"

/* libbpf explains itself in many lines; they are for someone who looks. */
static int libbpf_line(enum libbpf_print_level level, const char *fmt, va_list ap) {
  char text[512];
  (void)level;
  int n = vsnprintf(text, sizeof(text), fmt, ap);
  if (n > 0 && rn_log_enabled(RN_LOG_DEBUG))
    rn_debug("libbpf: %.*s", (int)strcspn(text, "\n"), text);
  return n;
}

static int refuse(int err, const char *interface, char *why, size_t why_bytes) {
  switch (err) {
  case EPERM:
  case EACCES:
    snprintf(
        why, why_bytes,
        "BPF may not be loaded on %s (it takes CAP_BPF and CAP_NET_ADMIN, or CAP_SYS_ADMIN): " COST,
        interface);
    return RN_ERR_REFUSED;
  case EBUSY:
  case EEXIST:
    snprintf(
        why, why_bytes,
        "another XDP program sits on %s; if it drops or redirects nothing of ours, all is well",
        interface);
    return RN_ERR_EXIST;
  default:
    snprintf(why, why_bytes, "BPF on %s: %s: " COST, interface, strerror(err));
    return RN_ERR_SYS;
  }
}

/* 0, or an errno. */
static int attach(struct rn_bpf_links *l, unsigned int ifindex) {
  static const struct {
    enum rn_bpf_kind kind;
    unsigned int flags;
  } ways[] = { { RN_BPF_NATIVE, XDP_FLAGS_DRV_MODE }, { RN_BPF_GENERIC, XDP_FLAGS_SKB_MODE } };
  int err = 0;
  for (size_t i = 0; i < 2; i++) {
    LIBBPF_OPTS(bpf_link_create_opts, opts, .flags = ways[i].flags);
    l->kind = ways[i].kind;
    l->fd = bpf_link_create(bpf_program__fd(l->skel->progs.rn_pass), (int)ifindex, BPF_XDP, &opts);
    if (l->fd >= 0)
      return 0;
    err = -l->fd;
    if (err == EPERM || err == EBUSY || err == EEXIST)
      break; /* the other way would end the same */
  }
  return err;
}

int rn_bpf_attach(const char *interface, struct rn_bpf_links **out, char *why, size_t why_bytes) {
  unsigned int ifindex = if_nametoindex(interface);
  if (ifindex == 0) {
    snprintf(why, why_bytes, "there is no network interface %s", interface);
    return RN_ERR_NOENT;
  }
  struct rn_bpf_links *l = calloc(1, sizeof(*l));
  if (l == NULL)
    return RN_ERR_SYS;
  l->fd = -1;
  libbpf_set_print(libbpf_line);
  l->skel = rn_pass__open_and_load();
  int err = l->skel == NULL ? errno : attach(l, ifindex);
  if (err == 0) {
    *out = l;
    return RN_OK;
  }
  rn_bpf_release(l);
  return refuse(err, interface, why, why_bytes);
}

enum rn_bpf_kind rn_bpf_kind(const struct rn_bpf_links *l) { return l->kind; }

int rn_bpf_link_fd(const struct rn_bpf_links *l) { return l->fd; }

void rn_bpf_release(struct rn_bpf_links *l) {
  if (l == NULL)
    return;
  if (l->fd >= 0)
    close(l->fd);
  rn_pass__destroy(l->skel); /* NULL is fine */
  free(l);
}
