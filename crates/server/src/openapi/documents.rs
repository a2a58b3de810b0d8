//! Documents that the assistant answers from, and the search in them.

use super::{Operation, op};
use serde_json::json;

pub(super) const SCHEMAS: &[(&str, &str)] = &[
    (
        "Document",
        "{id: id, name: string, status: \"queued\" | \"reading\" | \"indexed\" | \"failed\", \
          reason: string | null, reasonCode: string | null, url: string | null, bytes: integer, \
          passages: integer, createdAt: time, updatedAt: time, duplicateOf?: id | null, instances?: string[], \
          embedded?: integer | null}",
    ),
    ("EmbedderKind", "\"default\" | \"none\" | \"openai\" | \"ollama\""),
    (
        "Embedder",
        "{provider: EmbedderKind, baseUrl: string | null, model: string | null, hasApiKey: boolean, \
          isActive: boolean, passages: integer, embedded: integer, problem: ModelProblem | null, \
          updatedAt: time | null}",
    ),
    (
        "Passage",
        "{documentId: id, documentName: string, text: string, score: number, headings: string[]}",
    ),
];

const TAG: &str = "Documents";

pub(super) fn operations() -> Vec<Operation> {
    let file = json!({
        "type": "object",
        "properties": { "file": { "type": "string", "contentMediaType": "application/octet-stream" } },
        "required": ["file"],
    });
    vec![
        op(TAG, "POST /api/documents", "Takes a document in, to be read; or JSON with the url of a page")
            .takes("multipart/form-data", file)
            .once()
            .answers(202, "Document")
            .refuses(&[408]),
        op(TAG, "GET /api/documents", "The documents, newest first")
            .query("{instanceName?: string, limit?: integer(1..200), cursor?: string}")
            .answers(200, "{data: Document[], nextCursor: string | null}"),
        op(TAG, "GET /api/documents/embedder", "Who gives passages their vectors, and how far that is")
            .answers(200, "Embedder"),
        op(TAG, "PUT /api/documents/embedder", "Chooses another: all passages get vectors of it")
            .body(
                "{provider: EmbedderKind, baseUrl?: string | null, model?: string | null, \
                  apiKey?: string | null}",
            )
            .answers(200, "Embedder"),
        op(TAG, "GET /api/documents/{id}", "One document, and the instances that answer from it")
            .answers(200, "Document"),
        op(TAG, "GET /api/documents/{id}/passages", "What was read of it, in its order")
            .query("{limit?: integer(1..200), cursor?: string}")
            .answers(
                200,
                "{data: {number: integer, headings: string[], text: string}[], nextCursor: string | null}",
            ),
        op(TAG, "DELETE /api/documents/{id}", "Removes a document and all that was made of it")
            .answers_nothing(204),
        op(TAG, "POST /api/documents/search", "What the assistant would be given")
            .body(
                "{query: string, history?: {role: \"user\" | \"assistant\" | \"human\", text: string}[], \
                  instanceName?: string, limit?: integer(1..50)}",
            )
            .answers(200, "{passages: Passage[]}")
            .refuses(&[404]),
        op(TAG, "POST /api/instances/{name}/documents/{id}", "Lets an instance answer from a document")
            .answers_nothing(204),
        op(TAG, "DELETE /api/instances/{name}/documents/{id}", "Lets it answer from that no more")
            .answers_nothing(204),
    ]
}
