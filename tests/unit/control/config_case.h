/* tests/unit/control/config_case.h: loads a text and says what came of it. */
#pragma once
#include "rn_test.h"

#include "control/config.h"

/* The rest of a file that is right. */
#define CONFIG_TLS  "tls: {cert: a.crt, key: a.key}\n"
#define CONFIG_PORT "port: {interface: eth0}\n"

struct config_case {
  struct rn_config cfg;
  struct rn_config_errors *errs;
  int err;
};

static inline void config_load(struct config_case *c, const char *text) {
  memset(&c->cfg, 0x5a, sizeof(c->cfg));
  c->errs = rn_config_errors_new();
  assert_non_null(c->errs);
  c->err = rn_config_load_text("node.yaml", text, strlen(text), &c->cfg, c->errs);
}

static inline void config_done(struct config_case *c) { rn_config_errors_free(c->errs); }

/* A text that has to be right; prints what is not. */
static inline void config_load_good(struct config_case *c, const char *text) {
  config_load(c, text);
  if (c->err != RN_OK)
    rn_config_errors_print(c->errs, stderr);
  assert_int_equal(c->err, RN_OK);
  assert_int_equal(rn_config_errors_count(c->errs), 0);
}

/* The only error about key, whose text holds part; prints the others when it is not there. */
static inline void config_expect(const struct config_case *c, enum rn_config_error_kind kind,
                                 uint32_t line, uint32_t column, const char *key,
                                 const char *part) {
  for (size_t i = 0; i < rn_config_errors_count(c->errs); i++) {
    const struct rn_config_error *e = rn_config_errors_get(c->errs, i);
    if (e->kind == kind && e->line == line && e->column == column && strcmp(e->key, key) == 0 &&
        strstr(e->text, part) != NULL)
      return;
  }
  rn_config_errors_print(c->errs, stderr);
  fail_msg("no error of kind %d at %u:%u about %s with \"%s\"", (int)kind, line, column, key, part);
}

/* Loads text, which must give exactly this one error. */
static inline void config_one_error(const char *text, enum rn_config_error_kind kind, uint32_t line,
                                    uint32_t column, const char *key, const char *part) {
  struct config_case c;
  config_load(&c, text);
  if (c.err == RN_OK)
    fail_msg("accepted: %s", text);
  config_expect(&c, kind, line, column, key, part);
  if (rn_config_errors_count(c.errs) != 1)
    rn_config_errors_print(c.errs, stderr);
  assert_int_equal(rn_config_errors_count(c.errs), 1);
  config_done(&c);
}
