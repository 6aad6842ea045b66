/**
 * In a guest: passes requests on to the agent's socket. `warren` does the same, but starting it takes half a second of a
 * guest's time. JavaScript, because guests have no loader for TypeScript.
 *
 *   in:   {"id":1,"method":"endpoint.list","params":{}}            one document a line
 *   out:  {"id":1,"result":[…]}  or  {"id":1,"error":{"code":"…","message":"…"}}
 */
import { connect } from 'node:net';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';

const path = '/run/warren/agent.sock';
/** As long as `warren` waits for an agent that is not there. */
const patience = 5000;

async function socketTo(agent, deadline = performance.now() + patience) {
  for (;;) {
    const socket = connect(agent);
    const connected = await new Promise((resolve) => {
      socket.once('connect', () => resolve(true));
      socket.on('error', () => resolve(false));
    });
    if (connected || performance.now() > deadline) return connected ? socket : undefined;
    await sleep(50);
  }
}

/** A connection of its own for each, so that what an agent did not answer is known when it dies. */
async function ask(request) {
  const socket = await socketTo(path);
  if (!socket) return { error: { code: 'agent_unreachable', message: 'no agent answers' } };
  return new Promise((resolve) => {
    const gone = () => resolve({ error: { code: 'agent_unreachable', message: 'the agent hung up' } });
    socket.on('close', gone);
    if (socket.destroyed) gone();
    const lines = createInterface({ input: socket });
    // It hands on the socket's errors: one that was killed with our request unread.
    lines.on('error', () => {});
    lines.on('line', (line) => {
      const { result, error } = JSON.parse(line);
      resolve(error ? { error: error.data ?? { code: 'internal', message: error.message } } : { result });
      socket.end();
    });
    socket.write(`${JSON.stringify({ jsonrpc: '2.0', ...request })}\n`);
  });
}

createInterface({ input: process.stdin }).on('line', async (line) => {
  const { id, ...request } = JSON.parse(line);
  process.stdout.write(`${JSON.stringify({ id, ...(await ask({ id, ...request })) })}\n`);
});
