/* lib/util/addr.c */
#include "util/addr.h"
#include "util/err.h"

#include <stdio.h>
#include <stdlib.h>

static uint16_t group(const uint8_t *p) { return (uint16_t)(p[0] << 8 | p[1]); }

/* ---- text ---- */

/* The longest run of at least two zero groups, the first of equals (RFC 5952 section 4.2). */
static void longest_zeros(const uint16_t g[8], int *at, int *len) {
  *at = -1;
  *len = 1;
  for (int i = 0; i < 8; i++) {
    int n = 0;
    while (i + n < 8 && g[i + n] == 0)
      n++;
    if (n > *len) {
      *at = i;
      *len = n;
    }
  }
}

static void ip6_text(const uint8_t ip[16], char out[46]) {
  uint16_t g[8];
  for (int i = 0; i < 8; i++)
    g[i] = group(ip + 2 * i);
  int zeros_at, zeros;
  longest_zeros(g, &zeros_at, &zeros);
  if (zeros_at == 0 && zeros == 5 && g[5] == 0xffff) { /* IPv4-mapped */
    sprintf(out, "::ffff:%u.%u.%u.%u", ip[12], ip[13], ip[14], ip[15]);
    return;
  }
  int n = 0;
  for (int i = 0; i < 8; i++) {
    if (i == zeros_at) {
      n += sprintf(out + n, "::");
      i += zeros - 1;
      continue;
    }
    n += sprintf(out + n, "%s%x", n > 0 && out[n - 1] != ':' ? ":" : "", g[i]);
  }
}

const char *rn_addr_text(const struct rn_addr *a, char *out) {
  char ip6[46];
  if (a->family == 6) {
    ip6_text(a->ip, ip6);
    snprintf(out, RN_ADDR_TEXT_BYTES, "[%s]:%u", ip6, a->port);
  } else if (a->family == 4) {
    snprintf(out, RN_ADDR_TEXT_BYTES, "%u.%u.%u.%u:%u", a->ip[0], a->ip[1], a->ip[2], a->ip[3],
             a->port);
  } else {
    snprintf(out, RN_ADDR_TEXT_BYTES, "none");
  }
  return out;
}

/* ---- parsing ---- */

static bool parse_number(const char **p, unsigned int max, unsigned int *out) {
  const char *s = *p;
  unsigned int v = 0;
  if (*s < '0' || *s > '9' || (*s == '0' && s[1] >= '0' && s[1] <= '9'))
    return false;
  for (; *s >= '0' && *s <= '9'; s++) {
    v = v * 10 + (unsigned int)(*s - '0');
    if (v > max)
      return false;
  }
  *p = s;
  *out = v;
  return true;
}

static bool parse_ip4(const char **p, uint8_t *ip) {
  for (int i = 0; i < 4; i++) {
    unsigned int v;
    if ((i > 0 && *(*p)++ != '.') || !parse_number(p, 255, &v))
      return false;
    ip[i] = (uint8_t)v;
  }
  return true;
}

static int hex_digit(char c) {
  if (c >= '0' && c <= '9')
    return c - '0';
  if (c >= 'a' && c <= 'f')
    return c - 'a' + 10;
  return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static bool parse_group(const char **p, uint16_t *out) {
  unsigned int v = 0;
  int n = 0;
  for (; n < 4 && hex_digit((*p)[n]) >= 0; n++)
    v = v << 4 | (unsigned int)hex_digit((*p)[n]);
  *p += n;
  *out = (uint16_t)v;
  return n > 0;
}

static bool is_dotted(const char *p) { return p[strspn(p, "0123456789")] == '.'; }

static bool parse_ip6(const char **p, uint8_t ip[16]) {
  uint16_t g[8] = { 0 };
  int n = 0, gap = -1;
  if ((*p)[0] == ':' && (*p)[1] != ':')
    return false;
  while (n < 8) {
    if ((*p)[0] == ':' && (*p)[1] == ':') {
      if (gap >= 0)
        return false;
      gap = n;
      *p += 2;
      if (hex_digit(**p) < 0)
        break;
    } else if (n > 0) {
      if (**p != ':')
        break;
      ++*p;
    }
    if (n <= 6 && is_dotted(*p)) { /* the last two groups: RFC 4291 section 2.2 */
      uint8_t ip4[4];
      if (!parse_ip4(p, ip4))
        return false;
      g[n++] = group(ip4);
      g[n++] = group(ip4 + 2);
      break;
    }
    if (!parse_group(p, &g[n]))
      return false;
    n++;
  }
  if (n < 8 && gap < 0)
    return false;
  if (gap >= 0) {
    if (n == 8)
      return false;
    for (int i = n - 1; i >= gap; i--) {
      g[8 - n + i] = g[i];
      g[i] = 0;
    }
  }
  for (int i = 0; i < 8; i++) {
    ip[2 * i] = (uint8_t)(g[i] >> 8);
    ip[2 * i + 1] = (uint8_t)g[i];
  }
  return true;
}

int rn_addr_parse(const char *text, struct rn_addr *out) {
  struct rn_addr a = { 0 };
  const char *p = text;
  bool bracket = *p == '[';
  unsigned int port = 0;
  if (bracket || text[strcspn(text, ".:")] == ':') {
    a.family = 6;
    p += bracket;
    if (!parse_ip6(&p, a.ip) || (bracket && *p++ != ']'))
      return RN_ERR_INVAL;
  } else {
    a.family = 4;
    if (!parse_ip4(&p, a.ip))
      return RN_ERR_INVAL;
  }
  if (*p == ':' && (a.family == 4 || bracket)) {
    p++;
    if (!parse_number(&p, 65535, &port))
      return RN_ERR_INVAL;
  }
  if (*p != '\0')
    return RN_ERR_INVAL;
  a.port = (uint16_t)port;
  *out = a;
  return RN_OK;
}
