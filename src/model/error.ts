/**
 * Every error a user can see, in one registry: a stable code and the exit status that goes with it.
 * Exit codes: 1 failed, 2 invalid input, 3 not found, 4 conflict, 5 agent or store unreachable, 6 kernel lacks a feature.
 */
export const exitCodes = {
  internal: 1,
  kernel: 1,
  not_root: 1,
  identity_unusable: 1,
  invalid_input: 2,
  no_advertise_address: 2,
  not_initialized: 2,
  password_on_argv: 2,
  network_not_found: 3,
  endpoint_not_found: 3,
  node_not_found: 3,
  name_not_found: 3,
  service_not_found: 3,
  netns_not_found: 3,
  pid_not_found: 3,
  name_taken: 4,
  ambiguous: 4,
  subnet_overlap: 4,
  address_exhausted: 4,
  address_taken: 4,
  mac_taken: 4,
  pool_exhausted: 4,
  vni_exhausted: 4,
  index_exhausted: 4,
  token_refused: 4,
  wrong_ca: 4,
  address_unreachable: 4,
  not_a_manager: 4,
  netns_attached: 4,
  ifname_taken: 4,
  backend_taken: 4,
  published_port_taken: 4,
  quota_exceeded: 4,
  network_in_use: 4,
  network_closing: 4,
  node_alive: 4,
  node_drained: 4,
  node_in_use: 4,
  already_initialized: 4,
  agent_running: 4,
  port_taken: 4,
  behind_nat: 4,
  stale_epoch: 4,
  identity_in_use: 4,
  agent_unreachable: 5,
  manager_unreachable: 5,
  store_unreachable: 5,
  store_auth: 5,
  store_readonly: 5,
  store_full: 5,
  store_evicts: 4,
  store_schema: 5,
  store_too_old: 5,
  store_lost_writes: 5,
  kernel_feature_missing: 6,
} as const;

export type ErrorCode = keyof typeof exitCodes;

/** What crosses the agent's socket and what `--json` prints. */
export type ErrorData = { code: ErrorCode; message: string; hint?: string };

/** An error meant for the person at the terminal: what happened, why, and what to do next. */
export class WarrenError extends Error {
  readonly code: ErrorCode;
  readonly hint: string | undefined;

  constructor(code: ErrorCode, message: string, hint?: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'WarrenError';
    this.code = code;
    this.hint = hint;
  }

  get exit(): number {
    return exitCodes[this.code];
  }

  toJSON(): ErrorData {
    return { code: this.code, message: this.message, ...(this.hint === undefined ? {} : { hint: this.hint }) };
  }

  static from(data: ErrorData): WarrenError {
    return new WarrenError(data.code in exitCodes ? data.code : 'internal', data.message, data.hint);
  }
}
