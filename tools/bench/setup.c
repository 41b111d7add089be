/* tools/bench/setup.c: a client from the options. */
#include "bench.h"
#include "port.h"
#include "util/err.h"

#include <stdio.h>
#include <stdlib.h>

static char *read_file(const char *path, size_t *bytes) {
  FILE *f = fopen(path, "rb");
  if (f == NULL)
    return NULL;
  char *text = calloc(1, 1 << 20);
  *bytes = fread(text, 1, (1 << 20) - 1, f);
  fclose(f);
  return text;
}

int bench_client_new(const struct bench_options *o, uint32_t conns, uint32_t calls,
                     const struct rn_client_events *ev, void *user, struct rn_client **out,
                     char *why, size_t why_bytes) {
  struct rn_client_config cfg;
  char *ca = NULL;
  rn_client_defaults(&cfg);
  cfg.local.family = o->target.family;
  cfg.conns = conns;
  cfg.calls = calls;
  cfg.spin_ns = o->spin_ns;
  if (o->ca_file != NULL && (ca = read_file(o->ca_file, &cfg.ca_pem_bytes)) == NULL) {
    snprintf(why, why_bytes, "%s cannot be read", o->ca_file);
    return RN_ERR_NOENT;
  }
  cfg.ca_pem = ca;
  int err = RN_OK;
  if (o->port != NULL) {
    struct bench_port *port = NULL;
    uint16_t udp_port = (uint16_t)(40000 + rn_client_now() / 1000 % 20000);
    err = bench_port_open(o->port, o->target.family, udp_port, &port, why, why_bytes);
    cfg.io = &bench_port_io;
    cfg.io_ctx = port;
    if (err == RN_OK)
      cfg.max_udp_payload = bench_port_payload(port);
  }
  if (err == RN_OK)
    err = rn_client_new(&cfg, ev, user, out, why, why_bytes);
  free(ca);
  return err;
}
