//! Arguments, variables and the file: each can say everything, and none clobbers another.

use clap::{CommandFactory, Parser};

use super::*;

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    settings: Settings,
}

/// A line for each setting, as the file has it, and an argument that differs from it.
const ALL: [(&str, &str, &str, &str); 11] = [
    ("listen", "\"file:1\"", "--listen", "flag:1"),
    ("data_dir", "\"/file\"", "--data-dir", "/flag"),
    ("token", "\"file\"", "--token", "flag"),
    ("tls_cert", "\"/file.pem\"", "--tls-cert", "/flag.pem"),
    ("tls_key", "\"/file.key\"", "--tls-key", "/flag.key"),
    ("segment_bytes", "1048576", "--segment-bytes", "2MiB"),
    ("max_age", "\"1d\"", "--max-age", "2d"),
    ("max_bytes", "\"1GB\"", "--max-bytes", "2GB"),
    ("max_total_bytes", "\"1TB\"", "--max-total-bytes", "2TB"),
    ("keep_free_bytes", "1000", "--keep-free-bytes", "2kB"),
    ("encryption_key_file", "\"/file.kek\"", "--encryption-key-file", "/flag.kek"),
];

fn file(text: &str) -> Settings {
    toml::from_str(text).unwrap()
}

fn flags(arguments: &[&str]) -> Settings {
    Cli::parse_from(["kinora"].iter().chain(arguments)).settings
}

#[test]
fn every_argument_can_be_in_the_file_and_every_key_is_an_argument() {
    let command = Cli::command();
    for argument in command.get_arguments() {
        let variable = format!("KINORA_{}", argument.get_id().as_str().to_uppercase());
        assert_eq!(argument.get_env().and_then(|name| name.to_str()), Some(variable.as_str()));
    }
    let mut arguments: Vec<_> = command.get_arguments().map(|argument| argument.get_id().as_str()).collect();
    let mut keys: Vec<_> = ALL.iter().map(|(key, ..)| *key).collect();
    arguments.sort_unstable();
    keys.sort_unstable();
    assert_eq!(arguments, keys);
    let told = toml::from_str::<Settings>("none = 1").unwrap_err().to_string();
    let known: Vec<_> = keys.iter().filter(|key| told.contains(&format!("`{key}`"))).collect();
    assert_eq!(known.len(), ALL.len(), "{told}");
}

#[test]
fn what_is_said_on_the_command_line_counts_before_the_file_and_changes_nothing_else() {
    let all: String = ALL.iter().map(|(key, value, ..)| format!("{key} = {value}\n")).collect();
    assert!(flags(&[]).or(file(&all)) == file(&all), "nothing said, nothing changed");
    for (key, value, flag, said) in ALL {
        let others: String = ALL
            .iter()
            .filter(|(other, ..)| *other != key)
            .map(|(key, value, ..)| format!("{key} = {value}\n"))
            .collect();
        let joined = flags(&[flag, said]).or(file(&all));
        assert!(joined != file(&all), "{flag} does nothing");
        assert!(joined == flags(&[flag, said]).or(file(&others)), "the file's {key} = {value} shows through");
        assert!(joined != flags(&[flag, said]).or(Settings::default()), "{flag} hides the rest of the file");
    }
}

#[test]
fn an_empty_token_does_not_open_what_the_file_closes() {
    assert_eq!(flags(&["--token", ""]).or(file("token = \"x\"")).token.as_deref(), Some("x"));
}

#[test]
fn streams_have_limits_of_their_own() {
    let text = "max_age = \"30d\"\n[streams.cam1]\nmax_age = \"unlimited\"\n\
                [streams.\"cam.2\"]\nmax_bytes = \"5GB\"\n[streams.cam3]\nmax_bytes = 7\n";
    let limits = file(text).limits();
    let of = |name: &str| limits.of(&StreamName::new(name).unwrap());
    assert_eq!(of("cam1"), (None, None));
    assert_eq!(of("cam.2"), (Some(30 * 86_400), Some(5_000_000_000)));
    assert_eq!(of("cam3"), (Some(30 * 86_400), Some(7)));
    assert_eq!(of("cam4"), (Some(30 * 86_400), None));
    assert!(file(text).without_limits() == Settings::default());
}

#[test]
fn what_makes_no_sense_is_refused() {
    for bad in [
        "segment_bytes = 5",
        "max_age = 30",
        "max_age = \"0d\"",
        "max_bytes = 0",
        "max_bytes = -1",
        "max_bytes = 1.5",
        "listen = 8080",
        "listen = \"a:1\"\nlisten = \"b:1\"",
        "[streams.cam1]\nmax_total_bytes = 1",
        "[streams.\"a/b\"]\nmax_bytes = 1",
        "[streams.cam1]\nmax_age = \"soon\"",
        "streams = 1",
    ] {
        assert!(toml::from_str::<Settings>(bad).is_err(), "{bad}");
    }
}
