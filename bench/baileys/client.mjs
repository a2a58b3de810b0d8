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

// Links a client by QR; gives it when it is connected, with what to wait for its texts.
export async function linkedClient(base) {
  const admin = network(base)
  const { noiseRoot } = await admin('GET', '/admin/certificate')
  WA_CERT_DETAILS.PUBLIC_KEY = Buffer.from(noiseRoot, 'base64')
  const socketUrl = new URL('/ws/chat', base)
  socketUrl.protocol = 'wss:'
  const agent = new https.Agent({ rejectUnauthorized: false })
  const auth = { creds: initAuthCreds(), keys: memoryKeys() }
  const logger = process.env.BAILEYS_LOG ? LOUD : SILENT
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
      client.socket = makeWASocket({ waWebSocketUrl: socketUrl.href, agent, auth, logger })
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
        const status = lastDisconnect?.error?.output?.statusCode
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
    const own = { creds: { ...auth.creds, ...creds }, keys: auth.keys }
    const socket = makeWASocket({ waWebSocketUrl: socketUrl.href, agent, auth: own, logger, ...options })
    const when = wanted => new Promise(resolve => socket.ev.on('connection.update', ({ connection, lastDisconnect }) => {
      if (connection === wanted) resolve(lastDisconnect?.error?.output?.statusCode)
    }))
    return { socket, opened: when('open'), closed: when('close') }
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
