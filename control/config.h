/* control/config.h: a node's configuration, from YAML to struct rn_config.
 *
 * The keys, their types, ranges and defaults are declared once, in lib/schema/config.def. A file is read to its end whatever is wrong with
 * it: every mistake is reported, with its place, what was found and what is allowed, and none of it takes effect.
 *
 *   struct rn_config cfg;
 *   struct rn_config_errors *errs = rn_config_errors_new();
 *   if (rn_config_load_file("node.yaml", &cfg, errs) != RN_OK)
 *     rn_config_errors_print(errs, stderr);
 *
 * Any thread may call these; nothing here keeps state. Any bytes are safe as input. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "cluster/tags.h"
#include "quic/quic.h"
#include "sys/log.h"
#include "topo/topo.h"
#include "util/addr.h"

#define RN_CONFIG_BYTES_MAX 262144u /* of a file */

enum rn_config_bpf { RN_CONFIG_BPF_AUTO, RN_CONFIG_BPF_OFF, RN_CONFIG_BPF_REQUIRED };
enum rn_config_cipher {
  RN_CONFIG_CIPHER_AES_128_GCM,
  RN_CONFIG_CIPHER_AES_256_GCM,
  RN_CONFIG_CIPHER_CHACHA20_POLY1305,
};
enum rn_config_group {
  RN_CONFIG_GROUP_P256,
  RN_CONFIG_GROUP_X25519,
  RN_CONFIG_GROUP_P384,
  RN_CONFIG_GROUP_P521,
  RN_CONFIG_GROUP_X25519MLKEM768,
};

enum rn_config_strategy {
  RN_CONFIG_STRATEGY_ROUND_ROBIN,
  RN_CONFIG_STRATEGY_RANDOM,
  RN_CONFIG_STRATEGY_LEAST_CONNECTIONS,
  RN_CONFIG_STRATEGY_P2C_EWMA,
  RN_CONFIG_STRATEGY_WEIGHTED,
  RN_CONFIG_STRATEGY_CONSISTENT_HASH,
};

/* Of a certificate's DER form. */
struct rn_config_fingerprint {
  uint8_t sha256[32];
};

/* An address and the prefix of its link, as in 192.0.2.7/24. */
struct rn_config_prefix {
  struct rn_addr addr;  /* port 0 */
  uint32_t prefix_bits; /* 0..32 or 0..128 */
};

/* struct rn_config_<section>: durations end in _ns; sizes are bytes, rates bytes per second; 0 where the word of a key was given
 * ("none", "auto", "keep", "unlimited"); auto in lcores and limits has become a number. Texts are NUL-terminated, empty when not set. Lists have a <key>_count. */
#include "control/config_struct.h"

/* What a file without any key would give, except that required keys are empty texts. */
void rn_config_defaults(struct rn_config *out);

struct rn_config_errors;

/* RN_OK and *out written; RN_ERR_CONFIG with at least one error in errs, or RN_ERR_SYS (the file could not be read: errs says why), and
 * *out unchanged. errs is emptied first. */
int rn_config_load_file(const char *path, struct rn_config *out, struct rn_config_errors *errs);
/* The same from an open file, pipe or memfd, read from its current position to its end; name stands for it in errors. */
int rn_config_load_fd(int fd, const char *name, struct rn_config *out,
                      struct rn_config_errors *errs);
/* The same from text[0..len), which need not end in NUL. */
int rn_config_load_text(const char *name, const char *text, size_t len, struct rn_config *out,
                        struct rn_config_errors *errs);

/* OpenSSL's names of the configured suites and groups, ':' between, into out; empty where the list is. Returns out, which holds
 * RN_TOPO_LIST_BYTES. */
const char *rn_config_cipher_text(const struct rn_config *cfg, char *out);
const char *rn_config_group_text(const struct rn_config *cfg, char *out);

/* ---- errors ---- */

enum rn_config_error_kind {
  RN_CONFIG_SYNTAX,        /* not YAML, or a kind of YAML that has no place here */
  RN_CONFIG_UNKNOWN,       /* no such key */
  RN_CONFIG_TYPE,          /* a mapping, list, text or number where another one belongs */
  RN_CONFIG_VALUE,         /* right type, but malformed, of another unit, or out of range */
  RN_CONFIG_DUPLICATE,     /* given twice */
  RN_CONFIG_MISSING,       /* required and not given */
  RN_CONFIG_CONTRADICTION, /* each value is fine, together they are not */
  RN_CONFIG_UNREADABLE,    /* the file cannot be read */
};

struct rn_config_error {
  enum rn_config_error_kind kind;
  uint32_t line;   /* from 1; 0: about the file as a whole */
  uint32_t column; /* from 1, in characters */
  char key[96];    /* "quic.max_idle_timeout", "port.addresses[2]"; empty: none */
  char text[416];  /* what is wrong, what was found, what is allowed; one line of printable text */
};

/* NULL when memory is out. Free takes NULL. */
struct rn_config_errors *rn_config_errors_new(void);
void rn_config_errors_free(struct rn_config_errors *errs);

/* Those kept, in the order of the file; valid until errs is used for another load. More than RN_CONFIG_ERRORS_MAX are counted only. */
size_t rn_config_errors_count(const struct rn_config_errors *errs);
const struct rn_config_error *rn_config_errors_get(const struct rn_config_errors *errs,
                                                   size_t i); /* i < count */
size_t rn_config_errors_dropped(const struct rn_config_errors *errs);
#define RN_CONFIG_ERRORS_MAX 100u

/* One line each, "node.yaml:12:3: quic.max_idle_timeout: ...", and how many there were. */
void rn_config_errors_print(const struct rn_config_errors *errs, FILE *out);
