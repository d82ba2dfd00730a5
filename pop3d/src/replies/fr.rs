//! The replies in French.

use super::texts::Texts;

pub(super) const TEXTS: Texts = Texts {
    no_such_command: "Cette commande n’existe pas ici",
    not_a_message_number: "Ce n’est pas un numéro de message",
    line_too_long: "La ligne est trop longue",
    too_many_errors: "Trop de commandes incorrectes, fermeture de la connexion",
    too_many_commands: "Trop de commandes sans authentification, fermeture de la connexion",
    log_in_first: "Veuillez d’abord vous authentifier",
    logged_in_already: "L’authentification est déjà faite",
    apop_not_supported: "APOP n’est pas pris en charge, veuillez utiliser USER et PASS, ou AUTH",
    utf8_begun: "Désormais, les messages arrivent en UTF-8",
    password_please: "Le mot de passe, s’il vous plaît",
    user_first: "Veuillez envoyer USER juste avant PASS",
    login_needs_tls: "Veuillez activer TLS (SSL) dans votre logiciel de messagerie, sans quoi personne ne peut s’authentifier ici",
    unknown_mechanism: "Ce mécanisme n’existe pas ici, AUTH sans argument énumère ceux qui existent",
    login_cancelled: "Authentification annulée",
    not_base64: "La réponse n’est pas en base64",
    malformed_response: "La réponse n’est pas conforme au mécanisme",
    wrong_credentials: "Le nom d’utilisateur ou le mot de passe est incorrect",
    too_many_wrong_credentials: "Le nom d’utilisateur ou le mot de passe est de nouveau incorrect, fermeture de la connexion",
    login_put_off: "Trop de mots de passe incorrects ont été essayés récemment, veuillez réessayer dans quelque temps",
    login_put_off_again: "Trop de mots de passe incorrects ont été essayés récemment, veuillez réessayer dans quelque temps. Fermeture de la connexion",
    login_unavailable: "L’authentification est impossible pour le moment, veuillez réessayer plus tard. Rien n’est perdu",
    maildrop_in_use: "Un autre programme lit cette boîte aux lettres en ce moment, veuillez réessayer dans une minute",
    maildrop_taken_over: "Un autre programme a ouvert cette boîte aux lettres à la place de celui-ci, et rien n’a été supprimé ici ; veuillez réessayer dans une minute",
    login_too_soon: "Vous vous êtes authentifié il y a un instant seulement, veuillez régler votre logiciel de messagerie pour qu’il relève le courrier moins souvent",
    store_trouble: "Le courrier est inaccessible pour le moment, veuillez réessayer plus tard. Rien n’est perdu",
    not_expunged: "Les messages n’ont pas pu être supprimés pour le moment, ils sont tous encore là",
    begin_tls: "Commencez TLS maintenant",
    tls_already: "TLS est déjà actif",
    no_tls: "TLS n’est pas disponible ici",
    tls_too_late: "Il est trop tard pour TLS, qui vient avant UTF8",
    unique_ids_follow: "Voici les identifiants uniques",
    top_follows: "Voici le début du message",
    deleted_already: "Ce message est marqué comme supprimé",
    nothing_done: "Toujours là",
    goodbye: "Au revoir",
    mechanisms_follow: "Voici les mécanismes",
    capabilities_follow: "Voici les capacités",
    languages_follow: "Voici les langues",
    language_chosen: "Désormais en français",
    unknown_language: "Cette langue n’existe pas ici, LANG sans argument énumère celles qui existent",
    wrong_arguments: |command| format!("Arguments incorrects, la commande est {command}"),
    logged_in: |messages| format!("Bonjour, {}", self::messages(messages)),
    maildrop,
    octets,
    no_such_message: |messages| match messages {
        0 => "Ce message n’existe pas, cette boîte aux lettres est vide".to_owned(),
        _ => format!("Ce message n’existe pas, cette boîte aux lettres n’en contient que {messages}"),
    },
    deleted: |number| format!("Le message {number} sera supprimé lors de QUIT"),
    unmarked: |messages| format!("Aucun message n’est marqué, {}", self::messages(messages)),
    goodbye_after: |deleted| match deleted {
        0 | 1 => format!("Au revoir, {deleted} message supprimé"),
        _ => format!("Au revoir, {deleted} messages supprimés"),
    },
};

/// Nought takes the singular.
fn octets(count: u64) -> String {
    match count {
        0 | 1 => format!("{count} octet"),
        _ => format!("{count} octets"),
    }
}

fn messages(count: usize) -> String {
    match count {
        0 | 1 => format!("{count} message"),
        _ => format!("{count} messages"),
    }
}

fn maildrop(messages: usize, octets: u64) -> String {
    format!("{} ({})", self::messages(messages), self::octets(octets))
}
