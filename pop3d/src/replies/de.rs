//! The replies in German.

use super::texts::Texts;

pub(super) const TEXTS: Texts = Texts {
    no_such_command: "Diesen Befehl gibt es hier nicht",
    not_a_message_number: "Das ist keine Nachrichtennummer",
    line_too_long: "Die Zeile ist zu lang",
    too_many_errors: "Zu viele falsche Befehle, die Verbindung wird geschlossen",
    too_many_commands: "Zu viele Befehle ohne Anmeldung, die Verbindung wird geschlossen",
    log_in_first: "Bitte zuerst anmelden",
    logged_in_already: "Sie sind bereits angemeldet",
    apop_not_supported: "APOP wird nicht unterstützt, bitte mit USER und PASS oder mit AUTH anmelden",
    utf8_begun: "Nachrichten kommen ab jetzt in UTF-8",
    password_please: "Nun bitte das Passwort",
    user_first: "Bitte USER unmittelbar vor PASS senden",
    login_needs_tls: "Bitte schalten Sie in Ihrem Mailprogramm TLS (SSL) ein: Ohne TLS kann sich hier niemand anmelden",
    unknown_mechanism: "Dieses Verfahren gibt es hier nicht, AUTH allein zählt die vorhandenen auf",
    login_cancelled: "Anmeldung abgebrochen",
    not_base64: "Die Antwort ist nicht in base64",
    malformed_response: "Die Antwort entspricht nicht dem Verfahren",
    wrong_credentials: "Benutzername oder Passwort ist falsch",
    too_many_wrong_credentials: "Benutzername oder Passwort ist wieder falsch, die Verbindung wird geschlossen",
    login_put_off: "In letzter Zeit wurden zu viele falsche Passwörter probiert, bitte versuchen Sie es nach einer Weile wieder",
    login_put_off_again: "In letzter Zeit wurden zu viele falsche Passwörter probiert, bitte versuchen Sie es nach einer Weile wieder; die Verbindung wird geschlossen",
    login_unavailable: "Die Anmeldung ist im Moment nicht möglich, bitte versuchen Sie es später wieder; es geht nichts verloren",
    maildrop_in_use: "Ein anderes Programm liest gerade dieses Postfach, bitte versuchen Sie es in einer Minute wieder",
    maildrop_taken_over: "Ein anderes Programm hat dieses Postfach statt Ihres Programms geöffnet, und hier wurde nichts gelöscht; bitte versuchen Sie es in einer Minute wieder",
    login_too_soon: "Sie haben sich gerade erst angemeldet, bitte lassen Sie Ihr Mailprogramm seltener nach neuen Nachrichten sehen",
    store_trouble: "Die Nachrichten sind im Moment nicht erreichbar, bitte versuchen Sie es später wieder; es geht nichts verloren",
    not_expunged: "Die Nachrichten konnten im Moment nicht gelöscht werden, alle sind noch da",
    begin_tls: "Bitte jetzt TLS beginnen",
    tls_already: "TLS ist bereits aktiv",
    no_tls: "TLS gibt es hier nicht",
    tls_too_late: "Für TLS ist es zu spät, es kommt vor UTF8",
    unique_ids_follow: "Es folgen die eindeutigen Kennungen",
    top_follows: "Es folgt der Anfang der Nachricht",
    deleted_already: "Diese Nachricht ist als gelöscht markiert",
    nothing_done: "Noch da",
    goodbye: "Auf Wiedersehen",
    mechanisms_follow: "Es folgen die Verfahren",
    capabilities_follow: "Es folgen die Fähigkeiten",
    languages_follow: "Es folgen die Sprachen",
    language_chosen: "Ab jetzt auf Deutsch",
    unknown_language: "Diese Sprache gibt es hier nicht, LANG allein zählt die vorhandenen auf",
    wrong_arguments: |command| format!("Falsche Argumente, der Befehl lautet {command}"),
    logged_in: |messages| format!("Willkommen, {}", self::messages(messages)),
    maildrop,
    octets,
    no_such_message: |messages| match messages {
        0 => "Diese Nachricht gibt es nicht, dieses Postfach ist leer".to_owned(),
        1 => "Diese Nachricht gibt es nicht, in diesem Postfach liegt nur 1".to_owned(),
        _ => format!("Diese Nachricht gibt es nicht, in diesem Postfach liegen nur {messages}"),
    },
    deleted: |number| format!("Nachricht {number} wird bei QUIT gelöscht"),
    unmarked: |messages| format!("Keine Nachricht ist markiert, {}", self::messages(messages)),
    goodbye_after: |deleted| format!("Auf Wiedersehen, {} gelöscht", self::messages(deleted)),
};

fn messages(count: usize) -> String {
    match count {
        1 => "1 Nachricht".to_owned(),
        _ => format!("{count} Nachrichten"),
    }
}

/// Units stay as they are behind a number.
fn octets(count: u64) -> String {
    format!("{count} Byte")
}

fn maildrop(messages: usize, octets: u64) -> String {
    format!("{} ({})", self::messages(messages), self::octets(octets))
}
