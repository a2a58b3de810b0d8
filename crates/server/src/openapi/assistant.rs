//! The assistant of an instance, its playground, and prompts that a model writes.

use super::{Operation, op, shape};

pub(super) const SCHEMAS: &[(&str, &str)] = &[
    ("Prices", "{input: number, output: number}"),
    ("Pacing", "{debounceMs: integer, typing: boolean, maxRepliesPerContactHour: integer}"),
    ("ModelProblem", "{code: string, detail: string}"),
    (
        "Provider",
        "\"default\" | \"openai\" | \"anthropic\" | \"gemini\" | \"ollama\" | \"groq\" | \"mistral\" | \
          \"deepseek\" | \"xai\" | \"openrouter\" | \"cohere\"",
    ),
    (
        "Assistant",
        "{isActive: boolean, systemPrompt: string, temperature: number, provider: Provider, \
          model: string | null, baseUrl: string | null, hasApiKey: boolean, maxTokens: integer, \
          processVoiceMessages: boolean, defaultVoiceLanguage: string, \
          transcriptionModel: string | null, voiceMessageDefaultResponse: string, \
          seeImages: boolean, fallbackMessage: string, knowledgeOnly: boolean, groups: boolean, \
          pacing: Pacing, monthlyCostLimit: number | null, prices: Prices | null, \
          optOutWords: string[], ignoredContacts: string[], problem: ModelProblem | null, \
          spentThisMonth: number, updatedAt: time | null}",
    ),
    (
        "AssistantFields",
        "{isActive?: boolean, systemPrompt?: string(0..32000), temperature?: number(0..2), \
          provider?: string | null, model?: string | null, baseUrl?: string | null, \
          apiKey?: string | null, maxTokens?: integer(16..32000), processVoiceMessages?: boolean, \
          defaultVoiceLanguage?: string, transcriptionModel?: string | null, \
          voiceMessageDefaultResponse?: string(0..2000), seeImages?: boolean, \
          fallbackMessage?: string(0..2000), knowledgeOnly?: boolean, groups?: boolean, \
          pacing?: {debounceMs?: integer(0..60000), typing?: boolean, \
          maxRepliesPerContactHour?: integer(1..1000)}, monthlyCostLimit?: number | null, \
          prices?: Prices | null, optOutWords?: string[], ignoredContacts?: string[]}",
    ),
    ("Drafted", "{draft?: AssistantFields | null}"),
    (
        "PromptVersion",
        "{id: id, number: integer, systemPrompt: string, createdBy: id, createdAt: time, \
          current: boolean}",
    ),
    (
        "ComparedVersion",
        "{id: id, number: integer, systemPrompt: string, createdBy: id, createdAt: time, \
          current: boolean, diff: {change: \"same\" | \"added\" | \"removed\", text: string}[]}",
    ),
    ("CaseTurn", "{role: \"user\" | \"assistant\" | \"human\", text: string}"),
    ("Expectation", "{contains?: string[], notContains?: string[], unknown?: boolean | null}"),
    (
        "AiCase",
        "{id: id, name: string, history: CaseTurn[], message: string, expect: Expectation, \
          lastOutcome: any, createdAt: time}",
    ),
    (
        "AiAnswer",
        "{text: string, messages: string[], model: string, \
          usage: {inputTokens: integer, outputTokens: integer}, cost: number, \
          times: {modelMs: integer, firstTokenMs: integer, totalMs: integer}, unknown: boolean, \
          wantsPerson: boolean, withheld: boolean}",
    ),
    (
        "AiOutcome",
        "{id: id, name: string, passed: boolean, failures: string[], answer: AiAnswer | null}",
    ),
    ("Transcript", "{text: string, language: string | null, durationMs: integer | null}"),
];

const TAG: &str = "Assistant";

/// How a model fails, where it is asked for an answer.
const MODEL: &[u16] = &[409, 502, 503, 504];

pub(super) fn operations() -> Vec<Operation> {
    vec![
        op(TAG, "GET /api/instances/{name}/ai", "The assistant of an instance")
            .answers(200, "Assistant"),
        op(TAG, "PUT /api/instances/{name}/ai", "Changes what is named")
            .body("AssistantFields")
            .answers(200, "Assistant"),
        op(TAG, "POST /api/instances/{name}/ai/toggle", "Switches it on or off")
            .body("{isActive: boolean}")
            .answers(200, "Assistant"),
        op(TAG, "POST /api/instances/{name}/ai/check", "Asks the model for a word")
            .body("Drafted")
            .answers(
                200,
                "{ok: boolean, model: string | null, durationMs: integer, \
                  problem: ModelProblem | null}",
            ),
        op(TAG, "GET /api/instances/{name}/ai/versions", "The wordings that the prompt had")
            .answers(200, "{data: PromptVersion[], nextCursor: null}"),
        op(TAG, "GET /api/instances/{name}/ai/versions/{id}", "One, compared with that of now")
            .answers(200, "ComparedVersion"),
        op(TAG, "POST /api/instances/{name}/ai/versions/{id}/restore", "Makes it the newest")
            .answers(200, "Assistant"),
        op(
            TAG,
            "POST /api/instances/{name}/ai/test",
            "Tries it: passages, prompt, tokens and the end as server-sent events",
        )
        .body(
            "{message: string(1..4096), history?: CaseTurn[], draft?: AssistantFields | null, \
              compare?: boolean}",
        )
        .answers_with(200, "text/event-stream", shape("string"))
        .refuses(MODEL),
        op(TAG, "POST /api/instances/{name}/ai/transcribe", "What a recording says")
            .takes("multipart/form-data", shape("{file: bytes}"))
            .answers(200, "Transcript")
            .refuses(MODEL),
        op(TAG, "GET /api/instances/{name}/ai/cases", "Conversations to try again")
            .answers(200, "{data: AiCase[], nextCursor: null}"),
        op(TAG, "POST /api/instances/{name}/ai/cases", "Keeps one")
            .body(
                "{name?: string(0..100), history?: CaseTurn[], message?: string(1..4096), \
                  conversationId?: id | null, expect?: Expectation}",
            )
            .answers(201, "AiCase"),
        op(TAG, "DELETE /api/instances/{name}/ai/cases/{id}", "Forgets one").answers_nothing(204),
        op(TAG, "POST /api/instances/{name}/ai/cases/run", "Tries all of them")
            .body("Drafted")
            .answers(200, "{data: AiOutcome[], passed: integer, failed: integer}")
            .refuses(MODEL),
        op(TAG, "POST /api/ai/prompts/generate", "Has a model write a prompt")
            .body(
                "{description: string(1..4000), language?: string | null, \
                  instanceName?: string | null}",
            )
            .answers(200, "{prompt: string, used: integer, limit: integer | null}")
            .refuses(MODEL)
            .refuses(&[404]),
    ]
}
