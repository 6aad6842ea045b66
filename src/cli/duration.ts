import { WarrenError } from '../model/error.ts';

const units: Record<string, number> = { s: 1, m: 60, h: 3600, d: 86_400 };

/** `90s`, `30m`, `24h`, `7d` in seconds. */
export function seconds(what: string, text: string): number {
  const [, count, unit] = /^(\d{1,6})([smhd])$/.exec(text) ?? [];
  const value = Number(count) * (units[unit ?? ''] ?? 0);
  if (value > 0) return value;
  throw new WarrenError('invalid_input', `${what} ${text} is not a time like 90s, 30m, 24h or 7d`);
}
