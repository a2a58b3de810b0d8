// Linking as the independent client goes through it: six codes one after the other, late scans, a typed code.
//
//   node codes.mjs http://127.0.0.1:8080

import { setTimeout } from 'node:timers/promises'
import { network, unlinkedClient } from './client.mjs'
import { run, same } from './run.mjs'

const TIMED_OUT = 408
const RESTART_REQUIRED = 515
const PHONE = '4915550001'

await run(async base => {
  const admin = network(base)
  const scan = qr => admin('POST', '/admin/mock-phone/scan-qr', qr)
  const refused = (action, status, what) => action.then(
    () => same('done', 'refused', what),
    error => same(error.message.includes(`: ${status} `), true, `${what}: ${error.message}`)
  )
  const reference = qr => qr.split(',')[0]

  // The client hears the end of its socket before the network has forgotten it.
  const forgotten = async () => {
    while ((await admin('GET', '/admin/stats')).linking > 0) await setTimeout(20)
  }

  // Nobody scans: six codes with a reference each, then the client gives up.
  const idle = await unlinkedClient(base, { qrTimeout: 150 })
  const sixth = await idle.code(6)
  same(await idle.closed, TIMED_OUT, 'the client gives up')
  same(new Set(idle.codes.map(reference)).size, 6, 'six references')
  same(idle.codes.length, 6, 'and no seventh')
  await forgotten()
  await refused(scan(sixth), 404, 'the code of somebody who has gone')

  // The fourth code is as good as the first, while the client shows it or a later one.
  const late = await unlinkedClient(base, { qrTimeout: 1500 })
  await scan(await late.code(4))
  same(await late.closed, RESTART_REQUIRED, 'linked by the fourth code')

  // A minute later the first code is worth nothing, the second is.
  const slow = await unlinkedClient(base, { qrTimeout: 1500 })
  const [first, second] = [await slow.code(1), await slow.code(2)]
  await admin('POST', '/admin/clock', { advance: 61 })
  await refused(scan(first), 404, 'the first code')
  await scan(second)
  same(await slow.closed, RESTART_REQUIRED, 'linked by the second code')

  // A typed code, after a wrong one.
  const typing = await unlinkedClient(base)
  await typing.code(1)
  const code = await typing.socket.requestPairingCode(PHONE)
  // The client gives the code before the network has heard of it: until then nobody waits for one.
  const enter = async code => {
    for (;;) {
      try {
        return await admin('POST', '/admin/mock-phone/enter-code', { phone: PHONE, code })
      } catch (error) {
        if (!error.message.includes(': 404 ')) throw error
        await setTimeout(20)
      }
    }
  }
  await refused(enter(code === 'AAAAAAAA' ? 'BBBBBBBB' : 'AAAAAAAA'), 422, 'a wrong code')
  same((await enter(code)).phone, PHONE, 'the typed code')
  same(await typing.closed, RESTART_REQUIRED, 'linked by the typed code')
})
