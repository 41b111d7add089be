/* control/secret_file.h: the file of the node's secret. rpcnetd makes and rotates it, rpcnet-control reads it by a descriptor; format in docs/secrets.md.
 * No cryptography here: what is made of the bytes is quic/secret.h's business. */
#pragma once
#include <stddef.h>
#include <stdint.h>

#define RN_SECRETS_MAX           32u /* epochs */
#define RN_SECRET_BYTES          32u
#define RN_SECRET_FILE_BYTES_MAX 8192u

struct rn_secrets {
  uint32_t count; /* 1..RN_SECRETS_MAX, 0 before anything was read */
  struct rn_secret_epoch {
    uint32_t epoch;
    uint8_t bytes[RN_SECRET_BYTES];
  } of[RN_SECRETS_MAX]; /* epochs ascend: the last is the one in use */
};

static inline const struct rn_secret_epoch *rn_secrets_newest(const struct rn_secrets *s) {
  return &s->of[s->count - 1];
}
void rn_secrets_wipe(struct rn_secrets *s);

/* RN_OK, or RN_ERR_CONFIG with why, which never holds bytes of a secret; *out is then wiped. */
int rn_secret_file_parse(const char *text, size_t len, struct rn_secrets *out, char *why,
                         size_t why_bytes);

/* Whether the file behind fd may hold a secret: a regular file of this user's or root's that nobody else may read or write. RN_OK, or RN_ERR_CONFIG with
 * why. */
int rn_secret_file_check(int fd, char *why, size_t why_bytes);

/* Reads all of fd from where it stands. RN_OK, RN_ERR_CONFIG or RN_ERR_SYS with why. */
int rn_secret_file_read(int fd, struct rn_secrets *out, char *why, size_t why_bytes);

/* Makes the file with epoch 1 and random bytes where there is none; whoever looks sees all of it or none. RN_OK, also when there is one, which is not
 * looked at; RN_ERR_SYS with why. */
int rn_secret_file_make(const char *path, char *why, size_t why_bytes);

/* Adds the next epoch to the file, and leaves the oldest out when there are RN_SECRETS_MAX. RN_OK with *epoch; RN_ERR_CONFIG or RN_ERR_SYS with why, and
 * the file as it was. */
int rn_secret_file_rotate(const char *path, uint32_t *epoch, char *why, size_t why_bytes);
