import winston from 'winston';

export type Log = winston.Logger;

/** Lines for people on a terminal, JSON otherwise; to stderr, as stdout belongs to the command. */
export function openLog(verbose: boolean): Log {
  const { combine, timestamp, json, printf, colorize } = winston.format;
  const people = combine(
    colorize(),
    timestamp({ format: 'HH:mm:ss.SSS' }),
    printf(({ level, message, timestamp: at, ...fields }) => {
      const rest = Object.entries(fields).map(
        ([key, value]) => `${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`,
      );
      return [at, level, message, ...rest].join(' ');
    }),
  );
  const log = winston.createLogger({
    level: verbose ? 'debug' : 'info',
    format: process.stderr.isTTY ? people : combine(timestamp(), json()),
    transports: [new winston.transports.Console({ stderrLevels: Object.keys(winston.config.npm.levels) })],
  });
  // Winston formats a line first and looks at its level later: 0.1 ms per attach for nothing.
  if (!verbose) log.debug = () => log;
  return log;
}
