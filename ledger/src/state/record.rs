//! Records: the business objects of a network.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::StateError;

/// First line of what a record id is the hash of.
const RECORD_DOMAIN: &[u8] = b"muniment.dev/record/v1\n";

/// A record as it is stored and proven.
///
/// Fields are declared in the order of RFC 8785, all names are ASCII and all numbers are integers below 2^53, so plain
/// serialisation gives the canonical JSON (tested against the canonicaliser).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Record {
    /// Height of the block that created it.
    pub created_height: u64,
    /// Time of that block, milliseconds.
    pub created_time: u64,
    /// Signer key of the creator.
    pub creator: String,
    /// Fields as the template describes them.
    pub fields: BTreeMap<String, Value>,
    /// Record id, hex.
    pub id: String,
    /// State of each region.
    pub regions: BTreeMap<String, String>,
    /// Template revision it lives by.
    pub revision: u32,
    /// Template name.
    pub template: String,
    /// Height of the block that made this version.
    pub updated_height: u64,
    /// Time of that block, milliseconds.
    pub updated_time: u64,
    /// From 1.
    pub version: u32,
}

impl Record {
    /// Canonical JSON.
    ///
    /// # Errors
    /// Never for a record made by the executor; kept because serialisation can.
    pub fn canonical(&self) -> Result<Vec<u8>, StateError> {
        let mut bytes = Vec::with_capacity(768);
        serde_json::to_writer(&mut bytes, self).map_err(|error| StateError(error.into()))?;
        Ok(bytes)
    }

    /// Reads a stored record.
    ///
    /// # Errors
    /// When the bytes aren't a record.
    pub fn parse(bytes: &[u8]) -> Result<Self, StateError> {
        serde_json::from_slice(bytes).map_err(|error| StateError(error.into()))
    }
}

/// A record while its next version is made: like [`Record`], and nothing that is there already is copied.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Draft<'a> {
    /// Height of the block that created it.
    pub created_height: u64,
    /// Time of that block, milliseconds.
    pub created_time: u64,
    /// Signer key of the creator.
    pub creator: &'a str,
    /// Fields as the template describes them.
    pub fields: Fields<'a>,
    /// Record id, hex.
    pub id: Cow<'a, str>,
    /// State of each region.
    pub regions: BTreeMap<&'a str, &'a str>,
    /// Template revision it lives by.
    pub revision: u32,
    /// Template name.
    pub template: &'a str,
    /// Height of the block that makes this version.
    pub updated_height: u64,
    /// Time of that block, milliseconds.
    pub updated_time: u64,
    /// From 1.
    pub version: u32,
}

/// Fields of a draft, sorted by name.
#[derive(Clone, Debug, Default)]
pub struct Fields<'a>(Vec<(&'a str, Cow<'a, Value>)>);

impl<'a> Fields<'a> {
    /// Fields that come sorted, none twice.
    pub fn sorted(fields: impl Iterator<Item = (&'a str, Cow<'a, Value>)>) -> Self {
        let fields: Vec<_> = fields.collect();
        debug_assert!(fields.is_sorted_by(|(a, _), (b, _)| a < b));
        Self(fields)
    }

    /// Are there none?
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The value of a field.
    pub fn get(&self, name: &str) -> Option<&Value> {
        let place = self.0.binary_search_by(|(known, _)| (*known).cmp(name)).ok()?;
        self.0.get(place).map(|(_, value)| &**value)
    }

    /// Gives a field its value; null removes it.
    pub fn set(&mut self, name: &'a str, value: Cow<'a, Value>) {
        match self.0.binary_search_by(|(known, _)| (*known).cmp(name)) {
            Ok(place) if value.is_null() => drop(self.0.remove(place)),
            Ok(place) => self.0[place].1 = value,
            Err(_) if value.is_null() => {}
            Err(place) => self.0.insert(place, (name, value)),
        }
    }
}

impl Serialize for Fields<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

impl<'a> From<&'a Record> for Draft<'a> {
    fn from(record: &'a Record) -> Self {
        let fields = record.fields.iter();
        let regions = record.regions.iter();
        Self {
            created_height: record.created_height,
            created_time: record.created_time,
            creator: &record.creator,
            fields: Fields::sorted(fields.map(|(name, value)| (name.as_str(), Cow::Borrowed(value)))),
            id: Cow::Borrowed(&record.id),
            regions: regions.map(|(name, state)| (name.as_str(), state.as_str())).collect(),
            revision: record.revision,
            template: &record.template,
            updated_height: record.updated_height,
            updated_time: record.updated_time,
            version: record.version,
        }
    }
}

impl Draft<'_> {
    /// Canonical JSON, as [`Record::canonical`] gives it.
    ///
    /// # Errors
    /// Never for one made by the executor; kept because serialisation can.
    pub fn canonical(&self) -> Result<Vec<u8>, StateError> {
        // About 64 bytes for each member.
        let mut bytes = Vec::with_capacity(512 + 32 * self.fields.0.len());
        serde_json::to_writer(&mut bytes, self).map_err(|error| StateError(error.into()))?;
        Ok(bytes)
    }
}

/// Id of the record of `template` with these identity values:
/// SHA-256 over a domain line and the canonical JSON `{"identity":[…],"template":"…"}`, with `"action":"…"` before it when
/// the action that creates it has an identity of its own.
///
/// # Errors
/// When a value can't be serialised.
pub fn record_id(template: &str, action: Option<&str>, identity: &[&Value]) -> Result<[u8; 32], StateError> {
    #[derive(Serialize)]
    struct Identity<'a> {
        #[serde(skip_serializing_if = "Option::is_none")]
        action: Option<&'a str>,
        identity: &'a [&'a Value],
        template: &'a str,
    }
    let mut bytes = Vec::with_capacity(256);
    bytes.extend_from_slice(RECORD_DOMAIN);
    serde_json::to_writer(
        &mut bytes,
        &Identity {
            action,
            identity,
            template,
        },
    )
    .map_err(|error| StateError(error.into()))?;
    Ok(Sha256::digest(&bytes).into())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_draft_of_a_record_is_the_record() {
        let record = Record {
            created_height: 7,
            created_time: 1_700_000_000_000,
            creator: "ed25519:a".to_owned(),
            fields: [
                ("text".to_owned(), json!("\u{1}\"\\/\u{2028}é")),
                ("list".to_owned(), json!([1, { "b": false, "a": null }, "x"])),
                ("empty".to_owned(), json!({})),
                ("number".to_owned(), json!(-5)),
            ]
            .into(),
            id: "ab".repeat(32),
            regions: [("z".to_owned(), "Open".to_owned()), ("a".to_owned(), "None".to_owned())].into(),
            revision: 3,
            template: "things".to_owned(),
            updated_height: 9,
            updated_time: 1_700_000_000_001,
            version: 2,
        };
        let draft = Draft::from(&record).canonical().unwrap();
        assert_eq!(draft, record.canonical().unwrap());
        assert_eq!(Record::parse(&draft).unwrap(), record);
    }
}
