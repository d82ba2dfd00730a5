//! What `OpenSMTPD` needs: two users, and the folders that are built into it.

use std::path::Path;

use super::{Needs, Places};

/// Its spool, and the folder that it locks itself into.
const ARRANGES: &str =
    "for folder in /run /var/lib /var/spool; do mount -t tmpfs -o mode=755 tmpfs $folder; done
mkdir -p /var/lib/opensmtpd/empty
mkdir -m 711 /var/spool/smtpd
";

pub(super) fn needs(program: &str, folder: &Path, places: Places<'_>) -> Needs {
    Needs {
        command: [program, "-d"].map(str::to_owned).to_vec(),
        users: &["opensmtpd", "opensmtpq"],
        etc: vec![
            ("smtpd.conf", configuration(folder, places)),
            ("mailname", "mx.elsewhere.test\n".to_owned()),
        ],
        folders: &[],
        owned: &[],
        arranges: ARRANGES,
    }
}

fn configuration(folder: &Path, Places { own: (address, port), back }: Places<'_>) -> String {
    let folder = folder.display();
    format!(
        "pki mx.elsewhere.test cert \"{folder}/chain.pem\"
pki mx.elsewhere.test key \"{folder}/key.pem\"
table people {{ \"bob@elsewhere.test\" = \"bob@example.test\", \"lost@elsewhere.test\" = \"nobody@example.test\" }}
listen on {address} port {port} tls pki mx.elsewhere.test hostname mx.elsewhere.test
action \"known\" expand-only virtual <people>
action \"back\" relay host \"smtp://127.0.0.1:{back}\"
match from any for domain \"elsewhere.test\" action \"known\"
match from any for domain \"example.test\" action \"back\"
"
    )
}
