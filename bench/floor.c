// What the kernel alone costs: the same netlink messages as one attach, one detach or a whole network, with as few
// system calls as there can be (one sendmsg per namespace, an ACK on the last message only), and nothing around them.
// Two things are left out that an agent cannot know in advance or that have no messages of their own: interface indexes
// are chosen here instead of asked for, and the nft table of a network with a way out is not written.
//
//   floor                 reads commands from stdin, one a line, and answers each with the microseconds it took:
//     netns PREFIX N        N namespaces below /run/netns: PREFIX0 …      unnetns PREFIX N removes them
//     network VNI LOCAL     a network's namespace (floor-VNI): bridge, vxlan, uplink
//     attach PATH           one endpoint in the namespace at PATH
//     detach PATH           takes it out: down, out of the bridge, renamed and given up to sweep
//     sweep                 deletes what was detached
//     cold VNI LOCAL PREFIX N M      a network with N local endpoints (in PREFIX0 …) and M remote ones, from nothing
//     drop                  removes the network's namespace
//   floor ping ADDRESS MS   in this namespace: asks by ARP until somebody answers, then by ICMP; CLOCK_MONOTONIC ns of the reply
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_bridge.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netinet/ip_icmp.h>
#include <netpacket/packet.h>
#include <poll.h>
#include <sched.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { kTrash = 0x77617272, kMtu = 1450, kProtocol = 119, kLocalChunk = 64, kRemoteChunk = 512 };

static _Noreturn void die(const char *what, ...) {
  va_list args;
  va_start(args, what);
  fprintf(stderr, "floor: ");
  vfprintf(stderr, what, args);
  fprintf(stderr, ": %s\n", strerror(errno));
  exit(1);
}

static uint64_t now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

// ---- messages, one after the other in one buffer
static char buffer[4 << 20];
static size_t used;
static struct nlmsghdr *last;
static uint32_t sequence;

static void begin(uint16_t type, uint16_t flags, const void *header, size_t size) {
  last = (struct nlmsghdr *)(buffer + used);
  memset(last, 0, NLMSG_HDRLEN + NLMSG_ALIGN(size));
  last->nlmsg_type = type;
  last->nlmsg_flags = NLM_F_REQUEST | flags;
  last->nlmsg_seq = ++sequence;
  memcpy(NLMSG_DATA(last), header, size);
  last->nlmsg_len = NLMSG_HDRLEN + NLMSG_ALIGN(size);
  used += last->nlmsg_len;
}
static void raw(const void *data, size_t size) {
  memset(buffer + used, 0, NLMSG_ALIGN(size));
  memcpy(buffer + used, data, size);
  used += NLMSG_ALIGN(size);
  last->nlmsg_len += NLMSG_ALIGN(size);
}
static void put(uint16_t type, const void *data, size_t size) {
  struct rtattr attr = {.rta_len = RTA_LENGTH(size), .rta_type = type};
  raw(&attr, sizeof attr);
  if (size > 0) raw(data, size);
}
static void put32(uint16_t type, uint32_t value) { put(type, &value, 4); }
static void put8(uint16_t type, uint8_t value) { put(type, &value, 1); }
static void text(uint16_t type, const char *value) { put(type, value, strlen(value) + 1); }
static size_t nest(uint16_t type) {
  const size_t at = used;
  put(type | NLA_F_NESTED, NULL, 0);
  return at;
}
static void end(size_t at) { ((struct rtattr *)(buffer + at))->rta_len = (uint16_t)(used - at); }

static int rtnl(void) {
  const int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
  const int size = 8 << 20;
  if (fd < 0) die("socket");
  setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size);
  setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size);
  return fd;
}
// The kernel does the work inside send(); errors come unasked, so the ACK of the last says that all is done.
static void flush(int fd) {
  if (used == 0) return;
  last->nlmsg_flags |= NLM_F_ACK;
  if (send(fd, buffer, used, 0) < 0) die("send");
  used = 0;
  static char answer[256 << 10];
  for (;;) {
    const ssize_t size = recv(fd, answer, sizeof answer, 0);
    if (size < 0) die("recv");
    int left = (int)size;
    for (struct nlmsghdr *m = (struct nlmsghdr *)answer; NLMSG_OK(m, left); m = NLMSG_NEXT(m, left)) {
      const struct nlmsgerr *error = NLMSG_DATA(m);
      if (m->nlmsg_type == NLMSG_ERROR && error->error != 0) {
        errno = -error->error;
        die("request type %d, seq %u of %u", error->msg.nlmsg_type, m->nlmsg_seq, sequence);
      }
      if (m->nlmsg_seq == sequence) return;
    }
  }
}

// ---- nouns
static void mac(uint8_t kind, uint32_t n, uint8_t out[6]) {
  const uint8_t bytes[6] = {kind, 0, n >> 24, n >> 16, n >> 8, n};
  memcpy(out, bytes, 6);
}
static void link_(uint16_t flags, int index, unsigned change, unsigned set) {
  const struct ifinfomsg header = {.ifi_index = index, .ifi_change = change, .ifi_flags = set};
  begin(RTM_NEWLINK, flags, &header, sizeof header);
}
static void create(int index, const char *name, uint8_t kind, uint32_t n, uint32_t mtu) {
  uint8_t address[6];
  mac(kind, n, address);
  link_(NLM_F_CREATE | NLM_F_EXCL, index, 0, 0);
  text(IFLA_IFNAME, name);
  put(IFLA_ADDRESS, address, 6);
  put32(IFLA_MTU, mtu);
}
static void no_linklocal(void) {
  const size_t spec = nest(IFLA_AF_SPEC), six = nest(AF_INET6);
  put8(IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE);
  end(six), end(spec);
}
static void port(void) {
  const size_t info = nest(IFLA_LINKINFO);
  text(IFLA_INFO_SLAVE_KIND, "bridge");
  const size_t data = nest(IFLA_INFO_SLAVE_DATA);
  put8(IFLA_BRPORT_LEARNING, 0), put8(IFLA_BRPORT_UNICAST_FLOOD, 0);
  end(data), end(info);
}
static void up(int index) { link_(0, index, IFF_UP, IFF_UP); }
static void peer(const char *name, int index, int netns, uint8_t kind, uint32_t n, uint32_t mtu) {
  const size_t info = nest(IFLA_LINKINFO);
  text(IFLA_INFO_KIND, "veth");
  const size_t data = nest(IFLA_INFO_DATA), other = nest(VETH_INFO_PEER);
  const struct ifinfomsg header = {.ifi_index = index};
  uint8_t address[6];
  mac(kind, n, address);
  raw(&header, sizeof header);
  text(IFLA_IFNAME, name);
  put32(IFLA_NET_NS_FD, (uint32_t)netns);
  put32(IFLA_MTU, mtu);
  put(IFLA_ADDRESS, address, 6);
  end(other), end(data), end(info);
}
static size_t ip(const char *address, uint8_t out[16]) {
  const int family = strchr(address, ':') ? AF_INET6 : AF_INET;
  if (inet_pton(family, address, out) != 1) die("address %s", address);
  return family == AF_INET ? 4 : 16;
}
static void addr_bytes(int index, const uint8_t *bytes, size_t size, uint8_t length) {
  const struct ifaddrmsg header = {
      .ifa_family = size == 4 ? AF_INET : AF_INET6, .ifa_prefixlen = length, .ifa_flags = IFA_F_NODAD, .ifa_index = (uint32_t)index};
  begin(RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, &header, sizeof header);
  put(IFA_LOCAL, bytes, size), put(IFA_ADDRESS, bytes, size), put32(IFA_FLAGS, IFA_F_NODAD);
}
static void addr(int index, const char *address, uint8_t length) {
  uint8_t bytes[16];
  const size_t size = ip(address, bytes);
  addr_bytes(index, bytes, size, length);
}
static void route(int index, const char *to, uint8_t length, const char *via) {
  uint8_t target[16], hop[16];
  const size_t size = ip(via, hop);
  ip(to, target);
  const struct rtmsg header = {.rtm_family = size == 4 ? AF_INET : AF_INET6, .rtm_dst_len = length, .rtm_table = RT_TABLE_MAIN,
                               .rtm_protocol = kProtocol, .rtm_type = RTN_UNICAST};
  begin(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, &header, sizeof header);
  if (length > 0) put(RTA_DST, target, size);
  put(RTA_GATEWAY, hop, size), put32(RTA_OIF, (uint32_t)index);
}
static void fdb(int index, const uint8_t address[6], uint8_t flags, const char *vtep) {
  const struct ndmsg header = {.ndm_family = AF_BRIDGE, .ndm_ifindex = index, 
                               .ndm_state = NUD_NOARP | (flags & NTF_SELF ? NUD_PERMANENT : 0), .ndm_flags = flags | NTF_EXT_LEARNED};
  begin(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, &header, sizeof header);
  put(NDA_LLADDR, address, 6);
  uint8_t bytes[16];
  if (vtep) put(NDA_DST, bytes, ip(vtep, bytes));
}
static void neigh(int index, const uint8_t *bytes, size_t size, const uint8_t address[6]) {
  const struct ndmsg header = {.ndm_family = size == 4 ? AF_INET : AF_INET6, .ndm_ifindex = index, .ndm_state = NUD_PERMANENT};
  begin(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, &header, sizeof header);
  put(NDA_DST, bytes, size), put(NDA_LLADDR, address, 6), put8(NDA_PROTOCOL, kProtocol);
}
static void sysctl(const char *key, const char *value) {
  char path[160];
  snprintf(path, sizeof path, "/proc/sys/net/%s", key);
  const int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return;  // not in this kernel
  if (write(fd, value, strlen(value)) < 0) die("%s", path);
  close(fd);
}

// ---- namespaces
static int host = -1;
static void enter(int fd) {
  if (setns(fd, CLONE_NEWNET) != 0) die("setns");
}
static int open_netns(const char *path) {
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) die("%s", path);
  return fd;
}
static void add_netns(const char *name) {
  char path[128];
  snprintf(path, sizeof path, "/run/netns/%s", name);
  const int fd = open(path, O_RDONLY | O_CLOEXEC | O_CREAT | O_EXCL, 0);
  if (fd < 0) die("%s", path);
  close(fd);
  if (unshare(CLONE_NEWNET) != 0) die("unshare");
  if (mount("/proc/thread-self/ns/net", path, "none", MS_BIND, NULL) != 0) die("mount %s", path);
  enter(host);
}
static void del_netns(const char *name) {
  char path[128];
  snprintf(path, sizeof path, "/run/netns/%s", name);
  if (umount2(path, MNT_DETACH) != 0 || unlink(path) != 0) die("%s", path);
}

// ---- one network
enum { kBridge = 3, kVxlan = 4, kUplink = 5, kFirst = 1000 };
static char name_of_network[64];
static int inside = -1;  // its request socket
static int network_fd = -1;
static int serial;  // endpoints made so far
static struct { char path[96]; int n; } attached[65536];
static int count;

static void network(unsigned vni, const char *local) {
  snprintf(name_of_network, sizeof name_of_network, "floor-%u", vni);
  char path[128], born[16];
  snprintf(path, sizeof path, "/run/netns/%s", name_of_network);
  add_netns(name_of_network);
  network_fd = open_netns(path);
  enter(network_fd);
  static const char *const keys[] = {"ipv4/ip_forward", "ipv6/conf/all/forwarding", NULL};
  static const char *const zeros[] = {"ipv6/conf/all/accept_ra", "ipv6/conf/default/accept_ra", "ipv4/conf/all/rp_filter",
      "ipv4/conf/default/rp_filter", "ipv4/conf/all/send_redirects", "ipv4/conf/default/send_redirects",
      "bridge/bridge-nf-call-iptables", "bridge/bridge-nf-call-ip6tables", "bridge/bridge-nf-call-arptables", NULL};
  for (int i = 0; keys[i]; i++) sysctl(keys[i], "1");
  for (int i = 0; zeros[i]; i++) sysctl(zeros[i], "0");
  inside = rtnl();
  enter(host);
  const int outside = rtnl();
  snprintf(born, sizeof born, "fvx%u", vni);
  create(kVxlan, born, 0x06, vni, kMtu);
  put32(IFLA_NET_NS_FD, (uint32_t)network_fd);
  size_t info = nest(IFLA_LINKINFO);
  text(IFLA_INFO_KIND, "vxlan");
  size_t data = nest(IFLA_INFO_DATA);
  uint8_t bytes[16];
  put32(IFLA_VXLAN_ID, vni), put(IFLA_VXLAN_LOCAL, bytes, ip(local, bytes));
  const uint16_t udp = htons(4790);
  put(IFLA_VXLAN_PORT, &udp, 2), put8(IFLA_VXLAN_LEARNING, 0), put8(IFLA_VXLAN_PROXY, 1);
  end(data), end(info);
  flush(outside);

  up(1);
  create(kBridge, "br0", 0x0e, vni, kMtu);
  info = nest(IFLA_LINKINFO);
  text(IFLA_INFO_KIND, "bridge");
  data = nest(IFLA_INFO_DATA);
  put32(IFLA_BR_STP_STATE, 0), put8(IFLA_BR_MCAST_SNOOPING, 0);
  end(data), end(info);
  link_(0, kBridge, 0, 0), no_linklocal();
  up(kBridge);
  link_(0, kVxlan, 0, 0), text(IFLA_IFNAME, "vx0"), put32(IFLA_MASTER, kBridge), no_linklocal();
  link_(0, kVxlan, 0, 0), port();
  up(kVxlan);
  create(kUplink, "up0", 0x16, vni, 1500);
  char end_name[16];
  snprintf(end_name, sizeof end_name, "fup%u", vni);
  const int outer = kFirst + (int)(vni & 0xffff);
  peer(end_name, outer, host, 0x16, vni + 1, 1500);
  link_(0, kUplink, 0, 0), no_linklocal();
  up(kUplink);
  addr(kBridge, "10.9.0.1", 16), addr(kBridge, "fd09::1", 64), addr(kBridge, "fe80::1", 64);
  addr(kUplink, "169.254.77.1", 31), addr(kUplink, "fdfe:77::1", 127), addr(kUplink, "fe80::2", 64);
  flush(inside);
  link_(0, outer, 0, 0), no_linklocal();
  up(outer);
  addr(outer, "169.254.77.0", 31), addr(outer, "fdfe:77::", 127), addr(outer, "fe80::1", 64);
  flush(outside);
  close(outside);
  route(kUplink, "0.0.0.0", 0, "169.254.77.0"), route(kUplink, "::", 0, "fdfe:77::");
  flush(inside);
}

static void host_end(int netns, int n) {
  char name[16];
  uint8_t address[6];
  const int index = kFirst + n;
  snprintf(name, sizeof name, "wfloor%d", n);
  create(index, name, 0x12, (uint32_t)n, kMtu);
  put32(IFLA_MASTER, kBridge);
  peer("eth0", index, netns, 0x0a, (uint32_t)n, kMtu);
  link_(0, index, 0, 0), port(), no_linklocal();
  up(index);
  mac(0x0a, (uint32_t)n, address);
  fdb(index, address, NTF_MASTER, NULL);
}

static void container_end(int netns, int n) {
  const int index = kFirst + n;
  enter(netns);
  const int fd = rtnl();
  uint8_t four[4] = {10, 9, (uint8_t)(16 + (n >> 8) % 200), (uint8_t)n};
  uint8_t six[16] = {0xfd, 0x09};
  memcpy(six + 12, (uint8_t[4]){0, 1, (uint8_t)(n >> 8), (uint8_t)n}, 4);
  up(1), up(index);
  sysctl("ipv6/conf/eth0/accept_ra", "0");
  addr_bytes(index, four, 4, 16), addr_bytes(index, six, 16, 64);
  route(index, "10.64.0.0", 22, "10.9.0.1"), route(index, "0.0.0.0", 0, "10.9.0.1");
  route(index, "fd00:0:0:8000::", 112, "fd09::1"), route(index, "::", 0, "fd09::1");
  flush(fd);
  close(fd);
}

static void attach(const char *path) {
  const int netns = open_netns(path), n = serial++;
  host_end(netns, n);
  flush(inside);
  container_end(netns, n);
  enter(host);
  close(netns);
  if (count == (int)(sizeof attached / sizeof *attached)) die("too many");
  snprintf(attached[count].path, sizeof attached[count].path, "%s", path);
  attached[count++].n = n;
}

static void detach(const char *path) {
  int at = count - 1;
  while (at >= 0 && strcmp(attached[at].path, path) != 0) at--;
  if (at < 0) die("not attached: %s", path);
  const int index = kFirst + attached[at].n;
  attached[at] = attached[--count];
  char name[16];
  snprintf(name, sizeof name, "x%d", index);
  const int netns = open_netns(path);
  link_(0, index, IFF_UP, 0), put32(IFLA_MASTER, 0), put32(IFLA_GROUP, kTrash);
  flush(inside);
  enter(netns);
  const int fd = rtnl();
  link_(0, index, IFF_UP, 0);
  link_(0, index, 0, 0), text(IFLA_IFNAME, name);
  flush(fd);
  close(fd);
  enter(host);
  close(netns);
}

static void sweep(void) {
  const struct ifinfomsg header = {0};
  begin(RTM_DELLINK, 0, &header, sizeof header);
  put32(IFLA_GROUP, kTrash);
  flush(inside);
}

static void remotes(int n) {
  for (int i = 0; i < n; i++) {
    uint8_t address[6], four[4] = {10, 9, (uint8_t)(128 + (i >> 8) % 100), (uint8_t)i};
    uint8_t six[16] = {0xfd, 0x09};
    memcpy(six + 12, (uint8_t[4]){0, 2, (uint8_t)(i >> 8), (uint8_t)i}, 4);
    mac(0x1a, (uint32_t)i, address);
    neigh(kVxlan, four, 4, address), neigh(kVxlan, six, 16, address);
    fdb(kVxlan, address, NTF_SELF, "10.77.0.2"), fdb(kVxlan, address, NTF_MASTER, NULL);
    if (i % kRemoteChunk == kRemoteChunk - 1) flush(inside);
  }
  flush(inside);
}

static void locals(const char *prefix, int n) {
  for (int from = 0; from < n; from += kLocalChunk) {
    int fds[kLocalChunk];
    const int to = from + kLocalChunk < n ? from + kLocalChunk : n, first = serial;
    for (int i = from; i < to; i++) {
      char path[128];
      snprintf(path, sizeof path, "/run/netns/%s%d", prefix, i);
      fds[i - from] = open_netns(path);
      host_end(fds[i - from], serial++);
    }
    flush(inside);
    for (int i = from; i < to; i++) {
      container_end(fds[i - from], first + i - from);
      close(fds[i - from]);
    }
  }
  enter(host);
}

static void drop(void) {
  close(inside), close(network_fd);
  del_netns(name_of_network);
  count = 0;
}

static int run(const char *line) {
  char a[96], b[96];
  unsigned vni;
  int n, m;
  if (sscanf(line, "netns %80s %d", a, &n) == 2 || sscanf(line, "unnetns %80s %d", a, &n) == 2) {
    for (int i = 0; i < n; i++) {
      char name[112];
      snprintf(name, sizeof name, "%s%d", a, i);
      line[0] == 'n' ? add_netns(name) : del_netns(name);
    }
  } else if (sscanf(line, "network %u %95s", &vni, a) == 2) network(vni, a);
  else if (sscanf(line, "attach %95s", a) == 1) attach(a);
  else if (sscanf(line, "detach %95s", a) == 1) detach(a);
  else if (sscanf(line, "cold %u %95s %95s %d %d", &vni, b, a, &n, &m) == 5) network(vni, b), locals(a, n), remotes(m);
  else if (strncmp(line, "sweep", 5) == 0) sweep();
  else if (strncmp(line, "drop", 4) == 0) drop();
  else return -1;
  return 0;
}

// ---- ping
static void own(const char *command, unsigned long request, struct ifreq *out) {
  const int fd = socket(AF_INET, SOCK_DGRAM, 0);
  strcpy(out->ifr_name, "eth0");
  if (ioctl(fd, request, out) != 0) die("%s", command);
  close(fd);
}
static int readable(int fd, int microseconds) {
  struct pollfd waiting = {fd, POLLIN, 0};
  const struct timespec t = {0, microseconds * 1000L};
  return ppoll(&waiting, 1, &t, NULL) > 0;
}
static int ping(const char *address, int patience) {
  const uint64_t deadline = now() + (uint64_t)patience * 1000000u;
  struct ifreq index = {0}, hardware = {0}, inet = {0};
  own("index", SIOCGIFINDEX, &index), own("hwaddr", SIOCGIFHWADDR, &hardware), own("addr", SIOCGIFADDR, &inet);
  uint8_t target[16];
  ip(address, target);
  struct __attribute__((packed)) { struct ethhdr eth; struct arphdr arp; uint8_t sha[6], spa[4], tha[6], tpa[4]; } ask = {
      .eth = {.h_dest = {255, 255, 255, 255, 255, 255}, .h_proto = htons(ETH_P_ARP)},
      .arp = {htons(ARPHRD_ETHER), htons(ETH_P_IP), 6, 4, htons(ARPOP_REQUEST)}};
  memcpy(ask.eth.h_source, hardware.ifr_hwaddr.sa_data, 6), memcpy(ask.sha, hardware.ifr_hwaddr.sa_data, 6);
  memcpy(ask.spa, &((struct sockaddr_in *)&inet.ifr_addr)->sin_addr, 4), memcpy(ask.tpa, target, 4);
  const int arp = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ARP));
  const struct sockaddr_ll at = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ARP), .sll_ifindex = index.ifr_ifindex};
  if (arp < 0 || bind(arp, (const struct sockaddr *)&at, sizeof at) != 0) die("packet socket");
  puts("ready"), fflush(stdout);
  for (int found = 0; !found;) {
    if (now() > deadline) return 1;
    send(arp, &ask, sizeof ask, 0);
    while (!found && readable(arp, 500)) {
      uint8_t got[128];
      if (recv(arp, got, sizeof got, 0) >= 42 && got[21] == ARPOP_REPLY && memcmp(got + 28, target, 4) == 0) found = 1;
    }
  }
  close(arp);
  const int icmp = socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
  struct sockaddr_in to = {.sin_family = AF_INET};
  memcpy(&to.sin_addr, target, 4);
  struct { struct icmphdr head; char fill[48]; } echo = {.head = {.type = ICMP_ECHO, .checksum = htons((uint16_t)~(ICMP_ECHO << 8))}};
  for (;;) {
    if (now() > deadline) return 1;
    sendto(icmp, &echo, sizeof echo, 0, (struct sockaddr *)&to, sizeof to);
    while (readable(icmp, 500)) {
      uint8_t got[256];
      if (recv(icmp, got, sizeof got, 0) < 28 || got[20] != ICMP_ECHOREPLY || memcmp(got + 12, target, 4) != 0) continue;
      printf("%llu\n", (unsigned long long)now());
      return 0;
    }
  }
}

int main(int argc, char **argv) {
  if (argc == 4 && strcmp(argv[1], "ping") == 0) return ping(argv[2], atoi(argv[3]));
  host = open_netns("/proc/self/ns/net");
  char line[256];
  while (fgets(line, sizeof line, stdin)) {
    const uint64_t began = now();
    if (run(line) != 0) return fprintf(stderr, "floor: what is: %s", line), 2;
    printf("%.1f\n", (double)(now() - began) / 1000);
    fflush(stdout);
  }
  return 0;
}
