import { createSocket } from 'node:dgram';
import { connect, isIPv6 } from 'node:net';
import { Frames, framed } from './frames.ts';

const port = 53;
const headerSize = 12;

/** silent: it may answer another time; unreachable: the kernel knows that it will not. */
export type Outcome = Buffer | 'silent' | 'unreachable';
export type Exchange = Promise<Outcome>;

/** One message to a server and the one that answers it; anything else that arrives is somebody's forgery. */
export function exchangeUdp(server: string, message: Buffer, asked: Uint8Array, ms: number): Exchange {
  return new Promise((resolve) => {
    const socket = createSocket(isIPv6(server) ? 'udp6' : 'udp4');
    const end = (outcome: Outcome): void => {
      clearTimeout(timer);
      resolve(outcome);
      try {
        socket.close();
      } catch {} // it is closed: this is the second reason to end
    };
    const timer = setTimeout(() => end('silent'), ms);
    socket.on('error', () => end('unreachable'));
    socket.on('message', (answered) => answers(answered, message, asked) && end(answered));
    socket.connect(port, server, () => socket.send(message, (error) => error && end('unreachable')));
  });
}

/** The same over a connection of its own. */
export function exchangeTcp(server: string, message: Buffer, asked: Uint8Array, ms: number): Exchange {
  return new Promise((resolve) => {
    const socket = connect({ host: server, port });
    const frames = new Frames();
    const end = (outcome: Outcome): void => {
      clearTimeout(timer);
      resolve(outcome);
      socket.destroy();
    };
    const timer = setTimeout(() => end('silent'), ms);
    socket.on('error', () => end('unreachable'));
    socket.on('close', () => end('unreachable'));
    socket.on('data', (data) => {
      const answered = frames.push(data).find((each) => answers(each, message, asked));
      if (answered) end(answered);
    });
    socket.write(framed(message));
  });
}

/** Same id, same question, whatever its case; a server that understood nothing may leave the question out. */
function answers(answered: Buffer, message: Buffer, asked: Uint8Array): boolean {
  if (answered.length < headerSize || !((answered[2] ?? 0) & 0x80)) return false;
  if (answered.readUInt16BE(0) !== message.readUInt16BE(0)) return false;
  if (answered.length === headerSize) return ((answered[3] ?? 0) & 15) !== 0;
  const told = answered.subarray(headerSize, headerSize + asked.length);
  const lower = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1').toLowerCase();
  if (answered.readUInt16BE(4) !== 1 || lower(told) !== lower(asked)) return false;
  told.set(asked); // as the client wrote it
  return true;
}
