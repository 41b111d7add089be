/* The golden vectors of tests/vectors: every one of them decoded and encoded, byte for byte, and cut at every byte. */
#include "rn_test.h"

#include <yyjson.h>

#include "rpc/classify.h"
#include "rpc/methods.h"
#include "util/rng.h"
#include "wire/rpc.h"
#include "wire/swim.h"

#define VECTORS    113
#define BYTES_MAX  (2u << 20)
#define SIZE_LIMIT ((size_t)1 << 30)

static yyjson_doc *doc;
static size_t exercised;
static uint8_t bytes[BYTES_MAX], again[BYTES_MAX], field_a[BYTES_MAX], field_b[BYTES_MAX];

/* ---- reading the file ---- */

static const char *str(yyjson_val *o, const char *key) {
  return yyjson_get_str(yyjson_obj_get(o, key));
}
static bool is_null(yyjson_val *o, const char *key) {
  yyjson_val *v = yyjson_obj_get(o, key);
  return v == NULL || yyjson_is_null(v);
}
static uint64_t number(yyjson_val *v) {
  return yyjson_is_str(v) ? strtoull(yyjson_get_str(v), NULL, 10) : yyjson_get_uint(v);
}

/* Hex digits, {hex}, or {byte, count}. */
static size_t piece(yyjson_val *v, uint8_t *out) {
  if (yyjson_is_str(v))
    return rn_test_unhex(yyjson_get_str(v), out, BYTES_MAX);
  if (str(v, "hex") != NULL)
    return rn_test_unhex(str(v, "hex"), out, BYTES_MAX);
  size_t n = yyjson_get_uint(yyjson_obj_get(v, "count"));
  memset(out, (int)yyjson_get_uint(yyjson_obj_get(v, "byte")), n);
  return n;
}

static size_t vector_bytes(yyjson_val *v) {
  size_t n = 0, i, max;
  yyjson_val *part, *parts = yyjson_obj_get(v, "parts");
  if (parts == NULL) {
    n = piece(yyjson_obj_get(v, "hex"), bytes);
  } else {
    yyjson_arr_foreach(parts, i, max, part) { n += piece(part, bytes + n); }
  }
  assert_int_equal(n, yyjson_get_uint(yyjson_obj_get(v, "len")));
  return n;
}

/* Text that is a string, or a run of one byte. */
static size_t text_field(yyjson_val *v, uint8_t *out) {
  if (!yyjson_is_str(v))
    return piece(v, out);
  size_t n = yyjson_get_len(v);
  memcpy(out, yyjson_get_str(v), n);
  return n;
}

static struct rn_bin_str bin_str(yyjson_val *v) {
  return (struct rn_bin_str){ yyjson_get_str(v), yyjson_get_len(v) };
}

static bool equal(struct rn_bin_str s, yyjson_val *v) {
  return s.len == yyjson_get_len(v) && memcmp(s.p, yyjson_get_str(v), s.len) == 0;
}

static struct rn_addr addr_field(yyjson_val *o, const char *key) {
  struct rn_addr a = { 0 };
  assert_int_equal(rn_addr_parse(str(o, key), &a), RN_OK);
  return a;
}

static void put_option(struct rn_bin_writer *w, yyjson_val *f, const char *key) {
  rn_bin_put_u8(w, !is_null(f, key));
  if (!is_null(f, key))
    rn_bin_put_str(w, str(f, key), yyjson_get_len(yyjson_obj_get(f, key)));
}

static void put_text(struct rn_bin_writer *w, yyjson_val *f, const char *key) {
  struct rn_bin_str s = bin_str(yyjson_obj_get(f, key));
  rn_bin_put_str(w, s.p, s.len);
}

/* Params are bytes, or told in words ("bincode (i64 2, i64 -3)", "u64 250"), or the fields of a get_worker request. */
static size_t params_field(yyjson_val *v, uint8_t *out) {
  long long a, b;
  const char *text = yyjson_get_str(v);
  if (text != NULL && sscanf(text, "bincode (i64 %lld, i64 %lld)", &a, &b) == 2) {
    rn_wire_put_u64(out, (uint64_t)a);
    rn_wire_put_u64(out + 8, (uint64_t)b);
    return 16;
  }
  if (text != NULL && sscanf(text, "u64 %lld", &a) == 1) {
    rn_wire_put_u64(out, (uint64_t)a);
    return 8;
  }
  if (yyjson_obj_get(v, "prompt") != NULL) {
    struct rn_bin_writer w = { .buf = out, .cap = BYTES_MAX };
    put_option(&w, v, "connection_id");
    put_text(&w, v, "prompt");
    return w.len;
  }
  return piece(v, out);
}

/* ---- one function per kind ---- */

static void check_request(yyjson_val *f, size_t len) {
  struct rn_wire_request r;
  size_t used, need = 0;
  assert_int_equal(rn_wire_request_get(bytes, len, SIZE_LIMIT, &r, &used, &need), RN_OK);
  assert_int_equal(r.id, number(yyjson_obj_get(f, "id")));
  size_t method = text_field(yyjson_obj_get(f, "method"), field_a);
  yyjson_val *params_len = yyjson_obj_get(f, "params_len"); /* recorded ones tell the length only */
  size_t params = params_len != NULL ? yyjson_get_uint(params_len)
                                     : params_field(yyjson_obj_get(f, "params"), field_b);
  assert_int_equal(r.method_bytes, method);
  assert_memory_equal(r.method, field_a, method);
  assert_int_equal(r.params_bytes, params);
  if (params_len == NULL)
    assert_memory_equal(r.params, field_b, params);
  rn_wire_request_head(again, r.id, r.method, r.method_bytes, r.params_bytes);
  memcpy(again + RN_WIRE_REQUEST_HEAD_BYTES(method), r.params, params);
  assert_int_equal(used, RN_WIRE_REQUEST_HEAD_BYTES(method) + params);
  assert_memory_equal(again, bytes, used);
  assert_int_equal(used, len);
  for (size_t cut = 0; cut < len; cut += len > 4096 && cut > 64 && cut + 64 < len ? 997 : 1) {
    assert_int_equal(rn_wire_request_get(bytes, cut, SIZE_LIMIT, &r, &used, &need), RN_ERR_SHORT);
    assert_in_range(need, cut + 1, len);
  }
}

static void check_response(yyjson_val *f, size_t len) {
  struct rn_wire_response r;
  size_t used, need = 0;
  assert_int_equal(rn_wire_response_get(bytes, len, SIZE_LIMIT, &r, &used, &need), RN_OK);
  assert_int_equal(used, len);
  if (str(f, "request_hex") == NULL) {
    assert_int_equal(r.id, number(yyjson_obj_get(f, "id")));
    assert_int_equal(r.result == NULL, is_null(f, "result"));
    assert_int_equal(r.error == NULL, is_null(f, "error"));
    if (r.result != NULL) {
      size_t n = piece(yyjson_obj_get(f, "result"), field_a);
      assert_int_equal(r.result_bytes, n);
      assert_memory_equal(r.result, field_a, n);
    }
    if (r.error != NULL)
      assert_true(equal((struct rn_bin_str){ r.error, r.error_bytes }, yyjson_obj_get(f, "error")));
  }
  /* Encoding: results and errors; both or neither is nothing we ever send. */
  if (r.result != NULL && r.error == NULL) {
    rn_wire_result_head(again, r.id, r.result_bytes);
    memcpy(again + RN_WIRE_RESULT_HEAD_BYTES, r.result, r.result_bytes);
    again[RN_WIRE_RESULT_HEAD_BYTES + r.result_bytes] = 0;
    assert_memory_equal(again, bytes, len);
  } else if (r.error != NULL && r.result == NULL) {
    rn_wire_error_head(again, r.id, r.error_bytes);
    memcpy(again + RN_WIRE_ERROR_HEAD_BYTES, r.error, r.error_bytes);
    assert_memory_equal(again, bytes, len);
  }
  for (size_t cut = 0; cut < len; cut += len > 4096 && cut > 64 && cut + 64 < len ? 997 : 1) {
    assert_int_equal(rn_wire_response_get(bytes, cut, SIZE_LIMIT, &r, &used, &need), RN_ERR_SHORT);
    assert_in_range(need, cut + 1, len);
  }
}

/* Complete frames in bytes[at..len), and whether the end marker was among them. */
static size_t count_frames(size_t at, size_t len, size_t *lens, bool *marker) {
  size_t n = 0, used, need, item_bytes;
  const uint8_t *item;
  *marker = false;
  while (!*marker && rn_wire_frame_get(bytes + at, len - at, SIZE_LIMIT, &item, &item_bytes, &used,
                                       &need) == RN_OK) {
    at += used;
    *marker = item_bytes == 0;
    if (!*marker)
      lens[n++] = item_bytes;
  }
  return n;
}

/* Every cut gives exactly the frames that end before it. */
static void check_cuts(size_t start, size_t len, const size_t *ends, size_t frames) {
  size_t lens[64];
  bool marker;
  for (size_t cut = start; cut < len; cut += len > 4096 && cut > 64 && cut + 64 < len ? 997 : 1) {
    size_t want = 0;
    while (want < frames && ends[want] <= cut)
      want++;
    assert_int_equal(count_frames(start, cut, lens, &marker), want);
  }
}

static void check_stream(yyjson_val *f, size_t len, bool client) {
  size_t lens[64], ends[64], at = 0;
  bool marker;
  if (client) {
    yyjson_val *method = yyjson_obj_get(f, "method");
    at = 4 + rn_wire_u32(bytes);
    assert_true(equal((struct rn_bin_str){ (const char *)bytes + 4, at - 4 }, method));
  }
  size_t frames = count_frames(at, len, lens, &marker);
  assert_true(marker);
  size_t end = at;
  rn_wire_put_u32(again, (uint32_t)(at - 4));
  for (size_t i = 0; i < frames; i++) {
    rn_wire_put_u32(again, (uint32_t)lens[i]);
    assert_memory_equal(again, bytes + end, 4);
    end += 4 + lens[i];
    ends[i] = end;
  }
  if (client) { /* up to the first empty item, which is the end */
    size_t i, max;
    yyjson_val *v;
    yyjson_arr_foreach(yyjson_obj_get(f, "item_lens"), i, max, v) {
      if (yyjson_get_uint(v) == 0)
        break;
      assert_true(i < frames);
      assert_int_equal(lens[i], yyjson_get_uint(v));
    }
  }
  check_cuts(at, end, ends, frames);
}

static void put_update(struct rn_bin_writer *w, const struct rn_swim_update *u) {
  struct rn_swim_tags tags = u->tags;
  struct rn_bin_str key, value;
  rn_swim_put_update(w, u->node_id, &u->addr, u->incarnation, u->state, u->tags.left);
  while (rn_swim_next_tag(&tags, &key, &value))
    rn_swim_put_tag(w, key, value);
}

static void check_update_fields(const struct rn_swim_update *u, yyjson_val *f) {
  static const char *const states[] = { "Alive", "Suspect", "Failed", "Left" };
  struct rn_addr addr = addr_field(f, "addr");
  assert_true(equal(u->node_id, yyjson_obj_get(f, "node_id")));
  assert_true(rn_addr_eq(&u->addr, &addr));
  assert_int_equal(u->incarnation, number(yyjson_obj_get(f, "incarnation")));
  assert_string_equal(states[u->state], str(f, "state"));
  yyjson_val *tags = yyjson_obj_get(f, "tags");
  struct rn_swim_tags t = u->tags;
  struct rn_bin_str key, value;
  assert_int_equal(t.left, yyjson_obj_size(tags));
  while (rn_swim_next_tag(&t, &key, &value))
    assert_true(equal(value, yyjson_obj_getn(tags, key.p, key.len)));
}

static void check_node_update(yyjson_val *f, size_t len) {
  struct rn_swim_update u;
  size_t used;
  assert_int_equal(rn_swim_update_get(bytes, len, &u, &used), RN_OK);
  assert_int_equal(used, len);
  check_update_fields(&u, f);
  struct rn_bin_writer w = { .buf = again, .cap = len };
  put_update(&w, &u);
  assert_int_equal(w.err, RN_OK);
  assert_int_equal(w.len, len);
  assert_memory_equal(again, bytes, len);
  for (size_t cut = 0; cut < len; cut++) {
    assert_int_equal(rn_swim_update_get(bytes, cut, &u, &used), RN_ERR_SHORT);
    struct rn_bin_writer small = { .buf = again, .cap = cut };
    rn_swim_update_get(bytes, len, &u, &used);
    put_update(&small, &u);
    assert_int_equal(small.err, RN_ERR_LIMIT);
  }
}

static void check_swim(yyjson_val *f, size_t len) {
  static const char *const types[] = { "Ping", "Ack", "PingReq" };
  struct rn_swim_msg m;
  size_t used, i, max;
  if (len == 0) { /* the answer of a node that does not answer */
    assert_int_equal(rn_swim_get(bytes, 0, &m, &used), RN_ERR_SHORT);
    return;
  }
  assert_int_equal(rn_swim_get(bytes, len, &m, &used), RN_OK);
  assert_int_equal(used, len);
  assert_string_equal(types[m.type], str(f, "type"));
  assert_true(equal(m.from, yyjson_obj_get(f, "from")));
  assert_int_equal(m.seq, number(yyjson_obj_get(f, "seq")));
  if (m.type != RN_SWIM_ACK) {
    struct rn_addr a = addr_field(f, m.type == RN_SWIM_PING ? "from_addr" : "target");
    assert_true(rn_addr_eq(&m.addr, &a));
  }
  if (m.type != RN_SWIM_PING)
    assert_true(equal(m.to, yyjson_obj_get(f, m.type == RN_SWIM_ACK ? "to" : "target_id")));

  yyjson_val *updates = yyjson_obj_get(f, "updates"), *v;
  struct rn_swim_updates it = m.updates;
  struct rn_swim_update u;
  struct rn_bin_writer w = { .buf = again, .cap = sizeof(again) };
  assert_int_equal(it.left, yyjson_arr_size(updates));
  rn_swim_put_head(&w, m.type, m.from, &m.addr, m.to, it.left);
  yyjson_arr_foreach(updates, i, max, v) {
    assert_true(rn_swim_next_update(&it, &u));
    check_update_fields(&u, v);
    put_update(&w, &u);
  }
  assert_false(rn_swim_next_update(&it, &u));
  rn_swim_put_seq(&w, m.seq);
  assert_int_equal(w.len, len);
  assert_memory_equal(again, bytes, len);
  for (size_t cut = 0; cut < len; cut++)
    assert_int_equal(rn_swim_get(bytes, cut, &m, &used), RN_ERR_SHORT);
}

static void get_option(struct rn_bin_reader *r, yyjson_val *f, const char *key) {
  bool some = rn_bin_bool(r);
  assert_int_equal(some, !is_null(f, key));
  if (some)
    assert_true(equal(rn_bin_str(r), yyjson_obj_get(f, key)));
}

static void get_text(struct rn_bin_reader *r, yyjson_val *f, const char *key) {
  assert_true(equal(rn_bin_str(r), yyjson_obj_get(f, key)));
}

/* DirectorRegistry.get_worker: { Option connection_id, prompt } and its answer. */
static void check_director(yyjson_val *f, size_t len) {
  struct rn_bin_writer w = { .buf = again, .cap = sizeof(again) };
  struct rn_bin_reader r = { .buf = bytes, .len = len, .str_max = RN_SWIM_STR_MAX };
  yyjson_val *success = yyjson_obj_get(f, "success");
  if (success == NULL) {
    put_option(&w, f, "connection_id");
    put_text(&w, f, "prompt");
    get_option(&r, f, "connection_id");
    get_text(&r, f, "prompt");
  } else {
    rn_bin_put_u8(&w, yyjson_get_bool(success));
    put_option(&w, f, "worker_addr");
    put_option(&w, f, "worker_label");
    put_text(&w, f, "connection_id");
    put_option(&w, f, "message");
    assert_int_equal(rn_bin_bool(&r), yyjson_get_bool(success));
    get_option(&r, f, "worker_addr");
    get_option(&r, f, "worker_label");
    get_text(&r, f, "connection_id");
    get_option(&r, f, "message");
  }
  assert_int_equal(r.err, RN_OK);
  assert_int_equal(r.at, len);
  assert_int_equal(w.len, len);
  assert_memory_equal(again, bytes, len);
}

/* The cluster example's Inference: the request, and Result<Response, Error>. */
static void check_inference(yyjson_val *f, size_t len) {
  static const struct {
    const char *name;
    uint32_t result, tag;
    const char *texts[2];
    const char *last_u64;
  } shapes[] = {
    { "Connected", 0, 0, { "worker", "connection_id" }, NULL },
    { "Token", 0, 1, { "text" }, "sequence" },
    { "Error", 0, 2, { "message" }, NULL },
    { "Done", 0, 3, { NULL }, NULL },
    { "WorkerFailed", 1, 0, { "" }, NULL },
    { "InvalidRequest", 1, 1, { "" }, NULL },
  };
  struct rn_bin_writer w = { .buf = again, .cap = sizeof(again) };
  yyjson_val *side =
      yyjson_obj_get(f, "Ok") != NULL ? yyjson_obj_get(f, "Ok") : yyjson_obj_get(f, "Err");
  if (side == NULL) {
    put_text(&w, f, "connection_id");
    put_text(&w, f, "prompt");
  }
  for (size_t i = 0; side != NULL && i < sizeof(shapes) / sizeof(shapes[0]); i++) {
    bool unit = yyjson_is_str(side) && strcmp(yyjson_get_str(side), shapes[i].name) == 0;
    yyjson_val *body = yyjson_is_str(side) ? NULL : yyjson_obj_get(side, shapes[i].name);
    if (!unit && body == NULL)
      continue;
    rn_bin_put_u32(&w, shapes[i].result);
    rn_bin_put_u32(&w, shapes[i].tag);
    for (int k = 0; k < 2 && shapes[i].texts[k] != NULL; k++) {
      struct rn_bin_str s =
          bin_str(yyjson_is_str(body) ? body : yyjson_obj_get(body, shapes[i].texts[k]));
      rn_bin_put_str(&w, s.p, s.len);
    }
    if (shapes[i].last_u64 != NULL)
      rn_bin_put_u64(&w, number(yyjson_obj_get(body, shapes[i].last_u64)));
  }
  assert_int_equal(w.len, len);
  assert_memory_equal(again, bytes, len);
}

/* The published decoders' verdicts on damaged bytes: accepted or not, and "unexpected end" is "need more". Where a length says more than there can
 * ever be, the published decoder fails at once; ours needs more, or calls it too large (docs/protocol.md, "Quirks"). */
static void check_verdict(yyjson_val *f, const char *key, int err) {
  yyjson_val *v = yyjson_obj_get(f, key);
  const char *error = str(v, "error");
  if (error == NULL)
    assert_int_equal(err, RN_OK);
  else if (strcmp(error, "io error: unexpected end of file") == 0)
    assert_int_equal(err, RN_ERR_SHORT);
  else if (strcmp(error, "io error: ") == 0)
    assert_true(err == RN_ERR_SHORT || err == RN_ERR_TOOBIG);
  else
    assert_int_equal(err, RN_ERR_PROTO);
}

static void check_decode(yyjson_val *f, size_t len) {
  struct rn_wire_request rq;
  struct rn_wire_response rs;
  struct rn_swim_msg m;
  size_t used, need;
  check_verdict(f, "as_request", rn_wire_request_get(bytes, len, SIZE_LIMIT, &rq, &used, &need));
  check_verdict(f, "as_response", rn_wire_response_get(bytes, len, SIZE_LIMIT, &rs, &used, &need));
  check_verdict(f, "as_swim", rn_swim_get(bytes, len, &m, &used));
}

/* ---- tests ---- */

static void every_vector_both_ways(void **state) {
  (void)state;
  yyjson_val *all = yyjson_obj_get(yyjson_doc_get_root(doc), "vectors"), *v;
  size_t i, max;
  yyjson_arr_foreach(all, i, max, v) {
    const char *kind = str(v, "kind");
    yyjson_val *f = yyjson_obj_get(v, "fields");
    size_t len = vector_bytes(v);
    if (strcmp(kind, "rpc_request") == 0)
      check_request(f, len);
    else if (strcmp(kind, "rpc_response") == 0)
      check_response(f, len);
    else if (strcmp(kind, "stream_client") == 0)
      check_stream(f, len, true);
    else if (strcmp(kind, "stream_server") == 0)
      check_stream(f, len, false);
    else if (strcmp(kind, "node_update") == 0)
      check_node_update(f, len);
    else if (strcmp(kind, "swim") == 0)
      check_swim(f, len);
    else if (strcmp(kind, "director") == 0)
      check_director(f, len);
    else if (strcmp(kind, "inference") == 0)
      check_inference(f, len);
    else if (strcmp(kind, "decode") == 0)
      check_decode(f, len);
    else
      fail_msg("%s: kind %s is not known", str(v, "name"), kind);
    exercised++;
  }
  assert_int_equal(exercised, VECTORS);
}

static enum rn_rpc_class classify(const struct rn_rpc_methods *m, size_t len) {
  const struct rn_handler *h;
  size_t n;
  return rn_rpc_classify(m, bytes, len, &h, &n);
}

/* What a new stream is taken for. The three ambiguous vectors: where the published server takes a request with an empty method for gossip, ours
 * answers it; a registered streaming name beats every other reading. */
static void streams_are_told_apart(void **state) {
  (void)state;
  static const struct rn_handler echo_stream = { .name = "echo", .kind = RN_HANDLER_STREAMING };
  struct rn_rpc_methods *none, *with_echo;
  void *a = aligned_alloc(64, rn_rpc_methods_footprint(8)),
       *b = aligned_alloc(64, rn_rpc_methods_footprint(8));
  rn_rpc_methods_init(a, 8, &none);
  rn_rpc_methods_init(b, 8, &with_echo);
  assert_int_equal(rn_rpc_methods_add(with_echo, &echo_stream), RN_OK);
  yyjson_val *all = yyjson_obj_get(yyjson_doc_get_root(doc), "vectors"), *v;
  size_t i, max, seen = 0;
  yyjson_arr_foreach(all, i, max, v) {
    const char *kind = str(v, "kind"), *name = str(v, "name");
    size_t len = vector_bytes(v);
    if (strcmp(kind, "rpc_request") == 0)
      assert_int_equal(classify(none, len), RN_RPC_UNARY);
    else if (strcmp(kind, "swim") == 0 && len > 0 && strcmp(name, "ping_empty_from") != 0)
      assert_int_equal(classify(none, len), RN_RPC_SWIM);
    else if (strstr(name, "empty_method_40_zero_bytes") != NULL)
      assert_int_equal(classify(none, len), RN_RPC_UNARY);
    else if (strcmp(name, "decode_streaming_echo_frames_8_16_zero") == 0) {
      assert_int_equal(classify(none, len), RN_RPC_UNARY);
      assert_int_equal(classify(with_echo, len), RN_RPC_STREAM);
      assert_int_equal(classify(with_echo, 6), RN_RPC_MORE);
    } else if (strcmp(name, "decode_streaming_count_frames_8_16_zero") == 0)
      assert_int_equal(classify(none, len), RN_RPC_STREAM_UNKNOWN);
    else
      continue;
    seen++;
  }
  assert_true(seen > 30);
  free(a);
  free(b);
}

/* Whatever bytes come, nothing outside them is read (ASan sees it) and what is accepted lies inside them. */
static void damaged_bytes_are_safe(void **state) {
  (void)state;
  struct rn_rng rng;
  rn_rng_init(&rng, 2026);
  yyjson_val *all = yyjson_obj_get(yyjson_doc_get_root(doc), "vectors");
  size_t count = yyjson_arr_size(all), accepted = 0;
  for (int i = 0; i < 200000; i++) {
    size_t len = vector_bytes(yyjson_arr_get(all, rn_rng_next(&rng) % count));
    if (len == 0 || len > 2048)
      continue;
    uint8_t *exact = malloc(len);
    memcpy(exact, bytes, len);
    for (uint64_t k = rn_rng_next(&rng) % 6; k > 0; k--)
      exact[rn_rng_next(&rng) % len] = (uint8_t)rn_rng_next(&rng);
    len = i % 3 == 0 ? rn_rng_next(&rng) % len : len;
    uint8_t *cut = realloc(exact, len + (len == 0));
    struct rn_wire_request rq;
    struct rn_wire_response rs;
    struct rn_swim_msg m;
    struct rn_swim_update u;
    struct rn_bin_str key, value;
    const uint8_t *item;
    size_t used, need, item_bytes;
    if (rn_wire_request_get(cut, len, 4096, &rq, &used, &need) == RN_OK)
      accepted += used <= len && rq.params + rq.params_bytes <= cut + len;
    if (rn_wire_response_get(cut, len, 4096, &rs, &used, &need) == RN_OK)
      accepted += used <= len;
    if (rn_wire_frame_get(cut, len, 4096, &item, &item_bytes, &used, &need) == RN_OK)
      accepted += item + item_bytes <= cut + len;
    if (rn_swim_get(cut, len, &m, &used) == RN_OK) {
      while (rn_swim_next_update(&m.updates, &u)) {
        while (rn_swim_next_tag(&u.tags, &key, &value))
          accepted += (const uint8_t *)value.p + value.len <= cut + len;
      }
    }
    free(cut);
  }
  assert_true(accepted > 10000);
}

static int load(void **state) {
  (void)state;
  yyjson_read_err err;
  doc = yyjson_read_file(RN_VECTORS, 0, NULL, &err);
  return doc != NULL ? 0 : -1;
}

static int unload(void **state) {
  (void)state;
  yyjson_doc_free(doc);
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(every_vector_both_ways),
    cmocka_unit_test(streams_are_told_apart),
    cmocka_unit_test(damaged_bytes_are_safe),
  };
  return cmocka_run_group_tests(tests, load, unload);
}
