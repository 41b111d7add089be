/* How streams are put into packets. */
#include "rn_test.h"

#include "endpoint_world.h"

/* Data as it came: pieces of the stream with 1,000 bytes. */
static size_t pieces, piece_bytes;
static void count_pieces(void *app, struct rn_quic_stream *s, const uint8_t *data, size_t len,
                         bool fin) {
  (void)app, (void)fin;
  if (len > 0 && data[0] == 'w') {
    pieces++;
    piece_bytes += len;
  }
  rn_quic_stream_consume(s, len);
}

/* One packet holds 800 bytes of a stream and a part of the next one, unless that has to be whole. */
static void write_two(struct world *w, bool whole) {
  static uint8_t first[800], second[1000];
  memset(first, 'f', sizeof(first));
  memset(second, 'w', sizeof(second));
  struct rn_quic_stream *a, *b;
  pieces = piece_bytes = 0;
  assert_int_equal(rn_quic_stream_open(w->client.conn, &a), RN_OK);
  assert_int_equal(rn_quic_stream_open(w->client.conn, &b), RN_OK);
  assert_int_equal(rn_quic_stream_write(a, first, sizeof(first), true), RN_OK);
  if (whole)
    rn_quic_stream_keep_whole(b);
  assert_int_equal(rn_quic_stream_write(b, second, sizeof(second), true), RN_OK);
  run_ms(w, 200, NULL);
  assert_int_equal(piece_bytes, sizeof(second));
}

static void a_whole_stream_is_not_split_over_packets(void **state) {
  (void)state;
  struct world w;
  world_prepare(&w, PKI_P256);
  struct rn_quic_events counting = *w.server.params.events;
  counting.stream_data = count_pieces;
  w.server.params.events = &counting;
  world_start(&w);
  connect_world(&w);
  run_ms(&w, 100, NULL);
  write_two(&w, false);
  assert_int_equal(pieces, 2);
  write_two(&w, true);
  assert_int_equal(pieces, 1);
  world_end(&w);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_whole_stream_is_not_split_over_packets),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
