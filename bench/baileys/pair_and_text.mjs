// The independent client @whiskeysockets/baileys pairs with the simulated network and exchanges
// a text with one of its contacts. Exits 0 only when both texts were seen decrypted.
//
//   node pair_and_text.mjs http://127.0.0.1:8080

import { linkedClient, network } from './client.mjs'
import { run, same } from './run.mjs'

await run(async base => {
  const admin = network(base)
  const contact = await admin('POST', '/admin/contacts', { name: 'Carl' })
  const client = await linkedClient(base)
  const path = `/admin/contacts/${contact.phone}/messages`

  const fromContact = `hello from ${contact.phone}`
  await admin('POST', path, { to: client.phone, text: fromContact })
  await client.text(fromContact)

  const fromClient = 'hello from baileys'
  await client.socket.sendMessage(contact.jid, { text: fromClient })
  const { messages } = await admin('GET', `${path}?wait=20`)
  same(messages.map(({ text, from }) => [text, from]), [[fromClient, client.phone]], 'what the contact saw')
})
