/* control/config_struct.h: struct rn_config and its sections, made from lib/schema/config.def. Only control/config.h includes it. */
#pragma once

/* One structure per section and per list element. */
/* clang-format off */
#define RN_SECTION(section, help) struct rn_config_##section {
#define RN_ITEM(section, help) struct rn_config_##section {
#define RN_END(section) };
#define RN_TEXT(section, key, bytes, need, text, help) char key[bytes];
#define RN_NAME(section, key, bytes, need, text, help) char key[bytes];
#define RN_BOOL(section, key, dflt, help) bool key;
#define RN_UINT(section, key, word, dflt, min, max, help) uint32_t key;
#define RN_SIZE(section, key, word, dflt, min, max, help) uint64_t key;
#define RN_RATE(section, key, word, dflt, min, max, help) uint64_t key;
#define RN_DURATION(section, key, word, dflt, min, max, help) uint64_t key##_ns;
#define RN_ENUM(section, key, set, type, dflt, help) type key;
#define RN_ADDR(section, key, family, help) struct rn_addr key;
#define RN_ENDPOINT(section, key, help) struct rn_addr key;
#define RN_TAGS(section, key, count_max, tag, value, help) struct rn_tags key;
#define RN_LIST(key, type, count_max)                                                              \
  uint32_t key##_count;                                                                            \
  type key[count_max];
#define RN_UINT_LIST(section, key, count_max, min, max, help) RN_LIST(key, uint32_t, count_max)
#define RN_ENUM_LIST(section, key, count_max, set, type, help) RN_LIST(key, type, count_max)
#define RN_PREFIX_LIST(section, key, count_max, help) RN_LIST(key, struct rn_config_prefix, count_max)
#define RN_ENDPOINT_LIST(section, key, count_max, help) RN_LIST(key, struct rn_addr, count_max)
#define RN_FINGERPRINT_LIST(section, key, count_max, help) RN_LIST(key, struct rn_config_fingerprint, count_max)
#define RN_ITEM_LIST(section, key, count_max, item, help) RN_LIST(key, struct rn_config_##item, count_max)
#include "schema/config.def"
#undef RN_LIST
/* clang-format on */

/* All of them. */
struct rn_config {
#define RN_SECTION(section, help) struct rn_config_##section section;
#include "schema/config.def"
};
