//! Whether what is said is refused: "I don't need …", "não preciso de …", "sin …", "… brauche ich nicht",
//! "… is not needed", "I decline …".
//!
//! A refusal reaches from its word to the end of its clause. It also ends at a word that turns the sentence
//! ("but", "só"), where somebody begins anew ("I", "ich") or wants something after it has had its object, and
//! where the word that follows it comes again ("não quero robô quero …"). Who can't do something has not
//! refused it, and a question with "not" in it is a question.

use super::text::{Text, Word};

/// A refusal reaches no further, in words.
const REACH: usize = 8;
/// A refusal at the end of a clause reaches back over so many words.
const BACK: usize = 3;

/// Function words that refuse, of English, Portuguese, Spanish and German, without accents and apostrophes.
const REFUSING: [&str; 49] = [
    "no", "not", "dont", "doesnt", "didnt", "wont", "wouldnt", "isnt", "arent", "wasnt",
    "shouldnt", "neednt", "havent", "hasnt", "aint", "without", "nor", "neither", "none", "non",
    "nao", "naum", "n", "nem", "sem", "nenhum", "nenhuma", "tampouco", "sin", "ni", "ningun",
    "ninguno", "ninguna", "tampoco", "nicht", "nich", "kein", "keine", "keinen", "keinem",
    "keiner", "keines", "keins", "ohne", "nix", "nichts", "weder", "niemals", "jamas",
];
/// Verbs that refuse what follows them: to decline, to do without.
const DECLINING: [&str; 29] = [
    "refuse",
    "refused",
    "refusing",
    "decline",
    "declined",
    "avoid",
    "recuso",
    "recusei",
    "recusamos",
    "recusar",
    "dispenso",
    "dispensei",
    "dispensamos",
    "dispensar",
    "evito",
    "evitar",
    "rechazo",
    "rechazamos",
    "rechazar",
    "prescindo",
    "prescindimos",
    "prescindir",
    "verzichte",
    "verzichten",
    "verzichtet",
    "lehne",
    "lehnen",
    "ablehne",
    "vermeide",
];
/// Being able: "can't", "não consigo", "kann nicht".
const ABLE: [&str; 31] = [
    "can",
    "could",
    "able",
    "cant",
    "cannot",
    "couldnt",
    "consigo",
    "consegui",
    "conseguimos",
    "consegue",
    "posso",
    "pude",
    "podemos",
    "pode",
    "puedo",
    "puede",
    "pueden",
    "podemos",
    "podria",
    "logro",
    "logre",
    "kann",
    "konnte",
    "konnen",
    "konnten",
    "koennen",
    "koennten",
    "konnt",
    "darf",
    "durfen",
    "duerfen",
];
/// Words after which something else is said.
const TURNING: [&str; 17] = [
    "but",
    "only",
    "instead",
    "rather",
    "mas",
    "so",
    "somente",
    "apenas",
    "senao",
    "pero",
    "sino",
    "solo",
    "solamente",
    "aber",
    "sondern",
    "nur",
    "stattdessen",
];
/// Who speaks.
const SPEAKING: [&str; 6] = ["i", "im", "eu", "yo", "ich", "wir"];
/// Wanting: it is refused where it follows at once ("don't want"), and begins anew later.
const WANTING: [&str; 12] = [
    "want",
    "wanna",
    "need",
    "get",
    "give",
    "quero",
    "queria",
    "preciso",
    "quiero",
    "quisiera",
    "necesito",
    "necesitaba",
];
/// The same in German, where a refusal follows what it refuses.
const WANTING_ANEW: [&str; 5] = ["brauche", "mochte", "moechte", "benotige", "benoetige"];
/// What is refused of a thing that was named before: "… is not needed".
const NEEDED: [&str; 14] = [
    "needed",
    "necessary",
    "required",
    "preciso",
    "precisa",
    "necessario",
    "necessaria",
    "necesario",
    "necesaria",
    "falta",
    "notig",
    "noetig",
    "notwendig",
    "erforderlich",
];
/// Function words that only Portuguese has, where "no" is "in the".
const PORTUGUESE: [&str; 24] = [
    "um", "uma", "uns", "umas", "nao", "em", "com", "voce", "voces", "vcs", "vc", "meu", "minha",
    "eu", "pra", "pro", "pelo", "pela", "ao", "da", "do", "na", "tem", "ate",
];
/// Function words that only Spanish has.
const SPANISH: [&str; 14] = [
    "el", "los", "las", "una", "con", "del", "al", "yo", "usted", "ustedes", "hay", "y", "es", "un",
];

/// Whether the occurrence from `start` to `end` is refused.
pub(super) fn refuses(text: &Text, start: usize, end: usize) -> bool {
    let here = &text.words[start];
    if text.is_question(here) && !asks_in_passing(text, start) {
        return false;
    }
    let clause = text.words[..start].iter().rposition(|word| word.clause != here.clause);
    let first = clause.map_or(0, |before| before + 1);
    let ahead = (first..start).rev().take(REACH).find(|at| is_refusing(text, *at));
    ahead.is_some_and(|at| reaches(&text.words, at, start))
        || refused_behind(text, first, start, end)
}

/// A question mark behind several clauses is the last one's.
fn asks_in_passing(text: &Text, at: usize) -> bool {
    let here = &text.words[at];
    let last = text.words.iter().rev().find(|word| word.sentence == here.sentence);
    last.is_some_and(|last| last.clause != here.clause)
}

fn is_refusing(text: &Text, at: usize) -> bool {
    let word = text.words[at].plain();
    if DECLINING.contains(&word) {
        return true;
    }
    if !REFUSING.contains(&word) || is_inability(&text.words, at) {
        return false;
    }
    // Portuguese "no" stands before what one is in.
    word != "no" || !is_portuguese(text)
}

fn is_inability(words: &[Word], at: usize) -> bool {
    let able = |at: usize| words.get(at).is_some_and(|word| ABLE.contains(&word.plain()));
    able(at + 1) || (at > 0 && able(at - 1)) || (at > 1 && able(at - 2))
}

fn is_portuguese(text: &Text) -> bool {
    let count =
        |list: &[&str]| text.words.iter().filter(|word| list.contains(&word.plain())).count();
    count(&PORTUGUESE) > count(&SPANISH)
}

/// Whether a refusal at `at` still holds at `start`, in the same clause.
fn reaches(words: &[Word], at: usize, start: usize) -> bool {
    let between = &words[at + 1..start];
    let verb = between.first().map(Word::plain);
    !between.iter().enumerate().any(|(number, word)| {
        let word = word.plain();
        let anew = SPEAKING.contains(&word) && number != 1;
        let again = number > 1 && Some(word) == verb;
        let told = number.checked_sub(1).is_some_and(|at| SPEAKING.contains(&between[at].plain()));
        let imperative = matches!(word, "get" | "give");
        let wants = WANTING.contains(&word) && !told && (number > 1 || (imperative && number > 0));
        TURNING.contains(&word) || anew || again || wants || WANTING_ANEW.contains(&word)
    })
}

/// "… brauche ich nicht": the clause begins with it and ends with a refusal.
fn refused_behind(text: &Text, first: usize, start: usize, end: usize) -> bool {
    if start > first + 1 {
        return false;
    }
    let clause = text.words[start].clause;
    let behind = text.words[end..].iter().take_while(|word| word.clause == clause).count();
    if behind == 0 || behind > BACK {
        return false;
    }
    let last = end + behind - 1;
    let needed = NEEDED.contains(&text.words[last].plain());
    is_refusing(text, last) || (needed && (end..last).any(|at| is_refusing(text, at)))
}
