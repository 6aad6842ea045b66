import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import winston from 'winston';
import { Notifier } from '../../src/agent/notify.ts';
import { waitFor } from '../support/wait.ts';

const dir = mkdtempSync(join(tmpdir(), 'warren-notify-'));
after(() => rmSync(dir, { recursive: true }));
const quiet = winston.createLogger({ silent: true });

/** Of the standard libraries at hand Python's alone has Unix datagram sockets. Each datagram becomes a line. */
const manager = `
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1].replace("@", "\\0", 1))
print("bound", flush=True)
while True: print(repr(s.recv(4096).decode()), flush=True)
`;

async function listen(name: string): Promise<{ heard: () => string[]; [Symbol.dispose]: () => void }> {
  const child = spawn('python3', ['-c', manager, name], { stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  child.stdout.on('data', (data) => {
    text += data;
  });
  await once(child.stdout, 'data');
  return { heard: () => text.trim().split('\n').slice(1), [Symbol.dispose]: () => child.kill() };
}

for (const [what, name] of [
  ['at a path', join(dir, 'notify')],
  ['of an abstract name', `@warren-notify-${process.pid}`],
] as const) {
  test(`a service manager ${what} hears of ready, again and again, and of the end`, async () => {
    using socket = await listen(name);
    const env: NodeJS.ProcessEnv = { NOTIFY_SOCKET: name, WATCHDOG_USEC: '40000', WATCHDOG_PID: String(process.pid) };
    const notifier = new Notifier(env, quiet);
    assert.deepEqual(env, {}, 'nothing of it is left for children');
    notifier.ready(() => 'well');
    await waitFor(() => socket.heard().length >= 3, { what: 'two signs of life' });
    notifier.stopping();
    await waitFor(() => socket.heard().at(-1) === String.raw`'STOPPING=1\n'`, { what: 'the end' });
    const [ready, alive] = socket.heard();
    assert.deepEqual([ready, alive], [String.raw`'READY=1\nSTATUS=well\n'`, String.raw`'WATCHDOG=1\nSTATUS=well\n'`]);
  });
}

test('a watchdog that is another process’s, and a manager that has gone, are no trouble', () => {
  const said: string[] = [];
  const log = { warn: (message: string) => said.push(message) } as unknown as typeof quiet;
  const notifier = new Notifier({ NOTIFY_SOCKET: join(dir, 'none'), WATCHDOG_USEC: '10', WATCHDOG_PID: '1' }, log);
  notifier.ready(() => '');
  notifier.stopping();
  assert.deepEqual(said, ['the service manager does not hear'], 'said once');
});

test('without one nobody is told', () => {
  const notifier = new Notifier({ WATCHDOG_USEC: '10' }, quiet);
  notifier.ready(() => assert.fail('nobody asked'));
  notifier.stopping();
});
