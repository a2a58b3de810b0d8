// What people do every day, by the independent client: files, reactions, edits, ticks, typing,
// profiles, blocking, calls, chat actions, more of the past.
//
//   node everyday.mjs http://127.0.0.1:8080

// The network's certificate is made at its start; the client's media requests have no option for it.
process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0'

import { downloadMediaMessage } from '@whiskeysockets/baileys'
import { linkedClient, network } from './client.mjs'
import { run, same } from './run.mjs'

await run(async base => {
  const admin = network(base)
  const carl = await admin('POST', '/admin/contacts', { name: 'Carl' })
  const of = what => `/admin/contacts/${carl.phone}/${what}`
  const { socket, phone } = await linkedClient(base)
  const me = `${phone}@s.whatsapp.net`

  // Resolves with the first event of a kind, from now on, in which something is found.
  const next = (event, find) => new Promise(resolve => {
    const look = payload => {
      const found = find(payload)
      if (found === undefined || found === false) return
      socket.ev.off(event, look)
      resolve(found)
    }
    socket.ev.on(event, look)
  })
  const message = find => next('messages.upsert', ({ messages }) => messages.find(({ message }) => message && find(message)))
  let last = ''
  async function received() {
    const { messages } = await admin('GET', `${of('messages')}?wait=20&after=${last}`)
    last = messages[0].id
    return messages[0]
  }
  const writes = body => admin('POST', of('messages'), { to: phone, ...body })

  // Who is on WhatsApp.
  const [found] = await socket.onWhatsApp(carl.phone)
  same([found.exists, found.jid], [true, carl.jid], 'Carl is there')
  same((await socket.onWhatsApp('4930000000')).filter(({ exists }) => exists), [], 'nobody has that number')

  // A file in each direction.
  await socket.sendMessage(carl.jid, { document: Buffer.from('a file'), mimetype: 'text/plain', fileName: 'a.txt', caption: 'look' })
  const file = await received()
  same([file.type, file.fileName, Buffer.from(file.media, 'base64').toString()], ['document', 'a.txt', 'a file'], 'the file that Carl got')
  const image = message(({ imageMessage }) => imageMessage)
  await writes({ type: 'image', media: Buffer.from('a picture').toString('base64'), mimetype: 'image/jpeg', caption: 'see' })
  same((await downloadMediaMessage(await image, 'buffer', {})).toString(), 'a picture', 'the picture that came')

  // A text: delivered, read, reacted to, edited, taken back.
  // The client gathers events: a tick that comes soon enough is told with the message that it belongs to.
  const read = Promise.race([
    next('messages.update', updates => updates.find(({ update }) => update.status >= 4)),
    next('messages.upsert', ({ messages }) => messages.find(({ key, status }) => key.fromMe && status >= 4)),
  ])
  const sent = await socket.sendMessage(carl.jid, { text: 'helo' })
  same((await received()).text, 'helo', 'the text')
  await admin('POST', of('read'), { chat: phone, ids: [sent.key.id] })
  same((await read).key.id, sent.key.id, 'it was read')
  const reaction = message(({ reactionMessage }) => reactionMessage)
  await writes({ reaction: { id: sent.key.id, emoji: '👍' } })
  same((await reaction).message.reactionMessage.text, '👍', 'the reaction')
  await socket.sendMessage(carl.jid, { text: 'hello', edit: sent.key })
  same((await received()).edit, { id: sent.key.id, text: 'hello' }, 'the edit')
  await socket.sendMessage(carl.jid, { delete: sent.key })
  same((await received()).delete.id, sent.key.id, 'it was taken back')

  // A question and a place.
  await socket.sendMessage(carl.jid, { poll: { name: 'When?', values: ['now', 'later'], selectableCount: 1 } })
  same((await received()).poll.options, ['now', 'later'], 'the poll')
  await socket.sendMessage(carl.jid, { location: { degreesLatitude: 52.5, degreesLongitude: 13.4 } })
  same((await received()).type, 'location', 'the place')

  // Ticks and typing.
  const theirs = message(({ conversation, extendedTextMessage }) => (conversation ?? extendedTextMessage?.text) === 'are you there?')
  await writes({ text: 'are you there?' })
  await socket.readMessages([(await theirs).key])
  const typing = next('presence.update', ({ presences }) => Object.values(presences).some(({ lastKnownPresence }) => lastKnownPresence === 'composing'))
  await admin('POST', of('typing'), { to: phone, state: 'composing' })
  await typing
  await socket.sendPresenceUpdate('composing', carl.jid)
  await admin('POST', of('presence'), { state: 'available' })
  const here = next('presence.update', ({ presences }) => Object.values(presences).some(({ lastKnownPresence }) => lastKnownPresence === 'available'))
  await socket.presenceSubscribe(carl.jid)
  await here

  // Profiles.
  await admin('POST', of('profile'), { about: 'at the sea', picture: Buffer.from('jpeg').toString('base64'), business: { description: 'Cakes' } })
  same((await socket.fetchStatus(carl.jid))[0].status.status, 'at the sea', 'his about')
  const url = await socket.profilePictureUrl(carl.jid, 'image')
  same(await (await fetch(url)).text(), 'jpeg', 'his picture')
  same((await socket.getBusinessProfile(carl.jid)).description, 'Cakes', 'his shop')
  await socket.updateProfileStatus('in the hills')
  await socket.removeProfilePicture(me)
  await socket.updateReadReceiptsPrivacy('none')
  same((await socket.fetchPrivacySettings(true)).readreceipts, 'none', 'the privacy')
  await socket.updateDefaultDisappearingMode(86400)
  await socket.updateBlockStatus(carl.jid, 'block')
  same((await socket.fetchBlocklist()).length, 1, 'the blocked')
  await socket.updateBlockStatus(carl.jid, 'unblock')
  same(await socket.fetchBlocklist(), [], 'nobody is blocked')

  // A group's picture that is not there.
  const group = await socket.groupCreate('Walkers', [carl.jid])
  await socket.removeProfilePicture(group.id)
  same(await socket.profilePictureUrl(group.id), undefined, 'no picture')

  // Chat actions, which the account's other devices and the phone hear of.
  await socket.chatModify({ pin: true }, carl.jid)
  await socket.chatModify({ mute: Date.now() + 3_600_000 }, carl.jid)
  await socket.chatModify({ mute: null }, carl.jid)
  await socket.updateProfileName('Anna')
  const seen = await admin('POST', `/admin/mock-phone/${phone}/app-state`, { pin: { chat: carl.phone, on: false } })
  same(seen.version, 2, 'the phone goes on from where the client was')

  // A call.
  const rings = next('call', calls => calls.find(({ status }) => status === 'offer'))
  const { id } = await admin('POST', of('call'), { to: phone })
  const call = await rings
  same(call.id, id, 'the call')
  await socket.rejectCall(call.id, call.from)
  const { calls } = await admin('GET', `/admin/contacts/${carl.phone}`)
  same(calls.find(one => one.id === id).state, 'rejected', 'the call is over')

  // More of the past.
  const texts = Array.from({ length: 6 }, (_, number) => ({ text: `message ${number}`, at: 1_700_000_000 + number }))
  await admin('POST', `/admin/mock-phone/${phone}/history`, { chats: [{ phone: carl.phone, messages: texts }] })
  const told = next('messaging-history.set', ({ messages }) => messages.length === 3 && messages)
  await socket.fetchMessageHistory(3, { remoteJid: carl.jid, fromMe: false, id: `3A${carl.phone}00000004` }, 1_700_000_004_000)
  same((await told).map(({ message }) => message.conversation).sort(), ['message 1', 'message 2', 'message 3'], 'the past')
})
