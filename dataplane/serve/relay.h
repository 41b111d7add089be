/* dataplane/serve/relay.h: gossip between the peers of an lcore and rpcnet-control: lib/rpc/gossip.h on one side, the rings on the other. */
#pragma once
#include "ring/msg.h"
#include "rpc/gossip.h"

struct rn_lcore;

/* Objects of lcore lc, whose endpoint, server and gossip pool are there; sets lc->gossip. RN_OK or RN_ERR_SYS. */
int rn_relay_setup(struct rn_lcore *lc);

/* GOSSIP_REPLY, GOSSIP_ASK and GOSSIP_SELF of control. */
void rn_relay_on_message(struct rn_lcore *lc, const struct rn_msg *m);
/* Another control process has attached. */
void rn_relay_attached(struct rn_lcore *lc);
