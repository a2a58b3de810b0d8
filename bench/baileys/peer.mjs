// Many sessions of Baileys in one process, as gateways run it. Started by `flowcore-bench peer`: takes
// orders in lines of JSON and says in one line each what it measured.
//
//   node --expose-gc peer.mjs BASE

import readline from 'node:readline'
import { linkedClient } from './client.mjs'

const LANES = 8
const base = process.argv[2]
const clients = []
const resident = () => Math.round(process.memoryUsage.rss() / 1024)
const pause = until => new Promise(resolve => setTimeout(resolve, Math.max(0, until - Date.now())))

// What is done to all clients, a few at a time.
async function each(work, lanes = LANES) {
  let next = 0
  const lane = async () => {
    while (next < clients.length) {
      const index = next++
      await work(clients[index], index)
    }
  }
  await Promise.all(Array.from({ length: lanes }, lane))
}

const to = (people, index) => `${people[index % people.length]}@s.whatsapp.net`

const orders = {
  memory() {
    const before = resident()
    global.gc()
    global.gc()
    return { before, after: resident() }
  },

  async link({ count }) {
    const start = Date.now()
    let left = count - clients.length
    await Promise.all(Array.from({ length: LANES }, async () => {
      while (left-- > 0) clients.push(await linkedClient(base))
    }))
    return { seconds: (Date.now() - start) / 1000, phones: clients.map(client => client.phone) }
  },

  // A session with each recipient is made before a clock runs.
  async greet({ people }) {
    await each((client, index) => client.socket.sendMessage(to(people, index), { text: 'hello' }))
    return {}
  },

  // Each client sends when its last send is done, or in its turn at a rate of all together.
  async send({ people, seconds, rate }) {
    const cpu = process.cpuUsage()
    const start = Date.now()
    const end = start + seconds * 1000
    const gap = rate ? (clients.length / rate) * 1000 : 0
    const times = []
    let failed = 0
    await each(async (client, index) => {
      for (let count = 0; ; count++) {
        const due = gap ? start + gap * (index / clients.length + count) : Date.now()
        if (due >= end) return
        if (gap) await pause(due)
        try {
          await client.socket.sendMessage(to(people, index), { text: `peer ${rate ?? 0} ${index}.${count}` })
          times.push(Date.now() - due)
        } catch {
          failed += 1
        }
      }
    }, clients.length)
    const used = process.cpuUsage(cpu)
    times.sort((a, b) => a - b)
    const share = percent => times[Math.min(times.length - 1, Math.floor(times.length * percent / 100))] ?? 0
    const busy = used.user + used.system
    return { sent: times.length, failed, seconds: (Date.now() - start) / 1000, busy, p50: share(50), p99: share(99) }
  },

  // From now on each text that comes in is posted to a webhook.
  hook({ url }) {
    for (const client of clients) {
      client.received = { push: ({ text }) => post(url, text), find() {} }
    }
    return {}
  },

  busy() {
    const used = process.cpuUsage()
    return { busy: used.user + used.system }
  },

  // The same sessions once more, their keys still in memory.
  async restart() {
    const start = Date.now()
    await each(client => client.restart(), clients.length)
    return { seconds: (Date.now() - start) / 1000 }
  }
}

function post(url, text) {
  const body = JSON.stringify({ event: 'messages.upsert', data: { message: { conversation: text } } })
  fetch(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body }).catch(() => {})
}

for await (const line of readline.createInterface({ input: process.stdin })) {
  const order = JSON.parse(line)
  console.log(JSON.stringify(await orders[order.do](order)))
}
process.exit(0)
