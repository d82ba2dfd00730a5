//! Zones out of text, signed where they are to be, with the records that lead to them from the zone above.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use hickory_server::dnssec::NxProofKind;
use hickory_server::net::NetError;
use hickory_server::net::runtime::TokioTime;
use hickory_server::net::xfer::Protocol;
use hickory_server::proto::dnssec::crypto::Ed25519SigningKey;
use hickory_server::proto::dnssec::rdata::{DNSKEY, DNSSECRData, DS};
use hickory_server::proto::dnssec::{DigestType, DnssecSigner, SigningKey as _};
use hickory_server::proto::op::{Message, Query, ResponseCode};
use hickory_server::proto::rr::rdata::NS;
use hickory_server::proto::rr::{Name, RData, Record, RecordType};
use hickory_server::proto::serialize::binary::BinEncoder;
use hickory_server::proto::serialize::txt::Parser;
use hickory_server::server::{Request, RequestHandler as _, ResponseHandler, ResponseInfo};
use hickory_server::store::in_memory::InMemoryZoneHandler;
use hickory_server::zone_handler::{AxfrPolicy, Catalog, MessageResponse, ZoneType};
use rustls_pki_types::PrivatePkcs8KeyDer;

/// How long signatures hold: longer than any test.
const SIGNATURES: Duration = Duration::from_hours(24);
/// How long records may be kept, where a zone's text does not say: longer than any test.
const KEPT_SECONDS: u32 = 3600;
/// Where the requests to the zones come from; nobody looks at it.
const NOBODY: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 53);

/// One zone.
#[derive(Clone, Debug)]
pub struct Zone {
    /// Its name, such as `example.test`.
    pub origin: String,
    /// Its records as in a zone file, but for SOA, NS and all that is about signatures.
    pub text: String,
    /// Whether its answers can be validated.
    pub signing: Signing,
}

/// Whether a zone's answers can be validated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signing {
    /// They are right.
    Signed,
    /// There are no signatures, and the zone above says so.
    Unsigned,
    /// There are signatures, by another key than the zone above says.
    WrongKey,
}

impl Zone {
    /// One whose answers are right.
    #[must_use]
    pub fn signed(origin: &str, text: &str) -> Self {
        Self { origin: origin.to_owned(), text: text.to_owned(), signing: Signing::Signed }
    }

    /// One without signatures.
    #[must_use]
    pub fn unsigned(origin: &str, text: &str) -> Self {
        Self { signing: Signing::Unsigned, ..Self::signed(origin, text) }
    }

    /// One whose answers are bogus.
    #[must_use]
    pub fn bogus(origin: &str, text: &str) -> Self {
        Self { signing: Signing::WrongKey, ..Self::signed(origin, text) }
    }
}

/// All that is served.
pub(super) struct Zones {
    texts: BTreeMap<Name, Zone>,
    /// The zones' keys, which they keep when their text changes.
    keys: BTreeMap<Name, PrivatePkcs8KeyDer<'static>>,
    catalogs: BTreeMap<Name, Arc<Catalog>>,
}

impl Zones {
    pub(super) fn new(zones: &[Zone]) -> io::Result<Self> {
        let root = Zone::signed(".", "");
        let mut all = Self { texts: BTreeMap::new(), keys: BTreeMap::new(), catalogs: BTreeMap::new() };
        for zone in std::iter::once(&root).chain(zones) {
            all.insert(zone.clone())?;
        }
        all.build()?;
        Ok(all)
    }

    pub(super) fn set(&mut self, zone: Zone) -> io::Result<()> {
        self.insert(zone)?;
        self.build()
    }

    fn insert(&mut self, zone: Zone) -> io::Result<()> {
        let origin = name(&zone.origin)?;
        if !self.keys.contains_key(&origin) {
            self.keys.insert(origin.clone(), Ed25519SigningKey::generate_pkcs8().map_err(io::Error::other)?);
        }
        self.texts.insert(origin, zone);
        Ok(())
    }

    pub(super) fn trust_anchor(&self) -> String {
        let key = self.key(&Name::root()).and_then(|key| dnskey(&key));
        key.map_or_else(|_| String::new(), |key| format!(". IN DNSKEY {key}\n"))
    }

    /// Who answers this: the zone that the name is in, and about the way to a zone the one above it (RFC 4035 §3.1.4.1).
    pub(super) fn catalog(&self, query: &Query) -> Option<Arc<Catalog>> {
        let asked = query.name().to_lowercase();
        let asked = if query.query_type() == RecordType::DS { asked.base_name() } else { asked };
        self.above(&asked).and_then(|zone| self.catalogs.get(zone)).cloned()
    }

    /// The zone that this name is in.
    fn above(&self, name: &Name) -> Option<&Name> {
        self.texts.keys().filter(|zone| zone.zone_of(name)).max_by_key(|zone| zone.num_labels())
    }

    fn build(&mut self) -> io::Result<()> {
        let mut catalogs = BTreeMap::new();
        for (origin, zone) in &self.texts {
            let mut catalog = Catalog::new();
            catalog.upsert(origin.into(), vec![Arc::new(self.zone(origin, zone)?)]);
            catalogs.insert(origin.clone(), Arc::new(catalog));
        }
        self.catalogs = catalogs;
        Ok(())
    }

    fn zone(&self, origin: &Name, zone: &Zone) -> io::Result<InMemoryZoneHandler> {
        let text = format!(
            "$TTL {KEPT_SECONDS}\n@ IN SOA ns.test. postmaster.test. 1 3600 600 86400 {KEPT_SECONDS}\n@ IN NS ns.test.\n{}\n",
            // The library reads this in the place of an owner only (RFC 1035 §5.1).
            zone.text.replace(" @", &format!(" {origin}"))
        );
        let parsed = Parser::new(text, None, Some(origin.clone())).parse();
        let (_, records) = parsed.map_err(|error| io::Error::other(format!("{origin}: {error}")))?;
        let proof = (zone.signing != Signing::Unsigned).then_some(NxProofKind::Nsec);
        let mut handler =
            InMemoryZoneHandler::new(origin.clone(), records, ZoneType::Primary, AxfrPolicy::Deny, proof)
                .map_err(io::Error::other)?;
        for (below, zone) in &self.texts {
            if !below.is_root() && self.above(&below.base_name()) == Some(origin) {
                for data in self.way_to(below, zone.signing)? {
                    handler.upsert_mut(Record::from_rdata(below.clone(), KEPT_SECONDS, data), 1);
                }
            }
        }
        if zone.signing != Signing::Unsigned {
            let key = self.key(origin)?;
            let signer = DnssecSigner::new(dnskey(&key)?, Box::new(key), origin.clone(), SIGNATURES);
            handler.add_zone_signing_key_mut(signer).map_err(io::Error::other)?;
            handler.secure_zone_mut().map_err(io::Error::other)?;
        }
        Ok(handler)
    }

    /// What the zone above says about a zone.
    fn way_to(&self, origin: &Name, signing: Signing) -> io::Result<Vec<RData>> {
        let mut data = vec![RData::NS(NS(name("ns.test")?))];
        let key = match signing {
            Signing::Signed => self.key(origin)?,
            Signing::WrongKey => key(&Ed25519SigningKey::generate_pkcs8().map_err(io::Error::other)?)?,
            Signing::Unsigned => return Ok(data),
        };
        let key = key.to_public_key().map_err(io::Error::other)?;
        let digest = DS::from_key(&key, origin, DigestType::SHA256).map_err(io::Error::other)?;
        data.push(RData::DNSSEC(DNSSECRData::DS(digest)));
        Ok(data)
    }

    fn key(&self, origin: &Name) -> io::Result<Ed25519SigningKey> {
        key(self.keys.get(origin).ok_or_else(|| io::Error::other("a zone has no key"))?)
    }
}

fn key(document: &PrivatePkcs8KeyDer<'static>) -> io::Result<Ed25519SigningKey> {
    Ed25519SigningKey::from_pkcs8(document).map_err(io::Error::other)
}

fn dnskey(key: &Ed25519SigningKey) -> io::Result<DNSKEY> {
    Ok(DNSKEY::from_key(&key.to_public_key().map_err(io::Error::other)?))
}

fn name(text: &str) -> io::Result<Name> {
    let mut name = Name::from_ascii(text).map_err(io::Error::other)?.to_lowercase();
    name.set_fqdn(true);
    Ok(name)
}

/// What a zone answers. Where there is no such name, with proof that there is no wildcard anywhere above it either
/// (RFC 4035 §3.1.3.2): the library gives that for names right below the zone's own only.
pub(super) async fn ask(catalog: &Catalog, question: &Message, protocol: Protocol) -> Option<Message> {
    let mut answer = ask_once(catalog, question, protocol).await?;
    let zone = answer.authorities.iter().find(|record| record.record_type() == RecordType::SOA);
    let (Some(zone), ResponseCode::NXDomain) = (zone.map(|record| record.name.clone()), answer.response_code)
    else {
        return Some(answer);
    };
    let mut above = question.queries.first()?.name().base_name();
    while above != zone && zone.zone_of(&above) {
        above = above.base_name();
        let mut wildcard = question.clone();
        wildcard.queries = vec![Query::query(above.prepend_label("*").ok()?, RecordType::A)];
        let proof = ask_once(catalog, &wildcard, protocol).await?;
        for record in proof.authorities {
            if !answer.authorities.contains(&record) {
                answer.authorities.push(record);
            }
        }
    }
    Some(answer)
}

async fn ask_once(catalog: &Catalog, question: &Message, protocol: Protocol) -> Option<Message> {
    let request = Request::from_bytes(question.to_vec().ok()?, NOBODY, protocol).ok()?;
    let answer = Answer::default();
    catalog.handle_request::<_, TokioTime>(&request, answer.clone()).await;
    let octets = answer.0.lock().unwrap_or_else(PoisonError::into_inner).take();
    Message::from_vec(&octets?).ok()
}

/// Keeps the answer that a zone gives.
#[derive(Clone, Default)]
struct Answer(Arc<Mutex<Option<Vec<u8>>>>);

#[async_trait]
impl ResponseHandler for Answer {
    async fn send_response<'a>(
        &mut self,
        response: MessageResponse<
            '_,
            'a,
            impl Iterator<Item = &'a Record> + Send + 'a,
            impl Iterator<Item = &'a Record> + Send + 'a,
            impl Iterator<Item = &'a Record> + Send + 'a,
            impl Iterator<Item = &'a Record> + Send + 'a,
        >,
    ) -> Result<ResponseInfo, NetError> {
        let mut octets = Vec::new();
        let information = response.destructive_emit(&mut BinEncoder::new(&mut octets))?;
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(octets);
        Ok(information)
    }
}
