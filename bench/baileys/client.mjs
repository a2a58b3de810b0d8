// A client of @whiskeysockets/baileys on the simulated network, and the network's admin API.
//
// Of the client only three things differ from what it does against WhatsApp: the address of the
// socket, that the self-signed TLS certificate is accepted, and the root key to which the Noise
// certificate chain must lead. That key is a property of an exported object, so nothing of the
// client is patched. (7.0.0-rc13 throws away the outcome of the signature check, so it would go on
// with any key; a version that looks at it needs ours. That the chain is properly signed is tested
// in the simulator.)

import https from 'node:https'
import makeWASocket, { initAuthCreds, WA_CERT_DETAILS } from '@whiskeysockets/baileys'

const SILENT = { level: 'silent', child: () => SILENT, trace() {}, debug() {}, info() {}, warn() {}, error() {} }
const LOUD = { ...SILENT, level: 'trace', child: () => LOUD, debug: console.error, info: console.error, warn: console.error, error: console.error }
const RESTART_REQUIRED = 515

export function network(base) {
  return async function admin(method, path, body) {
    const text = typeof body === 'string'
    const response = await fetch(base + path, {
      method,
      headers: text ? {} : { 'content-type': 'application/json' },
      body: body === undefined || text ? body : JSON.stringify(body)
    })
    const answer = await response.json()
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${JSON.stringify(answer)}`)
    return answer
  }
}

// Signal keys in memory: the shape that the client documents for its key store.
function memoryKeys() {
  const data = new Map()
  return {
    async get(type, ids) {
      return Object.fromEntries(ids.map(id => [id, data.get(`${type}/${id}`)]).filter(([, v]) => v != null))
    },
    async set(changes) {
      for (const [type, values] of Object.entries(changes)) {
        for (const [id, value] of Object.entries(values)) {
          if (value == null) data.delete(`${type}/${id}`)
          else data.set(`${type}/${id}`, value)
        }
      }
    }
  }
}

// Gives what opens connections to a network: dial(auth, options) is a socket.
async function dialler(base) {
  const { noiseRoot } = await network(base)('GET', '/admin/certificate')
  WA_CERT_DETAILS.PUBLIC_KEY = Buffer.from(noiseRoot, 'base64')
  const url = new URL('/ws/chat', base)
  url.protocol = 'wss:'
  const agent = new https.Agent({ rejectUnauthorized: false })
  const logger = process.env.BAILEYS_LOG ? LOUD : SILENT
  return (auth, options) => makeWASocket({ waWebSocketUrl: url.href, agent, auth, logger, ...options })
}

// The code with which a socket closes, once it does.
const statusOf = update => update.lastDisconnect?.error?.output?.statusCode

function when(socket, wanted) {
  return new Promise(resolve => socket.ev.on('connection.update', update => {
    if (update.connection === wanted) resolve(statusOf(update))
  }))
}

// A client that shows codes: `code(n)` resolves with the n-th of them, `closed` with the code of its end.
export async function unlinkedClient(base, options = {}) {
  const dial = await dialler(base)
  const auth = { creds: initAuthCreds(), keys: memoryKeys() }
  const socket = dial(auth, options)
  const client = { socket, codes: [], closed: when(socket, 'close') }
  let waiting = []
  socket.ev.on('creds.update', update => Object.assign(auth.creds, update))
  socket.ev.on('connection.update', ({ qr }) => {
    if (qr) client.codes.push(qr)
    waiting = waiting.filter(look => !look())
  })
  client.code = number => new Promise(resolve => {
    const look = () => client.codes.length >= number && (resolve(client.codes[number - 1]), true)
    if (!look()) waiting.push(look)
  })
  return client
}

// Links a client by QR; gives it when it is connected, with what to wait for its texts.
export async function linkedClient(base) {
  const admin = network(base)
  const dial = await dialler(base)
  const auth = { creds: initAuthCreds(), keys: memoryKeys() }
  const client = { phone: undefined, socket: undefined, received: [], waiting: [] }

  // Resolves with the message that holds a text, whether it came already or comes later.
  client.text = wanted => new Promise(resolve => {
    const found = client.received.find(entry => entry.text === wanted)
    if (found) resolve(found)
    else client.waiting.push({ wanted, resolve })
  })

  function receive({ key, message }) {
    const text = message?.conversation ?? message?.extendedTextMessage?.text
    if (text === undefined || text === null || key.fromMe) return
    const entry = { text, key }
    client.received.push(entry)
    client.waiting = client.waiting.filter(({ wanted, resolve }) => {
      if (wanted === text) resolve(entry)
      return wanted !== text
    })
  }

  let reopened
  await new Promise((resolve, reject) => {
    function connect() {
      client.socket = dial(auth)
      client.socket.ev.on('creds.update', update => Object.assign(auth.creds, update))
      client.socket.ev.on('messages.upsert', ({ messages }) => messages.forEach(receive))
      client.socket.ev.on('connection.update', update => onConnection(update).catch(reject))
    }

    async function onConnection({ connection, qr, lastDisconnect }) {
      if (qr && !client.phone) {
        const scanned = await admin('POST', '/admin/mock-phone/scan-qr', qr)
        client.phone = scanned.phone
      }
      if (connection === 'open') {
        resolve()
        reopened?.()
      }
      if (connection === 'close') {
        if (reopened) return connect()
        const status = statusOf({ lastDisconnect })
        if (status !== RESTART_REQUIRED) throw new Error(`closed with ${status}: ${lastDisconnect?.error}`)
        connect()
      }
    }

    connect()
  })

  // Ends the connection for good.
  client.leave = () => client.socket.end(undefined)

  // Another connection of the same device: resolves `opened` when it is, `closed` with the code of its end.
  client.connection = (creds = {}, options = {}) => {
    const socket = dial({ creds: { ...auth.creds, ...creds }, keys: auth.keys }, options)
    return { socket, opened: when(socket, 'open'), closed: when(socket, 'close') }
  }

  // Ends the connection and makes another one.
  client.restart = async () => {
    await new Promise(resolve => {
      reopened = resolve
      client.socket.end(undefined)
    })
    reopened = undefined
  }
  return client
}
