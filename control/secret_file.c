/* control/secret_file.c */
#include "control/secret_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "control/file_put.h"
#include "util/err.h"

#define HEX_BYTES (2 * RN_SECRET_BYTES)

void rn_secrets_wipe(struct rn_secrets *s) { explicit_bzero(s, sizeof(*s)); }

/* ---- text ---- */

static int digit(char c) {
  if (c >= '0' && c <= '9')
    return c - '0';
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* "17 <hex>" of n characters. NULL, or what is wrong. */
static const char *parse_line(const char *line, size_t n, struct rn_secret_epoch *out) {
  size_t i = 0;
  uint64_t number = 0;
  while (i < n && line[i] >= '0' && line[i] <= '9' && number <= UINT32_MAX)
    number = number * 10 + (uint64_t)(line[i++] - '0');
  if (i == 0 || number > UINT32_MAX || i == n || line[i] != ' ')
    return "begins with no epoch's number (0 to 4294967295) and a space";
  i++;
  if (n - i != HEX_BYTES)
    return "does not end with 64 hexadecimal digits";
  for (size_t b = 0; b < RN_SECRET_BYTES; b++) {
    int high = digit(line[i + 2 * b]), low = digit(line[i + 2 * b + 1]);
    if (high < 0 || low < 0)
      return "does not end with 64 hexadecimal digits (0-9, a-f)";
    out->bytes[b] = (uint8_t)(high << 4 | low);
  }
  out->epoch = (uint32_t)number;
  return NULL;
}

static const char *add(struct rn_secrets *s, const char *line, size_t n) {
  struct rn_secret_epoch e;
  if (s->count == RN_SECRETS_MAX)
    return "is one epoch more than 32";
  const char *wrong = parse_line(line, n, &e);
  if (wrong == NULL && s->count > 0 && rn_secrets_newest(s)->epoch >= e.epoch)
    wrong = "has a number that is not above that of the epoch before";
  if (wrong == NULL)
    s->of[s->count++] = e;
  explicit_bzero(&e, sizeof(e));
  return wrong;
}

int rn_secret_file_parse(const char *text, size_t len, struct rn_secrets *out, char *why,
                         size_t why_bytes) {
  unsigned int number = 1;
  const char *wrong = NULL, *end = text + len;
  memset(out, 0, sizeof(*out));
  for (const char *line = text; line < end && wrong == NULL; number++) {
    const char *stop = memchr(line, '\n', (size_t)(end - line));
    size_t n = (size_t)((stop != NULL ? stop : end) - line);
    if (n > 0 && line[0] != '#')
      wrong = add(out, line, n);
    if (wrong != NULL)
      snprintf(why, why_bytes, "line %u %s", number, wrong);
    line += n + 1;
  }
  if (wrong == NULL && out->count == 0) {
    wrong = "";
    snprintf(why, why_bytes, "there is no epoch in it");
  }
  if (wrong == NULL)
    return RN_OK;
  rn_secrets_wipe(out);
  return RN_ERR_CONFIG;
}

static size_t format(const struct rn_secrets *s, char *out, size_t cap) {
  static const char hex[] = "0123456789abcdef";
  size_t n = (size_t)snprintf(
      out, cap,
      "# Secret of rpcnet nodes: whoever has it can read and forge their connection IDs, tokens "
      "and tickets.\n"
      "# One epoch a line; the last is in use. rpcnetctl secrets rotate adds the next.\n");
  for (uint32_t i = 0; i < s->count; i++) {
    n += (size_t)snprintf(out + n, cap - n, "%" PRIu32 " ", s->of[i].epoch);
    for (size_t b = 0; b < RN_SECRET_BYTES; b++) {
      out[n++] = hex[s->of[i].bytes[b] >> 4];
      out[n++] = hex[s->of[i].bytes[b] & 15];
    }
    out[n++] = '\n';
  }
  return n;
}

/* ---- files ---- */

int rn_secret_file_check(int fd, char *why, size_t why_bytes) {
  struct stat st;
  if (fstat(fd, &st) != 0)
    snprintf(why, why_bytes, "%s", strerror(errno));
  else if (!S_ISREG(st.st_mode))
    snprintf(why, why_bytes, "is no regular file");
  else if (st.st_uid != geteuid() && st.st_uid != 0)
    snprintf(why, why_bytes, "belongs to user %u, neither to the one that runs rpcnetd nor to root",
             st.st_uid);
  else if ((st.st_mode & 077) != 0)
    snprintf(why, why_bytes, "has mode %04o: others than its owner may use it; 0600 is right",
             st.st_mode & 07777);
  else
    return RN_OK;
  return RN_ERR_CONFIG;
}

int rn_secret_file_read(int fd, struct rn_secrets *out, char *why, size_t why_bytes) {
  char text[RN_SECRET_FILE_BYTES_MAX + 1];
  size_t len = 0;
  ssize_t n = 1;
  while (len < sizeof(text) && n != 0) {
    n = read(fd, text + len, sizeof(text) - len);
    if (n < 0 && errno != EINTR) {
      snprintf(why, why_bytes, "%s", strerror(errno));
      explicit_bzero(text, sizeof(text));
      return RN_ERR_SYS;
    }
    len += n > 0 ? (size_t)n : 0;
  }
  int err = RN_ERR_CONFIG;
  if (len > RN_SECRET_FILE_BYTES_MAX)
    snprintf(why, why_bytes, "is larger than %u bytes", RN_SECRET_FILE_BYTES_MAX);
  else
    err = rn_secret_file_parse(text, len, out, why, why_bytes);
  explicit_bzero(text, sizeof(text));
  return err;
}

static int fail(const char *what, char *why, size_t why_bytes) {
  snprintf(why, why_bytes, "%s: %s", what, strerror(errno));
  return RN_ERR_SYS;
}

/* Of the owner of the file that is there (like), or, with like NULL, only where there is none. */
static int put(const char *path, const struct rn_secrets *s, const struct stat *like, char *why,
               size_t why_bytes) {
  char text[RN_SECRET_FILE_BYTES_MAX];
  int err =
      rn_file_put(path, text, format(s, text, sizeof(text)), like == NULL, like, why, why_bytes);
  explicit_bzero(text, sizeof(text));
  return err;
}

static int new_epoch(struct rn_secrets *s, uint32_t epoch, char *why, size_t why_bytes) {
  if (s->count == RN_SECRETS_MAX) {
    memmove(s->of, s->of + 1, (RN_SECRETS_MAX - 1) * sizeof(s->of[0]));
    s->count--;
  }
  struct rn_secret_epoch *e = &s->of[s->count];
  e->epoch = epoch;
  if (getrandom(e->bytes, sizeof(e->bytes), 0) != (ssize_t)sizeof(e->bytes))
    return fail("random bytes", why, why_bytes);
  s->count++;
  return RN_OK;
}

int rn_secret_file_make(const char *path, char *why, size_t why_bytes) {
  struct rn_secrets s = { 0 };
  struct stat st;
  if (lstat(path, &st) == 0)
    return RN_OK;
  if (errno != ENOENT)
    return fail(path, why, why_bytes);
  int err = new_epoch(&s, 1, why, why_bytes);
  if (err == RN_OK)
    err = put(path, &s, NULL, why, why_bytes);
  rn_secrets_wipe(&s);
  return err;
}

int rn_secret_file_rotate(const char *path, uint32_t *epoch, char *why, size_t why_bytes) {
  struct rn_secrets s;
  struct stat st;
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
  if (fd < 0)
    return fail(path, why, why_bytes);
  int err = rn_secret_file_check(fd, why, why_bytes);
  if (err == RN_OK)
    err = rn_secret_file_read(fd, &s, why, why_bytes);
  if (err == RN_OK && fstat(fd, &st) != 0)
    err = fail(path, why, why_bytes);
  close(fd);
  if (err != RN_OK)
    return err;
  if (rn_secrets_newest(&s)->epoch == UINT32_MAX) {
    snprintf(why, why_bytes, "there is no number after its newest epoch's");
    err = RN_ERR_CONFIG;
  }
  if (err == RN_OK)
    err = new_epoch(&s, rn_secrets_newest(&s)->epoch + 1, why, why_bytes);
  if (err == RN_OK)
    err = put(path, &s, &st, why, why_bytes);
  if (err == RN_OK)
    *epoch = rn_secrets_newest(&s)->epoch;
  rn_secrets_wipe(&s);
  return err;
}
