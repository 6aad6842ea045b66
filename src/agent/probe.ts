import { createSocket } from 'node:dgram';
import type { Empty } from '../keys/hearing.ts';
import type { Ip } from '../model/ip.ts';
import { familyOf } from '../model/ip.ts';

/** A VXLAN header (RFC 7348) of VNI 0, which is no network's: the peer's kernel decrypts it, counts it, and drops it. */
const nobodys = Uint8Array.of(0x08, 0, 0, 0, 0, 0, 0, 0);

/** What SAs count of it: of one that comes in no IP header. */
export function emptyProbe(local: Ip): Empty {
  const udp = 8 + nobodys.length;
  return { out: (familyOf(local) === 4 ? 20 : 40) + udp, into: udp };
}

/**
 * Sends a datagram of this host itself by the policy towards a peer, so that the peer's SA has something to count
 * (keys/passage.ts). It may be lost, or refused by the kernel just now: then the next one says it.
 */
export async function probe(local: Ip, remote: Ip, port: number): Promise<void> {
  const socket = createSocket(familyOf(local) === 4 ? 'udp4' : 'udp6');
  await new Promise<void>((resolve) => {
    socket.on('error', () => resolve());
    socket.bind({ address: local, exclusive: true }, () => socket.send(nobodys, port, remote, () => resolve()));
  });
  socket.close();
}
