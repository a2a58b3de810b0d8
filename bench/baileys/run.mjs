// Runs one script against a network: a deadline, a verdict, an exit code.

import assert from 'node:assert/strict'
import { network } from './client.mjs'

const DEADLINE_MS = 45_000

let last = 'the start'

export function same(seen, wanted, what) {
  assert.deepEqual(seen, wanted, what)
  last = what ?? last
}

// Exits 0 when the steps hold and the client asked nothing that the network does not know.
export async function run(steps) {
  const base = process.argv[2]
  if (!base) {
    console.error(`usage: node ${process.argv[1]} <base URL of the network>`)
    process.exit(2)
  }
  setTimeout(() => finish(1, `not finished in time; seen last: ${last}`), DEADLINE_MS)
  try {
    await steps(base)
    const { unknown } = await network(base)('GET', '/admin/stats')
    assert.deepEqual(unknown, {}, 'asked what the network does not know')
  } catch (error) {
    finish(1, error.stack)
  }
  finish(0, 'all seen')
}

function finish(code, message) {
  console.log(message)
  process.exit(code)
}
