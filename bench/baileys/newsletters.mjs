// The independent client as owner, reader and admin of a newsletter of the simulated network.
//
//   node newsletters.mjs http://127.0.0.1:8080

import { linkedClient, network } from './client.mjs'
import { run, same } from './run.mjs'

const ADMIN = { Owner: 'OWNER', Admin: 'ADMIN', Reader: 'SUBSCRIBER' }

await run(async base => {
  const admin = network(base)
  const anna = await linkedClient(base)
  const bert = await linkedClient(base)
  const jidOf = client => `${client.phone}@s.whatsapp.net`
  const refused = async (action, what) => {
    const outcome = await action.then(() => 'done', () => 'refused')
    same(outcome, 'refused', what)
  }
  const next = (socket, event) => new Promise(resolve => socket.ev.on(event, function look(payload) {
    socket.ev.off(event, look)
    resolve(payload)
  }))

  const { id, invite } = await anna.socket.newsletterCreate('Daily', 'All the news')
  const role = async client => (await client.socket.newsletterMetadata('jid', id)).viewer_metadata.role
  same(await role(bert), 'guest', 'before Bert follows')
  await bert.socket.newsletterFollow(id)
  same([await role(anna), await role(bert)], ['owner', 'subscriber'], 'the roles')
  same((await bert.socket.newsletterMetadata('invite', invite)).thread_metadata.subscribers_count, '2', 'the followers')
  const roles = async () => {
    const { subscribers } = await anna.socket.newsletterSubscribers(id)
    return subscribers.edges.map(edge => edge.role).sort()
  }
  same(await roles(), [ADMIN.Owner, ADMIN.Reader], 'who follows')

  // Posts, reactions, counts.
  await anna.socket.sendMessage(id, { text: 'issue 1' })
  same((await bert.text('issue 1')).key.remoteJid, id, 'where the post came')
  const posts = async () => {
    const answer = await bert.socket.newsletterFetchMessages(id, 10)
    const [{ content: [{ content: messages }] }] = answer.content
    return messages.map(({ attrs, content }) => ({
      server: attrs.server_id,
      reactions: content.find(({ tag }) => tag === 'reactions').content?.map(({ attrs }) => [attrs.code, attrs.count]) ?? []
    }))
  }
  const [post] = await posts()
  same(post.reactions, [], 'no reactions yet')
  same((await anna.socket.subscribeNewsletterUpdates(id)).duration, '300', 'the live window')
  await bert.socket.newsletterReactMessage(id, post.server, '👍')
  await anna.socket.newsletterReactMessage(id, post.server, '👍')
  same((await posts())[0].reactions, [['👍', '2']], 'two thumbs')
  await bert.socket.newsletterReactMessage(id, post.server)
  same((await posts())[0].reactions, [['👍', '1']], 'one thumb')

  // Settings: everybody hears of them; who only follows may not change them.
  const renamed = next(bert.socket, 'newsletter-settings.update')
  await anna.socket.newsletterUpdateName(id, 'Weekly')
  same((await renamed).update.name, 'Weekly', 'the new name')
  await anna.socket.newsletterUpdateDescription(id, 'Less news')
  await refused(bert.socket.newsletterUpdateName(id, 'Mine'), 'a reader renames')
  await refused(bert.socket.newsletterDelete(id), 'a reader deletes')
  await refused(bert.socket.newsletterChangeOwner(id, jidOf(bert)), 'a reader takes over')
  await bert.socket.newsletterMute(id)
  same((await bert.socket.newsletterMetadata('jid', id)).viewer_metadata.mute, 'ON', 'muted')
  await bert.socket.newsletterUnmute(id)

  // Admins: handed over, counted, made a reader again.
  await refused(anna.socket.newsletterUnfollow(id), 'an owner leaves')
  same(await anna.socket.newsletterAdminCount(id), 1, 'one admin')
  const promoted = next(bert.socket, 'newsletter-participants.update')
  await anna.socket.newsletterChangeOwner(id, jidOf(bert))
  same((await promoted).action, 'promote', 'Bert is told')
  same([await role(anna), await role(bert)], ['admin', 'owner'], 'the roles after')
  same(await anna.socket.newsletterAdminCount(id), 2, 'two admins')
  await refused(anna.socket.newsletterDemote(id, jidOf(bert)), 'an admin demotes the owner')
  await bert.socket.newsletterDemote(id, jidOf(anna))
  same(await role(anna), 'subscriber', 'Anna reads')
  await anna.socket.newsletterUnfollow(id)
  same(await role(anna), 'guest', 'Anna is gone')
  await bert.socket.newsletterDelete(id)
  same(await bert.socket.newsletterMetadata('jid', id).catch(() => null), null, 'it is gone')
  same((await admin('GET', '/admin/stats')).unknown, {}, 'nothing unknown')
})
