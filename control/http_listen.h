/* control/http_listen.h: rpcnetd's part of control/http.h. The socket is rpcnetd's, so that its port may be a privileged one and a scrape waits while
 * rpcnet-control starts again. */
#pragma once

/* Listens at http.listen, which is an address and a port. RN_OK with *out close-on-exec and non-blocking, or RN_ERR_CONFIG with errno. */
int rn_http_listen(const char *listen, int *out);
