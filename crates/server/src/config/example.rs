//! The example file that `flowcore config` prints and `flowcore.example.toml` holds.
//!
//! Made from one table, so that the file, the names in the environment and the types cannot drift: a
//! test reads every line of it back into the settings.

use std::fmt::Write as _;

/// A setting as the example shows it.
struct Setting {
    name: &'static str,
    example: &'static str,
    about: &'static str,
}

const SETTINGS: [Setting; 38] = [
    Setting {
        name: "host",
        example: "\"127.0.0.1\"",
        about: "Address to listen on. In a container: \"0.0.0.0\".",
    },
    Setting { name: "port", example: "3000", about: "Port to listen on." },
    Setting {
        name: "data_dir",
        example: "\"data\"",
        about: "Folder of the database and the keys. Only its owner may read it.",
    },
    Setting {
        name: "database_url",
        example: "\"sqlite\"",
        about: "The database: sqlite (a file in the data folder), or PostgreSQL 15 or newer as\n\
                postgres://user:password@host:5432/name. A pooler must keep sessions. Over a network\n\
                add ?sslmode=verify-full, and &sslrootcert=FILE for a certificate of your own.\n\
                DATABASE_URL is understood too. Better kept in the environment than in a file.",
    },
    Setting {
        name: "database_schema",
        example: "\"flowcore\"",
        about: "The schema to use on PostgreSQL; it is made when it is not there.",
    },
    Setting {
        name: "admin_key",
        example: "\"\"",
        about: "The key that may do everything, at least 32 characters. Left empty, one is made at\n\
                the first start and printed once. Better kept in the environment than in a file.",
    },
    Setting {
        name: "master_key",
        example: "\"\"",
        about: "Seals secrets at rest: base64 of 32 bytes (`openssl rand -base64 32`). Left empty,\n\
                a key file is made in the data folder; keep a copy of it with your backups.",
    },
    Setting {
        name: "public_url",
        example: "\"http://127.0.0.1:3000\"",
        about: "The address under which others reach this server, for example\n\
                https://flowcore.example.com. With https the dashboard's cookie is locked to it.",
    },
    Setting {
        name: "whatsapp_url",
        example: "\"\"",
        about: "The chat socket to dial instead of WhatsApp's own.",
    },
    Setting {
        name: "keep_events_days",
        example: "30",
        about: "How many days events can be followed and replayed. What is not delivered yet stays.",
    },
    Setting {
        name: "allow_private",
        example: "[]",
        about: "Private addresses that webhooks may reach all the same: hosts, host:port or CIDRs,\n\
                for example [\"crm.lan:8080\", \"10.0.0.0/8\"].",
    },
    Setting {
        name: "trusted_proxies",
        example: "[]",
        about: "Proxies whose X-Forwarded-For and X-Forwarded-Proto count: addresses and networks,\n\
                for example [\"127.0.0.1\", \"10.0.0.0/8\"].",
    },
    Setting {
        name: "insecure_cookies",
        example: "false",
        about: "Browsers sign in over plain HTTP on this machine only. true lets them do so from\n\
                everywhere: whoever listens on the way then has the session.",
    },
    Setting {
        name: "rate_limit",
        example: "\"6000\"",
        about: "Requests a minute of one key; who has no good key gets a tenth by address.\n\
                \"off\" for no limit.",
    },
    Setting {
        name: "cors_origins",
        example: "[]",
        about: "Sites whose pages may call this server from the browser, for example\n\
                [\"https://app.example.com\"]; [\"*\"] for all. The dashboard's cookie never counts there.",
    },
    Setting {
        name: "tls_cert",
        example: "\"\"",
        about: "The certificate chain in PEM, when TLS ends here and not at a proxy.",
    },
    Setting { name: "tls_key", example: "\"\"", about: "Its private key in PEM." },
    Setting {
        name: "supabase_url",
        example: "\"\"",
        about: "A Supabase project whose users may come with their tokens (ES256, RS256), for example\n\
                https://PROJECT.supabase.co.",
    },
    Setting {
        name: "supabase_jwt_secret",
        example: "\"\"",
        about: "That project's JWT secret, when it still signs with one (HS256).",
    },
    Setting {
        name: "supabase_audience",
        example: "\"authenticated\"",
        about: "Whom such tokens must be meant for.",
    },
    Setting {
        name: "supabase_quotas",
        example: "\"\"",
        about: "What those users may have from the first time on, for example\n\
                \"instances=3,messagesPerDay=1000\". Left empty, there is no limit.",
    },
    Setting {
        name: "ai_provider",
        example: "\"\"",
        about: "The provider of assistants whose owners choose none: openai, anthropic, gemini, ollama,\n\
                groq, mistral, deepseek, xai, openrouter or cohere (docs/assistant.md).",
    },
    Setting {
        name: "ai_base_url",
        example: "\"\"",
        about: "Where it is, when not at its usual address. Alone it means somebody who speaks as OpenAI\n\
                does. It may be private: only users' own addresses are guarded.",
    },
    Setting {
        name: "ai_api_key",
        example: "\"\"",
        about: "Its key. Better kept in the environment than in a file.",
    },
    Setting { name: "ai_model", example: "\"\"", about: "Its model." },
    Setting {
        name: "ai_prices",
        example: "\"3/15\"",
        about: "What a million tokens cost, read and written: owners limit what a month may cost.",
    },
    Setting {
        name: "ai_transcription_url",
        example: "\"\"",
        about: "Who transcribes voice notes, when it is another one than the provider: the address of a\n\
                server with OpenAI's audio/transcriptions, such as one of faster-whisper.",
    },
    Setting { name: "ai_transcription_api_key", example: "\"\"", about: "The key of that one." },
    Setting {
        name: "ai_transcription_model",
        example: "\"whisper-1\"",
        about: "The model that transcribes.",
    },
    Setting {
        name: "ai_embedding_provider",
        example: "\"openai\"",
        about: "Who gives passages their vectors: openai (or who speaks as it does), ollama, or local,\n\
                a model of static vectors on this machine (docs/assistant.md).",
    },
    Setting {
        name: "ai_embedding_url",
        example: "\"\"",
        about: "Where that is, when not at its usual address.",
    },
    Setting { name: "ai_embedding_api_key", example: "\"\"", about: "Its key." },
    Setting {
        name: "ai_embedding_model",
        example: "\"\"",
        about: "Its model, as bge-m3, or the folder of a local one. Without it documents are found\n\
                by words alone; another one means all vectors anew.",
    },
    Setting {
        name: "max_instances",
        example: "5000",
        about: "Most instances of all users together. Past it, new ones are refused with 503.",
    },
    Setting {
        name: "memory_limit",
        example: "4096",
        about: "Resident memory in MiB past which no instance is made or started: 503 instead of a\n\
                machine without memory. What runs goes on running.",
    },
    Setting {
        name: "cache_memory",
        example: "64",
        about: "MiB that all numbers together may keep of who is in their groups. Past it, what was\n\
                not used for longest is asked for again.",
    },
    Setting {
        name: "log",
        example: "\"info\"",
        about: "What is logged: a level, or levels by module (docs/logging.md).",
    },
    Setting {
        name: "log_format",
        example: "\"text\"",
        about: "How logs are written to stderr: \"text\" or \"json\".",
    },
];

/// The example file: every setting with its default, commented out.
pub fn example_file() -> String {
    let mut file = String::from(
        "# Settings of Flowcore, with their defaults. Copy to flowcore.toml and change what you need.\n\
         # The environment wins over this file, flags win over the environment.\n",
    );
    for setting in &SETTINGS {
        file.push('\n');
        for line in setting.about.lines() {
            file.push_str("# ");
            file.push_str(line);
            file.push('\n');
        }
        let variable = setting.name.to_ascii_uppercase();
        let _ = writeln!(file, "# Environment: FLOWCORE_{variable}");
        let _ = writeln!(file, "#{} = {}", setting.name, setting.example);
    }
    file
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{FileSettings, Flags};
    use clap::Args as _;

    #[test]
    fn the_example_in_the_repository_is_the_one_that_is_printed() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../flowcore.example.toml");
        let stored = std::fs::read_to_string(path).expect("flowcore.example.toml");
        assert_eq!(
            stored,
            example_file(),
            "write it anew: flowcore config > flowcore.example.toml"
        );
    }

    #[test]
    fn every_setting_of_the_file_is_in_the_example() {
        let example = example_file();
        let lines = example.lines().filter_map(|line| line.strip_prefix('#'));
        let uncommented: Vec<&str> = lines.filter(|line| !line.starts_with(' ')).collect();
        let FileSettings {
            host,
            port,
            data_dir,
            database_url,
            database_schema,
            admin_key,
            master_key,
            public_url,
            whatsapp_url,
            keep_events_days,
            allow_private,
            max_instances,
            memory_limit,
            cache_memory,
            log,
            log_format,
            trusted_proxies,
            insecure_cookies,
            rate_limit,
            cors_origins,
            tls_cert,
            tls_key,
            supabase_url,
            supabase_jwt_secret,
            supabase_audience,
            supabase_quotas,
            ai_provider,
            ai_base_url,
            ai_api_key,
            ai_model,
            ai_prices,
            ai_transcription_url,
            ai_transcription_api_key,
            ai_transcription_model,
            ai_embedding_provider,
            ai_embedding_url,
            ai_embedding_api_key,
            ai_embedding_model,
        } = toml::from_str(&uncommented.join("\n")).expect("the example can be read");
        assert!(host.is_some() && port.is_some() && data_dir.is_some() && admin_key.is_some());
        assert!(master_key.is_some() && public_url.is_some() && whatsapp_url.is_some());
        assert!(database_url.is_some() && database_schema.is_some() && keep_events_days.is_some());
        assert!(trusted_proxies.is_some() && insecure_cookies.is_some() && rate_limit.is_some());
        assert!(cors_origins.is_some() && tls_cert.is_some() && tls_key.is_some());
        assert!(supabase_url.is_some() && supabase_jwt_secret.is_some());
        assert!(supabase_audience.is_some() && supabase_quotas.is_some());
        assert!(ai_provider.is_some() && ai_base_url.is_some() && ai_api_key.is_some());
        assert!(ai_model.is_some() && ai_prices.is_some() && ai_transcription_url.is_some());
        assert!(ai_transcription_api_key.is_some() && ai_transcription_model.is_some());
        assert!(ai_embedding_provider.is_some() && ai_embedding_url.is_some());
        assert!(ai_embedding_api_key.is_some() && ai_embedding_model.is_some());
        assert!(max_instances.is_some() && memory_limit.is_some() && cache_memory.is_some());
        assert!(allow_private.is_some() && log.is_some() && log_format.is_some());
    }

    #[test]
    fn every_setting_has_its_variable_and_flag() {
        let command = Flags::augment_args(clap::Command::new("flowcore"));
        for setting in &SETTINGS {
            let variable = format!("FLOWCORE_{}", setting.name.to_ascii_uppercase());
            let argument = command
                .get_arguments()
                .find(|argument| argument.get_id().as_str() == setting.name)
                .expect("a flag of that name");
            assert_eq!(argument.get_env().and_then(|name| name.to_str()), Some(&*variable));
        }
    }
}
