/* lib/topo/mandate.c */
#include "topo/mandate.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "util/err.h"

void rn_mandate_text(const struct rn_mandate *m, char out[RN_MANDATE_TEXT_BYTES]) {
  snprintf(out, RN_MANDATE_TEXT_BYTES, "%" PRIu32 ":%" PRIu32 ":%" PRIu32 ":%" PRIu32 ":%s", m->uid,
           m->gid, m->sandbox, m->driver, m->interface);
}

/* Decimal digits up to a ':', which *text moves past. */
static int read_number(const char **text, uint32_t *out) {
  const char *p = *text;
  uint64_t n = 0;
  for (; *p >= '0' && *p <= '9' && n <= UINT32_MAX; p++)
    n = n * 10 + (uint64_t)(*p - '0');
  if (p == *text || *p != ':' || n > UINT32_MAX)
    return RN_ERR_INVAL;
  *text = p + 1;
  *out = (uint32_t)n;
  return RN_OK;
}

int rn_mandate_parse(const char *text, struct rn_mandate *out) {
  struct rn_mandate m = { 0 };
  uint32_t *const numbers[] = { &m.uid, &m.gid, &m.sandbox, &m.driver };
  for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
    if (read_number(&text, numbers[i]) != RN_OK)
      return RN_ERR_INVAL;
  }
  size_t n = strlen(text); /* whatever is left: a PCI address has ':' */
  if (n >= sizeof(m.interface))
    return RN_ERR_INVAL;
  memcpy(m.interface, text, n);
  *out = m;
  return RN_OK;
}

int rn_mandate_check(const struct rn_mandate *m, const struct rn_topo *t, char *why,
                     size_t why_bytes) {
  const struct {
    const char *name;
    uint32_t is, has_to_be;
  } numbers[] = { { "uid", t->uid, m->uid },
                  { "gid", t->gid, m->gid },
                  { "sandbox", t->sandbox, m->sandbox } };
  for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
    if (numbers[i].is != numbers[i].has_to_be) {
      snprintf(why, why_bytes, "%s is %" PRIu32 ", but the configuration says %" PRIu32,
               numbers[i].name, numbers[i].is, numbers[i].has_to_be);
      return RN_ERR_REFUSED;
    }
  }
  for (uint32_t i = 0; i < t->port_count; i++) {
    const struct rn_topo_port *p = &t->ports[i];
    if (p->driver != m->driver || strncmp(p->interface, m->interface, sizeof(p->interface)) != 0) {
      snprintf(why, why_bytes, "port %" PRIu32 " is %.*s, but the configuration says %s%s", i,
               (int)sizeof(p->interface) - 1, p->interface, m->interface,
               p->driver != m->driver ? ", by another driver" : "");
      return RN_ERR_REFUSED;
    }
  }
  return RN_OK;
}
