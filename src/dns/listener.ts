import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { closeSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import type { Kernel } from '../kernel/kernel.ts';
import type { Netns } from '../kernel/state.ts';
import type { Ip } from '../model/ip.ts';
import { familyOf } from '../model/ip.ts';
import type { Via } from './forward.ts';
import { Frames, framed } from './frames.ts';

const port = 53;
const idleMs = 10_000;
/** Of one address; each is a file descriptor. Who comes then is turned away. */
const mostConnections = 128;
/** Of one connection, questions under way: more are read when these are answered. */
const mostAtOnce = 64;

export type Respond = (message: Buffer, via: Via) => Buffer | Promise<Buffer> | undefined;

/** What listens on one address inside a network's namespace. Each of its sockets keeps the namespace alive. */
export class Listener {
  readonly #respond: Respond;
  #udp: UdpSocket | undefined;
  #tcp: Server | undefined;
  readonly #connections = new Set<Socket>();
  #closed = false;

  constructor(respond: Respond) {
    this.#respond = respond;
  }

  /** Each of them that is not there yet; throws at the first that cannot be. */
  async open(kernel: Kernel, netns: Netns, address: Ip): Promise<void> {
    if (!this.#udp) {
      const fd = await kernel.socket(netns, 'udp', address, port);
      if (this.#closed) return closeSync(fd);
      this.#udp = this.#listenUdp(fd, address);
    }
    if (!this.#tcp) {
      const fd = await kernel.socket(netns, 'tcp', address, port);
      if (this.#closed) return closeSync(fd);
      this.#tcp = this.#listenTcp(fd);
    }
  }

  get complete(): boolean {
    return this.#udp !== undefined && this.#tcp !== undefined;
  }

  close(): void {
    this.#closed = true;
    this.#udp?.close();
    this.#tcp?.close();
    // Reset: one that waits for its client's last word keeps the namespace for minutes, and the client may be gone.
    for (const connection of this.#connections) connection.resetAndDestroy();
  }

  #listenUdp(fd: number, address: Ip): UdpSocket {
    const six = familyOf(address) === 6;
    const socket = createSocket({
      type: six ? 'udp6' : 'udp4',
      // What is sent to is an address already.
      lookup: (host, _options, callback) => callback(null, host, six ? 6 : 4),
    });
    socket.on('error', () => {}); // of one datagram, such as to a client that is gone
    socket.on('message', (message, { address: client, port: from }) => {
      const send = (answered: Buffer): void => {
        if (!this.#closed) socket.send(answered, from, client, () => {}); // a client that is gone
      };
      const answered = this.#respond(message, 'udp');
      if (answered instanceof Promise) void answered.then(send);
      else if (answered !== undefined) send(answered);
    });
    socket.bind({ fd });
    return socket;
  }

  #listenTcp(fd: number): Server {
    // Who has asked everything may close its half and still wait for answers.
    const server = createServer({ allowHalfOpen: true }, (connection) => this.#serve(connection));
    server.maxConnections = mostConnections;
    server.on('error', () => {
      this.#tcp = undefined; // another process listens there a moment longer
    });
    server.listen({ fd });
    return server;
  }

  /** Questions may follow one another at once, and answers go out as they come (RFC 7766 §6.2.1.1, §7). */
  #serve(connection: Socket): void {
    const frames = new Frames();
    const waiting: Buffer[] = [];
    let underWay = 0;
    let over = false;
    this.#connections.add(connection);
    connection.on('close', () => this.#connections.delete(connection));
    connection.on('error', () => {}); // 'close' follows
    connection.setTimeout(idleMs, () => connection.resetAndDestroy());
    const send = (answered: Buffer): boolean => connection.writable && connection.write(framed(answered));
    const work = (): void => {
      while (underWay < mostAtOnce && !connection.writableNeedDrain) {
        const message = waiting.shift();
        if (!message) break;
        const answered = this.#respond(message, 'tcp');
        if (answered === undefined) return void connection.resetAndDestroy(); // who sends such things is no client
        if (answered instanceof Promise) {
          underWay++;
          void answered.then((later) => {
            underWay--;
            send(later);
            work();
          });
        } else send(answered);
      }
      if (waiting.length > 0 || connection.writableNeedDrain) connection.pause();
      else if (over && underWay === 0) connection.end();
      else connection.resume();
    };
    connection.on('drain', work);
    connection.on('data', (data) => {
      waiting.push(...frames.push(data));
      work();
    });
    connection.on('end', () => {
      over = true;
      work();
    });
  }
}
