/* dataplane/serve/inference.c: Inference.generate, the worker of the published crate's cluster example (docs/protocol.md, "Redirects"): says who it is, and gives each
 * prompt back. It stands for work that takes long, so that a director and its clients can be tried out with nothing else there. */
#include "dataplane/serve/builtin_pvt.h"
#include "dataplane/serve/builtin.h"
#include "util/err.h"
#include "wire/bincode.h"

#include <string.h>

#define PROMPT_MAX 16384u
#define ID_MAX     1024u

enum { REPLY_OK = 0, REPLY_ERR = 1 }; /* Result<InferenceResponse, InferenceError> */
enum { CONNECTED = 0, TOKEN = 1, INVALID_REQUEST = 1 }; /* their variants */

struct talk {
  bool connected;
};

static struct rn_bin_writer reply_to(uint8_t *buf, size_t cap, uint32_t result, uint32_t variant) {
  struct rn_bin_writer w = { .buf = buf, .cap = cap };
  rn_bin_put_u32(&w, result);
  rn_bin_put_u32(&w, variant);
  return w;
}

static const char *name_of(const struct rn_call *c) {
  const struct rn_builtin_info *info = rn_call_server_user(c);
  return info->label;
}

static int say_connected(struct rn_call *c, struct rn_bin_str id) {
  uint8_t buf[ID_MAX + 320];
  struct rn_bin_writer w = reply_to(buf, sizeof(buf), REPLY_OK, CONNECTED);
  rn_bin_put_str(&w, name_of(c), strlen(name_of(c)));
  rn_bin_put_str(&w, id.p, id.len);
  RN_ASSERT(w.err == RN_OK);
  return rn_call_item(c, buf, w.len);
}

/* "[who] processed: prompt", and a sequence that the example leaves at 0. */
static int say_token(struct rn_call *c, struct rn_bin_str prompt) {
  static const char between[] = "] processed: ";
  static _Thread_local uint8_t buf[PROMPT_MAX + 512];
  struct rn_bin_writer w = reply_to(buf, sizeof(buf), REPLY_OK, TOKEN);
  const size_t name_bytes = strlen(name_of(c));
  rn_bin_put_u64(&w, 1 + name_bytes + sizeof(between) - 1 + prompt.len);
  const struct rn_bin_str parts[] = {
    { "[", 1 }, { name_of(c), name_bytes }, { between, sizeof(between) - 1 }, prompt
  };
  for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
    uint8_t *room = rn_bin_room(&w, parts[i].len);
    if (room != NULL && parts[i].len > 0)
      memcpy(room, parts[i].p, parts[i].len);
  }
  rn_bin_put_u64(&w, 0);
  RN_ASSERT(w.err == RN_OK);
  return rn_call_item(c, buf, w.len);
}

static void refuse(struct rn_call *c) {
  static const char why[] = "not an InferenceRequest, or above 16 KiB";
  uint8_t buf[128];
  struct rn_bin_writer w = reply_to(buf, sizeof(buf), REPLY_ERR, INVALID_REQUEST);
  rn_bin_put_str(&w, why, sizeof(why) - 1);
  if (rn_call_item(c, buf, w.len) == RN_OK)
    rn_call_end(c);
  else
    rn_call_error(c, "", 0);
}

/* InferenceRequest { connection_id: String, prompt: String } */
static int on_item(struct rn_call *c, const uint8_t *data, size_t len) {
  struct talk *t = rn_call_scratch(c);
  struct rn_bin_reader r = { .buf = data, .len = len, .str_max = ID_MAX };
  struct rn_bin_str id = rn_bin_str(&r);
  r.str_max = PROMPT_MAX;
  struct rn_bin_str prompt = rn_bin_str(&r);
  if (r.err != RN_OK) {
    refuse(c);
    return RN_OK;
  }
  if (!t->connected) {
    int err = say_connected(c, id);
    if (err != RN_OK)
      return err;
    t->connected = true;
  }
  return say_token(c, prompt);
}

static void on_end(struct rn_call *c) { rn_call_end(c); }

const struct rn_handler rn_builtin_inference = {
  .name = "Inference.generate", .kind = RN_HANDLER_STREAMING, .item = on_item, .end = on_end
};
