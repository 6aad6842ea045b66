/**
 * Node's test reporter in a guest: one JSON line {name, skipped, error?} per test that ended, suites as part of its name.
 * JavaScript, because reporters are loaded before the loader that knows TypeScript.
 */
import { inspect } from 'node:util';

export default async function* lines(events) {
  const path = [];
  for await (const { type, data } of events) {
    if (type === 'test:start') {
      path.length = data.nesting;
      path[data.nesting] = data.name;
    }
    if (type !== 'test:pass' && type !== 'test:fail') continue;
    const error = data.details?.error;
    // A suite that fails because a test in it did says nothing new; one whose hook failed does.
    if (data.details?.type === 'suite' && (!error || error.failureType === 'subtestsFailed')) continue;
    const name = [...path.slice(0, data.nesting), data.name].join(' > ');
    const skipped = data.skip !== undefined || data.todo !== undefined;
    yield `${JSON.stringify({ name, skipped, error: error && inspect(error.cause ?? error) })}\n`;
  }
}
