/* Any bytes as a configuration: either it is right and within its limits, or at least one error says why not. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "control/config.h"
#include "util/err.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
const char *__lsan_default_suppressions(void);

/* libfyaml 0.8 loses the text of some quoted keys, at most a few KiB per file. */
const char *__lsan_default_suppressions(void) { return "leak:libfyaml.so"; }

static void check_errors(const struct rn_config_errors *errs) {
  uint32_t line = 0;
  for (size_t i = 0; i < rn_config_errors_count(errs); i++) {
    const struct rn_config_error *e = rn_config_errors_get(errs, i);
    RN_ASSERT(e->line >= line && e->text[0] != 0);
    line = e->line;
    RN_ASSERT(memchr(e->key, 0, sizeof(e->key)) != NULL &&
              memchr(e->text, 0, sizeof(e->text)) != NULL);
    for (const char *p = e->text; *p != 0; p++)
      RN_ASSERT(*p >= ' ' && *p <= '~');
  }
}

/* What readers of a configuration rely on. */
static void check_config(const struct rn_config *c) {
  RN_ASSERT(c->lcores.count >= 1 && c->lcores.count <= 32 && c->lcores.cores_count <= 32);
  RN_ASSERT(c->port.addresses_count <= 8 && c->rpc.methods_count <= RN_TOPO_METHODS_MAX);
  RN_ASSERT(c->port.mode != RN_TOPO_OWNED || c->port.addresses_count > 0);
  RN_ASSERT(c->tls.cert[0] != 0 && c->tls.key[0] != 0 && strcmp(c->tls.cert, c->tls.key) != 0);
  RN_ASSERT(c->limits.half_open >= 1 && c->limits.half_open <= c->limits.connections);
  RN_ASSERT(c->limits.signing_queue >= 1 && c->limits.signing_queue <= c->limits.half_open);
  RN_ASSERT(c->rpc.max_request_bytes <= c->limits.request_buffer);
  for (uint32_t i = 0; i < c->rpc.methods_count; i++)
    RN_ASSERT(c->rpc.methods[i].name[0] != 0);
  RN_ASSERT(c->cluster.seeds_count <= 16 && c->cluster.allowed_certs_count <= 64);
  for (uint32_t i = 0; i < c->cluster.seeds_count; i++)
    RN_ASSERT(c->cluster.seeds[i].family != 0 && c->cluster.seeds[i].port != 0);
  RN_ASSERT(rn_tags_check(&c->cluster.tags) == RN_OK && c->cluster.tags.count <= 16);
  RN_ASSERT(c->cluster.probe_timeout_ns <= c->cluster.gossip_interval_ns);
  RN_ASSERT(rn_tags_check(&c->director.worker_tags) == RN_OK && c->director.routes_count <= 64);
  RN_ASSERT(c->cluster.enabled || (!c->director.enabled && c->director.routes_count == 0));
  for (uint32_t i = 0; i < c->director.routes_count; i++)
    RN_ASSERT(c->director.routes[i].method[0] != 0 &&
              rn_tags_check(&c->director.routes[i].tags) == RN_OK);
  char list[RN_TOPO_LIST_BYTES];
  RN_ASSERT(strlen(rn_config_cipher_text(c, list)) < sizeof(list) - 1);
  RN_ASSERT(strlen(rn_config_group_text(c, list)) < sizeof(list) - 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
  static struct rn_config_errors *errs;
  static struct rn_config cfg, before;
  if (errs == NULL)
    errs = rn_config_errors_new();
  memset(&cfg, 0x5a, sizeof(cfg));
  memset(&before, 0x5a, sizeof(before));
  int err = rn_config_load_text("fuzz", (const char *)data, len, &cfg, errs);
  RN_ASSERT((err == RN_OK) == (rn_config_errors_count(errs) == 0));
  check_errors(errs);
  if (err == RN_OK)
    check_config(&cfg);
  else
    RN_ASSERT(memcmp(&cfg, &before, sizeof(cfg)) == 0);
  return 0;
}
