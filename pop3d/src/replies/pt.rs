//! The replies in Portuguese, as in Brazil.

use super::texts::Texts;

pub(super) const TEXTS: Texts = Texts {
    no_such_command: "Esse comando não existe aqui",
    not_a_message_number: "Isso não é um número de mensagem",
    line_too_long: "A linha é longa demais",
    too_many_errors: "Comandos incorretos demais, encerrando a conexão",
    too_many_commands: "Comandos demais sem autenticação, encerrando a conexão",
    log_in_first: "Entre na sua conta primeiro, por favor",
    logged_in_already: "Você já entrou na sua conta",
    apop_not_supported: "APOP não é aceito; entre com USER e PASS ou com AUTH",
    utf8_begun: "A partir de agora, as mensagens chegam em UTF-8",
    password_please: "Agora a senha, por favor",
    user_first: "Envie USER logo antes de PASS, por favor",
    login_needs_tls: "Ative TLS (SSL) no seu programa de e-mail: sem isso, ninguém consegue entrar aqui",
    unknown_mechanism: "Esse mecanismo não está disponível aqui; AUTH sem argumentos mostra os disponíveis",
    login_cancelled: "Autenticação cancelada",
    not_base64: "A resposta não está em base64",
    malformed_response: "A resposta não segue o mecanismo",
    wrong_credentials: "Nome de usuário ou senha incorretos",
    too_many_wrong_credentials: "Nome de usuário ou senha incorretos mais uma vez, encerrando a conexão",
    login_put_off: "Há pouco foram tentadas senhas incorretas demais; tente novamente daqui a algum tempo",
    login_put_off_again: "Há pouco foram tentadas senhas incorretas demais; tente novamente daqui a algum tempo. Encerrando a conexão",
    login_unavailable: "No momento não é possível entrar; tente novamente mais tarde, nada se perdeu",
    maildrop_in_use: "Outro programa está lendo esta caixa de correio no momento; tente novamente em um minuto",
    maildrop_taken_over: "Outro programa abriu esta caixa de correio no lugar deste, e nada foi excluído aqui; tente novamente em um minuto",
    login_too_soon: "Você entrou há apenas um instante; configure seu programa de e-mail para procurar mensagens novas com menos frequência",
    store_trouble: "No momento não é possível acessar as mensagens; tente novamente mais tarde, nada se perdeu",
    not_expunged: "No momento não foi possível excluir as mensagens; todas continuam na caixa de correio",
    begin_tls: "Inicie TLS agora",
    tls_already: "TLS já está ativo",
    no_tls: "TLS não está disponível aqui",
    tls_too_late: "É tarde demais para TLS, que vem antes de UTF8",
    unique_ids_follow: "Seguem os identificadores únicos",
    top_follows: "Segue o início da mensagem",
    deleted_already: "Essa mensagem está marcada como excluída",
    nothing_done: "Continuo aqui",
    goodbye: "Até logo",
    mechanisms_follow: "Seguem os mecanismos",
    capabilities_follow: "Seguem as capacidades",
    languages_follow: "Seguem os idiomas",
    language_chosen: "A partir de agora, em português",
    unknown_language: "Esse idioma não está disponível aqui; LANG sem argumentos mostra os disponíveis",
    wrong_arguments: |command| format!("Argumentos incorretos, o comando é {command}"),
    logged_in: |messages| format!("Olá, {}", self::messages(messages)),
    maildrop,
    octets,
    no_such_message: |messages| match messages {
        0 => "Essa mensagem não existe, esta caixa de correio está vazia".to_owned(),
        _ => format!("Essa mensagem não existe, há apenas {messages} nesta caixa de correio"),
    },
    deleted: |number| format!("A mensagem {number} será excluída com QUIT"),
    unmarked: |messages| format!("Nenhuma mensagem está marcada, {}", self::messages(messages)),
    goodbye_after: |deleted| match deleted {
        0 | 1 => format!("Até logo, {deleted} mensagem excluída"),
        _ => format!("Até logo, {deleted} mensagens excluídas"),
    },
};

/// As in French, nought takes the singular.
fn octets(count: u64) -> String {
    match count {
        0 | 1 => format!("{count} byte"),
        _ => format!("{count} bytes"),
    }
}

fn messages(count: usize) -> String {
    match count {
        0 | 1 => format!("{count} mensagem"),
        _ => format!("{count} mensagens"),
    }
}

fn maildrop(messages: usize, octets: u64) -> String {
    format!("{} ({})", self::messages(messages), self::octets(octets))
}
