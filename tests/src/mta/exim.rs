//! What Exim needs: its configuration where Debian's looks for it, and folders for its spool and its log.

use std::path::Path;

use super::{Needs, Places};

pub(super) fn needs(program: &str, folder: &Path, places: Places<'_>) -> Needs {
    let configuration = configuration(program, folder, places);
    Needs {
        command: [program, "-bdf", "-q1m"].map(str::to_owned).to_vec(),
        users: &["Debian-exim"],
        etc: vec![("exim4/exim4.conf", configuration)],
        folders: &["spool", "log"],
        owned: &["spool", "log", "chain.pem", "key.pem"],
        arranges: "",
    }
}

fn configuration(program: &str, folder: &Path, Places { own: (address, port), back }: Places<'_>) -> String {
    let folder = folder.display();
    format!(
        "exim_path = {program}
primary_hostname = mx.elsewhere.test
spool_directory = {folder}/spool
log_file_path = {folder}/log/%slog
local_interfaces = {address}
daemon_smtp_ports = {port}
tls_advertise_hosts = *
tls_certificate = {folder}/chain.pem
tls_privatekey = {folder}/key.pem
chunking_advertise_hosts = *
smtputf8_advertise_hosts = *
dsn_advertise_hosts = *
acl_smtp_rcpt = rcpt
acl_smtp_data = data
keep_environment =
never_users = root

begin acl
rcpt:
  require message = no such user
          verify = recipient
  accept
data:
  accept

begin routers
known:
  driver = redirect
  domains = elsewhere.test
  local_parts = bob : lost
  data = ${{if eq{{$local_part}}{{bob}}{{bob}}{{nobody}}}}@example.test
back:
  driver = manualroute
  domains = example.test
  transport = smtp
  route_list = * 127.0.0.1
  self = send

begin transports
smtp:
  driver = smtp
  port = {back}
  allow_localhost

begin retry
* * F,1h,1m
"
    )
}
