/**
 * A lab that stays up for a person, behind a Unix socket.
 *
 *   to it:    one line of JSON, a Request, then, for `in`, standard input as it is until the end
 *   from it:  lines of JSON, each a Reply; the last one has `code`
 */
import { rmSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import type { Guest } from './guest.ts';
import type { Job } from './job.ts';
import type { Lab } from './lab.ts';
import { LabError } from './tools.ts';

export type Request =
  | { verb: 'in'; guest: string; argv: readonly string[]; env: Record<string, string> }
  | { verb: 'net'; command: string }
  | { verb: 'kill' | 'stop' | 'start'; guest: string }
  | { verb: 'list' | 'down' };
type Reply = { out?: string; err?: string; value?: unknown; error?: string; code?: number };

export const socketPath = process.env.LAB_SOCKET ?? '/run/warren-lab.sock';

/** Serves a lab until `down` or a signal. */
export async function serve(lab: Lab): Promise<void> {
  rmSync(socketPath, { force: true });
  const end = async (last?: Socket) => {
    rmSync(socketPath, { force: true });
    await lab.stop();
    last?.end(`${JSON.stringify({ code: 0 } satisfies Reply)}\n`, () => process.exit(0));
    if (!last) process.exit(0);
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.prependListener(signal, () => void end());
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => {}); // the client went away
    answer(lab, socket).then(
      (down) => (down ? end(socket) : undefined),
      (error: Error) => socket.end(`${JSON.stringify({ error: error.message, code: 125 } satisfies Reply)}\n`),
    );
  });
  await new Promise<void>((resolve) => server.listen(socketPath, resolve));
}

/** Handles one connection; true when it asked for the end. */
async function answer(lab: Lab, socket: Socket): Promise<boolean> {
  const say = (reply: Reply) => socket.write(`${JSON.stringify(reply)}\n`);
  let job: Job | undefined;
  const request = await new Promise<Request>((resolve) => {
    let early = Buffer.alloc(0);
    let known = false;
    socket.on('data', (data: Buffer) => {
      if (job) return job.write(data);
      early = Buffer.concat([early, data]);
      const line = early.indexOf('\n');
      if (known || line < 0) return;
      known = true;
      resolve(JSON.parse(early.toString('utf8', 0, line)) as Request);
      // What came with the request is the beginning of standard input: give it back to whoever reads next.
      const rest = early.subarray(line + 1);
      if (rest.length > 0) setImmediate(() => socket.emit('data', rest));
    });
  });
  const guest = (name: string) => {
    const found = (lab.guests as Record<string, Guest>)[name];
    if (!found) throw new LabError(`no guest ${name}; there are ${Object.keys(lab.guests).join(' ')}`);
    return found;
  };
  switch (request.verb) {
    case 'in': {
      const running = guest(request.guest).spawn(request.argv, {
        env: request.env,
        onStdout: (data) => say({ out: data.toString('base64') }),
        onStderr: (data) => say({ err: data.toString('base64') }),
      });
      job = running;
      if (socket.readableEnded) running.end();
      socket.on('end', () => running.end());
      socket.on('close', () => running.kill('SIGHUP'));
      const result = await running.done;
      say({ code: result.guestDied ? 255 : (result.code ?? 128 + result.signal) });
      break;
    }
    case 'net':
      say({ value: request.command === 'stats' ? await lab.stats() : await lab.net(request.command), code: 0 });
      break;
    case 'kill':
    case 'stop':
    case 'start':
      await guest(request.guest)[request.verb]();
      say({ code: 0 });
      break;
    case 'list': {
      const row = (g: (typeof lab.all)[number]) => ({
        name: g.name,
        up: g.up,
        address: g.address(),
        address6: g.address(6),
      });
      say({ value: lab.all.map(row), code: 0 });
      break;
    }
    case 'down':
      return true;
  }
  socket.end();
  return false;
}

/** Sends a request and passes on what comes back; resolves to the exit code. `input` makes this process's stdin the command's. */
export function ask(
  request: Request,
  options: { input?: boolean; onValue?: (value: unknown) => void } = {},
): Promise<number> {
  return new Promise((resolve, reject) => {
    const socket = connect(socketPath, () => {
      socket.write(`${JSON.stringify(request)}\n`);
      if (options.input) process.stdin.pipe(socket);
      else socket.end();
    });
    let code = 255;
    let text = '';
    socket.on('data', (data) => {
      const lines = (text + data.toString()).split('\n');
      text = lines.pop() ?? '';
      for (const line of lines) {
        const reply = JSON.parse(line) as Reply;
        if (reply.out) process.stdout.write(Buffer.from(reply.out, 'base64'));
        if (reply.err) process.stderr.write(Buffer.from(reply.err, 'base64'));
        if (reply.error) process.stderr.write(`lab: error: ${reply.error}\n`);
        if (reply.value !== undefined) options.onValue?.(reply.value);
        if (reply.code !== undefined) code = reply.code;
      }
    });
    socket.on('close', () => {
      if (options.input) process.stdin.unpipe(socket).destroy();
      resolve(code);
    });
    socket.on('error', (error: NodeJS.ErrnoException) => {
      const none = error.code === 'ENOENT' || error.code === 'ECONNREFUSED';
      reject(none ? new LabError('no lab is up; npm run lab starts one') : error);
    });
  });
}
