/** Apart from config.ts so that a command which only asks the agent loads no parser. */
export function configPathOf(options: { config?: string }): string {
  return options.config ?? process.env.WARREN_CONFIG ?? '/etc/warren/config.yaml';
}
