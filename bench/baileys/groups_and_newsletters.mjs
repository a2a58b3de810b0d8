// The independent client in a group, in a community and with a newsletter of the simulated network.
//
//   node groups_and_newsletters.mjs http://127.0.0.1:8080

import { linkedClient, network } from './client.mjs'
import { run, same } from './run.mjs'

await run(async base => {
  const admin = network(base)
  const carl = await admin('POST', '/admin/contacts', { name: 'Carl' })
  const dora = await admin('POST', '/admin/contacts', { name: 'Dora' })
  const { socket, phone, text } = await linkedClient(base)
  const inbox = person => `/admin/contacts/${person.phone}/messages`

  // A group that the client makes.
  const made = await socket.groupCreate('Walkers', [carl.jid])
  same(made.participants.length, 2, 'members of the new group')
  await socket.sendMessage(made.id, { text: 'hello group' })
  const seen = await admin('GET', `${inbox(carl)}?wait=20`)
  same(seen.messages.map(message => [message.text, message.chat]), [['hello group', made.id]], 'what Carl saw')
  await admin('POST', inbox(carl), { to: made.id, text: 'hello back' })
  same((await text('hello back')).key.remoteJid, made.id, 'where the answer came')

  const added = await socket.groupParticipantsUpdate(made.id, [dora.jid], 'add')
  same(added.map(result => result.status), ['200'], 'adding Dora')
  await socket.sendMessage(made.id, { text: 'welcome Dora' })
  const later = await admin('GET', `${inbox(dora)}?wait=20`)
  same(later.messages.map(message => message.text), ['welcome Dora'], 'what Dora saw')
  await admin('POST', inbox(dora), { to: made.id, text: 'thanks' })
  await text('thanks')

  await socket.groupUpdateSubject(made.id, 'Runners')
  await socket.groupUpdateDescription(made.id, 'We run.')
  await socket.groupSettingUpdate(made.id, 'announcement')
  await socket.groupMemberAddMode(made.id, 'all_member_add')
  const metadata = await socket.groupMetadata(made.id)
  same([metadata.subject, metadata.desc, metadata.announce, metadata.memberAddMode, metadata.size],
    ['Runners', 'We run.', true, true, 3], 'the metadata')
  same((await socket.groupInviteCode(made.id)).length, 22, 'the invitation')
  same(Object.keys(await socket.groupFetchAllParticipating()), [made.id], 'the own groups')

  // A group that a contact makes.
  const other = await admin('POST', `/admin/contacts/${carl.phone}/groups`, { subject: 'Block 7', participants: [phone] })
  await admin('POST', inbox(carl), { to: other.jid, text: 'neighbours!' })
  await text('neighbours!')
  await socket.groupLeave(other.jid)

  // A newsletter.
  const newsletter = await socket.newsletterCreate('Daily', 'All the news')
  same(newsletter.name, 'Daily', 'the newsletter')
  await socket.newsletterUpdateName(newsletter.id, 'Weekly')
  const found = await socket.newsletterMetadata('invite', newsletter.invite)
  same([found.id, found.thread_metadata.name.text], [newsletter.id, 'Weekly'], 'the newsletter by its invitation')
  await socket.newsletterDelete(newsletter.id)
})
