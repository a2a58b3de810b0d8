// The independent client @whiskeysockets/baileys pairs with the simulated network and exchanges
// a text with one of its contacts. Exits 0 only when both texts were seen decrypted.
//
//   node pair_and_text.mjs http://127.0.0.1:8080
//
// Of the client only three things differ from what it does against WhatsApp: the address of the
// socket, that the self-signed TLS certificate is accepted, and the root key to which the Noise
// certificate chain must lead. That key is a property of an exported object, so nothing of the
// client is patched. (7.0.0-rc13 throws away the outcome of the signature check, so it would go on
// with any key; a version that looks at it needs ours. That the chain is properly signed is tested
// in the simulator.)

import https from 'node:https'
import makeWASocket, { initAuthCreds, WA_CERT_DETAILS } from '@whiskeysockets/baileys'

const DEADLINE_MS = 45_000
const SILENT = { level: 'silent', child: () => SILENT, trace() {}, debug() {}, info() {}, warn() {}, error() {} }
const LOUD = { ...SILENT, level: 'trace', child: () => LOUD, debug: console.error, info: console.error, warn: console.error, error: console.error }

const base = process.argv[2]
if (!base) {
  console.error('usage: node pair_and_text.mjs <base URL of the network>')
  process.exit(2)
}

async function admin(method, path, body) {
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

const { noiseRoot } = await admin('GET', '/admin/certificate')
WA_CERT_DETAILS.PUBLIC_KEY = Buffer.from(noiseRoot, 'base64')
const contact = await admin('POST', '/admin/contacts', { name: 'Carl' })

const socketUrl = new URL('/ws/chat', base)
socketUrl.protocol = 'wss:'
const agent = new https.Agent({ rejectUnauthorized: false })
const auth = { creds: initAuthCreds(), keys: memoryKeys() }
const logger = process.env.BAILEYS_LOG ? LOUD : SILENT

const fromContact = `hello from ${contact.phone}`
const fromClient = 'hello from baileys'
let socket
let phone

function finish(code, message) {
  console.log(message)
  socket?.end(undefined)
  process.exit(code)
}

setTimeout(() => finish(1, 'not finished in time'), DEADLINE_MS)

function connect() {
  socket = makeWASocket({ waWebSocketUrl: socketUrl.href, agent, auth, logger })
  socket.ev.on('creds.update', update => Object.assign(auth.creds, update))
  socket.ev.on('connection.update', update => {
    onConnection(update).catch(error => finish(1, error.stack))
  })
  socket.ev.on('messages.upsert', ({ messages }) => {
    for (const { key, message } of messages) {
      const text = message?.conversation ?? message?.extendedTextMessage?.text
      if (!key.fromMe && text === fromContact) {
        console.log('the client decrypted the contact\'s text')
        received()
      }
    }
  })
}

let received
const bothWays = new Promise(resolve => { received = resolve })

async function onConnection({ connection, qr, lastDisconnect }) {
  if (qr && !phone) {
    const scanned = await admin('POST', '/admin/mock-phone/scan-qr', qr)
    phone = scanned.phone
    console.log('scanned')
  }
  if (connection === 'close') {
    const status = lastDisconnect?.error?.output?.statusCode
    if (status !== 515) return finish(1, `closed with ${status}: ${lastDisconnect?.error}`)
    console.log('paired')
    connect()
  }
  if (connection === 'open') {
    console.log('connected')
    await exchange()
  }
}

async function exchange() {
  const path = `/admin/contacts/${contact.phone}/messages`
  await admin('POST', path, { to: phone, text: fromContact })
  await bothWays
  await socket.sendMessage(contact.jid, { text: fromClient })
  const { messages } = await admin('GET', `${path}?wait=20`)
  const seen = messages.some(message => message.text === fromClient && message.from === phone)
  if (!seen) return finish(1, `the contact has not seen the text: ${JSON.stringify(messages)}`)
  console.log('the contact decrypted the client\'s text')
  const { unknown } = await admin('GET', '/admin/stats')
  if (Object.keys(unknown).length) return finish(1, `asked what the network does not know: ${JSON.stringify(unknown)}`)
  finish(0, 'both texts were seen decrypted')
}

connect()
