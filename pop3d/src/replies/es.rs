//! The replies in Spanish.

use super::texts::Texts;

pub(super) const TEXTS: Texts = Texts {
    no_such_command: "Aquí no existe ese comando",
    not_a_message_number: "Eso no es un número de mensaje",
    line_too_long: "La línea es demasiado larga",
    too_many_errors: "Demasiados comandos incorrectos, se cierra la conexión",
    too_many_commands: "Demasiados comandos sin iniciar sesión, se cierra la conexión",
    log_in_first: "Inicie sesión primero, por favor",
    logged_in_already: "Ya ha iniciado sesión",
    apop_not_supported: "No se admite APOP; inicie sesión con USER y PASS o con AUTH",
    utf8_begun: "A partir de ahora, los mensajes llegan en UTF-8",
    password_please: "Ahora la contraseña, por favor",
    user_first: "Envíe USER justo antes de PASS, por favor",
    login_needs_tls: "Active TLS (SSL) en su programa de correo: sin ello, aquí nadie puede iniciar sesión",
    unknown_mechanism: "Ese mecanismo no está disponible aquí; AUTH sin argumentos enumera los disponibles",
    login_cancelled: "Inicio de sesión cancelado",
    not_base64: "La respuesta no está en base64",
    malformed_response: "La respuesta no se ajusta al mecanismo",
    wrong_credentials: "El nombre de usuario o la contraseña no son correctos",
    too_many_wrong_credentials: "El nombre de usuario o la contraseña siguen sin ser correctos, se cierra la conexión",
    login_put_off: "Hace poco se han probado demasiadas contraseñas incorrectas; inténtelo de nuevo dentro de un rato",
    login_put_off_again: "Hace poco se han probado demasiadas contraseñas incorrectas; inténtelo de nuevo dentro de un rato. Se cierra la conexión",
    login_unavailable: "En este momento no es posible iniciar sesión; inténtelo de nuevo más tarde, no se ha perdido nada",
    maildrop_in_use: "Otro programa está leyendo este buzón en este momento; inténtelo de nuevo dentro de un minuto",
    maildrop_taken_over: "Otro programa ha abierto este buzón en lugar de este, y aquí no se ha eliminado nada; inténtelo de nuevo dentro de un minuto",
    login_too_soon: "Ha iniciado sesión hace solo un momento; haga que su programa de correo busque mensajes nuevos con menos frecuencia",
    store_trouble: "En este momento no se puede acceder al correo; inténtelo de nuevo más tarde, no se ha perdido nada",
    not_expunged: "En este momento no se han podido eliminar los mensajes; todos siguen ahí",
    begin_tls: "Inicie TLS ahora",
    tls_already: "TLS ya está activo",
    no_tls: "TLS no está disponible aquí",
    tls_too_late: "Es demasiado tarde para TLS, que va antes de UTF8",
    unique_ids_follow: "Siguen los identificadores únicos",
    top_follows: "Sigue el principio del mensaje",
    deleted_already: "Ese mensaje está marcado como eliminado",
    nothing_done: "Sigo aquí",
    goodbye: "Adiós",
    mechanisms_follow: "Siguen los mecanismos",
    capabilities_follow: "Siguen las capacidades",
    languages_follow: "Siguen los idiomas",
    language_chosen: "A partir de ahora, en español",
    unknown_language: "Ese idioma no está disponible aquí; LANG sin argumentos enumera los disponibles",
    wrong_arguments: |command| format!("Argumentos incorrectos, el comando es {command}"),
    logged_in: |messages| format!("Hola, {}", self::messages(messages)),
    maildrop,
    octets,
    no_such_message: |messages| match messages {
        0 => "No existe ese mensaje, este buzón está vacío".to_owned(),
        _ => format!("No existe ese mensaje, en este buzón solo hay {messages}"),
    },
    deleted: |number| format!("El mensaje {number} se eliminará con QUIT"),
    unmarked: |messages| format!("Ningún mensaje está marcado, {}", self::messages(messages)),
    goodbye_after: |deleted| match deleted {
        1 => "Adiós, 1 mensaje eliminado".to_owned(),
        _ => format!("Adiós, {deleted} mensajes eliminados"),
    },
};

fn octets(count: u64) -> String {
    match count {
        1 => "1 byte".to_owned(),
        _ => format!("{count} bytes"),
    }
}

fn messages(count: usize) -> String {
    match count {
        1 => "1 mensaje".to_owned(),
        _ => format!("{count} mensajes"),
    }
}

fn maildrop(messages: usize, octets: u64) -> String {
    format!("{} ({})", self::messages(messages), self::octets(octets))
}
