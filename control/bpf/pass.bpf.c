/* control/bpf/pass.bpf.c: lets every frame pass.
 *
 * That is its whole use: while a program of this kind sits on an end of a veth, the kernel switches off the segmentation offloads of
 * the other end, and a peer's large sends arrive as frames that fit the MTU instead of one frame of up to 64 KB. Such a frame would
 * arrive cut at the packet socket. */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

SEC("xdp")
int rn_pass(struct xdp_md *ctx) {
  (void)ctx;
  return XDP_PASS;
}

/* bpf_link and XDP_PASS need no helper that is reserved for the GPL. */
char LICENSE[] SEC("license") = "Dual BSD/GPL";
