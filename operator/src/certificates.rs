//! The certificates of the parties that speak the node HTTP API: which there are to be, and what is to be made now.
//!
//! Owns lifetimes, names and the decision to renew; keeps nothing and reads no clock. Pure, but for the random bytes of
//! new keys. A renewed certificate is for the same key, so that whoever holds the key only has to read a public file.
//! `rustls` judges what is good: the code that later accepts a certificate, with the names it will be asked for.
//!
//! An authority that is made beside another is trusted for a day before it signs, and one whose key is gone is trusted
//! until nothing of it is in use: at no moment does a party meet a certificate that it can't know.

mod make;
mod read;

use std::collections::BTreeMap;

use muniment_crds::jiff::{SignedDuration, Timestamp};
use muniment_ledger::tls;
use thiserror::Error;

pub use read::Validity;

/// Life of an authority.
pub const AUTHORITY_LIFE: SignedDuration = SignedDuration::from_hours(3650 * 24);
/// Life of every other certificate.
pub const LIFE: SignedDuration = SignedDuration::from_hours(90 * 24);
/// Certificates begin this long before they are made: clocks differ.
pub const BACKDATED: SignedDuration = SignedDuration::from_hours(1);
/// How long everyone gets to learn of a new authority before it signs, and of new certificates before an old authority
/// is forgotten. A kubelet takes about a minute, a node ten seconds.
pub const OVERLAP: SignedDuration = SignedDuration::from_hours(24);

/// A certificate can't be made.
#[derive(Debug, Error)]
pub enum CertificateError {
    /// By the library.
    #[error("a certificate can't be made")]
    Make(#[from] rcgen::Error),
    /// The operating system gives no random bytes.
    #[error("the operating system gives no random bytes")]
    Random(#[from] getrandom::Error),
    /// The clock is far off.
    #[error("the clock says {0}, for which no certificate can be made")]
    Clock(Timestamp),
}

/// Whose certificates these are: in every subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The tenant, or the control plane.
    pub organisation: String,
    /// The network, or what else belongs together.
    pub unit: String,
}

/// Who is to have a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Party {
    /// Unique among its own; also the name of its files.
    pub name: String,
    /// DNS names at which it serves. With none it is a client only.
    pub hosts: Vec<String>,
}

/// A certificate and its private key, PEM.
#[derive(Clone, PartialEq, Eq)]
pub struct Pair {
    /// Certificate.
    pub certificate: String,
    /// Private key.
    pub key: String,
}

impl std::fmt::Debug for Pair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pair(secret)")
    }
}

/// What is kept of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Certificates {
    /// Authorities whose keys are here, by name.
    pub authorities: BTreeMap<String, Pair>,
    /// Certificates of every authority that is trusted, PEM.
    pub trusted: String,
    /// Parties' certificates, by name.
    pub parties: BTreeMap<String, Pair>,
}

impl Certificates {
    /// What a party shows and trusts.
    pub fn material(&self, party: &str) -> Option<tls::Material> {
        let own = self.parties.get(party)?;
        Some(tls::Material {
            authorities: self.trusted.clone().into_bytes(),
            certificate: own.certificate.clone().into_bytes(),
            key: own.key.clone().into_bytes(),
        })
    }

    /// Names of the parties whose keys can be used.
    pub fn with_keys(&self) -> impl Iterator<Item = &str> {
        let usable = self.parties.iter().filter(|(_, pair)| make::is_key(&pair.key));
        usable.map(|(name, _)| name.as_str())
    }

    /// The party's certificate that ends first, and how long the youngest authority lasts. `None` while there is none.
    pub fn outlook(&self) -> Option<Outlook> {
        let first = |pairs: &BTreeMap<String, Pair>| -> Vec<Validity> {
            pairs
                .values()
                .filter_map(|pair| read::validity(&pair.certificate))
                .collect()
        };
        Some(Outlook {
            next: first(&self.parties).into_iter().min_by_key(|validity| validity.until)?,
            authority: first(&self.authorities)
                .into_iter()
                .max_by_key(|validity| validity.until)?,
        })
    }
}

/// What is to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outlook {
    /// Of the certificate that ends first.
    pub next: Validity,
    /// Of the authority that ends last.
    pub authority: Validity,
}

/// What is to be kept from now on: the same when nothing is due and nothing is damaged.
///
/// # Errors
/// When something can't be made.
pub fn next(
    kept: &Certificates,
    owner: &Owner,
    parties: &[Party],
    now: Timestamp,
) -> Result<Certificates, CertificateError> {
    let authorities = authorities(kept, owner, now)?;
    let known = read::bundle(&kept.trusted);
    let mut former: Vec<String> = known
        .into_iter()
        .filter(|one| read::validity(one).is_some_and(|validity| !validity.is_over(now)))
        .filter(|one| !authorities.values().any(|own| own.certificate == *one))
        .collect();
    let trusted = |former: &[String]| -> String {
        let own = authorities.values().map(|pair| pair.certificate.as_str());
        own.chain(former.iter().map(String::as_str)).collect()
    };
    let issuing = Issuing {
        owner,
        authorities: &authorities,
        trusted: trusted(&former),
        now,
    };
    let mut issued = BTreeMap::new();
    for party in parties {
        let pair = issuing.keep_or_issue(party, kept.parties.get(&party.name))?;
        issued.insert(party.name.clone(), pair);
    }
    // Whoever was renewed just now may not have read its new certificate.
    let young = |pair: &Pair| read::validity(&pair.certificate).is_some_and(|of| !of.is_settled(now));
    let renewing = issued.values().any(young);
    former.retain(|one| renewing || issued.values().any(|pair| is_good(one, &pair.certificate, &[], now)));
    Ok(Certificates {
        trusted: trusted(&former),
        authorities,
        parties: issued,
    })
}

/// Those that are good, and a new one when there is none or the youngest is due.
fn authorities(kept: &Certificates, owner: &Owner, now: Timestamp) -> Result<BTreeMap<String, Pair>, CertificateError> {
    let good = |pair: &Pair| {
        let lasts = read::validity(&pair.certificate).is_some_and(|validity| !validity.is_over(now));
        lasts && read::belongs(pair)
    };
    let mut authorities: BTreeMap<String, Pair> = kept
        .authorities
        .iter()
        .filter(|(_, pair)| good(pair))
        .map(|(name, pair)| (name.clone(), pair.clone()))
        .collect();
    let lasts = |pair: &Pair| read::validity(&pair.certificate).is_some_and(|validity| !validity.is_due(now));
    if !authorities.values().any(lasts) {
        let (name, pair) = make::authority(owner, now)?;
        authorities.insert(name, pair);
    }
    Ok(authorities)
}

struct Issuing<'a> {
    owner: &'a Owner,
    authorities: &'a BTreeMap<String, Pair>,
    /// Everything that is trusted, PEM.
    trusted: String,
    now: Timestamp,
}

impl Issuing<'_> {
    /// The youngest that everyone has had time to learn of; else the oldest. And whether everyone knows it.
    fn signer(&self) -> Option<(&Pair, bool)> {
        let made = |pair: &&Pair| read::validity(&pair.certificate).map(|validity| validity.from);
        let settled = |pair: &&Pair| read::validity(&pair.certificate).is_some_and(|of| of.is_settled(self.now));
        let all = || self.authorities.values();
        let known = all().filter(settled).max_by_key(made).map(|pair| (pair, true));
        known.or_else(|| all().min_by_key(made).map(|pair| (pair, false)))
    }

    fn keep_or_issue(&self, party: &Party, kept: Option<&Pair>) -> Result<Pair, CertificateError> {
        // There is always one: it was just made if it had to be.
        let (signer, settled) = self.signer().ok_or(CertificateError::Clock(self.now))?;
        if let Some(pair) = kept.filter(|pair| read::belongs(pair)) {
            let lasts = read::validity(&pair.certificate).is_some_and(|validity| !validity.is_due(self.now));
            let by = if settled { &signer.certificate } else { &self.trusted };
            if lasts && is_good(by, &pair.certificate, &party.hosts, self.now) {
                return Ok(pair.clone());
            }
        }
        make::party(self.owner, party, kept.map(|pair| pair.key.as_str()), signer, self.now)
    }
}

fn is_good(authorities: &str, certificate: &str, hosts: &[String], now: Timestamp) -> bool {
    u64::try_from(now.as_second())
        .is_ok_and(|now| tls::accepts(authorities.as_bytes(), certificate.as_bytes(), hosts, now))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
