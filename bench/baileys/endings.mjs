// How sessions are refused and ended, as the independent client tells it: the code with which each connection closes.
//
//   node endings.mjs http://127.0.0.1:8080

import { Curve } from '@whiskeysockets/baileys'
import { linkedClient, network } from './client.mjs'
import { run, same } from './run.mjs'

const LOGGED_OUT = 401
const CONNECTION_LOST = 408
const REPLACED = 440
const BAD_SESSION = 500

await run(async base => {
  const admin = network(base)
  const client = await linkedClient(base)
  const target = client.phone
  const fault = what => admin('POST', '/admin/faults', { target, ...what })
  client.leave()

  for (const code of [400, 401, 402, 403, 405, 406, 409, 411, 413, 414, 415, 418, 500, 501, 503]) {
    await fault({ fault: 'refuse-login', code, count: 1 })
    same(await client.connection().closed, code, `a login refused with ${code}`)
  }

  const ended = async (what, wanted) => {
    const one = client.connection()
    await one.opened
    await fault(what)
    same(await one.closed, wanted, `the end by ${JSON.stringify(what)}`)
  }
  for (const code of [401, 403, 409, 411, 429, 500, 503, 515, 516]) await ended({ fault: 'stream-error', code }, code)
  for (const cause of ['xml-not-well-formed', 'ack']) await ended({ fault: 'stream-error', cause }, BAD_SESSION)
  await ended({ fault: 'conflict' }, REPLACED)

  // The same device twice: the first is told, the second goes on.
  const first = client.connection()
  await first.opened
  const second = client.connection()
  await second.opened
  same(await first.closed, REPLACED, 'a second login')

  // A foreign key, while the rightful owner is there.
  const thief = client.connection({ noiseKey: Curve.generateKeyPair() })
  same(await thief.closed, LOGGED_OUT, 'a foreign key')
  same(second.socket.ws.isOpen, true, 'the owner notices nothing')

  // A network that has gone deaf is noticed by the client's own pings.
  second.socket.end(undefined)
  const deaf = client.connection({}, { keepAliveIntervalMs: 500 })
  await deaf.opened
  await fault({ fault: 'half-open', seconds: 8 })
  same(await deaf.closed, CONNECTION_LOST, 'a deaf network')
})
