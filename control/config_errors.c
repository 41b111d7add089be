/* control/config_errors.c: the list of what is wrong with a file. */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "control/config_load.h"

struct rn_config_errors {
  char name[256];
  size_t count;
  size_t dropped;
  struct rn_config_error list[RN_CONFIG_ERRORS_MAX];
};

struct rn_config_errors *rn_config_errors_new(void) {
  return calloc(1, sizeof(struct rn_config_errors));
}

void rn_config_errors_free(struct rn_config_errors *errs) { free(errs); }

size_t rn_config_errors_count(const struct rn_config_errors *errs) { return errs->count; }

size_t rn_config_errors_dropped(const struct rn_config_errors *errs) { return errs->dropped; }

const struct rn_config_error *rn_config_errors_get(const struct rn_config_errors *errs, size_t i) {
  return &errs->list[i];
}

/* Errors quote the file, and are shown on a terminal. */
static void make_printable(char *s) {
  for (; *s != 0; s++)
    if (*s < ' ' || *s > '~')
      *s = '?';
}

void rn_config_errors_start(struct rn_config_errors *errs, const char *name) {
  errs->count = errs->dropped = 0;
  snprintf(errs->name, sizeof(errs->name), "%s", name);
  make_printable(errs->name);
}

void rn_config_report(struct rn_config_errors *errs, enum rn_config_error_kind kind,
                      struct rn_config_place at, const char *key, const char *fmt, ...) {
  if (errs->count == RN_CONFIG_ERRORS_MAX) {
    errs->dropped++;
    return;
  }
  struct rn_config_error *e = &errs->list[errs->count++];
  *e = (struct rn_config_error){ .kind = kind, .line = at.line, .column = at.column };
  snprintf(e->key, sizeof(e->key), "%s", key);
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(e->text, sizeof(e->text), fmt, ap);
  va_end(ap);
  make_printable(e->key);
  make_printable(e->text);
}

/* Insertion sort: stable, and the list is short and nearly sorted. */
void rn_config_errors_sort(struct rn_config_errors *errs) {
  for (size_t i = 1; i < errs->count; i++) {
    struct rn_config_error e = errs->list[i];
    size_t at = i;
    for (; at > 0; at--) {
      const struct rn_config_error *before = &errs->list[at - 1];
      if (before->line < e.line || (before->line == e.line && before->column <= e.column))
        break;
      errs->list[at] = *before;
    }
    errs->list[at] = e;
  }
}

void rn_config_errors_print(const struct rn_config_errors *errs, FILE *out) {
  for (size_t i = 0; i < errs->count; i++) {
    const struct rn_config_error *e = &errs->list[i];
    fprintf(out, "%s:", errs->name);
    if (e->line > 0)
      fprintf(out, "%u:%u:", e->line, e->column);
    fprintf(out, " %s%s%s\n", e->key, e->key[0] != 0 ? ": " : "", e->text);
  }
  size_t total = errs->count + errs->dropped;
  if (errs->dropped > 0)
    fprintf(out, "%s: %zu more errors are not shown\n", errs->name, errs->dropped);
  if (total > 0)
    fprintf(out, "%s: %zu error%s, nothing was started\n", errs->name, total,
            total == 1 ? "" : "s");
}
