//! Votes of polls, opened where the poll is stored: its secret came with it.
//!
//! A vote is sealed for the pair of who made the poll and who voted, each by the address that the voter's
//! phone used. Which of two that was the stanza does not say, so all are tried; a wrong one fails its MAC.

use super::translate::OwnAddresses;
use flowcore_domain::engine::{CommitError, SessionSink};
use flowcore_domain::message::Inbound;
use serde_json::json;
use wacore::poll::{PollVoteCiphertext, compute_option_hash, decrypt_poll_vote_with_secret};
use wacore::proto_helpers::MessageExt as _;
use wacore::types::events::InboundMessage as WireMessage;
use wacore_binary::Jid as WireJid;
use waproto::whatsapp as wa;

/// Puts the chosen answers into a vote. One that can't be opened stays sealed.
pub(super) async fn open(
    inbound: &mut Inbound,
    item: &WireMessage,
    own: &OwnAddresses,
    sink: &dyn SessionSink,
) -> Result<(), CommitError> {
    let Inbound::Message(message) = inbound else { return Ok(()) };
    let base = item.message.get_base_message();
    let Some(update) = base.poll_update_message.as_option() else { return Ok(()) };
    let key = update.poll_creation_message_key.as_option();
    let Some(poll_id) = key.and_then(|key| key.id.as_deref()) else { return Ok(()) };
    let Some(proto) = sink.stored(poll_id).await? else { return Ok(()) };
    let Ok(poll) = waproto::codec::message_decode(&proto) else { return Ok(()) };
    let named = key.and_then(|key| key.participant.as_deref()?.parse::<WireJid>().ok());
    let source = &item.info.source;
    let voters: Vec<&WireJid> = [Some(&source.sender), source.sender_alt.as_ref()]
        .into_iter()
        .flatten()
        .chain(own.all().filter(|_| source.is_from_me))
        .collect();
    let creators: Vec<&WireJid> =
        own.all().chain(named.as_ref()).chain(voters.iter().copied()).collect();
    if let Some(chosen) = chosen(update, (&poll, poll_id), &creators, &voters) {
        message.content["pollUpdateMessage"]["vote"] = json!({ "selectedOptions": chosen });
    }
    Ok(())
}

fn chosen(
    update: &wa::message::PollUpdateMessage,
    (poll, poll_id): (&wa::Message, &str),
    creators: &[&WireJid],
    voters: &[&WireJid],
) -> Option<Vec<String>> {
    let secret = poll.message_context_info.as_option()?.message_secret.as_deref()?;
    let vote = update.vote.as_option()?;
    let sealed = PollVoteCiphertext {
        enc_payload: vote.enc_payload.as_deref()?,
        enc_iv: vote.enc_iv.as_deref()?,
    };
    let pairs = creators.iter().flat_map(|creator| voters.iter().map(move |one| (creator, one)));
    let hashes = pairs.into_iter().find_map(|(creator, voter)| {
        let (creator, voter) = (creator.to_non_ad().to_string(), voter.to_non_ad().to_string());
        decrypt_poll_vote_with_secret(sealed, secret, poll_id, &creator, &voter).ok()
    })?;
    let base = poll.get_base_message();
    let options = [
        &base.poll_creation_message,
        &base.poll_creation_message_v2,
        &base.poll_creation_message_v3,
    ];
    let options =
        options.into_iter().find_map(|poll| poll.as_option()).map(|poll| &poll.options)?;
    let names = options.iter().filter_map(|option| option.option_name.clone());
    Some(names.filter(|name| hashes.iter().any(|one| **one == compute_option_hash(name))).collect())
}
