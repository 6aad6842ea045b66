/** `npm run lab`: three hosts for a person to play with. */
import { spawn, spawnSync } from 'node:child_process';
import { closeSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { waitFor } from '../support/wait.ts';
import { ask, serve } from './daemon.ts';
import { Lab } from './lab.ts';
import { here, LabError, project } from './tools.ts';

const usage = `usage: npm run lab [-- VERB]
  (nothing) | N        boot three hosts, or N, a to h: 10.77.0.1.. and fd77::1.., Redis in a
  in HOST [CMD...]     run a command there, or a shell
  kill|stop|start HOST pull the plug, power off, boot
  list                 the hosts
  net COMMAND          the switch: cut, lose, delay, block, capture, count (without COMMAND: explains)
  down                 remove all of it
`;
const logFile = join(tmpdir(), 'warren-lab.log');
const quote = (word: string) => `'${word.replaceAll("'", "'\\''")}'`;

// Somebody's `| head` has read enough.
process.stdout.on('error', () => process.exit(1));
const [verb = 'up', ...words] = process.argv.slice(2);
try {
  process.exitCode = await main();
} catch (error) {
  if (!(error instanceof LabError)) throw error;
  process.stderr.write(`lab: error: ${error.message}\n`);
  process.exitCode = 1;
}

async function main(): Promise<number> {
  const [host = ''] = words;
  switch (verb) {
    case 'up':
      return up(3);
    case 'serve':
      await serve(await Lab.start({ guests: Number(host) }));
      return 0;
    case 'in':
      return host ? enter(host, words.slice(1)) : wrong();
    case 'kill':
    case 'stop':
    case 'start':
      return host ? ask({ verb, guest: host }) : wrong();
    case 'net':
      return host ? ask({ verb, command: words.join(' ') }, { onValue: print }) : explainSwitch();
    case 'list':
      return ask({ verb }, { onValue: print });
    case 'down':
      return ask({ verb }).finally(() => rmSync(logFile, { force: true }));
    default:
      return /^[1-8]$/.test(verb) ? up(Number(verb)) : wrong();
  }
}

function wrong(): number {
  process.stderr.write(usage);
  return 2;
}

function print(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value, undefined, 2)}\n`);
}

/** The switch's language is written once, at the top of its source. */
function explainSwitch(): number {
  const comment = readFileSync(join(here, 'labsw.c'), 'utf8').replace(/\*\/.*/s, '');
  const commands = comment.split('\n').filter((line) => line.startsWith(' *   '));
  process.stdout.write(`${commands.map((line) => line.slice(3)).join('\n')}\n  ports are a.0 b.0 c.0\n`);
  return 0;
}

async function up(count: number): Promise<number> {
  const running = await ask({ verb: 'list' }).then(
    () => true,
    () => false,
  );
  if (running) throw new LabError('a lab is up already: npm run lab -- in a, or npm run lab -- down');
  const log = openSync(logFile, 'w');
  const self = fileURLToPath(import.meta.url);
  const server = spawn(process.execPath, [...process.execArgv, self, 'serve', String(count)], {
    cwd: project,
    detached: true,
    stdio: ['ignore', log, log],
  });
  closeSync(log);
  server.unref();
  await waitFor(
    () => {
      if (server.exitCode !== null) return true;
      return ask({ verb: 'list' }).then((code) => code === 0);
    },
    { what: 'the hosts to boot', timeout: 60_000 },
  );
  if (server.exitCode !== null) throw new LabError(`the hosts did not boot:\n${readFileSync(logFile, 'utf8')}`);
  const redis = `redis-server --bind '* -::*' --protected-mode no --save '' --dir /run --daemonize yes >/dev/null
    until redis-cli ping >/dev/null 2>&1; do sleep 0.05; done`;
  await ask({ verb: 'in', guest: 'a', argv: ['timeout', '20', 'sh', '-c', redis], env: {} });
  const names = [...'abcdefgh'].slice(0, count);
  process.stdout.write(`${count} hosts are up: ${names.map((name, i) => `${name} 10.77.0.${i + 1}`).join(', ')}
Redis runs in a; the project's warren is on PATH in each: warren init --store redis://10.77.0.1
  npm run lab -- in a bash      enter one (or run a command there)
  npm run lab -- net            cut, lose, delay, capture
  npm run lab -- down           remove all of it
`);
  if (process.stdin.isTTY && process.stdout.isTTY && spawnSync('tmux', ['-V']).status === 0) tmux(names);
  return 0;
}

function tmux(names: readonly string[]): void {
  const shell = (name: string) => `cd ${quote(project)} && exec scripts/lab in ${name}`;
  const args = ['-L', 'warren-lab', 'new-session', shell(names[0] ?? 'a')];
  for (const name of names.slice(1)) args.push(';', 'split-window', shell(name), ';', 'select-layout', 'even-vertical');
  spawnSync('tmux', args, { stdio: 'inherit', env: { ...process.env, TMUX: '' } });
  process.stdout.write('the hosts are still up; npm run lab -- down removes them\n');
}

/** On a terminal the command gets one too, of the same size. */
function enter(guest: string, command: readonly string[]): Promise<number> {
  const argv = command.length > 0 ? command : ['bash'];
  if (!process.stdin.isTTY || !process.stdout.isTTY) return ask({ verb: 'in', guest, argv, env: {} }, { input: true });
  const { rows, columns } = process.stdout;
  const inner = `stty rows ${rows} cols ${columns}; exec ${argv.map(quote).join(' ')}`;
  const env = { TERM: process.env.TERM ?? 'linux', PS1: `${guest}:\\w# ` };
  process.stdin.setRawMode(true);
  const done = ask({ verb: 'in', guest, argv: ['script', '-qefc', inner, '/dev/null'], env }, { input: true });
  return done.finally(() => process.stdin.setRawMode(false));
}
