//! What was voted in a poll: the answers, and who chose each. A new vote of somebody is in place of the one
//! before, and may be for nothing.

use crate::Shared;
use crate::error::ServiceError;
use flowcore_domain::id::InstanceId;
use flowcore_domain::jid::{Jid, Server};
use flowcore_storage::{MessageFilter, Page, StoredMessage};
use serde_json::Value;

/// What a vote is called among the kinds of messages.
const VOTE: &str = "pollUpdateMessage";
/// What a poll is called, by its versions.
const POLLS: [&str; 3] = ["pollCreationMessage", "pollCreationMessageV2", "pollCreationMessageV3"];
/// How many votes are read at once, and how often at most.
const PAGE: usize = 1000;
const PAGES: usize = 20;

/// An answer of a poll.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PollAnswer {
    /// What it says.
    pub name: String,
    /// Who chose it.
    pub voters: Vec<Jid>,
}

/// A vote that could be opened.
pub(crate) struct Vote {
    /// The id of the poll.
    pub(crate) poll: String,
    voter: Jid,
    chosen: Vec<String>,
}

/// The vote in a message; `None` when it is none, or one that is still sealed.
pub(crate) fn vote_in(content: &Value, sender: &Jid, sender_alt: Option<&Jid>) -> Option<Vote> {
    let update = content.get(VOTE)?;
    let chosen = update["vote"]["selectedOptions"].as_array()?;
    let phone = sender_alt.filter(|alt| alt.server() == Server::Person);
    Some(Vote {
        poll: update["pollCreationMessageKey"]["id"].as_str()?.to_owned(),
        voter: phone.unwrap_or(sender).clone(),
        chosen: chosen.iter().filter_map(|name| name.as_str().map(str::to_owned)).collect(),
    })
}

/// The votes of a stored poll that are stored, oldest first.
pub(crate) async fn votes(
    shared: &Shared,
    instance: InstanceId,
    poll: &StoredMessage,
) -> Result<Vec<Vote>, ServiceError> {
    let filter = MessageFilter {
        chat: Some(poll.chat.clone()),
        kind: Some(VOTE.to_owned()),
        ..MessageFilter::default()
    };
    let mut found = Vec::new();
    for page in 0..PAGES {
        let page = Page { skip: page * PAGE, take: PAGE };
        let (_, some) = shared.store.find_messages(instance, &filter, page).await?;
        let last = some.len() < PAGE;
        let votes = some.iter().filter_map(|message| {
            vote_in(&message.content, &message.sender, message.sender_alt.as_ref())
        });
        found.extend(votes.filter(|vote| vote.poll == poll.wa_id));
        if last {
            break;
        }
    }
    found.reverse();
    Ok(found)
}

/// The answers of a poll with who chose them; `None` when the message is no poll.
pub(crate) fn tally<'a>(
    poll: &Value,
    votes: impl IntoIterator<Item = &'a Vote>,
) -> Option<Vec<PollAnswer>> {
    let options = POLLS.iter().find_map(|kind| poll[*kind]["options"].as_array())?;
    let names = options.iter().filter_map(|option| option["optionName"].as_str());
    let mut answers: Vec<PollAnswer> =
        names.map(|name| PollAnswer { name: name.to_owned(), voters: Vec::new() }).collect();
    for vote in votes {
        for answer in &mut answers {
            answer.voters.retain(|voter| *voter != vote.voter);
            if vote.chosen.contains(&answer.name) {
                answer.voters.push(vote.voter.clone());
            }
        }
    }
    Some(answers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn vote(voter: &str, chosen: &[&str]) -> Vote {
        let content = json!({ VOTE: {
            "pollCreationMessageKey": { "id": "3EB0" }, "vote": { "selectedOptions": chosen },
        }});
        let phone = voter.parse().expect("an address");
        vote_in(&content, &"1@lid".parse().expect("an address"), Some(&phone)).expect("a vote")
    }

    #[test]
    fn the_last_vote_of_somebody_counts() {
        let poll = json!({ "pollCreationMessageV3": {
            "options": [{ "optionName": "now" }, { "optionName": "later" }],
        }});
        let (ana, bob) = ("5511@s.whatsapp.net", "5512@s.whatsapp.net");
        let votes = [vote(ana, &["now"]), vote(bob, &["now", "later"]), vote(ana, &["later"])];
        let answers = tally(&poll, &votes).expect("a poll");
        let who = |at: usize| answers[at].voters.iter().map(Jid::to_string).collect::<Vec<_>>();
        assert_eq!((who(0), who(1)), (vec![bob.to_owned()], vec![bob.to_owned(), ana.to_owned()]));
        assert_eq!(tally(&json!({ "conversation": "hi" }), &votes), None);
    }
}
