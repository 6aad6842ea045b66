import { sendDatagram } from '../kernel/native.ts';
import type { Log } from './log.ts';

/**
 * Tells the service manager how we are (sd_notify(3)): ready, stopping, and, where it wishes, that the event loop still
 * turns. Without one, as on a terminal, it tells nobody.
 */
export class Notifier {
  readonly #socket: string | undefined;
  readonly #watchdogMs: number;
  readonly #log: Log;
  #timer: NodeJS.Timeout | undefined;
  #deaf = false;

  /** Takes its part out of the environment: what this process starts is not what the manager waits for. */
  constructor(env: NodeJS.ProcessEnv, log: Log) {
    const { NOTIFY_SOCKET, WATCHDOG_USEC, WATCHDOG_PID } = env;
    for (const name of ['NOTIFY_SOCKET', 'WATCHDOG_USEC', 'WATCHDOG_PID']) delete env[name];
    const ours = WATCHDOG_PID === undefined || Number(WATCHDOG_PID) === process.pid;
    this.#socket = NOTIFY_SOCKET || undefined;
    this.#watchdogMs = ours ? Number(WATCHDOG_USEC ?? 0) / 1000 : 0;
    this.#log = log;
  }

  /** From now on a manager that asked for it hears of us; twice as often as it must, as sd_watchdog_enabled(3) says. */
  ready(status: () => string): void {
    if (this.#socket === undefined) return;
    this.#tell('READY=1', `STATUS=${status()}`);
    if (this.#watchdogMs > 0)
      this.#timer = setInterval(() => this.#tell('WATCHDOG=1', `STATUS=${status()}`), this.#watchdogMs / 2).unref();
  }

  stopping(): void {
    clearInterval(this.#timer);
    if (this.#socket !== undefined) this.#tell('STOPPING=1');
  }

  #tell(...lines: readonly string[]): void {
    try {
      sendDatagram(this.#socket ?? '', `${lines.join('\n')}\n`);
      this.#deaf = false;
    } catch (error) {
      if (!this.#deaf) this.#log.warn('the service manager does not hear', { error: (error as Error).message });
      this.#deaf = true;
    }
  }
}
