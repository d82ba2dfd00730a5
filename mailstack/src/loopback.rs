//! The daemons of a server that makes itself: on this machine only, on ports that any user may open.

use std::net::{Ipv4Addr, SocketAddr};

use crate::arguments::Ports;
use crate::daemons::{BindError, Common, Daemons};
use crate::screen::Moved;

/// Ctrl-C to exit takes five seconds at most; what this leaves of them is for the store.
const DRAIN_SECONDS: u64 = 3;

/// One listener each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Service {
    Reception,
    Submission,
    Submissions,
    Pop3,
    Pop3s,
}

const SERVICES: [Service; 5] =
    [Service::Reception, Service::Submission, Service::Submissions, Service::Pop3, Service::Pop3s];

impl Service {
    /// Its name in the configuration.
    const fn name(self) -> &'static str {
        match self {
            Self::Reception => "reception",
            Self::Submission => "submission",
            Self::Submissions => "submissions",
            Self::Pop3 => "pop3",
            Self::Pop3s => "pop3s",
        }
    }

    /// The port that the user chose.
    const fn told(self, ports: Ports) -> Option<u16> {
        match self {
            Self::Reception => ports.reception,
            Self::Submission => ports.submission,
            Self::Submissions => ports.submissions,
            Self::Pop3 => ports.pop3,
            Self::Pop3s => ports.pop3s,
        }
    }

    /// Where it is bound.
    pub(crate) fn bound(self, daemons: &Daemons) -> Option<SocketAddr> {
        let (smtp, pop3) = (daemons.smtp_addresses(), daemons.pop3_addresses());
        let bound = match self {
            Self::Reception => &smtp.reception,
            Self::Submission => &smtp.submission,
            Self::Submissions => &smtp.submissions,
            Self::Pop3 => &pop3.pop3,
            Self::Pop3s => &pop3.pop3s,
        };
        bound.first().copied()
    }
}

/// Both configurations, and the ports that may not give way.
pub(crate) struct Loopback {
    smtp: smtpd::Config,
    pop3: pop3d::Config,
    told: Ports,
}

impl Loopback {
    /// The ports that were told, and the usual ones for the others.
    pub(crate) fn new(ports: Ports) -> Self {
        let Ports { reception, submission, submissions, pop3, pop3s } = ports;
        let at =
            |told: Option<u16>, usual| vec![SocketAddr::from((Ipv4Addr::LOCALHOST, told.unwrap_or(usual)))];
        Self {
            smtp: smtpd::Config {
                reception: at(reception, 2525),
                submission: at(submission, 2587),
                submissions: at(submissions, 2465),
                clear_login: smtpd::ClearLogin::Loopback,
                drain_seconds: DRAIN_SECONDS,
                ..smtpd::Config::default()
            },
            pop3: pop3d::Config {
                pop3: at(pop3, 2110),
                pop3s: at(pop3s, 2995),
                clear_login: pop3d::ClearLogin::Loopback,
                drain_seconds: DRAIN_SECONDS,
                ..pop3d::Config::default()
            },
            told: ports,
        }
    }

    /// What holds for SMTP.
    pub(crate) fn smtp(self) -> smtpd::Config {
        self.smtp
    }

    /// Binds all of it. A usual port that is taken gives way to a free one.
    pub(crate) fn bind(mut self, common: &Common) -> Result<(Daemons, Vec<Moved>), BindError> {
        let mut gave_way = Vec::new();
        loop {
            let failure = match Daemons::bind(&self.smtp, &self.pop3, common) {
                Ok(daemons) => {
                    let moved = gave_way.into_iter().filter_map(|(service, from): (Service, u16)| {
                        Some(Moved { from, to: service.bound(&daemons)?.port() })
                    });
                    let moved = moved.collect();
                    return Ok((daemons, moved));
                }
                Err(failure) => failure,
            };
            match failure.taken().and_then(|service| self.give_way(service)) {
                Some(way) => gave_way.push(way),
                None => return Err(failure),
            }
        }
    }

    /// Lets the system choose a port for the service of that name, unless the user chose.
    fn give_way(&mut self, name: &str) -> Option<(Service, u16)> {
        let service = SERVICES.into_iter().find(|service| service.name() == name)?;
        if service.told(self.told).is_some() {
            return None;
        }
        let address = self.address(service)?;
        let port = address.port();
        address.set_port(0);
        // Port 0 is never taken; were it so, there would be nothing more to try.
        (port != 0).then_some((service, port))
    }

    fn address(&mut self, service: Service) -> Option<&mut SocketAddr> {
        match service {
            Service::Reception => self.smtp.reception.first_mut(),
            Service::Submission => self.smtp.submission.first_mut(),
            Service::Submissions => self.smtp.submissions.first_mut(),
            Service::Pop3 => self.pop3.pop3.first_mut(),
            Service::Pop3s => self.pop3.pop3s.first_mut(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_usual_port_gives_way_and_a_told_one_does_not() {
        let mut loopback = Loopback::new(Ports { pop3: Some(4110), ..Ports::default() });
        assert_eq!(loopback.give_way("reception"), Some((Service::Reception, 2525)));
        assert_eq!(loopback.smtp.reception, [SocketAddr::from((Ipv4Addr::LOCALHOST, 0))]);
        assert_eq!(loopback.give_way("pop3s"), Some((Service::Pop3s, 2995)));
        assert_eq!(loopback.give_way("pop3"), None);
        assert_eq!(loopback.pop3.pop3, [SocketAddr::from((Ipv4Addr::LOCALHOST, 4110))]);
        assert_eq!(loopback.give_way("reception"), None, "it has given way already");
    }
}
