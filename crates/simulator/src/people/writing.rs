//! A person writes, and opens what it received: media and votes.

use std::sync::Arc;

use bytes::Bytes;
use wacore::download::{Downloadable, MediaType};
use wacore::poll::PollVoteCiphertext;
use wacore::proto_helpers::{MessageExt, build_quote_context};
use wacore_binary::{Jid, JidExt, Server};
use waproto::whatsapp as wa;
use whatsapp_rust::download::DownloadParams;
use whatsapp_rust::features::{MediaRetryResult, MediaReuploadRequest, StatusSendOptions};
use whatsapp_rust::send::RevokeType;
use whatsapp_rust::upload::{UploadOptions, UploadResponse};

use super::compose::{self, Draft, MediaDraft, Poll, Reaction, Voice, Vote};
use super::content::downloadable;
use super::inbox::{KnownPoll, Received};
use super::person::{Person, PersonError};
use super::voice;
use crate::hub::Hub;
use crate::world::groups::Addressing;

impl Person {
    /// Writes one thing; gives the id of its message. `quote` is the id of the message that it
    /// answers.
    pub(crate) async fn write(
        &self,
        hub: &Arc<Hub>,
        to: &Jid,
        draft: Draft,
        quote: Option<&str>,
    ) -> Result<String, PersonError> {
        self.require_recipient(to)?;
        let message = match draft {
            Draft::Reaction(reaction) => return self.react(to, &reaction).await,
            Draft::Edit(edit) => {
                let content = compose::text(&edit.text);
                return Ok(self.client.edit_message(to.clone(), edit.id, content).await?);
            }
            Draft::Delete(target) => {
                self.client.revoke_message(to.clone(), &target.id, RevokeType::Sender).await?;
                return Ok(target.id);
            }
            Draft::Poll(poll) => return self.ask(hub, to, poll).await,
            Draft::Vote(vote) => return self.vote(&vote).await,
            Draft::Text(text) => compose::text(&text),
            Draft::Location(location) => compose::location(location),
            Draft::Contact(card) => compose::contact(&card),
            Draft::Media(media) => self.upload_media(media).await?,
            Draft::Voice(voice) => self.speak(hub, voice).await?,
        };
        let message = match quote {
            None => message,
            Some(id) => self.quoting(id, message)?,
        };
        if to.is_status_broadcast() {
            return self.post(hub, message).await;
        }
        Ok(self.client.send_message(to.clone(), message).await?.message_id)
    }

    /// Posts a status for everybody whom this person knows.
    async fn post(&self, hub: &Hub, message: wa::Message) -> Result<String, PersonError> {
        let known: Vec<Jid> = {
            let world = hub.world();
            let account = world.accounts.get(&self.phone);
            account.into_iter().flat_map(|account| &account.peers).map(Jid::pn).collect()
        };
        let options = StatusSendOptions::default();
        let sent = self.client.status().send_raw(message, &known, options).await;
        Ok(sent.map_err(client_error)?.message_id)
    }

    fn quoting(&self, id: &str, mut message: wa::Message) -> Result<wa::Message, PersonError> {
        let inbox = self.state.inbox();
        let quoted = inbox.find(id).ok_or(PersonError::NothingToQuote)?;
        let author = quoted.sender_jid.to_non_ad().to_string();
        let context = build_quote_context(id, author, quoted.message.get_base_message());
        message.set_context_info(context);
        Ok(message)
    }

    async fn react(&self, to: &Jid, reaction: &Reaction) -> Result<String, PersonError> {
        let key = {
            let inbox = self.state.inbox();
            let known = inbox.find(&reaction.id);
            let chat = known.map_or_else(|| to.clone(), |message| message.chat_jid.clone());
            let author = known.filter(|_| chat.is_group()).map(|m| m.sender_jid.to_non_ad());
            wa::MessageKey {
                remote_jid: Some(chat.to_string()),
                // What this person did not receive, it wrote.
                from_me: Some(known.is_none()),
                id: Some(reaction.id.clone()),
                participant: author.map(|author| author.to_string()),
            }
        };
        let sent = self.client.send_reaction(to.clone(), key, &reaction.emoji).await?;
        Ok(sent.message_id)
    }

    async fn ask(&self, hub: &Hub, to: &Jid, poll: Poll) -> Result<String, PersonError> {
        let polls = self.client.polls();
        let (sent, secret) = polls
            .create(to.clone(), &poll.name, &poll.options, poll.selectable)
            .await
            .map_err(client_error)?;
        // Votes are sealed for the address by which the chat knows who asked.
        let by_lid = to.server == Server::Lid || is_lid_group(hub, to);
        let creator = if by_lid { self.client.lid() } else { self.client.pn() };
        let creator = creator.unwrap_or_default().to_non_ad();
        let known = KnownPoll { chat: to.clone(), creator, secret, options: poll.options };
        self.state.inbox().add_poll(sent.message_id.clone(), known);
        Ok(sent.message_id)
    }

    async fn vote(&self, vote: &Vote) -> Result<String, PersonError> {
        let poll = self.state.inbox().poll(&vote.id).ok_or(PersonError::NoPoll)?;
        let KnownPoll { chat, creator, secret, .. } = &poll;
        let polls = self.client.polls();
        let sent = polls.vote(chat.clone(), &vote.id, creator, secret, &vote.options).await;
        Ok(sent.map_err(client_error)?.message_id)
    }

    async fn upload_media(&self, media: MediaDraft) -> Result<wa::Message, PersonError> {
        let upload = self.upload(media.bytes.clone(), media.kind.media_type()).await?;
        Ok(compose::media(media, upload))
    }

    async fn speak(&self, hub: &Arc<Hub>, spoken: Voice) -> Result<wa::Message, PersonError> {
        // Encoding is work of milliseconds per second of sound, so it has a thread of its own.
        let recording = hub
            .tracker
            .spawn_blocking(move || voice::record(&spoken.text, spoken.seconds))
            .await
            .map_err(client_error)?;
        let note = recording.map_err(client_error)?;
        let upload = self.upload(note.ogg.clone(), MediaType::Audio).await?;
        Ok(compose::voice(note, upload))
    }

    async fn upload(&self, bytes: Vec<u8>, kind: MediaType) -> Result<UploadResponse, PersonError> {
        self.client.upload(bytes, kind, UploadOptions::new()).await.map_err(client_error)
    }

    /// Opens what arrived sealed: downloads media, decrypts votes.
    pub(super) async fn open_all(&self, messages: &[Received]) {
        for message in messages {
            if message.media.is_none() && message.media_error.is_none() {
                let Some(outcome) = self.download(message).await else { continue };
                self.state.inbox().keep_media(&message.id, outcome);
            }
        }
        let sealed = self.state.inbox().sealed_votes();
        for (message, poll) in sealed {
            if let Some(hashes) = self.open_vote(&message, &poll).await {
                self.state.inbox().open_vote(&message.id, &poll, &hashes);
            }
        }
    }

    async fn open_vote(&self, message: &Received, poll: &KnownPoll) -> Option<Vec<Vec<u8>>> {
        let update = message.message.get_base_message().poll_update_message.as_option()?;
        let vote = update.vote.as_option()?;
        let ciphertext = PollVoteCiphertext {
            enc_payload: vote.enc_payload.as_deref()?,
            enc_iv: vote.enc_iv.as_deref()?,
        };
        let id = message.content.vote["id"].as_str()?;
        let polls = self.client.polls();
        polls
            .decrypt_vote(ciphertext, &poll.secret, id, &poll.creator, &message.sender_jid)
            .await
            .ok()
    }

    /// A message's file; when its link has ended the phone is asked for a new one.
    async fn download(&self, message: &Received) -> Option<Result<Bytes, String>> {
        let file = downloadable(&message.message)?;
        let first = match self.client.download(file).await {
            Ok(bytes) => return Some(Ok(bytes.into())),
            Err(error) => error.to_string(),
        };
        let again = self.download_again(message, file).await;
        Some(again.ok_or(first).map(Bytes::from))
    }

    async fn download_again(&self, message: &Received, file: &dyn Downloadable) -> Option<Vec<u8>> {
        let media_key = file.media_key()?;
        let request = MediaReuploadRequest {
            msg_id: &message.id,
            chat_jid: &message.chat_jid,
            media_key,
            is_from_me: message.from_me,
            participant: message.chat_jid.is_group().then_some(&message.sender_jid),
        };
        let answer = self.client.media_reupload().request(&request).await.ok()?;
        let MediaRetryResult::Success { direct_path } = answer else { return None };
        let renewed = DownloadParams::encrypted(
            direct_path,
            media_key,
            file.file_sha256()?,
            file.file_enc_sha256()?,
            file.file_length()?,
            file.app_info(),
        );
        self.client.download(&renewed).await.ok()
    }
}

fn client_error(error: impl std::fmt::Display) -> PersonError {
    PersonError::Client(error.to_string())
}

/// Whether a group's members know each other by their LIDs.
fn is_lid_group(hub: &Hub, chat: &Jid) -> bool {
    let world = hub.world();
    let group = world.groups.get(chat.user.as_str());
    group.is_some_and(|group| group.addressing == Addressing::Lid)
}
