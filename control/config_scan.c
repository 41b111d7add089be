/* control/config_scan.c: bytes that no configuration has, refused before libfyaml sees them: some of them make its version 0.8
 * loop for ever. */
#include "control/config_load.h"

/* Bytes of the UTF-8 sequence (RFC 3629) at p[0..left), 0 if it is none, and its character. */
static size_t decode(const uint8_t *p, size_t left, uint32_t *out) {
  static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
  size_t n = p[0] < 0x80             ? 1
             : (p[0] & 0xe0) == 0xc0 ? 2
             : (p[0] & 0xf0) == 0xe0 ? 3
             : (p[0] & 0xf8) == 0xf0 ? 4
                                     : 0;
  if (n == 0 || n > left)
    return 0;
  uint32_t c = n == 1 ? p[0] : p[0] & (0x7fu >> n);
  for (size_t i = 1; i < n; i++) {
    if ((p[i] & 0xc0) != 0x80)
      return 0;
    c = c << 6 | (p[i] & 0x3f);
  }
  if (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
    return 0;
  *out = c;
  return n;
}

/* YAML 1.2, 5.1: c-printable, without the separators of other standards and the byte order mark. */
static bool printable(uint32_t c) {
  if (c < 0x20)
    return c == '\t' || c == '\n' || c == '\r';
  return c != 0x7f && (c < 0x80 || c > 0x9f) && c != 0x2028 && c != 0x2029 && c != 0xfeff &&
         (c < 0xfff0 || c > 0xffff);
}

bool rn_config_scan(struct rn_config_load *l, const char *text, size_t len) {
  struct rn_config_place at = { 1, 1 };
  for (size_t i = 0; i < len;) {
    uint32_t c = 0;
    size_t n = decode((const uint8_t *)text + i, len - i, &c);
    const char *wrong = n == 0                       ? "not UTF-8"
                        : !printable(c)              ? "a control character"
                        : c == '%' && at.column == 1 ? "directives have no place in a configuration"
                                                     : NULL;
    if (wrong != NULL) {
      rn_config_report(l->errs, RN_CONFIG_SYNTAX, at, "", "%s; found byte 0x%02x", wrong,
                       (uint8_t)text[i]);
      return false;
    }
    at.column++;
    if (c == '\n')
      at = (struct rn_config_place){ at.line + 1, 1 };
    i += n;
  }
  return true;
}
