//! The replies in Chinese, in simplified characters.

use super::texts::Texts;

pub(super) const TEXTS: Texts = Texts {
    no_such_command: "没有这个命令",
    not_a_message_number: "这不是邮件编号",
    line_too_long: "这一行太长",
    too_many_errors: "错误的命令过多，即将关闭连接",
    too_many_commands: "未登录而发送的命令过多，即将关闭连接",
    log_in_first: "请先登录",
    logged_in_already: "您已登录",
    apop_not_supported: "不支持 APOP，请使用 USER 和 PASS 或 AUTH 登录",
    utf8_begun: "从现在起，邮件以 UTF-8 发送",
    password_please: "请发送密码",
    user_first: "请先发送 USER，紧接着发送 PASS",
    login_needs_tls: "请在您的邮件程序中启用 TLS（SSL）：不启用则无法在此登录",
    unknown_mechanism: "没有这种认证机制，单独发送 AUTH 可列出可用的机制",
    login_cancelled: "登录已取消",
    not_base64: "响应不是 base64 格式",
    malformed_response: "响应不符合该认证机制",
    wrong_credentials: "用户名或密码错误",
    too_many_wrong_credentials: "用户名或密码再次错误，即将关闭连接",
    login_put_off: "近来尝试的错误密码过多，请过一段时间再试",
    login_put_off_again: "近来尝试的错误密码过多，请过一段时间再试；即将关闭连接",
    login_unavailable: "目前无法登录，请稍后再试；没有丢失任何内容",
    maildrop_in_use: "另一个程序正在读取此邮箱，请一分钟后再试",
    maildrop_taken_over: "另一个程序已取代本程序打开此邮箱，这里没有删除任何邮件，请一分钟后再试",
    login_too_soon: "您刚刚登录过，请让您的邮件程序降低检查新邮件的频率",
    store_trouble: "目前无法访问邮件，请稍后再试；没有丢失任何邮件",
    not_expunged: "目前无法删除这些邮件，所有邮件仍然保留",
    begin_tls: "请现在开始 TLS",
    tls_already: "TLS 已启用",
    no_tls: "此处无法使用 TLS",
    tls_too_late: "现在启用 TLS 为时已晚，须在 UTF8 之前进行",
    unique_ids_follow: "以下是邮件的唯一标识",
    top_follows: "以下是邮件的开头部分",
    deleted_already: "该邮件已标记为删除",
    nothing_done: "连接正常",
    goodbye: "再见",
    mechanisms_follow: "以下是认证机制",
    capabilities_follow: "以下是服务器的功能",
    languages_follow: "以下是可用的语言",
    language_chosen: "从现在起使用中文",
    unknown_language: "没有这种语言，单独发送 LANG 可列出可用的语言",
    wrong_arguments: |command| format!("参数错误，命令格式为 {command}"),
    logged_in: |messages| format!("欢迎，共 {}", self::messages(messages)),
    maildrop,
    octets,
    no_such_message: |messages| match messages {
        0 => "没有这封邮件，此邮箱是空的".to_owned(),
        _ => format!("没有这封邮件，此邮箱中只有 {messages} 封"),
    },
    deleted: |number| format!("邮件 {number} 将在 QUIT 时删除"),
    unmarked: |messages| format!("没有邮件被标记为删除，共 {}", self::messages(messages)),
    goodbye_after: |deleted| format!("再见，已删除 {}", messages(deleted)),
};

fn octets(count: u64) -> String {
    format!("{count} 字节")
}

fn messages(count: usize) -> String {
    format!("{count} 封邮件")
}

fn maildrop(messages: usize, octets: u64) -> String {
    format!("{}（{}）", self::messages(messages), self::octets(octets))
}
