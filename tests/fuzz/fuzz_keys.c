/* tests/fuzz/fuzz_keys.c: files that should be a certificate, a private key and a secret. Both PEM files are made when the program starts; the
 * input says what becomes of them.
 *
 *   1 octet     bit 0: which of the two changes; bit 1: the input's octets take its place, else changes; bit 2: the other one is empty
 *   changes     2 octets where, 1 octet: 0 the file ends there, 1 the certificate is put in there, else that octet stands there
 *
 * Checked: what is taken is a key of an allowed kind that belongs to the certificate, and its certificate is the file's text; what is not
 * taken says why; nothing is left over; what a secret file is taken for has ascending epochs. */
#include "fuzz.h"

#include <unistd.h>

#include "control/keys.h"
#include "control/secret_file.h"
#include "unit/control/pem_files.h"
#include "util/err.h"

#define FILE_MAX 8192u

struct file {
  uint8_t bytes[FILE_MAX];
  size_t len;
};

static struct file sound[2]; /* certificate, key */

static void make_sound(void) {
  struct pem_pair p;
  pem_pair_make(&p, "EC", 0, "P-256");
  const int fds[] = { p.cert_fd, p.key_fd };
  for (unsigned int i = 0; i < 2; i++) {
    ssize_t n = read(fds[i], sound[i].bytes, FILE_MAX / 2);
    CHECK(n > 0 && n < (ssize_t)FILE_MAX / 2);
    sound[i].len = (size_t)n;
  }
  pem_pair_close(&p);
}

static void change(struct file *f, struct fuzz_in *in) {
  while (fuzz_more(in) && f->len > 0) {
    size_t at = fuzz_le(in, 2) % f->len;
    uint8_t how = fuzz_u8(in);
    if (how == 0) {
      f->len = at;
    } else if (how == 1 && f->len + sound[0].len <= FILE_MAX) {
      memmove(f->bytes + at + sound[0].len, f->bytes + at, f->len - at);
      memcpy(f->bytes + at, sound[0].bytes, sound[0].len);
      f->len += sound[0].len;
    } else {
      f->bytes[at] = how;
    }
  }
}

/* Of what is taken, epochs ascend, and it is text of lines that are an epoch, a comment, or empty. */
static void secret(const struct file *f) {
  static struct rn_secrets out;
  char why[256] = "";
  int err = rn_secret_file_parse((const char *)f->bytes, f->len, &out, why, sizeof(why));
  CHECK(err == RN_OK || (err == RN_ERR_CONFIG && why[0] != 0));
  if (err != RN_OK) {
    static const struct rn_secrets none;
    CHECK(memcmp(&out, &none, sizeof(out)) == 0);
    return;
  }
  CHECK(out.count >= 1 && out.count <= RN_SECRETS_MAX &&
        f->len > (size_t)out.count * 2 * RN_SECRET_BYTES);
  for (uint32_t i = 1; i < out.count; i++)
    CHECK(out.of[i - 1].epoch < out.of[i].epoch);
}

static void anchors(const struct file *f) {
  char why[256] = "", *text = NULL;
  size_t bytes = 0;
  int fd = pem_file(f->bytes, f->len);
  int err = rn_keys_read_ca(fd, "ca", &text, &bytes, why, sizeof(why));
  close(fd);
  CHECK(err == RN_OK ? bytes == f->len && memcmp(text, f->bytes, bytes) == 0 : why[0] != 0);
  if (err == RN_OK)
    free(text);
}

static void load(const struct file files[2]) {
  char why[256] = "";
  struct rn_keys *k = NULL;
  int cert_fd = pem_file(files[0].bytes, files[0].len);
  int key_fd = pem_file(files[1].bytes, files[1].len);
  int err = rn_keys_load(cert_fd, "certificate", key_fd, "key", &k, why, sizeof(why));
  close(cert_fd);
  close(key_fd);
  CHECK(err == RN_OK || err == RN_ERR_CONFIG);
  if (err != RN_OK) {
    CHECK(k == NULL && why[0] != 0 && memchr(why, 0, sizeof(why)) != NULL);
    return;
  }
  size_t n;
  const char *pem = rn_keys_cert_pem(k, &n);
  CHECK(n == files[0].len && memcmp(pem, files[0].bytes, n) == 0);
  CHECK(strcmp(rn_keys_type(k), "P-256") == 0 && rn_keys_can(k, 0x0403) && !rn_keys_can(k, 0x0804));
  CHECK(strlen(rn_keys_subject(k)) < 512);
  (void)(rn_keys_not_after(k) - rn_keys_not_before(k));
  rn_keys_free(k);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
  static struct file files[2];
  struct fuzz_in in = { data, data + len };
  uint8_t flags = fuzz_u8(&in);
  struct file *f = &files[flags & 1];
  if (sound[0].len == 0)
    make_sound();
  memcpy(files, sound, sizeof(files));
  if (flags & 4)
    files[!(flags & 1)].len = 0;
  if (flags & 2) {
    const uint8_t *p = fuzz_bytes(&in, FILE_MAX, &f->len);
    memcpy(f->bytes, p, f->len);
  } else {
    change(f, &in);
  }
  load(files);
  anchors(f);
  secret(f);
  return 0;
}
