/* control/config.c: loading a configuration from wherever it is. */
#include "control/config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "control/config_load.h"

void rn_config_defaults(struct rn_config *out) {
  memset(out, 0, sizeof(*out));
  for (size_t i = 0; i < RN_CONFIG_SECTION_COUNT; i++)
    if (!rn_config_sections[i].item)
      rn_config_section_defaults((enum rn_config_section_id)i,
                                 (uint8_t *)out + rn_config_sections[i].offset);
}

static void check_required(struct rn_config_load *l) {
  for (size_t i = 0; i < RN_CONFIG_KEY_COUNT; i++) {
    const struct rn_config_key *k = &rn_config_keys[i];
    const struct rn_config_section *s = &rn_config_sections[k->section];
    if (s->item || k->need != REQUIRED || l->given[i].seen != RN_CONFIG_ABSENT)
      continue;
    char path[96];
    snprintf(path, sizeof(path), "%s.%s", s->name, k->name);
    rn_config_report(l->errs, RN_CONFIG_MISSING, l->section_at[k->section], path,
                     "required and not given; as in %s: %s", k->name, k->text);
  }
}

static int unreadable(struct rn_config_errors *errs, int sys_err) {
  rn_config_report(errs, RN_CONFIG_UNREADABLE, (struct rn_config_place){ 0 }, "",
                   "cannot be read: %s", strerror(sys_err));
  return RN_ERR_SYS;
}

static int load(const char *text, size_t len, struct rn_config *out,
                struct rn_config_errors *errs) {
  struct rn_config_load *l = calloc(1, sizeof(*l));
  if (l == NULL)
    return unreadable(errs, ENOMEM);
  l->errs = errs;
  rn_config_defaults(&l->cfg);
  if (len > RN_CONFIG_BYTES_MAX) {
    rn_config_report(errs, RN_CONFIG_UNREADABLE, (struct rn_config_place){ 0 }, "",
                     "larger than %u bytes", RN_CONFIG_BYTES_MAX);
  } else if (rn_config_scan(l, text, len) && rn_config_read(l, text, len)) {
    check_required(l);
    rn_config_check(l);
  }
  rn_config_errors_sort(errs);
  int err = rn_config_errors_count(errs) == 0 ? RN_OK : RN_ERR_CONFIG;
  if (err == RN_OK)
    *out = l->cfg;
  free(l);
  return err;
}

int rn_config_load_text(const char *name, const char *text, size_t len, struct rn_config *out,
                        struct rn_config_errors *errs) {
  rn_config_errors_start(errs, name);
  return load(text, len, out, errs);
}

int rn_config_load_fd(int fd, const char *name, struct rn_config *out,
                      struct rn_config_errors *errs) {
  rn_config_errors_start(errs, name);
  size_t cap = RN_CONFIG_BYTES_MAX + 1, len = 0;
  char *text = malloc(cap);
  if (text == NULL)
    return unreadable(errs, ENOMEM);
  while (len < cap) {
    ssize_t n = read(fd, text + len, cap - len);
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0) {
      int sys_err = errno;
      free(text);
      return unreadable(errs, sys_err);
    }
    if (n == 0)
      break;
    len += (size_t)n;
  }
  int err = load(text, len, out, errs);
  free(text);
  return err;
}

int rn_config_load_file(const char *path, struct rn_config *out, struct rn_config_errors *errs) {
  rn_config_errors_start(errs, path);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0)
    return unreadable(errs, errno);
  int err = rn_config_load_fd(fd, path, out, errs);
  close(fd);
  return err;
}

/* ---- names for OpenSSL ---- */

/* Appends name, after a ':' where something stands already. The lists fit: they hold each name at most once. */
static void append(char *out, const char *before, const char *name) {
  size_t used = strlen(out);
  snprintf(out + used, RN_TOPO_LIST_BYTES - used, "%s%s%s", used > 0 ? ":" : "", before, name);
}

const char *rn_config_cipher_text(const struct rn_config *cfg, char *out) {
  out[0] = 0;
  for (uint32_t i = 0; i < cfg->tls.cipher_suites_count; i++) {
    const char *word = rn_config_choice_word(RN_CONFIG_SET_CIPHER, cfg->tls.cipher_suites[i]);
    append(out, "TLS_", word + strlen("TLS13_"));
  }
  return out;
}

const char *rn_config_group_text(const struct rn_config *cfg, char *out) {
  out[0] = 0;
  for (uint32_t i = 0; i < cfg->tls.groups_count; i++)
    append(out, "", rn_config_choice_word(RN_CONFIG_SET_GROUP, cfg->tls.groups[i]));
  return out;
}
