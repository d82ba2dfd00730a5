//! A name server on loopback with zones of the test's own, signed or not, that answers or fails as the test says.
//!
//! It answers for all of the DNS, as the resolver of a network would: what is in none of the zones does not exist. The
//! root is signed, and so is the way to each zone, so that whoever trusts [`NameServer::trust_anchor`] can validate.

mod zones;

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use hickory_server::net::xfer::Protocol;
use hickory_server::proto::dnssec::rdata::{DNSSECRData, RRSIG};
use hickory_server::proto::op::{Message, OpCode, Query, ResponseCode};
use hickory_server::proto::rr::{RData, Record};
use tokio::runtime::{Builder, Runtime};

use zones::Zones;
pub use zones::{Signing, Zone};

use crate::deadline::PATIENCE;

/// Octets of a datagram from whoever does not say how large it may be (RFC 1035 §4.2.1).
const DATAGRAM_OCTETS: u16 = 512;
/// Ports that are tried until one is free for both transports.
const PORTS_TRIED: usize = 100;

/// The server; it ends with this.
pub struct NameServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

/// How an answer is kept from being right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// SERVFAIL.
    ServerFailure,
    /// REFUSED.
    Refused,
    /// Nothing is answered, ever.
    Silence,
    /// The answer comes so much later.
    Delay(Duration),
    /// Nothing but a hint to ask again by TCP (RFC 1035 §4.2.1), where it goes on as usual.
    Truncated,
    /// The answer's signatures are wrong.
    WrongSignature,
    /// The answer's signatures are left out.
    NoSignature,
}

struct Shared {
    zones: Mutex<Zones>,
    faults: Mutex<Vec<(Question, Fault)>>,
    asked: Mutex<Vec<Question>>,
    ended: AtomicBool,
}

/// A name in lower case with its final dot, and a type: `("mail.example.test.", "MX")`.
type Question = (String, String);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Transport {
    Datagram,
    Stream,
}

impl NameServer {
    /// Serves these zones.
    ///
    /// # Errors
    /// Where a zone's text is none, or nothing can be listened at.
    pub fn start(zones: &[Zone]) -> io::Result<Self> {
        let (datagrams, streams) = sockets()?;
        let address = datagrams.local_addr()?;
        let shared = Arc::new(Shared {
            zones: Mutex::new(Zones::new(zones)?),
            faults: Mutex::default(),
            asked: Mutex::default(),
            ended: AtomicBool::new(false),
        });
        let (one, other) = (Arc::clone(&shared), Arc::clone(&shared));
        let threads = vec![
            thread::spawn(move || one.serve_datagrams(&datagrams)),
            thread::spawn(move || other.serve_streams(&streams)),
        ];
        Ok(Self { address, shared, threads })
    }

    /// Where it answers, by UDP and TCP.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The root's key, as a line of a zone file.
    #[must_use]
    pub fn trust_anchor(&self) -> String {
        locked(&self.shared.zones).trust_anchor()
    }

    /// The table `[dns]` of a configuration that asks this server, and the trust anchor's file, made in `folder`.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub fn table(&self, folder: &Path) -> io::Result<String> {
        let file = folder.join("trust-anchor");
        std::fs::write(&file, self.trust_anchor())?;
        let (address, file) = (self.address, file.display());
        Ok(format!("[dns]\nname_servers = [\"{address}\"]\ntrust_anchor = \"{file}\"\n"))
    }

    /// Serves this zone from now on, in the place of the one of the same name.
    ///
    /// # Errors
    /// Where its text is none.
    pub fn set(&self, zone: Zone) -> io::Result<()> {
        locked(&self.shared.zones).set(zone)
    }

    /// Has each question for this name and type answered like that, from now on.
    pub fn fail(&self, name: &str, record_type: &str, fault: Fault) {
        self.mend(name, record_type);
        locked(&self.shared.faults).push((question(name, record_type), fault));
    }

    /// Takes [`Self::fail`] back.
    pub fn mend(&self, name: &str, record_type: &str) {
        let question = question(name, record_type);
        locked(&self.shared.faults).retain(|(failing, _)| *failing != question);
    }

    /// How often this was asked, whatever the answer.
    #[must_use]
    pub fn times_asked(&self, name: &str, record_type: &str) -> usize {
        let question = question(name, record_type);
        locked(&self.shared.asked).iter().filter(|asked| **asked == question).count()
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Release);
        // Both threads look at that as soon as something comes.
        let _ =
            UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|socket| socket.send_to(&[], self.address));
        drop(TcpStream::connect(self.address));
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// The data of a TLSA record (RFC 6698 §2.2) about these octets of a certificate: `3 1 1 0123...`.
#[must_use]
pub fn tlsa(usage: u8, selector: u8, matching: u8, octets: &[u8]) -> String {
    let data = match matching {
        1 => ring::digest::digest(&ring::digest::SHA256, octets).as_ref().to_vec(),
        2 => ring::digest::digest(&ring::digest::SHA512, octets).as_ref().to_vec(),
        _ => octets.to_vec(),
    };
    let digits = data.iter().flat_map(|octet| [octet >> 4, octet & 15]);
    let digits: String = digits.filter_map(|digit| char::from_digit(digit.into(), 16)).collect();
    format!("{usage} {selector} {matching} {digits}")
}

fn question(name: &str, record_type: &str) -> Question {
    (format!("{}.", name.trim_end_matches('.').to_lowercase()), record_type.to_uppercase())
}

/// One port for both transports.
fn sockets() -> io::Result<(UdpSocket, TcpListener)> {
    let mut last = io::Error::other("no port was tried");
    for _ in 0..PORTS_TRIED {
        let datagrams = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        match TcpListener::bind(datagrams.local_addr()?) {
            Ok(streams) => return Ok((datagrams, streams)),
            Err(error) => last = error,
        }
    }
    Err(last)
}

impl Shared {
    fn serve_datagrams(self: &Arc<Self>, socket: &UdpSocket) {
        let (Ok(runtime), mut buffer) = (runtime(), vec![0; usize::from(u16::MAX)]) else { return };
        loop {
            let Ok((octets, peer)) = socket.recv_from(&mut buffer) else { continue };
            if self.ended.load(Ordering::Acquire) {
                return;
            }
            let Ok(message) = Message::from_vec(buffer.get(..octets).unwrap_or_default()) else { continue };
            let delay = self.heard(&message);
            let Some(answer) = self.answer(&runtime, &message, Transport::Datagram) else { continue };
            match (delay, socket.try_clone()) {
                (Some(delay), Ok(socket)) => {
                    thread::spawn(move || {
                        thread::sleep(delay);
                        socket.send_to(&answer, peer)
                    });
                }
                _ => drop(socket.send_to(&answer, peer)),
            }
        }
    }

    fn serve_streams(self: &Arc<Self>, listener: &TcpListener) {
        for stream in listener.incoming() {
            if self.ended.load(Ordering::Acquire) {
                return;
            }
            let (shared, Ok(stream)) = (Arc::clone(self), stream) else { continue };
            // Whoever stays longer than any test is cut off, so no thread is left behind.
            thread::spawn(move || shared.serve_stream(stream));
        }
    }

    fn serve_stream(&self, mut stream: TcpStream) -> io::Result<()> {
        stream.set_read_timeout(Some(PATIENCE))?;
        let runtime = runtime()?;
        loop {
            let mut length = [0; 2];
            stream.read_exact(&mut length)?;
            let mut octets = vec![0; usize::from(u16::from_be_bytes(length))];
            stream.read_exact(&mut octets)?;
            let Ok(message) = Message::from_vec(&octets) else { return Ok(()) };
            if let Some(delay) = self.heard(&message) {
                thread::sleep(delay);
            }
            if let Some(answer) = self.answer(&runtime, &message, Transport::Stream) {
                let length = u16::try_from(answer.len()).map_err(io::Error::other)?;
                stream.write_all(&[&length.to_be_bytes()[..], &answer].concat())?;
            }
        }
    }

    /// Remembers what was asked; gives how long the answer has to wait.
    fn heard(&self, message: &Message) -> Option<Duration> {
        let asked = asked(message.queries.first()?);
        locked(&self.asked).push(asked.clone());
        match self.fault(&asked) {
            Some(Fault::Delay(delay)) => Some(delay),
            _ => None,
        }
    }

    fn fault(&self, asked: &Question) -> Option<Fault> {
        locked(&self.faults).iter().find_map(|(question, fault)| (question == asked).then_some(*fault))
    }

    fn answer(&self, runtime: &Runtime, message: &Message, transport: Transport) -> Option<Vec<u8>> {
        let query = message.queries.first()?;
        let fault = self.fault(&asked(query));
        let answer = match fault {
            Some(Fault::Silence) => return None,
            Some(Fault::ServerFailure) => failure(message, ResponseCode::ServFail),
            Some(Fault::Refused) => failure(message, ResponseCode::Refused),
            _ => {
                // The zones are built anew where one changes, so no answer waits for that.
                let catalog = locked(&self.zones).catalog(query)?;
                let mut answer = runtime.block_on(zones::ask(&catalog, message, protocol(transport)))?;
                answer.metadata.recursion_available = true;
                answer
            }
        };
        let answer = spoiled(answer, fault, transport);
        let octets = answer.to_vec().ok()?;
        let room =
            message.edns.as_ref().map_or(DATAGRAM_OCTETS, |edns| edns.max_payload().max(DATAGRAM_OCTETS));
        if transport == Transport::Datagram && octets.len() > usize::from(room) {
            return answer.truncate().to_vec().ok();
        }
        Some(octets)
    }
}

fn asked(query: &Query) -> Question {
    question(&query.name().to_ascii(), &query.query_type().to_string())
}

const fn protocol(transport: Transport) -> Protocol {
    match transport {
        Transport::Datagram => Protocol::Udp,
        Transport::Stream => Protocol::Tcp,
    }
}

fn failure(question: &Message, code: ResponseCode) -> Message {
    let mut answer = Message::error_msg(question.metadata.id, OpCode::Query, code);
    answer.add_queries(question.queries.iter().cloned());
    answer.metadata.recursion_available = true;
    answer
}

fn spoiled(mut answer: Message, fault: Option<Fault>, transport: Transport) -> Message {
    match fault {
        Some(Fault::Truncated) if transport == Transport::Datagram => return answer.truncate(),
        Some(Fault::WrongSignature) => {
            for record in answer.answers.iter_mut().chain(&mut answer.authorities) {
                spoil_signature(record);
            }
        }
        Some(Fault::NoSignature) => {
            let is_signature = |record: &Record| matches!(record.data, RData::DNSSEC(DNSSECRData::RRSIG(_)));
            answer.answers.retain(|record| !is_signature(record));
            answer.authorities.retain(|record| !is_signature(record));
        }
        _ => {}
    }
    answer
}

fn spoil_signature(record: &mut Record) {
    if let RData::DNSSEC(DNSSECRData::RRSIG(signature)) = &mut record.data {
        let octets = signature.sig().iter().map(|octet| !octet).collect();
        *signature = RRSIG::from_sig(signature.input().clone(), octets);
    }
}

fn runtime() -> io::Result<Runtime> {
    Builder::new_current_thread().build()
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
