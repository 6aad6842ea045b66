/**
 * asker.mjs SERVER NAME MS: asks for NAME's address every MS milliseconds, each time from the same port with another id, until
 * SIGINT; then waits two seconds for what is still on its way and prints {sent, answered, addresses, slowest, failed}.
 */
import { createSocket } from 'node:dgram';

const [server, name, ms] = process.argv.slice(2);
const socket = createSocket(server.includes(':') ? 'udp6' : 'udp4');
const labels = name.split('.').map((label) => Buffer.concat([Buffer.from([label.length]), Buffer.from(label)]));
const question = Buffer.concat([...labels, Buffer.from([0, 0, 1, 0, 1])]);
const waiting = new Map();
const addresses = new Set();
const result = { sent: 0, answered: 0, slowest: 0, failed: 0 };

socket.on('message', (message) => {
  const began = waiting.get(message.readUInt16BE(0));
  if (began === undefined) return;
  waiting.delete(message.readUInt16BE(0));
  result.answered++;
  result.slowest = Math.max(result.slowest, performance.now() - began);
  if ((message[3] & 15) !== 0 || message.readUInt16BE(6) === 0) result.failed++;
  else addresses.add(message.subarray(-4).join('.'));
});
socket.on('error', () => {}); // a refusal: the question stays unanswered
socket.connect(53, server, () => {
  process.stdout.write('asking\n');
  const timer = setInterval(() => {
    const id = result.sent++ & 0xffff;
    waiting.set(id, performance.now());
    const header = Buffer.from([id >> 8, id & 255, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    socket.send(Buffer.concat([header, question]), () => {});
  }, Number(ms));
  process.on('SIGINT', () => {
    clearInterval(timer);
    setTimeout(() => {
      process.stdout.write(`${JSON.stringify({ ...result, addresses: [...addresses] })}\n`, () => process.exit());
    }, 2000);
  });
});
