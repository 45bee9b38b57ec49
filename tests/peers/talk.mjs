// A client's side of its conversation with the test: one JSON object a line, each way. Secrets come this way alone.
import { createInterface } from 'node:readline';

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

// What the test says next; what the scripts need to know at first.
export const told = async () => JSON.parse((await lines.next()).value);

// Tells the test what came of a step.
export const step = (name, outcome = {}) => console.log(JSON.stringify({ ...outcome, step: name }));

// The error of a call that must fail.
export async function failure(call) {
  try {
    await call();
  } catch (error) {
    return error;
  }
  throw new Error('that should have failed');
}
