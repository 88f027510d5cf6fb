//! What is sent: digests that follow from a number, or small invoices.

use std::sync::atomic::{AtomicU64, Ordering};

use sha2::{Digest, Sha256};

use super::Mode;
use crate::error::{Failure, Result};

/// Where the number of an invoice goes.
const NUMBER: &str = "NUMBER-OF-THE-INVOICE";

/// What requests are made of.
#[derive(Clone, Debug)]
pub enum Content {
    /// Salted digests.
    Notarization,
    /// Invoices to a recipient: UBL with one line.
    Invoice {
        /// Party or key.
        recipient: String,
    },
}

/// Makes bodies, no two alike.
pub struct Bodies {
    content: Content,
    mode: Mode,
    items: usize,
    seed: [u8; 32],
    counter: AtomicU64,
    ubl: String,
}

impl Bodies {
    /// Bodies of so many items each.
    pub fn new(content: Content, mode: Mode, items: usize) -> Result<Self> {
        let seed = crate::digest::salt()
            .map_err(|error| Failure::new("randomness", format!("no randomness: {error}"), "check /dev/urandom"))?;
        Ok(Self {
            ubl: invoice(&seed)?,
            content,
            mode,
            items,
            seed,
            counter: AtomicU64::new(0),
        })
    }

    /// Path and media type of a request.
    pub fn target(&self) -> Result<(String, &'static str)> {
        let batch = if self.mode == Mode::Batch { ":batch" } else { "" };
        match (&self.content, self.mode) {
            (Content::Notarization, _) => Ok((format!("/notarizations{batch}"), "application/json")),
            (Content::Invoice { .. }, Mode::Batch) => Ok((format!("/invoices{batch}"), "application/json")),
            (Content::Invoice { recipient }, Mode::Single) => {
                let query = reqwest::Url::parse_with_params("http://localhost/", [("recipient", recipient)])
                    .map_err(|error| Failure::usage("bad_parameter", error.to_string(), "check --recipient"))?;
                let path = format!("/invoices?{}", query.query().unwrap_or_default());
                Ok((path, "application/xml"))
            }
        }
    }

    /// The next body.
    pub fn next(&self) -> String {
        match (&self.content, self.mode) {
            (Content::Notarization, Mode::Single) => self.deposit(),
            (Content::Notarization, Mode::Batch) => {
                let items: Vec<String> = (0..self.items).map(|_| self.deposit()).collect();
                format!("{{\"items\":[{}]}}", items.join(","))
            }
            (Content::Invoice { .. }, Mode::Single) => self.document(),
            (Content::Invoice { recipient }, Mode::Batch) => {
                let items: Vec<_> = (0..self.items)
                    .map(|_| serde_json::json!({ "xml": self.document() }))
                    .collect();
                serde_json::json!({ "recipient": recipient, "items": items }).to_string()
            }
        }
    }

    fn number(&self) -> u64 {
        self.counter.fetch_add(1, Ordering::Relaxed)
    }

    fn deposit(&self) -> String {
        let hash = Sha256::new()
            .chain_update(self.seed)
            .chain_update(self.number().to_le_bytes());
        let value = hex::encode(hash.finalize());
        format!("{{\"digests\":[{{\"alg\":\"sha-256\",\"value\":\"{value}\"}}],\"mode\":\"salted\"}}")
    }

    fn document(&self) -> String {
        // Each run has numbers of its own: the issuer's key is the same in all of them.
        let [a, b, c, d, ..] = self.seed;
        let run = hex::encode([a, b, c, d]);
        self.ubl.replace(NUMBER, &format!("B-{run}-{}", self.number()))
    }
}

/// An invoice whose seller nobody else has.
fn invoice(seed: &[u8; 32]) -> Result<String> {
    let digits: String = seed.iter().take(9).map(|byte| char::from(b'0' + byte % 10)).collect();
    let form = serde_json::json!({
        "number": NUMBER, "issueDate": "2026-11-24", "typeCode": "380", "currency": "EUR", "dueDate": "2026-12-24",
        "specification": "urn:cen.eu:en16931:2017",
        "seller": { "name": "Seller", "vatId": format!("DE{digits}"), "address": { "city": "Berlin", "country": "DE" } },
        "buyer": { "name": "Buyer", "address": { "city": "Paris", "country": "FR" } },
        "lines": [{ "quantity": "3", "unit": "C62", "price": { "net": "12.50" }, "category": "S", "rate": "19",
            "item": { "name": "Chair" } }],
    });
    let made = muniment_invoices::make(form.to_string().as_bytes());
    let made = made.map_err(|error| Failure::new("internal", format!("no invoice can be made: {error}"), ""))?;
    Ok(made.to_ubl())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_what_the_api_takes_and_no_two_are_alike() {
        let recipient = "a&b".to_owned();
        let singles = Bodies::new(
            Content::Invoice {
                recipient: recipient.clone(),
            },
            Mode::Single,
            1,
        )
        .unwrap();
        assert_eq!(singles.target().unwrap().0, "/invoices?recipient=a%26b");
        let (one, two) = (singles.next(), singles.next());
        assert!(one != two && !one.contains(NUMBER));
        let report = muniment_invoices::check(one.as_bytes(), &muniment_invoices::Options::default()).unwrap();
        assert!(report.valid && report.exact.unwrap().valid, "{:?}", report.findings);
        let batches = Bodies::new(Content::Invoice { recipient }, Mode::Batch, 3).unwrap();
        let body: serde_json::Value = serde_json::from_str(&batches.next()).unwrap();
        assert_eq!(body["items"].as_array().unwrap().len(), 3);
        let deposits = Bodies::new(Content::Notarization, Mode::Batch, 2).unwrap();
        let body: serde_json::Value = serde_json::from_str(&deposits.next()).unwrap();
        assert_ne!(body["items"][0], body["items"][1]);
    }
}
