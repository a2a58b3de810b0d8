//! `flowcore`: serves, prints the example of its settings, or does an operator's work on the data.
//!
//! Before it serves, it checks itself: a client that was compiled to accept anybody as WhatsApp (the
//! simulator needs such a one) must never run here.

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use flowcore_domain::account::{Role, Scope, Scopes};
use flowcore_gateway::Mark;
use flowcore_gateway::operator::Data;
use flowcore_server::app::{self, Running};
use flowcore_server::config::{self, Flags};
use flowcore_server::signals::StopSignals;
use flowcore_server::{healthcheck, logging};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// One server that runs WhatsApp numbers for many users.
#[derive(Debug, Parser)]
#[command(name = "flowcore", version, max_term_width = 100)]
struct CommandLine {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    flags: Flags,
    /// The settings file [default: flowcore.toml, when it exists]
    #[arg(long, global = true)]
    config: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server (the default)
    Serve,
    /// Print the example of the settings file
    Config,
    /// Ask the running server whether it is well, and exit with 0 when it is
    Healthcheck,
    /// Print the OpenAPI document of the API
    Openapi,
    /// Bring the database's schema up to date, as a start does by itself
    Migrate {
        /// Only tell what would be done
        #[arg(long)]
        check: bool,
    },
    /// Keys of the API, and the key that seals secrets at rest
    #[command(subcommand)]
    Key(KeyCommand),
    /// Users
    #[command(subcommand)]
    User(UserCommand),
    /// Write the database to a new file; the server may be running
    Backup {
        /// Where to
        file: PathBuf,
    },
    /// Put a backup into a data folder that has no database
    Restore {
        /// What `backup` wrote
        file: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
enum KeyCommand {
    /// Make a new master key and seal everything with it; the server may be running
    Rotate,
    /// Make a key of the API and print it once; the server may be running
    Add {
        /// Whose it is
        #[arg(long, default_value = "admin")]
        user: String,
        /// What it is called
        #[arg(long, default_value = "command line")]
        name: String,
        /// What it is good for: read, send, manage, settings, delete, admin [default: all that its user may]
        #[arg(long, value_delimiter = ',')]
        scopes: Vec<String>,
    },
    /// Take a key of the API away; the server may be running
    Revoke {
        /// Its id, or its first ten characters
        key: String,
    },
}

#[derive(Debug, Subcommand)]
enum UserCommand {
    /// Make a user and print the password once; the server may be running
    Add {
        /// What they are called at sign-in
        name: String,
        /// admin, member or viewer
        #[arg(long, default_value = "member")]
        role: String,
        /// Where they can be written to
        #[arg(long)]
        email: Option<String>,
    },
    /// Give a user a new password, print it once, and sign them out everywhere
    Password {
        /// What they are called at sign-in
        name: String,
    },
    /// Shut a user out: their sessions end, their keys are good for nothing
    Disable {
        /// What they are called at sign-in
        name: String,
    },
    /// Let a user in again
    Enable {
        /// What they are called at sign-in
        name: String,
    },
}

fn main() -> ExitCode {
    if let Some(done) = flowcore_gateway::read_document_as_child() {
        return done;
    }
    let line = CommandLine::parse();
    let done = match line.command {
        Some(Command::Config) => {
            print!("{}", config::example_file());
            Ok(())
        }
        Some(Command::Openapi) => {
            print!("{}", flowcore_server::openapi());
            Ok(())
        }
        Some(Command::Healthcheck) => config::load(line.flags, line.config.as_deref())
            .map_err(anyhow::Error::from)
            .and_then(|(config, _)| healthcheck::ask(&config)),
        Some(Command::Serve) | None => serve(line.flags, line.config.as_deref()),
        Some(command) => operate(command, line.flags, line.config.as_deref()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("flowcore: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The commands on the data, whether a server runs on it or not.
fn operate(command: Command, flags: Flags, file: Option<&Path>) -> anyhow::Result<()> {
    let (config, log) = config::load(flags, file)?;
    logging::start(&log)?;
    // As in `serve`.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let data = Data {
        data_dir: config.data_dir,
        database: config.database,
        mark: Mark::Flowcore,
        master_key: config.master_key,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        match command {
            Command::Migrate { check: true } => println!("{}", data.migration_plan().await?),
            Command::Migrate { check: false } => {
                data.migrate().await?;
                println!("The schema is up to date.");
            }
            Command::Key(command) => keys(&data, command).await?,
            Command::User(command) => users(&data, command).await?,
            Command::Backup { file } => {
                data.backup(&file).await?;
                println!("Written to {}. The master key is not in it: keep both.", file.display());
            }
            Command::Restore { file } => {
                data.restore(&file).await?;
                println!("Restored. It needs the master key that it was made with.");
            }
            Command::Serve | Command::Config | Command::Openapi | Command::Healthcheck => {}
        }
        Ok(())
    })
}

async fn keys(data: &Data, command: KeyCommand) -> anyhow::Result<()> {
    match command {
        KeyCommand::Rotate => {
            data.rotate_key().await?;
            println!("Everything is sealed with a new key. Renew your copy of the key file.");
        }
        KeyCommand::Add { user, name, scopes } => {
            let wanted = scopes
                .iter()
                .map(|word| Scope::parse(word).with_context(|| format!("{word:?} is no scope")));
            let wanted = wanted.collect::<anyhow::Result<Vec<_>>>()?;
            let wanted = (!wanted.is_empty()).then(|| Scopes::of(&wanted));
            let key = data.add_key(&user, &name, wanted).await?;
            println!("Key (shown only now, keep it): {key}");
        }
        KeyCommand::Revoke { key } => {
            data.revoke_key(&key).await?;
            println!("The key is good for nothing any more.");
        }
    }
    Ok(())
}

async fn users(data: &Data, command: UserCommand) -> anyhow::Result<()> {
    match command {
        UserCommand::Add { name, role, email } => {
            let role = Role::parse(&role).context("a role is admin, member or viewer")?;
            let password = data.add_user(&name, role, email).await?;
            println!("Password of {name} (shown only now): {password}");
        }
        UserCommand::Password { name } => {
            let password = data.reset_password(&name).await?;
            println!("New password of {name} (shown only now): {password}");
        }
        UserCommand::Disable { name } => {
            data.disable_user(&name, true).await?;
            println!("{name} is shut out.");
        }
        UserCommand::Enable { name } => {
            data.disable_user(&name, false).await?;
            println!("{name} may come in again.");
        }
    }
    Ok(())
}

fn serve(flags: Flags, file: Option<&Path>) -> anyhow::Result<()> {
    let (config, log) = config::load(flags, file)?;
    logging::start(&log)?;
    // An error means that a provider is there already, and ring is the only one that is compiled in.
    let _ = rustls::crypto::ring::default_provider().install_default();
    anyhow::ensure!(
        flowcore_gateway::verifies_certificates(),
        "this binary would accept anybody as WhatsApp (it was built together with the simulator); \
         build it alone: cargo build --release -p flowcore-server"
    );
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut signals = StopSignals::listen().context("can't listen for signals")?;
        let running = app::serve(config, Mark::Flowcore).await?;
        announce(&running);
        signals.next().await;
        tracing::info!("stopping; a second signal stops at once");
        tokio::select! {
            _ = running.stop() => {}
            () = signals.next() => std::process::exit(130),
        }
        Ok(())
    })
}

/// Password and key are shown this once and to stdout only: logs are kept and forwarded.
fn announce(running: &Running) {
    use std::fmt::Write as _;
    let mut text = format!("Dashboard and API: {}\n", running.url());
    // Writing to a string can't fail.
    if let Some(password) = running.new_admin_password() {
        let _ = writeln!(text, "Password of the user admin (shown only now, keep it): {password}");
    }
    if let Some(key) = running.new_admin_key() {
        let _ = writeln!(text, "Admin key (shown only now, keep it): {key}");
    }
    // Who started the server may have stopped listening; it runs all the same.
    let _ = std::io::stdout().write_all(text.as_bytes());
}
