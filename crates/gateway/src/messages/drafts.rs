//! From what a caller asks for to a draft: bounds, quotes, mentions, files.

use super::MAX_TEXT;
use super::request::{NewButtons, NewContent, NewMedia, NewMessage, QuotedMessage};
use crate::Shared;
use crate::error::ServiceError;
use crate::instances::Online;
use crate::media::{self, MediaSource};
use crate::numbers;
use flowcore_domain::engine::Typing;
use flowcore_domain::jid::{Jid, Number};
use flowcore_domain::message::{Buttons, Content, Draft, Media, MediaKind, MessageKey, Quoted};
use flowcore_storage::StoredMessage;
use std::collections::HashSet;
use std::time::Duration;

/// Most people that are named in one message.
const MAX_MENTIONS: usize = 1024;
/// Fewest and most answers of a poll.
const POLL_OPTIONS: std::ops::RangeInclusive<usize> = 2..=12;
/// Longest that the other side is shown typing before one message.
pub(crate) const MAX_DELAY: Duration = Duration::from_secs(120);
/// WhatsApp forgets that somebody types; it is told again within this time.
const TYPING_LASTS: Duration = Duration::from_secs(20);

/// Refuses early what WhatsApp would not take.
pub(super) fn check(content: &NewContent) -> Result<(), ServiceError> {
    match content {
        NewContent::Text(text) => check_text(text),
        NewContent::Media(media) => media.caption.as_deref().map_or(Ok(()), check_length),
        NewContent::Location { latitude, longitude, .. } => {
            let fits = latitude.abs() <= 90.0 && longitude.abs() <= 180.0;
            fits.then_some(()).ok_or_else(|| {
                invalid("a latitude is from -90 to 90, a longitude from -180 to 180")
            })
        }
        NewContent::Contacts(cards) if cards.is_empty() => {
            Err(invalid("give at least one contact"))
        }
        NewContent::Poll { name, options, selectable } => check_poll(name, options, *selectable),
        NewContent::List(list) if list.sections.iter().all(|part| part.rows.is_empty()) => {
            Err(invalid("a list has at least one row"))
        }
        NewContent::Buttons(buttons) if buttons.buttons.is_empty() => {
            Err(invalid("give at least one button"))
        }
        NewContent::Carousel { text, cards } => {
            if cards.is_empty() || cards.iter().any(|card| card.buttons.is_empty()) {
                return Err(invalid("give at least one card, each with at least one button"));
            }
            check_length(text)
        }
        NewContent::Contacts(_) | NewContent::List(_) | NewContent::Buttons(_) => Ok(()),
    }
}

pub(super) fn check_text(text: &str) -> Result<(), ServiceError> {
    if text.trim().is_empty() {
        return Err(ServiceError::EmptyText);
    }
    check_length(text)
}

fn check_length(text: &str) -> Result<(), ServiceError> {
    if text.chars().count() > MAX_TEXT {
        return Err(ServiceError::TextTooLong { limit: MAX_TEXT });
    }
    Ok(())
}

/// Votes name answers by their hashes: two that are the same could not be told apart.
fn check_poll(name: &str, options: &[String], selectable: u32) -> Result<(), ServiceError> {
    check_text(name)?;
    if !POLL_OPTIONS.contains(&options.len()) {
        return Err(invalid("a poll has from 2 to 12 answers"));
    }
    if options.iter().collect::<HashSet<_>>().len() < options.len() {
        return Err(invalid("the answers of a poll differ from each other"));
    }
    if usize::try_from(selectable).map_or(true, |many| many > options.len()) {
        return Err(invalid("no more answers can be ticked than there are"));
    }
    Ok(())
}

fn invalid(why: &str) -> ServiceError {
    ServiceError::Invalid(why.into())
}

/// The draft of a message; files are uploaded on the way.
pub(super) async fn of(
    shared: &Shared,
    online: &Online,
    to: Jid,
    message: &NewMessage,
) -> Result<Draft, ServiceError> {
    let quoted = match &message.quoted {
        Some(wanted) => Some(quote(shared, online, &to, wanted).await?),
        None => None,
    };
    let mentions = mentions(shared, online, &to, message).await?;
    let content = content(shared, online, message).await?;
    Ok(Draft { to, content, quoted, mentions })
}

async fn content(
    shared: &Shared,
    online: &Online,
    message: &NewMessage,
) -> Result<Content, ServiceError> {
    Ok(match &message.content {
        NewContent::Text(text) => {
            let preview =
                if message.link_preview { shared.previews.of(shared, text).await } else { None };
            Content::Text { text: text.clone(), preview }
        }
        NewContent::Media(media) => Content::Media(Box::new(file(shared, online, media).await?)),
        NewContent::Location { latitude, longitude, name, address } => Content::Location {
            latitude: *latitude,
            longitude: *longitude,
            name: name.clone(),
            address: address.clone(),
        },
        NewContent::Contacts(cards) => Content::Contacts(cards.clone()),
        NewContent::Poll { name, options, selectable } => {
            Content::Poll { name: name.clone(), options: options.clone(), selectable: *selectable }
        }
        NewContent::List(list) => Content::List(list.clone()),
        NewContent::Buttons(asked) => Content::Buttons(buttons(shared, online, asked).await?),
        NewContent::Carousel { text, cards } => {
            let mut made = Vec::with_capacity(cards.len());
            for card in cards {
                made.push(buttons(shared, online, card).await?);
            }
            Content::Carousel { text: text.clone(), cards: made }
        }
    })
}

async fn buttons(
    shared: &Shared,
    online: &Online,
    asked: &NewButtons,
) -> Result<Buttons, ServiceError> {
    let image = match &asked.image {
        Some(source) => {
            let image = NewMedia::plain(MediaKind::Image, MediaSource::clone(source));
            Some(Box::new(file(shared, online, &image).await?))
        }
        None => None,
    };
    Ok(Buttons {
        title: asked.title.clone(),
        description: asked.description.clone(),
        footer: asked.footer.clone(),
        image,
        buttons: asked.buttons.clone(),
    })
}

pub(super) async fn file(
    shared: &Shared,
    online: &Online,
    asked: &NewMedia,
) -> Result<Media, ServiceError> {
    let prepared = media::prepare(shared, asked).await?;
    let file = online.session.upload(asked.kind, prepared.bytes).await?;
    Ok(Media {
        kind: asked.kind,
        file,
        mimetype: prepared.mimetype,
        caption: asked.caption.clone(),
        file_name: prepared.file_name,
        thumbnail: prepared.thumbnail,
        size: prepared.size,
        seconds: prepared.seconds,
        waveform: prepared.waveform,
        animated: prepared.animated,
    })
}

async fn quote(
    shared: &Shared,
    online: &Online,
    to: &Jid,
    wanted: &QuotedMessage,
) -> Result<Quoted, ServiceError> {
    if let Some(stored) = shared.store.message(online.instance.id, &wanted.id).await? {
        return Ok(Quoted { key: key_of(&stored), proto: stored.proto });
    }
    let text = wanted.text.clone().ok_or(ServiceError::MessageNotFound)?;
    let key = wanted.key.clone().unwrap_or_else(|| MessageKey {
        chat: to.clone(),
        from_me: false,
        id: wanted.id.clone(),
        participant: None,
    });
    let participant = if key.from_me { Some(online.own.clone()) } else { key.participant.clone() };
    let said = Draft::plain(to.clone(), Content::Text { text, preview: None });
    let proto = online.session.compose(&said).await?.proto;
    Ok(Quoted { key: MessageKey { participant, ..key }, proto })
}

/// The key of a stored message, with its writer.
pub(super) fn key_of(stored: &StoredMessage) -> MessageKey {
    MessageKey {
        chat: stored.chat.clone(),
        from_me: stored.from_me,
        id: stored.wa_id.clone(),
        participant: Some(stored.sender.clone()),
    }
}

/// The key of a message as WhatsApp knows it: what is stored says more than a caller does.
pub(super) async fn known_key(
    shared: &Shared,
    online: &Online,
    given: MessageKey,
) -> Result<(MessageKey, Option<StoredMessage>), ServiceError> {
    match shared.store.message(online.instance.id, &given.id).await? {
        Some(stored) => {
            let in_group = stored.chat.is_group();
            let key = key_of(&stored);
            let participant = key.participant.clone().filter(|_| in_group && !key.from_me);
            Ok((MessageKey { participant, ..key }, Some(stored)))
        }
        None => Ok((given, None)),
    }
}

async fn mentions(
    shared: &Shared,
    online: &Online,
    to: &Jid,
    message: &NewMessage,
) -> Result<Vec<Jid>, ServiceError> {
    let mut named = Vec::new();
    if message.mention_all && to.is_group() {
        let group = online.session.group(to).await?;
        named.extend(group.members.into_iter().map(|member| member.jid));
    }
    if message.mentions.len() > MAX_MENTIONS {
        return Err(invalid("at most 1024 people can be named in a message"));
    }
    for number in &message.mentions {
        let (jid, _) = numbers::resolve(shared, &*online.session, Number::parse(number)?).await?;
        if !named.contains(&jid) {
            named.push(jid);
        }
    }
    Ok(named)
}

/// Lets the other side see that a message is being made. That it can't be shown stops no message.
pub(super) async fn show_typing(online: &Online, draft: &Draft, delay: Duration) {
    let delay = delay.min(MAX_DELAY);
    if delay.is_zero() {
        return;
    }
    let typing = match &draft.content {
        Content::Media(media) if media.kind == MediaKind::VoiceNote => Typing::Recording,
        _ => Typing::Composing,
    };
    let until = tokio::time::Instant::now() + delay;
    while tokio::time::Instant::now() < until {
        if let Err(error) = online.session.show_typing(&draft.to, typing).await {
            tracing::debug!(%error, "typing could not be shown");
        }
        let next = tokio::time::Instant::now() + TYPING_LASTS;
        tokio::time::sleep_until(next.min(until)).await;
    }
    if let Err(error) = online.session.show_typing(&draft.to, Typing::Paused).await {
        tracing::debug!(%error, "the end of typing could not be shown");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_and_endless_texts_are_refused() {
        assert!(matches!(check_text(" \n"), Err(ServiceError::EmptyText)));
        assert!(matches!(
            check_text(&"x".repeat(MAX_TEXT + 1)),
            Err(ServiceError::TextTooLong { .. })
        ));
        assert!(check_text("hi").is_ok());
    }

    #[test]
    fn polls_have_answers_that_differ() {
        let options = |all: &[&str]| all.iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
        assert!(check_poll("When?", &options(&["now", "later"]), 1).is_ok());
        assert!(check_poll("When?", &options(&["now"]), 1).is_err());
        assert!(check_poll("When?", &options(&["now", "now"]), 1).is_err());
        assert!(check_poll("When?", &options(&["now", "later"]), 3).is_err());
    }
}
