/* control/config_value.c */
#include "control/config_value.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "control/config.h"
#include "util/addr.h"
#include "util/err.h"

/* ---- units ---- */

struct unit {
  const char *name;
  uint64_t factor;
};

/* The first that divides a value is the one it is shown in. */
static const struct unit duration_units[] = {
  { "h", UINT64_C(3600000000000) },
  { "m", UINT64_C(60000000000) },
  { "s", 1000000000 },
  { "ms", 1000000 },
  { "us", 1000 },
  { "ns", 1 },
  { NULL, 0 },
};
static const struct unit size_units[] = {
  { "GiB", 1u << 30 }, { "MiB", 1u << 20 },  { "KiB", 1u << 10 }, { "", 1 },         { "B", 1 },
  { "k", 1u << 10 },   { "K", 1u << 10 },    { "M", 1u << 20 },   { "G", 1u << 30 }, { "kB", 1000 },
  { "MB", 1000000 },   { "GB", 1000000000 }, { NULL, 0 },
};
static const struct unit rate_units[] = {
  { "GiB/s", 1u << 30 },
  { "MiB/s", 1u << 20 },
  { "KiB/s", 1u << 10 },
  { "B/s", 1 },
  { "kB/s", 1000 },
  { "MB/s", 1000000 },
  { "GB/s", 1000000000 },
  { "kbit/s", 125 },
  { "Mbit/s", 125000 },
  { "Gbit/s", 125000000 },
  { NULL, 0 },
};

static const struct unit *units_of(enum rn_config_type type) {
  static const struct unit none[] = { { "", 1 }, { NULL, 0 } };
  switch (type) {
  case RN_CONFIG_DURATION:
    return duration_units;
  case RN_CONFIG_SIZE:
    return size_units;
  case RN_CONFIG_RATE:
    return rate_units;
  default:
    return none;
  }
}

static const char *unit_fault(enum rn_config_type type, bool missing) {
  switch (type) {
  case RN_CONFIG_DURATION:
    return missing ? "a unit is missing (ns, us, ms, s, m, h)"
                   : "unknown unit (known: ns, us, ms, s, m, h)";
  case RN_CONFIG_SIZE:
    return "unknown unit (known: B, k, M, G, KiB, MiB, GiB, kB, MB, GB)";
  case RN_CONFIG_RATE:
    return missing ? "a unit is missing (B/s, KiB/s, MiB/s, GiB/s, kB/s, MB/s, GB/s, kbit/s, "
                     "Mbit/s, Gbit/s)"
                   : "unknown unit (known: B/s, KiB/s, MiB/s, GiB/s, kB/s, MB/s, GB/s, kbit/s, "
                     "Mbit/s, Gbit/s)";
  default:
    return "not a whole number";
  }
}

static bool is(const char *text, size_t len, const char *word) {
  return strlen(word) == len && memcmp(text, word, len) == 0;
}

/* ---- from text ---- */

/* Digits, at most one blank, a unit. */
static const char *parse_number(const struct rn_config_key *k, const char *text, size_t len,
                                uint64_t *out) {
  size_t i = 0;
  uint64_t n = 0;
  bool huge = false;
  for (; i < len && text[i] >= '0' && text[i] <= '9'; i++) {
    huge |= __builtin_mul_overflow(n, 10u, &n);
    huge |= __builtin_add_overflow(n, (uint64_t)(text[i] - '0'), &n);
  }
  if (i == 0 && len > 0 && text[0] == '-')
    return "negative";
  if (i == 0)
    return "not a number";
  if (i + 1 < len && text[i] == ' ')
    i++;
  const struct unit *u = units_of(k->type);
  while (u->name != NULL && !is(text + i, len - i, u->name))
    u++;
  if (u->name == NULL)
    return i < len && text[i] == '.' ? "not a whole number" : unit_fault(k->type, i == len);
  huge |= __builtin_mul_overflow(n, u->factor, &n);
  if (huge || n > k->max)
    return "too large";
  if (n < k->min)
    return "too small";
  *out = n;
  return NULL;
}

static const char *parse_text(const struct rn_config_key *k, const char *text, size_t len,
                              char *out) {
  if (len >= k->bytes)
    return "too long";
  if (len == 0 && k->need == REQUIRED)
    return "empty";
  for (size_t i = 0; i < len; i++)
    if ((unsigned char)text[i] < ' ' || text[i] == 0x7f)
      return "control characters in it";
  memset(out, 0, k->bytes);
  memcpy(out, text, len);
  return NULL;
}

static const char *parse_name(const struct rn_config_key *k, const char *text, size_t len,
                              char *out) {
  for (size_t i = 0; i < len; i++) {
    char lower = (char)(text[i] | 0x20);
    bool letter = lower >= 'a' && lower <= 'z', digit = text[i] >= '0' && text[i] <= '9';
    if (!letter && !digit && (text[i] == 0 || strchr("._:-", text[i]) == NULL))
      return "a character that a name cannot have";
  }
  return len == 0 ? "empty" : parse_text(k, text, len, out);
}

static const char *parse_choice(const struct rn_config_key *k, const char *text, size_t len,
                                void *out) {
  for (size_t i = 0; i < rn_config_choice_count; i++) {
    const struct rn_config_choice *c = &rn_config_choices[i];
    if (c->set == k->of && is(text, len, c->word)) {
      memcpy(out, &c->value, sizeof(c->value));
      return NULL;
    }
  }
  return "not one of the words";
}

/* With or without a port; one that a node can have. */
static const char *parse_unicast(const char *text, size_t len, bool *bracket, struct rn_addr *out) {
  char copy[RN_ADDR_TEXT_BYTES];
  struct rn_addr a;
  if (len >= sizeof(copy) || memchr(text, 0, len) != NULL)
    return "not an IP address";
  memcpy(copy, text, len);
  copy[len] = 0;
  if (rn_addr_parse(copy, &a) != RN_OK)
    return "not an IP address";
  static const uint8_t zero[16];
  bool v4 = a.family == 4;
  if (memcmp(a.ip, zero, sizeof(zero)) == 0 || (v4 && a.ip[0] == 0))
    return "the unspecified address";
  if (v4 ? a.ip[0] >= 224 : a.ip[0] == 0xff)
    return "a multicast, broadcast or reserved address";
  *bracket = copy[0] == '[';
  *out = a;
  return NULL;
}

static const char *parse_addr(const char *text, size_t len, struct rn_addr *out) {
  static const uint8_t loopback6[16] = { [15] = 1 };
  struct rn_addr a;
  bool bracket;
  const char *wrong = parse_unicast(text, len, &bracket, &a);
  if (wrong != NULL)
    return wrong;
  if (a.port != 0 || bracket)
    return "an address without a port is wanted";
  if (a.family == 4 ? a.ip[0] == 127 : memcmp(a.ip, loopback6, sizeof(loopback6)) == 0)
    return "a loopback address";
  *out = a;
  return NULL;
}

/* Loopback addresses too: nodes of one machine. */
static const char *parse_endpoint(const struct rn_config_key *k, const char *text, size_t len,
                                  struct rn_addr *out) {
  struct rn_addr a = { 0 };
  bool bracket, unset = len == 0 && k->count_max == 0;
  const char *wrong = unset ? NULL : parse_unicast(text, len, &bracket, &a);
  if (wrong == NULL && a.port == 0 && !unset)
    wrong = "the port is missing";
  if (wrong == NULL)
    *out = a;
  return wrong;
}

static int hex_digit(char c) {
  if (c >= '0' && c <= '9')
    return c - '0';
  char lower = (char)(c | 0x20);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/* As "openssl x509 -fingerprint -sha256" writes it, or without the colons. */
static const char *parse_fingerprint(const char *text, size_t len,
                                     struct rn_config_fingerprint *out) {
  struct rn_config_fingerprint f;
  size_t step = len == 95 ? 3 : 2;
  if (len != 95 && len != 64)
    return "not 64 hexadecimal digits";
  for (size_t i = 0; i < sizeof(f.sha256); i++) {
    const char *p = text + i * step;
    int high = hex_digit(p[0]), low = hex_digit(p[1]);
    if (high < 0 || low < 0 || (step == 3 && i + 1 < sizeof(f.sha256) && p[2] != ':'))
      return "not 64 hexadecimal digits";
    f.sha256[i] = (uint8_t)(high << 4 | low);
  }
  *out = f;
  return NULL;
}

static const char *parse_prefix(const char *text, size_t len, struct rn_config_prefix *out) {
  const char *slash = memchr(text, '/', len);
  if (slash == NULL)
    return "the prefix of the link is missing, as in /24";
  struct rn_config_prefix p = { 0 };
  const char *wrong = parse_addr(text, (size_t)(slash - text), &p.addr);
  if (wrong != NULL)
    return wrong;
  const struct rn_config_key bits = { .type = RN_CONFIG_UINT,
                                      .min = 1,
                                      .max = p.addr.family == 4 ? 32 : 128 };
  uint64_t n;
  if (parse_number(&bits, slash + 1, (size_t)(text + len - slash - 1), &n) != NULL)
    return p.addr.family == 4 ? "the prefix is not 1 to 32" : "the prefix is not 1 to 128";
  p.prefix_bits = (uint32_t)n;
  *out = p;
  return NULL;
}

static const char *parse_bool(const char *text, size_t len, bool *out) {
  if (!is(text, len, "true") && !is(text, len, "false"))
    return "not true or false";
  *out = text[0] == 't';
  return NULL;
}

/* An address of the family that k asks for, or its word. */
static const char *parse_addr_key(const struct rn_config_key *k, const char *text, size_t len,
                                  void *out) {
  struct rn_addr a = { 0 };
  const char *wrong = is(text, len, k->word) ? NULL : parse_addr(text, len, &a);
  if (wrong == NULL && a.family != 0 && a.family != k->of)
    wrong = k->of == 4 ? "not an IPv4 address" : "not an IPv6 address";
  if (wrong == NULL)
    memcpy(out, &a, sizeof(a));
  return wrong;
}

static const char *parse_number_key(const struct rn_config_key *k, const char *text, size_t len,
                                    void *out) {
  uint64_t n = 0;
  const char *wrong =
      k->word[0] != 0 && is(text, len, k->word) ? NULL : parse_number(k, text, len, &n);
  if (wrong != NULL)
    return wrong;
  uint32_t small = (uint32_t)n;
  if (k->bytes == sizeof(small))
    memcpy(out, &small, sizeof(small));
  else
    memcpy(out, &n, sizeof(n));
  return NULL;
}

const char *rn_config_value_parse(const struct rn_config_key *k, const char *text, size_t len,
                                  bool quoted, void *out) {
  if (quoted && (k->type == RN_CONFIG_BOOL || k->type == RN_CONFIG_UINT))
    return "a text: take the quotes away";
  switch (k->type) {
  case RN_CONFIG_TEXT:
    return parse_text(k, text, len, out);
  case RN_CONFIG_NAME:
    return parse_name(k, text, len, out);
  case RN_CONFIG_BOOL:
    return parse_bool(text, len, out);
  case RN_CONFIG_ENUM:
    return parse_choice(k, text, len, out);
  case RN_CONFIG_ADDR:
    return parse_addr_key(k, text, len, out);
  case RN_CONFIG_PREFIX:
    return parse_prefix(text, len, out);
  case RN_CONFIG_ENDPOINT:
    return parse_endpoint(k, text, len, out);
  case RN_CONFIG_FINGERPRINT:
    return parse_fingerprint(text, len, out);
  case RN_CONFIG_UINT:
  case RN_CONFIG_SIZE:
  case RN_CONFIG_RATE:
  case RN_CONFIG_DURATION:
    return parse_number_key(k, text, len, out);
  case RN_CONFIG_TAGS:
  case RN_CONFIG_ITEM:
    break;
  }
  RN_ASSERT(false); /* mappings have no text */
  return NULL;
}

/* ---- to text ---- */

/* Text that grows in a fixed buffer; what does not fit is cut. */
struct writer {
  char *at;
  size_t left;
};

__attribute__((format(printf, 2, 3))) static void put(struct writer *w, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  int n = vsnprintf(w->at, w->left, fmt, ap);
  va_end(ap);
  size_t used = n < 0 ? 0 : (size_t)n < w->left ? (size_t)n : w->left - 1;
  w->at += used;
  w->left -= used;
}

static void number_text(enum rn_config_type type, uint64_t n, char *out, size_t cap) {
  const struct unit *u = units_of(type);
  while (n % u->factor != 0)
    u++;
  snprintf(out, cap, "%" PRIu64 "%s", n / u->factor, n == 0 ? "" : u->name);
}

static const char *number_or_word(const struct rn_config_key *k, const void *in, char *out) {
  uint64_t n = 0;
  memcpy(&n, in, k->bytes); /* 4 or 8, little endian */
  if (n == 0 && k->word[0] != 0)
    snprintf(out, RN_CONFIG_VALUE_BYTES, "%s", k->word);
  else
    number_text(k->type, n, out, RN_CONFIG_VALUE_BYTES);
  return out;
}

/* In one line, without quotes: for names and values that need none. */
static const char *tags_text(const struct rn_tags *t, char *out) {
  struct writer w = { out, RN_CONFIG_VALUE_BYTES };
  struct rn_bin_str key, value;
  const char *before = "{";
  for (uint16_t pos = 0; rn_tags_next(t, &pos, &key, &value); before = ", ")
    put(&w, "%s%.*s: %.*s", before, (int)key.len, key.p, (int)value.len, value.p);
  put(&w, "%s", t->count == 0 ? "{}" : "}");
  return out;
}

const char *rn_config_value_text(const struct rn_config_key *k, const void *in, char *out) {
  const char *text = NULL;
  uint32_t choice;
  switch (k->type) {
  case RN_CONFIG_TEXT:
  case RN_CONFIG_NAME:
    text = ((const char *)in)[0] != 0 ? in : "\"\"";
    break;
  case RN_CONFIG_BOOL:
    text = *(const bool *)in ? "true" : "false";
    break;
  case RN_CONFIG_ENUM:
    memcpy(&choice, in, sizeof(choice));
    text = rn_config_choice_word(k->of, choice);
    break;
  case RN_CONFIG_UINT:
  case RN_CONFIG_SIZE:
  case RN_CONFIG_RATE:
  case RN_CONFIG_DURATION:
    return number_or_word(k, in, out);
  case RN_CONFIG_TAGS:
    return tags_text(in, out);
  case RN_CONFIG_ADDR:
  case RN_CONFIG_PREFIX:
  case RN_CONFIG_ENDPOINT:
  case RN_CONFIG_FINGERPRINT:
  case RN_CONFIG_ITEM:
    break;
  }
  RN_ASSERT(text != NULL);
  snprintf(out, RN_CONFIG_VALUE_BYTES, "%s", text);
  return out;
}

static void put_range(struct writer *w, const struct rn_config_key *k) {
  static const char *const names[] = { [RN_CONFIG_UINT] = "a whole number",
                                       [RN_CONFIG_SIZE] = "a size",
                                       [RN_CONFIG_RATE] = "a rate",
                                       [RN_CONFIG_DURATION] = "a duration" };
  char min[32], max[32];
  number_text(k->type, k->min, min, sizeof(min));
  number_text(k->type, k->max, max, sizeof(max));
  put(w, "%s from %s to %s", names[k->type], min, max);
  if (k->word[0] != 0)
    put(w, ", or %s", k->word);
}

static void put_choices(struct writer *w, const struct rn_config_key *k) {
  const char *before = "";
  for (size_t i = 0; i < rn_config_choice_count; i++) {
    if (rn_config_choices[i].set != k->of)
      continue;
    put(w, "%s%s", before, rn_config_choices[i].word);
    before = ", ";
  }
}

static void put_one(struct writer *w, const struct rn_config_key *k) {
  switch (k->type) {
  case RN_CONFIG_TEXT:
    put(w, "a text of %s%u bytes", k->need == REQUIRED ? "1 to " : "at most ", k->bytes - 1);
    break;
  case RN_CONFIG_NAME:
    put(w, "1 to %u letters, digits and . _ : -", k->bytes - 1);
    break;
  case RN_CONFIG_BOOL:
    put(w, "true or false");
    break;
  case RN_CONFIG_ENUM:
    put_choices(w, k);
    break;
  case RN_CONFIG_ADDR:
    put(w, "an IPv%u address, or %s", k->of, k->word);
    break;
  case RN_CONFIG_PREFIX:
    put(w, "an address with the prefix of its link, as in 192.0.2.7/24");
    break;
  case RN_CONFIG_ENDPOINT:
    put(w, "an address and a port, as in 192.0.2.7:8080 or [2001:db8::7]:8080");
    break;
  case RN_CONFIG_FINGERPRINT:
    put(w, "64 hexadecimal digits, with or without : between bytes");
    break;
  case RN_CONFIG_TAGS:
    put(w, "a mapping of at most %u tags to values, texts of at most %u bytes", k->of, RN_TAG_MAX);
    break;
  case RN_CONFIG_ITEM:
    put(w, "a mapping");
    break;
  case RN_CONFIG_UINT:
  case RN_CONFIG_SIZE:
  case RN_CONFIG_RATE:
  case RN_CONFIG_DURATION:
    put_range(w, k);
    break;
  }
}

const char *rn_config_allowed(const struct rn_config_key *k, bool one, char *out) {
  struct writer w = { out, RN_CONFIG_ALLOWED_BYTES };
  if (k->count_max > 0 && !one)
    put(&w, "a list of at most %u, each %s", k->count_max,
        k->type == RN_CONFIG_ENUM ? "one of " : "");
  put_one(&w, k);
  return out;
}
