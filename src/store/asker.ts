import { AsyncLocalStorage } from 'node:async_hooks';

const asking = new AsyncLocalStorage<string>();

/** Who of a host's agents does things nobody asked for. */
const agent = 'agent';

/** What `run` changes in the store is said to be changed by that person. */
export function askedBy<Result>(person: string, run: () => Result): Result {
  return asking.run(person, run);
}

/** What follows from a person's change, later and by itself, is not that person's doing. */
export function askedByNobody<Result>(run: () => Result): Result {
  return asking.run(agent, run);
}

export function asker(): string {
  return asking.getStore() ?? agent;
}
