import { randomBytes } from 'node:crypto';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { WarrenError } from '../model/error.ts';
import type { Ip } from '../model/ip.ts';
import { familyOf } from '../model/ip.ts';

/*
 * Is a host that joins reached at the address it names, and on the ports its data will come to? It listens there, and a manager
 * sends it a word that it has chosen. A wrong address (the one of a NAT that every machine has, say) or a firewall shows before
 * anything is changed; later it would look like a network that does not work.
 */
const times = 4;
const everyMs = 200;

/** The manager's part: says the word to the host, from the address the others know this one by. */
export async function sayWord(local: Ip, address: Ip, ports: readonly number[], word: string): Promise<void> {
  const socket = createSocket(familyOf(local) === 4 ? 'udp4' : 'udp6');
  socket.on('error', () => {}); // no way there: the host will not hear it, and say so
  try {
    socket.bind({ address: local });
    await once(socket, 'listening');
    for (let time = 0; time < times; time++) {
      for (const port of ports) socket.send(word, port, address);
      await sleep(everyMs);
    }
  } finally {
    socket.close();
  }
}

/** The joining host's part: which of the ports the word came to; undefined where something else listens there already. */
export async function heardWord(
  local: Ip,
  ports: readonly number[],
  ask: (word: string) => Promise<unknown>,
): Promise<ReadonlyMap<number, boolean | undefined>> {
  const word = randomBytes(16).toString('hex');
  const ears = await Promise.all(ports.map((port) => listen(local, port)));
  try {
    const heard = ears.map(
      (ear) => ear && new Promise<true>((resolve) => ear.on('message', (text) => `${text}` === word && resolve(true))),
    );
    // It comes before the answer, or not at all.
    const over = ask(word)
      .then(() => sleep(everyMs))
      .then(() => false);
    const found = await Promise.all(heard.map((one) => one && Promise.race([one, over])));
    await over;
    return new Map(ports.map((port, i) => [port, found[i]]));
  } finally {
    for (const ear of ears) ear?.close();
  }
}

async function listen(address: Ip, port: number): Promise<Socket | undefined> {
  const socket = createSocket(familyOf(address) === 4 ? 'udp4' : 'udp6');
  try {
    socket.bind({ address, port, exclusive: true });
    await once(socket, 'listening');
    return socket;
  } catch {
    socket.close();
    return undefined;
  }
}

/** Throws where nothing came; tells which ports do not work where others do. */
export function judge(address: Ip, manager: string, heard: ReadonlyMap<number, boolean | undefined>): number[] {
  const asked = [...heard].filter(([, came]) => came !== undefined);
  const silent = asked.filter(([, came]) => !came).map(([port]) => port);
  if (silent.length < asked.length || asked.length === 0) return silent;
  throw new WarrenError(
    'address_unreachable',
    `the manager at ${manager} does not reach this host at ${address}: nothing came to UDP ports ${silent.join(', ')}`,
    'name the right address with --advertise, or let these ports pass; to join all the same: --no-verify',
  );
}
