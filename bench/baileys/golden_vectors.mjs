// Prints stanzas as Baileys' own encoder writes them, as JSON:
//   node golden_vectors.mjs > ../../crates/simulator/tests/vectors/baileys.json
//
// A vector is a node, spelt so that any language can read it (`text`, `bytes` in hex, or
// `children`), and the bytes that the encoder made of it, flag byte first. The simulator's codec
// must read each as that node. The stanzas are made up here; none was captured.

import { encodeBinaryNode } from '@whiskeysockets/baileys'

const bytes = (length, start = 0) => Buffer.from(Array.from({ length }, (_, index) => (start + index * 7) & 0xff))
const node = (tag, attrs = {}, content) => ({ tag, attrs, content })

const stanzas = {
  'an empty node': node('ping'),
  'single and double byte tokens': node('iq', { to: 's.whatsapp.net', type: 'get', xmlns: 'w:p', id: 'stanza' }),
  'numbers packed in nibbles, even and odd': node('ib', { t: '1700000000', count: '123', jitter: '-1.5' }),
  'hexadecimal ids packed, even and odd': node('ack', { class: 'message', id: '3EB0C0FFEE00', key: 'ABCDEF123' }),
  'an id that only looks hexadecimal': node('ack', { class: 'message', id: '3eb0c0ffee00' }),
  'words of no dictionary': node('zzz-unknown', { 'made-up': 'value of its own' }),
  'text beyond ASCII': node('notification', { notify: 'Zoë 🌍 Ωmega' }),
  'a phone address': node('presence', { to: '15550100001@s.whatsapp.net', type: 'available' }),
  'a device address': node('receipt', { to: '15550100001:33@s.whatsapp.net', id: '3EB0' }),
  'a private address and its device': node('receipt', { from: '100000000000001@lid', participant: '100000000000001:47@lid' }),
  'a group address': node('message', { to: '120363000000000001@g.us', type: 'text', id: '3EB01234' }),
  'an address without a user': node('iq', { from: '@s.whatsapp.net', type: 'result' }),
  'a broadcast address': node('receipt', { to: 'status@broadcast', type: 'read' }),
  'a channel address': node('message', { to: '120363000000000002@newsletter' }),
  'empty bytes': node('enc', {}, Buffer.alloc(0)),
  'few bytes': node('enc', { v: '2', type: 'msg' }, bytes(255)),
  'bytes with a 20-bit length': node('enc', { v: '2', type: 'pkmsg' }, bytes(256, 3)),
  'many bytes': node('enc', { v: '2', type: 'skmsg' }, bytes(2_000, 9)),
  'a child': node('iq', { id: '1', type: 'set' }, [node('active')]),
  'children in children': node('message', { id: '3EB0AA', type: 'text', to: '15550100002@s.whatsapp.net' }, [
    node('participants', {}, [
      node('to', { jid: '15550100002:33@s.whatsapp.net' }, [node('enc', { v: '2', type: 'pkmsg' }, bytes(64))]),
      node('to', { jid: '15550100002@s.whatsapp.net' }, [node('enc', { v: '2', type: 'msg' }, bytes(48, 5))])
    ]),
    node('device-identity', {}, bytes(90, 1))
  ]),
  'a list longer than a byte can count': node('list', {}, Array.from({ length: 300 }, (_, index) => node('key', { i: String(index) }))),
  'a prekey upload': node('iq', { xmlns: 'encrypt', type: 'set', to: 's.whatsapp.net', id: '18' }, [
    node('registration', {}, bytes(4)),
    node('type', {}, Buffer.from([5])),
    node('identity', {}, bytes(32)),
    node('list', {}, [node('key', {}, [node('id', {}, bytes(3)), node('value', {}, bytes(32, 2))])]),
    node('skey', {}, [node('id', {}, bytes(3, 1)), node('value', {}, bytes(32, 4)), node('signature', {}, bytes(64, 6))])
  ])
}

// A server's address has an empty user on the wire and is spelt without the @.
const address = value => value.replace(/^@/, '')

function spell({ tag, attrs, content }) {
  const spelt = { tag, attrs: Object.fromEntries(Object.entries(attrs).map(([key, value]) => [key, address(value)])) }
  if (Buffer.isBuffer(content)) spelt.bytes = content.toString('hex')
  else if (Array.isArray(content)) spelt.children = content.map(spell)
  return spelt
}

const vectors = Object.entries(stanzas).map(([name, stanza]) => ({
  name,
  node: spell(stanza),
  encoded: encodeBinaryNode(stanza).toString('hex')
}))
console.log('[\n' + vectors.map(vector => '  ' + JSON.stringify(vector)).join(',\n') + '\n]')
