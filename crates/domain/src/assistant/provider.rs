//! Who makes the models, what they speak on the wire, and what they cost.

use serde::{Deserialize, Serialize, Serializer};

/// Whose model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Provider {
    /// Whatever the operator of the server chose.
    Default,
    /// `OpenAI`, and everybody who speaks as it does at another address.
    OpenAi,
    /// Anthropic.
    Anthropic,
    /// Google's Gemini.
    Gemini,
    /// Ollama, usually on the operator's own machine.
    Ollama,
    /// Groq.
    Groq,
    /// Mistral.
    Mistral,
    /// `DeepSeek`.
    DeepSeek,
    /// `xAI`.
    Xai,
    /// `OpenRouter`.
    OpenRouter,
    /// Cohere.
    Cohere,
}

/// What is spoken on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wire {
    /// `POST chat/completions`.
    OpenAi,
    /// `POST messages`.
    Anthropic,
    /// `POST models/…:generateContent`.
    Gemini,
}

impl Provider {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Default,
        Self::OpenAi,
        Self::Anthropic,
        Self::Gemini,
        Self::Ollama,
        Self::Groq,
        Self::Mistral,
        Self::DeepSeek,
        Self::Xai,
        Self::OpenRouter,
        Self::Cohere,
    ];

    /// The word of the API and the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::OpenAi => "openai",
            Self::Anthropic => "anthropic",
            Self::Gemini => "gemini",
            Self::Ollama => "ollama",
            Self::Groq => "groq",
            Self::Mistral => "mistral",
            Self::DeepSeek => "deepseek",
            Self::Xai => "xai",
            Self::OpenRouter => "openrouter",
            Self::Cohere => "cohere",
        }
    }

    /// Reads the word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|provider| provider.as_str().eq_ignore_ascii_case(word))
    }

    /// What the word may be.
    #[must_use]
    pub fn rule() -> String {
        format!("provider is one of {}", Self::ALL.map(Self::as_str).join(", "))
    }

    /// What it speaks.
    #[must_use]
    pub fn wire(self) -> Wire {
        match self {
            Self::Anthropic => Wire::Anthropic,
            Self::Gemini => Wire::Gemini,
            _ => Wire::OpenAi,
        }
    }

    /// Where it usually is.
    #[must_use]
    pub fn usual_url(self) -> &'static str {
        match self {
            Self::Default | Self::OpenAi => "https://api.openai.com/v1/",
            Self::Anthropic => "https://api.anthropic.com/v1/",
            Self::Gemini => "https://generativelanguage.googleapis.com/v1beta/",
            Self::Ollama => "http://127.0.0.1:11434/v1/",
            Self::Groq => "https://api.groq.com/openai/v1/",
            Self::Mistral => "https://api.mistral.ai/v1/",
            Self::DeepSeek => "https://api.deepseek.com/v1/",
            Self::Xai => "https://api.x.ai/v1/",
            Self::OpenRouter => "https://openrouter.ai/api/v1/",
            Self::Cohere => "https://api.cohere.ai/compatibility/v1/",
        }
    }

    /// Whether it takes voice notes, and by which model usually.
    #[must_use]
    pub fn usual_transcriber(self) -> Option<&'static str> {
        match self {
            Self::Default | Self::OpenAi => Some("whisper-1"),
            Self::Groq => Some("whisper-large-v3-turbo"),
            _ => None,
        }
    }

    /// What its models cost when nobody says.
    #[must_use]
    pub fn usual_prices(self) -> Prices {
        match self {
            Self::Ollama => Prices { input: 0.0, output: 0.0 },
            _ => Prices::CAUTIOUS,
        }
    }
}

impl Serialize for Provider {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// What a million tokens cost, in the currency of the limit.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prices {
    /// Of what the model reads.
    pub input: f64,
    /// Of what it writes.
    pub output: f64,
}

impl Prices {
    /// What a large model costs: a limit that is reached too early harms less than one that is not.
    pub const CAUTIOUS: Self = Self { input: 3.0, output: 15.0 };
    const MOST: f64 = 10_000.0;

    /// Reads `input/output`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (input, output) = text.split_once('/')?;
        let prices =
            Self { input: input.trim().parse().ok()?, output: output.trim().parse().ok()? };
        prices.fit().then_some(prices)
    }

    /// Whether they can be prices.
    #[must_use]
    pub fn fit(self) -> bool {
        [self.input, self.output].iter().all(|price| (0.0..=Self::MOST).contains(price))
    }

    /// What so many tokens cost, in millionths.
    #[must_use]
    pub fn micros(self, tokens: Tokens) -> f64 {
        f64::from(tokens.input) * self.input + f64::from(tokens.output) * self.output
    }
}

/// How much a model read and wrote.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tokens {
    /// Tokens that it read.
    pub input: u32,
    /// Tokens that it wrote.
    pub output: u32,
}

impl Tokens {
    /// About how many tokens a text has, where the provider does not say.
    #[must_use]
    pub fn estimate(text: &str) -> u32 {
        u32::try_from(text.chars().count().div_ceil(4)).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_back() {
        for provider in Provider::ALL {
            assert_eq!(Provider::parse(provider.as_str()), Some(provider));
        }
        assert_eq!(Provider::parse("OpenAI"), Some(Provider::OpenAi));
        assert_eq!(Provider::parse(""), None);
    }

    #[test]
    fn a_price_is_for_a_million_tokens() {
        let prices = Prices::parse("2.5/10").expect("prices");
        let tokens = Tokens { input: 1_000_000, output: 100_000 };
        assert!((prices.micros(tokens) - 3_500_000.0).abs() < 1e-6);
        for wrong in ["", "1", "1/x", "-1/2", "nan/1", "inf/1"] {
            assert_eq!(Prices::parse(wrong), None, "{wrong}");
        }
    }
}
