/**
 * Guests as hosts that one reaches by ssh, from this machine, though nothing of theirs is on its network: connections go over
 * the guests' control lines.
 *
 *   ssh ── ProxyCommand ── Unix socket ── this process ── control line ── a shell in the guest ── dropbear
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import type { Guest } from './guest.ts';
import type { Lab } from './lab.ts';
import { here } from './tools.ts';

/** Standard input and output are a connection's: dropbear takes no pipe for one. What runs in the background has no stdin but 4. */
const toServer = 'exec 3<>/dev/tcp/127.0.0.1/22 4<&0; cat <&4 >&3 & exec cat <&3';

export class Ssh implements AsyncDisposable {
  /** Where keys and sockets are; the lab removes it. */
  readonly directory: string;
  readonly #servers: Server[] = [];
  readonly #connections = new Set<Socket>();

  private constructor(directory: string) {
    this.directory = directory;
  }

  static async start(lab: Lab): Promise<Ssh> {
    const ssh = new Ssh(join(lab.share, 'ssh'));
    mkdirSync(ssh.directory, { mode: 0o700 });
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', ssh.key]);
    execFileSync('dropbearkey', ['-t', 'ed25519', '-f', join(ssh.directory, 'host')], { stdio: 'ignore' });
    const authorized = readFileSync(`${ssh.key}.pub`, 'utf8');
    await Promise.all(
      lab.all.map(async (guest) => {
        await guest.write('/root/.ssh/authorized_keys', authorized, '600');
        // A bash that ssh starts reads it; this machine's may do a lot (1.3 s a command), and is not the guest's.
        await guest.ok('rm -f /root/.bashrc');
        // With the guest's own environment for what runs in it: `warren` and node are where they are on this machine.
        await guest.ok('dropbear -e -s -m -r /lab/ssh/host -p 127.0.0.1:22');
        await ssh.#serve(guest);
      }),
    );
    return ssh;
  }

  get key(): string {
    return join(this.directory, 'key');
  }

  /** For a client that reaches the guests by their names. */
  get options(): readonly string[] {
    const proxy = `${process.execPath} ${here}/pipe.mjs ${this.directory}/%h.sock`;
    const known = ['StrictHostKeyChecking=no', 'UserKnownHostsFile=/dev/null', 'LogLevel=ERROR'];
    return [`ProxyCommand=${proxy}`, `IdentityFile=${this.key}`, 'IdentitiesOnly=yes', ...known];
  }

  async #serve(guest: Guest): Promise<void> {
    const server = createServer((socket) => this.#connect(guest, socket));
    this.#servers.push(server);
    const path = join(this.directory, `${guest.name}.sock`);
    await new Promise<void>((resolve) => server.listen(path, resolve));
  }

  #connect(guest: Guest, socket: Socket): void {
    this.#connections.add(socket);
    socket.on('error', () => {}); // the client hung up
    const job = guest.spawn(['bash', '-c', toServer], { onStdout: (data) => socket.write(data), onStderr: () => {} });
    socket.on('data', (data: Buffer) => job.write(data));
    socket.on('close', () => {
      this.#connections.delete(socket);
      job.kill('SIGHUP');
    });
    void job.done.then(() => socket.end());
  }

  /** Clients that keep their connections for later (ControlPersist) end, too. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#connections) socket.destroy();
    await Promise.all(this.#servers.map((server) => new Promise((resolve) => server.close(resolve))));
  }
}
