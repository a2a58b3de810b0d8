// Many sessions of Baileys in one process, as gateways run it: what they weigh, and how fast they send.
// Started by `flowcore-bench peer`; says what it measured in lines of JSON.
//
//   node --expose-gc peer.mjs BASE SESSIONS REST_SECONDS SEND_SECONDS RECIPIENT,RECIPIENT,...

import { setTimeout as pause } from 'node:timers/promises'
import { linkedClient } from './client.mjs'

const LANES = 8
const [base, sessions, rest, seconds, recipients] = process.argv.slice(2)
const people = recipients.split(',')
const say = what => console.log(JSON.stringify(what))
const resident = () => Math.round(process.memoryUsage.rss() / 1024)
const collected = () => { global.gc(); global.gc(); return resident() }

const empty = { before: resident(), after: collected() }

// Links one after the other in each lane.
const clients = []
let next = 0
const linking = Date.now()
await Promise.all(Array.from({ length: LANES }, async () => {
  while (next < Number(sessions)) {
    next += 1
    clients.push(await linkedClient(base))
  }
}))
const linked = (Date.now() - linking) / 1000
await pause(Number(rest) * 1000)
say({ sessions: clients.length, linkedSeconds: linked, empty, resident: { before: resident(), after: collected() } })

// A session with each recipient is made before the clock runs.
const to = index => `${people[index % people.length]}@s.whatsapp.net`
for (const [index, client] of clients.entries()) await client.socket.sendMessage(to(index), { text: 'hello' })

const cpu = process.cpuUsage()
const start = Date.now()
const end = start + Number(seconds) * 1000
let sent = 0
let failed = 0
await Promise.all(clients.map(async (client, index) => {
  for (let count = 0; Date.now() < end; count++) {
    try {
      await client.socket.sendMessage(to(index), { text: `peer ${index}.${count}` })
      sent += 1
    } catch {
      failed += 1
    }
  }
}))
const used = process.cpuUsage(cpu)
say({ sent, failed, seconds: (Date.now() - start) / 1000, busyMicros: used.user + used.system })
process.exit(0)
