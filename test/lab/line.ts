/**
 * The control line of a guest: frames over a serial line, independent of the guest's network, so tests may break that.
 *
 *   frame   = type:u8 0:u8 job:u16 length:u32 payload      little endian
 *   to the guest:    X exec (cwd\0 ENV=..\0 .. \0 argv0\0 argv1\0 ..)   I stdin (empty: end)   K signal:u8   Q power off
 *   from the guest:  H hello   O stdout   E stderr   S wait status:i32, the last of a job   A bytes read:u32
 */
import type { Duplex } from 'node:stream';

export type FrameType = 'X' | 'I' | 'K' | 'Q' | 'H' | 'O' | 'E' | 'S' | 'A';
type Receiver = (type: FrameType, job: number, payload: Buffer) => void;

const headerSize = 8;
/** User-Mode Linux never reads a serial line again once the guest's tty has throttled it (4 KiB unread), so no more than this is under way. */
const window = 2048;
const chunk = 65536;

export class Line {
  readonly #stream: Duplex;
  readonly #receive: Receiver;
  #queue: Buffer[] = [];
  #unacknowledged = 0;
  #parts: Buffer[] = [];
  #have = 0;
  #need = headerSize;

  constructor(stream: Duplex, receive: Receiver) {
    this.#stream = stream;
    this.#receive = receive;
    stream.on('error', () => {}); // the guest's end says it: its process exits
    stream.on('data', (data: Buffer) => this.#take(data));
  }

  send(type: FrameType, job: number, payload: Buffer = Buffer.alloc(0)): void {
    let offset = 0;
    do {
      const part = payload.subarray(offset, type === 'I' ? offset + chunk : undefined);
      const header = Buffer.alloc(headerSize);
      header.write(type, 0, 'latin1');
      header.writeUInt16LE(job, 2);
      header.writeUInt32LE(part.length, 4);
      this.#queue.push(header, part);
      offset += part.length;
    } while (offset < payload.length);
    this.#pump();
  }

  #pump(): void {
    while (this.#unacknowledged < window) {
      const data = this.#queue.shift();
      if (!data) return;
      const now = data.subarray(0, window - this.#unacknowledged);
      if (now.length < data.length) this.#queue.unshift(data.subarray(now.length));
      this.#unacknowledged += now.length;
      this.#stream.write(now);
    }
  }

  #take(data: Buffer): void {
    this.#parts.push(data);
    this.#have += data.length;
    if (this.#have < this.#need) return;
    let bytes = this.#parts.length > 1 ? Buffer.concat(this.#parts) : data;
    for (;;) {
      this.#need = headerSize + (bytes.length >= headerSize ? bytes.readUInt32LE(4) : 0);
      if (bytes.length < this.#need) break;
      const payload = bytes.subarray(headerSize, this.#need);
      const type = String.fromCharCode(bytes[0] ?? 0) as FrameType;
      if (type === 'A') {
        this.#unacknowledged -= payload.readUInt32LE(0);
        this.#pump();
      } else {
        this.#receive(type, bytes.readUInt16LE(2), payload);
      }
      bytes = bytes.subarray(this.#need);
    }
    this.#parts = [bytes];
    this.#have = bytes.length;
  }
}
